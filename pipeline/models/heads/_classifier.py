"""Classifiers: the modules, the initial weights and the loss that several heads use."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pipeline.core.errors import CellError
from pipeline.models.heads import modalities_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


class Classifier(nn.Module):
    """Classifiers, each named by the modalities it uses.

    Args:
        parts: output -> module from a list of features [N, D] to logits [N, classes].
    """

    def __init__(self, parts: Mapping[str, nn.Module]) -> None:
        super().__init__()
        self.parts = nn.ModuleDict(parts)

    def forward(self, features: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Features [N, D] per modality -> logits [N, classes] per output."""
        return {
            name: classify([features[m] for m in modalities_of(name)])
            for name, classify in self.parts.items()
        }

    def loss(
        self, outputs: Mapping[str, Tensor], label: Tensor, soft: Mapping[str, Tensor] | None = None
    ) -> Tensor:
        """Return the sum of the outputs' cross-entropies, each a mean over the batch.

        Args:
            outputs: output -> logits [N, classes].
            label: int64 [N].
            soft: modality -> class probabilities [N, classes], used instead of the label where
                given; an output that uses several modalities has the mean of theirs.
        """
        targets = {
            name: _average([soft[m] for m in modalities_of(name)]) if soft else label
            for name in outputs
        }
        return torch.stack(
            [F.cross_entropy(logits, targets[name]) for name, logits in outputs.items()]
        ).sum()


def _average(tensors: Sequence[Tensor]) -> Tensor:
    return torch.stack(list(tensors)).mean(0)


@torch.no_grad()
def build_linear(features: int, classes: int, generator: torch.Generator) -> nn.Linear:
    """Build a linear classifier with weights N(0, 1e-4) and zero bias, as in AVDD.

    Args:
        features: number of features in.
        classes: number of logits.
        generator: draws the weights.
    """
    layer = nn.Linear(features, classes)
    layer.weight.copy_(torch.randn(layer.weight.shape, generator=generator) * 1e-4)
    layer.bias.zero_()
    return layer


def require_equal_width(features: Mapping[str, int], head: str) -> int:
    """Return the number of features of each modality, which a head that adds them needs equal.

    Args:
        features: modality -> number of its features.
        head: the head's name, for the message.

    Raises:
        CellError: the numbers differ.
    """
    counts = set(features.values())
    if len(counts) != 1:
        raise CellError(
            f"head {head} adds features, and the towers have {dict(features)} of them; "
            "take a network with equal towers"
        )
    return counts.pop()


class FusedClassifier(nn.Module):
    """A linear classifier on one vector made from several modalities.

    Args:
        fuse: maps a list of features [N, D] to one [N, D'].
        layer: maps that to logits.
    """

    def __init__(self, fuse: nn.Module, layer: nn.Linear) -> None:
        super().__init__()
        self.fuse = fuse
        self.layer = layer

    def forward(self, features: Sequence[Tensor]) -> Tensor:
        """List of features [N, D] -> logits [N, classes]."""
        logits: Tensor = self.layer(self.fuse(features))
        return logits


class Concatenate(nn.Module):
    """Concatenate the features."""

    def forward(self, features: Sequence[Tensor]) -> Tensor:
        """List of [N, D_m] -> [N, sum of D_m]."""
        return torch.cat(list(features), 1)


class Sum(nn.Module):
    """Add the features."""

    def forward(self, features: Sequence[Tensor]) -> Tensor:
        """List of [N, D] -> [N, D]."""
        return torch.stack(list(features)).sum(0)
