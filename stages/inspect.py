"""artifact -> a readable page"""

from __future__ import annotations

from pathlib import Path


def inspect(artifact: Path) -> str:
    """Show what an artifact holds: rows, classes, method, normalisation, digests, and its scores if it was published.

    Example: avdistill inspect artifacts/generated-dm-ipc1/seed0.h5
    """
    from pipeline.artifact import describe

    return describe(artifact)
