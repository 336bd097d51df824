"""Publishing: the yardstick stands beside the scores, and is of the same measurement."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest

from pipeline.artifact import PublishSettings, publish_artifact, read_artifact, write_artifact
from pipeline.artifact.inspection import render_page, verify_files
from pipeline.core import hdf5 as tables
from pipeline.core.errors import ArtifactError
from stages.publish import publish
from tests.toys.artifacts import CEILING, EVALUATED, FULL, SCORES, WHOLE, toy_synthetic
from tests.toys.plugins import built
from tests.toys.project import values

SETTINGS = PublishSettings(runs=False)


@pytest.fixture
def artifact(tmp_path: Path) -> Path:
    write_artifact(tmp_path / "seed0.h5", toy_synthetic(), FULL)
    return tmp_path / "seed0.h5"


def published(artifact: Path, ceiling: Any = CEILING, **changes: Any) -> Path:
    digest = read_artifact(artifact).about["content_digest"]
    scores = {"artifacts": {artifact.name: digest}, **EVALUATED, **changes}
    out = artifact.parent / "published" / artifact.name
    publish_artifact(artifact, scores, SETTINGS, out, ceiling)
    return out


def test_the_page_prints_the_yardstick(artifact: Path) -> None:
    page = render_page(published(artifact))
    score = "50.0 ± 10.0 [40.0, 60.0] (n = 3); whole data 90.0 ± 2.0 [85.0, 95.0]\n"
    assert f"recognition accuracy av {score}" in f"{page}\n"
    assert "test split        12 windows of 6 clips" in page
    assert (
        "budget convnet ensemble recognition students rates frame 0.00416, logmel 0.0007; "
        "steps 60; stops frame 0.75; batch 32; trials 4"
    ) in page


def test_the_card_prints_the_yardstick(artifact: Path) -> None:
    out = artifact.with_name("README.md")
    built("exporter", "card").write(published(artifact), out)
    card = out.read_text(encoding="utf-8")
    assert "| av | 50.0 ± 10.0 [40.0, 60.0] | 3 | 90.0 ± 2.0 [85.0, 95.0] |" in card
    assert "- Test split: 12 windows of 6 clips" in card and "; steps 60; stops frame 0.75" in card


def test_the_file_holds_it_and_keeps_its_digest(artifact: Path) -> None:
    about = read_artifact(published(artifact)).about
    assert about["scores"][0]["whole"]["metrics"] == {"accuracy": {"av": WHOLE}}
    assert (about["evaluation"]["test_windows"], about["evaluation"]["test_clips"]) == (12, 6)
    assert about["content_digest"] == read_artifact(artifact).about["content_digest"]


def test_it_is_left_out_without_a_ceiling(artifact: Path) -> None:
    page = render_page(published(artifact, ceiling=None))
    assert "(n = 3)" in page and "whole data" not in page


def test_scores_of_an_older_version_have_a_ceiling_too(artifact: Path) -> None:
    old = {"classes": CEILING["classes"], "scores": CEILING["scores"]}
    assert "whole data 90.0" in render_page(published(artifact, ceiling=old))


def test_a_published_file_is_intact(artifact: Path) -> None:
    ((_, findings),) = verify_files([published(artifact)])
    assert not [finding for finding in findings if finding.severity == "CRITICAL"]


def changed(*path: Any, value: Any) -> dict[str, Any]:
    """The ceiling with another value."""
    ceiling: Any = copy.deepcopy(CEILING)
    place = ceiling
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value
    return dict(ceiling)


@pytest.mark.parametrize(
    ("ceiling", "message"),
    [
        (changed("classes", value=["a", "b"]), "is of other classes"),
        (changed("test_windows", value=13), "is of other test_windows"),
        (changed("evaluation", "test", value="toy3"), "is of other test windows"),
        (changed("scores", 0, "network", value="vgg11"), "lacks budget convnet ensemble recogni"),
        (
            changed("evaluation", "params", "networks", "convnet", value={"width": 8}),
            "has other params of budget convnet ensemble recognition",
        ),
        ({"projection": []}, "holds no classes and scores"),
    ],
)
def test_a_ceiling_of_something_else_is_refused(
    artifact: Path, ceiling: dict[str, Any], message: str
) -> None:
    with pytest.raises(ArtifactError, match=message):
        published(artifact, ceiling=ceiling)
    assert not (artifact.parent / "published").exists()


def test_the_command_takes_the_ceiling(artifact: Path, tmp_path: Path) -> None:
    digest = read_artifact(artifact).about["content_digest"]
    files = {"scores": {"artifacts": {"seed0.h5": digest}, **EVALUATED}, "ceiling": CEILING}
    for name, content in files.items():
        (tmp_path / f"{name}.json").write_text(json.dumps(content), encoding="utf-8")
    publish(
        artifact,
        tmp_path / "scores.json",
        tmp_path / "out.h5",
        ceiling=tmp_path / "ceiling.json",
        params=values(),
    )
    assert "whole data 90.0" in render_page(tmp_path / "out.h5")


def test_scores_without_a_protocol_are_published(artifact: Path) -> None:
    digest = read_artifact(artifact).about["content_digest"]
    plain = {"artifacts": {"seed0.h5": digest}, "scores": SCORES}
    publish_artifact(artifact, plain, SETTINGS, artifact.with_name("out.h5"))
    assert "recognition accuracy av 50.0" in render_page(artifact.with_name("out.h5"))


@pytest.mark.parametrize("held", ["none", [1], {"params": 3}, {"params": {"evaluate": []}}])
def test_a_strangers_values_do_not_break_the_page(artifact: Path, held: Any) -> None:
    path = published(artifact, ceiling=None)
    columns, about = tables.read_table(path)
    scores = json.loads(about["scores"])
    scores[0] |= {"whole": held, "chosen": held}
    tables.write_table(path, columns, {**about, "evaluation": held, "scores": scores})
    assert "recognition accuracy av 50.0" in render_page(path)
