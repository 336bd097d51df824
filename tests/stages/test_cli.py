"""The command line: help that loads nothing heavy, exit codes, and one line for every bad input."""

from __future__ import annotations

import dataclasses
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import typer
from ruamel.yaml import YAML
from typer.testing import CliRunner

from pipeline.core import plugins
from pipeline.core.records import Clip
from pipeline.datasets.manifest import write_manifest
from stages import cli
from stages._arguments import kind_of, list_kinds
from tests.toys.commands import SMALL, refused, run
from tests.toys.project import PARAMS, ROOT, values


@pytest.fixture
def params_file(tmp_path: Path) -> Path:
    """params.yaml, sized for a test."""
    path = tmp_path / "params.yaml"
    with path.open("w") as stream:
        YAML().dump(values(*SMALL).values, stream)
    return path


def test_an_older_params_file_says_once_which_keys_are_new(tmp_path: Path) -> None:
    text = PARAMS.read_text(encoding="utf-8")
    (tmp_path / "old.yaml").write_text(
        text.replace("  gallery: 2", "").replace("  runs: false", "")
    )
    result = run("code", tmp_path / "code.json", params=tmp_path / "old.yaml")
    assert result.stderr == (
        "note: old.yaml lacks publish.runs, report.gallery; packaged values count\n"
    )


@pytest.mark.parametrize("arguments", [["--help"], *([stage, "--help"] for stage in cli.STAGES)])
def test_help_loads_nothing_heavy(arguments: list[str]) -> None:
    heavy = {"torch", "h5py", "av", "decord", "webdataset", "torchaudio"}
    code = f"import sys\nfrom stages.cli import app\napp({arguments}, standalone_mode=False)\n"
    code += f"raise SystemExit(','.join({heavy} & sys.modules.keys()) or 0)"
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, cwd=ROOT
    )
    assert result.returncode == 0, result.stderr


@pytest.mark.parametrize("stage", cli.STAGES)
def test_every_command_has_help_with_an_example(stage: str) -> None:
    result = CliRunner().invoke(cli.app, [stage, "--help"], env={"COLUMNS": "200"})
    assert result.exit_code == 0
    assert f"avdistill {stage} " in result.output.split("Example:")[1]


@pytest.mark.parametrize("stage", cli.STAGES)
def test_every_argument_and_option_has_a_sentence(stage: str) -> None:
    command = typer.main.get_command(cli.app).commands[stage]
    for parameter in command.params:
        assert re.search(r"[a-z.;,]+ .*\.$", parameter.help or ""), parameter.name
        if parameter.param_type_name == "argument":
            assert parameter.metavar == parameter.name.upper()


def test_commands_stand_in_groups() -> None:
    page = CliRunner().invoke(cli.app, ["--help"], env={"COLUMNS": "200"}).output
    places = [page.index(f" {panel} ") for panel in ("Pipeline", "Artifacts", "Extras")]
    assert places == sorted(places) and "--install-completion" in page


def test_a_shell_completes_the_names_of_commands() -> None:
    result = CliRunner().invoke(
        cli.app,
        prog_name="avdistill",
        env={"_AVDISTILL_COMPLETE": "complete_bash", "_TYPER_COMPLETE_ARGS": "avdistill extr"}
        | {"COMP_WORDS": "avdistill extr", "COMP_CWORD": "1"},
    )
    assert result.output.split() == ["extract", "extract-text"]


def test_a_change_counts_behind_the_command_too(tmp_path: Path) -> None:
    both = ("--set", "metrics.vote={}", "list", "methods", "--set", "metrics.top5={}")
    assert run(*both).returncode == 0
    message = refused("list", "methods", "--set", "distill.dm.stepz=3")
    assert message == (
        "error: --set distill.dm.stepz=3: unknown key distill.dm.stepz, the nearest is steps"
    )


@pytest.mark.parametrize("kind", ["methods", "datasets", *list_kinds()])
def test_plugins_are_listed_with_a_line_each(kind: str) -> None:
    lines = run("list", kind).stdout.splitlines()
    names = {line.split()[0] for line in lines}
    assert all(len(line.split()) > 1 for line in lines)
    assert set(plugins.list_names(kind_of(kind))) - {"folder", "gradient", "coreset"} <= (
        names | {"resnet", "external"}
    )


def test_an_adapter_is_not_a_section_and_the_message_names_some(tmp_path: Path) -> None:
    message = refused("ingest", "folder", "--root", tmp_path, "--out", tmp_path / "manifest.csv")
    assert "folder is a plugin, and params.yaml has no section ingest.folder" in message
    assert message.endswith("sections that use it: mine")


def test_without_a_params_file_the_packaged_values_count_and_that_is_said(tmp_path: Path) -> None:
    result = subprocess.run(
        [sys.executable, "-m", "avdistill", "list", "selectors"],
        cwd=tmp_path,
        env={"PATH": "", "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.stderr == "note: no params.yaml here, so the packaged values count\n"
    assert "herding" in result.stdout


def test_force_replaces_an_output(tmp_path: Path) -> None:
    out = tmp_path / "card"
    out.mkdir()
    (out / "old").touch()
    artifact = ROOT / "tests/golden/1.0-scores-uint8.h5"
    assert run("convert", "card", artifact, out, "--force").returncode == 0
    assert out.is_file() and [path.name for path in tmp_path.iterdir()] == ["card"]


def test_force_keeps_the_old_output_when_the_new_one_fails(tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.write_text("old")
    refused("convert", "card", tmp_path / "none.h5", out, "--force")
    assert out.read_text() == "old" and [path.name for path in tmp_path.iterdir()] == ["out"]


def test_force_never_takes_an_input_away(tmp_path: Path) -> None:
    message = refused("convert", "card", tmp_path / "in.h5", tmp_path, "--force")
    assert "which is needed; name another output" in message


def test_an_unknown_command_is_a_usage_error() -> None:
    assert run("frobnicate").returncode == 2


def test_the_version_is_printed() -> None:
    assert run("--version").stdout.startswith("avdistill 0.")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "does not exist; expected a folder of videos"),
        ([], "is empty; expected files like"),
        (["a/readme.txt", "b/notes.md"], "holds no video and no sound; expected files like"),
        (
            [f"a/{i}.mp4" for i in range(8)],
            "found one class only, a; a distilled set needs two or more",
        ),
    ],
)
def test_a_bad_folder_is_one_line(content: list[str] | None, message: str, tmp_path: Path) -> None:
    root = tmp_path / "clips"
    for name in content or []:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(name.encode())
    if content == []:
        root.mkdir()
    assert message in refused("ingest", "mine", "--root", root, "--out", tmp_path / "manifest.csv")
    assert not (tmp_path / "manifest.csv").exists() and not list(tmp_path.glob("*.part"))


def test_an_output_that_exists_is_left_alone(tmp_path: Path, media: Path, manifest: Path) -> None:
    out = tmp_path / "out"
    page = tmp_path / "page.html"
    for path in (out, page):
        path.write_text("mine")
    for arguments in (
        ("ingest", "generated", "--root", media, "--out", out),
        ("extract", tmp_path, out, "--extractor", "convnet"),
        ("distill", "dm", 1, tmp_path, tmp_path, out),
        ("evaluate", tmp_path, tmp_path, out),
        ("ceiling", tmp_path, out),
        ("report", tmp_path, page),
        ("convert", "card", tmp_path, out),
        ("adopt", "dc", tmp_path, out),
    ):
        assert "exists already; name another output, or replace it with --force" in refused(
            *arguments
        )
    assert out.read_text() == page.read_text() == "mine"


def test_a_text_file_named_mp4_is_in_the_ledger(tmp_path: Path, media: Path) -> None:
    shutil.copytree(media, tmp_path / "media")
    for index, split in enumerate(("train", "train", "train", "val")):
        (tmp_path / "media" / split / "sonar" / f"text{index}.mp4").write_text("no video at all")
    run("ingest", "mine", "--root", tmp_path / "media", "--out", tmp_path / "manifest.csv")
    message = refused("decode", tmp_path / "manifest.csv", tmp_path / "shards", "--quiet", code=3)
    assert (
        "4 of 44 clips were rejected (failed: decode_error 4 clips (sonar/text0.mp4, "
        "sonar/text1.mp4, sonar/text2.mp4, ...)), more than decode.max_reject_fraction = 0.05"
        in message
    )
    assert "or go on without them: set decode.max_reject_fraction to 0.1 or more" in message
    ledger = (tmp_path / "shards" / "ledger.csv").read_text()
    assert ledger.count("decode_error") == 4


def test_an_unknown_method_lists_the_known_ones(tmp_path: Path) -> None:
    message = refused("distill", "dmm", 1, tmp_path, tmp_path, tmp_path / "out")
    assert message.startswith(
        "error: params.yaml has no section 'distill.dmm'; there are random, herding, kcenter"
    )


def test_a_row_without_a_plugin_lists_the_known_ones(params_file: Path, tmp_path: Path) -> None:
    params_file.write_text(params_file.read_text().replace("  dm:", "  dmm:"))
    message = refused("distill", "dm", 1, tmp_path, tmp_path, tmp_path / "out", params=params_file)
    assert "params.yaml: distill.dmm: no method named 'dmm'; set method to one of avdd, " in message


def test_a_misspelt_parameter_is_named(params_file: Path, tmp_path: Path) -> None:
    params_file.write_text(params_file.read_text().replace("batch_real:", "batch_reel:", 1))
    message = refused("distill", "dm", 1, tmp_path, tmp_path, tmp_path / "out", params=params_file)
    assert "params.yaml: unknown key distill.dm.batch_reel, the nearest is batch_real" in message


def test_a_wrong_type_is_named(params_file: Path, tmp_path: Path) -> None:
    message = refused(
        "--set",
        "distill.dm.steps=many",
        "distill",
        "dm",
        1,
        tmp_path,
        tmp_path,
        tmp_path / "out",
        params=params_file,
    )
    assert "distill.dm: steps is 'many'" in message


def test_a_missing_params_file_says_where_to_get_one(tmp_path: Path) -> None:
    assert "make one with `avdistill init`" in refused(
        "coreset", tmp_path, tmp_path / "out", params=tmp_path / "none.yaml"
    )


def test_shards_that_are_none_name_the_command(tmp_path: Path) -> None:
    assert "expected the shards of one split, as `avdistill decode` writes them" in refused(
        "extract", tmp_path, tmp_path / "out.h5", "--extractor", "convnet"
    )


def test_a_device_that_is_not_there_is_one_line(shards: Path, tmp_path: Path) -> None:
    assert "--device cuda:77" in refused(
        "extract",
        shards / "train",
        tmp_path / "out.h5",
        "--extractor",
        "convnet",
        "--device",
        "cuda:77",
    )


def test_a_cell_that_cannot_be_is_refused_before_anything_is_done(
    shards: Path, tmp_path: Path
) -> None:
    message = refused(
        "--set",
        "grid.infeasible=refuse",
        "distill",
        "random",
        9,
        shards / "train",
        tmp_path,
        tmp_path / "out",
        "--quiet",
    )
    assert (
        "ipc 9 x 1 pieces needs 9 training windows a class" in message
        and "the largest ipc that fits is 3" in message
    )
    assert not (tmp_path / "out").exists()


def test_a_traceback_is_shown_when_asked(tmp_path: Path) -> None:
    result = run("--traceback", "inspect", tmp_path / "none.h5")
    assert result.returncode == 1
    assert "Traceback" in result.stderr and result.stderr.strip().splitlines()[-1].startswith(
        "error: "
    )


def test_an_interrupted_decode_says_how_to_go_on_and_does(
    clips: list[Clip], tmp_path: Path
) -> None:
    manifest, out, whole = tmp_path / "manifest.csv", tmp_path / "shards", tmp_path / "whole"
    # So many that it cannot be over before the signal comes, on a busy machine either.
    many = [
        dataclasses.replace(clip, clip_id=f"{clip.clip_id}-{i}") for clip in clips for i in range(8)
    ]
    write_manifest(manifest, sorted(many, key=lambda clip: clip.clip_id))
    command = [
        sys.executable,
        "-m",
        "stages",
        "decode",
        str(manifest),
        str(out),
        "--quiet",
        "--workers",
        "1",
    ]
    process = subprocess.Popen(
        command, cwd=ROOT, stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    while not list(out.rglob("shard-*.tar")):
        time.sleep(0.01)
    os.killpg(process.pid, signal.SIGINT)
    _, message = process.communicate(timeout=60)
    assert (process.returncode, message) == (
        130,
        f"error: {cli.INTERRUPTED}\n",
    )
    assert run("decode", manifest, out, "--quiet").returncode == 0
    assert run("decode", manifest, whole, "--quiet").returncode == 0
    assert tars(out) == tars(whole)


def tars(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*.tar")}


def test_the_whole_line_twice_gives_the_same_files(
    params_file: Path, media: Path, tmp_path: Path
) -> None:
    """Every command on generated clips, twice: the same files, from the manifest to the scores."""
    results = [line(tmp_path / name, media, params_file) for name in ("one", "two")]
    assert results[0] == results[1]
    assert {
        "manifest.csv",
        "features.h5",
        "coreset/herding.json",
        "dm/ipc1/published/seed0.h5",
    } <= set(results[0])
    # The protocol that the file carries, and the same students: the same score.
    file = tmp_path / "one" / "dm" / "ipc1" / "published" / "seed0.h5"
    message = run(
        "verify", file, "--reproduce", tmp_path / "one" / "shards", "--quiet", "--device", "cpu"
    ).stdout
    scores = re.findall(r"accuracy (\w+): ([\d.]+) \| ([\d.]+) \[", message)
    assert sorted(view for view, _, _ in scores) == ["a", "av", "v"] and all(
        old == new for _, old, new in scores
    ), message


def line(place: Path, media: Path, params: Path) -> dict[str, bytes]:
    shards, cell = place / "shards", place / "dm" / "ipc1"
    steps: list[tuple[object, ...]] = [
        ("ingest", "generated", "--root", media, "--out", place / "manifest.csv"),
        ("decode", place / "manifest.csv", shards, "--quiet"),
        ("extract", shards / "train", place / "features.h5", "--extractor", "convnet", "--quiet"),
        ("coreset", place / "features.h5", place / "coreset"),
        ("distill", "dm", 1, shards / "train", place / "coreset", cell / "synthetic", "--quiet"),
        ("export", cell / "synthetic", cell / "artifacts"),
        ("evaluate", cell / "artifacts", shards, cell / "scores.json", "--quiet"),
        ("publish", cell / "artifacts", cell / "scores.json", cell / "published"),
        ("ceiling", shards, place / "ceiling.json", "--quiet"),
        ("inspect", cell / "published" / "seed0.h5"),
        ("convert", "webdataset", cell / "published" / "seed0.h5", cell / "train.tar"),
        ("convert", "previews", cell / "published" / "seed0.h5", cell / "previews"),
    ]
    for step in steps:
        small = ["--set", "distill.dm.formation={frame: [1, 1], logmel: [1, 1]}"]
        result = run(*small, *step, params=params)
        assert result.returncode == 0, (step, result.stderr)
    files = {
        str(path.relative_to(place)): path for path in sorted(place.rglob("*")) if path.is_file()
    }
    assert not [name for name in files if ".part" in name]
    # What is kept under .work and what a clock said are no results.
    return {
        name: path.read_bytes()
        for name, path in files.items()
        if ".work" not in name and ".seconds." not in name
    }


def test_the_doctor_names_what_the_machine_works_with() -> None:
    result = run("doctor", "--device", "cpu")
    message = dict(line.split(maxsplit=1) for line in result.stdout.splitlines())
    assert (
        result.returncode == 0 and message["device"] == "cpu" and message["python"].startswith("3.")
    )
    assert {
        "torch",
        "torchaudio",
        "av",
        "decord2",
        "webdataset",
        "h5py",
        "dvc",
        "processors",
        "free",
    } <= message.keys()
    assert "libavcodec" in message["av"] and "libavcodec" in message["decord2"]


def test_the_doctor_measures_the_decoders(monkeypatch: pytest.MonkeyPatch) -> None:
    from pipeline.media import selftest as truth

    monkeypatch.setattr(truth, "CASES", truth.CASES[:2])
    result = CliRunner().invoke(
        cli.app, ["doctor", "--av", "--quiet", "--device", "cpu", "--workers", "1"]
    )
    lines = [line for line in result.output.splitlines() if "  frame " in line]
    assert result.exit_code == 0 and len(lines) == 2 * len(truth.ORDERS)
    assert "2 reference clips: every frame and every beep is right" in result.output


def test_the_doctor_fails_where_both_decoders_are_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    from pipeline.core import workers as pool
    from pipeline.core.errors import MachineError, MediaError
    from pipeline.media import selftest as truth

    monkeypatch.setattr(truth, "CASES", truth.CASES[:1])
    monkeypatch.setattr(
        pool,
        "work",
        lambda function, tasks, **machine: ((task, MediaError("crash", "gone")) for task in tasks),
    )
    result = CliRunner().invoke(cli.app, ["doctor", "--av", "--quiet", "--device", "cpu"])
    assert isinstance(
        result.exception, MachineError
    ) and "1 of 1 reference clips came out wrong" in str(result.exception)
    assert "refused" in result.output and "crash: gone" in result.output
