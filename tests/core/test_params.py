"""Params: a wrong key or type is one line that says which, where and what was expected."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from pipeline.core import params
from pipeline.core.errors import ParamsError
from pipeline.core.params import Grid
from pipeline.core.plugins import find
from pipeline.evaluation import Evaluate
from pipeline.shards.settings import DecodeSettings
from tests.toys.project import PARAMS, values


def test_a_misspelt_key_is_named_with_the_right_ones(tmp_path: Path) -> None:
    text = PARAMS.read_text().replace("ipcs:", "ipc:")
    (tmp_path / "p.yaml").write_text(text)
    with pytest.raises(
        ParamsError,
        match=r"p\.yaml: unknown key grid\.ipc, the nearest is ipcs",
    ):
        params.load(tmp_path / "p.yaml").build("grid", Grid)


def test_a_misspelt_key_deep_inside_is_named(tmp_path: Path) -> None:
    (tmp_path / "p.yaml").write_text(PARAMS.read_text().replace("n_mels", "mels"))
    with pytest.raises(
        ParamsError, match=r"p\.yaml: unknown key decode\.logmel\.mels, the nearest is n_mels"
    ):
        params.load(tmp_path / "p.yaml").build("decode", DecodeSettings)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("decode.frame.width=wide", "frame.width is 'wide' .*valid integer"),
        ("decode.frame.crop=yes", "frame.crop is 'yes' .*valid boolean"),
        ("decode.shards=2.5", "shards is 2.5 .*integer"),
        ("decode.shards=0", "shards is 0 .*greater than 0"),
        ("decode.max_reject_fraction=2", "max_reject_fraction is 2 .*less than or equal to 1"),
        ("decode.backends=[ffmpeg]", "backends.0 is 'ffmpeg' .*'decord' or 'pyav'"),
        ("decode.modalities=[sound]", "modalities.0 is 'sound' .*'frame', 'logmel' or 'wave'"),
        ("decode.backends=decord", "backends is 'decord' .*array"),
    ],
)
def test_a_wrong_type_is_named(change: str, message: str) -> None:
    with pytest.raises(ParamsError, match=message):
        values(change).build("decode", DecodeSettings)


def test_a_wrong_item_of_a_list_is_named_once() -> None:
    with pytest.raises(
        ParamsError, match=r"rates\.frame\.0 is -1\.0 \(input should be greater than 0\)$"
    ):
        values("distill.dm.rates={frame: [-1.0], logmel: [1.0]}").build(
            "distill.dm", find("method", "dm")
        )


@pytest.mark.parametrize("change", ["grid.seeds=[]", "grid.methods=[dm, dm]"])
def test_an_axis_without_values_or_with_one_twice_is_refused(change: str) -> None:
    with pytest.raises(ParamsError, match="expected at least one value, each once"):
        values(change).build("grid", Grid)


def test_set_changes_a_value_that_is_there() -> None:
    assert values("decode.shards=7").build("decode", DecodeSettings).shards == 7
    with pytest.raises(ParamsError, match=r"unknown key decode\.shard, the nearest is shards"):
        values("decode.shard=7")


def test_exponents_are_numbers_as_for_dvc() -> None:
    assert values("extract.convnet.rate=1e-3").get_section("extract.convnet")["rate"] == 1e-3


@pytest.mark.parametrize("text", ["", "- a\n- b\n", "a: [1,\n"])
def test_a_file_without_sections_is_refused(text: str, tmp_path: Path) -> None:
    (tmp_path / "p.yaml").write_text(text)
    with pytest.raises(ParamsError, match=r"p\.yaml"):
        params.load(tmp_path / "p.yaml")


def test_a_missing_section_lists_what_is_there() -> None:
    with pytest.raises(
        ParamsError,
        match=r"params\.yaml has no section 'ingest\.nowhere'; there are generated, mine",
    ):
        values().get_section("ingest.nowhere")


@pytest.mark.parametrize(
    ("run", "message"),
    [
        (
            "[{protocol: budget, network: convnet, head: ensemble, tsk: recognition}]",
            r"evaluate: unknown run\.0\.tsk; missing run\.0\.task$",
        ),
        ("[]", "evaluate: run is empty or repeats a measurement; expected one or more"),
        ("recognition", "run is 'recognition'"),
    ],
)
def test_a_list_of_measures_is_checked_item_by_item(run: str, message: str) -> None:
    with pytest.raises(ParamsError, match=message):
        values(f"evaluate.run={run}").build("evaluate", Evaluate)


def test_set_adds_a_key_to_a_mapping_of_free_keys() -> None:
    given = values("decode.filters.black=8.0", "decode.filters.still=1.0")
    assert given.get_section("decode.filters") == {"black": 8.0, "still": 1.0}
    rates = values("distill.dm.rates.frame=[1.0]").get_section("distill.dm.rates")
    assert rates["frame"] == [1.0] and len(rates["logmel"]) > 1


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("grd.ipcs=[1]", "unknown key grd, the nearest is grid"),
        ("distill.dm.stepz=1", "unknown key distill.dm.stepz, the nearest is steps"),
        ("decode.shards.x=1", "decode.shards is 4, and has no keys"),
        ("grid", "expected section.key=value"),
    ],
)
def test_a_change_that_fits_nowhere_says_what_is_near(change: str, message: str) -> None:
    with pytest.raises(ParamsError, match=re.escape(f"--set {change}: {message}")):
        values(change)
