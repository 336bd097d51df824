"""What methods share that choose real samples: a ranking -> stored instances, each a grid of chosen samples."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, ClassVar, Self

import torch

from pipeline.core.errors import CellError
from pipeline.core.params import PositiveInt
from pipeline.core.plugins import pick
from pipeline.core.records import RealSet, SyntheticSet
from pipeline.distillation.optimise import DistillResult
from pipeline.training import formation

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from pipeline.coresets.rankings import Coreset, Keys
    from pipeline.distillation.inputs import DistillInputs, Runtime
    from pipeline.training.formation import Grid


@dataclass(frozen=True, kw_only=True)
class Selection(ABC):
    """A method that chooses and optimises nothing.

    Args:
        formation: modality -> (rows, columns) of the grid of pieces in a stored instance; (1, 1) keeps samples whole.
    """

    formation: dict[str, tuple[PositiveInt, PositiveInt]]

    # Nothing is computed, so there is nothing that ranks could share.
    separable: ClassVar[bool] = False
    moves: ClassVar[bool] = False

    @abstractmethod
    def select(self, inputs: DistillInputs, seed: int, count: int) -> Keys:
        """The `count` best samples of each class, best first; each method has its own."""

    def variants(self, inputs: DistillInputs, ipc: int) -> list[Self]:
        """Nothing to choose between."""
        return [self]

    def mix(self, parts: Mapping[str, Self]) -> Self:
        """Nothing to mix."""
        return self

    def begin(self, inputs: DistillInputs, *, ipc: int, seed: int) -> SyntheticSet:
        """The best `ipc` x pieces samples of each class."""
        return form(inputs.real, partial(self.select, inputs, seed), ipc, self.formation)

    def network_of(self, inputs: DistillInputs) -> None:
        """Nobody looks at the rows."""
        return

    def distill(
        self, inputs: DistillInputs, *, ipc: int, seed: int, runtime: Runtime
    ) -> DistillResult:
        """What it begins with; nothing moves."""
        return DistillResult(synthetic=self.begin(inputs, ipc=ipc, seed=seed))


@dataclass(frozen=True, kw_only=True)
class CoresetSelection(Selection):
    """A method that takes one coreset's best samples, so that all seeds give one set.

    Args:
        coreset: the selector whose ranking is taken.
    """

    coreset: str

    def select(self, inputs: DistillInputs, seed: int, count: int) -> Keys:
        """The coreset's, whatever the seed."""
        return coreset_of(inputs.coresets, self.coreset).select(count)


def coreset_of(coresets: Mapping[str, Coreset], name: str) -> Coreset:
    """The coreset of that name; CellError if it was not among grid.selectors."""
    if name not in coresets:
        there = f"no coreset named {name!r} was given; there are {', '.join(sorted(coresets)) or 'none'}"
        raise CellError(f"{there}; add {name} to grid.selectors and run `avdistill coreset` again")
    return coresets[name]


def form(
    real: RealSet, best: Callable[[int], Keys], ipc: int, grids: Mapping[str, Grid]
) -> SyntheticSet:
    """The ipc x pieces best samples of each class as `ipc` stored instances.

    As in AVDD the best `ipc` samples become the first piece of each instance, the next `ipc` the second, and so on; a sample
    fills the same piece of its frame and its log-mel; a modality with fewer pieces takes the first of the samples.

    Args:
        best: number -> label -> so many keys, best first.

    Raises:
        CellError: a class has too few samples, or a grid does not divide its picture.
    """
    grids = {m: pick(grids, m, "formation") for m in real.rows}
    count = formation.count_pieces(grids)
    refuse_infeasible(real, ipc, count)
    keys_of = best(ipc * count)
    place = {key: row for row, key in enumerate(real.keys)}
    if set(keys_of) != set(real.classes) or not all(
        key in place for keys in keys_of.values() for key in keys
    ):
        raise CellError(
            "the ranking is of other samples than the shards hold; run `avdistill extract` and `coreset` again"
        )
    chosen = [keys_of[label] for label in real.classes]
    by_piece = [
        key
        for piece in range(count)
        for keys in chosen
        for key in keys[piece * ipc : (piece + 1) * ipc]
    ]
    instances = real.normalise(torch.tensor([place[key] for key in by_piece]))
    own = {m: high * wide * ipc * len(chosen) for m, (high, wide) in grids.items()}
    sources = [" ".join(keys[i::ipc]) for keys in chosen for i in range(ipc)]
    return SyntheticSet(
        rows={m: formation.join(rows[: own[m]], grids[m]) for m, rows in instances.items()},
        label=torch.arange(len(real.classes)).repeat_interleave(ipc),
        classes=real.classes,
        ipc=ipc,
        formation=grids,
        normalisation=real.normalisation,
        source_key=tuple(sources),
    )


def refuse_infeasible(real: RealSet, ipc: int, count: int) -> None:
    """A cell that asks a class for more samples than it has is a CellError naming the largest ipc that fits."""
    if ipc < 1:
        raise CellError(f"ipc is {ipc}; expected 1 or more instances per class")
    held = {name: len(real.indices_of(label)) for label, name in enumerate(real.classes)}
    name, least = min(held.items(), key=lambda item: item[1])
    if ipc * count > least:
        fits = (
            f"the largest ipc that fits is {least // count}"
            if least >= count
            else "no ipc fits; add clips or use fewer pieces"
        )
        raise CellError(
            f"ipc {ipc} x {count} pieces needs {ipc * count} training windows a class, {name!r} has {least}; {fits}"
        )
