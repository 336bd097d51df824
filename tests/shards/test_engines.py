"""One contract for every engine: its tasks and results; decoding works through any of them."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from pipeline import media
from pipeline.core import plugins
from pipeline.core.errors import MediaError, ParamsError, PluginError
from pipeline.shards.decode import decode_all
from pipeline.shards.engines.local import Engine as Local
from pipeline.training.loop import ignore_progress
from stages._runtime import engine_of
from tests.toys.commands import refused
from tests.toys.decoding import DECODE, digests

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pipeline.core.records import Clip


@pytest.mark.parametrize("name", plugins.list_names("engine"))
def test_an_engine_is_frozen_and_made_of_knobs(name: str) -> None:
    kind = plugins.find("engine", name)
    assert {field.name for field in dataclasses.fields(kind)} <= {"workers", "address"}
    assert all(
        field.default is dataclasses.MISSING and field.kw_only for field in dataclasses.fields(kind)
    )
    with pytest.raises(dataclasses.FrozenInstanceError):
        engine_of(name, 1, "").anything = 1  # type: ignore[attr-defined]


def test_an_unknown_engine_lists_the_known_ones() -> None:
    with pytest.raises(PluginError, match="no engine named 'dask'; there are local, ray"):
        engine_of("dask", 1, "")


def test_an_address_is_for_a_cluster() -> None:
    with pytest.raises(
        ParamsError,
        match="--address head:6379: the engine local runs on this machine alone; add --engine ray",
    ):
        engine_of("local", 1, "head:6379")


def test_the_command_takes_its_engine_from_options(manifest: Path, tmp_path: Path) -> None:
    message = refused("decode", manifest, tmp_path / "shards", "--engine", "dask")
    assert message == "error: no engine named 'dask'; there are local, ray"
    message = refused(
        "decode",
        manifest,
        tmp_path / "shards",
        "--engine",
        "ray",
        "--address",
        "127.0.0.1:1",
        "--quiet",
    )
    assert (
        message.startswith("error: no Ray cluster at 127.0.0.1:1 (")
        or "pip install 'avdistill[ray]'" in message
    )


@dataclasses.dataclass(frozen=True, kw_only=True)
class Backwards:
    """Whole batches, last first, as a cluster might answer; remembers what it was given."""

    seen: list[Any]

    def work(self, function: Any, batches: Any, **limits: Any) -> Iterator[Any]:
        self.seen.extend(batches)
        for batch in self.seen[::-1]:
            yield from reversed(list(Local(workers=1).work(function, [batch], **limits)))


def test_a_batch_is_a_shard_and_their_order_changes_no_byte(
    clips: list[Clip], shards: Path, tmp_path: Path
) -> None:
    engine = Backwards(seen=[])
    decode_all(clips, tmp_path / "shards", DECODE, engine, ignore_progress)
    assert digests(tmp_path / "shards") == digests(shards)
    assert len(engine.seen) == len(list(shards.rglob("*.tar")))
    assert sorted(clip.clip_id for batch in engine.seen for clip in batch) == sorted(
        clip.clip_id for clip in clips
    )


@dataclasses.dataclass(frozen=True, kw_only=True)
class Piecewise:
    """Clips in pieces of one window each; every clip starts again once, and ends with a crash."""

    def work(self, function: Any, batches: Any, **limits: Any) -> Iterator[Any]:
        for clip in (clip for batch in batches for clip in batch):
            (piece,) = function(clip)
            seconds, count = piece.seconds, len(piece.seconds)
            parts = [
                media.Piece(seconds=[second], first=at == 0, last=at == count - 1)
                for at, second in enumerate(seconds)
            ]
            for part in [*parts[:-1], *parts]:
                yield clip, part
            yield clip, MediaError("crash", "behind the last piece")


def test_pieces_of_a_clip_make_the_bytes_of_the_clip(
    clips: list[Clip], shards: Path, tmp_path: Path
) -> None:
    decode_all(clips, tmp_path / "shards", DECODE, Piecewise(), ignore_progress)
    assert digests(tmp_path / "shards") == digests(shards)
