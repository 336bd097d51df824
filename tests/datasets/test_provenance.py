"""Sources: a dataset's statements reach the artifact, and change no result."""

from __future__ import annotations

import dataclasses
import shutil
from pathlib import Path

import pytest

from pipeline.artifact import read_about
from pipeline.artifact.inspection import render_page
from pipeline.core import plugins
from pipeline.core.errors import ShardError, SourceError
from pipeline.core.files import read_json, write_json
from pipeline.core.records import NOT_STATED, UNKNOWN, Clip, RealSet, Source
from pipeline.datasets.adapters import esc50, vggsound
from pipeline.datasets.manifest import read_source, source_of, write_manifest
from pipeline.distillation import run as cells
from pipeline.distillation.distributed import Ranks
from pipeline.evaluation.scoring import digest_training_data
from pipeline.shards.decode import decode_all
from pipeline.shards.engines.local import Engine as Local
from pipeline.shards.index import read_index
from pipeline.shards.mapped import map_shards
from pipeline.shards.read import read_shards
from pipeline.shards.settings import DecodeSettings
from pipeline.training.loop import ignore_progress
from stages.decode import decode
from stages.distill import distill
from stages.export import export
from stages.ingest import ingest
from tests.toys.artifacts import toy_synthetic
from tests.toys.cells import cell
from tests.toys.plugins import built
from tests.toys.project import TINY, values
from tests.toys.samples import toy_real, write_split
from tests.toys.sources import TOYS

OURS = Source(name="ours", licence="CC0-1.0", citation="We, 2026", by_id=True)
BY_ID = {"activitynet", "ave", "music21", "vggsound"}


@pytest.mark.parametrize("name", plugins.list_names("adapter"))
def test_every_adapter_states_its_source(name: str, tmp_path: Path) -> None:
    root = TOYS[name](tmp_path) if name in TOYS else tmp_path
    try:
        source = built("adapter", name).source(root)
    except SourceError:
        assert name not in TOYS
        pytest.skip(f"no toy of {name}; write one as tests/toys/sources/{name}.py")
    stated = [source.name, source.home, source.licence, source.citation]
    assert all(text and text == text.strip() and "\n" not in text for text in stated)
    assert NOT_STATED not in (source.name, source.home, source.citation) or name == "folder"
    assert source.by_id or name not in BY_ID


def test_ten_classes_of_esc_have_a_licence_of_their_own(tmp_path: Path) -> None:
    root = TOYS["esc50"](tmp_path)
    (root / "meta" / "esc50.csv").rename(root / "meta" / "esc10.csv")
    whole = built("adapter", "esc50")
    assert whole.source(root) == esc50.SUBSETS["esc10.csv"]
    assert (whole.source(root).name, whole.source(root).licence) == ("ESC-10", "CC-BY-3.0")


def test_licences_of_single_clips_are_counted(tmp_path: Path) -> None:
    root, dataset = TOYS["fsd50k"](tmp_path), built("adapter", "fsd50k")
    train = [clip.clip_id for clip in dataset.clips(root) if clip.split == "train"]
    assert dataset.source(root).clip_licences == {NOT_STATED: len(train)}  # there is no metadata
    place = root / "FSD50K.metadata" / "dev_clips_info_FSD50K.json"
    write_json(
        place,
        {
            name: {"license": f"http://{i % 2}", "title": "t"}
            for i, name in enumerate([*train[1:], "elsewhere"])
        },
    )
    assert dataset.source(root).clip_licences == {"http://0": 2, "http://1": 1, NOT_STATED: 1}
    place.write_text("[]")
    with pytest.raises(
        SourceError, match=r"dev_clips_info_FSD50K.json: found \[\]; expected an object of clips"
    ):
        dataset.source(root)


def test_a_source_lies_beside_its_manifest(clips: list[Clip], tmp_path: Path) -> None:
    write_manifest(tmp_path / "manifest.csv", clips, OURS)
    assert source_of(tmp_path / "manifest.csv") == tmp_path / "manifest.source.json"
    assert read_source(tmp_path / "manifest.csv") == OURS
    assert read_source(tmp_path / "other.csv") == UNKNOWN
    write_json(tmp_path / "manifest.source.json", {"owner": "me"})
    with pytest.raises(
        SourceError, match=r"is not a source of clips .*run `avdistill ingest` again"
    ):
        read_source(tmp_path / "manifest.csv")


def test_old_shards_state_nothing_and_keep_their_digest(tmp_path: Path) -> None:
    write_split(tmp_path, toy_real())
    before = read_shards(tmp_path)
    index = read_json(tmp_path / "index.json", "decode")
    del index["source"]
    write_json(tmp_path / "index.json", index)
    for read in (read_shards, map_shards):
        assert read(tmp_path).source == UNKNOWN and read(tmp_path).digest == before.digest
    write_json(tmp_path / "index.json", {**index, "source": {"owner": "me"}})
    with pytest.raises(ShardError, match="is no index of shards"):
        read_index(tmp_path)


def test_another_source_decodes_nothing_anew(
    clips: list[Clip], shards: Path, tmp_path: Path
) -> None:
    shutil.copytree(shards, tmp_path / "shards")
    done: list[int] = []
    decoding = values().build("decode", DecodeSettings)
    decode_all(
        clips,
        tmp_path / "shards",
        decoding,
        Local(workers=1),
        lambda number, *_, **__: done.append(number),
        (),
        OURS,
    )
    for split in ("train", "val", "test"):
        now, before = (read_index(place / split) for place in (tmp_path / "shards", shards))
        assert (now.source, before.source) == (OURS, UNKNOWN) and now.digest == before.digest
    assert done == []


def cell_of(source: Source) -> cells.DistillCell:
    given = cell("random")
    real: RealSet = dataclasses.replace(given.inputs.real, source=source)
    return dataclasses.replace(given, inputs=dataclasses.replace(given.inputs, real=real))


def test_a_cell_is_the_same_whatever_the_source() -> None:
    assert cell_of(OURS).digest == cell_of(UNKNOWN).digest


def test_a_set_says_the_source_that_stands_when_it_is_whole(tmp_path: Path) -> None:
    """A cell that was stopped, and goes on after the licence was stated."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cells, "_write_cell", stopped)
        with pytest.raises(KeyboardInterrupt):
            cells.distil(cell_of(UNKNOWN), [0], tmp_path / "out", tmp_path / "work")
    cells.distil(cell_of(OURS), [0], tmp_path / "out", tmp_path / "work")
    said = cells.tensors.load_synthetic(tmp_path / "out" / "seed0.safetensors").provenance
    assert said["sources"] == [dataclasses.asdict(OURS)]
    assert said["source_ids"] == sorted(set(toy_real().clips))


def stopped(*_: object) -> float:
    raise KeyboardInterrupt


def test_what_students_are_taught_has_no_source() -> None:
    plain = toy_synthetic()
    message = dataclasses.replace(
        plain, provenance={**plain.provenance, "sources": [dataclasses.asdict(OURS)]}
    )
    assert digest_training_data(plain) == digest_training_data(message)
    louder = {m: rows + 1 for m, rows in plain.rows.items()}
    assert digest_training_data(plain) != digest_training_data(
        dataclasses.replace(plain, rows=louder)
    )
    assert digest_training_data(plain) != digest_training_data(
        dataclasses.replace(plain, formation={"frame": (2, 2), "logmel": (4, 1)})
    )


def as_vggsound(media: Path, root: Path) -> Path:
    """The generated clips as VGGSound: a list, and files named by id and start second."""
    root.mkdir()
    rows = []
    for number, path in enumerate(sorted(media.rglob("*.mp4"))):
        split, label = path.relative_to(media).parts[:2]
        rows.append(f"video-{number:05d},{10 * number},{label},{split}\n")
        shutil.copy(path, root / f"video-{number:05d}_{10 * number:06d}.mp4")
    (root / "vggsound.csv").write_text("".join(rows))
    return root


def artifact(name: str, root: Path, place: Path) -> Path:
    """One clip a class, from ingest to export, by the functions that the commands run."""
    given = values(
        *TINY, "grid.seeds=[0]", "distill.random.formation={frame: [1, 1], logmel: [1, 1]}"
    )
    assert "licence: " in ingest(name, root=root, out=place / "manifest.csv", params=given)
    machine = {"params": given, "workers": 1, "report": ignore_progress}
    decode(place / "manifest.csv", place / "shards", engine="local", address="", **machine)
    (place / "coreset").mkdir()
    train, alone = place / "shards" / "train", {"device": "cpu", "memory_mb": 64, "ranks": Ranks()}
    distill("random", 1, train, place / "coreset", place / "synthetic", **alone, **machine)
    export(place / "synthetic", place / "artifacts", params=given)
    return place / "artifacts" / "seed0.h5"


def test_an_artifact_of_vggsound_lists_licence_citation_and_ids(
    media: Path, tmp_path: Path
) -> None:
    path = artifact("vggsound", as_vggsound(media, tmp_path / "media"), tmp_path)
    _, about = read_about(path)
    assert about["sources"] == [dataclasses.asdict(vggsound.SOURCE)]
    rows = [
        line.split(",") for line in (tmp_path / "media" / "vggsound.csv").read_text().splitlines()
    ]
    listed = {f"{video}_{int(start):06d}" for video, start, _, split in rows if split == "train"}
    assert about["source_ids"] == sorted(listed) and len(listed) == 24
    assert "CC-BY-4.0" in render_page(path) and "ICASSP 2020" in render_page(path)


def test_an_own_folder_states_what_its_owner_does_and_lists_no_names(
    media: Path, tmp_path: Path
) -> None:
    path = artifact("mine", media, tmp_path)
    _, about = read_about(path)
    assert about["sources"] == [dataclasses.asdict(Source(name="mine"))]
    assert "source_ids" not in about
    assert all(f"{name:<18}not stated" in render_page(path) for name in ("licence", "citation"))


def test_an_owner_states_a_licence(media: Path) -> None:
    given = values("ingest.mine.licence=CC-BY-SA-4.0", "ingest.mine.citation=\"We, 'Clips', 2026\"")
    mine = plugins.build("adapter", "mine", given)
    assert mine.source(media) == Source(licence="CC-BY-SA-4.0", citation="We, 'Clips', 2026")
