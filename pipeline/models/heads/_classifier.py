"""What heads share: outputs named by what they see, and the loss of classifiers."""

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
    """Classifiers by what they see; the loss is the sum of their cross-entropies.

    Args:
        parts: output name -> the module with its weights.
    """

    def __init__(self, parts: Mapping[str, nn.Module]) -> None:
        super().__init__()
        self.parts = nn.ModuleDict(parts)

    def forward(self, features: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Features [N, D] per modality -> logits [N, classes] per output."""
        return {
            name: part([features[m] for m in modalities_of(name)])
            for name, part in self.parts.items()
        }

    def loss(
        self, outputs: Mapping[str, Tensor], label: Tensor, soft: Mapping[str, Tensor] | None = None
    ) -> Tensor:
        """Sum of the outputs' cross-entropies, each a mean over the batch.

        Args:
            label: int64 [N]; `soft`: modality -> class probabilities [N, classes] in its place, an output's are the mean of those
                of the modalities that it sees.
        """
        wanted = {
            name: _mean([soft[m] for m in modalities_of(name)]) if soft else label
            for name in outputs
        }
        return torch.stack(
            [F.cross_entropy(logits, wanted[name]) for name, logits in outputs.items()]
        ).sum()


def _mean(parts: Sequence[Tensor]) -> Tensor:
    return torch.stack(list(parts)).mean(0)


@torch.no_grad()
def build_linear(features: int, classes: int, generator: torch.Generator) -> nn.Linear:
    """A classifier with weights N(0, 1e-4) and zero bias, as AVDD has them."""
    layer = nn.Linear(features, classes)
    layer.weight.copy_(torch.randn(layer.weight.shape, generator=generator) * 1e-4)
    layer.bias.zero_()
    return layer


def require_equal_width(features: Mapping[str, int], head: str) -> int:
    """The number of features, which a head that adds them needs to be the same in each modality."""
    counts = set(features.values())
    if len(counts) != 1:
        raise CellError(
            f"head {head} adds features, and the towers have {dict(features)} of them; take a network with equal towers"
        )
    return counts.pop()


class FusedClassifier(nn.Module):
    """Features of several modalities -> one vector -> logits."""

    def __init__(self, fuse: nn.Module, layer: nn.Linear) -> None:
        super().__init__()
        self.fuse = fuse
        self.layer = layer

    def forward(self, features: Sequence[Tensor]) -> Tensor:
        """A list of [N, D] -> logits [N, classes]."""
        logits: Tensor = self.layer(self.fuse(features))
        return logits


class Concatenate(nn.Module):
    """The features one after another."""

    def forward(self, features: Sequence[Tensor]) -> Tensor:
        return torch.cat(list(features), 1)


class Sum(nn.Module):
    """The sum of the features."""

    def forward(self, features: Sequence[Tensor]) -> Tensor:
        return torch.stack(list(features)).sum(0)
