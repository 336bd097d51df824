"""kind of plugin -> its plugins, a line and a paper each"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pipeline.core.params import Params


def list(kind: str = "", *, params: Params) -> str:  # noqa: A001 - the command's name
    """List the plugins of a kind, each with a line and its paper or home page.

    KIND is one of datasets, {kinds}; without it, these are listed. The rows of the params file have
    names of their own.

    Example: avdistill list methods
    """
    from pipeline.core.plugins import kind_of, list_kinds, summarise

    if not kind:
        return "\n".join(list_kinds())
    rows = [*summarise(kind_of(kind), params)]
    wide = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ["  ".join(map(str.ljust, row, wide)) for row in rows]
    return "\n".join(line.rstrip() for line in lines)
