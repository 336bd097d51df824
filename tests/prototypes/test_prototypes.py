"""Classes as points: a joint space with known answers, averages by brute force, bad input."""

from __future__ import annotations

import io
import json
import subprocess
import sys
import tarfile
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from pipeline.core.errors import CellError, PipelineError, SourceError, StoreError
from pipeline.core.records import Clip, Features, Source, Texts
from pipeline.core.tensors import load_synthetic
from pipeline.coresets.rankings import Coreset
from pipeline.datasets.manifest import read_manifest, write_manifest
from pipeline.distillation.distributed import Ranks
from pipeline.features.store import write_features, write_texts
from pipeline.prototypes import Clips, evaluate_rows, gather_clips, rank_samples, refuse_other_texts
from pipeline.prototypes import average_precision as averages
from pipeline.prototypes.points import compute_class_means, score_by_points
from pipeline.prototypes.probes import fit_predict_ridge
from pipeline.training.loop import ignore_progress
from stages.distill import distill
from stages.extract import extract
from stages.extract_text import extract_text
from stages.prototypes import prototypes
from tests.toys.project import REAL_DATA, ROOT, TINY, values
from tests.toys.samples import ORIGIN, toy_real, write_split
from tests.toys.sources import TOYS, annotated, dataset, listed, sounded
from tests.toys.space import settings, toy_space, toy_texts

Found = dict[str, Any]


def found(clips: Clips, texts: Texts | None, **changes: Any) -> Found:
    return evaluate_rows(clips, texts, settings(**changes), ignore_progress)


def score(result: Found, row: str, metric: str = "accuracy_folds", **setting: Any) -> float:
    """The mean of the one row of that name and setting."""
    (one,) = [
        each
        for each in result["rows"]
        if each["row"] == row and all(each[key] == x for key, x in setting.items())
    ]
    return float(one["metrics"][metric]["mean"])


# The joint space


SEEDS = range(3)


def mean_scores(**space: float) -> dict[str, float]:
    """Scores of each row over seeds; of prototypes for each k tried, on validation folds."""
    made: dict[str, list[float]] = {}
    for seed in SEEDS:
        result = found(*toy_space(seed, **space), bootstrap=2)
        for row in ("zero-shot", "prototypes"):
            made.setdefault(row, []).append(score(result, row, template="(chosen)"))
        made.setdefault("supervised", []).append(score(result, "supervised prototypes"))
        for trial in result["trials"]:
            if trial["row"] == "prototypes":
                made.setdefault(f"k={trial['k']}", []).append(trial["score"])
    return {name: float(np.mean(own)) for name, own in made.items()}


def test_prototypes_repair_misaligned_texts_and_k_has_an_optimum_inside() -> None:
    reached = mean_scores()
    assert 0.7 < reached["zero-shot"] < 0.87
    assert reached["prototypes"] > 0.97 > reached["zero-shot"] + 0.1
    assert reached["supervised"] >= reached["prototypes"]
    assert reached["k=20"] > max(reached["k=1"], reached["k=100"]) + 0.05


def test_a_gap_between_modalities_hurts_texts_and_not_prototypes() -> None:
    reached = mean_scores(gap=1.5)
    assert reached["zero-shot"] < 0.7 and reached["prototypes"] > 0.96


def test_where_texts_are_aligned_there_is_nothing_to_gain() -> None:
    reached = mean_scores(misaligned=0.0)
    assert reached["zero-shot"] > 0.99 and reached["prototypes"] <= reached["zero-shot"]


def test_nothing_is_read_from_the_labels_of_the_pool() -> None:
    """In splits: other labels of the training clips change what is supervised, and no prototype."""
    clips, texts = toy_space()
    clips = replace(
        clips,
        has_folds=False,
        partition=np.array(["train", "val", "test", "train"])[np.arange(400) % 4],
    )
    has = clips.targets.copy()
    has[clips.partition == "train"] = np.roll(has[clips.partition == "train"], 1, axis=1)
    one, other = found(clips, texts), found(replace(clips, targets=has), texts)
    unlabelled = [row for row in one["rows"] if row["row"] in ("zero-shot", "prototypes")]
    assert unlabelled == other["rows"][: len(unlabelled)]
    assert (
        score(other, "supervised prototypes", "accuracy")
        < 0.1
        < score(one, "supervised prototypes", "accuracy")
    )


def test_nothing_is_chosen_on_test_clips() -> None:
    clips, _ = toy_space()
    texts = toy_texts(np.random.default_rng(0).normal(size=(3, 10, 64)))
    clips = replace(
        clips,
        has_folds=False,
        partition=np.array(["train", "val", "test", "train"])[np.arange(400) % 4],
    )
    has = clips.targets.copy()
    has[clips.partition == "test"] = np.roll(has[clips.partition == "test"], 1, axis=1)
    one, other = found(clips, texts), found(replace(clips, targets=has), texts)
    assert one["trials"] == other["trials"]
    assert [row["chosen"] for row in one["rows"]] == [row["chosen"] for row in other["rows"]]


def test_every_template_has_a_row_and_the_best_is_chosen() -> None:
    clips, texts = toy_space()
    nonsense = np.random.default_rng(1).normal(size=(1, 10, 64))
    result = found(clips, toy_texts(np.concatenate([nonsense, texts.vectors])), bootstrap=2)
    names = [row["template"] for row in result["rows"] if row["row"] == "zero-shot"]
    assert names == ["template 0 {}", "template 1 {}", "(ensemble)", "(chosen)"]
    by_k = Counter(row["k"] for row in result["rows"] if row["row"] == "prototypes")
    assert by_k == {"(chosen)": 4, 35: 3}
    best = score(result, "zero-shot", template="template 1 {}")
    assert best > score(result, "zero-shot", template="template 0 {}") + 0.5
    assert score(result, "zero-shot", template="(chosen)") >= best - 0.02


def test_folds_of_other_sizes_tell_pooled_and_mean_apart() -> None:
    clips, texts = toy_space()
    clips = replace(
        clips, partition=np.array([str(1 + 2 * (i % 40 > 2) - (i % 40 == 0)) for i in range(400)])
    )
    assert Counter(clips.partition.tolist()) == {"0": 10, "1": 20, "3": 370}
    result = found(clips, texts, k=(1, 5), published_k=5)
    row = next(row for row in result["rows"] if row["row"] == "zero-shot")["metrics"]
    lengths = np.linalg.norm(texts.vectors[0], axis=1)
    hits = [
        clips.targets[at.test][
            np.arange(len(at.test)),
            (clips.vectors[at.test] @ texts.vectors[0].T / lengths).argmax(1),
        ]
        for at in clips.rounds
    ]
    assert row["accuracy_pooled"]["mean"] == pytest.approx(np.concatenate(hits).mean())
    assert row["accuracy_folds"]["mean"] == pytest.approx(np.mean([own.mean() for own in hits]))
    assert (row["accuracy_pooled"]["n"], row["accuracy_folds"]["n"]) == (1, 3)
    assert (
        row["accuracy_pooled"]["low"]
        < row["accuracy_pooled"]["mean"]
        < row["accuracy_pooled"]["high"]
    )


def test_the_same_inputs_give_the_same_rows() -> None:
    clips, texts = toy_space(per_class=20)
    assert found(clips, texts, k=(1, 5), published_k=5) == found(
        clips, texts, k=(1, 5), published_k=5
    )


def test_ridge_is_the_closed_form() -> None:
    rng = np.random.default_rng(0)
    x, y, new = rng.normal(size=(30, 5)), rng.normal(size=(30, 3)), rng.normal(size=(4, 5))
    (scores,) = fit_predict_ridge(x, y, [0.7], new)
    middle = x - x.mean(0)
    weights = np.linalg.solve(middle.T @ middle + 0.7 * np.eye(5), middle.T @ (y - y.mean(0)))
    assert np.allclose(scores, (new - x.mean(0)) @ weights + y.mean(0))


def test_a_class_without_a_clip_is_never_the_nearest() -> None:
    vectors = np.eye(3)
    points = compute_class_means(
        vectors[:2], np.array([[True, False, False], [False, True, False]])
    )
    for several in (False, True):
        assert score_by_points(vectors, points, several)[:, 2].tolist() == [-np.inf] * 3


# Averages


def brute_ap(score: np.ndarray, relevant: np.ndarray) -> float:
    """Precision at each distinct score that finds something, weighted by what it finds."""
    total, before, value = int(relevant.sum()), 0, 0.0
    for threshold in sorted(set(score.tolist()), reverse=True):
        taken = score >= threshold
        hit = int((taken & relevant).sum())
        value += (hit - before) / total * hit / int(taken.sum())
        before = hit
    return value


TABLES = st.integers(2, 9).flatmap(
    lambda n: st.tuples(
        arrays.arrays(float, (n, 3), elements=st.sampled_from([0.0, 0.25, 0.5, 1.0])),  # ties
        arrays.arrays(bool, (n, 3)),  # classes and clips without anything relevant
        arrays.arrays(float, (1, n), elements=st.sampled_from([0.0, 1.0, 2.0])),
    )
)


@given(table=TABLES)
def test_averages_are_those_of_brute_force(table: tuple[np.ndarray, ...]) -> None:
    scores, has, _ = table
    ones = np.ones((1, len(has)))
    if has.any():
        by_class = [brute_ap(scores[:, c], has[:, c]) for c in range(3) if has[:, c].any()]
        assert averages.macro_average_precision(scores, has, ones).item() == pytest.approx(
            np.mean(by_class)
        )
        by_row = [brute_ap(own, true) for own, true in zip(scores, has, strict=True) if true.any()]
        assert averages.label_ranking_average_precision(scores, has, ones).item() == pytest.approx(
            np.mean(by_row)
        )
        absent = 3 - len(by_class)
        assert averages.batch_average_precision(scores, has) == pytest.approx(
            np.mean([*by_class, *[0.0] * absent])
        )


@given(table=TABLES)
def test_a_clips_weight_is_how_often_it_is_there(table: tuple[np.ndarray, ...]) -> None:
    scores, has, weights = table
    rows = np.repeat(np.arange(len(has)), weights[0].astype(int))
    for average in (averages.macro_average_precision, averages.label_ranking_average_precision):
        if has[rows].any():
            assert average(scores, has, weights).item() == pytest.approx(
                average(scores[rows], has[rows], np.ones((1, len(rows)))).item()
            )


def several(clips: int = 640, classes: int = 200) -> tuple[np.ndarray, np.ndarray]:
    """Scores of clips that have three of many classes each, most classes rare, as in FSD50K."""
    rng = np.random.default_rng(0)
    share = 1 / np.arange(1, classes + 1)
    has = np.zeros((clips, classes), bool)
    for own in has:
        own[rng.choice(classes, 3, replace=False, p=share / share.sum())] = True
    return has + rng.normal(scale=0.4, size=has.shape), has


def test_averages_of_the_same_scores_are_not_each_other() -> None:
    """The paper's mAPs are not compared: its code averages rows over different numbers."""
    scores, has = several()
    macro, by_clip = (
        average(scores, has, np.ones((1, len(has)))).item()
        for average in (averages.macro_average_precision, averages.label_ranking_average_precision)
    )
    by_batch = averages.batch_average_precision(scores, has)
    assert by_clip > 3 * by_batch and by_clip > macro * 1.1 > 2 * by_batch
    assert macro == pytest.approx(
        np.mean([brute_ap(scores[:, c], has[:, c]) for c in np.flatnonzero(has.any(0))])
    )


def test_clips_of_several_labels_have_three_averages_and_absent_classes_count_in_none() -> None:
    _, has = several(300, 10)
    clips, texts = toy_space(per_class=30)
    has[clips.partition == "3", 9] = False
    split = np.array(["train", "val", "test"])[np.clip(clips.partition.astype(int) - 1, 0, 2)]
    clips = replace(clips, targets=has, has_folds=False, partition=split)
    has[split == "test", 9] = False
    result = found(clips, texts, k=(1, 5), published_k=5, bootstrap=20)
    rows = [row["metrics"] for row in result["rows"]]
    assert all(row.keys() == {"map", "map_samples", "paper_code_map_b32"} for row in rows)
    assert clips.tested_classes.tolist() == [True] * 9 + [False]
    assert all(0 < row["map"]["low"] <= row["map"]["mean"] <= 1 for row in rows)
    assert all(row["paper_code_map_b32"]["low"] is None for row in rows)


# Manifest and features -> clips


def toy_manifest(count: int = 24, **changes: Callable[[int], Any]) -> list[Clip]:
    """Clips of two classes in four folds; a recording is two of them."""
    return [
        Clip(
            **{
                "clip_id": f"clip{i:03d}",
                "path": f"{i}.wav",
                "label": f"class{i // 2 % 2}",
                "split": ("train", "train", "val", "test")[i // 4 % 4],
                "start_s": 0.0,
                "end_s": None,
                "group": f"recording{i // 2}",
                "fold": i // 4 % 4 + 1,
                "bytes": 1,
                "sha256": "x",
                **{name: change(i) for name, change in changes.items()},
            }
        )
        for i in range(count)
    ]


def toy_tables(clips: list[Clip], **changes: Any) -> dict[str, Features]:
    """Two seconds of each clip, by split; a class is a direction."""
    tables = {}
    for split in ("train", "val", "test"):
        own = [clip for clip in clips if clip.split == split for _ in range(2)]
        label = np.array([int(clip.label[-1]) for clip in own])
        noise = np.random.default_rng(len(own)).normal(scale=0.3, size=(len(own), 4))
        tables[split] = Features(
            keys=tuple(f"{clip.clip_id}_{i % 2:04d}" for i, clip in enumerate(own)),
            label=label,
            vectors={"wave": (np.eye(4)[label] + noise).astype(np.float32)},
            classes=("class0", "class1"),
            origin=replace(ORIGIN, shards=f"shards of {split}"),
        )
    return {**tables, **changes}


TWO = np.eye(4)[None, :2] + 0.1


def test_a_clip_is_the_mean_direction_of_its_seconds() -> None:
    manifest = toy_manifest()
    tables = toy_tables(manifest)
    clips = gather_clips(manifest, tables, "wave", 0)
    place = tables["val"].keys.index("clip008_0000")
    mean = tables["val"].vectors["wave"][place : place + 2].mean(0)
    assert np.allclose(clips.vectors[8], mean / np.linalg.norm(mean))
    assert [len(at.test) for at in clips.rounds] == [8, 8, 4, 4]
    assert all(
        len({*at.train, *at.val, *at.test}) == 24 and len(at.reference) + len(at.test) == 24
        for at in clips.rounds
    )


def test_a_manifest_keeps_folds_and_labels_where_there_are_some(tmp_path: Path) -> None:
    for name, columns in (("fsd50k", {"labels"}), ("esc50", {"fold"}), ("ucf101", set())):
        clips = dataset(name).clips(TOYS[name](tmp_path / name))
        write_manifest(tmp_path / f"{name}.csv", clips)
        header = (tmp_path / f"{name}.csv").read_text().splitlines()[0].split(",")
        assert {"fold", "labels"} & set(header) == columns and header[-2:] == ["bytes", "sha256"]
        assert read_manifest(tmp_path / f"{name}.csv") == clips
    assert {clip.labels for clip in dataset("fsd50k").clips(tmp_path / "fsd50k")} >= {
        ("Electric_guitar", "Guitar", "Music")
    }


def test_without_folds_the_splits_are_the_protocol() -> None:
    manifest = toy_manifest(fold=lambda i: None)
    (only,) = gather_clips(manifest, toy_tables(manifest), "wave", 0).rounds
    assert (only.name, len(only.train), len(only.val), len(only.test)) == ("test", 16, 4, 4)
    assert only.reference is only.train


def with_nan(tables: dict[str, Features]) -> dict[str, Features]:
    tables["val"].vectors["wave"][2, 1] = np.nan
    return tables


def other(**changes: Any) -> Callable[[dict[str, Features]], dict[str, Features]]:
    return lambda tables: {**tables, "test": replace(tables["test"], **changes)}


@pytest.mark.parametrize(
    ("manifest", "change", "message"),
    [
        (
            {},
            with_nan,
            r"val\.h5 has NaN or infinite numbers in wave of clip009_0000; check the encoder",
        ),
        (
            {},
            other(origin=replace(ORIGIN, weights="w")),
            r"test\.h5 and train\.h5 differ in weights; expected",
        ),
        (
            {},
            other(origin=replace(ORIGIN, extractor="clip")),
            r"differ in extractor; expected tables of one encoder",
        ),
        (
            {},
            other(classes=("class0", "classX")),
            r"differ in classes; expected tables of one encoder",
        ),
        ({}, other(vectors={}), r"test\.h5 holds  and no wave; set prototypes\.modality"),
        (
            {"clip_id": lambda i: f"other{i}"},
            None,
            r"hold 24 clips that the manifest does not list, clip000, .*; give the manifest",
        ),
        (
            {"group": lambda i: f"r{i % 4}"},
            None,
            r"4 groups are in more than one fold, r0, r1, r2, \.\.\.; expected at most 0: "
            "repair the folds",
        ),
        (
            {"group": lambda i: "r", "fold": lambda i: None},
            None,
            r"1 groups are in more than one split, r; expected at most 0",
        ),
        (
            {"fold": lambda i: i // 4 % 4 + 1 if i else None},
            None,
            r"1 of 24 clips have no fold, clip000; give every clip a fold, or none",
        ),
        (
            {"fold": lambda i: i // 4 % 2},
            None,
            r"features are of the folds 0, 1; expected three folds or more: extract the others",
        ),
        (
            {"fold": lambda i: None},
            lambda t: {"train": t["train"]},
            r"are of the splits train; expected train, val, test: extract",
        ),
    ],
)
def test_bad_folds_and_tables_are_one_sentence(
    manifest: dict[str, Any], change: Any, message: str
) -> None:
    tables = toy_tables(toy_manifest())
    with pytest.raises(PipelineError, match=message) as error:
        gather_clips(toy_manifest(**manifest), change(tables) if change else tables, "wave", 0)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"weights": "another encoder's"},
            r"is of the encoder toy another enco, wave of toy none; expected one encoder for both",
        ),
        (
            {"vectors": np.ones((1, 2, 3), np.float32)},
            r"has vectors 3 wide, wave 4; expected the text tower of one encoder",
        ),
        (
            {"classes": ("class0", "dog")},
            r"text\.h5 has no prompt for 1 of 2 labels, class1; add them",
        ),
        (
            {"classes": ("class0", "class1", "dog")},
            r"is of another label map, no clip is of dog; run `avdistill extract-text`",
        ),
    ],
)
def test_texts_that_do_not_belong_to_the_features_are_one_sentence(
    changes: dict[str, Any], message: str
) -> None:
    with pytest.raises(StoreError, match=message):
        refuse_other_texts(
            replace(toy_texts(TWO), **changes),
            "text.h5",
            toy_tables(toy_manifest()),
            "wave",
            ("class0", "class1"),
        )


def test_own_vectors_of_one_named_space_may_be_compared() -> None:
    origin = replace(ORIGIN, extractor="external", params={"spaces": {"wave": "AudioCLIP"}})
    tables = {"train": replace(toy_tables(toy_manifest())["train"], origin=origin)}
    own = toy_texts(TWO, params={"spaces": {"text": "AudioCLIP"}}, weights="of a file")
    refuse_other_texts(own, "text.h5", tables, "wave", ("class0", "class1"))
    with pytest.raises(StoreError, match="expected one encoder for both"):
        refuse_other_texts(
            replace(own, params={"spaces": {"text": "MS CLAP"}}),
            "text.h5",
            tables,
            "wave",
            ("class0", "class1"),
        )


def test_more_neighbours_than_clips_are_refused() -> None:
    with pytest.raises(
        CellError, match=r"k is 100 and the smallest pool has 60 clips; lower prototypes\.k and"
    ):
        found(*toy_space(per_class=10))


# The command


@pytest.fixture
def files(tmp_path: Path) -> Path:
    """A manifest, features of three splits and texts, of the toy's two classes."""
    clips = toy_manifest()
    write_manifest(tmp_path / "manifest.csv", clips, Source(name="ESC-50"))
    assert [(clip.fold, clip.group) for clip in read_manifest(tmp_path / "manifest.csv")] == [
        (clip.fold, clip.group) for clip in clips
    ]
    for split, table in toy_tables(clips).items():
        write_features(tmp_path / "features" / f"{split}.h5", table)
    write_texts(tmp_path / "text.h5", toy_texts(TWO))
    return tmp_path


SMALL = (
    "prototypes.k=[1, 4]",
    "prototypes.published_k=4",
    "prototypes.most=3",
    "prototypes.mlp.epochs=2",
    "prototypes.repeats=2",
    "prototypes.bootstrap=20",
)


def run(files: Path, *changes: str, **options: Any) -> str:
    given = values(*SMALL, *changes)
    return prototypes(
        files / "manifest.csv",
        files / "features",
        files / "out.json",
        params=given,
        report=ignore_progress,
        **options,
    )


def test_the_command_tells_every_row(files: Path) -> None:
    message = run(files, text=files / "text.h5").splitlines()
    result = json.loads((files / "out.json").read_text())
    assert [row["row"] for row in result["rows"] if "metrics" in row] == [
        *["zero-shot"] * 2,
        *["prototypes"] * 3,
        "supervised prototypes",
        "linear",
        "mlp",
    ]
    assert message[0].startswith(
        "zero-shot 'template 0 {}': accuracy_pooled 100.0 ± 0.0 [100.0, 100.0]  "
        "accuracy_folds 100.0 ± 0.0"
    )
    assert (
        result["tables"].keys() == {"train", "val", "test", "text"} and result["parts"] == "folds"
    )
    metrics = next(row for row in result["rows"] if row["row"] == "mlp")["metrics"]
    assert (metrics["accuracy_pooled"]["n"], metrics["accuracy_folds"]["n"]) == (2, 8)
    assert message[-2:] == [
        "24 clips in folds, 0 more have no vector; 0 of 2 classes are in no test clip",
        f"-> {files / 'out.json'}",
    ]


@pytest.mark.slow
def test_one_command_goes_from_media_and_weights_to_the_rows(
    tmp_path: Path, toy_clap: Path
) -> None:
    root = sounded(TOYS["esc50"](tmp_path / "media"))
    changes = (
        "decode.wave.rate=1000",
        "decode.max_reject_fraction=0.1",
        'extract-text.templates=["a {}"]',
        *SMALL,
    )
    given = [word for change in changes for word in ("--set", change)]
    place = tmp_path / "out"
    command = [
        sys.executable,
        "benchmarks/prototypes.py",
        "esc50",
        str(root),
        str(place),
        "--model",
        str(toy_clap),
        *given,
    ]
    message = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, timeout=300, check=False
    )
    assert message.returncode == 0, message.stderr
    rows = json.loads((place / "prototypes.json").read_text())["rows"]
    assert {row["row"] for row in rows if "metrics" in row} == {
        "zero-shot",
        "prototypes",
        "supervised prototypes",
        "linear",
        "mlp",
    }
    again = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, timeout=300, check=False
    )
    assert (again.returncode, again.stdout) == (0, "")


def test_what_is_not_at_hand_is_not_run(files: Path) -> None:
    message = run(files)
    needs = (
        "not run: needs text vectors of this encoder: run `avdistill extract-text`, and add --text"
    )
    assert (
        f"zero-shot: {needs}\nprototypes: {needs}\nsupervised prototypes: accuracy_pooled"
        in message
    )
    assert "zero-shot of AudioCLIP: not run: needs vectors of ESC-50 by AudioCLIP" in message
    published = [
        row for row in json.loads((files / "out.json").read_text())["rows"] if "encoder" in row
    ]
    assert len(published) == 12 and all(
        row.keys() == {"row", "encoder", "not_run"} for row in published
    )


@pytest.mark.parametrize(
    ("change", "options", "message"),
    [
        (
            lambda files: None,
            {"coreset": Path("nowhere.json")},
            "--coreset ranks samples by their nearness to texts; add --text",
        ),
        (
            lambda files: (files / "out.json").write_text("mine"),
            {},
            "exists already; name another output, or replace it with --force",
        ),
        (
            lambda files: (files / "features" / "train.h5").unlink(),
            {},
            r"holds no train\.h5; `avdistill extract` writes it",
        ),
        (lambda files: (files / "manifest.csv").write_text("a\n1\n"), {}, "expected a manifest"),
    ],
)
def test_a_bad_call_is_one_sentence(
    change: Any, options: dict[str, Any], message: str, files: Path
) -> None:
    change(files)
    with pytest.raises(PipelineError, match=message):
        run(files, **options)


def test_a_coreset_is_the_samples_nearest_to_the_texts_whatever_their_labels() -> None:
    real = toy_real()
    vectors = np.random.default_rng(0).normal(size=(len(real), 4)).astype(np.float32)
    features = Features(
        keys=real.keys,
        label=np.zeros(len(real), int),
        vectors={"wave": vectors},
        classes=real.classes,
        origin=ORIGIN,
    )
    ranking = rank_samples(features, toy_texts(TWO), "wave", 5)
    cosine = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)) @ TWO[0].T
    assert ranking.by_label["class1"] == tuple(
        real.keys[row] for row in np.argsort(-cosine[:, 1])[:5]
    )


def test_a_prototype_selection_enters_the_grid_like_any_other(
    tmp_path: Path, toy_clip: Path
) -> None:
    """Toy pictures through every command: shards, features, texts, a coreset, a distilled set."""
    clips = []
    for seed, (split, count) in enumerate({"train": 12, "val": 4, "test": 6}.items()):
        real = toy_real(count, seed=seed)
        real = replace(
            real,
            keys=tuple(split + key for key in real.keys),
            clips=tuple(split + clip for clip in real.clips),
        )
        write_split(tmp_path / "shards" / split, real)
        blank, labels = (
            replace(toy_manifest(1)[0], fold=None),
            dict(zip(real.clips, real.label.tolist(), strict=True)),
        )
        clips += [
            replace(blank, clip_id=c, group=c, label=f"class{x}", split=split)
            for c, x in labels.items()
        ]
    write_manifest(tmp_path / "manifest.csv", clips)
    changes = (
        f"extract.clip.model={toy_clip}",
        "extract-text.templates=['{}']",
        "prototypes.modality=frame",
        *SMALL,
        *TINY,
    )
    formed = (
        "distill.formed.coreset=prototypes",
        "distill.formed.formation={frame: [1, 1], logmel: [1, 1]}",
    )
    params, machine = (
        values(*changes, "prototypes.k=[1, 2]", *formed),
        {"device": "cpu", "report": ignore_progress},
    )
    for split in ("train", "val", "test"):
        out = tmp_path / "features" / f"{split}.h5"
        extract(tmp_path / "shards" / split, out, extractor="clip", params=params, **machine)
    extract_text(
        tmp_path / "manifest.csv",
        tmp_path / "text.h5",
        extractor="clip",
        params=params,
        device="cpu",
    )
    run(
        tmp_path,
        *changes,
        "prototypes.k=[1, 2]",
        text=tmp_path / "text.h5",
        coreset=tmp_path / "c" / "prototypes.json",
    )
    train, out = tmp_path / "shards" / "train", tmp_path / "out"
    distill(
        "formed",
        2,
        train,
        tmp_path / "c",
        out,
        params=params,
        memory_mb=100,
        workers=1,
        ranks=Ranks(),
        **machine,
    )
    ranking = json.loads((tmp_path / "c" / "prototypes.json").read_text())["ranking"]
    assert load_synthetic(out / "seed0.safetensors").source_key == tuple(
        key for keys in ranking.values() for key in keys[:2]
    )


def test_the_command_writes_the_coreset_of_its_training_shards(files: Path) -> None:
    message = run(files, text=files / "text.h5", coreset=files / "coreset" / "prototypes.json")
    made = Coreset.from_json(json.loads((files / "coreset" / "prototypes.json").read_text()))
    assert (made.selector, made.shards) == ("prototypes", "shards of train") and message.endswith(
        "prototypes.json"
    )
    assert {label: len(keys) for label, keys in made.select(3).items()} == {
        "class0": 3,
        "class1": 3,
    }


# Real lists and real vectors, where they are at hand


@annotated
@pytest.mark.parametrize(
    ("name", "changes", "media", "sizes", "shared"),
    [
        ("esc50", {}, "audio/1-100032-A-0.wav", [400] * 5, 4),
        ("esc50", {"tables": ("esc10.csv",)}, "1-100032-A-0.ogg", [80] * 5, 0),
        (
            "urbansound8k",
            {},
            "fold5/100032-3-0-0.wav",
            [873, 888, 925, 990, 936, 823, 838, 806, 816, 837],
            5,
        ),
    ],
)
def test_official_folds_are_rounds(
    name: str, changes: dict[str, Any], media: str, sizes: list[int], shared: int, tmp_path: Path
) -> None:
    manifest = dataset(name, **changes).clips(listed(tmp_path, name, media))
    classes = tuple(sorted({clip.label for clip in manifest}))
    table = Features(
        keys=tuple(f"{clip.clip_id}_0000" for clip in manifest),
        label=np.array([classes.index(clip.label) for clip in manifest]),
        vectors={"wave": np.ones((len(manifest), 2), np.float32)},
        classes=classes,
        origin=ORIGIN,
    )
    clips = gather_clips(manifest, {"train": table}, "wave", shared)
    assert [len(at.test) for at in clips.rounds] == sizes
    assert len(clips.shared_groups) == shared
    if shared:
        with pytest.raises(
            SourceError,
            match=rf"{shared} groups are in more than one fold, .*; expected at most 0: repair",
        ):
            gather_clips(manifest, {"train": table}, "wave", 0)


PANNS = REAL_DATA / "ucf51_panns"


@pytest.mark.skipif(not PANNS.exists(), reason="the PANNs vectors of UCF51 are not here")
def test_supervised_prototypes_of_real_vectors_reach_the_known_figure() -> None:
    """PANNs vectors of 6,836 clips, 4,892 of them known: the nearest class mean has 41.1 %."""
    listed = json.loads((PANNS / "ucf51_annotation.json").read_text())
    vectors = {}
    with tarfile.open(PANNS / "audiocnn14embed512_features.tar.gz") as tar:
        for member in tar:
            name = Path(member.name)
            if name.suffix == ".npy" and name.stem in listed["database"]:
                content = tar.extractfile(member)
                assert content
                vectors[name.stem] = np.load(io.BytesIO(content.read()))
    manifest = [
        Clip(
            clip_id=name,
            path=name,
            label=about["label"],
            split={"training": "train", "validation": "test"}[about["subset"]],
            start_s=0.0,
            end_s=None,
            group=name,
            bytes=1,
            sha256="",
        )
        for name, about in sorted(listed["database"].items())
    ]
    # Every tenth known clip is for choices; class means need none, and are of the rest.
    manifest = [
        replace(clip, split="val") if clip.split == "train" and number % 10 == 0 else clip
        for number, clip in enumerate(manifest)
    ]
    classes = tuple(listed["labels"])
    table = Features(
        keys=tuple(f"{clip.clip_id}_0000" for clip in manifest),
        label=np.array([classes.index(clip.label) for clip in manifest]),
        vectors={"logmel": np.stack([vectors[clip.clip_id] for clip in manifest])},
        classes=classes,
        origin=ORIGIN,
    )
    clips = gather_clips(manifest, {"train": table}, "logmel", 0)
    known, test = clips.partition != "test", clips.partition == "test"
    assert (known.sum(), test.sum(), len(clips.classes)) == (4892, 1944, 51)
    scores = score_by_points(
        clips.vectors[test],
        compute_class_means(clips.vectors[known], clips.targets[known]),
        multi_label=False,
    )
    reached = averages.accuracy(scores, clips.targets[test], np.ones((1, 1944))).item()
    assert reached == pytest.approx(0.411, abs=0.0005)
