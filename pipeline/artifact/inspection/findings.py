"""Find signs of mistakes in an artifact that follows the format."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

import numpy as np

from pipeline.artifact import VERSION
from pipeline.artifact.schema import PREPROCESSING_PARAMS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pipeline.artifact import Artifact


class Severity(StrEnum):
    """How serious a finding is.

    CRITICAL: the file cannot be used. WARNING: it can be used, but may hold something else than
    expected. HINT: it lacks information.
    """

    CRITICAL = "CRITICAL"
    WARNING = "WARNING"
    HINT = "HINT"


@dataclass(frozen=True, kw_only=True)
class Finding:
    """A remark about a file.

    Args:
        severity: how serious it is.
        text: one sentence.
    """

    severity: Severity
    text: str


# A version's number has fewer digits.
MAX_DIGITS = 9
# Lowest and highest raw value of each modality. Optimised rows may leave this range, by its width
# at most.
RANGES = {"frame": (0.0, 255.0), "logmel": (-120.0, 60.0)}


def find_remarks(artifact: Artifact) -> Iterator[Finding]:
    """Yield warnings and hints about an artifact that follows the format.

    Args:
        artifact: the artifact.
    """
    for check in CHECKS:
        yield from check(artifact)


def compute_raw_rows(artifact: Artifact, modality: str) -> np.ndarray:
    """Undo the normalisation of rows, float32 [N, ...]: 0..255 for frames, dB for log-mels.

    Args:
        artifact: the artifact.
        modality: the name of its column.
    """
    normalisation = artifact.about["normalisation"][modality]
    mean, std = (
        np.array(normalisation[part], dtype=np.float32)[:, None, None] for part in ("mean", "std")
    )
    rows = artifact.columns[modality] * std + mean
    raw: np.ndarray = rows / np.float32(normalisation["scale"])
    return raw


def _check_ranges(artifact: Artifact) -> Iterator[Finding]:
    for modality in RANGES.keys() & artifact.about["normalisation"].keys():
        (low, high), raw = RANGES[modality], compute_raw_rows(artifact, modality)
        if raw.min() < 2 * low - high or raw.max() > 2 * high - low:
            yield _make_warning(
                f"{modality} reaches from {raw.min():.0f} to {raw.max():.0f} in raw units, "
                f"expected about {low:.0f} to {high:.0f}; "
                "was it normalised twice, or not at all?"
            )


def _check_duplicates(artifact: Artifact) -> Iterator[Finding]:
    for modality in artifact.about["normalisation"]:
        rows = artifact.columns[modality].reshape(len(artifact.columns[modality]), -1)
        if constant := int((rows.min(1) == rows.max(1)).sum()):
            yield _make_warning(f"{constant} of {len(rows)} {modality} rows are constant")
        if duplicates := len(rows) - len({row.tobytes() for row in rows}):
            yield _make_warning(f"{duplicates} of {len(rows)} {modality} rows are duplicates")


def _check_origin(artifact: Artifact) -> Iterator[Finding]:
    if "preprocessing" not in artifact.about:
        yield _make_warning(
            "no preprocessing is named, so shards cannot be checked against it; "
            "use those that the set was made from"
        )
    if "method" not in artifact.about:
        yield _make_warning("no method is named, so it is unknown how the set was made")
    if not artifact.about.get("sources"):
        yield _make_warning(
            "no sources are named; ask for their licence before you publish results made with it"
        )
    if not np.char.str_len(artifact.columns["source_key"]).any():
        yield _make_hint("no source keys, so it is unknown which samples the rows were made from")


def _check_params(artifact: Artifact) -> Iterator[Finding]:
    if "preprocessing" in artifact.about and PREPROCESSING_PARAMS not in artifact.about:
        yield _make_hint(
            f"no {PREPROCESSING_PARAMS}, so a clip of your own cannot be made like the samples; "
            "distil and export again from shards whose index holds them"
        )


def _check_scores(artifact: Artifact) -> Iterator[Finding]:
    if not artifact.about.get("scores"):
        yield _make_hint("no scores; `avdistill evaluate`, then `avdistill publish`")


def _check_version(artifact: Artifact) -> Iterator[Finding]:
    version = str(artifact.about["format_version"])
    if _parse_minor(version) > _parse_minor(VERSION):
        yield _make_hint(
            f"format version {version[:20]}, this program knows {VERSION}; "
            "newer content is not shown"
        )


def _parse_minor(version: str) -> int:
    """Return the number behind the first dot, 0 if there is none."""
    minor = version.split(".")[1:2]
    return int(minor[0]) if minor and minor[0].isdecimal() and len(minor[0]) < MAX_DIGITS else 0


CHECKS = (
    _check_ranges,
    _check_duplicates,
    _check_origin,
    _check_params,
    _check_scores,
    _check_version,
)


def _make_warning(text: str) -> Finding:
    return Finding(severity=Severity.WARNING, text=text)


def _make_hint(text: str) -> Finding:
    return Finding(severity=Severity.HINT, text=text)
