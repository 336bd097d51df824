"""Keys that an older params file lacks are named; rows that it lacks were removed."""

from __future__ import annotations

from typing import Any

import pytest

from pipeline.core.presets import find_preset, list_presets, read_values
from pipeline.project.news import list_new_keys
from tests.toys.project import PARAMS


def without(*places: str) -> dict[str, Any]:
    """The packaged values without some keys."""
    values: Any = read_values(PARAMS)
    for place in places:
        *parents, last = place.split(".")
        inner = values
        for key in parents:
            inner = inner[key]
        del inner[last]
    return values


@pytest.mark.parametrize(
    "lacking",
    [
        [],
        ["report.gallery"],
        ["decode.logmel.hop", "teach"],
        ["distill.jcf.tried", "evaluate.protocols.budget.trials"],
    ],
)
def test_keys_that_a_file_lacks_are_new(lacking: list[str]) -> None:
    assert list_new_keys(without(*lacking)) == lacking


def test_rows_that_a_file_lacks_or_adds_are_not_new() -> None:
    values = without("ingest.ave", "distill.dc")
    values["distill"] |= {"dm-fast": {"method": "dm"}, "pieces": {"method": "dm"}, "dm": None}
    values["distill"]["herding"] = {"method": "dm", "steps": 1}
    assert list_new_keys(values) == []


def test_an_overlay_has_no_new_keys() -> None:
    assert not [name for name in list_presets() if list_new_keys(read_values(find_preset(name)))]
