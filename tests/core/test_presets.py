"""Presets: values that an overlay may change, how rows start, and what each preset resolves to."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from pipeline.core import params, plugins
from pipeline.core.errors import ParamsError, PluginError
from pipeline.core.params import Params
from pipeline.core.presets import (
    find_preset,
    list_presets,
    overlay,
    parse_yaml,
    read_packaged,
    read_values,
)
from tests.toys.project import PARAMS

BASE = parse_yaml(
    """
    grid: {seeds: [0], ipcs: [1]}
    decode: {normalise: {}, frame: {width: 32, height: 32}, logmel: {hop: 2}}
    experts: {count: 4, augment: {frame: [crop], logmel: [shift]}}
    distill:
      dm: {network: convnet, rates: {frame: [1.0], logmel: [1.0]}, steps: 4}
      jcf: {steps: 4, rates: {frame: [2.0], logmel: [2.0]}, joint: 0.0}
      pieces: {method: coreset, coreset: herding, formation: {frame: [2, 2]}}
    students:
      frame: {reads: samples, network: convnet}
    """,
    "the base",
)


def overlaid(text: str) -> Any:
    return overlay(BASE, parse_yaml(text, "p.yaml"), "p.yaml")


def resolved(*names: str) -> Params:
    """The packaged values with presets."""
    values: Any = read_packaged()
    for name in names:
        values = overlay(values, read_values(find_preset(name)), f"{name}.yaml")
    return Params(name="+".join(names), values=values)


def test_values_that_an_overlay_lacks_stay() -> None:
    assert overlaid("{decode: {frame: {width: 64}}}") == {
        **BASE,
        "decode": {**BASE["decode"], "frame": {"width": 64, "height": 32}},
    }


@pytest.mark.parametrize(
    ("text", "place", "expected"),
    [
        ("{decode: {normalise: {frame: {fill: 0}}}}", "decode.normalise", {"frame": {"fill": 0}}),
        ("{experts: {augment: {wave: []}}}", "experts.augment", {"wave": []}),
        ("{distill: {dm: {rates: {frame: [3.0]}}}}", "distill.dm.rates", {"frame": [3.0]}),
        ("{grid: {seeds: [1, 2]}}", "grid.seeds", [1, 2]),
    ],
)
def test_free_mappings_values_of_rows_and_lists_are_replaced_whole(
    text: str, place: str, expected: object
) -> None:
    value = overlaid(text)
    for key in place.split("."):
        value = value[key]
    assert value == expected


def test_a_new_row_starts_as_the_row_of_its_plugin() -> None:
    rows = overlaid("{distill: {dm-fast: {method: dm, steps: 1}}}")["distill"]
    assert rows["dm-fast"] == {**BASE["distill"]["dm"], "steps": 1, "method": "dm"}
    assert rows["dm"] == BASE["distill"]["dm"]


def test_a_new_row_starts_from_values_of_its_own_overlay() -> None:
    rows = overlaid("{distill: {jcf-joint: {method: jcf, joint: 0.5}, jcf: {steps: 9}}}")["distill"]
    assert rows["jcf-joint"] == {**rows["jcf"], "joint": 0.5, "method": "jcf"}
    assert rows["jcf"]["steps"] == 9


def test_a_row_of_a_plugin_without_a_row_has_its_own_values_only() -> None:
    row = {"method": "coreset", "coreset": "random"}
    assert overlaid("{distill: {one: {method: coreset, coreset: random}}}")["distill"]["one"] == row


def test_a_row_that_changes_its_plugin_starts_anew() -> None:
    rows = overlaid("{distill: {pieces: {method: dm, steps: 2}}}")["distill"]
    assert rows["pieces"] == {**BASE["distill"]["dm"], "steps": 2, "method": "dm"}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{gird: {}}", r"p\.yaml: unknown key gird, the nearest is grid$"),
        ("{decode: {frame: {widht: 1}}}", r"unknown key decode\.frame\.widht, .* width$"),
        ("{distill: {jcf: {jiont: 1}}}", r"unknown key distill\.jcf\.jiont, .* joint$"),
        ("{distill: {new: {method: dm, rate: 1}}}", r"distill\.new\.rate, .* rates$"),
        ("{students: {mine: {read: vectors}}}", r"students\.mine\.read, .* reads$"),
        ("{grid: {seed: 1, ipc: 1}}", r"grid\.seed, .* seeds; unknown key grid\.ipc, .* ipcs$"),
        ("{decode: 3}", "decode is 3, expected a section of keys and values"),
        ("{distill: {dm: 3}}", r"distill\.dm is 3, expected keys and values"),
    ],
)
def test_an_unknown_key_is_named_with_the_nearest(text: str, message: str) -> None:
    with pytest.raises(ParamsError, match=message):
        overlaid(text)


@pytest.mark.parametrize("method", ["jcff", "[dm]", "1"])
def test_a_row_of_an_unknown_plugin_lists_the_known(method: str) -> None:
    with pytest.raises(PluginError, match=r"p\.yaml: distill\.x: no method named .* avdd, "):
        overlaid(f"{{distill: {{x: {{method: {method}}}}}}}")


def test_two_places_of_an_alias_are_apart(tmp_path: Path) -> None:
    given = params.load(PARAMS, ["decode.logmel.hop=7"])
    assert given.get_section("convert.previews.logmel")["hop"] != 7
    assert params.load(PARAMS).get_section("decode.logmel")["hop"] != 7


def test_a_whole_params_file_is_itself() -> None:
    path = PARAMS
    assert params.load(path).values == read_values(path)


def test_a_file_that_lacks_a_key_has_the_packaged_value(tmp_path: Path) -> None:
    text = PARAMS.read_text(encoding="utf-8")
    (tmp_path / "params.yaml").write_text(text.replace("    tried: 3", "    #"))
    assert params.load(tmp_path / "params.yaml").get_section("distill.jcf")["tried"] == 3


def test_a_plugin_s_rows_state_every_parameter() -> None:
    """So that keys of a row can be checked against those of the packaged rows."""
    given = params.load(PARAMS)
    for kind, about in plugins.KINDS.items():
        for row in given.get_section(about.section) if about.section else ():
            built = plugins.build(kind, row, given)
            assert set(vars(built)) <= given.get_section(f"{about.section}.{row}").keys()


@pytest.mark.parametrize("name", list_presets())
def test_every_row_of_a_preset_builds(name: str) -> None:
    given = resolved(name)
    for kind, about in plugins.KINDS.items():
        if about.section:
            plugins.build_all(kind, given)
    grid = given.build("grid", params.Grid)
    assert set(grid.methods) <= given.get_section("distill").keys()
    assert set(grid.selectors) <= given.get_section("coreset").keys()
    assert set(grid.datasets) <= given.get_section("ingest").keys()


@pytest.mark.parametrize("name", list_presets())
def test_a_preset_fits_on_a_page(name: str) -> None:
    lines = find_preset(name).read_text(encoding="utf-8").splitlines()
    assert len(lines) <= 80 and max(map(len, lines)) <= 100


def test_an_unknown_preset_lists_the_known() -> None:
    with pytest.raises(ParamsError, match=r"no preset 'smal'; name one of ablation, ave, .* small"):
        find_preset("smal")


# --- the ablation ---------------------------------------------------------------------------------

ABLATION = resolved("small", "ablation")
ROWS = ABLATION.get_section("distill")


def test_every_row_of_the_ablation_is_compared_with_avdd() -> None:
    assert ABLATION.get_section("report")["baseline"] == "avdd"
    grid = ABLATION.get_section("grid")
    assert set(grid["methods"]) >= set(read_values(find_preset("ablation"))["distill"])
    assert {ROWS[row].get("start", "random") for row in grid["methods"]} <= set(grid["selectors"])


@pytest.mark.parametrize("row", [row for row in ROWS if "-" in row])
def test_a_row_of_the_ablation_differs_from_its_method(row: str) -> None:
    assert (
        any(
            value != ROWS[ROWS[row]["method"]].get(key)
            for key, value in ROWS[row].items()
            if ROWS[row]["method"] in ROWS
        )
        or ROWS[row]["method"] == "coreset"
    )


def test_hard_labels_change_nothing_else_of_the_candidates() -> None:
    hard, soft = ([ROWS[row], *ROWS[row]["others"]] for row in ("jcf-hard", "jcf"))
    for one, other in zip(hard[1:], soft[1:], strict=True):
        assert {**one, "temperature": 0} == {**other, "temperature": 0}
    assert all(value is None for one in hard for value in one["temperature"].values())


def test_no_candidate_of_the_still_row_moves() -> None:
    still, moving = ROWS["jcf-still"], ROWS["jcf"]
    assert all(rates == [0.0] for rates in still["rates"].values())
    for one, other in zip(still["others"], moving["others"], strict=True):
        assert {**one, "rates": 0} == {**other, "rates": 0}
        assert set(one["rates"].values()) == {0.0}


def test_the_row_of_means_steps_as_far_as_its_slope_is_flat() -> None:
    mean, plain = ROWS["jcf-mean"], ROWS["jcf"]
    steps = plain["bandwidth"] / mean["bandwidth"]
    assert all(
        mean["rates"][m] == [steps * rate for rate in rates] for m, rates in plain["rates"].items()
    )
    for one, other in zip(mean["others"], plain["others"], strict=True):
        assert one["rates"] == {m: steps * rate for m, rate in other["rates"].items()}


def test_the_labelled_row_of_avdd_has_its_values_and_the_temperature_of_labelled() -> None:
    assert ROWS["avdd-labelled"] == {
        **ROWS["avdd"],
        "method": "avdd_labelled",
        "temperature": ROWS["labelled"]["temperature"],
    }
