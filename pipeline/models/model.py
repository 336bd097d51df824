"""The model that is trained: a network's towers with a head on them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar, Protocol

import torch
from torch import Tensor, nn

from pipeline.models.heads import modalities_of

if TYPE_CHECKING:
    from pipeline.models.towers import Towers


class NetworkPlugin(Protocol):
    """A network plugin: builds one tower per modality."""

    def build(self, shapes: Mapping[str, tuple[int, ...]], generator: torch.Generator) -> Towers:
        """Build towers with fresh weights.

        Args:
            shapes: modality -> shape of one row, e.g. frame (T, 3, H, W) and logmel (1, M, F).
            generator: draws the weights.
        """
        ...


class HeadPlugin(Protocol):
    """A head plugin: builds a module with a loss.

    The module maps features to outputs; its `loss(outputs, label, soft)` is what training lowers.

    Args:
        gives: kind of the outputs: heads.CLASSES (logits) or heads.VECTORS (unit vectors).
    """

    gives: ClassVar[str]

    def build(
        self, features: Mapping[str, int], classes: int, generator: torch.Generator
    ) -> nn.Module:
        """Build a head with fresh weights.

        Args:
            features: modality -> number of its features.
            classes: number of classes.
            generator: draws the weights.
        """
        ...


class AudioVisual(nn.Module):
    """A model: towers, and a head on their features.

    Args:
        towers: one per modality.
        head: maps features [N, D] per modality to outputs.
    """

    def __init__(self, towers: Towers, head: nn.Module) -> None:
        super().__init__()
        self.towers = towers
        self.head = head

    def forward(self, rows: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Normalised rows [N, ..., C, H, W] per modality -> outputs of the head."""
        outputs: dict[str, Tensor] = self.head(self.towers.embed(rows))
        return outputs


def build(
    network: NetworkPlugin,
    head: HeadPlugin,
    shapes: Mapping[str, tuple[int, ...]],
    classes: int,
    generator: torch.Generator,
) -> AudioVisual:
    """Build a model with fresh weights.

    Args:
        network: builds the towers.
        head: builds the head.
        shapes: modality -> shape of one row.
        classes: number of classes.
        generator: draws the weights, first the towers', then the head's.
    """
    towers = network.build(shapes, generator)
    return AudioVisual(towers, head.build(towers.features, classes, generator))


def modality_of(parameter: str) -> str:
    """Return the modality whose learning rate a parameter has.

    A parameter of an output that uses several modalities has the rate of the first.

    Args:
        parameter: its name, towers.towers.<modality>... or head.parts.<output>...
    """
    return modalities_of(parameter.split(".")[2])[0]
