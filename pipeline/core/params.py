"""params.yaml: one section -> one frozen dataclass, checked by pydantic; an unknown or a missing key is an error."""

from __future__ import annotations

import json
from dataclasses import dataclass, fields, is_dataclass
from typing import TYPE_CHECKING, Annotated, Any, TypeVar, get_args, get_type_hints

from pydantic import (
    Field,
    NonNegativeFloat,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
    TypeAdapter,
    ValidationError,
)
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from pipeline.core.errors import ParamsError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

T = TypeVar("T")

__all__ = [
    "AtLeastTwo",
    "Files",
    "Fractions",
    "Grid",
    "Names",
    "NonNegativeFloat",
    "NonNegativeFloats",
    "NonNegativeInt",
    "Params",
    "PositiveFloat",
    "PositiveFloats",
    "PositiveInt",
    "PositiveInts",
    "UnitInterval",
    "build",
    "load",
]

# Types of parameters; a plain number's bounds are pydantic's.
AtLeastTwo = Annotated[int, Field(ge=2)]
UnitInterval = Annotated[float, Field(ge=0, le=1)]
PositiveInts = Annotated[tuple[PositiveInt, ...], Field(min_length=1)]
PositiveFloats = Annotated[tuple[PositiveFloat, ...], Field(min_length=1)]
NonNegativeFloats = Annotated[tuple[NonNegativeFloat, ...], Field(min_length=1)]
Fractions = Annotated[tuple[Annotated[float, Field(gt=0, le=1)], ...], Field(min_length=1)]
Names = Annotated[tuple[str, ...], Field(min_length=1)]
Files = Annotated[dict[str, str], Field(min_length=1)]


@dataclass(frozen=True, kw_only=True)
class Grid:
    """Section `grid`: the axes of the experiment; `seeds` are looped inside a cell."""

    datasets: tuple[str, ...]
    selectors: tuple[str, ...]
    methods: tuple[str, ...]
    ipcs: tuple[PositiveInt, ...]
    seeds: tuple[int, ...]

    def __post_init__(self) -> None:
        for field in fields(self):
            axis = getattr(self, field.name)
            if not axis or len(set(axis)) < len(axis):
                raise ParamsError(
                    f"grid.{field.name} is {list(axis)}; expected one value or more, each of them once"
                )


@dataclass(frozen=True, kw_only=True)
class Params:
    """A params file in memory; `name` is the file, for messages."""

    name: str
    values: dict[str, Any]

    def get_section(self, dotted: str) -> dict[str, Any]:
        """The mapping at `a.b`; ParamsError names the file and what stands there."""
        value: Any = self.values
        for key in dotted.split("."):
            if not isinstance(value, dict) or key not in value:
                known = ", ".join(value) if isinstance(value, dict) else "no mapping"
                raise ParamsError(f"{self.name} has no section {dotted!r}; beside it: {known}")
            value = value[key]
        if value is not None and not isinstance(value, dict):
            raise ParamsError(
                f"{self.name}: {dotted} is {value!r}, expected a section of keys and values"
            )
        return value or {}

    def build(self, section: str, kind: type[T], without: Sequence[str] = ()) -> T:
        """The section as a `kind`; keys in `without` belong to somebody else."""
        values = {
            key: value for key, value in self.get_section(section).items() if key not in without
        }
        return build(kind, values, f"{self.name}: {section}")


def load(path: Path, changes: Sequence[str] = ()) -> Params:
    """Read a params file and apply `a.b=value` changes, each value in YAML; a change must name an existing key."""
    try:
        values = _parse_yaml(path.read_text(encoding="utf-8"))
    except UnicodeDecodeError as error:
        raise ParamsError(
            f"{path} is no text in UTF-8 ({error.reason}); name a params file with --params-file"
        ) from error
    except OSError as error:
        raise ParamsError(
            f"{path}: {error.strerror}; name a params file with --params-file, or copy one from presets/"
        ) from error
    except YAMLError as error:
        raise ParamsError(f"{path} is not valid YAML: {' '.join(str(error).split())}") from error
    if not isinstance(values, dict):
        raise ParamsError(f"{path} holds no sections; copy a params file from presets/")
    for change in changes:
        _apply(values, change)
    return Params(name=path.name, values=values)


def build(kind: type[T], values: dict[str, Any], where: str) -> T:
    """Build a dataclass from plain values; ParamsError lists unknown, missing and ill-typed keys in one line."""
    _check_keys(kind, values, where)
    try:
        # Strict, so that 'yes' is no boolean and 0.5 no count; by way of JSON, where a list may become a tuple.
        return TypeAdapter(kind).validate_json(json.dumps(values, allow_nan=False), strict=True)
    except (TypeError, ValueError) as error:
        if not isinstance(error, ValidationError):
            raise ParamsError(
                f"{where}: {error}; expected plain numbers, words and lists"
            ) from error
        raise ParamsError(
            f"{where}: {'; '.join(map(_format_error, _find_causes(error)))}"
        ) from error


def _find_causes(failed: ValidationError) -> list[Mapping[str, Any]]:
    """What is wrong, less that a tuple is short: one that is short because of a wrong item is told by the item."""
    found = failed.errors()
    around = {error["loc"][:depth] for error in found for depth in range(len(error["loc"]))}
    return [error for error in found if error["loc"] not in around]


def _format_error(error: Mapping[str, Any]) -> str:
    """One wrong value, or what a section's own check says of it."""
    place = ".".join(str(part) for part in error["loc"])
    return (
        f"{place} is {error['input']!r} ({error['msg'].lower()})"
        if place
        else error["msg"].removeprefix("Value error, ")
    )


def _check_keys(kind: Any, values: dict[str, Any], where: str) -> None:
    known = {field.name for field in fields(kind)}
    unknown, missing = sorted(values.keys() - known), sorted(known - values.keys())
    if unknown or missing:
        wrong = [f"unknown {', '.join(unknown)}"] * bool(unknown) + [
            f"missing {', '.join(missing)}"
        ] * bool(missing)
        raise ParamsError(f"{where}: {'; '.join(wrong)}; expected {', '.join(sorted(known))}")
    for name, hint in get_type_hints(kind).items():
        if is_dataclass(hint) and isinstance(values.get(name), dict):
            _check_keys(hint, values[name], f"{where}.{name}")
        each = next(iter(get_args(hint)), None)  # the items of a tuple
        if is_dataclass(each) and isinstance(values.get(name), list):
            for number, item in enumerate(values[name]):
                if isinstance(item, dict):
                    _check_keys(each, item, f"{where}.{name}.{number}")


def _parse_yaml(text: str) -> Any:
    """YAML 1.2, as DVC reads it: 1e-3 is a number and `no` a word."""
    return YAML(typ="safe").load(text)


def _apply(values: dict[str, Any], change: str) -> None:
    name, equals, text = change.partition("=")
    *parents, last = name.split(".")
    place: Any = values
    for key in parents:
        place = place.get(key) if isinstance(place, dict) else None
    if not equals or not isinstance(place, dict) or last not in place:
        raise ParamsError(
            f"--set {change}: expected section.key=value with a key that the params file has"
        )
    try:
        place[last] = _parse_yaml(text)
    except YAMLError as error:
        raise ParamsError(f"--set {change}: {' '.join(str(error).split())}") from error
