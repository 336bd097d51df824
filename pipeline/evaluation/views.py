"""Fusion of predictions: by the sound (a), by the picture (v), by both (av)."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from pipeline.models.heads import modalities_of

# Fusion -> the modalities that it sees.
VIEWS = {"a": {"logmel"}, "v": {"frame"}, "av": {"logmel", "frame"}}


def pick_joint_view(views: Mapping[str, Tensor]) -> str:
    """Return the name of the view that sees most modalities.

    Args:
        views: view -> probabilities.
    """
    return max(views, key=len)


def fuse_outputs(probabilities: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the probabilities [N, C] of each view.

    A view is the mean of the outputs that see no other modality; together they must see all of its
    modalities. So an ensemble has all three views, with av the mean of two softmaxes, as in AVDD.
    A head that sees both modalities has one view, av.

    Args:
        probabilities: output -> [N, C].
    """
    views = {}
    for view, wanted in VIEWS.items():
        parts = {name: p for name, p in probabilities.items() if set(modalities_of(name)) <= wanted}
        if {m for name in parts for m in modalities_of(name)} == wanted:
            views[view] = torch.stack(list(parts.values())).mean(0)
    return views
