"""No result depends on sample order, class numbers or other splits; augmentation is Siamese."""

from __future__ import annotations

import dataclasses
import functools
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from pipeline.core.records import RealSet
from pipeline.coresets.rankings import Coreset
from pipeline.distillation import distribution_matching as matching
from pipeline.distillation import gradient_matching as gradients
from pipeline.distillation import run as cells
from pipeline.distillation.distributed import Ranks
from pipeline.distillation.inputs import Runtime
from pipeline.evaluation import Evaluate
from pipeline.training.bank import ExpertBank
from pipeline.training.loop import ignore_progress
from stages.contract.toys import take_order
from stages.distill import distill
from tests.toys.golden import bank, rows_of_golden
from tests.toys.golden import distiller as golden
from tests.toys.plugins import rankings, toy_bench, toy_inputs
from tests.toys.project import CPU, TINY, values
from tests.toys.samples import toy_real, write_split

MACHINE = Runtime(device=CPU, report=ignore_progress)
WHOLE = {"frame": (1, 1), "logmel": (1, 1)}


def settled(method: str, **changes: Any) -> Any:
    """A golden row whose steps take all samples and instances, so that only their order differs."""
    known = {"batch_real": 100, "batch": 100, "inner": 2, **changes}
    made = golden(method)
    return dataclasses.replace(
        made, **{name: value for name, value in known.items() if hasattr(made, name)}
    )


@functools.cache
def ranked() -> dict[str, Coreset]:
    return rankings()


def made(method: str, **changes: Any) -> dict[str, Tensor]:
    given = toy_inputs(**{"bank": bank(), "coresets": ranked(), **changes})
    return settled(method).distill(given, ipc=2, seed=0, runtime=MACHINE).synthetic.rows


@pytest.mark.parametrize("method", rows_of_golden("order"))
def test_the_order_of_real_samples_changes_nothing(method: str) -> None:
    order = torch.randperm(24, generator=torch.Generator().manual_seed(0)).tolist()
    given = made(method)
    for m, rows in made(method, real=take_order(toy_real(), order)).items():
        assert torch.allclose(rows, given[m], atol=1e-5)


def renumbered(real: RealSet) -> RealSet:
    """The same samples, the classes numbered the other way round."""
    last = len(real.classes) - 1
    return dataclasses.replace(real, label=last - real.label, classes=real.classes[::-1])


def turned(given: ExpertBank) -> ExpertBank:
    """The bank whose classifiers number the classes the other way round."""
    trajectories = [
        {name: w.flip(1) if name.startswith("head.") else w for name, w in trajectory.items()}
        for trajectory in given.trajectories
    ]
    return dataclasses.replace(given, trajectories=trajectories)


@pytest.mark.parametrize("method", rows_of_golden("numbering"))
def test_the_numbering_of_classes_changes_nothing(method: str) -> None:
    given = made(method)
    for m, rows in made(method, real=renumbered(toy_real()), bank=turned(bank())).items():
        back = rows.unflatten(0, (2, 2)).flip(0).flatten(0, 1)
        assert torch.allclose(back, given[m], atol=1e-5)


def unweighted(method: str) -> Any:
    """Whole samples and the distance alone: no cross-entropy, no steps of a network between."""
    distiller = settled(method, formation=WHOLE, steps=1)
    bare = {
        "weight": 0.0,
        "loops": tuple(
            dataclasses.replace(loop, outer=1) for loop in getattr(distiller, "loops", ())
        ),
    }
    return dataclasses.replace(
        distiller, **{name: value for name, value in bare.items() if hasattr(distiller, name)}
    )


@pytest.mark.parametrize("method", rows_of_golden("zero", moves=True))
@pytest.mark.parametrize("seed", range(2))
def test_real_and_synthetic_see_one_augmentation(method: str, seed: int) -> None:
    """A synthetic set of all real samples has distance 0 under one draw, and not under two."""
    outcome = unweighted(method).distill(
        toy_inputs(bank=bank(), coresets=ranked()), ipc=12, seed=seed, runtime=MACHINE
    )
    # jcf smooths its root, sqrt(1e-8) for each of two classes.
    # dc and dsa add 1e-6 to products of norms.
    assert outcome.losses[0] == pytest.approx(0, abs=4e-3)
    few = unweighted(method).distill(
        toy_inputs(bank=bank(), coresets=ranked()), ipc=11, seed=seed, runtime=MACHINE
    )
    assert few.losses[0] > 10 * abs(outcome.losses[0])


class Draws:
    """In the place of `augment`: keeps the state of the generator of each call."""

    def __init__(self, augment: Callable[..., Tensor]) -> None:
        self.augment, self.states = augment, []  # type: ignore[var-annotated]

    def __call__(
        self, rows: Tensor, operations: Any, fill: float, generator: torch.Generator
    ) -> Tensor:
        self.states.append(generator.get_state().numpy().tobytes())
        return self.augment(rows, operations, fill, generator)


@pytest.mark.parametrize(
    ("engine", "method"), [(matching, "dm"), (matching, "jcf"), (gradients, "dsa")]
)
def test_sound_and_picture_of_both_sets_see_one_draw_a_step(
    engine: Any, method: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    draws = Draws(engine.augment)
    monkeypatch.setattr(engine, "augment", draws)
    distiller = settled(
        method, steps=3, loops=(dataclasses.replace(golden("dsa").loops[0], outer=1),)
    )
    distiller.distill(toy_inputs(bank=bank(), coresets=ranked()), ipc=1, seed=0, runtime=MACHINE)
    each = len(draws.states) // 3
    steps = [draws.states[i * each : (i + 1) * each] for i in range(3)]
    assert each >= 4 and len(draws.states) == 3 * each
    assert all(len(set(states)) == 1 for states in steps)
    assert len(set(draws.states)) == 3


def tiny(method: str, *, candidates: int) -> Any:
    """params.yaml with two steps of the method, one candidate or two."""
    given, short = values(*TINY), {"steps": 2, "inner": 2, "ahead": 1, "max_start": 1}
    own = given.get_section("distill")[method]
    own.update({name: value for name, value in short.items() if name in own})
    own.update(
        {"rates": {m: rates[:candidates] for m, rates in own["rates"].items()}}
        if "rates" in own
        else {}
    )
    own.update({"others": own["others"][: candidates - 1]} if "others" in own else {})
    return given


def files(
    toy_data: Path, shards: Path, out: Path, method: str, *, candidates: int = 2
) -> dict[str, bytes]:
    """What `distill` leaves of a method."""
    machine = {
        "device": "cpu",
        "memory_mb": 64,
        "workers": 1,
        "report": ignore_progress,
        "ranks": Ranks(),
    }
    given = tiny(method, candidates=candidates)
    distill(
        method,
        1,
        shards / "train",
        toy_data / "coreset",
        out,
        experts=toy_data / "experts",
        params=given,
        **machine,
    )
    return {path.name: path.read_bytes() for path in sorted(out.iterdir())}


@pytest.mark.parametrize("method", rows_of_golden())
def test_no_method_reads_the_test_split(method: str, toy_data: Path, tmp_path: Path) -> None:
    for split in ("train", "val"):
        shutil.copytree(toy_data / "shards" / split, tmp_path / "shards" / split)
    absent = files(toy_data, tmp_path / "shards", tmp_path / "absent", method)
    write_split(tmp_path / "shards" / "test", toy_real(3, seed=5))
    (tmp_path / "shards" / "test" / "shard-00000.tar").write_bytes(b"damaged")
    assert files(toy_data, tmp_path / "shards", tmp_path / "damaged", method) == absent


@pytest.mark.parametrize("method", rows_of_golden())
def test_one_candidate_does_not_depend_on_the_validation_split(
    method: str, toy_data: Path, tmp_path: Path
) -> None:
    shutil.copytree(toy_data / "shards" / "train", tmp_path / "shards" / "train")
    write_split(tmp_path / "shards" / "val", toy_real(7, seed=9))
    other = files(toy_data, tmp_path / "shards", tmp_path / "out", method, candidates=1)
    assert other == files(toy_data, toy_data / "shards", tmp_path / "again", method, candidates=1)


@pytest.mark.parametrize("pick", [0, 1])
@pytest.mark.parametrize("method", ["dm", "dsa", "mtt"])
def test_validation_picks_among_candidates_and_moves_none(
    method: str, pick: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tried: list[list[dict[str, Tensor]]] = []

    def tuned(
        variants: Any, sets: Any, *rest: object
    ) -> tuple[dict[str, int], list[dict[str, Any]]]:
        tried.append([synthetic.rows for synthetic in sets])
        return {"frame": pick, "logmel": pick}, []

    monkeypatch.setattr(cells.evaluation, "choose_variants", tuned)
    for number, val in enumerate((toy_real(4, seed=1), toy_real(7, seed=9))):
        cells.distil(cell(method, val), [0], tmp_path / str(number), tmp_path / "work")
        ended = cells.tensors.load_synthetic(tmp_path / str(number) / "seed0.safetensors").rows
        assert all(torch.equal(ended[m], rows) for m, rows in tried[number][pick].items())
    assert not any(torch.equal(rows, tried[0][1][m]) for m, rows in tried[0][0].items())
    assert all(
        torch.equal(rows, other[m])
        for one, other in zip(*tried, strict=True)
        for m, rows in one.items()
    )


def cell(method: str, val: RealSet) -> cells.DistillCell:
    """The toy's cell of a method with two candidates."""
    return cells.DistillCell(
        method=method,
        distiller=settled(method, rates={"frame": (0.1, 0.2), "logmel": (0.1, 0.2)}),
        ipc=1,
        inputs=toy_inputs(bank=bank(), coresets=ranked()),
        runtime=MACHINE,
        budget=values().build("evaluate", Evaluate).protocols.budget,
        trainer=toy_bench().trainer,
        val=val,
    )
