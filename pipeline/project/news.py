"""Keys of the packaged params.yaml that a params file, e.g. of an older version, lacks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pipeline.core.presets import ROWS, is_section, read_packaged, read_values

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

MOST = 8


def describe_news(path: Path) -> str:
    """Return a line with the keys that a params file lacks, '' if it lacks none.

    Args:
        path: the file.
    """
    new = list_new_keys(read_values(path))
    listed = ", ".join(new[:MOST]) + ", ..." * (len(new) > MOST)
    return f"{path.name} lacks {listed}; packaged values count" if new else ""


def list_new_keys(values: Mapping[str, Any]) -> list[str]:
    """List the packaged keys that a params file lacks.

    A row that is missing was removed. A file with few of the sections is an overlay.

    Args:
        values: the file's sections.
    """
    known = read_packaged()
    return list(_find_new(known, values, "")) if 4 * len(values) > 3 * len(known) else []


def _find_new(base: Mapping[str, Any], values: Mapping[str, Any], path: str) -> Iterator[str]:
    for key, known in base.items():
        place, given = f"{path}.{key}" if path else key, values.get(key)
        if key not in values:
            yield place
        elif place in ROWS:
            for row, own in (given or {}).items():
                whole, named = known.get(row, {}), ROWS[place]
                if own and own.get(named, row) == whole.get(named, row):
                    yield from (f"{place}.{row}.{new}" for new in whole if new not in own)
        elif is_section(known):
            yield from _find_new(known, given or {}, place)
