"""Evaluation: students trained from scratch on a set, tested on real windows; every choice is made on the validation split."""

from __future__ import annotations

from pipeline.evaluation._choice import Criterion, accuracy, best, choose, tried, tuned
from pipeline.evaluation._data import refuse_absent_classes, refuse_other_data
from pipeline.evaluation._intervals import Counted, Summary, clip_numbers, plain, summarised
from pipeline.evaluation._measure import Bench, Ceiling, Evaluate, Measure, Metric, Protocols, Task
from pipeline.evaluation._plane import Plane
from pipeline.evaluation._protocols import Avdd, Budget
from pipeline.evaluation._views import VIEWS, viewed

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
    "plain",
    "refuse_absent_classes",
    "refuse_other_data",
    "summarised",
    "tried",
    "tuned",
    "viewed",
]
