"""Shards that stay where they are: mapped rows are the rows in memory."""

from __future__ import annotations

import dataclasses
import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from pipeline.core.errors import ShardError
from pipeline.core.records import RealSet
from pipeline.distillation.inputs import Runtime
from pipeline.shards import index, write
from pipeline.shards.mapped import MappedRows, map_shards
from pipeline.shards.read import read_shards
from pipeline.training.loop import ignore_progress
from tests.toys import shards as toys
from tests.toys.plugins import built, toy_inputs
from tests.toys.project import CPU
from tests.toys.shards import WHOLE, coreset, toy_shards


@pytest.mark.parametrize(
    "index",
    [
        torch.tensor([17, 0, 3, 3]),
        slice(2, 9),
        torch.arange(18) % 5 == 0,
        torch.tensor([], dtype=int),
    ],
)
def test_mapped_rows_are_the_rows_in_memory(index: Any, tmp_path: Path) -> None:
    folder = toy_shards(tmp_path) / "train"
    mapped, read = map_shards(folder), read_shards(folder)
    for m, rows in mapped.rows.items():
        own = read.rows[m][index]
        assert (
            rows[index].equal(own)
            and rows[index].dtype == own.dtype
            and rows[index].is_contiguous()
        )
        assert rows.to(CPU).equal(read.rows[m]) and (rows.shape, rows.nbytes) == (
            read.rows[m].shape,
            read.rows[m].nbytes,
        )
    same = [
        field.name for field in dataclasses.fields(RealSet) if field.name not in ("rows", "label")
    ]
    assert all(
        getattr(mapped, name) == getattr(read, name) for name in same
    ) and mapped.label.equal(read.label)


def test_a_mapped_set_takes_the_memory_of_what_is_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mapped, taken = map_shards(toy_shards(tmp_path) / "train"), []
    take = MappedRows.__getitem__

    def counted(self: MappedRows, index: Any) -> torch.Tensor:
        rows = take(self, index)
        taken.append(len(rows))
        return rows

    monkeypatch.setattr(MappedRows, "__getitem__", counted)
    monkeypatch.setattr(MappedRows, "to", lambda *_: pytest.fail("the whole split is in memory"))
    distiller = dataclasses.replace(built("method", "dm"), batch_real=2, formation=WHOLE)
    machine = Runtime(device=CPU, report=ignore_progress, memory_mb=1e-4)
    given = toy_inputs(real=mapped, coresets={"herding": coreset(mapped)})
    distiller.distill(given, ipc=1, seed=0, runtime=machine)
    # 3 classes x 2 samples a step; the start takes 3.
    assert max(taken) == 6 and len(mapped) == 18


def test_a_tar_that_shrinks_while_it_is_read_is_named(tmp_path: Path) -> None:
    folder = toy_shards(tmp_path) / "train"
    rows = map_shards(folder).rows["logmel"]
    os.truncate(folder / "shard-00001.tar", 2000)
    with pytest.raises(ShardError, match=r"shard-00001\.tar has become shorter while it was read"):
        rows.to(CPU)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_values_that_are_no_numbers_name_their_sample(
    value: float, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(clip: str, *more: Any) -> Any:
        sample = make(clip, *more)
        if clip == "trainb3":
            sample.arrays["logmel"][0, 0] = value
        return sample

    make = toys.sized
    monkeypatch.setattr(toys, "sized", broken)
    for module in (index, write):
        monkeypatch.setattr(
            module,
            "write_json",
            lambda path, about: path.write_text(json.dumps(about, default=float)),
        )
    with np.errstate(invalid="ignore"):
        folder = toy_shards(tmp_path, ("train",)) / "train"
    message = (
        "logmel of sample trainb3_0001 holds NaN or infinite values; take its clip off the manifest"
    )
    with pytest.raises(ShardError, match=message):
        read_shards(folder)
    with pytest.raises(ShardError, match=message):
        map_shards(folder).rows["logmel"].to(CPU)
