"""artifact -> whether it is whole, and whether its scores can be had again"""

from __future__ import annotations

from pathlib import Path
from typing import Any


def verify(
    artifact: Path, *, reproduce: Path | None = None, device: str, workers: int, report: Any
) -> str:
    """Check an artifact, which a stranger may have sent: schema, digest, value ranges.

    ARTIFACT is a file or a folder of them. It is opened in a process of its own, with little memory and time; nothing in it is
    executed. CRITICAL findings are an error, WARNING and HINT are told. --reproduce SHARDS teaches students on the set again, by
    the protocol that the file carries, and compares what they reach with the score in the file.

    Example: avdistill verify artifacts/generated-dm-ipc1/seed0.h5
    """
    from pipeline.artifact import list_artifacts
    from pipeline.artifact.inspection import Severity, verify_files
    from pipeline.core.errors import ArtifactError
    from pipeline.evaluation.reproduction import reproduce_scores
    from stages._runtime import device_of

    lines, wrong, files = [], [], list_artifacts(artifact)
    for file, findings in verify_files(files):
        wrong += [finding.text for finding in findings if finding.severity is Severity.CRITICAL]
        told = [f"  {finding.severity:<10}{finding.text}" for finding in findings]
        lines += [f"{file}: {'whole, and' if told else 'as it should be'}", *told]
    if wrong:
        raise ArtifactError(f"{len(wrong)} CRITICAL: {'; '.join(wrong)}")
    if reproduce:
        for file in files:
            lines += ["", *reproduce_scores(file, reproduce, device_of(device), workers, report)]
    return "\n".join(lines)
