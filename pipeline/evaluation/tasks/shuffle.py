"""Shuffled pairs: does the set hold aligned pairs, or only classes?

Students learn from the set's pairs as they are, or from pairs mixed within their class. They are
tested by retrieval in two galleries: one test window of each class, where the class is enough, and
the test windows of the query's own class, where only the pair helps. If shuffling costs nothing in
the second, the set's pairs say no more than its labels. A class of one instance cannot be mixed:
`exchanged` is the share of instances that can.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar

import torch

from pipeline import evaluation
from pipeline.core.plugins import pick
from pipeline.core.rng import make_generator
from pipeline.evaluation import AvddProtocol, BudgetProtocol, TaskText
from pipeline.evaluation.tasks import _embeddings
from pipeline.evaluation.tasks._embeddings import DIRECTIONS
from pipeline.models.heads import VECTORS

if TYPE_CHECKING:
    from torch import Tensor

    from pipeline.core.records import RealSet
    from pipeline.core.scores import Scores
    from pipeline.evaluation import Bench, Counted, Summary
    from pipeline.models.model import AudioVisual
    from pipeline.training.instances import Instances


@dataclass(frozen=True, kw_only=True)
class Task:
    """Parameters of shuffled pairs.

    Args:
        moved: the modality whose rows are shuffled within their class.
    """

    takes: ClassVar[str] = VECTORS
    protocols: ClassVar[tuple[type, ...]] = (AvddProtocol, BudgetProtocol)
    modalities: ClassVar[int] = 2
    text: ClassVar[TaskText] = TaskText(
        about=(
            "Does the set hold pairs, or only classes? Students learn from the set's pairs as they "
            "are, and from pairs mixed within their class. Where mixing costs nothing, the pairs "
            "say no more than the labels. Exchanged is the share of instances that got another "
            "partner; a class of one instance has no other."
        )
    )

    moved: str

    def score(
        self,
        sets: Sequence[Instances],
        protocol: AvddProtocol | BudgetProtocol,
        spent: int,
        bench: Bench,
    ) -> Scores:
        """Return R@1, averaged over directions, of students of the set and of the shuffled set.

        Both have one recipe, chosen with the set as it is.
        """
        criterion = _embeddings.make_recall_criterion(_embeddings.draw_galleries)
        recipe, trials = evaluation.choose(
            sets[0], protocol, spent, bench.trainer, bench.val, criterion
        )
        shuffled = [
            _shuffle(data, self.moved, make_generator("shuffle", number))
            for number, data in enumerate(sets)
        ]
        reader = _GalleryReader(bench, sets[0])
        states = {
            state: bench.trainer.train(bench.make_jobs(data, recipe), reader)
            for state, data in (("paired", sets), ("shuffled", shuffled))
        }
        runs = [
            {
                "R@1": {
                    f"{kind}, {state}": results[number][kind]
                    for kind in states["paired"][number]
                    for state, results in states.items()
                }
            }
            for number in range(len(states["paired"]))
        ]
        scores = bench.summarise_runs(sets, recipe, trials, runs)
        exchanged = {"shuffled": _summarise_exchanged(sets, bench.repeats)}
        return replace(scores, metrics={**scores.metrics, "exchanged": exchanged})


class _GalleryReader:
    """Counts a student's hits per clip, gallery -> (hits, queries).

    Args:
        bench: the test split.
        data: the instances that gave the normalisation.
    """

    def __init__(self, bench: Bench, data: Instances) -> None:
        self._test, self._device = bench.test, bench.trainer.device
        self._normalisation = data.normalisation
        self._galleries = {
            "one per class": _embeddings.draw_galleries(bench.test),
            "same class": _embeddings.split_by_class(bench.test),
        }

    def __call__(self, module: AudioVisual) -> dict[str, Counted]:
        vectors = _embeddings.embed_split(module, self._test, self._normalisation, self._device)
        return {
            kind: _count_hits(vectors, galleries, self._test)
            for kind, galleries in self._galleries.items()
            if galleries
        }


def _count_hits(vectors: dict[str, Tensor], galleries: list[Tensor], real: RealSet) -> Counted:
    ranked = [_embeddings.ranks(vectors, galleries, direction) for direction in DIRECTIONS]
    rank, row = (torch.cat(parts) for parts in zip(*ranked, strict=True))
    return _embeddings.count_hits(rank, row, 1, real)


def _summarise_exchanged(sets: Sequence[Instances], repeats: int) -> Summary:
    """Return the share of instances whose class has another one, a value per student."""
    shares = [(data.label.bincount()[data.label] > 1).double().mean().item() for data in sets]
    return evaluation.summarise_values([share for share in shares for _ in range(repeats)])


def _shuffle(data: Instances, moved: str, generator: torch.Generator) -> Instances:
    """Exchange one modality of each instance with another instance of its class.

    Soft labels are left out, because no head of this task learns them.
    """
    partner = torch.arange(len(data.label))
    for label in range(data.classes):
        members = (data.label == label).nonzero().flatten()
        order = members[torch.randperm(len(members), generator=generator)]
        partner[order] = order.roll(1)

    def take(index: Tensor) -> dict[str, Tensor]:
        return {**data.take(index), moved: pick(data.take(partner[index]), moved, "modality")}

    return replace(data, take=take, soft={})
