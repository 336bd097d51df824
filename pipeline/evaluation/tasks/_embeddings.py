"""What retrieval and the shuffle probe share: a student's unit vectors, and where a query's own partner comes among others."""

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

# What tables call a query and its gallery.
DIRECTIONS = {"a->v": ("logmel", "frame"), "v->a": ("frame", "logmel")}
# Galleries of one window per class that are drawn in turn; each window is a query about this often x classes / windows.
DRAWS = 50
# Queries that are compared with a gallery at once; bounds memory.
ROWS = 1024


def embed_split(
    module: AudioVisual, real: RealSet, using: Mapping[str, Normalisation], device: torch.device
) -> dict[str, Tensor]:
    """Unit vectors [N, width] per modality."""
    return training.apply_in_batches(module, module, real, using, device)


def draw_galleries(real: RealSet) -> list[Tensor]:
    """Galleries of one window of each class, drawn at random, the same for every student."""
    members = [real.indices_of(label) for label in range(len(real.classes))]
    if not all(len(own) for own in members):
        short = next(name for name, own in zip(real.classes, members, strict=True) if not len(own))
        raise CellError(
            f"a gallery takes one window of each class, and {short!r} has none in this split; decode more of its clips"
        )
    generator = make_generator("galleries", len(real))
    return [
        torch.stack([own[torch.randint(len(own), (), generator=generator)] for own in members])
        for _ in range(DRAWS)
    ]


def split_by_class(real: RealSet) -> list[Tensor]:
    """Galleries of all windows of one class; a class of one window has nothing to confuse it with, and is left out."""
    members = [real.indices_of(label) for label in range(len(real.classes))]
    return [own for own in members if len(own) > 1]


def ranks(
    found: Mapping[str, Tensor], galleries: list[Tensor], direction: str
) -> tuple[Tensor, Tensor]:
    """(rank of the own partner, 1 is best; row of the query), over all galleries, each of whose members is a query once.

    A partner that is no nearer than others comes after them: vectors that are all alike find nothing.
    """
    query, target = (found[m] for m in DIRECTIONS[direction])
    places = []
    for gallery in galleries:
        for first in range(0, len(gallery), ROWS):
            part = gallery[first : first + ROWS]
            similarity = query[part] @ target[gallery].T
            own = similarity.gather(1, torch.arange(first, first + len(part))[:, None])
            places.append(
                (~(similarity < own)).sum(1)
            )  # what cannot be compared, NaN, comes before the partner too
    return torch.cat(places), torch.cat(galleries)


def count_hits(rank: Tensor, row: Tensor, most: int, real: RealSet) -> Counted:
    """R@most: queries whose partner is among the nearest `most`, per source clip."""
    clip = evaluation.clip_numbers(real)
    return sum_per_clip(rank <= most, clip[row], int(clip.max()) + 1)


def make_recall_criterion(galleries: Callable[[RealSet], list[Tensor]]) -> evaluation.Criterion:
    """The selection rule's score for retrieval: R@1 on the validation split, the mean of both directions."""

    def criterion(
        module: AudioVisual, real: RealSet, using: Mapping[str, Normalisation], device: torch.device
    ) -> dict[str, float]:
        found = embed_split(module, real, using, device)
        shares = [
            (ranks(found, galleries(real), direction)[0] == 1).float().mean().item()
            for direction in DIRECTIONS
        ]
        return dict.fromkeys(found, sum(shares) / len(shares))

    return criterion
