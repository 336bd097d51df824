"""two artifacts -> what differs"""

from __future__ import annotations

from pathlib import Path


def diff(one: Path, other: Path) -> str:
    """Show how two artifacts differ: parameters, rows and their statistics.

    Example: avdistill diff artifacts/generated-dm-ipc1/seed0.h5 artifacts/generated-dm-ipc1/seed1.h5
    """
    from pipeline.artifact.inspection import compare_artifacts, refuse_damaged

    refuse_damaged(one, other)
    return compare_artifacts(one, other)
