"""kind of plugin -> its plugins, a line and a paper each"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pipeline.core.params import Params


def list(kind: str = "", *, params: Params) -> str:  # noqa: A001 - the command's name
    """List the plugins of a kind, each with a line and its paper or home page.

    KIND is one of datasets, {kinds}; without it, these are listed. The rows of the params file have
    names of their own.

    Example: avdistill list methods
    """
    from stages._arguments import kind_of, list_kinds

    if not kind:
        return "\n".join(list_kinds())
    rows = [*summarise(kind_of(kind), params)]
    wide = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ["  ".join(map(str.ljust, row, wide)) for row in rows]
    return "\n".join(line.rstrip() for line in lines)


def summarise(kind: str, params: Params) -> Iterator[tuple[str, str, str]]:
    """Yield (name, line, address) of each row of a kind's section, and of plugins without a row.

    The line is the plugin's title, or its module's first one. The address is its paper, or the home
    page of the dataset that it reads.

    Args:
        kind: a key of KINDS.
        params: the params file.
    """
    from pipeline.core import plugins

    section = plugins.KINDS[kind].section
    names = params.get_section(section) if section else {}
    rows = {row: plugins.plugin_of(kind, row, params) for row in names}
    others = {name: name for name in plugins.list_names(kind) if name not in rows.values()}
    for row, name in sorted({**others, **rows}.items()):
        module = plugins.import_plugin(kind, name)
        title, paper = plugins.describe(kind, name, row)
        first = str(module.__doc__).strip().splitlines()[0]
        home = getattr(getattr(module, "SOURCE", None), "home", "")
        yield row, first if title in (row, name) else title, paper or home
