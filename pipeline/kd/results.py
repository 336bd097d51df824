"""Write a method's students and scores, and format them for a terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pipeline.core import tensors
from pipeline.core.files import write_json
from pipeline.core.paths import to_path
from pipeline.core.scores import format_score

if TYPE_CHECKING:
    from pipeline.core.paths import AnyPath
    from pipeline.kd.evaluate import KDResult
    from pipeline.kd.student import KDRun


def write_result(out: AnyPath, method: str, run: KDRun, result: KDResult) -> None:
    """Write the students as siblings of `out`, then the scores: `out` exists only if all is there.

    Args:
        out: the JSON file of scores; students are its siblings .seed<k>.safetensors.
        method: a section of `kd`.
        run: of that method.
        result: of that run.
    """
    out = to_path(out)
    data, settings = run.data, run.settings
    about = {
        "method": method,
        "student": settings.student,
        "network": run.student.network,
        "teachers": list(settings.teachers),
        "classes": data.gallery.classes,
    }
    for seed, weights in result.weights.items():
        tensors.save(out.with_suffix(f".seed{seed}.safetensors"), weights, {**about, "seed": seed})
    measured_on = {
        "train_set": data.name,
        "training_rows": len(data.instances.label),
        "left_out": data.left_out,
        "test_windows": len(data.test),
        "queries": f"{len(set(data.test.clips))} clips of the test split",
        "gallery": f"{len(set(data.gallery.clips))} clips of the training split",
        "inputs": data.digest,
    }
    scores = [{**about, **result.scores.to_json()}]
    write_json(out, {**about, **measured_on, "not_run": result.not_run, "scores": scores})


def format_result(method: str, run: KDRun, result: KDResult) -> list[str]:
    """Format one line per metric, then the rows that were not run, then the rows left out.

    Args:
        method: a section of `kd`.
        run: of that method.
        result: of that run.
    """
    settings, data = run.settings, run.data
    name = f"{method} {settings.student} <- {'+'.join(settings.teachers)}, {data.name},"
    lines = []
    for metric, rows in result.scores.metrics.items():
        cells = [f"{row} {format_score(summary)}" for row, summary in rows.items()]
        lines.append(f"{name} {metric}: {'  '.join(cells)}  (n = {rows['student']['n']})")
    left_out = [f"{count} {rows}" for rows, count in data.left_out.items() if count]
    note = [f"left out, without a vector: {', '.join(left_out)}"] if left_out else []
    return [*lines, *result.not_run, *note]
