"""Publish an artifact: a copy with its scores, and the yardstick that they are read by."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pipeline.artifact.file import read_stored
from pipeline.artifact.yardstick import name_measurement
from pipeline.core import hdf5 as tables
from pipeline.core.errors import ArtifactError
from pipeline.core.paths import to_path

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from pipeline.core.paths import AnyPath

# Parts of a score that describe single students or clips.
_SINGLE = ("runs", "trials", "right", "windows", "confusion")
# The names that tell the entries of a file of scores apart
MEASURE = ("protocol", "network", "head", "task")
# Counts of the test split in a file of scores
COUNTS = ("test_windows", "test_clips")


@dataclass(frozen=True, kw_only=True)
class PublishSettings:
    """Section `publish`.

    Args:
        runs: write the scores of single students and clips too, not the summaries alone.
    """

    runs: bool


def publish_artifact(
    path: AnyPath,
    evaluated: Mapping[str, Any],
    settings: PublishSettings,
    out: AnyPath,
    ceiling: Mapping[str, Any] | None = None,
) -> str:
    """Copy an artifact, add its scores, and return its content digest, which stays the same.

    Args:
        path: the artifact.
        evaluated: the content of the JSON file that `avdistill evaluate` wrote for this artifact.
        settings: which parts of the scores are written.
        out: the new file.
        ceiling: that of `avdistill ceiling`, the scores on the whole data; None leaves them out.

    Raises:
        ArtifactError: the scores are of another set, or the ceiling is of another measurement.

    Example:
        scores = read_json("scores.json", "evaluate")
        publish_artifact("seed0.h5", scores, PublishSettings(runs=False), "published/seed0.h5")
    """
    path = to_path(path)
    columns, about = read_stored(path)
    digest: str = about[tables.DIGEST]
    _refuse_other_scores(path, evaluated, digest)
    if ceiling is not None:
        _refuse_other_ceiling(path, evaluated, ceiling)
    number = sorted(evaluated["artifacts"]).index(path.name)
    scores = [
        {**_prepare_score(entry, number, settings), **_find_whole(entry, ceiling)}
        for entry in evaluated["scores"]
    ]
    counts = {name: evaluated[name] for name in COUNTS if name in evaluated}
    evaluation = {**evaluated.get("evaluation", {}), **counts}
    added = {"scores": scores} | ({"evaluation": evaluation} if evaluation else {})
    written = tables.write_table(to_path(out), columns, about | added)
    assert written == digest, "scores are outside of the digest"
    return written


def _refuse_other_scores(path: Path, evaluated: Any, digest: str) -> None:
    if not isinstance(evaluated, dict) or not {"artifacts", "scores"} <= evaluated.keys():
        raise ArtifactError(
            f"the file of scores for {path} holds no artifacts and scores; "
            "expected the JSON that `avdistill evaluate` writes"
        )
    if evaluated["artifacts"].get(path.name) != digest:
        raise ArtifactError(
            f"the scores are not of {path} (digest {digest[:12]}); "
            "evaluate it, then publish with those scores"
        )


def _refuse_other_ceiling(path: Path, evaluated: Mapping[str, Any], ceiling: Any) -> None:
    """Refuse scores on the whole data that are no yardstick for those of the artifact."""
    again = "run `avdistill ceiling` again on the same shards, with the same params"
    if not isinstance(ceiling, dict) or not {"classes", "scores"} <= ceiling.keys():
        raise ArtifactError(
            f"the ceiling for {path} holds no classes and scores; "
            "expected the JSON that `avdistill ceiling` writes"
        )
    for name in ("classes", *COUNTS):
        known = name in evaluated and name in ceiling
        if known and evaluated[name] != ceiling[name]:
            raise ArtifactError(f"the ceiling for {path} is of other {name}; {again}")
    ours, theirs = (each.get("evaluation", {}) for each in (evaluated, ceiling))
    if "test" in ours and "test" in theirs and ours["test"] != theirs["test"]:
        raise ArtifactError(f"the ceiling for {path} is of other test windows; {again}")
    for entry in evaluated["scores"]:
        if not _find_whole(entry, ceiling):
            raise ArtifactError(f"the ceiling for {path} lacks {name_measurement(entry)}; {again}")
        if ours and theirs and _list_values(ours, entry) != _list_values(theirs, entry):
            raise ArtifactError(
                f"the ceiling for {path} has other params of {name_measurement(entry)}; {again}"
            )


def _find_whole(entry: Mapping[str, Any], ceiling: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return `whole`: the scores of the same measurement on the whole data; {} without."""
    for other in ceiling["scores"] if ceiling else ():
        if name_measurement(other) == name_measurement(entry):
            return {"whole": {"metrics": other["metrics"], "chosen": other["chosen"]}}
    return {}


def _list_values(evaluation: Mapping[str, Any], entry: Mapping[str, Any]) -> list[Any]:
    """Return the params of a measurement: its protocol, network, head and task."""
    params = evaluation["params"]
    protocols = params["evaluate"]["protocols"]
    sections = [protocols, *(params[name] for name in ("networks", "heads", "tasks"))]
    return [rows.get(entry[part]) for part, rows in zip(MEASURE, sections, strict=True)]


def _prepare_score(entry: dict[str, Any], number: int, settings: PublishSettings) -> dict[str, Any]:
    """Return a score as artifacts hold it.

    The added `own` is metric -> view -> the mean over the students of this set alone, which is the
    set with this number; the summaries are over the students of all sets.
    """
    omitted = () if settings.runs else _SINGLE
    runs = [run for run in entry["runs"] if run["set"] == number]
    own = {
        metric: {view: sum(run[metric][view] for run in runs) / len(runs) for view in views}
        for metric, views in entry["metrics"].items()
        if runs and all(metric in run for run in runs)
    }
    return {**{name: value for name, value in entry.items() if name not in omitted}, "own": own}
