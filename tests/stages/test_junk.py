"""`._x`, .DS_Store, .nfs*, Thumbs.db and their like are passed over in every folder."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from pipeline.artifact import list_artifacts
from pipeline.core import paths as places
from pipeline.core import plugins
from pipeline.core.errors import ArtifactError
from pipeline.core.records import Clip
from pipeline.datasets.adapters._tree import list_clips
from pipeline.distillation.distributed import Ranks
from pipeline.shards.decode import decode_all
from pipeline.shards.engines.local import Engine as Local
from pipeline.training.loop import ignore_progress
from stages.distill import distill
from stages.evaluate import evaluate
from stages.export import export
from stages.publish import publish
from stages.verify import verify
from tests.toys.decoding import DECODE, digests
from tests.toys.junk import add_junk
from tests.toys.project import TINY, values

PARAMS = values(*TINY, "grid.seeds=[0]", "evaluate.repeats=1", "evaluate.bootstrap=20")
MACHINE: dict[str, Any] = {"device": "cpu", "workers": 1, "report": ignore_progress}


def junk_free(folder: Path) -> dict[str, str]:
    """Digests of all files but junk and clocks."""
    return {
        name: digest
        for name, digest in digests(folder).items()
        if not any(map(places.is_junk, Path(name).parts)) and "seconds" not in name
    }


def test_media_with_junk_are_the_same_clips(media: Path, clips: list[Clip], tmp_path: Path) -> None:
    copy = add_junk(shutil.copytree(media, tmp_path / "media"))
    assert [(c.clip_id, c.sha256) for c in list_clips(copy)] == [
        (c.clip_id, c.sha256) for c in clips
    ]


def test_shards_with_junk_are_kept(shards: Path, clips: list[Clip], tmp_path: Path) -> None:
    copy = add_junk(shutil.copytree(shards, tmp_path / "shards"))
    done: list[int] = []
    decode_all(clips, copy, DECODE, Local(workers=1), lambda done_, total, **_: done.append(done_))
    assert junk_free(copy) == digests(shards) and not done
    assert (copy / "train" / ".nfs0000000000a1b2c3").exists()


def make_set(data: Path, out: Path, soil: Any) -> dict[str, str]:
    """Distil, export, evaluate and publish; `soil` is called on each folder before it is read."""
    shards, coreset = soil(data / "shards"), soil(data / "coreset")
    distill(
        "herding",
        1,
        shards / "train",
        coreset,
        out / "synthetic",
        experts=soil(data / "experts"),
        params=PARAMS,
        device="cpu",
        memory_mb=64,
        workers=1,
        report=ignore_progress,
        ranks=Ranks(),
    )
    export(soil(out / "synthetic"), out / "artifacts", params=PARAMS)
    evaluate(soil(out / "artifacts"), shards, out / "scores.json", params=PARAMS, **MACHINE)
    publish(out / "artifacts", out / "scores.json", out / "published", params=PARAMS)
    verify(soil(out / "published"), **MACHINE)
    return junk_free(out)


def test_every_stage_passes_junk_over(toy_data: Path, tmp_path: Path) -> None:
    clean = make_set(toy_data, tmp_path / "clean", lambda folder: folder)
    copy = shutil.copytree(toy_data, tmp_path / "data")
    assert make_set(copy, tmp_path / "junk", add_junk) == clean


def test_a_plugin_is_no_junk(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    folder = tmp_path / plugins.KINDS["selector"].folder
    folder.mkdir(parents=True)
    (folder / "mine.py").write_text("")
    monkeypatch.setattr(plugins, "PACKAGE", add_junk(tmp_path))
    assert "mine" in plugins.list_names("selector")
    assert not any("mine" in name for name in plugins.list_names("selector") if name != "mine")


def test_a_folder_of_junk_alone_holds_no_artifact(tmp_path: Path) -> None:
    (tmp_path / "._seed0.h5").write_bytes(b"\0")
    with pytest.raises(ArtifactError, match="holds no artifact"):
        list_artifacts(tmp_path)
