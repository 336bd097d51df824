"""Scores outside the grid: files that `evaluate` and `ceiling` wrote anywhere below a folder."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from pipeline.core.errors import SourceError
from pipeline.core.paths import walk
from pipeline.report.read.scores import Entries, read_scores

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator
    from pathlib import Path

    from pipeline.evaluation import ScoreTexts

# Keys of every file of scores; each of those of `evaluate`, and of `ceiling`, has one more.
_KEYS, _OF_EVALUATE, _OF_CEILING = {"classes", "scores"}, "artifacts", "train_windows"
# Usual names of these files; in a folder they go by the folder's name.
USUAL = ("scores", "ceiling")


@dataclass(frozen=True, kw_only=True)
class LooseScores:
    """One file of scores outside the grid.

    Args:
        name: its path below the folder, without the common names of such files.
        artifacts: names of the artifacts that were scored; empty for the whole data.
        classes: names of the classes.
        test: of the test split what identifies it: its clips' windows.
        bytes: size of one artifact, None for the whole data.
        entries: the scores.
    """

    name: str
    artifacts: tuple[str, ...]
    classes: tuple[str, ...]
    test: tuple[int, ...]
    bytes: int | None
    entries: Entries


class LooseFolder(NamedTuple):
    """Scores in groups of equal classes, test clips and measurements; and files without scores.

    In a group artifacts come first, in the order of their names, then the whole data.
    """

    groups: tuple[tuple[LooseScores, ...], ...] = ()
    unread: tuple[str, ...] = ()


def find_loose_scores(folder: Path, known: Collection[Path], texts: ScoreTexts) -> LooseFolder:
    """Return the scores below a folder that are not shown elsewhere.

    Args:
        folder: it is searched with all folders in it; hidden ones are passed over.
        known: files that are shown elsewhere.
        texts: of tasks and metrics.
    """
    groups: dict[Any, list[LooseScores]] = {}
    unread = []
    for path in sorted(set(_list_files(folder)) - set(known)):
        try:
            scores = _read(path, folder, texts)
        except SourceError:
            scores, damaged = None, True
        else:
            damaged = (
                scores is None and path.stem in USUAL and b'"skipped"' not in path.read_bytes()
            )
        if scores:
            key = scores.classes, scores.test, tuple(scores.entries)
            groups.setdefault(key, []).append(scores)
        elif damaged:
            unread.append(path.relative_to(folder).as_posix())
    ordered = (sorted(of, key=lambda one: (not one.artifacts, one.name)) for of in groups.values())
    return LooseFolder(tuple(map(tuple, ordered)), tuple(unread))


def _list_files(folder: Path) -> Iterator[Path]:
    for place, names in walk(folder):
        hidden = any(part.startswith(".") for part in place.relative_to(folder).parts)
        for name in names if not hidden else ():
            if name.endswith(".json") and not name.endswith(".seconds.json"):
                yield place / name


def _read(path: Path, folder: Path, texts: ScoreTexts) -> LooseScores | None:
    """Return the scores of a file, None of a file that holds none."""
    content = path.read_bytes()
    if not all(f'"{key}"'.encode() in content for key in _KEYS):
        return None
    try:
        value = json.loads(content)
    except ValueError:
        return None
    if not isinstance(value, dict) or not value.keys() >= _KEYS:
        return None
    if not value.keys() & {_OF_EVALUATE, _OF_CEILING}:
        return None
    of_sets = _OF_EVALUATE in value
    _, entries = read_scores(path, "evaluate" if of_sets else "ceiling", (), texts)
    first = next(iter(entries.values()))
    place = path.relative_to(folder).with_suffix("")
    usual = place.name in USUAL and len(place.parts) > 1
    return LooseScores(
        name=(place.parent if usual else place).as_posix(),
        artifacts=tuple(value[_OF_EVALUATE]) if of_sets else (),
        classes=tuple(value["classes"]),
        test=tuple(first.windows),
        bytes=value.get("bytes") if of_sets else None,
        entries=entries,
    )
