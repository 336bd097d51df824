"""Describe, check and compare artifacts, also those from sources that are not trusted."""

from __future__ import annotations

from pipeline.artifact.inspection.diff import compare_artifacts
from pipeline.artifact.inspection.findings import Finding, Severity
from pipeline.artifact.inspection.page import render_page
from pipeline.artifact.inspection.verify import refuse_damaged, verify_files

__all__ = [
    "Finding",
    "Severity",
    "compare_artifacts",
    "refuse_damaged",
    "render_page",
    "verify_files",
]
