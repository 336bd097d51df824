"""One contract for every plugin: that which `python -m avdistill.contract` checks."""

from __future__ import annotations

import dataclasses
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from pipeline.core import plugins
from pipeline.core.errors import PluginError, SourceError
from stages.contract import methods
from stages.contract.run import facts_of
from stages.contract.subject import Subject, UntriedError
from tests.toys.golden import GOLDEN
from tests.toys.plugins import built, rows_of, toy_features
from tests.toys.project import values
from tests.toys.published import PUBLISHED
from tests.toys.sources import TOYS

if TYPE_CHECKING:
    from stages.contract.subject import Check

KINDS = plugins.KINDS.keys() - {"engine"}
EVERY = [(kind, name) for kind in sorted(KINDS) for name in plugins.list_names(kind)]


def subject_of(kind: str, name: str, given: str = "") -> Subject:
    """The plugin with the values of the first params file that has some, and its own toys."""
    folder, plugin = fresh(), built(kind, given or name)
    if hasattr(plugin, "model") and kind == "extractor":  # the fixture toy_<name> is a tiny one
        model = str(_request[0].getfixturevalue(f"toy_{name}"))
        plugin = dataclasses.replace(plugin, model=model)
    if hasattr(plugin, "vectors"):
        plugin = dataclasses.replace(plugin, vectors={"frame": str(toy_vectors(folder))})
    roots = {"adapter": toy_source, "importer": lambda name: toy_published(name, fresh())}
    root = roots[kind](name) if kind in roots else None
    return Subject(kind=kind, name=name, plugin=plugin, params=values(), folder=fresh(), root=root)


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


@pytest.mark.parametrize(
    ("kind", "name", "check"),
    [(kind, name, check) for kind, name in EVERY for check in facts_of(kind)],
    ids=lambda value: getattr(value, "__name__", value),
)
def test_every_plugin_keeps_its_contract(kind: str, name: str, check: Check) -> None:
    try:
        check(subject_of(kind, name))
    except UntriedError as error:
        pytest.skip(str(error))


@pytest.mark.parametrize("name", sorted(TOYS))
def test_known_datasets_read_one_copy_of_each_clip(name: str) -> None:
    clips = built("adapter", name).clips(toy_source(name))
    assert len({clip.path for clip in clips if not clip.sha256}) == 1


@pytest.mark.parametrize("row", sorted({*rows_of("method")} - {*plugins.list_names("method")}))
def test_every_row_of_a_method_mixes_its_variants_and_leaves_its_inputs(row: str) -> None:
    plugin = plugins.plugin_of("method", row, values())
    subject = subject_of("method", plugin, row)
    methods.check_variants(subject)
    methods.check_inputs(subject)


def test_a_method_is_exempt_from_the_law_of_order_in_both_places() -> None:
    for row in GOLDEN:
        module = plugins.import_plugin("method", GOLDEN[row]["method"])
        own, golden = getattr(module, "EXEMPT", {}), GOLDEN[row].get("exempt", {})
        assert own.get("order") == golden.get("order"), row


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
