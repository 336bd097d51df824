"""Data that cannot be measured are refused before a student is trained."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from pipeline.core.errors import ArtifactError, ParamsError, ShardError

if TYPE_CHECKING:
    from pipeline.core.records import RealSet, SyntheticSet
    from pipeline.evaluation.bench import Measurement, TaskPlugin
    from pipeline.evaluation.protocols import AvddProtocol, BudgetProtocol
    from pipeline.models.model import HeadPlugin


def refuse_other_data(synthetic: SyntheticSet, real: RealSet, name: str) -> None:
    """An artifact of other classes, preprocessing or shapes than the shards, or with rows of no numbers, is an ArtifactError."""
    if synthetic.classes != real.classes:
        raise ArtifactError(
            f"{name} holds the classes {_list_names(synthetic.classes)}, the shards {_list_names(real.classes)}; "
            "take the shards it was made from"
        )
    made = str(synthetic.provenance.get("preprocessing", ""))
    if made != real.preprocessing:
        raise ArtifactError(
            f"{name} was made from samples with preprocessing {made[:12]}, the shards have {real.preprocessing[:12]}; "
            "decode with the parameters that the artifact was made with"
        )
    shapes = {modality: tuple(rows.shape[1:]) for modality, rows in synthetic.rows.items()}
    if shapes != real.shapes:
        raise ArtifactError(
            f"{name} holds rows of {shapes}, the shards {real.shapes}; decode the same modalities, as high and wide"
        )
    for modality, rows in synthetic.rows.items():
        if not rows.isfinite().all():
            raise ArtifactError(
                f"{name} holds {modality} rows with NaN or infinite values; distil it again, with lower rates"
            )


def refuse_absent_classes(real: RealSet, split: str) -> None:
    """A split without a window of some class is a ShardError: an accuracy over the other classes would not say so."""
    counts = real.label.bincount(minlength=len(real.classes)).tolist()
    absent = [name for name, count in zip(real.classes, counts, strict=True) if not count]
    if absent:
        raise ShardError(
            f"the {split} split holds no window of {_list_names(absent)} ({len(real.classes)} classes are in training); "
            "the ledger says why clips are missing; decode some, or ingest without the class"
        )


def refuse_unfit(
    measure: Measurement,
    head: HeadPlugin,
    task: TaskPlugin,
    protocol: AvddProtocol | BudgetProtocol,
) -> None:
    """A measure whose parts do not go together is a ParamsError: before anything is computed."""
    asked = f"evaluate.run asks for task {measure.task} with head {measure.head} under protocol {measure.protocol}"
    if head.gives != task.takes:
        raise ParamsError(
            f"{asked}: the task takes {task.takes}, the head gives {head.gives}; name another head"
        )
    if not isinstance(protocol, task.protocols):
        raise ParamsError(
            f"{asked}: the task tries learning rates, which that protocol fixes; name another protocol"
        )


def refuse_headline(measure: Measurement, task: TaskPlugin, metrics: Sequence[str]) -> None:
    """Raise a ParamsError unless a task can be the headline and its metric is measured.

    Args:
        measure: the first of evaluate.run.
        task: its task.
        metrics: the names in evaluate.metrics.
    """
    needed = task.text.headline if hasattr(task, "text") else ""
    if not needed:
        raise ParamsError(
            f"evaluate: run begins with task {measure.task}, which counts no right windows; "
            "begin with a task that does, choices are made and rows are compared with it"
        )
    if needed not in metrics:
        raise ParamsError(
            f"evaluate: metrics are {', '.join(metrics)}; {needed} is always one of them, "
            f"for task {measure.task} compares rows by it"
        )


def refuse_single(measure: Measurement, task: TaskPlugin, real: RealSet) -> None:
    """A task that compares modalities, on data that have one, is a ParamsError."""
    if len(real.rows) < task.modalities:
        held = ", ".join(real.rows)
        raise ParamsError(
            f"task {measure.task} needs {task.modalities} modalities, the shards hold {held}; take it out of evaluate.run"
        )


def _list_names(names: Sequence[str]) -> str:
    return ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")
