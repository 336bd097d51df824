"""Ranking of hyper-parameters: do candidates come in the same order as on the whole data?

Candidates, each a network and a learning rate, are trained on the set. The report correlates their
accuracies with those on the whole training split (Spearman 1904), as the distillation literature
does for architectures (DC, Zhao et al., ICLR 2021, section 4.2).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from pipeline import evaluation
from pipeline.core.params import Names, PositiveFloats
from pipeline.core.plugins import pick
from pipeline.evaluation import AvddProtocol, BudgetProtocol, TaskText
from pipeline.evaluation.metrics import sum_per_clip
from pipeline.models.heads import CLASSES

if TYPE_CHECKING:
    from pipeline.core.scores import Scores
    from pipeline.evaluation import Bench, Counted
    from pipeline.evaluation.texts import Means
    from pipeline.models.model import AudioVisual
    from pipeline.training.instances import Instances


def correlate(means: Means, whole: Means) -> dict[str, float | None]:
    """Return Spearman's rank correlation of the candidates' means on a set and on the whole data.

    Args:
        means: metric -> candidate -> mean, of students that a set trained.
        whole: the same of students that the whole data trained.
    """
    metric = next(iter(whole))
    one, other = ([scores[metric][name] for name in whole[metric]] for scores in (means, whole))
    return {"Spearman": spearman(one, other)}


def spearman(one: Sequence[float], other: Sequence[float]) -> float | None:
    """Return the rank correlation of two lists (Spearman 1904); None where one is constant.

    Equal values share their mean rank.

    Args:
        one: numbers.
        other: as many numbers.
    """
    first, second = _rank(one), _rank(other)
    if np.ptp(first) == 0 or np.ptp(second) == 0:
        return None
    return float(np.corrcoef(first, second)[0, 1])


def _rank(values: Sequence[float]) -> np.ndarray:
    numbers = np.asarray(values, dtype=np.float64)
    below = (numbers[None] < numbers[:, None]).sum(1)
    equal = (numbers[None] == numbers[:, None]).sum(1)
    ranks: np.ndarray = below + (equal + 1) / 2
    return ranks


@dataclass(frozen=True, kw_only=True)
class Task:
    """Parameters of ranking: candidates are `networks` x `rates`.

    Args:
        networks: names of networks.
        rates: learning rates.
    """

    takes: ClassVar[str] = CLASSES
    protocols: ClassVar[tuple[type, ...]] = (BudgetProtocol,)
    modalities: ClassVar[int] = 1
    text: ClassVar[TaskText] = TaskText(
        about=(
            "Candidates, each a network and a learning rate, are trained on the set. Do they come "
            "in the same order as on the whole data? Spearman's rank correlation of the two rows "
            "is 1 for the same order."
        ),
        compare=correlate,
    )

    networks: Names
    rates: PositiveFloats

    def __post_init__(self) -> None:
        if len(set(self.networks)) < len(self.networks) or len(set(self.rates)) < len(self.rates):
            raise ValueError("networks or rates repeat a value; expected each once")

    def score(
        self,
        sets: Sequence[Instances],
        protocol: AvddProtocol | BudgetProtocol,
        spent: int,
        bench: Bench,
    ) -> Scores:
        """Return the joint accuracy of each candidate; nothing is chosen."""
        assert isinstance(protocol, BudgetProtocol), "see `protocols`"
        clip = evaluation.clip_numbers(bench.test)

        def read(module: AudioVisual) -> Counted:
            views = bench.predict(module, sets[0])
            guess = views[evaluation.pick_joint_view(views)].argmax(1)
            return sum_per_clip(guess == bench.test.label, clip)

        results = {}
        for name in self.networks:
            trainer = replace(bench.trainer, network=pick(bench.networks, name, "network"))
            for rate in self.rates:
                jobs = bench.make_jobs(sets, protocol.make_recipe(rate))
                results[f"{name} {rate:g}"] = trainer.train(jobs, read)
        runs = [
            {"accuracy": {name: counts[run] for name, counts in results.items()}}
            for run in range(len(sets) * bench.repeats)
        ]
        return bench.summarise_runs(sets, protocol.make_recipe(self.rates[0]), [], runs)
