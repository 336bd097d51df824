"""The base of the methods that select real samples, and the forming of stored instances."""

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
from pipeline.distillation.feasibility import count_windows, refuse_infeasible
from pipeline.distillation.optimise import DistillResult
from pipeline.training import formation

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from pipeline.coresets.rankings import Coreset, Keys
    from pipeline.distillation.inputs import DistillInputs, Runtime
    from pipeline.training.formation import Grid


@dataclass(frozen=True, kw_only=True)
class Selection(ABC):
    """A method that selects samples and optimises nothing.

    Args:
        formation: modality -> (rows, columns) of the grid of pieces in a stored instance; (1, 1)
            keeps samples whole.
    """

    formation: dict[str, tuple[PositiveInt, PositiveInt]]

    # Nothing is computed, so there is nothing to share.
    separable: ClassVar[bool] = False
    moves: ClassVar[bool] = False

    @abstractmethod
    def select(self, inputs: DistillInputs, seed: int, count: int) -> Keys:
        """Return the best samples of each class, best first.

        Args:
            inputs: the training split and its coresets.
            seed: of the run.
            count: samples per class.
        """

    def fewest_pieces(self, modalities: Sequence[str]) -> int:
        """Return the samples of each class that one stored instance is made from."""
        return formation.count_pieces({m: self.formation[m] for m in modalities})

    def variants(self, inputs: DistillInputs, ipc: int) -> list[Self]:
        """Return the method itself: there is one candidate."""
        return [self]

    def mix(self, parts: Mapping[str, Self]) -> Self:
        """Return the method itself: all variants are equal."""
        return self

    def begin(self, inputs: DistillInputs, *, ipc: int, seed: int) -> SyntheticSet:
        """Return the best `ipc` x pieces samples of each class, formed.

        Args:
            inputs: the training split and its coresets.
            ipc: instances per class.
            seed: of the run.
        """
        return form(inputs.real, partial(self.select, inputs, seed), ipc, self.formation)

    def network_of(self, inputs: DistillInputs) -> None:
        """Return None: no network is used."""
        return

    def distill(
        self, inputs: DistillInputs, *, ipc: int, seed: int, runtime: Runtime
    ) -> DistillResult:
        """Return the start, unchanged.

        Args:
            inputs: the training split and its coresets.
            ipc: instances per class.
            seed: of the run.
            runtime: not used.
        """
        return DistillResult(synthetic=self.begin(inputs, ipc=ipc, seed=seed))


@dataclass(frozen=True, kw_only=True)
class CoresetSelection(Selection):
    """A method that takes the best samples of one coreset, so that all seeds give one set.

    Args:
        coreset: the selector that ranked the samples.
    """

    coreset: str

    def select(self, inputs: DistillInputs, seed: int, count: int) -> Keys:
        return coreset_of(inputs.coresets, self.coreset).select(count)


def coreset_of(coresets: Mapping[str, Coreset], name: str) -> Coreset:
    """Return a coreset by name.

    Args:
        coresets: selector -> coreset.
        name: the selector.

    Raises:
        CellError: the selector is not in grid.selectors.

    Example:
        coreset_of(inputs.coresets, "herding").select(10)  # label -> the 10 best keys
    """
    if name not in coresets:
        if not coresets:
            raise CellError(
                f"no ranking was given, {name!r} is needed; run `avdistill coreset` "
                "and name its folder"
            )
        given = ", ".join(sorted(coresets))
        raise CellError(
            f"no coreset named {name!r} was given; there are {given}; "
            f"add {name} to grid.selectors and run `avdistill coreset` again"
        )
    return coresets[name]


def form(
    real: RealSet, select: Callable[[int], Keys], ipc: int, grids: Mapping[str, Grid]
) -> SyntheticSet:
    """Form the best ipc x pieces samples of each class into `ipc` stored instances.

    As in AVDD, the best `ipc` samples become the first piece of each instance, the next `ipc` the
    second piece, and so on. A sample fills the same piece of its frame and its log-mel. A modality
    with fewer pieces takes the first of the samples.

    Args:
        real: the training split.
        select: number -> label -> that many keys, best first.
        ipc: instances per class.
        grids: modality -> (rows, columns) of pieces.

    Raises:
        CellError: a class has too few samples, or a grid does not divide its picture.

    Example:
        grids = {"frame": (2, 2), "logmel": (2, 2)}
        form(real, coreset.select, 10, grids).rows["frame"]  # float32 [classes x 10, T, 3, H, W]
    """
    grids = {m: pick(grids, m, "formation") for m in real.rows}
    pieces = formation.count_pieces(grids)
    refuse_infeasible(count_windows(real), ipc, pieces)
    selected = select(ipc * pieces)
    samples = real.normalise(_find_rows(real, selected, ipc, pieces))
    used = {m: high * wide * ipc * len(real.classes) for m, (high, wide) in grids.items()}
    keys = [selected[label] for label in real.classes]
    return SyntheticSet(
        rows={m: formation.join(rows[: used[m]], grids[m]) for m, rows in samples.items()},
        label=torch.arange(len(real.classes)).repeat_interleave(ipc),
        classes=real.classes,
        ipc=ipc,
        formation=grids,
        normalisation=real.normalisation,
        source_key=tuple(" ".join(names[i::ipc]) for names in keys for i in range(ipc)),
    )


def _find_rows(real: RealSet, selected: Keys, ipc: int, pieces: int) -> torch.Tensor:
    """Return the rows of the selected samples, piece by piece and class by class, int64."""
    position = {key: row for row, key in enumerate(real.keys)}
    is_known = all(key in position for keys in selected.values() for key in keys)
    if set(selected) != set(real.classes) or not is_known:
        raise CellError(
            "the ranking is of other samples than the shards hold; "
            "run `avdistill extract` and `coreset` again"
        )
    rows = [
        position[key]
        for piece in range(pieces)
        for label in real.classes
        for key in selected[label][piece * ipc : (piece + 1) * ipc]
    ]
    return torch.tensor(rows)
