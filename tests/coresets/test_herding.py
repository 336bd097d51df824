"""Herding: first pick nearest to the mean, prefixes, order of input, argmin not argmax."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from pipeline.core.records import Features
from pipeline.coresets.selectors.herding import Selector
from tests.toys.samples import ORIGIN


def features(seed: int, order: np.ndarray | None = None) -> Features:
    numbers = np.random.default_rng(seed)
    vectors = {m: numbers.normal(size=(24, 5)).astype(np.float32) for m in ("frame", "logmel")}
    label, keys = np.arange(24) % 2, np.array([f"k{i:02d}" for i in range(24)])
    order = np.arange(24) if order is None else order
    return Features(
        keys=tuple(keys[order].tolist()),
        label=label[order],
        vectors={m: v[order] for m, v in vectors.items()},
        classes=("even", "odd"),
        origin=ORIGIN,
    )


def unit(table: Features, label: int) -> np.ndarray:
    parts = [
        v.astype(float) / np.linalg.norm(v, axis=1, keepdims=True)
        for _, v in sorted(table.vectors.items())
    ]
    return np.concatenate(parts, axis=1)[table.label == label]


seeds = st.integers(0, 10_000)


@given(seed=seeds)
def test_the_first_pick_is_nearest_to_the_mean(seed: int) -> None:
    table = features(seed)
    x = unit(table, 0)
    nearest = np.array(table.keys)[table.label == 0][np.linalg.norm(x - x.mean(0), axis=1).argmin()]
    assert Selector(most=1).rank(table).select(1)["even"] == (nearest,)


@given(seed=seeds, short=st.integers(1, 9))
def test_a_short_ranking_is_a_prefix_of_a_long_one(seed: int, short: int) -> None:
    table = features(seed)
    few, many = (Selector(most=most).rank(table).by_label for most in (short, 10))
    assert all(many[label][:short] == few[label] for label in few)


@given(seed=seeds, order=st.permutations(range(24)))
def test_the_order_of_the_input_does_not_matter(seed: int, order: list[int]) -> None:
    assert Selector(most=12).rank(features(seed)) == Selector(most=12).rank(
        features(seed, np.array(order))
    )


@given(seed=seeds)
def test_each_pick_is_the_argmin(seed: int) -> None:
    table = features(seed)
    x, keys = (
        unit(table, 1),
        [k for k, own in zip(table.keys, table.label, strict=True) if own == 1],
    )
    picked: list[int] = []
    for key in Selector(most=12).rank(table).select(12)["odd"]:
        error = [
            np.linalg.norm(x.mean(0) - x[[*picked, i]].mean(0))
            for i in range(len(x))
            if i not in picked
        ]
        chosen = keys.index(key)
        assert np.linalg.norm(x.mean(0) - x[[*picked, chosen]].mean(0)) <= min(error) + 1e-12
        picked.append(chosen)


@given(seed=seeds)
def test_a_whole_class_is_ranked_once_each(seed: int) -> None:
    ranking = Selector(most=100).rank(features(seed))
    assert sorted(ranking.by_label["even"]) == [f"k{i:02d}" for i in range(0, 24, 2)]
