"""Students with a teacher: every method, any training set, one sentence for each bad input."""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.artifact import ExportSettings, write_artifact
from pipeline.core import hdf5 as tables
from pipeline.core import params, tensors
from pipeline.core.errors import (
    ArtifactError,
    CellError,
    ParamsError,
    PipelineError,
    SourceError,
    StoreError,
)
from pipeline.core.files import read_json
from pipeline.core.params import Params
from pipeline.core.records import Features, Origin
from pipeline.features.store import FORMAT, write_features
from pipeline.kd import BalancedBatch, StudentSettings, build_from_artifact, probes
from pipeline.kd.retrieval import RetrievalItems, search
from pipeline.kd.student import draw_balanced_batch
from pipeline.shards.index import read_index
from pipeline.training import formation
from pipeline.training.loop import ignore_progress
from stages.teach import teach
from tests.toys.plugins import built, distilled, rows_of
from tests.toys.project import CPU, REAL_DATA, values
from tests.toys.samples import toy_real, write_split

SPLITS = {"train": (12, 0), "val": (4, 1), "test": (6, 2)}  # samples of a class, seed
QUICK = (
    "networks.convnet.width=4",
    "networks.convnet.grid=2",
    "networks.convnet.depth={frame: 2, logmel: 2}",
    "networks.mlp.width=8",
    "networks.r2plus1d.width=2",
    "teach.steps=4",
    "teach.trials=2",
    "teach.stops=[1.0, 0.5]",
    "teach.bootstrap=20",
    "teach.batch={classes: 2, samples: 3}",
    "kd.crd.negatives=5",
    "kd.cmc.negatives=5",
)


def quick(place: Path, *changes: str) -> Params:
    """The sections that the stage reads: all of params.yaml takes longer than teaching a toy."""
    return params.load(place / "params.yaml", changes)


def vectors_of(place: Path, split: str, encoder: str = "a") -> Features:
    """Vectors of a split's toy: its log-mel's and frame's numbers, of one encoder."""
    count, seed = SPLITS[split]
    real = toy_real(count, seed=seed)
    origin = Origin(
        extractor="toy",
        params={},
        shards=read_index(place / split).digest,
        preprocessing="toy",
        weights=encoder,
    )
    rows = {m: values.flatten(1)[:, :16].float().numpy() / 100 for m, values in real.rows.items()}
    return Features(
        keys=real.keys, label=real.label.numpy(), vectors=rows, classes=real.classes, origin=origin
    )


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Toy shards/{train,val,test}, features.h5 of train, features/ of all, artifacts."""
    root = tmp_path_factory.mktemp("teach")
    sections = ("grid", "networks", "students", "teach", "kd")
    given = values(*QUICK)
    (root / "params.yaml").write_text(
        json.dumps({name: given.get_section(name) for name in sections})
    )
    for split, (count, seed) in SPLITS.items():
        write_split(root / "shards" / split, toy_real(count, seed=seed))
        write_features(root / "features" / f"{split}.h5", vectors_of(root / "shards", split))
    write_features(root / "features.h5", vectors_of(root / "shards", "train"))
    return root


def taught(
    place: Path,
    out: Path,
    method: str = "none",
    *changes: str,
    report: Any = ignore_progress,
    **given: Any,
) -> dict[str, Any]:
    """Run the stage; what it wrote."""
    train_set, features = (
        given.pop("train_set", place / "shards" / "train"),
        given.pop("features", place / "features.h5"),
    )
    teach(
        method,
        train_set,
        features,
        out,
        params=quick(place, *changes),
        device="cpu",
        report=report,
        **given,
    )
    found: dict[str, Any] = read_json(out, "teach")
    return found


@pytest.mark.parametrize("method", rows_of("kd method"))
def test_every_method_teaches(method: str, place: Path, tmp_path: Path) -> None:
    found = taught(place, tmp_path / "out.json", method, "teach.teachers=[frame, logmel]")
    (scores,) = found["scores"]
    assert set(scores["metrics"]) == {"accuracy", "R@1", "R@5", "R@10", "mAP"}
    assert all(
        {"mean", "std", "n", "low", "high"} <= row.keys()
        for rows in scores["metrics"].values()
        for row in rows.values()
    )
    assert scores["metrics"]["accuracy"]["student"]["n"] == 2
    assert len(scores["trials"]) == 4 and len(list(tmp_path.glob("out.seed*.safetensors"))) == 2
    assert (
        found["queries"] == "6 clips of the test split"
        and found["gallery"] == "12 clips of the training split"
    )
    assert not (tmp_path / ".work").exists() or not list((tmp_path / ".work").iterdir())


@pytest.mark.parametrize("method", sorted(set(rows_of("kd method")) - {"none"}))
def test_students_differ_by_their_method_alone(method: str, place: Path, tmp_path: Path) -> None:
    """Where it weighs nothing, they are those of none: the same start, batches and steps."""
    one = "teach.trials=1", "grid.seeds=[0]"
    taught(place, tmp_path / "none.json", "none", *one)
    taught(place, tmp_path / "other.json", method, *one, f"kd.{method}.weights=[1e-30]")
    known, found = (
        tensors.load(tmp_path / f"{name}.seed0.safetensors")[0] for name in ("none", "other")
    )
    assert all(
        torch.allclose(values, found[name], rtol=0, atol=1e-7) for name, values in known.items()
    )


@pytest.mark.parametrize("method", ["none", "ccl", "crd"])
def test_an_interrupted_run_ends_in_the_same_bytes(
    method: str, place: Path, tmp_path: Path
) -> None:
    """Interrupted at every fifth step: in trials, and in students of which one is done."""
    taught(place, tmp_path / "whole.json", method)
    steps = 0

    def interrupt(*_: int, **__: Any) -> None:
        nonlocal steps
        steps += 1
        if steps % 5 == 0:
            raise KeyboardInterrupt

    for _ in range(20):
        try:
            taught(place, tmp_path / "cut.json", method, report=interrupt)
            break
        except KeyboardInterrupt:
            continue
    assert steps > 10
    for name in (".json", ".seed0.safetensors", ".seed1.safetensors"):
        assert (tmp_path / f"cut{name}").read_bytes() == (tmp_path / f"whole{name}").read_bytes()


def test_the_test_split_decides_nothing(place: Path, tmp_path: Path) -> None:
    shards = tmp_path / "shards"
    for split, seed in (("train", 0), ("val", 1), ("test", 7)):
        write_split(shards / split, toy_real(SPLITS[split][0], seed=seed))
    one = taught(place, tmp_path / "one.json", "ccl")
    other = taught(place, tmp_path / "other.json", "ccl", train_set=shards / "train")
    assert one["scores"][0]["chosen"] == other["scores"][0]["chosen"]
    assert (tmp_path / "one.seed0.safetensors").read_bytes() == (
        tmp_path / "other.seed0.safetensors"
    ).read_bytes()


def test_a_candidate_that_diverges_is_not_chosen(place: Path, tmp_path: Path) -> None:
    (scores,) = taught(
        place,
        tmp_path / "out.json",
        "fitnet",
        "kd.fitnet.weights=[1e20, 1e-3]",
        "teach.lowest=1e-5",
        "teach.highest=1e-4",
    )["scores"]
    assert [trial["finite"] for trial in scores["trials"]] == [False, False, True, True]
    assert scores["chosen"]["weight"] == 1e-3


@pytest.mark.parametrize("student", ["embed", "frame", "video"])
def test_every_student_with_bounds(student: str, place: Path, tmp_path: Path) -> None:
    found = taught(
        place, tmp_path / "out.json", "ccl", f"teach.student={student}", features=place / "features"
    )
    accuracy = found["scores"][0]["metrics"]["accuracy"]
    assert set(accuracy) == {"student", "student + logmel", "probe logmel", "nearest mean logmel"}
    assert set(found["scores"][0]["metrics"]["mAP"]) == {"student", "teacher logmel"}
    assert found["not_run"] == [] and accuracy["probe logmel"]["mean"] == 1.0


def test_rows_that_need_other_vectors_say_so(place: Path, tmp_path: Path) -> None:
    found = taught(place, tmp_path / "out.json")
    assert found["not_run"][0].startswith(
        "probe logmel: not run: needs logmel vectors of every test window"
    )


def coreset(place: Path, out: Path) -> Path:
    ranking = replace(built("selector", "random").rank(vectors_of(place / "shards", "train")))
    about = {
        "selector": "random",
        "seed": 0,
        "table": "t",
        "shards": read_index(place / "shards" / "train").digest,
    }
    out.write_text(json.dumps({**about, **ranking.to_json()}))
    return out


def test_a_coreset_is_its_best_samples(place: Path, tmp_path: Path) -> None:
    chosen = coreset(place, tmp_path / "random.json")
    found = taught(
        place, tmp_path / "out.json", "ccl", train_set=chosen, shards=place / "shards", ipc=1
    )
    assert (found["training_rows"], found["train_set"]) == (2, "random ipc 1")


def artifact(place: Path, path: Path, **changes: Any) -> Path:
    made = distilled(built("method", "formed"), ipc=2)
    given = {
        "source_shards": read_index(place / "shards" / "train").digest,
        "preprocessing": "toy",
        "method": "formed",
        "seed": 0,
    }
    provenance = {"params": {}, "sources": [], "tuning": [], "pieces": 4, **given}
    write_artifact(
        path, replace(made, provenance=provenance, **changes), ExportSettings(storage="float32")
    )
    return path


def test_a_distilled_set_is_its_pieces(place: Path, tmp_path: Path) -> None:
    found = taught(
        place,
        tmp_path / "out.json",
        "ccl",
        train_set=artifact(place, tmp_path / "s.h5"),
        shards=place / "shards",
    )
    assert (found["training_rows"], found["train_set"]) == (2 * 2 * 4, "formed ipc 2")


def test_each_piece_of_a_distilled_set_has_the_key_of_its_sample() -> None:
    real = toy_real()
    made = replace(
        distilled(built("method", "formed"), ipc=2), provenance={"source_shards": real.digest}
    )
    student = StudentSettings(reads="samples", modality="frame", network="convnet", augment=())
    train = build_from_artifact(made, student, "s.h5", real, CPU)
    place = {key: row for row, key in enumerate(real.keys)}
    rows = real.normalise(torch.tensor([place[key] for key in train.keys]))["frame"]
    grid = made.formation["frame"]
    seen = train.instances.take(torch.arange(len(train.keys)))["frame"]
    assert torch.equal(seen, formation.split(formation.join(rows, grid), grid))


def refused(
    error: type[PipelineError], match: str, place: Path, tmp_path: Path, *changes: str, **given: Any
) -> None:
    with pytest.raises(error, match=match) as caught:
        taught(place, tmp_path / "out.json", "ccl", *changes, **given)
    assert "\n" not in str(caught.value) and not (tmp_path / "out.json").exists()


def test_sets_that_cannot_be_taught(place: Path, tmp_path: Path) -> None:
    shards = {"shards": place / "shards"}
    without = artifact(place, tmp_path / "s.h5", source_key=("",) * 4)
    refused(
        ArtifactError,
        "names 0 source samples for the 4 pieces of row 0",
        place,
        tmp_path,
        train_set=without,
        **shards,
    )
    whole = {"train_set": artifact(place, tmp_path / "t.h5"), **shards}
    refused(
        ArtifactError,
        "the student reads vectors",
        place,
        tmp_path,
        "teach.student=embed",
        **whole,
        features=place / "features",
    )
    refused(
        ParamsError,
        "--ipc is 0",
        place,
        tmp_path,
        train_set=coreset(place, tmp_path / "random.json"),
        **shards,
    )
    refused(ParamsError, "add --shards", place, tmp_path, train_set=tmp_path / "s.h5")
    refused(
        SourceError,
        "is not a training set",
        place,
        tmp_path,
        train_set=tmp_path / "no.txt",
        **shards,
    )
    own = ("teach.student=embed", "teach.teachers=[frame]")
    refused(
        ParamsError,
        "reads the frame vectors, which teach.teachers names too",
        place,
        tmp_path,
        *own,
    )
    refused(
        CellError,
        "2 candidate weights are more than the 1 trials",
        place,
        tmp_path,
        "teach.trials=1",
    )


def tabled(
    out: Path, features: Features, rows: Callable[[np.ndarray], np.ndarray] = np.asarray
) -> Path:
    write_features(
        out, replace(features, vectors={m: rows(values) for m, values in features.vectors.items()})
    )
    return out


def test_tables_that_do_not_fit(place: Path, tmp_path: Path) -> None:
    train = vectors_of(place / "shards", "train")
    other = tabled(
        tmp_path / "other.h5", replace(train, origin=replace(train.origin, shards="e1" * 32))
    )
    refused(
        StoreError,
        "is of shards e1e1e1e1e1e1, expected one of train",
        place,
        tmp_path,
        features=other,
    )
    both = tmp_path / "both"
    tabled(both / "a.h5", train)
    tabled(both / "b.h5", train)
    refused(
        StoreError, "both hold frame vectors of the train split", place, tmp_path, features=both
    )
    mixed = tmp_path / "mixed"
    tabled(mixed / "a.h5", train)
    tabled(mixed / "b.h5", vectors_of(place / "shards", "test", encoder="b"))
    refused(StoreError, "frame vectors of different encoders", place, tmp_path, features=mixed)
    (tmp_path / "empty").mkdir()
    refused(StoreError, "holds no .h5", place, tmp_path, features=tmp_path / "empty")
    refused(
        StoreError,
        "no wave vectors of the train split, only frame of train",
        place,
        tmp_path,
        "teach.teachers=[wave]",
    )
    refused(StoreError, "no frame vectors of the val split", place, tmp_path, "teach.student=embed")


def test_vectors_of_no_numbers(place: Path, tmp_path: Path) -> None:
    train = vectors_of(place / "shards", "train")
    train.vectors["logmel"][3, 0] = np.nan
    columns = {"key": np.array(train.keys), "label": train.label, **train.vectors}
    origin = {
        name: getattr(train.origin, name)
        for name in ("extractor", "params", "shards", "preprocessing", "weights")
    }
    tables.write_table(
        tmp_path / "nan.h5", columns, {**origin, "format": FORMAT, "classes": list(train.classes)}
    )
    message = (
        r"1 of 24 logmel vectors of .*nan\.h5 hold NaN or infinite numbers, first clip001_0001"
    )
    refused(StoreError, message, place, tmp_path, features=tmp_path / "nan.h5")


def kept(features: Features, rows: np.ndarray) -> Features:
    return replace(
        features,
        keys=tuple(np.array(features.keys)[rows].tolist()),
        label=features.label[rows],
        vectors={m: values[rows] for m, values in features.vectors.items()},
    )


def test_rows_without_a_vector_are_left_out_and_counted(place: Path, tmp_path: Path) -> None:
    train = vectors_of(place / "shards", "train")
    some = tabled(tmp_path / "some.h5", kept(train, np.arange(24) % 8 != 0))
    found = taught(place, tmp_path / "found.json", features=some)
    assert found["training_rows"] == 21 and found["left_out"]["training rows"] == 3
    message = teach(
        "ccl",
        place / "shards" / "train",
        some,
        tmp_path / "told.json",
        params=quick(place),
        device="cpu",
        report=ignore_progress,
    )
    assert "left out, without a vector: 3 training rows" in message
    one = tabled(tmp_path / "one.h5", kept(train, train.label == 0))
    refused(
        CellError,
        "12 of 24 training rows have no vector of logmel, which leaves none of class 'class1'",
        place,
        tmp_path,
        features=one,
    )


@given(
    counts=st.lists(st.integers(1, 5), min_size=2, max_size=6),
    classes=st.integers(2, 7),
    samples=st.integers(2, 6),
    seed=st.integers(0, 99),
)
@settings(max_examples=30)
def test_batches_hold_every_class_alike(
    counts: list[int], classes: int, samples: int, seed: int
) -> None:
    label = torch.arange(len(counts)).repeat_interleave(torch.tensor(counts))
    rows = draw_balanced_batch(
        label, BalancedBatch(classes=classes, samples=samples), torch.Generator().manual_seed(seed)
    )
    own = label[rows].bincount()
    assert set(own[own > 0].tolist()) == {samples} and (own > 0).sum() == min(classes, len(counts))
    assert all(
        rows[label[rows] == c].bincount().max() == -(-samples // counts[c])
        for c in label[rows].unique().tolist()
    )


def brute(queries: RetrievalItems, gallery: RetrievalItems, row: int) -> tuple[float, float]:
    """First right place and average precision of a query, item by item."""
    near = torch.nn.functional.cosine_similarity(
        queries.vectors[row : row + 1].double(), gallery.vectors.double()
    )
    found = [i for i in range(len(gallery.names)) if gallery.names[i] != queries.names[row]]
    found.sort(key=lambda i: (-round(near[i].item(), 9), gallery.names[i]))
    right = [int(gallery.label[i] == queries.label[row]) for i in found]
    shares = [sum(right[:place]) / place for place, hit in enumerate(right, start=1) if hit]
    return (right.index(1) + 1 if any(right) else float("inf")), (
        sum(shares) / len(shares) if shares else 0.0
    )


@given(seed=st.integers(0, 999))
@settings(max_examples=30)
def test_retrieval_equals_brute_force(seed: int) -> None:
    """With ties, since vectors are few integers; with names in both; with absent classes."""
    numbers = np.random.default_rng(seed)

    def items(count: int, classes: int) -> RetrievalItems:
        vectors = torch.from_numpy(numbers.integers(0, 2, (count, 2)) + np.array([0.0, 0.5]))
        names = [f"clip{i:02d}" for i in numbers.permutation(12)[:count]]
        return RetrievalItems(
            vectors=vectors,
            label=torch.from_numpy(numbers.integers(0, classes, count)),
            names=names,
        )

    queries, gallery = items(5, 3), items(9, 2)
    found = search(queries, gallery)
    wanted = [brute(queries, gallery, row) for row in range(5)]
    assert found.first.tolist() == [first for first, _ in wanted]
    assert found.precision.tolist() == pytest.approx([precision for _, precision in wanted])


@cache
def ucf51() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
    """PANNs vectors and labels of UCF51's training clips, and of its test clips."""
    folder = REAL_DATA / "ucf51_panns"
    about = json.loads((folder / "ucf51_annotation.json").read_text())
    vectors = {}
    with tarfile.open(folder / "audiocnn14embed512_features.tar.gz") as archive:
        for member in archive:
            name = Path(member.name).stem
            stream = (
                archive.extractfile(member)
                if name in about["database"] and member.name.endswith(".npy")
                else None
            )
            if stream:
                vectors[name] = np.load(io.BytesIO(stream.read()))
    sides = []
    for subset in ("training", "validation"):
        names = [
            name
            for name, entry in sorted(about["database"].items())
            if entry["subset"] == subset and name in vectors
        ]
        sides.append(torch.from_numpy(np.stack([vectors[name] for name in names])))
        sides.append(
            torch.tensor(
                [about["labels"].index(about["database"][name]["label"]) for name in names]
            )
        )
    return sides[0], sides[1], sides[2], sides[3]


@pytest.mark.skipif(
    not (REAL_DATA / "ucf51_panns").exists(), reason="the vectors of UCF51 are not here"
)
def test_figures_of_ucf51() -> None:
    """Known: R@1, 5, 10 = 40.3, 59.8, 68.3, mAP 0.216, nearest class mean 41.1 %, ridge 45.7 %.

    Ours is a softmax regression, which is a little better.
    """
    vectors, label, queries, wanted = ucf51()
    assert (len(label), len(wanted)) == (4892, 1944)
    found = search(
        RetrievalItems(
            vectors=queries, label=wanted, names=[f"test{i:04d}" for i in range(len(wanted))]
        ),
        RetrievalItems(
            vectors=vectors, label=label, names=[f"train{i:04d}" for i in range(len(label))]
        ),
    )
    assert [found.recall_at(most).double().mean().item() for most in (1, 5, 10)] == pytest.approx(
        [0.403, 0.598, 0.683], abs=5e-4
    )
    assert found.precision.mean().item() == pytest.approx(0.216, abs=5e-4)
    nearest = probes.classify_by_nearest_mean(vectors, label, 51, queries)
    assert (nearest == wanted).double().mean().item() == pytest.approx(0.411, abs=5e-4)
    probed = probes.fit_linear_probe(vectors, label, 51).logits(queries).argmax(1)
    assert (probed == wanted).double().mean().item() == pytest.approx(0.468, abs=5e-3)
