"""The ledger: every clip and window with its fate, the two equations, and the counts that tables and plots are made of."""

from __future__ import annotations

from collections import Counter, defaultdict
from typing import TYPE_CHECKING, Any

from pipeline.core.csv import read_rows, write_rows
from pipeline.core.errors import REASONS, RejectError, ShardError
from pipeline.core.files import write_json
from pipeline.shards.outcomes import COLUMNS, Row

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from pipeline.core.records import Clip

LEDGER = "ledger.csv"
VERDICTS = ("ok", "failed", "filtered")
COUNTED = ("split", "label", "verdict", "reason")


def counts_of(out: Path) -> Path:
    """Where the ledger's counts lie: beside the shards, so that DVC can track them as metrics of their own."""
    return out.with_name(f"{out.name}.json")


def table_of(out: Path) -> Path:
    """Where windows are counted by split, label, verdict and reason: beside the shards, as DVC's plots want them."""
    return out.with_name(f"{out.name}.csv")


def read_ledger(out: Path) -> dict[tuple[str, str], list[Row]]:
    """(split, shard) -> its rows, of an earlier run; nothing if there was none."""
    rows: dict[tuple[str, str], list[Row]] = defaultdict(list)
    if (out / LEDGER).is_file():
        for _, row in read_rows(out / LEDGER, "a ledger, which `avdistill decode` writes"):
            rows[row.get("split", ""), row.get("shard", "")].append(row)
    return rows


def write_ledger(
    rows: Sequence[Row], clips: Sequence[Clip], leaks: dict[str, int], out: Path
) -> dict[str, Any]:
    """Write ledger and counts; the two equations of the design hold by construction and are checked all the same."""
    assert {row["reason"] for row in rows} <= {"", *REASONS}, (
        "the ledger knows these reasons and no others"
    )
    _write_csv(out / LEDGER, COLUMNS, rows)
    wholes, windows = (
        [row for row in rows if bool(row["second"]) == inner] for inner in (False, True)
    )
    tallies = {
        "clips": Counter(row["verdict"] for row in wholes),
        "windows": Counter(row["verdict"] for row in windows),
    }
    counts: dict[str, Any] = {
        "clips": {
            "rows": len(clips),
            **{verdict: tallies["clips"][verdict] for verdict in VERDICTS},
        },
        "windows": {
            "seconds": len(windows),
            **{verdict: tallies["windows"][verdict] for verdict in VERDICTS},
        },
        "reasons": count_reasons(rows),
        "leaks": leaks,
    }
    for noun, total in (("clips", "rows"), ("windows", "seconds")):
        assert counts[noun][total] == sum(counts[noun][verdict] for verdict in VERDICTS), (
            f"{total} = ok + failed + filtered"
        )
    write_json(counts_of(out), counts)
    # A clip without windows counts once, so that none is missing from the plot.
    bare = {row["clip_id"] for row in wholes} - {row["clip_id"] for row in windows}
    shown = [*windows, *(row for row in wholes if row["clip_id"] in bare)]
    table = Counter(tuple(row[name] for name in COUNTED) for row in shown)
    cells = [dict(zip(COUNTED, key, strict=True), count=str(table[key])) for key in sorted(table)]
    _write_csv(table_of(out), (*COUNTED, "count"), cells)
    return counts


def count_reasons(rows: Iterable[Row]) -> dict[str, int]:
    """reason -> rows of clips and of windows that give it."""
    return dict(sorted(Counter(row["reason"] for row in rows if row["reason"]).items()))


def refuse_empty(rows: Sequence[Row], clips: Iterable[Clip], out: Path) -> None:
    """A class without a sample in some split is a ShardError."""
    written = {(row["split"], row["label"]) for row in rows if row["verdict"] == "ok"}
    for split, label in sorted({(clip.split, clip.label) for clip in clips} - written):
        why = _format_counts(
            count_reasons(row for row in rows if (row["split"], row["label"]) == (split, label))
        )
        found = f"no window of class {label!r} in the {split} split could be decoded ({why})"
        raise ShardError(f"{found}; mend or add clips, {out / LEDGER} names them")


def refuse_rejects(counts: dict[str, Any], most: float, out: Path) -> None:
    """More failures than the fraction `most`, of clips or of windows, is a RejectError."""
    for noun, total in (("clips", "rows"), ("windows", "seconds")):
        row = counts[noun]
        if row["failed"] > most * row[total]:
            raise RejectError(
                f"{row['failed']} of {row[total]} {noun} were rejected ({_format_counts(counts['reasons'])}), more than "
                f"decode.max_reject_fraction = {most:g}; the shards are written, see {out / LEDGER}"
            )


def _format_counts(counted: dict[str, int]) -> str:
    return ", ".join(f"{count} {reason}" for reason, count in counted.items()) or "no clips"


def _write_csv(path: Path, columns: Sequence[str], rows: Iterable[dict[str, Any]]) -> None:
    write_rows(path, columns, ([row.get(name) for name in columns] for row in rows))
