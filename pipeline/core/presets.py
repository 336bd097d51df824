"""The packaged params.yaml, and overlays on it: presets, a project's file, values in an artifact.

An overlay holds the values that differ, merged key by key. In a section of rows, such as `distill`:
a new row starts as a copy of the row that has its plugin's name, if there is one, and each value of
a row is replaced whole. So is a mapping by modality, and one that is empty in the packaged file.
"""

from __future__ import annotations

import difflib
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ruamel.yaml import YAML
from ruamel.yaml.constructor import SafeConstructor
from ruamel.yaml.error import YAMLError

from pipeline.core.errors import ParamsError
from pipeline.core.names import read_name, refuse_bad_names
from pipeline.core.paths import escape_bytes, list_folder
from pipeline.core.plugins import KINDS, plugin_of_row

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

# The files of a new project, and the values of the tests. In a clone params.yaml and graph.yaml are
# copied to the top folder, where users edit them; the others are links to files there.
PACKAGED = Path(__file__).parent / "packaged"
MODALITIES = {"frame", "logmel", "wave"}
# Section of rows -> the key of a row that names its plugin.
ROWS = {about.section: about.key for about in KINDS.values() if about.section}
ROWS["students"] = ""


class TextConstructor(SafeConstructor):
    """As ruamel's, but dates are text, and so are names that are whole numbers."""

    def construct_mapping(self, node: Any, deep: bool = False) -> Any:
        """Return a mapping; its keys are names.

        Args:
            node: of the YAML.
            deep: as ruamel passes it.
        """
        mapping = super().construct_mapping(node, deep)
        return {read_name(key): value for key, value in mapping.items()}


for _kind in ("timestamp", "value"):  # a date, and `=`
    TextConstructor.add_constructor(
        f"tag:yaml.org,2002:{_kind}", SafeConstructor.construct_yaml_str
    )


def parse_yaml(text: str, where: str) -> Any:
    """Parse YAML 1.2, as DVC reads it: 1e-3 is a number and `no` a word. Dates are text.

    Args:
        text: the YAML.
        where: its origin, for the message.

    Raises:
        ParamsError: the text is not valid YAML.
    """
    yaml = YAML(typ="safe")
    yaml.Constructor = TextConstructor
    try:
        return yaml.load(text)
    except YAMLError as error:
        raise ParamsError(f"{where} is not valid YAML: {' '.join(str(error).split())}") from error


def list_presets() -> list[str]:
    """List the names of the packaged presets, sorted."""
    return sorted(path.stem for path in list_folder(PACKAGED / "presets", "*.yaml"))


def find_preset(name: str) -> Path:
    """Return the file of a preset.

    Args:
        name: a packaged preset's name, or the path of another one, ending in .yaml.

    Raises:
        ParamsError: there is no such preset.
    """
    path = Path(name) if name.endswith(".yaml") else PACKAGED / "presets" / f"{name}.yaml"
    if not path.is_file():
        known = ", ".join(list_presets())
        raise ParamsError(f"no preset {name!r}; name one of {known}, or a file that ends in .yaml")
    return path


def read_values(path: Path) -> dict[str, Any]:
    """Read a params file or a preset as it is, not overlaid on another one.

    Args:
        path: the file.

    Raises:
        ParamsError: the file is missing, or does not hold sections in YAML.
    """
    try:
        values = parse_yaml(path.read_text(encoding="utf-8"), str(path))
    except UnicodeDecodeError as error:
        raise ParamsError(
            f"{path} is not text in UTF-8 ({error.reason}); name a params file with --params-file"
        ) from error
    except OSError as error:
        raise ParamsError(
            f"{path}: {error.strerror}; name a params file with --params-file, "
            "or make one with `avdistill init`"
        ) from error
    if not isinstance(values, dict):
        raise ParamsError(f"{path} has no sections; make a params file with `avdistill init`")
    return values


@cache
def read_packaged() -> Mapping[str, Any]:
    """Read the packaged params.yaml."""
    return read_values(PACKAGED / "params.yaml")


def overlay(base: Mapping[str, Any], changes: Mapping[str, Any], name: str) -> dict[str, Any]:
    """Return a copy of `base` with the values of an overlay.

    Args:
        base: sections, e.g. of the packaged params.yaml.
        changes: the overlay's sections.
        name: the overlay's file, for messages.

    Raises:
        ParamsError: the overlay has keys that the base does not know.
        PluginError: a row names a plugin that does not exist.
    """
    unknown: list[str] = []
    values = _merge(base, changes, "", unknown)
    if unknown:
        raise ParamsError(f"{name}: {'; '.join(unknown)}")
    for section in ROWS:
        refuse_bad_names(section, values.get(section) or (), name)
    refuse_unknown_plugins(values, name)
    copied: dict[str, Any] = _copy(values)
    return copied


def refuse_unknown_plugins(values: Mapping[str, Any], name: str) -> None:
    """Raise a PluginError if a row names a plugin that does not exist.

    Args:
        values: all sections of a params file.
        name: the file, for the message.
    """
    for kind, about in KINDS.items():
        for row, given in (values.get(about.section) or {}).items():
            plugin_of_row(kind, row, given if isinstance(given, dict) else {}, name)


def apply_changes(values: dict[str, Any], changes: Iterable[str]) -> None:
    """Set values by `section.key=value`; a mapping that is empty or by modality takes new keys.

    Args:
        values: all sections of a params file; they are changed.
        changes: each value is YAML.

    Raises:
        ParamsError: a change is not of this form, or its key is unknown; the nearest is named.
    """
    before = _copy(values)
    for change in changes:
        if escape_bytes(change) != change:
            raise ParamsError(f"--set {escape_bytes(change)} is not UTF-8 text; type it in UTF-8")
        name, equals, text = change.partition("=")
        *parents, last = name.split(".")
        if not equals or not parents:
            raise ParamsError(f"--set {change}: expected section.key=value")
        place, original = values, before
        for depth, key in enumerate(parents):
            _refuse_unknown_key(place, key, ".".join(parents[: depth + 1]), change)
            place, original = place[key], original.get(key, {})
        free = isinstance(place, dict) and not is_section(original)
        if not free:
            _refuse_unknown_key(place, last, name, change)
        place[last] = parse_yaml(text, f"--set {change}")


def _refuse_unknown_key(place: Any, key: str, name: str, change: str) -> None:
    if not isinstance(place, dict):
        raise ParamsError(
            f"--set {change}: {name.rpartition('.')[0]} is {place!r}, and has no keys"
        )
    if key not in place:
        raise ParamsError(f"--set {change}: {_describe_unknown(name, key, place)}")


def _merge(
    base: Mapping[str, Any], changes: Mapping[str, Any], path: str, unknown: list[str]
) -> dict[str, Any]:
    """Merge key by key; keys that the base lacks are described in `unknown`."""
    merged = dict(base)
    for key, value in changes.items():
        place = f"{path}.{key}" if path else str(key)
        if key not in base:
            unknown.append(_describe_unknown(place, key, base))
        elif place not in ROWS and not is_section(base[key]):
            merged[key] = value
        elif isinstance(value, dict):
            merge = _merge_rows if place in ROWS else _merge
            merged[key] = merge(base[key], value, place, unknown)
        elif value is not None:
            unknown.append(f"{place} is {value!r}, expected a section of keys and values")
    return merged


def is_section(value: Any) -> bool:
    """Tell whether a value is a mapping of known keys; others are empty, or by modality.

    Args:
        value: of a key in the packaged params.yaml.
    """
    return isinstance(value, dict) and not value.keys() <= MODALITIES


def _merge_rows(
    base: Mapping[str, Any], changes: Mapping[str, Any], section: str, unknown: list[str]
) -> dict[str, Any]:
    """Merge a section of rows: first those that the base has, for new ones may start from them."""
    merged, rows = dict(base), {}
    for name, row in changes.items():
        if isinstance(row, dict | None):
            rows[name] = row or {}
        else:
            unknown.append(f"{section}.{name} is {row!r}, expected keys and values")
    for name in sorted(rows, key=lambda name: name not in base):
        plugin = _plugin(section, name, base.get(name, {}) | rows[name])
        same = {key: row for key, row in merged.items() if _plugin(section, key, row) == plugin}
        known = {key for row in same.values() for key in row} | {ROWS[section]}
        wrong = sorted(rows[name].keys() - known) if same else []
        unknown += [_describe_unknown(f"{section}.{name}.{key}", key, known) for key in wrong]
        origin: Any = next((row for key, row in same.items() if key == plugin), {})
        named = {key: value for key, value in rows[name].items() if key == ROWS[section]}
        merged[name] = {**named, **same.get(name, origin), **rows[name]}
    return merged


def _plugin(section: str, name: str, row: Mapping[str, Any]) -> Any:
    """Return the plugin of a row; rows of a section without plugins are all alike."""
    return row.get(ROWS[section], name) if ROWS[section] else None


def _describe_unknown(place: str, key: Any, known: Iterable[str]) -> str:
    nearest = difflib.get_close_matches(str(key), sorted(filter(None, known)), 1, cutoff=0)
    return f"unknown key {place}" + (f", the nearest is {nearest[0]}" if nearest else "")


def _copy(value: Any) -> Any:
    """Copy mappings and lists, each place apart: an alias in YAML is one object in two places."""
    if isinstance(value, dict):
        return {key: _copy(item) for key, item in value.items()}
    return [_copy(item) for item in value] if isinstance(value, list) else value
