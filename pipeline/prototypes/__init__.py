"""Classification by the nearest point of a pretrained encoder's space, with little training."""

from __future__ import annotations

from pipeline.prototypes.clips import Clips, gather_clips, refuse_other_texts
from pipeline.prototypes.evaluate import (
    evaluate_inputs,
    evaluate_rows,
    format_result,
    list_missing_rows,
    rank_samples,
    rank_training_samples,
)
from pipeline.prototypes.inputs import PrototypeInputs, read_inputs
from pipeline.prototypes.rows import PrototypeSettings

__all__ = [
    "Clips",
    "PrototypeInputs",
    "PrototypeSettings",
    "evaluate_inputs",
    "evaluate_rows",
    "format_result",
    "gather_clips",
    "list_missing_rows",
    "rank_samples",
    "rank_training_samples",
    "read_inputs",
    "refuse_other_texts",
]
