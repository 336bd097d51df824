"""Checks of data and measurements, made before a student is trained."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from pipeline.core.errors import ArtifactError, ParamsError, ShardError
from pipeline.core.records import join_names

if TYPE_CHECKING:
    from pipeline.core.records import RealSet, SyntheticSet
    from pipeline.evaluation.bench import Measurement, TaskPlugin
    from pipeline.evaluation.protocols import AvddProtocol, BudgetProtocol
    from pipeline.models.model import HeadPlugin

# Names of classes that a message lists.
MOST_NAMES = 5


def refuse_other_data(synthetic: SyntheticSet, real: RealSet, name: str) -> None:
    """Refuse an artifact that does not fit the shards, or holds values that are not finite.

    Args:
        synthetic: the artifact's set.
        real: a split of the shards.
        name: of the artifact, for the message.

    Raises:
        ArtifactError: classes, preprocessing or shapes differ, or a row has NaN or infinity.
    """
    if synthetic.classes != real.classes:
        raise ArtifactError(
            f"{name} holds the classes {join_names(synthetic.classes, MOST_NAMES)}, "
            f"the shards {join_names(real.classes, MOST_NAMES)}; take the shards it was made from"
        )
    preprocessing = str(synthetic.provenance.get("preprocessing", ""))
    if preprocessing != real.preprocessing:
        raise ArtifactError(
            f"{name} was made from samples with preprocessing {preprocessing[:12]}, the shards "
            f"have {real.preprocessing[:12]}; decode with the parameters of the artifact"
        )
    shapes = {modality: tuple(rows.shape[1:]) for modality, rows in synthetic.rows.items()}
    if shapes != real.shapes:
        raise ArtifactError(
            f"{name} holds rows of {shapes}, the shards {real.shapes}; "
            "decode the same modalities, with the same height and width"
        )
    for modality, rows in synthetic.rows.items():
        if not rows.isfinite().all():
            raise ArtifactError(
                f"{name} holds {modality} rows with NaN or infinite values; "
                "distil it again, with lower rates"
            )


def refuse_absent_classes(real: RealSet, split: str) -> None:
    """Refuse a split without a window of some class: an accuracy would not show the gap.

    Args:
        real: the split.
        split: its name, for the message.

    Raises:
        ShardError: a class has no window.
    """
    counts = real.label.bincount(minlength=len(real.classes)).tolist()
    absent = [name for name, count in zip(real.classes, counts, strict=True) if not count]
    if absent:
        raise ShardError(
            f"the {split} split holds no window of {join_names(absent, MOST_NAMES)} "
            f"({len(real.classes)} classes are in training); "
            "the ledger says why clips are missing; decode some, or ingest without the class"
        )


def refuse_unfit(
    measurement: Measurement,
    head: HeadPlugin,
    task: TaskPlugin,
    protocol: AvddProtocol | BudgetProtocol,
) -> None:
    """Refuse a measurement whose parts do not fit each other.

    Args:
        measurement: an entry of evaluate.run.
        head: its head.
        task: its task.
        protocol: its protocol.

    Raises:
        ParamsError: the task needs another head or another protocol.
    """
    where = (
        f"evaluate.run asks for task {measurement.task} with head {measurement.head} "
        f"under protocol {measurement.protocol}"
    )
    if head.gives != task.takes:
        raise ParamsError(
            f"{where}: the task takes {task.takes}, the head gives {head.gives}; name another head"
        )
    if not isinstance(protocol, task.protocols):
        raise ParamsError(
            f"{where}: the task tries learning rates, which that protocol fixes; "
            "name another protocol"
        )


def refuse_headline(measurement: Measurement, task: TaskPlugin, metrics: Sequence[str]) -> None:
    """Refuse a first measurement that rows cannot be compared by.

    Args:
        measurement: the first of evaluate.run.
        task: its task.
        metrics: the names in evaluate.metrics.

    Raises:
        ParamsError: the task has no headline metric, or that metric is not measured.
    """
    needed = task.text.headline if hasattr(task, "text") else ""
    if not needed:
        raise ParamsError(
            f"evaluate: run begins with task {measurement.task}, which counts no right windows; "
            "begin with a task that does: choices are made with it, and rows compared by it"
        )
    if needed not in metrics:
        raise ParamsError(
            f"evaluate: metrics are {', '.join(metrics)}; {needed} is always one of them, "
            f"because task {measurement.task} compares rows by it"
        )


def refuse_single(measurement: Measurement, task: TaskPlugin, real: RealSet) -> None:
    """Refuse a task that needs more modalities than the data have.

    Args:
        measurement: an entry of evaluate.run.
        task: its task.
        real: a split of the shards.

    Raises:
        ParamsError: the data have too few modalities.
    """
    if len(real.rows) < task.modalities:
        raise ParamsError(
            f"task {measurement.task} needs {task.modalities} modalities, the shards hold "
            f"{', '.join(real.rows)}; take it out of evaluate.run"
        )
