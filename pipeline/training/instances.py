"""TODO from pipeline/training.py."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from pipeline.training import formation

if TYPE_CHECKING:
    from pipeline.core.records import Normalisation, RealSet, SyntheticSet


@dataclass(frozen=True, kw_only=True)
class Instances:
    """Labelled training instances.

    Args:
        take: index -> normalised rows; `label`: int64 [N].
        soft: modality -> class probabilities [N, classes], which classifiers learn in place of the label where there are any.
    """

    take: Callable[[Tensor], dict[str, Tensor]]
    label: Tensor
    classes: int
    shapes: Mapping[str, tuple[int, ...]]
    normalisation: Mapping[str, Normalisation]
    soft: Mapping[str, Tensor] = field(default_factory=dict)

    def select(self, index: Tensor, classes: int) -> Instances:
        """The instances at an index, all of the first `classes` classes, and what their soft labels say of those."""
        soft = {
            m: values[index, :classes] / values[index, :classes].sum(1, keepdim=True)
            for m, values in self.soft.items()
        }
        taken = replace(self, take=lambda inner: self.take(index[inner]), label=self.label[index])
        return replace(taken, soft=soft, classes=classes)


def wrap_real_set(real: RealSet, device: torch.device) -> Instances:
    """Every sample of a real set, as it is stored, on the device."""
    real = replace(real, rows={m: values.to(device) for m, values in real.rows.items()})
    return Instances(
        take=real.normalise,
        label=real.label,
        classes=len(real.classes),
        shapes=real.shapes,
        normalisation=real.normalisation,
    )


def decode_synthetic_set(synthetic: SyntheticSet, device: torch.device) -> Instances:
    """The training instances that a synthetic set's formation holds, on the device."""
    count = formation.count_pieces(synthetic.formation)
    rows = {
        m: formation.split(values, synthetic.formation[m], count).to(device)
        for m, values in synthetic.rows.items()
    }
    return Instances(
        take=lambda index: {m: values[index] for m, values in rows.items()},
        label=synthetic.label.repeat(count),
        soft={
            m: formation.flatten_pieces(values, synthetic.formation[m], count)
            for m, values in synthetic.soft_label.items()
        },
        classes=len(synthetic.classes),
        shapes={m: tuple(values.shape[1:]) for m, values in rows.items()},
        normalisation=synthetic.normalisation,
    )
