"""What is to be said of a file that can be read, beside the faults that make it none of the format."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

import numpy as np

from pipeline.artifact import VERSION

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pipeline.artifact import Artifact


class Severity(StrEnum):
    """CRITICAL: the file cannot be used; WARNING: it can, and may not be what it seems; HINT: it could say more."""

    CRITICAL = "CRITICAL"
    WARNING = "WARNING"
    HINT = "HINT"


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One sentence about a file."""

    severity: Severity
    text: str


# Raw values of each modality; those of optimised rows may leave it, by the width of the range at most.
RANGES = {"frame": (0.0, 255.0), "logmel": (-120.0, 60.0)}


def find_remarks(artifact: Artifact) -> Iterator[Finding]:
    """Warnings and hints about an artifact without faults."""
    for look in LOOKS:
        yield from look(artifact)


def _check_ranges(artifact: Artifact) -> Iterator[Finding]:
    for name in RANGES.keys() & artifact.about["normalisation"].keys():
        (low, high), raw = RANGES[name], raw_rows(artifact, name)
        if raw.min() < 2 * low - high or raw.max() > 2 * high - low:
            told = f"{name} reaches from {raw.min():.0f} to {raw.max():.0f} in raw units, expected about {low:.0f} to {high:.0f}"
            yield _warning(f"{told}; was it normalised twice, or not at all?")


def _check_duplicates(artifact: Artifact) -> Iterator[Finding]:
    for name in artifact.about["normalisation"]:
        rows = artifact.columns[name].reshape(len(artifact.columns[name]), -1)
        if still := int((rows.min(1) == rows.max(1)).sum()):
            yield _warning(f"{still} of {len(rows)} {name} rows have one value everywhere")
        if twice := len(rows) - len({row.tobytes() for row in rows}):
            yield _warning(f"{twice} of {len(rows)} {name} rows are there twice")


def _check_origin(artifact: Artifact) -> Iterator[Finding]:
    if "preprocessing" not in artifact.about:
        yield _warning(
            "no preprocessing is named, so whether shards fit cannot be told; take those it was made from"
        )
    if "method" not in artifact.about:
        yield _warning("no method is named: how the set was made is not said")
    if not artifact.about.get("sources"):
        yield _warning(
            "no sources are named; ask for their licence before you publish what you make of it"
        )
    if not np.char.str_len(artifact.columns["source_key"]).any():
        yield _hint("no source keys: which samples the rows were made from is not said")


def _check_scores(artifact: Artifact) -> Iterator[Finding]:
    if not artifact.about.get("scores"):
        yield _hint("no scores; `avdistill evaluate`, then `avdistill publish`")


def _check_version(artifact: Artifact) -> Iterator[Finding]:
    if (version := str(artifact.about["format_version"])) != VERSION:
        yield _hint(
            f"format version {version[:20]}, this program knows {VERSION}: there may be more in it"
        )


LOOKS = (_check_ranges, _check_duplicates, _check_origin, _check_scores, _check_version)


def _warning(text: str) -> Finding:
    return Finding(severity=Severity.WARNING, text=text)


def _hint(text: str) -> Finding:
    return Finding(severity=Severity.HINT, text=text)


def raw_rows(artifact: Artifact, name: str) -> np.ndarray:
    """Rows of a modality in raw units: 0..255 for frames, decibels for log-mels."""
    how, rows = artifact.about["normalisation"][name], artifact.columns[name]
    mean, std = (np.array(how[part], dtype=np.float32)[:, None, None] for part in ("mean", "std"))
    raw: np.ndarray = (rows * std + mean) / np.float32(how["scale"])
    return raw
