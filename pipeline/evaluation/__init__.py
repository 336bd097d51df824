"""Evaluation: students trained from scratch on a set, tested on real windows; every choice is made on the validation split."""

from __future__ import annotations

from pipeline.evaluation.bench import Bench, Ceiling, Evaluate, Measure, Metric, Task
from pipeline.evaluation.bootstrap import Counted, Summary, clip_numbers, plain, summarised
from pipeline.evaluation.checks import (
    refuse_absent_classes,
    refuse_other_data,
    refuse_single,
    refuse_unfit,
)
from pipeline.evaluation.model_selection import Criterion, accuracy, best, choose, tried, tuned
from pipeline.evaluation.projection import Plane
from pipeline.evaluation.protocols import Avdd, Budget, Protocols
from pipeline.evaluation.views import VIEWS, joint, viewed

__all__ = [
    "VIEWS",
    "Avdd",
    "Bench",
    "Budget",
    "Ceiling",
    "Counted",
    "Criterion",
    "Evaluate",
    "Measure",
    "Metric",
    "Plane",
    "Protocols",
    "Summary",
    "Task",
    "accuracy",
    "best",
    "choose",
    "clip_numbers",
    "joint",
    "plain",
    "refuse_absent_classes",
    "refuse_other_data",
    "refuse_single",
    "refuse_unfit",
    "summarised",
    "tried",
    "tuned",
    "viewed",
]
