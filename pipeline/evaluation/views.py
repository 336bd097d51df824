"""How predictions are read: by the sound, by the picture, by both."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from pipeline.models.heads import modalities_of

# What tables call a set of modalities.
VIEWS = {"a": {"logmel"}, "v": {"frame"}, "av": {"logmel", "frame"}}


def pick_joint_view(views: Mapping[str, Tensor]) -> str:
    """The view that sees most."""
    return max(views, key=len)


def fuse_outputs(probabilities: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Probabilities [N, C] per output -> per view: the mean of the outputs that see nothing else and, together, all of it.

    So an ensemble has all three views, AVDD's joint one the mean of two softmaxes, and a head that sees both has one.
    """
    views = {}
    for view, wanted in VIEWS.items():
        parts = {name: p for name, p in probabilities.items() if set(modalities_of(name)) <= wanted}
        if {m for name in parts for m in modalities_of(name)} == wanted:
            views[view] = torch.stack(list(parts.values())).mean(0)
    return views
