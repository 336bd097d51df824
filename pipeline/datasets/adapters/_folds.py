"""Splits of datasets in numbered folds: one fold is test, one val, the others train."""

from __future__ import annotations

from pipeline.core.errors import ParamsError


def check(count: int, test: int, val: int) -> None:
    """Raise ParamsError unless `test` and `val` are two different folds.

    Args:
        count: folds of the dataset, numbered from 1.
        test: the test fold.
        val: the validation fold.
    """
    if test == val or not {test, val} <= set(range(1, count + 1)):
        raise ParamsError(
            f"test_fold is {test} and val_fold {val}; "
            f"expected two different folds from 1 to {count}"
        )


def split_of(fold: int, test: int, val: int) -> str:
    """Return the split of a fold.

    Args:
        fold: its number.
        test: the test fold.
        val: the validation fold.
    """
    return {test: "test", val: "val"}.get(fold, "train")
