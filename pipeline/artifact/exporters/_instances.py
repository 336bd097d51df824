"""Training instances of an artifact, class by class: each stored row's pieces one after another, and names for them."""

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
    """The decoded instances, and their order here: int64 [rows x pieces], row after row."""
    whole = decode_synthetic_set(synthetic, torch.device("cpu"))
    return whole, torch.arange(len(whole.label)).reshape(-1, len(synthetic.label)).T.flatten()


def make_keys(labels: Iterable[int]) -> list[str]:
    """`<label>_<n>`, each of four digits: the label's number, and which of its kind this is, from 0."""
    seen: Counter[int] = Counter()
    names = []
    for label in labels:
        names.append(f"{label:04d}_{seen[label]:04d}")
        seen[label] += 1
    return names
