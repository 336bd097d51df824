"""The data behind a result: sizes of splits, rejects, filters, near-duplicates, licence."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from pipeline.core.records import NOT_STATED
from pipeline.report.read.scores import explain_damage

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


class LeftOut(NamedTuple):
    """Clips and windows of one split that are no samples, for one reason."""

    verdict: str
    reason: str
    split: str
    clips: int
    windows: int


@dataclass(frozen=True, kw_only=True)
class DataSummary:
    """The data, as `avdistill ceiling` counted them.

    Args:
        source: name, home, licence and citation, where they are stated.
        clip_licences: licence -> training clips.
        sizes: split -> class -> (clips, windows); empty where there was no ledger.
        left_out: sorted; None where there was no ledger.
        leaks: pair of splits -> pairs of near-duplicates; None where they were not searched for.
    """

    source: Mapping[str, str]
    clip_licences: Mapping[str, int]
    sizes: Mapping[str, Mapping[str, tuple[int, int]]]
    left_out: tuple[LeftOut, ...] | None
    leaks: Mapping[str, int] | None


def parse_data(value: Mapping[str, Any] | None, path: Path) -> DataSummary | None:
    """Return the value `data` of a ceiling.json; an older file has none.

    Args:
        value: as it stands in the file.
        path: the file, for messages.

    Raises:
        SourceError: the value is damaged.
    """
    if value is None:
        return None
    with explain_damage(path, "ceiling", "describes its data in another form"):
        source = value.get("source", {})
        named = {
            name: str(source.get(name, "")) for name in ("name", "home", "licence", "citation")
        }
        left_out, leaks = value.get("left_out"), value.get("leaks")
        return DataSummary(
            source={name: text for name, text in named.items() if text and text != NOT_STATED},
            clip_licences={k: int(n) for k, n in source.get("clip_licences", {}).items()},
            sizes={
                split: {name: (int(clips), int(windows)) for name, (clips, windows) in of.items()}
                for split, of in value.get("sizes", {}).items()
            },
            left_out=None if left_out is None else tuple(LeftOut(*row) for row in left_out),
            leaks=None if leaks is None else {pair: int(count) for pair, count in leaks.items()},
        )
