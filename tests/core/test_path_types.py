"""Functions that people call take a path as text, as pathlib's, and as any other os.PathLike."""

from __future__ import annotations

import importlib
import inspect
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

import avdistill
from pipeline import artifact, media
from pipeline.artifact import inspection
from pipeline.artifact.exporters.card import Exporter as Card
from pipeline.core import files, hdf5, params, paths, tensors
from pipeline.datasets import manifest as manifests
from pipeline.features.prompts import Templates, read_prompts
from pipeline.features.store import origin_of, read_features, write_features
from pipeline.shards.index import read_index
from pipeline.shards.ledger import counts_of, read_ledger
from pipeline.shards.mapped import map_shards
from pipeline.shards.read import read_shards
from pipeline.training.bank import read_bank
from tests.toys.artifacts import CEILING, EVALUATED, FULL, toy_synthetic
from tests.toys.project import ROOT, TINY, values
from tests.toys.samples import ORIGIN

if TYPE_CHECKING:
    from collections.abc import Callable

GOLDEN = ROOT / "tests" / "golden" / "1.1-float32.h5"
# Modules of which every public function and method that takes a path takes any type of it.
DOORS = (
    "pipeline.artifact.clips",
    "pipeline.artifact.exporters.card",
    "pipeline.artifact.exporters.croissant",
    "pipeline.artifact.exporters.ddranking",
    "pipeline.artifact.exporters.previews",
    "pipeline.artifact.exporters.webdataset",
    "pipeline.artifact.importers.avdd",
    "pipeline.artifact.importers.dc",
    "pipeline.artifact.importers.mtt",
    "pipeline.artifact.inspection.diff",
    "pipeline.artifact.inspection.page",
    "pipeline.artifact.inspection.verify",
    "pipeline.artifact.publish",
    "pipeline.core.hdf5",
    "pipeline.core.params",
    "pipeline.core.tensors",
    "pipeline.datasets.manifest",
    "pipeline.distillation.run",
    "pipeline.distillation.setup",
    "pipeline.evaluation.reproduction",
    "pipeline.evaluation.setup",
    "pipeline.features.prompts",
    "pipeline.features.store",
    "pipeline.kd.results",
    "pipeline.kd.setup",
    "pipeline.media",
    "pipeline.project.create",
    "pipeline.prototypes.inputs",
    "pipeline.shards.decode",
    "pipeline.shards.mapped",
)
# Packages whose names in `__all__` are for everybody.
PACKAGES = (avdistill, artifact, inspection, media)


@dataclass(frozen=True)
class Place:
    """A path that is neither text nor pathlib's."""

    text: str

    def __fspath__(self) -> str:
        return self.text


KINDS: dict[str, Callable[[Path], Any]] = {
    "text": str,
    "pathlib": Path,
    "other": lambda path: Place(str(path)),
}


def functions_of(module: Any) -> list[tuple[str, Any]]:
    """The public functions that a module defines, those of its classes among them."""
    own = [
        (name, value)
        for name, value in vars(module).items()
        if not name.startswith("_") and getattr(value, "__module__", "") == module.__name__
    ]
    methods = [
        (f"{name}.{part}", function)
        for name, value in own
        if inspect.isclass(value)
        for part, function in vars(value).items()
        if not part.startswith("_")
    ]
    return [(name, value) for name, value in [*own, *methods] if inspect.isfunction(value)]


@pytest.mark.parametrize("name", DOORS)
def test_no_public_function_of_a_door_takes_pathlib_alone(name: str) -> None:
    for function, value in functions_of(importlib.import_module(name)):
        kinds = [
            str(parameter.annotation) for parameter in inspect.signature(value).parameters.values()
        ]
        assert not {"Path", "Path | None", "Sequence[Path]"} & {*kinds}, f"{name}.{function}"


@pytest.mark.parametrize("package", PACKAGES, ids=lambda package: package.__name__)
def test_no_public_function_of_a_package_takes_pathlib_alone(package: Any) -> None:
    for name in package.__all__:
        value = getattr(package, name)
        if inspect.isfunction(value):
            kinds = [str(each.annotation) for each in inspect.signature(value).parameters.values()]
            assert not {"Path", "Path | None"} & {*kinds}, name


@pytest.fixture(params=sorted(KINDS))
def kind(request: pytest.FixtureRequest) -> Callable[[Path], Any]:
    return KINDS[request.param]


def test_a_path_of_each_kind_is_one_path(kind: Callable[[Path], Any]) -> None:
    assert paths.to_path(kind(Path("a/b.h5"))) == Path("a/b.h5")


def test_a_url_stays_a_url() -> None:
    url = paths.to_path("memory://a/b.json")
    assert not isinstance(url, Path) and paths.to_path(url) == url


def test_artifacts_are_read_and_shown(kind: Callable[[Path], Any], tmp_path: Path) -> None:
    file = kind(GOLDEN)
    assert artifact.read_artifact(file).about["format_version"] == "1.1"
    assert artifact.read_unchecked(file).columns.keys() == artifact.read_about(file)[0].keys()
    assert artifact.list_artifacts(file) == [GOLDEN]
    assert GOLDEN in artifact.list_artifacts(kind(GOLDEN.parent))
    assert inspection.render_page(file) == inspection.render_page(GOLDEN)
    assert "are the same set" in inspection.compare_artifacts(file, file)
    Card().write(file, kind(tmp_path / "README.md"))
    assert "format" not in (tmp_path / "README.md").read_text(encoding="utf-8")[:10]


def test_artifacts_are_checked_and_prepared(kind: Callable[[Path], Any], media: Path) -> None:
    ((path, findings),) = inspection.verify_files([kind(GOLDEN)])
    assert path == GOLDEN and not [x for x in findings if x.severity == "CRITICAL"]
    inspection.refuse_damaged(kind(GOLDEN))
    clip = next(path for path in sorted(media.rglob("*.mp4")))
    assert len(artifact.read_artifact(GOLDEN).preprocess(kind(clip)).seconds)


def test_artifacts_are_written_and_published(kind: Callable[[Path], Any], tmp_path: Path) -> None:
    digest = artifact.write_artifact(kind(tmp_path / "seed0.h5"), toy_synthetic(), FULL)
    scores = {"artifacts": {"seed0.h5": digest}, **EVALUATED}
    out, settings = kind(tmp_path / "out" / "seed0.h5"), artifact.PublishSettings(runs=False)
    made = artifact.publish_artifact(kind(tmp_path / "seed0.h5"), scores, settings, out, CEILING)
    assert made == digest


def test_shards_and_manifests_are_read(
    kind: Callable[[Path], Any], shards: Path, manifest: Path, tmp_path: Path
) -> None:
    train = kind(shards / "train")
    assert read_index(train).digest == read_shards(train).digest == map_shards(train).digest
    assert read_ledger(kind(shards)) and counts_of(kind(shards))
    clips = manifests.read_manifest(kind(manifest))
    manifests.write_manifest(kind(tmp_path / "manifest.csv"), clips)
    assert manifests.read_source(kind(tmp_path / "manifest.csv")) == manifests.read_source(manifest)


def test_media_are_read(kind: Callable[[Path], Any], media: Path) -> None:
    from pipeline.media import SoundTrack, probe, read

    clip = kind(next(path for path in sorted(media.rglob("*.mp4"))))
    assert probe(clip).end >= 1
    assert read(clip, SoundTrack(rate=8000), [0.0], ["pyav"])[0].array is not None


def test_tables_and_values_are_read(kind: Callable[[Path], Any], tmp_path: Path) -> None:
    table = kind(tmp_path / "f.h5")
    label, vectors = np.arange(2), {"frame": np.ones((2, 3), np.float32)}
    write_features(table, toy_features(label=label, vectors=vectors))
    assert read_features(table)[0].keys == ("a_0000", "b_0000")
    assert origin_of(table, hdf5.read_attributes(table)[1]) == ORIGIN
    assert hdf5.read_attributes(table)[0].keys() >= {"label"}
    (tmp_path / "p.yaml").write_text("grid: {ipcs: [2]}\n", encoding="utf-8")
    assert params.load(kind(tmp_path / "p.yaml")).values["grid"]["ipcs"] == [2]
    prompts = tmp_path / "prompts.csv"
    prompts.write_text("class,name\nd1,snare drum\n", encoding="utf-8")
    assert read_prompts(kind(prompts), Templates(templates=("the sound of a {}",)))


def toy_features(label: np.ndarray, vectors: dict[str, np.ndarray]) -> Any:
    from pipeline.core.records import Features

    return Features(
        keys=("a_0000", "b_0000"), label=label, vectors=vectors, classes=("a", "b"), origin=ORIGIN
    )


def test_sets_and_json_are_written_and_read(kind: Callable[[Path], Any], tmp_path: Path) -> None:
    file = kind(tmp_path / "seed0.safetensors")
    tensors.save_synthetic(file, toy_synthetic())
    assert tensors.load_synthetic(file).classes == toy_synthetic().classes
    files.write_json(kind(tmp_path / "a.json"), {"a": 1})
    assert files.read_json(kind(tmp_path / "a.json"), "evaluate") == {"a": 1}
    assert files.file_digest(kind(tmp_path / "a.json"))
    with files.create_folder(kind(tmp_path / "folder")) as part:
        assert os.fspath(part).endswith(".part")


def test_a_cell_is_read_and_distilled(
    kind: Callable[[Path], Any], toy_data: Path, tmp_path: Path
) -> None:
    from pipeline.distillation.inputs import Runtime
    from pipeline.distillation.run import distil
    from pipeline.distillation.setup import read_cell
    from pipeline.training.loop import ignore_progress
    from tests.toys.project import CPU

    folders = [kind(toy_data / name) for name in ("shards/train", "coreset", "experts")]
    runtime = Runtime(device=CPU, report=ignore_progress)
    cell = read_cell("herding", 1, *folders, values(*TINY), runtime, workers=1)
    distil(cell, [0], kind(tmp_path / "out"), kind(tmp_path / ".work"))
    assert (tmp_path / "out" / "seed0.safetensors").is_file()
    assert read_bank(folders[2], cell.inputs.networks, built_heads()).digest


def built_heads() -> Any:
    from pipeline.core.plugins import build_all

    return build_all("head", values(*TINY))
