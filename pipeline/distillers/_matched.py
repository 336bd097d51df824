"""What methods share that match class means under random networks: their parameters, their start and their candidates."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Self

from pipeline import matching
from pipeline.augment import Operation
from pipeline.distillers._chosen import coreset_of, form
from pipeline.params import Count, Positives, Share
from pipeline.plugins import pick

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import torch
    from torch import Tensor

    from pipeline.matching import Means
    from pipeline.records import Coreset, RealSet, SyntheticSet
    from pipeline.training import Network


@dataclass(frozen=True, kw_only=True)
class Matched(ABC):
    """Parameters of a mean-matching method.

    Args:
        network: whose random weights embed; `start`: the coreset that the rows start from.
        rates: modality -> candidate step sizes; the selection rule takes one of each by validation accuracy.
        formation: modality -> (rows, columns) of the grid of pieces in a stored instance.
        augment: modality -> augmentations, one drawn per step.
    """

    network: str
    start: str
    steps: Count
    batch_real: Count
    rates: dict[str, Positives]
    momentum: Share
    formation: dict[str, tuple[Count, Count]]
    augment: dict[str, tuple[Operation, ...]]

    @abstractmethod
    def loss(self, real: Means, synthetic: Means) -> Tensor:
        """The distance that the rows go down, summed over classes; each method has its own."""

    def variants(self) -> list[Self]:
        """One distiller per candidate step size."""
        count = max((len(rates) for rates in self.rates.values()), default=1)
        return [self.mixed(dict.fromkeys(self.rates, i)) for i in range(count)]

    def mixed(self, picks: Mapping[str, int]) -> Self:
        """The distiller that takes candidate `picks[modality]` of each modality."""
        return replace(self, rates={m: (rates[min(picks[m], len(rates) - 1)],) for m, rates in self.rates.items()})

    def begin(self, real: RealSet, coresets: Mapping[str, Coreset], *, ipc: int, seed: int) -> SyntheticSet:
        """The coreset's best samples, formed."""
        return form(real, coreset_of(coresets, self.start).best, ipc, self.formation)

    def distill(
        self,
        real: RealSet,
        coresets: Mapping[str, Coreset],
        networks: Mapping[str, Network],
        *,
        ipc: int,
        seed: int,
        device: torch.device,
        report: Callable[..., None],
    ) -> SyntheticSet:
        """Move the start's rows; the first candidate of each rate counts."""
        start = self.begin(real, coresets, ipc=ipc, seed=seed)
        plan = matching.Plan(
            steps=self.steps,
            batch_real=self.batch_real,
            rates={modality: rates[0] for modality, rates in self.rates.items()},
            momentum=self.momentum,
            operations=self.augment,
        )
        network = pick(networks, self.network, "network")
        return matching.match(real, start, self.loss, network, plan, seed=seed, device=device, report=report)


def squared(difference: Tensor) -> Tensor:
    """Squared Euclidean norm of each class's difference, summed over classes."""
    return difference.square().sum()
