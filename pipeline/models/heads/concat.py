"""One linear classifier on the concatenated features of all modalities.

AVDD's table names it; its form is that of AVDD's code base, AV-Robustness (Tian and Xu, CVPR 2021).
"""

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
    """Concatenation, then a linear classifier; it has no parameters."""

    gives: ClassVar[str] = CLASSES

    def build(
        self, features: Mapping[str, int], classes: int, generator: torch.Generator
    ) -> Classifier:
        """Build one output that uses all modalities: W [x_1; x_2] + b; see `HeadPlugin.build`."""
        layer = build_linear(sum(features.values()), classes, generator)
        return Classifier({AND.join(features): FusedClassifier(Concatenate(), layer)})
