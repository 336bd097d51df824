"""What an artifact is, whether it is whole, and how two differ: for people who were sent a file."""

from __future__ import annotations

from pipeline.inspection._diff import diff
from pipeline.inspection._findings import Finding, Severity
from pipeline.inspection._page import page
from pipeline.inspection._verify import refuse_damaged, verified

__all__ = ["Finding", "Severity", "diff", "page", "refuse_damaged", "verified"]
