"""params.yaml: one section -> one frozen dataclass; unknown and missing keys are errors."""

from __future__ import annotations

import json
from dataclasses import dataclass, fields
from functools import cache
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeVar, cast

from pydantic import (
    BeforeValidator,
    ConfigDict,
    Field,
    TypeAdapter,
    ValidationError,
)
from pydantic import (
    NonNegativeFloat as NonNegativeFloat,
)
from pydantic import (
    NonNegativeInt as NonNegativeInt,
)
from pydantic import (
    PositiveFloat as PositiveFloat,
)
from pydantic import (
    PositiveInt as PositiveInt,
)

from pipeline.core.errors import ParamsError
from pipeline.core.names import read_name
from pipeline.core.paths import to_path
from pipeline.core.presets import (
    apply_changes,
    overlay,
    read_packaged,
    read_values,
    refuse_unknown_plugins,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pipeline.core.paths import AnyPath

T = TypeVar("T")

# Types of parameters; a plain number's bounds are pydantic's.
AtLeastTwo = Annotated[int, Field(ge=2)]
UnitInterval = Annotated[float, Field(ge=0, le=1)]
PositiveInts = Annotated[tuple[PositiveInt, ...], Field(min_length=1)]
PositiveFloats = Annotated[tuple[PositiveFloat, ...], Field(min_length=1)]
NonNegativeFloats = Annotated[tuple[NonNegativeFloat, ...], Field(min_length=1)]
Fractions = Annotated[tuple[Annotated[float, Field(gt=0, le=1)], ...], Field(min_length=1)]
Names = Annotated[tuple[str, ...], Field(min_length=1)]
RowName = Annotated[str, BeforeValidator(read_name)]
Files = Annotated[dict[str, str], Field(min_length=1)]


@dataclass(frozen=True, kw_only=True)
class Grid:
    """Section `grid`: the axes of the experiment.

    Args:
        datasets: rows of `ingest`.
        selectors: rows of `coreset`.
        methods: rows of `distill`.
        ipcs: instances per class; a cell is dataset x method x ipc.
        seeds: each cell is done once with each.
        infeasible: skip cells that need more samples than a class has, or refuse them.
    """

    datasets: tuple[RowName, ...]
    selectors: tuple[RowName, ...]
    methods: tuple[RowName, ...]
    ipcs: tuple[PositiveInt, ...]
    seeds: tuple[int, ...]
    infeasible: Literal["skip", "refuse"] = "skip"

    def __post_init__(self) -> None:
        for name in ("datasets", "selectors", "methods", "ipcs", "seeds"):
            axis = getattr(self, name)
            if not axis or len(set(axis)) < len(axis):
                raise ParamsError(
                    f"grid.{name} is {list(axis)}; expected at least one value, each once"
                )


@dataclass(frozen=True, kw_only=True)
class Params:
    """A params file in memory.

    Args:
        name: the file's name, for messages.
        values: its sections.
    """

    name: str
    values: dict[str, Any]

    def get_section(self, dotted: str) -> dict[str, Any]:
        """Return the mapping at `a.b`.

        Args:
            dotted: the section's keys, from the outermost to its own, separated by dots.

        Raises:
            ParamsError: there is no such section, or it is not a mapping.
        """
        value: Any = self.values
        for key in dotted.split("."):
            if not isinstance(value, dict) or key not in value:
                known = ", ".join(value) if isinstance(value, dict) else "none"
                raise ParamsError(f"{self.name} has no section {dotted!r}; there are {known}")
            value = value[key]
        if value is not None and not isinstance(value, dict):
            raise ParamsError(
                f"{self.name}: {dotted} is {value!r}, expected a section of keys and values"
            )
        return value or {}

    def build(self, section: str, kind: type[T], without: Sequence[str] = ()) -> T:
        """Return a section as a dataclass.

        Args:
            section: its keys, separated by dots.
            kind: the dataclass.
            without: keys of the section that are not the dataclass's.

        Raises:
            ParamsError: the section does not fit the dataclass.
        """
        values = {
            key: value for key, value in self.get_section(section).items() if key not in without
        }
        return build(kind, values, f"{self.name}: {section}")


def load(path: AnyPath, changes: Sequence[str] = ()) -> Params:
    """Read a params file; values that it lacks are those of the packaged params.yaml.

    Args:
        path: a whole params file, or a preset.
        changes: `section.key=value`, each value in YAML; see `apply_changes`.

    Raises:
        ParamsError: the file cannot be read, has unknown keys, or lacks the key of a change.
        PluginError: a row names a plugin that does not exist.
    """
    path = to_path(path)
    params = from_values(read_values(path), path.name)
    apply_changes(params.values, changes)
    refuse_unknown_plugins(params.values, path.name)
    return params


def from_values(values: Mapping[str, Any], name: str) -> Params:
    """Return params of some sections, overlaid on the packaged params.yaml.

    Args:
        values: section -> keys and values, e.g. those that an artifact carries.
        name: their origin, for messages.
    """
    return Params(name=name, values=overlay(read_packaged(), values, name))


def build(kind: type[T], values: dict[str, Any], where: str) -> T:
    """Build a dataclass from plain values.

    Args:
        kind: the dataclass.
        values: key -> number, word, list or mapping.
        where: the section, for the message.

    Raises:
        ParamsError: lists all unknown, missing and ill-typed keys, in one line.
    """
    try:
        # Strict, so that 'yes' is no boolean and 0.5 no integer; JSON, whose lists become tuples.
        text = json.dumps([values], allow_nan=False)
        built: T = _make_adapter(cast("Any", kind)).validate_json(text, strict=True)[0]
        return built
    except (TypeError, ValueError) as error:
        if not isinstance(error, ValidationError):
            raise ParamsError(
                f"{where}: {error}; expected plain numbers, words and lists"
            ) from error
        raise ParamsError(f"{where}: {_describe_errors(kind, error)}") from error


@cache
def _make_adapter(kind: Any) -> TypeAdapter[Any]:
    # Pydantic passes the configuration of a tuple on to dataclasses in it, at every depth.
    return TypeAdapter(tuple[kind], config=ConfigDict(extra="forbid"))


def _describe_errors(kind: Any, failed: ValidationError) -> str:
    """Return unknown keys, missing keys and wrong values, in this order."""
    errors = failed.errors()
    # A list whose item is wrong is also too short; only the item is described.
    around = {error["loc"][:depth] for error in errors for depth in range(len(error["loc"]))}
    places: dict[str, list[str]] = {"unexpected_keyword_argument": [], "missing": []}
    wrong = []
    for error in errors:
        place = ".".join(map(str, error["loc"][1:]))
        if error["type"] in places:
            places[error["type"]].append(place)
        elif error["loc"] not in around:
            text = error["msg"].removeprefix("Value error, ")
            wrong.append(f"{place} is {error['input']!r} ({text.lower()})" if place else text)
    unknown, missing = places.values()
    known = sorted(field.name for field in fields(kind))
    return "; ".join(
        [f"unknown {', '.join(sorted(unknown))}"] * bool(unknown)
        + [f"missing {', '.join(sorted(missing))}"] * bool(missing)
        + wrong
        + [f"expected {', '.join(known)}"] * any("." not in key for key in unknown + missing)
    )
