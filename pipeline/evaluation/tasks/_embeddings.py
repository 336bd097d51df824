"""Retrieval with a student's unit vectors: galleries, ranks and hits, for retrieval and shuffle."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from pipeline import evaluation
from pipeline.core.errors import CellError
from pipeline.core.rng import make_generator
from pipeline.evaluation.metrics import sum_per_clip
from pipeline.training import loop as training

if TYPE_CHECKING:
    from pipeline.core.records import Normalisation, RealSet
    from pipeline.evaluation import Counted
    from pipeline.models.model import AudioVisual

# Direction -> modalities of the query and of the gallery.
DIRECTIONS = {"a->v": ("logmel", "frame"), "v->a": ("frame", "logmel")}
# Galleries of one window per class that are drawn; each window is a query in about this many times
# classes / windows of them.
DRAWS = 50
# Queries that are compared with a gallery at once; bounds memory.
ROWS = 1024


def embed_split(
    module: AudioVisual,
    real: RealSet,
    normalisation: Mapping[str, Normalisation],
    device: torch.device,
) -> dict[str, Tensor]:
    """Return a student's unit vectors [N, width] of a split, by modality.

    Args:
        module: a student with a head that projects.
        real: the split.
        normalisation: of the student's training data.
        device: where it runs.
    """
    return training.apply_in_batches(module, module, real, normalisation, device)


def draw_galleries(real: RealSet) -> list[Tensor]:
    """Draw galleries of one window of each class, the same for every student.

    Args:
        real: the split.

    Returns:
        Rows of the split, int64 [classes] each.

    Raises:
        CellError: a class has no window.
    """
    members = [real.indices_of(label) for label in range(len(real.classes))]
    if not all(len(rows) for rows in members):
        name = next(c for c, rows in zip(real.classes, members, strict=True) if not len(rows))
        raise CellError(
            f"a gallery takes one window of each class, and {name!r} has none in this split; "
            "decode more of its clips"
        )
    generator = make_generator("galleries", len(real))
    return [
        torch.stack([rows[torch.randint(len(rows), (), generator=generator)] for rows in members])
        for _ in range(DRAWS)
    ]


def split_by_class(real: RealSet) -> list[Tensor]:
    """Return galleries of all windows of one class; a class of one window is left out.

    Args:
        real: the split.
    """
    members = [real.indices_of(label) for label in range(len(real.classes))]
    return [rows for rows in members if len(rows) > 1]


def ranks(
    vectors: Mapping[str, Tensor], galleries: list[Tensor], direction: str
) -> tuple[Tensor, Tensor]:
    """Return the rank of each query's own partner, 1 is best, and the row of the query.

    Each member of each gallery is a query once. The partner comes after all candidates of the same
    similarity, so that equal vectors find nothing.

    Args:
        vectors: modality -> unit vectors [N, width].
        galleries: rows of each gallery.
        direction: key of DIRECTIONS.
    """
    query, target = (vectors[m] for m in DIRECTIONS[direction])
    result = []
    for gallery in galleries:
        for first in range(0, len(gallery), ROWS):
            part = gallery[first : first + ROWS]
            similarity = query[part] @ target[gallery].T
            partner = similarity.gather(1, torch.arange(first, first + len(part))[:, None])
            # Not >=, so that NaN comes before the partner too.
            result.append((~(similarity < partner)).sum(1))
    return torch.cat(result), torch.cat(galleries)


def count_hits(rank: Tensor, row: Tensor, most: int, real: RealSet) -> Counted:
    """Return the hits of R@most and the queries of each source clip.

    Args:
        rank: of each query's partner.
        row: of each query in the split.
        most: a partner of at most this rank is a hit.
        real: the split.
    """
    clip = evaluation.clip_numbers(real)
    return sum_per_clip(rank <= most, clip[row], int(clip.max()) + 1)


def make_recall_criterion(galleries: Callable[[RealSet], list[Tensor]]) -> evaluation.Criterion:
    """Return the criterion of the selection rule for retrieval: R@1, averaged over directions.

    Args:
        galleries: split -> its galleries.
    """

    def criterion(
        module: AudioVisual,
        real: RealSet,
        normalisation: Mapping[str, Normalisation],
        device: torch.device,
    ) -> dict[str, float]:
        vectors = embed_split(module, real, normalisation, device)
        recalls = [
            (ranks(vectors, galleries(real), direction)[0] == 1).float().mean().item()
            for direction in DIRECTIONS
        ]
        return dict.fromkeys(vectors, sum(recalls) / len(recalls))

    return criterion
