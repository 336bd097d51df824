"""The tests: a folder per room, the toys that they share, and the rules of the house."""

import pytest

pytest.register_assert_rewrite("tests.toys")
