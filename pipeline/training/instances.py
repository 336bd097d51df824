"""Training instances: the rows and labels that the loop reads, of a real or a synthetic set."""

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
        take: index int64 [B] -> normalised rows [B, ..., C, H, W] per modality.
        label: int64 [N].
        classes: number of classes.
        shapes: modality -> shape of one row.
        normalisation: modality -> how its rows were normalised.
        soft: modality -> class probabilities [N, classes], which classifiers learn instead of the
            label; empty if there are none.
    """

    take: Callable[[Tensor], dict[str, Tensor]]
    label: Tensor
    classes: int
    shapes: Mapping[str, tuple[int, ...]]
    normalisation: Mapping[str, Normalisation]
    soft: Mapping[str, Tensor] = field(default_factory=dict)

    def select(self, index: Tensor, classes: int) -> Instances:
        """Return the instances at an index, with soft labels renormalised over their classes.

        Args:
            index: int64 [B], of instances of the first `classes` classes.
            classes: number of classes that are kept.
        """
        soft = {
            m: values[index, :classes] / values[index, :classes].sum(1, keepdim=True)
            for m, values in self.soft.items()
        }
        return replace(
            self,
            take=lambda position: self.take(index[position]),
            label=self.label[index],
            classes=classes,
            soft=soft,
        )


def wrap_real_set(real: RealSet, device: torch.device) -> Instances:
    """Return every sample of a real set as an instance.

    Args:
        real: the set.
        device: where its rows are kept, as they are stored.
    """
    real = replace(real, rows={m: values.to(device) for m, values in real.rows.items()})
    return Instances(
        take=real.normalise,
        label=real.label,
        classes=len(real.classes),
        shapes=real.shapes,
        normalisation=real.normalisation,
    )


def decode_synthetic_set(synthetic: SyntheticSet, device: torch.device) -> Instances:
    """Return the training instances that a synthetic set's formation holds.

    Args:
        synthetic: the set.
        device: where the decoded rows are kept.
    """
    decoded, label, soft = formation.decode(synthetic)
    rows = {m: values.to(device) for m, values in decoded.items()}
    return Instances(
        take=lambda index: {m: values[index] for m, values in rows.items()},
        label=label,
        soft=soft,
        classes=len(synthetic.classes),
        shapes={m: tuple(values.shape[1:]) for m, values in rows.items()},
        normalisation=synthetic.normalisation,
    )
