"""Format 1.1: an artifact holds its preprocessing, and makes samples of anybody's clip with it."""

from __future__ import annotations

import dataclasses
import json
import math
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import avdistill
from pipeline import media
from pipeline.artifact import find_faults, read_artifact, read_unchecked, write_artifact
from pipeline.artifact.inspection import render_page
from pipeline.artifact.schema import SAMPLING
from pipeline.core import hdf5 as tables
from pipeline.core.errors import ArtifactError, MediaError, ParamsError
from pipeline.core.records import Clip, RealSet, SyntheticSet
from pipeline.media.logmel import LogMel
from pipeline.shards.decode import decode_all
from pipeline.shards.engines.local import Engine as Local
from pipeline.shards.index import INDEX, read_index
from pipeline.shards.preprocessing import Preprocessing
from pipeline.shards.read import read_shards
from pipeline.shards.settings import DecodeSettings
from pipeline.training.loop import ignore_progress
from tests.toys.artifacts import FULL, PREPROCESSING, preprocessed, toy_synthetic
from tests.toys.project import ROOT, values

GOLDEN = ROOT / "tests" / "golden"


@pytest.fixture(scope="module")
def real(clips: list[Clip], tmp_path_factory: pytest.TempPathFactory) -> RealSet:
    """The training split of the generated clips, read by PyAV."""
    out = tmp_path_factory.mktemp("pyav") / "shards"
    settings = values("decode.backends=[pyav]").build("decode", DecodeSettings)
    decode_all(clips, out, settings, Local(workers=1), ignore_progress)
    return read_shards(out / "train")


def distilled(real: RealSet) -> SyntheticSet:
    """One real sample of each class, with the provenance that `distill` writes of its shards."""
    index = torch.tensor([int(real.indices_of(c)[0]) for c in range(len(real.classes))])
    return SyntheticSet(
        rows=real.normalise(index),
        label=torch.arange(len(real.classes)),
        classes=real.classes,
        ipc=1,
        formation=dict.fromkeys(real.rows, (1, 1)),
        normalisation=real.normalisation,
        source_key=tuple(real.keys[i] for i in index.tolist()),
        provenance={
            "preprocessing": real.preprocessing,
            "preprocessing_params": dict(real.preprocessing_params),
        },
    )


@pytest.fixture
def artifact(real: RealSet, tmp_path: Path) -> Path:
    write_artifact(tmp_path / "seed0.h5", distilled(real), FULL)
    return tmp_path / "seed0.h5"


def test_a_clip_becomes_the_sample_that_decode_makes(
    artifact: Path, real: RealSet, clips: list[Clip]
) -> None:
    read = read_artifact(artifact)
    for clip in [clip for clip in clips if clip.split == "train"][:3]:
        samples = read.preprocess(clip.path)
        index = torch.tensor([real.keys.index(f"{clip.clip_id}_0000")])
        for modality, rows in real.normalise(index).items():
            assert samples.rows[modality].dtype == np.float32
            assert np.array_equal(samples.rows[modality][:1], rows.numpy())
        assert samples.seconds.tolist() == list(range(len(samples.seconds)))
        assert samples.omitted == {}


def test_it_reads_any_kind_of_path(artifact: Path, clips: list[Clip]) -> None:
    read = read_artifact(str(artifact))
    by_text, by_path = (read.preprocess(kind(clips[0].path)) for kind in (str, Path))
    assert np.array_equal(by_text.rows["frame"], by_path.rows["frame"])


def test_the_package_that_people_import_makes_the_same(artifact: Path, clips: list[Clip]) -> None:
    expected = read_artifact(artifact).preprocess(clips[0].path).rows
    for held in (artifact, str(artifact), avdistill.read_artifact(artifact)):
        made = avdistill.preprocess(held, clips[0].path).rows
        assert all(np.array_equal(made[modality], expected[modality]) for modality in expected)


def test_the_lines_of_the_guide_run(
    artifact: Path, clips: list[Clip], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = (ROOT / "docs" / "guide" / "share.md").read_text(encoding="utf-8")
    (lines,) = re.findall(
        r"^```python\n(import avdistill\n.*?)^```", page, re.DOTALL | re.MULTILINE
    )
    (tmp_path / "clip.mp4").write_bytes(Path(clips[0].path).read_bytes())
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {}
    exec(lines, names)
    assert len(names["samples"].rows["frame"]) == len(names["samples"].seconds) >= 1


def test_a_second_without_sound_is_named(artifact: Path, tmp_path: Path) -> None:
    path, rate = tmp_path / "short.mp4", 16000
    frames = np.zeros((36, 32, 32, 3), np.uint8)
    media.write_clip(path, frames, 12, np.zeros(rate * 2, np.float32), rate)
    samples = read_artifact(artifact).preprocess(path)
    assert samples.seconds.tolist() == [0, 1]
    assert samples.omitted[2].startswith("truncated_audio: ")


def test_a_file_that_is_no_clip_is_one_error(artifact: Path, tmp_path: Path) -> None:
    (tmp_path / "page.mp4").write_text("<html>")
    message = (
        r"^decode_error: not a readable media file \(.*\); expected a clip with .*, found .*\.mp4$"
    )
    with pytest.raises(MediaError, match=message):
        read_artifact(artifact).preprocess(tmp_path / "page.mp4")
    with pytest.raises(MediaError, match=r"missing_file: .* does not exist; expected a clip"):
        read_artifact(artifact).preprocess(tmp_path / "none.mp4")


@pytest.mark.parametrize("name", sorted(path.name for path in GOLDEN.glob("1.0-*.h5")))
def test_a_file_of_1_0_says_that_it_lacks_it(name: str) -> None:
    with pytest.raises(ArtifactError, match=r"of format 1\.0 does not hold its preprocessing_para"):
        read_artifact(GOLDEN / name).preprocess("clip.mp4")


def test_the_index_holds_the_values_behind_its_digest(real: RealSet) -> None:
    read = Preprocessing.from_json(real.preprocessing_params, "index")
    assert read.digest == real.preprocessing
    assert read.params == values().build("decode", DecodeSettings).preprocessing.params


def test_an_index_without_the_values_still_reads_and_keeps_its_digest(
    shards: Path, tmp_path: Path
) -> None:
    written = json.loads((shards / "train" / INDEX).read_text(encoding="utf-8"))
    del written["preprocessing_params"]
    (tmp_path / INDEX).write_text(json.dumps(written), encoding="utf-8")
    old, new = read_index(tmp_path), read_index(shards / "train")
    assert old.preprocessing_params == {} and new.preprocessing_params
    assert old.digest == new.digest


def test_decode_adds_the_values_and_keeps_the_shards(
    clips: list[Clip], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = values().build("decode", DecodeSettings)
    few = [clip for clip in clips if clip.label == clips[0].label]
    decode_all(few, tmp_path / "shards", settings, Local(workers=1), ignore_progress)
    for path in (tmp_path / "shards").glob(f"*/{INDEX}"):
        written = json.loads(path.read_text(encoding="utf-8"))
        del written["preprocessing_params"]
        path.write_text(json.dumps(written), encoding="utf-8")
    monkeypatch.setattr("pipeline.media.decode", lambda *_, **__: 1 // 0)
    decode_all(few, tmp_path / "shards", settings, Local(workers=1), ignore_progress)
    assert read_index(tmp_path / "shards" / "train").preprocessing_params


def test_the_page_prints_the_values(tmp_path: Path) -> None:
    write_artifact(tmp_path / "seed0.h5", preprocessed(), FULL)
    page = render_page(tmp_path / "seed0.h5")
    assert re.search(r"^    frame +crop True, height 8, offsets 0\.5, width 8$", page, re.MULTILINE)
    assert "not held; only their digest is known" in render_page(GOLDEN / "1.0-float32.h5")
    assert "f_max 4000, f_min 0, floor_db -100, hop 1100, n_fft 1024" in page


def rewritten(path: Path, params: Any, **attributes: Any) -> str:
    """Change the parameters of a file, as a forger would; all faults of the result."""
    write_artifact(path, preprocessed(), FULL)
    columns, about = tables.read_table(path)
    tables.write_table(path, columns, {**about, "preprocessing_params": params, **attributes})
    read = read_unchecked(path)
    return "; ".join(find_faults(read.columns, read.about))


def test_values_that_follow_the_format_have_no_fault(tmp_path: Path) -> None:
    assert rewritten(tmp_path / "seed0.h5", PREPROCESSING.params) == ""


def test_values_of_another_digest_are_a_fault(tmp_path: Path) -> None:
    params = json.loads(json.dumps(PREPROCESSING.params))
    params["logmel"]["f_min"] = 50.0
    assert "do not have the digest preprocessing" in rewritten(tmp_path / "seed0.h5", params)


@pytest.mark.parametrize("size", [{"width": 9}, {"offsets": (0.2, 0.5)}])
def test_values_that_make_other_rows_are_a_fault(tmp_path: Path, size: dict[str, Any]) -> None:
    frame = dataclasses.replace(PREPROCESSING.sections["frame"], **size)
    other = Preprocessing(sections={**PREPROCESSING.sections, "frame": frame})
    faults = rewritten(tmp_path / "seed0.h5", other.params, preprocessing=other.digest)
    assert "holds frame rows [1, 3, 8, 8], and preprocessing_params that make" in faults


@pytest.mark.parametrize("params", [[], {}, "none", {"frame": {}}, {"frame": {"hop": 0}}, 7])
def test_malformed_values_are_a_fault(tmp_path: Path, params: Any) -> None:
    assert rewritten(tmp_path / "seed0.h5", params)


def test_a_set_without_the_values_is_still_exported(tmp_path: Path) -> None:
    write_artifact(tmp_path / "seed0.h5", toy_synthetic(), FULL)
    about = read_artifact(tmp_path / "seed0.h5").about
    assert not {"preprocessing_params", "preprocessing_steps"} & about.keys()


def test_what_was_read_is_written_again_with_the_same_bytes(tmp_path: Path) -> None:
    write_artifact(tmp_path / "a.h5", preprocessed(), FULL)
    again = dataclasses.replace(
        read_artifact(tmp_path / "a.h5").synthetic, provenance=preprocessed().provenance
    )
    write_artifact(tmp_path / "b.h5", again, FULL)
    assert (tmp_path / "a.h5").read_bytes() == (tmp_path / "b.h5").read_bytes()


def test_the_steps_that_the_file_names_are_those_of_the_code() -> None:
    steps, made = SAMPLING["logmel"], PREPROCESSING.sections["logmel"]
    assert isinstance(made, LogMel)
    spectrum, mel = made._mel.spectrogram, made._mel.mel_scale
    assert (spectrum.power, spectrum.center) == (steps["power"], steps["center"])
    assert (spectrum.pad_mode, mel.mel_scale, mel.norm) == (
        steps["pad"],
        steps["mel_scale"],
        steps["mel_norm"],
    )
    window = getattr(torch, f"{steps['window']}_window")(made.n_fft)
    assert torch.equal(spectrum.window, window)
    silence = made(np.zeros(made.rate, np.float32))
    assert silence.dtype == steps["rounded_to"] and (silence == made.floor_db).all()


@pytest.mark.parametrize(
    ("section", "value", "message"),
    [
        ("frame", {"offsets": [1.5]}, "frame.offsets are one or more seconds"),
        ("frame", {"size": 3}, "frame: unknown size"),
        ("logmel", {"f_max": math.pi * 1e4}, "f_max at most half of the rate"),
    ],
)
def test_values_that_no_clip_can_be_read_with_are_refused(
    section: str, value: dict[str, Any], message: str
) -> None:
    params = json.loads(json.dumps(PREPROCESSING.params))
    params[section] |= value
    with pytest.raises(ParamsError, match=message):
        Preprocessing.from_json(params, "seed0.h5")
