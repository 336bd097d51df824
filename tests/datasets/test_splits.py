"""Carved splits: no group is parted, no class goes without, and no clip moves another."""

from __future__ import annotations

from collections import defaultdict
from unicodedata import normalize

from hypothesis import given
from hypothesis import strategies as st

from pipeline.core.records import SPLITS, Clip
from pipeline.datasets.adapters._splits import carve

Groups = set[tuple[str, int]]
FRACTIONS = {"test": 0.2, "val": 0.15}
groups = st.sets(st.tuples(st.sampled_from("abc"), st.integers(0, 199)), min_size=6, max_size=80)
fractions = st.tuples(st.floats(0.05, 0.6), st.floats(0.05, 0.6)).map(
    lambda pair: {"test": pair[0], "val": pair[1]}
)


def clip(label: str, group: str, number: int = 0, split: str = "train") -> Clip:
    return Clip(
        clip_id=f"{label}-{group}-{number}",
        path="",
        label=label,
        split=split,
        start_s=0,
        end_s=None,
        group=group,
        bytes=0,
        sha256="",
    )


def split_of(pairs: Groups, shares: dict[str, float], seed: int = 0) -> dict[str, str]:
    """Split of each group; two clips each."""
    clips = [clip(x, f"{x}{g}", i) for x, g in sorted(pairs) for i in range(2)]
    return {made.group: made.split for made in carve(clips, shares, seed)}


def find_unforced(pairs: Groups, shares: dict[str, float], seed: int) -> set[str]:
    """Classes to which the hashes alone give a group in each split."""
    found = defaultdict(set)
    # Among very many groups of one class, nothing is forced.
    many = [clip("z", f"filler{i}") for i in range(400)]
    for made in carve([*many, *(clip("z", f"{x}{g}") for x, g in pairs)], shares, seed)[400:]:
        found[made.group[0]].add(made.split)
    return {label for label, splits in found.items() if splits == {*SPLITS}}


@given(pairs=groups, shares=fractions, seed=st.integers(0, 99))
def test_no_group_is_parted_and_no_class_goes_without(
    pairs: Groups, shares: dict[str, float], seed: int
) -> None:
    clips = [clip(x, f"{x}{g}", i) for x, g in sorted(pairs) for i in range(2)]
    carved = carve(clips, shares, seed)
    found, counts = defaultdict(set), defaultdict(set)
    for made in carved:
        found[made.label].add(made.split)
        counts[made.label].add(made.group)
    assert len({(c.group, c.split) for c in carved}) == len({c.group for c in carved})
    for label, names in counts.items():
        expected = [{"train"}, {"train", "test"}][len(names) - 1] if len(names) < 3 else {*SPLITS}
        assert found[label] == expected


@given(pairs=groups, others=groups, shares=fractions, seed=st.integers(0, 99))
def test_groups_that_come_or_go_move_no_other(
    pairs: Groups, others: Groups, shares: dict[str, float], seed: int
) -> None:
    free = find_unforced(pairs, shares, seed)
    before, after = split_of(pairs, shares, seed), split_of(pairs | others, shares, seed)
    moved = {group for group in before if before[group] != after[group]}
    assert not {group[0] for group in moved} & free


@given(pairs=groups, gone=st.sampled_from("abc"), seed=st.integers(0, 99))
def test_a_class_that_goes_moves_no_other(pairs: Groups, gone: str, seed: int) -> None:
    left = {(x, g) for x, g in pairs if x != gone}
    before = split_of(pairs, FRACTIONS, seed)
    assert split_of(left, FRACTIONS, seed) == {f"{x}{g}": before[f"{x}{g}"] for x, g in left}


def test_the_order_of_clips_does_not_matter() -> None:
    clips = [clip("a", str(i)) for i in range(20)]
    here, there = carve(clips, FRACTIONS, 0), carve(clips[::-1], FRACTIONS, 0)
    assert here == there[::-1]


def test_a_larger_fraction_takes_no_clip_back() -> None:
    pairs = {("a", i) for i in range(100)}
    few = split_of(pairs, {"test": 0.1})
    many = split_of(pairs, {"test": 0.3})
    assert {g for g, s in few.items() if s == "test"} < {g for g, s in many.items() if s == "test"}


def test_many_groups_come_near_the_fractions() -> None:
    found = list(split_of({("a", i) for i in range(5000)}, FRACTIONS).values())
    assert abs(found.count("test") / 5000 - 0.2) < 0.02
    assert abs(found.count("val") / 5000 - 0.8 * 0.15) < 0.02


def test_both_spellings_of_a_group_have_one_split() -> None:
    names = [f"étude {i}" for i in range(60)]
    composed, split_up = (
        [c.split for c in carve([clip("a", normalize(f, n)) for n in names], FRACTIONS, 0)]
        for f in ("NFC", "NFD")
    )
    assert composed == split_up and set(composed) == {*SPLITS}


def test_a_split_that_exists_is_kept() -> None:
    clips = [clip("a", str(i), split="test" if i < 3 else "train") for i in range(40)]
    carved = carve(clips, FRACTIONS, 0)
    assert [c.split for c in carved[:3]] == ["test"] * 3
    assert {c.split for c in carved[3:]} == {"train", "val"}


def test_a_group_of_two_classes_moves_as_one_and_empties_neither() -> None:
    shared = [clip(x, "both") for x in "ab"]
    own = [clip(x, f"{x}{i}") for x in "ab" for i in range(3)]
    for seed in range(30):
        carved = carve(shared + own, FRACTIONS, seed)
        assert carved[0].split == carved[1].split
        assert {(c.label, c.split) for c in carved} == {(x, s) for x in "ab" for s in SPLITS}
