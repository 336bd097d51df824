"""The head of AVDD (Kushwaha et al., TMLR 2024): one linear classifier for each modality.

Each has its own cross-entropy. The audio-visual prediction is the mean of their softmaxes, so one
student gives the sound's, the picture's and the joint score.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from pipeline.models.heads import CLASSES
from pipeline.models.heads._classifier import Classifier, FusedClassifier, Sum, build_linear

if TYPE_CHECKING:
    from collections.abc import Mapping

    import torch


@dataclass(frozen=True, kw_only=True)
class Head:
    """A linear classifier per modality; it has no parameters."""

    gives: ClassVar[str] = CLASSES

    def build(
        self, features: Mapping[str, int], classes: int, generator: torch.Generator
    ) -> Classifier:
        """Build one output per modality; see `HeadPlugin.build`."""
        classifiers = {
            modality: FusedClassifier(Sum(), build_linear(count, classes, generator))
            for modality, count in features.items()
        }
        return Classifier(classifiers)
