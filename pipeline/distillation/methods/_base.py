"""The base of the methods that optimise rows: their parameters, start and candidates."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar, Self

from pipeline.core.params import PositiveFloats, PositiveInt, UnitInterval
from pipeline.distillation.methods._selection import coreset_of, form
from pipeline.training.augment import Operation
from pipeline.training.formation import count_pieces

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pipeline.core.records import SyntheticSet
    from pipeline.distillation.inputs import DistillInputs, Runtime
    from pipeline.distillation.optimise import DistillResult
    from pipeline.models.model import NetworkPlugin


@dataclass(frozen=True, kw_only=True)
class Optimized(ABC):
    """Parameters of a method that optimises rows by SGD.

    Args:
        start: the coreset that the rows start from.
        steps: steps of SGD.
        rates: modality -> candidate step sizes; validation accuracy chooses one of each.
        momentum: of SGD.
        formation: modality -> (rows, columns) of the grid of pieces in a stored instance.
    """

    start: str
    steps: PositiveInt
    rates: dict[str, PositiveFloats]
    momentum: UnitInterval
    formation: dict[str, tuple[PositiveInt, PositiveInt]]

    # Whether ranks can share the classes: the loss is a sum over them, and steps change rows only.
    separable: ClassVar[bool] = False

    @abstractmethod
    def distill(
        self, inputs: DistillInputs, *, ipc: int, seed: int, runtime: Runtime
    ) -> DistillResult:
        """Optimise the rows of the start, with the first candidate of each rate.

        Args:
            inputs: the training split and its coresets.
            ipc: instances per class.
            seed: names all draws.
            runtime: the device and the checkpoint.
        """

    @abstractmethod
    def network_of(self, inputs: DistillInputs) -> NetworkPlugin:
        """Return the network whose features or gradients are matched.

        Args:
            inputs: the networks and the bank.

        Raises:
            CellError: the method needs a bank, and none was given.
            PluginError: there is no network of that name.
        """

    def fewest_pieces(self, modalities: Sequence[str]) -> int:
        """Return the samples of each class that one stored instance is made from, at least.

        Args:
            modalities: that the shards hold.
        """
        return count_pieces({m: self.formation[m] for m in modalities})

    @property
    def moves(self) -> bool:
        """Whether the first candidate of any rate changes rows; a step size of 0 changes none."""
        return any(rates[0] for rates in self.rates.values())

    def variants(self, inputs: DistillInputs, ipc: int) -> list[Self]:
        """Return one distiller per candidate step size.

        Args:
            inputs: the training split.
            ipc: instances per class.
        """
        count = max((len(rates) for rates in self.rates.values()), default=1)
        return [
            replace(
                self, rates={m: (rates[min(i, len(rates) - 1)],) for m, rates in self.rates.items()}
            )
            for i in range(count)
        ]

    def mix(self, parts: Mapping[str, Self]) -> Self:
        """Return a distiller that treats each modality as the variant chosen for it.

        Args:
            parts: modality -> variant.
        """
        return replace(self, rates={m: part.rates[m] for m, part in parts.items()})

    def begin(self, inputs: DistillInputs, *, ipc: int, seed: int) -> SyntheticSet:
        """Return the start: the coreset's best samples, formed.

        Args:
            inputs: the training split and its coresets.
            ipc: instances per class.
            seed: of the run; the coreset is the same for all.
        """
        coreset = coreset_of(inputs.coresets, self.start)
        return form(inputs.real, coreset.select, ipc, self.formation)


@dataclass(frozen=True, kw_only=True)
class AugmentedOptimized(Optimized):
    """A method that augments rows before it matches them.

    Args:
        augment: modality -> augmentations, one of them drawn each time.
    """

    augment: dict[str, tuple[Operation, ...]]
