"""Facts of every plugin: its class, its parameters, its first line."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from pipeline.core.plugins import KINDS
from stages.contract.subject import expect

if TYPE_CHECKING:
    from stages.contract.subject import Subject


def check_class(subject: Subject) -> None:
    """Check that its module has the class of its kind."""
    found, expected = type(subject.plugin).__name__, KINDS[subject.kind].defines
    expect(found == expected, found, expected)


def check_frozen(subject: Subject) -> None:
    """Check that the class is a frozen dataclass with keyword-only fields."""
    kind = type(subject.plugin)
    rule = "@dataclass(frozen=True, kw_only=True)"
    expect(dataclasses.is_dataclass(kind), "no dataclass", rule)
    fields = [field.name for field in dataclasses.fields(kind) if not field.kw_only]
    expect(not fields, f"fields {', '.join(fields)} without a keyword", rule)
    try:
        subject.plugin.anything = 1
    except dataclasses.FrozenInstanceError:
        return
    expect(False, "fields that can be changed", rule)


def check_defaults(subject: Subject) -> None:
    """Check that no parameter has a default: each value stands in params."""
    missing = dataclasses.MISSING
    named = [
        field.name
        for field in dataclasses.fields(subject.plugin)
        if (field.default, field.default_factory) != (missing, missing)
    ]
    expect(not named, f"defaults of {', '.join(named)}", "values in params.yaml alone")


def check_docstring(subject: Subject) -> None:
    """Check that its module begins with a line about it, which lists and docs show."""
    first = str(subject.module.__doc__ or "").strip().partition("\n")[0]
    expect(bool(first), "no docstring of the module", "a first line that says what it does")


FACTS = (check_class, check_frozen, check_defaults, check_docstring)
