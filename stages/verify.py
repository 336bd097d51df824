"""artifact -> whether it is intact, and whether its scores can be reproduced"""

from __future__ import annotations

from pathlib import Path
from typing import Any


def verify(
    artifact: Path, *, reproduce: Path | None = None, device: str, workers: int, report: Any
) -> str:
    """Check the schema, digest and value ranges of an artifact from a source you do not trust.

    ARTIFACT is a file or a folder of them. It is opened in a separate process with limited memory
    and time; nothing in it is executed. CRITICAL findings are an error; WARNING and HINT are only
    printed. --reproduce SHARDS trains students on the set again, by the protocol in the file, and
    compares their scores with those in the file.

    Example: avdistill verify artifacts/generated-dm-ipc1/seed0.h5
    """
    from pipeline.artifact import list_artifacts
    from pipeline.artifact.inspection import Severity, verify_files
    from pipeline.core.errors import ArtifactError

    lines, critical, files = [], [], list_artifacts(artifact)
    for file, findings in verify_files(files):
        critical += [x.text for x in findings if x.severity is Severity.CRITICAL]
        lines += [f"{file}: {'intact, with findings' if findings else 'intact, no findings'}"]
        lines += [f"  {finding.severity:<10}{finding.text}" for finding in findings]
    if critical:
        raise ArtifactError(f"{len(critical)} CRITICAL: {'; '.join(critical)}")
    if reproduce:
        # Only this needs torch.
        from pipeline.evaluation.reproduction import reproduce_scores
        from stages._runtime import device_of

        for file in files:
            lines += ["", *reproduce_scores(file, reproduce, device_of(device), workers, report)]
    return "\n".join(lines)
