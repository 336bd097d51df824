"""One linear classifier on a mean of the modalities, weighted by attention.

AVDD's table names it, its code lacks it. Our definition: each modality's features are projected to
`width` numbers, p_m = P_m x_m; additive attention (Bahdanau et al., ICLR 2015) gives a_m = softmax
over m of w . tanh(A p_m); the logits are W (sum over m of a_m p_m) + b.

The published row is at chance; this head is not. docs/notes/2026-11-21-protocol-and-students.md has
the figures, and the mistakes that were tried to explain that row.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import torch
from torch import Tensor, nn

from pipeline.core.params import PositiveInt
from pipeline.models.heads import AND, CLASSES
from pipeline.models.heads._classifier import Classifier, FusedClassifier, build_linear
from pipeline.models.initialisation import init_

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


@dataclass(frozen=True, kw_only=True)
class Head:
    """Attention over the modalities, then a linear classifier.

    Args:
        width: numbers that each modality is projected to.
    """

    gives: ClassVar[str] = CLASSES
    width: PositiveInt

    def build(
        self, features: Mapping[str, int], classes: int, generator: torch.Generator
    ) -> Classifier:
        """Build one output that uses all modalities; see `HeadPlugin.build`."""
        fuse = ModalityAttention(list(features.values()), self.width)
        init_(fuse, generator)
        layer = build_linear(self.width, classes, generator)
        return Classifier({AND.join(features): FusedClassifier(fuse, layer)})


class ModalityAttention(nn.Module):
    """A mean of projected features, weighted by attention.

    Args:
        features: number of features of each modality.
        width: numbers that each is projected to.
    """

    def __init__(self, features: Sequence[int], width: int) -> None:
        super().__init__()
        self.project = nn.ModuleList([nn.Linear(count, width) for count in features])
        self.hidden = nn.Linear(width, width)
        self.score = nn.Linear(width, 1)

    def forward(self, features: Sequence[Tensor]) -> Tensor:
        """List of [N, D_m] -> [N, width]."""
        projected = torch.stack(
            [layer(x) for layer, x in zip(self.project, features, strict=True)], 1
        )
        weights = self.score(torch.tanh(self.hidden(projected))).softmax(1)
        fused: Tensor = (weights * projected).sum(1)
        return fused
