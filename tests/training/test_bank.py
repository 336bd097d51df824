"""The bank of experts on disk: whole, reproducible, resumed, and refused where it does not fit."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest
import torch

from pipeline.core import params
from pipeline.core.errors import CellError, OutputError, PluginError, SourceError, TensorError
from pipeline.core.files import write_json
from pipeline.core.plugins import build_all
from pipeline.coresets.rankings import Coreset, Ranking
from pipeline.distillation.distributed import Ranks
from pipeline.shards.read import read_shards
from pipeline.training.bank import INDEX, ExpertBank, read_bank
from pipeline.training.experts import fit_temperature
from pipeline.training.loop import apply_in_batches, ignore_progress
from stages.distill import distill
from stages.experts import experts
from tests.toys.golden import rows_with_experts
from tests.toys.plugins import built, distilled, toy_bank
from tests.toys.project import CPU, values
from tests.toys.samples import toy_real

SMALL = ("experts.count=2", "experts.epochs=2", "experts.batch=12", "networks.convnet.width=4")


def trained(shards: Path, out: Path, *changes: str, report: Any = ignore_progress) -> Path:
    """The bank that the stage makes of toy shards."""
    experts(shards / "train", out, params=values(*SMALL, *changes), device="cpu", report=report)
    return out


def read(folder: Path, *changes: str) -> ExpertBank:
    given = values(*SMALL, *changes)
    return read_bank(folder, build_all("network", given), build_all("head", given))


def bytes_of(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


@pytest.fixture(scope="module")
def bank(shards: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return trained(shards, tmp_path_factory.mktemp("bank") / "experts")


@pytest.fixture
def own(bank: Path, tmp_path: Path) -> Path:
    """A copy that a test may damage."""
    folder = tmp_path / "own"
    folder.mkdir()
    for name, content in bytes_of(bank).items():
        (folder / name).write_bytes(content)
    return folder


def test_a_bank_is_read_as_it_was_trained(bank: Path, shards: Path) -> None:
    found, real = read(bank), read_shards(shards / "train")
    assert sorted(bytes_of(bank)) == ["expert000.safetensors", "expert001.safetensors", INDEX]
    assert (len(found.trajectories), found.epochs, found.rate) == (2, 2, 0.01)
    assert found.shards == real.digest
    module = found.build_empty_model(real, CPU)
    for expert in range(2):
        module.load_state_dict(found.state_after(expert, 2))
        assert found.state_after(expert, 0).keys() == module.state_dict().keys()
        assert all(
            torch.equal(values, found.state_after(expert, 2)[name])
            for name, values in found.interpolate(expert, 1.0).items()
        )
    first, second = found.state_after(0, 0), found.state_after(1, 0)
    assert not torch.equal(
        first["towers.towers.frame.0.weight"], second["towers.towers.frame.0.weight"]
    )
    assert not torch.equal(
        first["towers.towers.frame.0.weight"],
        found.state_after(0, 1)["towers.towers.frame.0.weight"],
    )


def test_the_same_shards_give_the_same_bytes(bank: Path, shards: Path, tmp_path: Path) -> None:
    again = trained(shards, tmp_path / "experts")
    assert bytes_of(again) == bytes_of(bank)
    assert read(again).digest == read(bank).digest
    assert not list((tmp_path / ".work").iterdir())


def test_how_certain_experts_may_be_is_measured_on_the_validation_split(
    bank: Path, shards: Path
) -> None:
    found, val = read(bank), read_shards(shards / "val")
    module, message = found.build_empty_model(read_shards(shards / "train"), CPU), []
    for expert in range(2):
        module.load_state_dict(found.interpolate(expert, 1.0))
        message.append(
            apply_in_batches(module, module, val, read_shards(shards / "train").normalisation, CPU)[
                "logmel"
            ]
        )
    assert found.temperature["logmel"] == fit_temperature(torch.cat(message), val.label.repeat(2))


def test_another_seed_gives_another_bank(bank: Path, shards: Path, tmp_path: Path) -> None:
    other = trained(
        shards, tmp_path / "experts", "experts.seed=1", "experts.count=1", "experts.epochs=1"
    )
    assert read(other, "experts.seed=1").digest != read(bank).digest


def test_a_bank_that_exists_is_left_alone(own: Path, shards: Path) -> None:
    before = bytes_of(own)
    with pytest.raises(OutputError, match="exists already"):
        trained(shards, own)
    assert bytes_of(own) == before


class Stopped:
    """A report that raises KeyboardInterrupt at a step, and keeps its steps."""

    def __init__(self, at: int) -> None:
        self.at, self.steps = at, []

    def __call__(self, done: int, total: int, **figures: float) -> None:
        self.steps.append(done)
        if done == self.at:
            raise KeyboardInterrupt


def test_interrupted_training_goes_on_to_the_same_bytes(
    bank: Path, shards: Path, tmp_path: Path
) -> None:
    # 24 samples in batches of 12: two steps an epoch, four an expert.
    stopped, resumed = Stopped(6), Stopped(-1)
    with pytest.raises(KeyboardInterrupt):
        trained(shards, tmp_path / "experts", report=stopped)
    assert not (tmp_path / "experts").exists()
    assert stopped.steps == [1, 2, 3, 4, 5, 6]
    trained(shards, tmp_path / "experts", report=resumed)
    assert resumed.steps == [5, 6, 7, 8]
    assert bytes_of(tmp_path / "experts") == bytes_of(bank)


def test_parts_of_another_training_are_not_taken(shards: Path, tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        trained(shards, tmp_path / "experts", report=Stopped(6))
    other = Stopped(-1)
    trained(shards, tmp_path / "experts", "experts.rate=0.02", report=other)
    assert other.steps == list(range(1, 9))


@pytest.mark.parametrize(
    "change", [lambda content: content[:-1], lambda content: content[:-1] + b"x", None]
)
def test_a_damaged_expert_is_named(own: Path, change: Any) -> None:
    path = own / "expert001.safetensors"
    content = path.read_bytes()
    path.unlink()
    if change:
        path.write_bytes(change(content))
    with pytest.raises(
        TensorError,
        match=r"expert001\.safetensors is not the file that index\.json lists; remove .* again",
    ):
        read(own)


def test_a_folder_without_an_index_names_the_command(own: Path) -> None:
    (own / INDEX).unlink()
    with pytest.raises(
        SourceError, match=r"index\.json does not exist; it is written by `avdistill experts`"
    ):
        read(own)


def without(key: str) -> Any:
    return lambda about: {name: value for name, value in about.items() if name != key}


@pytest.mark.parametrize(
    "change",
    [
        without("params"),
        without("shards"),
        without("form"),
        without("temperature"),
        lambda about: {**about, "temperature": [1.0]},
        lambda about: {**about, "temperature": {"frame": "warm"}},
        without("experts"),
        lambda about: {**about, "experts": []},
        lambda about: {**about, "experts": [{"name": "expert000.safetensors"}]},
        lambda about: {**about, "params": {**about["params"], "rate": "fast"}},
        lambda about: {**about, "params": {**about["params"], "rate": None}},
        lambda about: [about],
    ],
)
def test_an_index_that_is_none_is_named(own: Path, change: Any) -> None:
    write_json(own / INDEX, change(json.loads((own / INDEX).read_text())))
    with pytest.raises(
        TensorError, match=r"index\.json is no index of experts .*; run `avdistill experts` again"
    ):
        read(own)


def test_an_index_that_is_no_json_is_named(own: Path) -> None:
    (own / INDEX).write_text("{")
    with pytest.raises(SourceError, match=r"index\.json is not valid JSON"):
        read(own)


def test_experts_of_another_network_are_refused(bank: Path) -> None:
    with pytest.raises(
        TensorError,
        match=r"holds experts of .*'width': 4.*, the parameters say .*'width': 8.*again",
    ):
        read(bank, "networks.convnet.width=8")


def test_a_network_without_values_lists_those_that_have_some(bank: Path) -> None:
    with pytest.raises(PluginError, match="no network named 'convnet' was given; there are vit"):
        read_bank(bank, {"vit": None}, {})  # type: ignore[dict-item]


def test_experts_of_other_shards_are_refused_by_both_digests(bank: Path) -> None:
    found = read(bank)
    message = (
        f"the bank of experts was trained on shards {found.shards[:12]}, the shards here are toy0; "
        "run `avdistill experts` again"
    )
    with pytest.raises(CellError, match=message):
        found.build_empty_model(toy_real(), CPU)


@pytest.mark.parametrize("method", rows_with_experts())
def test_methods_refuse_experts_of_other_shards(method: str) -> None:
    other = dataclasses.replace(toy_bank(), shards="f" * 64)
    with pytest.raises(CellError, match=f"trained on shards {'f' * 12}, the shards here are toy0"):
        distilled(built("method", method), bank=other)


@pytest.mark.parametrize("method", rows_with_experts())
def test_methods_without_experts_say_how_to_get_some(
    method: str, shards: Path, tmp_path: Path
) -> None:
    real = read_shards(shards / "train")
    ranking = Ranking(
        {
            name: tuple(real.keys[i] for i in real.indices_of(k))
            for k, name in enumerate(real.classes)
        }
    )
    herding = Coreset(selector="herding", seed=0, table="toy", shards=real.digest, ranking=ranking)
    write_json(tmp_path / "coreset" / "herding.json", herding.to_json())
    with pytest.raises(
        CellError,
        match=(
            f"{method} works with a bank of experts and none was given; "
            "run `avdistill experts`, and"
        ),
    ):
        distil(
            method,
            shards,
            tmp_path,
            values(f"distill.{method}.formation={{frame: [1, 1], logmel: [1, 1]}}"),
        )
    assert not (tmp_path / "synthetic").exists()


def distil(method: str, shards: Path, place: Path, given: params.Params) -> None:
    distill(
        method,
        1,
        shards / "train",
        place / "coreset",
        place / "synthetic",
        experts=None,
        params=given,
        device="cpu",
        memory_mb=64,
        workers=1,
        report=ignore_progress,
        ranks=Ranks(),
    )
