"""What an artifact is, whether it is whole, and how two differ: for people who were sent a file."""

from __future__ import annotations

from pipeline.artifact.inspection.diff import diff
from pipeline.artifact.inspection.findings import Finding, Severity
from pipeline.artifact.inspection.page import page
from pipeline.artifact.inspection.verify import refuse_damaged, verified

__all__ = ["Finding", "Severity", "diff", "page", "refuse_damaged", "verified"]
