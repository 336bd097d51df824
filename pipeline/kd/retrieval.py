"""Retrieval by class, as compositional contrastive learning is measured: which items of a gallery have the query's class?

An item with the query's own name is no answer to it, and is passed over. Average precision divides by all items of the query's
class that the gallery holds, found or not; a query that has none counts as 0. Items that are equally near come in the order of
their names.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

# Queries that are compared with a gallery at once; bounds memory.
ROWS = 256


@dataclass(frozen=True, kw_only=True)
class RetrievalItems:
    """Vectors [N, D], their classes int64 [N], and their names, which clips go by."""

    vectors: Tensor
    label: Tensor
    names: Sequence[str]


@dataclass(frozen=True, kw_only=True)
class RetrievalResult:
    """Of each query: the place of the first right item, from 1, or infinity; and the average precision. float64 [Q]."""

    first: Tensor
    precision: Tensor

    def recall_at(self, most: int) -> Tensor:
        """R@most: whether any of the nearest `most` items is right, bool [Q]."""
        return self.first <= most


def search(queries: RetrievalItems, gallery: RetrievalItems) -> RetrievalResult:
    """Order the gallery by cosine for each query."""
    order = torch.tensor(
        sorted(range(len(gallery.names)), key=lambda row: gallery.names[row]), dtype=torch.long
    )
    number = {name: i for i, name in enumerate(sorted({*queries.names, *gallery.names}))}
    own, names = (
        torch.tensor([number[name] for name in items.names]) for items in (queries, gallery)
    )
    target, label, names = (
        F.normalize(gallery.vectors.double(), dim=1)[order],
        gallery.label[order],
        names[order],
    )
    vectors = F.normalize(queries.vectors.double(), dim=1)
    parts = []
    for first in range(0, len(vectors), ROWS):
        part = slice(first, first + ROWS)
        similarity = (vectors[part] @ target.T).masked_fill(own[part, None] == names, -torch.inf)
        nearest = similarity.argsort(dim=1, descending=True, stable=True)
        right = (label[nearest] == queries.label[part, None]) & (names[nearest] != own[part, None])
        parts.append(torch.stack(_score_ranking(right)))
    first_right, precision = torch.cat(parts, 1)
    return RetrievalResult(first=first_right, precision=precision)


def _score_ranking(right: Tensor) -> tuple[Tensor, Tensor]:
    """Bool [Q, G] in the order found -> the first right place and the average precision, float64 [Q]."""
    place = torch.arange(1, right.shape[1] + 1, dtype=torch.float64)
    hits = right.cumsum(1)
    precision = (hits / place * right).sum(1) / hits[:, -1].clamp_min(1)
    return torch.where(right, place, torch.inf).min(1).values, precision
