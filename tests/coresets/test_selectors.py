"""k-center and k-means: choices ignore sample order, cover the samples and never repeat one."""

from __future__ import annotations

import json
from dataclasses import replace
from itertools import combinations, product
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.core import params, plugins
from pipeline.core.errors import CellError, StoreError
from pipeline.core.files import read_json
from pipeline.core.records import Features
from pipeline.coresets.rankings import Coreset, PerCountSelections, Ranking
from pipeline.coresets.selectors.herding import Selector as Herding
from pipeline.coresets.selectors.kcenter import Selector as KCenter
from pipeline.coresets.selectors.kmeans import Selector as KMeans
from pipeline.features.store import write_features
from pipeline.training.formation import count_pieces
from stages.coreset import coreset
from tests.toys.plugins import FILES, built, distilled, rankings, toy_features
from tests.toys.project import values
from tests.toys.samples import ORIGIN

MODALITIES = ("frame", "logmel")


def kmeans(*counts: int, starts: int = 3, seed: int = 0) -> KMeans:
    return KMeans(counts=counts, seed=seed, starts=starts, steps=50)


# Each selector, as one that gives `count` samples of a class.
EACH = {
    "herding": lambda count: Herding(most=count),
    "kcenter": lambda count: KCenter(most=count),
    "kmeans": kmeans,
}


def table(vectors: dict[str, np.ndarray], label: np.ndarray | None = None) -> Features:
    """Keys k000, k001, ... in the order of the rows; one class, `c0`, if none are said."""
    count = len(next(iter(vectors.values())))
    label = np.zeros(count, int) if label is None else label
    return Features(
        keys=tuple(f"k{i:03d}" for i in range(count)),
        label=label,
        vectors={m: rows.astype(np.float32) for m, rows in vectors.items()},
        classes=tuple(f"c{i}" for i in range(label.max() + 1)),
        origin=ORIGIN,
    )


def noise(seed: int, count: int = 24, classes: int = 2, coarse: bool = False) -> Features:
    """Random embeddings; coarse ones have few values, so that some samples are copies of others."""
    numbers = np.random.default_rng(seed)
    vectors = {m: numbers.normal(size=(count, 2 if coarse else 5)) for m in MODALITIES}
    return table(
        {m: rows.round() if coarse else rows for m, rows in vectors.items()},
        np.arange(count) % classes,
    )


def mixed(features: Features, order: list[int]) -> Features:
    return replace(
        features,
        keys=tuple(features.keys[i] for i in order),
        label=features.label[order],
        vectors={m: rows[order] for m, rows in features.vectors.items()},
    )


def joint(features: Features) -> np.ndarray:
    """Unit embeddings side by side; a vector of zeros stays one."""
    parts = [rows.astype(float) for _, rows in sorted(features.vectors.items())]
    return np.concatenate(
        [rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12) for rows in parts],
        axis=1,
    )


def rows_of(keys: tuple[str, ...]) -> list[int]:
    return [int(key[1:]) for key in keys]


def radius(x: np.ndarray, centres: list[int]) -> float:
    """How far the sample is that is farthest from all centres."""
    return float(np.linalg.norm(x[:, None] - x[centres], axis=2).min(1).max())


seeds = st.integers(0, 10_000)
selectors = pytest.mark.parametrize("name", EACH)


@selectors
@given(seed=seeds, order=st.permutations(range(24)), coarse=st.booleans())
def test_the_order_of_the_samples_does_not_matter(
    name: str, seed: int, order: list[int], coarse: bool
) -> None:
    features, selector = noise(seed, coarse=coarse), EACH[name](5)
    assert selector.rank(features) == selector.rank(mixed(features, order))


@selectors
@given(seed=seeds, count=st.integers(1, 20), coarse=st.booleans())
def test_samples_are_of_their_class_and_none_is_chosen_twice(
    name: str, seed: int, count: int, coarse: bool
) -> None:
    features = noise(seed, coarse=coarse)
    ranking = EACH[name](count).rank(features)
    fits = min(count, 12)  # of each class there are 12; a smaller one is taken whole
    chosen = ranking.by_count[count] if name == "kmeans" else ranking.by_label
    assert list(chosen) == list(features.classes)
    for number, keys in enumerate(chosen.values()):
        assert len(set(keys)) == len(keys) == fits
        assert {row % 2 for row in rows_of(keys)} == {number}


@selectors
@pytest.mark.parametrize("value", [0.0, 1.0])
def test_of_equal_samples_the_first_keys_are_chosen(name: str, value: float) -> None:
    features = table({m: np.full((7, 4), value) for m in MODALITIES})
    assert sorted(EACH[name](5).rank(features).select(5)["c0"]) == [
        "k000",
        "k001",
        "k002",
        "k003",
        "k004",
    ]


@pytest.mark.parametrize("name", ["kcenter", "kmeans"])
@given(seed=seeds)
def test_of_two_samples_neither_is_nearer_to_the_mean(name: str, seed: int) -> None:
    assert EACH[name](1).rank(noise(seed, count=2, classes=1)).select(1)["c0"] == ("k000",)


@selectors
@given(seed=seeds)
def test_classes_of_one_sample_and_tables_of_one_modality(name: str, seed: int) -> None:
    features = noise(seed, count=9, classes=1)
    alone = replace(
        features,
        vectors={"frame": features.vectors["frame"]},
        label=np.array([0] * 8 + [1]),
        classes=("c0", "c1"),
    )
    first = EACH[name](1).rank(alone).select(1)
    assert first["c1"] == ("k008",)
    x = joint(alone)[:8]
    assert rows_of(first["c0"]) == [np.linalg.norm(x - x.mean(0), axis=1).argmin()]


@selectors
def test_a_class_without_a_sample_is_named(name: str) -> None:
    features = replace(noise(0), classes=("c0", "c1", "c2"))
    with pytest.raises(
        StoreError,
        match=(
            "has no sample of class 'c2', expected some of each; add clips of it, or run `avdist"
        ),
    ):
        EACH[name](1).rank(features)


# k-center


@given(seed=seeds, short=st.integers(1, 9))
def test_few_centres_are_the_first_of_many(seed: int, short: int) -> None:
    few, many = (KCenter(most=most).rank(noise(seed)) for most in (short, 12))
    assert few.by_label == many.select(short)


@given(seed=seeds, coarse=st.booleans())
def test_the_radius_never_grows(seed: int, coarse: bool) -> None:
    features = noise(seed, classes=1, coarse=coarse)
    picked = rows_of(KCenter(most=24).rank(features).by_label["c0"])
    radii = [radius(joint(features), picked[: i + 1]) for i in range(24)]
    assert radii == sorted(radii, reverse=True)
    assert radii[-1] == 0


@given(seed=seeds, count=st.integers(2, 8), coarse=st.booleans())
def test_the_radius_is_within_twice_the_best(seed: int, count: int, coarse: bool) -> None:
    features = noise(seed, count=count, classes=1, coarse=coarse)
    x, picked = joint(features), rows_of(KCenter(most=count).rank(features).by_label["c0"])
    for k in range(1, count + 1):
        best = min(radius(x, list(centres)) for centres in combinations(range(count), k))
        assert radius(x, picked[:k]) <= 2 * best + 1e-9


@given(seed=seeds)
def test_the_next_centre_is_the_farthest_sample(seed: int) -> None:
    features = noise(seed, classes=1)
    x, picked = joint(features), rows_of(KCenter(most=24).rank(features).by_label["c0"])
    for i in range(1, 24):
        distance = np.linalg.norm(x[:, None] - x[picked[:i]], axis=2).min(1)
        assert distance[picked[i]] >= distance.max() - 1e-9


# k-means


@given(seed=seeds, members=st.lists(st.integers(1, 6), min_size=1, max_size=6))
def test_each_of_well_separated_blobs_gives_one_sample(seed: int, members: list[int]) -> None:
    numbers = np.random.default_rng(seed)
    blob = np.repeat(np.arange(len(members)), members)
    directions = np.eye(6)[blob]
    features = table(
        {m: directions + 0.01 * numbers.normal(size=directions.shape) for m in MODALITIES}
    )
    chosen = blob[rows_of(kmeans(len(members)).rank(features).select(len(members))["c0"])]
    assert sorted(chosen) == list(range(len(members)))
    assert [members[i] for i in chosen] == sorted(members, reverse=True)


@settings(max_examples=30)
@given(seed=seeds, k=st.integers(1, 3))
def test_enough_starts_find_the_best_clusters(seed: int, k: int) -> None:
    features = noise(seed, count=6, classes=1)
    x = joint(features)

    def cost(member: tuple[int, ...]) -> float:
        return sum(
            np.square(x[own] - x[own].mean(0)).sum()
            for j in range(k)
            if (own := np.array(member) == j).any()
        )

    best = np.array(
        min((member for member in product(range(k), repeat=6) if len(set(member)) == k), key=cost)
    )
    chosen = rows_of(kmeans(k, starts=60).rank(features).select(k)["c0"])
    assert sorted(best[chosen]) == list(range(k))
    for row in chosen:
        own = np.flatnonzero(best == best[row])
        distance = np.linalg.norm(x[own] - x[own].mean(0), axis=1)
        assert distance[list(own).index(row)] <= distance.min() + 1e-9


def test_few_clusters_are_no_part_of_many() -> None:
    chosen = kmeans(*range(1, 12)).rank(noise(0))
    assert any(set(chosen.select(k)["c0"]) - set(chosen.select(k + 1)["c0"]) for k in range(1, 11))


@given(seed=seeds)
def test_a_choice_is_no_matter_of_other_counts_or_classes(seed: int) -> None:
    both, counts = noise(seed), kmeans(6, 2, 2, 4)
    alone = replace(
        mixed(both, [i for i in range(24) if i % 2]), classes=("c1",), label=np.zeros(12, int)
    )
    assert counts.rank(both).select(4)["c1"] == kmeans(4).rank(alone).select(4)["c1"]


@given(seed=seeds)
def test_the_same_seed_gives_the_same_choice(seed: int) -> None:
    features = noise(seed, classes=1)
    assert kmeans(4, starts=1, seed=seed).rank(features) == kmeans(4, starts=1, seed=seed).rank(
        features
    )


# What becomes of a choice


@pytest.mark.parametrize(
    "ranking",
    [Ranking({"c0": ("a", "b")}), PerCountSelections({1: {"c0": ("a",)}, 2: {"c0": ("b", "c")}})],
)
def test_a_coreset_comes_back_from_its_json(ranking: Ranking | PerCountSelections) -> None:
    made = Coreset(selector="any", seed=1, table="t", shards="s", ranking=ranking)
    assert Coreset.from_json(json.loads(json.dumps(made.to_json()))) == made


@pytest.mark.parametrize(
    "value",
    [{}, [], {"by_count": {}}, {"by_count": {"few": {}}}, {"by_count": 3}, {"ranking": {"c0": 4}}],
)
def test_a_file_that_is_no_coreset_is_refused(value: Any) -> None:
    with pytest.raises(
        CellError, match=r"a coreset file holds no ranking .*; run `avdistill coreset` again"
    ):
        Coreset.from_json(value)


def test_the_stage_writes_what_distill_reads(tmp_path: Path) -> None:
    write_features(tmp_path / "features.h5", toy_features())
    given = values("grid.selectors=[herding, kcenter, kmeans]")
    coreset(tmp_path / "features.h5", tmp_path / "coreset", params=given)
    made = {
        name: Coreset.from_json(read_json(tmp_path / "coreset" / f"{name}.json", "coreset"))
        for name in EACH
    }
    for name, found in made.items():
        selector = plugins.build("selector", name, given)
        assert found.ranking == selector.rank(toy_features())
        synthetic = distilled(built("method", name), ipc=4, coresets=made)
        assert set(synthetic.source_key) == {
            key for keys in found.select(4).values() for key in keys
        }


def test_a_count_that_was_not_asked_for_says_what_to_add() -> None:
    message = (
        r"coreset\.kmeans: there are choices of 1, 2, 4, 8 samples a class, and 3 are needed; "
        "add 3 to `counts` and run"
    )
    with pytest.raises(CellError, match=message):
        distilled(built("method", "kmeans"), ipc=3)


def test_a_ranking_that_is_too_short_says_what_to_raise() -> None:
    short = replace(
        rankings()["kcenter"], ranking=Ranking({"class0": ("a", "b"), "class1": ("c",)})
    )
    assert short.select(1) == {"class0": ("a",), "class1": ("c",)}
    with pytest.raises(
        CellError,
        match=(
            r"coreset\.kcenter: class 'class1' has 1 of the 2 samples that are needed; "
            "raise `most` if"
        ),
    ):
        short.select(2)


def test_a_choice_of_too_small_a_class_says_so() -> None:
    small = replace(rankings()["kmeans"], ranking=PerCountSelections({2: {"c0": ("a",)}}))
    with pytest.raises(
        CellError,
        match=(
            r"coreset\.kmeans: class 'c0' has 1 of the 2 samples that are needed; "
            "extract features of"
        ),
    ):
        small.select(2)


@pytest.mark.parametrize("name", ["herding", "kcenter", "kmeans"])
def test_a_method_keeps_the_samples_of_its_coreset_whole(name: str) -> None:
    synthetic = distilled(built("method", name), ipc=4)
    best = rankings()[name].select(4)
    assert synthetic.source_key == best["class0"] + best["class1"]


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_params_have_a_choice_for_every_cell(path: Path) -> None:
    given = params.load(path)
    grids = [given.get_section("distill")[method]["formation"] for method in ("kmeans", "formed")]
    needed = {
        ipc * count_pieces({m: tuple(grid) for m, grid in each.items()})
        for ipc in given.get_section("grid")["ipcs"]
        for each in grids
    }
    assert needed <= set(given.get_section("coreset")["kmeans"]["counts"])
