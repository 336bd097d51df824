"""A probe: does the set carry alignment, or only classes? Students see its pairs as they are, or mixed within their class.

What they learn is measured as retrieval in two galleries: one test window of each class, which asks for the class alone, and
the test windows of the query's own class, which asks for the pair. Where shuffling costs nothing in the second, the set's pairs
say no more than its labels. A class of one instance has nobody to change with: `exchanged` is the share of instances that have.
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
    from pipeline.evaluation import Bench, Counted
    from pipeline.models.model import AudioVisual
    from pipeline.training.instances import Instances


@dataclass(frozen=True, kw_only=True)
class Task:
    """`moved`: the modality whose rows change places within their class."""

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
        """R@1, the mean of both directions, of students of the set as it is and of the shuffled one; one recipe for both."""
        criterion = _embeddings.make_recall_criterion(_embeddings.draw_galleries)
        recipe, trials = evaluation.choose(
            sets[0], protocol, spent, bench.trainer, bench.val, criterion
        )
        galleries = {
            "one per class": _embeddings.draw_galleries(bench.test),
            "same class": _embeddings.split_by_class(bench.test),
        }

        def read(module: AudioVisual) -> dict[str, Counted]:
            found = _embeddings.embed_split(
                module, bench.test, sets[0].normalisation, bench.trainer.device
            )
            return {
                kind: _count_hits(found, own, bench.test) for kind, own in galleries.items() if own
            }

        shuffled = [
            _shuffle(data, self.moved, make_generator("shuffle", number))
            for number, data in enumerate(sets)
        ]
        paired = bench.trainer.train(bench.make_jobs(sets, recipe), read)
        parted = bench.trainer.train(bench.make_jobs(shuffled, recipe), read)
        counted = [
            {
                "R@1": {
                    f"{kind}, {state}": run[kind]
                    for kind in one
                    for state, run in (("paired", one), ("shuffled", other))
                }
            }
            for one, other in zip(paired, parted, strict=True)
        ]
        scores = bench.summarise_runs(sets, recipe, trials, counted)
        shares = [
            (data.label.bincount()[data.label] > 1).double().mean().item()
            for data in sets
            for _ in range(bench.repeats)
        ]
        return replace(
            scores,
            metrics={
                **scores.metrics,
                "exchanged": {"shuffled": evaluation.summarise_values(shares)},
            },
        )


def _count_hits(found: dict[str, Tensor], galleries: list[Tensor], real: RealSet) -> Counted:
    ranked = [_embeddings.ranks(found, galleries, direction) for direction in DIRECTIONS]
    return _embeddings.count_hits(
        torch.cat([rank for rank, _ in ranked]), torch.cat([row for _, row in ranked]), 1, real
    )


def _shuffle(data: Instances, moved: str, generator: torch.Generator) -> Instances:
    """The instances, one modality of each that of another one of its class; soft labels, which nobody here learns, are left out."""
    partner = torch.arange(len(data.label))
    for label in range(data.classes):
        own = (data.label == label).nonzero().flatten()
        order = own[torch.randperm(len(own), generator=generator)]
        partner[order] = order.roll(1)

    def take(index: Tensor) -> dict[str, Tensor]:
        return {**data.take(index), moved: pick(data.take(partner[index]), moved, "modality")}

    return replace(data, take=take, soft={})
