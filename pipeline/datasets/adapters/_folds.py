"""What adapters of sets in numbered folds share: which fold is test, which val."""

from __future__ import annotations

from pipeline.core.errors import ParamsError


def check(count: int, test: int, val: int) -> None:
    """Refuse folds that are none, or one fold for both."""
    if test == val or not {test, val} <= set(range(1, count + 1)):
        raise ParamsError(
            f"test_fold is {test} and val_fold {val}; expected two different folds from 1 to {count}"
        )


def split_of(fold: int, test: int, val: int) -> str:
    """The split of a fold."""
    return {test: "test", val: "val"}.get(fold, "train")
