"""Does the set rank hyper-parameters as the whole data do? Candidates are trained on it, each with its network and learning rate.

The report correlates these accuracies with those of the same candidates on the whole training split (Spearman 1904), as
the distillation literature does for architectures (DC, Zhao et al., ICLR 2021, section 4.2).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from pipeline import evaluation, training
from pipeline.errors import CellError
from pipeline.evaluation import Budget
from pipeline.metrics import per_clip
from pipeline.params import Names, Positives
from pipeline.plugins import pick

if TYPE_CHECKING:
    from pipeline.evaluation import Avdd, Bench, Counted
    from pipeline.records import Scores
    from pipeline.training import AudioVisual, Instances


@dataclass(frozen=True, kw_only=True)
class Task:
    """Candidates are `networks` x `rates`."""

    networks: Names
    rates: Positives

    def score(self, sets: Sequence[Instances], protocol: Avdd | Budget, spent: int, bench: Bench) -> Scores:
        """Joint accuracy of each candidate; nothing is chosen."""
        if not isinstance(protocol, Budget):
            raise CellError("task ranking tries learning rates, and this protocol fixes them; measure it under protocol budget")
        clip = evaluation.clip_numbers(bench.test)

        def read(module: AudioVisual) -> Counted:
            views = evaluation.viewed(training.predict(module, bench.test, sets[0].normalisation, bench.crew.device))
            return per_clip(views[max(views, key=len)].argmax(1) == bench.test.label, clip)

        results = {}
        for name in self.networks:
            crew = replace(bench.crew, network=pick(bench.networks, name, "network"))
            for rate in self.rates:
                results[f"{name} {rate:g}"] = crew.taught(bench.lessons(sets, protocol.recipe(rate)), read)
        runs = len(sets) * bench.repeats
        counted = [{"accuracy": {name: own[run] for name, own in results.items()}} for run in range(runs)]
        return bench.scores(sets, protocol.recipe(self.rates[0]), [], counted)
