"""The yardstick beside an artifact's scores: the whole data, the test split, the students."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pipeline.core.scores import format_score

if TYPE_CHECKING:
    from collections.abc import Mapping

# Values of the chosen recipe and of the protocol that say how students are trained
STUDENTS = ("rates", "steps", "stops", "epochs", "batch", "trials")


def name_measurement(entry: Mapping[str, Any]) -> str:
    """Return the name of a measurement: protocol, network, head and task.

    Args:
        entry: one of an artifact's scores, or of a file of scores.

    Example:
        name_measurement(about["scores"][0])  # "budget convnet ensemble recognition"
    """
    return " ".join(str(entry[part]) for part in ("protocol", "network", "head", "task"))


def format_whole(entry: Mapping[str, Any], metric: str, view: str, *, plain: bool) -> str:
    """Return the same students' score on the whole data, "" if the file does not hold it.

    Args:
        entry: one of an artifact's scores.
        metric: e.g. "accuracy".
        view: e.g. "av".
        plain: whether it is a plain number; a fraction is written in percent.

    Example:
        format_whole(about["scores"][0], "accuracy", "av", plain=False)  # "89.0 ± 1.5"
    """
    summary = _dig(entry, "whole", "metrics", metric, view)
    return format_score(summary, plain=plain) if summary else ""


def describe_students(about: Mapping[str, Any], entry: Mapping[str, Any]) -> str:
    """Return how the students of a score were trained: rates, steps and values of the protocol.

    Args:
        about: the attributes of an artifact.
        entry: one of its scores.

    Example:
        describe_students(about, about["scores"][0])  # "rates frame 0.004, logmel 0.0007; steps 60"
    """
    protocol = _dig(about, "evaluation", "params", "evaluate", "protocols", entry["protocol"])
    known = {**protocol, **_dig(entry, "chosen")}
    return "; ".join(f"{name} {_format(known[name])}" for name in STUDENTS if name in known)


def describe_test_split(about: Mapping[str, Any]) -> str:
    """Return the size of the test split behind the scores, "" if the file does not hold it.

    Args:
        about: the attributes of an artifact.

    Example:
        describe_test_split(about)  # "75 windows of 25 clips"
    """
    evaluation = _dig(about, "evaluation")
    counts = {noun: evaluation.get(f"test_{noun}") for noun in ("windows", "clips")}
    return " of ".join(f"{count} {noun}" for noun, count in counts.items() if count is not None)


def _dig(value: Any, *keys: str) -> Mapping[str, Any]:
    """Return the mapping at these keys, {} if there is none: a stranger's file may hold others."""
    for key in keys:
        value = value.get(key) if isinstance(value, dict) else None
    return value if isinstance(value, dict) else {}


def _format(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{name} {_format(number)}" for name, number in value.items())
    return f"{value:.3g}" if isinstance(value, float) else str(value)
