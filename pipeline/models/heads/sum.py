"""One linear classifier on the sum of the modalities' features.

AVDD's table names it, its code lacks it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from pipeline.models.heads import AND, CLASSES
from pipeline.models.heads._classifier import (
    Classifier,
    FusedClassifier,
    Sum,
    build_linear,
    require_equal_width,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    import torch


@dataclass(frozen=True, kw_only=True)
class Head:
    """A sum, then a linear classifier; it has no parameters."""

    gives: ClassVar[str] = CLASSES

    def build(
        self, features: Mapping[str, int], classes: int, generator: torch.Generator
    ) -> Classifier:
        """Build one output that uses all modalities: W (x_1 + x_2) + b; see `HeadPlugin.build`.

        Raises:
            CellError: the modalities have unequal numbers of features.
        """
        layer = build_linear(require_equal_width(features, "sum"), classes, generator)
        return Classifier({AND.join(features): FusedClassifier(Sum(), layer)})
