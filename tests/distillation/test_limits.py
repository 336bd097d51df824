"""Too little memory, and real sets at their limits."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
import torch

from pipeline.core.errors import CellError
from pipeline.core.records import RealSet
from pipeline.distillation.device_cache import DeviceCache
from pipeline.distillation.inputs import Runtime
from pipeline.training.loop import ignore_progress
from tests.toys.golden import rows_of_golden
from tests.toys.plugins import NETWORKS, built, distilled, toy_inputs
from tests.toys.project import CPU
from tests.toys.samples import toy_real
from tests.toys.shards import WHOLE, coreset


class Narrow:
    """Towers that take so many rows at a time."""

    def __init__(self, most: int) -> None:
        self.most, self.refused = most, 0

    def install(self, monkeypatch: pytest.MonkeyPatch) -> None:
        network = type(NETWORKS["convnet"].build(toy_real().shapes, torch.Generator()))
        embed = network.embed

        def narrow(towers: Any, rows: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
            if len(rows["frame"]) > self.most:
                self.refused += 1
                raise torch.OutOfMemoryError("no room")
            return embed(towers, rows)

        monkeypatch.setattr(network, "embed", narrow)


def wide() -> RealSet:
    return toy_real(4, classes=5)


def told_by(
    real: RealSet, method: str = "dm"
) -> tuple[dict[str, torch.Tensor], list[dict[str, float]]]:
    figures: list[dict[str, float]] = []
    machine = Runtime(device=CPU, report=lambda done, total, **more: figures.append(more))
    # Small steps: m3d's own take rows to 37, and float noise with them.
    steps = {"frame": (0.2,), "logmel": (0.2,)}
    distiller = dataclasses.replace(
        built("method", method), formation=WHOLE, batch_real=4, rates=steps
    )
    given = toy_inputs(real=real, coresets={"herding": coreset(real)})
    return distiller.distill(given, ipc=1, seed=0, runtime=machine).synthetic.rows, figures


@pytest.mark.parametrize("method", ["dm", "avdd", "m3d"])
def test_out_of_memory_splits_the_batch_and_says_so(
    method: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    unsplit, before = told_by(wide(), method)
    narrow = Narrow(8)
    narrow.install(monkeypatch)
    split, after = told_by(wide(), method)
    # 5 classes x 4 samples do not fit, 2 x 4 do.
    assert narrow.refused == 1
    assert all(torch.allclose(unsplit[m], split[m], atol=1e-5) for m in split)
    assert [figures.get("out of memory, classes at once") for figures in before + after] == [
        None,
        None,
        2,
        2,
    ]


def test_one_class_that_does_not_fit_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    Narrow(3).install(monkeypatch)
    with pytest.raises(
        CellError,
        match=(
            r"one class of 4 instances does not fit into the device's memory .*; lower batch_real"
        ),
    ):
        told_by(wide())


def test_a_device_with_less_memory_than_its_budget_says_so() -> None:
    class Large(torch.Tensor):
        def to(self, *_: Any) -> torch.Tensor:
            raise torch.OutOfMemoryError("no room")

    real = toy_real()
    real = dataclasses.replace(
        real, rows={m: rows.as_subclass(Large) for m, rows in real.rows.items()}
    )
    with pytest.raises(
        CellError, match="cpu has no room for the 0 MiB of the real set; give a lower --memory-mb"
    ):
        DeviceCache(real, Runtime(device=CPU, report=ignore_progress))


@pytest.mark.parametrize("method", rows_of_golden(moves=True))
def test_constant_rows_give_a_set_of_numbers(method: str) -> None:
    real = toy_real()
    real = dataclasses.replace(
        real, rows={m: torch.full_like(rows, 7) for m, rows in real.rows.items()}
    )
    rows = distilled(built("method", method), real=real).rows
    assert all(values.isfinite().all() for values in rows.values())


@pytest.mark.parametrize("method", rows_of_golden(moves=True))
def test_one_sample_in_a_class_gives_a_set_of_numbers(method: str) -> None:
    real, alone = toy_real(), toy_real(per_class=1)
    real = dataclasses.replace(alone, digest=real.digest)
    distiller = dataclasses.replace(built("method", method), formation=WHOLE)
    rows = distilled(distiller, real=real, coresets={"herding": coreset(real)}).rows
    assert all(values.isfinite().all() for values in rows.values())


def test_one_sample_is_too_few_for_a_formation() -> None:
    with pytest.raises(
        CellError, match="'class0' has 1; no ipc fits; add clips or use fewer pieces"
    ):
        distilled(built("method", "dm"), real=toy_real(per_class=1))


def test_a_loss_that_is_no_number_is_one_line() -> None:
    real = toy_real()
    real.rows["logmel"][:] = torch.nan
    with pytest.raises(
        CellError, match="the loss is nan at step 0; check the real set for NaN, or lower the rates"
    ):
        distilled(built("method", "dm"), real=real)
