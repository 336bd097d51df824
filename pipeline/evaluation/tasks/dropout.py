"""A probe: what is left of a student that joins both modalities when one of them is silent, or dark, at the test?"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import torch

from pipeline import evaluation
from pipeline.evaluation import AvddProtocol, BudgetProtocol, TaskText
from pipeline.evaluation.metrics import sum_per_clip
from pipeline.models.heads import CLASSES
from pipeline.training import loop as training

if TYPE_CHECKING:
    from torch import Tensor

    from pipeline.core.scores import Scores
    from pipeline.evaluation import Bench, Counted
    from pipeline.models.model import AudioVisual
    from pipeline.training.instances import Instances

# view -> the modality that the student does not get
MISSING = {"av": "", "av without a": "logmel", "av without v": "frame"}


@dataclass(frozen=True, kw_only=True)
class Task:
    """No parameters."""

    takes: ClassVar[str] = CLASSES
    protocols: ClassVar[tuple[type, ...]] = (AvddProtocol, BudgetProtocol)
    modalities: ClassVar[int] = 2
    text: ClassVar[TaskText] = TaskText(
        about="An audio-visual student is tested without the sound, and without the picture."
    )

    def score(
        self,
        sets: Sequence[Instances],
        protocol: AvddProtocol | BudgetProtocol,
        spent: int,
        bench: Bench,
    ) -> Scores:
        """Joint accuracy on whole windows, and on windows whose sound, or whose picture, is the training data's mean."""
        recipe, trials = evaluation.choose(
            sets[0], protocol, spent, bench.trainer, bench.val, evaluation.accuracy
        )
        clip = evaluation.clip_numbers(bench.test)

        def read(module: AudioVisual) -> dict[str, dict[str, Counted]]:
            right = {}
            for view, missing in MISSING.items():
                given = _drop_modality(missing, module)
                logits = training.apply_in_batches(
                    module, given, bench.test, sets[0].normalisation, bench.trainer.device
                )
                seen = evaluation.fuse_outputs(
                    {name: values.softmax(1) for name, values in logits.items()}
                )["av"]
                right[view] = sum_per_clip(seen.argmax(1) == bench.test.label, clip)
            return {"accuracy": right}

        return bench.summarise_runs(
            sets, recipe, trials, bench.trainer.train(bench.make_jobs(sets, recipe), read)
        )


def _drop_modality(
    missing: str, module: AudioVisual
) -> Callable[[dict[str, Tensor]], dict[str, Tensor]]:
    """The module, given zeros for one modality: the mean, in normalised units."""

    def predict(rows: dict[str, Tensor]) -> dict[str, Tensor]:
        outputs: dict[str, Tensor] = module(
            {m: torch.zeros_like(x) if m == missing else x for m, x in rows.items()}
        )
        return outputs

    return predict
