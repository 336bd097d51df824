"""Retrieval by class: rank a gallery for each query, as the CCL paper measures it.

An item with the query's own name is skipped. Average precision divides by all items of the query's
class in the gallery; a query without any counts as 0. Ties are ordered by name.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

# Queries per comparison with the gallery; bounds memory.
ROWS = 256


@dataclass(frozen=True, kw_only=True)
class RetrievalItems:
    """Items to rank.

    Args:
        vectors: [N, D].
        label: int64 [N].
        names: of the clips.
    """

    vectors: Tensor
    label: Tensor
    names: Sequence[str]


@dataclass(frozen=True, kw_only=True)
class RetrievalResult:
    """The ranking of each query.

    Args:
        first: position of the first right item, from 1, or infinity; float64 [Q].
        precision: average precision, float64 [Q].
    """

    first: Tensor
    precision: Tensor

    def recall_at(self, k: int) -> Tensor:
        """Return R@k per query: whether one of its k nearest items is right, bool [Q].

        Args:
            k: number of items.
        """
        return self.first <= k


def search(queries: RetrievalItems, gallery: RetrievalItems) -> RetrievalResult:
    """Rank the gallery by cosine for each query.

    Args:
        queries: the queries.
        gallery: the items to rank.
    """
    order = torch.tensor(
        sorted(range(len(gallery.names)), key=lambda row: gallery.names[row]), dtype=torch.long
    )
    number = {name: i for i, name in enumerate(sorted({*queries.names, *gallery.names}))}
    query_names, names = (
        torch.tensor([number[name] for name in items.names]) for items in (queries, gallery)
    )
    target = F.normalize(gallery.vectors.double(), dim=1)[order]
    label, names = gallery.label[order], names[order]
    vectors = F.normalize(queries.vectors.double(), dim=1)
    parts = []
    for first in range(0, len(vectors), ROWS):
        part = slice(first, first + ROWS)
        name = query_names[part, None]
        similarity = (vectors[part] @ target.T).masked_fill(name == names, -torch.inf)
        nearest = similarity.argsort(dim=1, descending=True, stable=True)
        right = (label[nearest] == queries.label[part, None]) & (names[nearest] != name)
        parts.append(torch.stack(_score_ranking(right)))
    first_right, precision = torch.cat(parts, 1)
    return RetrievalResult(first=first_right, precision=precision)


def _score_ranking(right: Tensor) -> tuple[Tensor, Tensor]:
    """Return the first right position and the average precision of rankings bool [Q, G]."""
    position = torch.arange(1, right.shape[1] + 1, dtype=torch.float64)
    hits = right.cumsum(1)
    precision = (hits / position * right).sum(1) / hits[:, -1].clamp_min(1)
    return torch.where(right, position, torch.inf).min(1).values, precision
