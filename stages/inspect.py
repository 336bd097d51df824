"""artifact -> a page of text"""

from __future__ import annotations

from pathlib import Path


def inspect(artifact: Path) -> str:
    """Show an artifact's content, origin, licence and method, and its scores if it was published.

    Example: avdistill inspect artifacts/generated-dm-ipc1/seed0.h5
    """
    from pipeline.artifact.inspection import refuse_damaged, render_page

    refuse_damaged(artifact)
    return render_page(artifact)
