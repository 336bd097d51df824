"""Evaluation: students are trained from scratch on a set and tested on real windows.

Every choice is made on the validation split.
"""

from __future__ import annotations

from pipeline.evaluation.bench import (
    Bench,
    Ceiling,
    Evaluate,
    Measurement,
    MetricPlugin,
    TaskPlugin,
)
from pipeline.evaluation.bootstrap import (
    Counted,
    Summary,
    clip_numbers,
    summarise,
    summarise_values,
)
from pipeline.evaluation.checks import (
    refuse_absent_classes,
    refuse_headline,
    refuse_other_data,
    refuse_single,
    refuse_unfit,
)
from pipeline.evaluation.model_selection import (
    Criterion,
    accuracy,
    choose,
    choose_variants,
    pick_best,
    run_trials,
)
from pipeline.evaluation.projection import PCAProjection
from pipeline.evaluation.protocols import AvddProtocol, BudgetProtocol, Protocols
from pipeline.evaluation.texts import (
    Means,
    MethodText,
    MetricText,
    ScoreTexts,
    TaskText,
    collect_texts,
)
from pipeline.evaluation.views import VIEWS, fuse_outputs, pick_joint_view

__all__ = [
    "VIEWS",
    "AvddProtocol",
    "Bench",
    "BudgetProtocol",
    "Ceiling",
    "Counted",
    "Criterion",
    "Evaluate",
    "Means",
    "Measurement",
    "MethodText",
    "MetricPlugin",
    "MetricText",
    "PCAProjection",
    "Protocols",
    "ScoreTexts",
    "Summary",
    "TaskPlugin",
    "TaskText",
    "accuracy",
    "choose",
    "choose_variants",
    "clip_numbers",
    "collect_texts",
    "fuse_outputs",
    "pick_best",
    "pick_joint_view",
    "refuse_absent_classes",
    "refuse_headline",
    "refuse_other_data",
    "refuse_single",
    "refuse_unfit",
    "run_trials",
    "summarise",
    "summarise_values",
]
