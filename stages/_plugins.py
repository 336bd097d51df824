"""Every plugin that a top-level section of the params file gives values to."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pipeline.params import Params


def every(kind: str, params: Params) -> dict[str, Any]:
    """name -> plugin, for each name in the section `kind` (networks, heads, tasks, metrics)."""
    from pipeline import plugins

    return {name: params.build(f"{kind}.{name}", plugins.find(kind, name)) for name in params.section(kind)}
