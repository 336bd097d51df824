"""Change values in the text of a YAML file; its comments stay.

`dvc exp run -S` rewrites params.yaml: lists item by item, nothing for null, and no blank line or
comment after a list. `patch_yaml` writes this form, in which such an edit changes its own line.
"""

from __future__ import annotations

import io
import sys
from typing import TYPE_CHECKING, Any

from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap

if TYPE_CHECKING:
    from collections.abc import Mapping

# Longer mappings in braces would be broken by ruamel, with a space at the end of a line.
WIDTH = 80


def patch_yaml(text: str, values: Mapping[str, Any]) -> str:
    """Return the text with other values, in the form that DVC keeps.

    Args:
        text: a mapping in YAML, without aliases.
        values: all of its values, changed or not, and values of new keys.
    """
    for _ in range(2):  # once more, for what follows a list that was none
        mapping = YAML().load(text)
        _merge(mapping, values, 0)
        text = _dump(YAML(), mapping)
    return text


def _merge(mapping: CommentedMap, values: Mapping[str, Any], indent: int) -> None:
    """Change a mapping in place; keys that the values lack stay."""
    for key, value in values.items():
        old = mapping.get(key)
        same = isinstance(old, dict) and isinstance(value, dict) and old.keys() <= value.keys()
        if same and not old.fa.flow_style():
            _merge(old, value, indent + 2)
        elif key not in mapping or isinstance(value, list) or old != value:
            mapping[key] = _style(key, value, indent)


def _style(key: str, value: Any, indent: int) -> Any:
    """Return a value as it is written: a mapping in braces if that fits into a line."""
    if not isinstance(value, dict):
        return value
    styled = CommentedMap(value)
    styled.fa.set_flow_style()
    flat = YAML()
    flat.width = sys.maxsize
    if len(_dump(flat, {key: styled}).rstrip()) + indent <= WIDTH:
        return styled
    return CommentedMap({name: _style(name, item, indent + 2) for name, item in value.items()})


def _dump(yaml: YAML, mapping: Any) -> str:
    stream = io.StringIO()
    yaml.dump(mapping, stream)
    return stream.getvalue()
