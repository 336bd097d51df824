"""One linear classifier on the modalities' features, one after another (named in AVDD's table; the form of its code base,
AV-Robustness, Tian and Xu, CVPR 2021)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from pipeline.models.heads import AND, CLASSES
from pipeline.models.heads._classifier import Classifier, Concatenate, FusedClassifier, build_linear

if TYPE_CHECKING:
    from collections.abc import Mapping

    import torch


@dataclass(frozen=True, kw_only=True)
class Head:
    """No parameters."""

    gives: ClassVar[str] = CLASSES

    def build(
        self, features: Mapping[str, int], classes: int, generator: torch.Generator
    ) -> Classifier:
        """One output that sees all modalities: W [x_1; x_2] + b."""
        return Classifier(
            {
                AND.join(features): FusedClassifier(
                    Concatenate(), build_linear(sum(features.values()), classes, generator)
                )
            }
        )
