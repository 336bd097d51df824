"""Golden values: losses and rows of every method on the toy, held to four digits."""

from __future__ import annotations

import pytest

from pipeline.core import plugins
from tests.toys.golden import GOLDEN, summary


def test_every_method_is_here() -> None:
    assert {entry["method"] for entry in GOLDEN.values()} == set(plugins.list_names("method"))


@pytest.mark.parametrize("method", sorted(GOLDEN))
def test_the_numbers_are_what_they_were(method: str) -> None:
    # Processors add float32 in different orders: with and without AVX2 and AVX-512 the numbers
    # differ by 1e-5. A wrong formula, or one draw more, is off by percents.
    found = summary(method)
    numbers = GOLDEN[method]["numbers"]
    assert set(found) == set(numbers)
    for name, expected in numbers.items():
        assert found[name] == pytest.approx(tuple(expected), rel=1e-4, abs=1e-6), name
