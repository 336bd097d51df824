"""What methods share that optimise rows: their parameters, their start and their candidates."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar, Self

from pipeline.core.params import PositiveFloats, PositiveInt, UnitInterval
from pipeline.distillation.methods._selection import coreset_of, form
from pipeline.training.augment import Operation

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pipeline.core.records import SyntheticSet
    from pipeline.distillation.inputs import DistillInputs, Runtime
    from pipeline.distillation.optimise import DistillResult
    from pipeline.models.model import NetworkPlugin


@dataclass(frozen=True, kw_only=True)
class Optimized(ABC):
    """Parameters of a method that moves rows by SGD.

    Args:
        start: the coreset that the rows start from.
        rates: modality -> candidate step sizes; the selection rule takes one of each by validation accuracy.
        formation: modality -> (rows, columns) of the grid of pieces in a stored instance.
    """

    start: str
    steps: PositiveInt
    rates: dict[str, PositiveFloats]
    momentum: UnitInterval
    formation: dict[str, tuple[PositiveInt, PositiveInt]]

    # Whether ranks can share the classes: the loss is a sum over them, and rows are all that a step leaves.
    separable: ClassVar[bool] = False

    @abstractmethod
    def distill(
        self, inputs: DistillInputs, *, ipc: int, seed: int, runtime: Runtime
    ) -> DistillResult:
        """Move the start's rows; the first candidate of each rate counts."""

    @abstractmethod
    def network_of(self, inputs: DistillInputs) -> NetworkPlugin:
        """The network whose features or gradients move the rows; a CellError or PluginError if it was not given."""

    @property
    def moves(self) -> bool:
        """Whether the first candidate of any rate moves rows; a step size of 0 moves none."""
        return any(rates[0] for rates in self.rates.values())

    def variants(self, inputs: DistillInputs, ipc: int) -> list[Self]:
        """One distiller per candidate step size."""
        count = max((len(rates) for rates in self.rates.values()), default=1)
        return [
            replace(
                self, rates={m: (rates[min(i, len(rates) - 1)],) for m, rates in self.rates.items()}
            )
            for i in range(count)
        ]

    def mix(self, parts: Mapping[str, Self]) -> Self:
        """The distiller that does with each modality what the variant given for it does."""
        return replace(self, rates={m: part.rates[m] for m, part in parts.items()})

    def begin(self, inputs: DistillInputs, *, ipc: int, seed: int) -> SyntheticSet:
        """The coreset's best samples, formed."""
        return form(
            inputs.real, coreset_of(inputs.coresets, self.start).select, ipc, self.formation
        )


@dataclass(frozen=True, kw_only=True)
class AugmentedOptimized(Optimized):
    """A method that moves rows as augmentations show them; `augment`: modality -> augmentations, drawn anew each time."""

    augment: dict[str, tuple[Operation, ...]]
