"""Modality dropout: an audio-visual student is tested without the sound, or without the picture."""

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

# View -> the modality that is left out.
MISSING = {"av": "", "av without a": "logmel", "av without v": "frame"}


@dataclass(frozen=True, kw_only=True)
class Task:
    """Modality dropout; it has no parameters."""

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
        """Return the joint accuracy on windows as they are, without sound, and without picture.

        A missing modality is replaced by the mean of the training data.
        """
        recipe, trials = evaluation.choose(
            sets[0], protocol, spent, bench.trainer, bench.val, evaluation.accuracy
        )
        clip = evaluation.clip_numbers(bench.test)

        def read(module: AudioVisual) -> dict[str, dict[str, Counted]]:
            counts = {}
            for view, missing in MISSING.items():
                predict = _drop_modality(missing, module)
                logits = training.apply_in_batches(
                    module, predict, bench.test, sets[0].normalisation, bench.trainer.device
                )
                probabilities = {name: values.softmax(1) for name, values in logits.items()}
                guess = evaluation.fuse_outputs(probabilities)["av"].argmax(1)
                counts[view] = sum_per_clip(guess == bench.test.label, clip)
            return {"accuracy": counts}

        runs = bench.trainer.train(bench.make_jobs(sets, recipe), read)
        return bench.summarise_runs(sets, recipe, trials, runs)


def _drop_modality(
    missing: str, module: AudioVisual
) -> Callable[[dict[str, Tensor]], dict[str, Tensor]]:
    """Return the module with zeros for one modality: the mean, in normalised units."""

    def predict(rows: dict[str, Tensor]) -> dict[str, Tensor]:
        outputs: dict[str, Tensor] = module(
            {m: torch.zeros_like(x) if m == missing else x for m, x in rows.items()}
        )
        return outputs

    return predict
