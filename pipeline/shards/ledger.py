"""The ledger: the outcome of every clip and window, and their counts for tables and plots.

Two equations hold: rows = ok + failed + filtered (clips), seconds = ok + failed + filtered
(windows).
"""

from __future__ import annotations

from collections import Counter, defaultdict
from math import ceil
from typing import TYPE_CHECKING, Any

from pipeline.core.csv import read_rows, write_rows
from pipeline.core.errors import REASONS, RejectError, ShardError
from pipeline.core.files import write_json
from pipeline.core.paths import to_path
from pipeline.shards.index import LEAKS, LEDGER
from pipeline.shards.outcomes import COLUMNS, Row

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from pipeline.core.paths import AnyPath
    from pipeline.core.records import Clip

VERDICTS = ("ok", "failed", "filtered")
TABLE_KEYS = ("split", "label", "verdict", "reason")


def counts_of(out: AnyPath) -> Path:
    """Return the file of the ledger's counts, beside the shards, where DVC tracks it as metrics.

    Args:
        out: the folder of the shards.
    """
    out = to_path(out)
    return out.with_name(f"{out.name}.json")


def table_of(out: AnyPath) -> Path:
    """Return the file that counts windows by split, label, verdict and reason, for DVC's plots.

    Args:
        out: the folder of the shards; the file lies beside it.
    """
    out = to_path(out)
    return out.with_name(f"{out.name}.csv")


def read_ledger(out: AnyPath) -> dict[tuple[str, str], list[Row]]:
    """Read an earlier run's ledger as (split, shard) -> rows; it is empty if there was no run.

    Args:
        out: the folder of the shards.
    """
    out = to_path(out)
    rows: dict[tuple[str, str], list[Row]] = defaultdict(list)
    if (out / LEDGER).is_file():
        for _, row in read_rows(out / LEDGER, "a ledger, which `avdistill decode` writes"):
            rows[row.get("split", ""), row.get("shard", "")].append(row)
    return rows


def write_ledger(
    rows: Sequence[Row], clips: Sequence[Clip], leaks: dict[str, int], out: Path
) -> dict[str, Any]:
    """Write ledger, counts and table; return the counts by noun, and those of reasons and leaks.

    Args:
        rows: of all clips and windows.
        clips: of the manifest.
        leaks: pair of splits -> number of near-duplicates.
        out: the folder of the shards.
    """
    assert {row["reason"] for row in rows} <= {"", *REASONS}, "a reason is not in the closed list"
    _write_csv(out / LEDGER, COLUMNS, rows)
    clip_rows = [row for row in rows if not row["second"]]
    windows = [row for row in rows if row["second"]]
    counts: dict[str, Any] = {
        "clips": {"rows": len(clips), **_count_verdicts(clip_rows)},
        "windows": {"seconds": len(windows), **_count_verdicts(windows)},
        "reasons": count_reasons(rows),
        "leaks": leaks,
    }
    for noun, total in (("clips", "rows"), ("windows", "seconds")):
        assert counts[noun][total] == sum(counts[noun][verdict] for verdict in VERDICTS), (
            f"{total} = ok + failed + filtered"
        )
    write_json(counts_of(out), counts)
    # A clip without windows counts once, so that none is missing from the plot.
    bare = {row["clip_id"] for row in clip_rows} - {row["clip_id"] for row in windows}
    counted = [*windows, *(row for row in clip_rows if row["clip_id"] in bare)]
    table = Counter(tuple(row[name] for name in TABLE_KEYS) for row in counted)
    cells = [
        dict(zip(TABLE_KEYS, key, strict=True), count=str(table[key])) for key in sorted(table)
    ]
    _write_csv(table_of(out), (*TABLE_KEYS, "count"), cells)
    return counts


def _count_verdicts(rows: Sequence[Row]) -> dict[str, int]:
    counter = Counter(row["verdict"] for row in rows)
    return {verdict: counter[verdict] for verdict in VERDICTS}


def count_training_windows(out: Path) -> dict[str, int]:
    """Return class -> training windows that were decoded.

    Args:
        out: the folder of the shards; the table of counts lies beside it.
    """
    counts: dict[str, int] = defaultdict(int)
    for _, row in read_rows(table_of(out), "a table of counts, which `avdistill decode` writes"):
        if row["split"] == "train":
            counts[row["label"]] += int(row["count"]) if row["verdict"] == "ok" else 0
    return dict(counts)


def format_counts(counts: dict[str, Any], clips: Iterable[Clip], out: Path) -> list[str]:
    """Format the two equations, the rejects and the near-duplicates across splits as lines.

    Args:
        counts: as `write_ledger` returns them.
        clips: of the manifest.
        out: the folder of the shards, with its ledger.
    """
    lines = []
    for noun in ("clips", "windows"):
        (total_name, total), *verdicts = counts[noun].items()
        terms = " + ".join(f"{count} {verdict}" for verdict, count in verdicts)
        lines.append(f"{noun}: {total} {total_name} = {terms}")
    lines += describe_rejects((row for rows in read_ledger(out).values() for row in rows), clips)
    pairs = [f"{count} {splits}" for splits, count in counts["leaks"].items() if count]
    if pairs:
        lines.append(f"near-duplicates across splits: {', '.join(pairs)}; see {out / LEAKS}")
    return lines


def describe_rejects(rows: Iterable[Row], clips: Iterable[Clip]) -> list[str]:
    """Return a line per verdict but ok: reason, count, and the files of the first.

    Args:
        rows: of the ledger; a clip that has windows counts by these alone.
        clips: of the manifest.
    """
    rows, paths = list(rows), {clip.clip_id: clip.path for clip in clips}
    with_windows = {row["clip_id"] for row in rows if row["second"]}
    lines = []
    for verdict in VERDICTS[1:]:
        found: dict[tuple[str, str], list[str]] = defaultdict(list)
        for row in rows:
            if row["verdict"] == verdict and (row["second"] or row["clip_id"] not in with_windows):
                noun = "window" if row["second"] else "clip"
                found[row["reason"], noun].append(paths.get(row["clip_id"], row["clip_id"]))
        parts = [
            f"{reason} {len(named)} {noun}{'s' * (len(named) > 1)} ({_name_files(named)})"
            for (reason, noun), named in sorted(found.items())
        ]
        lines += [f"{verdict}: {'; '.join(parts)}"] if parts else []
    return lines


def _name_files(paths: list[str]) -> str:
    """Name the first three files by their last folder and name."""
    names = list(dict.fromkeys("/".join(path.split("/")[-2:]) for path in paths))
    return ", ".join(names[:3]) + ", ..." * (len(names) > 3)


def count_reasons(rows: Iterable[Row]) -> dict[str, int]:
    """Return reason -> number of rows that have it.

    Args:
        rows: of clips and of windows.
    """
    return dict(sorted(Counter(row["reason"] for row in rows if row["reason"]).items()))


def refuse_empty(rows: Sequence[Row], clips: Iterable[Clip], out: Path) -> None:
    """Raise ShardError if a class has no sample in a split that lists its clips.

    Args:
        rows: of the ledger.
        clips: of the manifest.
        out: the folder of the shards.
    """
    decoded = {(row["split"], row["label"]) for row in rows if row["verdict"] == "ok"}
    for split, label in sorted({(clip.split, clip.label) for clip in clips} - decoded):
        lost = [row for row in rows if (row["split"], row["label"]) == (split, label)]
        if all(row["verdict"] == "filtered" for row in lost):
            counts = _format_reasons(count_reasons(row for row in lost if row["second"]))
            raise ShardError(
                f"all windows of class {label!r} in the {split} split were filtered ({counts}); "
                f"lower that filter in decode.filters, or add clips; {out / LEDGER} names them"
            )
        raise ShardError(
            f"no window of class {label!r} in the {split} split could be decoded "
            f"({_format_reasons(count_reasons(lost))}); repair these clips or add others, "
            f"{out / LEDGER} names them"
        )


def refuse_rejects(
    counts: dict[str, Any], rejects: Sequence[str], max_fraction: float, out: Path
) -> None:
    """Raise RejectError if a larger fraction of the clips or of the windows failed.

    Args:
        counts: as `write_ledger` returns them.
        rejects: lines of `describe_rejects`.
        max_fraction: the fraction that may fail.
        out: the folder of the shards.
    """
    nouns = {"clips": "rows", "windows": "seconds"}
    failed = {noun: counts[noun]["failed"] for noun in nouns}
    totals = {noun: counts[noun][total] for noun, total in nouns.items()}
    fitting = max(ceil(100 * failed[noun] / max(totals[noun], 1)) for noun in nouns) / 100
    for noun, total in totals.items():
        if failed[noun] > max_fraction * total:
            raise RejectError(
                f"{failed[noun]} of {total} {noun} were rejected ({'; '.join(rejects)}), more than "
                f"decode.max_reject_fraction = {max_fraction:g}; the shards are written, see "
                f"{out / LEDGER}; repair or add these files, or go on without them: set "
                f"decode.max_reject_fraction to {fitting:g} or more"
            )


def _format_reasons(counts: dict[str, int]) -> str:
    return ", ".join(f"{count} {reason}" for reason, count in counts.items()) or "no clips"


def _write_csv(path: Path, columns: Sequence[str], rows: Iterable[dict[str, Any]]) -> None:
    write_rows(path, columns, ([row.get(name) for name in columns] for row in rows))
