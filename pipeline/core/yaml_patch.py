"""Change values in the text of a YAML file, so that its comments stay."""

from __future__ import annotations

import io
import re
import sys
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ruamel.yaml import YAML
from ruamel.yaml.nodes import MappingNode, ScalarNode

from pipeline.core.presets import parse_yaml

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

WIDTH = 100


def patch_yaml(text: str, values: Mapping[str, Any]) -> str:
    """Return the text with other values; lines whose values stay are left alone, with comments.

    Args:
        text: a mapping in YAML.
        values: all of its values, changed or not, and values of new keys.
    """
    patch = _Patch(text)
    patch.visit(YAML().compose(text), parse_yaml(text, "the text"), values, 0)
    for _, (start, end, new) in sorted(enumerate(patch.edits), key=_place_of, reverse=True):
        text = text[:start] + new + text[end:]
    return text


def _place_of(edit: tuple[int, tuple[int, int, str]]) -> tuple[int, int]:
    number, (start, _, _) = edit
    return start, number


@dataclass
class _Patch:
    """Edits of a YAML text.

    Args:
        text: the text.
        edits: (start, end, replacement), in characters of the text.
        anchored: id of a node -> its new value, for aliases of the node.
    """

    text: str
    edits: list[tuple[int, int, str]] = field(default_factory=list)
    anchored: dict[int, Any] = field(default_factory=dict)

    def visit(self, mapping: Any, old: Any, new: Mapping[str, Any], indent: int) -> None:
        """Edit a mapping in block style; new keys follow its last entry."""
        for key_node, node in mapping.value:
            key, colon = key_node.value, self.text.index(":", key_node.end_mark.index) + 1
            if _is_alias(key_node, node):
                if new[key] != self.anchored[id(node)]:
                    self._replace((key, new[key]), indent, (colon, self._end_of_alias(key_node)))
                continue
            self.anchored[id(node)] = new[key]
            if (
                _is_block(node)
                and isinstance(new[key], dict)
                and old[key].keys() <= new[key].keys()
            ):
                self.visit(node, old[key], new[key], indent + 2)
            elif old[key] != new[key]:
                self._replace((key, new[key]), indent, (colon, self._end_of(node)), node.anchor)
        place = self._find_end(r"[^\n]*", self._end_of(mapping))
        lines = [line for key in new if key not in old for line in _render(key, new[key], indent)]
        self._insert(place, lines)

    def _replace(
        self, entry: tuple[str, Any], indent: int, span: tuple[int, int], anchor: str | None = None
    ) -> None:
        """Put a value after its key's colon: on that line if it fits, else in block style below."""
        first, *below = _render(*entry, indent, anchor)
        self.edits.append((*span, first[first.index(":") + 1 :]))
        self._insert(self._find_end(r"[^\n]*", span[1]), below)

    def _insert(self, place: int, lines: Sequence[str]) -> None:
        self.edits.append((place, place, "".join(f"\n{line}" for line in lines)))

    def _end_of(self, node: Any) -> int:
        """Return where a node's last value ends: a block's own end is after comments below it."""
        if isinstance(node, ScalarNode) or node.flow_style:
            return int(node.end_mark.index)
        if not isinstance(node, MappingNode):
            return self._end_of(node.value[-1])
        key, last = node.value[-1]
        return self._end_of_alias(key) if _is_alias(key, last) else self._end_of(last)

    def _end_of_alias(self, key: Any) -> int:
        return self._find_end(r"\*[^\s,}\]]+", key.end_mark.index)

    def _find_end(self, pattern: str, start: int) -> int:
        found = re.compile(pattern).search(self.text, start)
        return found.end() if found else start


def _is_alias(key: Any, node: Any) -> bool:
    """Tell whether a value is an alias, which has the node of its anchor."""
    return bool(node.start_mark.index < key.end_mark.index)


def _is_block(node: Any) -> bool:
    return isinstance(node, MappingNode) and not node.flow_style


def _render(key: str, value: Any, indent: int, anchor: str | None = None) -> list[str]:
    """Return the lines of an entry: one if it fits, else one per item."""
    head = " " * indent + f"{key}:" + (f" &{anchor}" if anchor else "")
    line = f"{head} {_render_flow(value)}"
    if len(line) <= WIDTH or not value or not isinstance(value, dict | list):
        return [line]
    if isinstance(value, dict):
        return [head, *(line for item in value.items() for line in _render(*item, indent + 2))]
    return [head, *(line for item in value for line in _render_item(item, indent + 2))]


def _render_item(item: Any, indent: int) -> list[str]:
    """Return the lines of an item of a list in block style."""
    line = " " * indent + f"- {_render_flow(item)}"
    if len(line) <= WIDTH or not isinstance(item, dict):
        return [line]
    lines = [line for entry in item.items() for line in _render(*entry, indent + 2)]
    return [" " * indent + "- " + lines[0].lstrip(), *lines[1:]]


def _render_flow(value: Any) -> str:
    """Return a value on one line."""
    if isinstance(value, dict):
        return f"{{{', '.join(f'{key}: {_render_flow(item)}' for key, item in value.items())}}}"
    if isinstance(value, list):
        return f"[{', '.join(map(_render_flow, value))}]"
    yaml: Any = YAML(typ="safe", pure=True)
    yaml.default_flow_style, yaml.width = True, sys.maxsize
    stream = io.StringIO()
    yaml.dump([value], stream)
    return stream.getvalue().strip()[1:-1]
