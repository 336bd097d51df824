"""two artifacts -> their differences"""

from __future__ import annotations

from pathlib import Path


def diff(first: Path, second: Path) -> str:
    """Show how two artifacts differ: parameters, rows and their statistics.

    Example: avdistill diff artifacts/seed0.h5 artifacts/seed1.h5
    """
    from pipeline.artifact.inspection import compare_artifacts, refuse_damaged

    refuse_damaged(first, second)
    return compare_artifacts(first, second)
