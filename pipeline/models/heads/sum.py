"""One linear classifier on the sum of the modalities' features (named in AVDD's table, absent from its code)."""

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
    """No parameters; towers of unequal width are a CellError."""

    gives: ClassVar[str] = CLASSES

    def build(
        self, features: Mapping[str, int], classes: int, generator: torch.Generator
    ) -> Classifier:
        """One output that sees all modalities: W (x_1 + x_2) + b."""
        return Classifier(
            {
                AND.join(features): FusedClassifier(
                    Sum(), build_linear(require_equal_width(features, "sum"), classes, generator)
                )
            }
        )
