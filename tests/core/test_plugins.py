"""One contract for every plugin: built from params, frozen, leaves inputs alone, reproducible."""

from __future__ import annotations

import copy
import dataclasses
import json
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from pipeline.artifact import ExportSettings, write_artifact
from pipeline.core import plugins
from pipeline.core.checkpoints import PartialResults
from pipeline.core.errors import PluginError, ShardError, SourceError
from pipeline.core.records import Features, RealSet
from pipeline.datasets.manifest import read_manifest, write_manifest
from pipeline.evaluation import Evaluate
from pipeline.training import instances as training
from pipeline.training.loop import ignore_progress
from tests.toys.plugins import (
    NETWORKS,
    built,
    distilled,
    head_for,
    rows_of,
    toy_bench,
    toy_features,
    toy_inputs,
)
from tests.toys.project import CPU, values
from tests.toys.published import PUBLISHED
from tests.toys.samples import toy_real, toy_waves
from tests.toys.sources import TOYS
from tests.toys.teachers import toy_terms

KINDS = plugins.KINDS.keys() - {"engine"}
EVERY = [(kind, name) for kind in sorted(KINDS) for name in plugins.list_names(kind)]


# kind -> what a plugin of that kind makes of a toy, as arrays
ACTS = {
    "adapter": lambda name: {
        "clips": np.array(
            [
                json.dumps(dataclasses.asdict(clip))
                for clip in built("adapter", name).clips(toy_source(name))
            ]
        )
    },
    "method": lambda name: distilled(built("method", name), ipc=2, seed=3).rows,
    "exporter": lambda name: exported(name),
    "extractor": lambda name: extracted(name, heard(name)).vectors,
    "head": lambda name: (
        built("head", name)
        .build({"frame": 6, "logmel": 6}, 3, torch.Generator().manual_seed(0))
        .state_dict()
    ),
    "importer": lambda name: built("importer", name).read(toy_published(name, fresh())).columns,
    "kd method": lambda name: dict(zip("lo", toy_terms(built("kd method", name)), strict=True)),
    "metric": lambda name: dict(
        zip(
            "sn",
            built("metric", name).per_clip(
                torch.eye(3), torch.tensor([0, 1, 1]), torch.tensor([0, 1, 1])
            ),
            strict=True,
        )
    ),
    "network": lambda name: (
        built("network", name)
        .build({"frame": (1, 3, 32, 32)}, torch.Generator().manual_seed(0))
        .state_dict()
    ),
    "selector": lambda name: built("selector", name).rank(toy_features()).select(4),
    "task": lambda name: {"json": np.array(json.dumps(scored(name)))},
}


def scored(name: str) -> dict[str, Any]:
    budget = dataclasses.replace(
        values().build("evaluate", Evaluate).protocols.budget, steps=4, trials=2
    )
    sets = [training.wrap_real_set(toy_real(), CPU)]
    return built("task", name).score(sets, budget, 0, toy_bench(head=head_for(name))).to_json()


def heard(name: str) -> RealSet:
    """A toy with what the extractor reads: with waveforms where it refuses one without."""
    try:
        extracted(name, toy_real())
    except ShardError:
        return toy_waves()
    return toy_real()


def extracted(name: str, real: RealSet) -> Features:
    """What an extractor makes of a toy, with nothing kept from before."""
    folder, extractor = fresh(), built("extractor", name)
    if hasattr(extractor, "model"):  # a pretrained one; the fixture toy_<name> is its tiny model
        model = str(_request[0].getfixturevalue(f"toy_{name}"))
        extractor = dataclasses.replace(extractor, model=model)
    if hasattr(extractor, "vectors"):
        vectors = {"frame": str(toy_vectors(folder))}
        extractor = dataclasses.replace(extractor, vectors=vectors)
    return extractor.embed(
        real, NETWORKS, PartialResults(folder=folder / "parts"), CPU, ignore_progress
    )


def toy_artifact() -> Path:
    """The toy's set as a file, in an empty folder."""
    path = fresh() / "seed0.h5"
    write_artifact(path, distilled(built("method", "herding")), ExportSettings(storage="float32"))
    return path


def exported(name: str) -> dict[str, np.ndarray]:
    """The bytes of each file that an exporter makes of the toy's set."""
    artifact = toy_artifact()
    out = artifact.parent / "out"
    built("exporter", name).write(artifact, out)
    files = [path for path in (out, *sorted(out.rglob("*"))) if path.is_file()]
    return {
        str(path.relative_to(artifact.parent)): np.frombuffer(path.read_bytes(), np.uint8)
        for path in files
    }


def fresh() -> Path:
    """An empty folder."""
    return Path(tempfile.mkdtemp(dir=_request[0].getfixturevalue("tmp_path")))


def toy_vectors(folder: Path) -> Path:
    """Own vectors of the toy's samples, in a file."""
    features = toy_features()
    np.save(folder / "own.npy", features.vectors["frame"])
    (folder / "own.ids.txt").write_text("\n".join(features.keys))
    return folder / "own.npy"


def toy_published(name: str, folder: Path) -> Path:
    """Files in the layout that an importer reads."""
    if name not in PUBLISHED:
        pytest.skip(f"no toy of {name}; write one as tests/toys/published/{name}.py")
    return PUBLISHED[name](folder)


# Fixtures for functions that have no arguments but a name.
_request: list[pytest.FixtureRequest] = []


def toy_source(name: str) -> Path:
    """A root in the adapter's layout, the tree of generated clips where tests have none of it."""
    if name not in TOYS:
        media: Path = _request[0].getfixturevalue("media")
        try:
            built("adapter", name).clips(media)
        except SourceError:
            pytest.skip(f"no toy of {name}; write one as tests/toys/sources/{name}.py")
        return media
    root = _request[0].getfixturevalue("sources") / name
    return root if root.exists() else TOYS[name](root)


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("sources")


@pytest.fixture(autouse=True)
def _keep_request(request: pytest.FixtureRequest) -> None:
    _request[:] = [request]


@pytest.mark.parametrize(("kind", "name"), EVERY)
def test_builds_from_params_and_is_frozen(kind: str, name: str) -> None:
    plugin = built(kind, name)
    assert type(plugin).__name__ == plugins.KINDS[kind].defines
    assert all(
        field.default is dataclasses.MISSING and field.kw_only
        for field in dataclasses.fields(plugin)
    )
    with pytest.raises(dataclasses.FrozenInstanceError):
        plugin.anything = 1


@pytest.mark.parametrize(("kind", "name"), EVERY)
def test_does_the_same_twice(kind: str, name: str) -> None:
    first, second = (ACTS[kind](name) for _ in range(2))
    assert first.keys() == second.keys()
    assert all(np.array_equal(np.asarray(first[key]), np.asarray(second[key])) for key in first)


@pytest.mark.parametrize("name", sorted(TOYS))
def test_datasets_make_a_manifest_of_whole_groups(name: str, tmp_path: Path) -> None:
    clips = built("adapter", name).clips(toy_source(name))
    write_manifest(tmp_path / "manifest.csv", clips)
    assert read_manifest(tmp_path / "manifest.csv") == clips
    assert len({(clip.group, clip.split) for clip in clips}) == len({clip.group for clip in clips})
    assert len({clip.path for clip in clips if not clip.sha256}) == 1


@pytest.mark.parametrize("name", rows_of("method"))
def test_distillers_leave_their_inputs_alone(name: str) -> None:
    given = toy_inputs()
    before = copy.deepcopy((given.real.rows, given.coresets, given.bank.trajectories))
    distilled(built("method", name), real=given.real, coresets=given.coresets)
    assert all(torch.equal(given.real.rows[m], before[0][m]) for m in given.real.rows)
    assert given.coresets == before[1]
    assert all(
        torch.equal(old[key], new[key])
        for old, new in zip(before[2], given.bank.trajectories, strict=True)
        for key in old
    )


@pytest.mark.parametrize("name", rows_of("method"))
def test_distillers_mix_their_variants(name: str) -> None:
    distiller = built("method", name)
    variants = distiller.variants(toy_inputs(), 1)
    assert variants
    assert all(
        distiller.mix(dict.fromkeys(("frame", "logmel"), variant)) == variant
        for variant in variants
    )


@pytest.mark.parametrize("name", plugins.list_names("exporter"))
def test_exporters_leave_the_artifact_alone(name: str) -> None:
    artifact = toy_artifact()
    before = artifact.read_bytes()
    message = built("exporter", name).write(artifact, artifact.parent / "out")
    assert artifact.read_bytes() == before
    assert str(artifact.parent / "out") in message and not list(artifact.parent.glob("*.part"))


@pytest.mark.parametrize("name", plugins.list_names("importer"))
def test_importers_make_a_whole_set_and_leave_the_files_alone(name: str) -> None:
    folder = fresh()
    place = toy_published(name, folder)
    before = {path: path.read_bytes() for path in folder.iterdir()}
    synthetic = built("importer", name).read(place)
    assert {path: path.read_bytes() for path in folder.iterdir()} == before
    assert synthetic.rows.keys() == synthetic.formation.keys() == synthetic.normalisation.keys()
    assert all(
        rows.isfinite().all() and rows.dtype == torch.float32 for rows in synthetic.rows.values()
    )
    assert {"method", "params", "seed", "pieces", "adopted"} <= synthetic.provenance.keys()


@pytest.mark.parametrize("name", rows_of("kd method"))
def test_kd_methods_have_finite_terms_that_move_no_teacher(name: str) -> None:
    student, own = toy_terms(built("kd method", name))
    assert np.isfinite(student) and np.isfinite(own)


@pytest.mark.parametrize("name", plugins.list_names("extractor"))
def test_extractors_say_what_their_vectors_come_from(name: str) -> None:
    real = heard(name)
    features = extracted(name, real)
    assert features.keys == real.keys
    assert all(
        rows.dtype == np.float32 and rows.shape[0] == len(real)
        for rows in features.vectors.values()
    )
    assert (features.origin.extractor, features.origin.shards, features.origin.preprocessing) == (
        name,
        real.digest,
        "toy",
    )
    assert len(features.origin.weights) == 64


@pytest.mark.parametrize("name", plugins.list_names("extractor"))
def test_extractors_leave_their_inputs_alone(name: str) -> None:
    real = heard(name)
    before = copy.deepcopy(real)
    extracted(name, real)
    assert all(torch.equal(before.rows[m], rows) for m, rows in real.rows.items())
    assert torch.equal(before.label, real.label)


@pytest.mark.parametrize("name", plugins.list_names("selector"))
def test_selectors_rank_each_key_once(name: str) -> None:
    features = toy_features()
    ranking = built("selector", name).rank(features)
    for count in (1, 4, 8):
        check_chosen(ranking.select(count), count, features)


def check_chosen(chosen: dict[str, tuple[str, ...]], count: int, features: Features) -> None:
    for number, (label, keys) in enumerate(chosen.items()):
        assert label == features.classes[number]
        assert len(set(keys)) == len(keys) == count
        assert set(keys) <= {
            key for key, own in zip(features.keys, features.label, strict=True) if own == number
        }


@pytest.mark.parametrize("kind", sorted(plugins.KINDS))
def test_an_unknown_name_lists_the_known_ones(kind: str) -> None:
    with pytest.raises(
        PluginError, match=f"no {kind} named 'dmm'; there are {plugins.list_names(kind)[0]}"
    ):
        plugins.find(kind, "dmm")


def test_params_names_each_method_of_its_grid() -> None:
    given = values()
    assert set(given.get_section("grid")["methods"]) <= set(given.get_section("distill"))


@pytest.mark.parametrize("kind", ["method", "selector", "kd method"])
def test_methods_are_spelt_out(kind: str) -> None:
    names = plugins.list_names(kind)
    titles = {name: plugins.describe(kind, name) for name in names}
    assert not [name for name, about in titles.items() if about.title == name]
    assert all(about.paper.startswith("https://") for about in titles.values() if about.paper)
    assert len({about.title for about in titles.values()}) == len(names)


def test_a_row_may_go_by_the_name_of_its_own_paper() -> None:
    dc, dsa, mine = (plugins.describe("method", "gradient", row) for row in ("dc", "dsa", "mine"))
    assert "(DC)" in dc.title and "(DSA)" in dsa.title and dc.paper != dsa.paper
    assert mine == plugins.describe("method", "gradient")


def test_a_plugin_that_is_not_spelt_out_goes_by_its_name() -> None:
    assert plugins.describe("task", "recognition") == ("recognition", "")
