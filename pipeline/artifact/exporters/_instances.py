"""The training instances of an artifact, class by class, and keys for them."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import torch

from pipeline.training.instances import Instances, decode_synthetic_set

if TYPE_CHECKING:
    from collections.abc import Iterable

    from torch import Tensor

    from pipeline.core.records import SyntheticSet


def decode_instances(synthetic: SyntheticSet) -> tuple[Instances, Tensor]:
    """Decode the training instances, and order them class by class.

    Args:
        synthetic: the set.

    Returns:
        The instances, and their order int64 [rows * pieces]: all pieces of the first row, then all
        of the second, and so on.
    """
    instances = decode_synthetic_set(synthetic, torch.device("cpu"))
    order = torch.arange(len(instances.label)).reshape(-1, len(synthetic.label)).T.flatten()
    return instances, order


def make_keys(labels: Iterable[int]) -> list[str]:
    """Return a key `<label>_<n>` per instance, four digits each; n counts within a class, from 0.

    Args:
        labels: the label of each instance.
    """
    counts: Counter[int] = Counter()
    keys = []
    for label in labels:
        keys.append(f"{label:04d}_{counts[label]:04d}")
        counts[label] += 1
    return keys
