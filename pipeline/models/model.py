"""TODO from pipeline/training.py."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar, Protocol

import torch
from torch import Tensor, nn

from pipeline.models.heads import modalities_of

if TYPE_CHECKING:
    from pipeline.models.networks._towers import Towers


class NetworkPlugin(Protocol):
    """A network plugin: shapes -> towers with fresh weights."""

    def build(
        self, shapes: Mapping[str, tuple[int, ...]], generator: torch.Generator
    ) -> Towers: ...


class HeadPlugin(Protocol):
    """A head plugin: numbers of features -> a module with fresh weights, from features to outputs, with a loss.

    `gives` says what the outputs are: heads.CLASSES or heads.VECTORS.
    """

    gives: ClassVar[str]

    def build(
        self, features: Mapping[str, int], classes: int, generator: torch.Generator
    ) -> nn.Module: ...


class AudioVisual(nn.Module):
    """Towers and a head on them."""

    def __init__(self, towers: Towers, head: nn.Module) -> None:
        super().__init__()
        self.towers = towers
        self.head = head

    def forward(self, rows: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Normalised rows -> outputs of the head."""
        outputs: dict[str, Tensor] = self.head(self.towers.embed(rows))
        return outputs


def build(
    network: NetworkPlugin,
    head: HeadPlugin,
    shapes: Mapping[str, tuple[int, ...]],
    classes: int,
    generator: torch.Generator,
) -> AudioVisual:
    """Build a network for instances of these shapes, its weights drawn from the generator."""
    towers = network.build(shapes, generator)
    return AudioVisual(towers, head.build(towers.features, classes, generator))


def modality_of(parameter: str) -> str:
    """Whose rates move a parameter called towers.towers.<modality>... or head.parts.<output>...: the first that an output sees."""
    return modalities_of(parameter.split(".")[2])[0]
