"""Cells that need more samples than a class has: found after decode, skipped through the stages."""

from __future__ import annotations

import dataclasses
import json
from typing import TYPE_CHECKING

import pytest

from pipeline.core import plugins
from pipeline.core.errors import CellError, InfeasibleError
from pipeline.core.params import Grid
from pipeline.distillation.feasibility import (
    describe_infeasible,
    find_infeasible,
    read_skipped,
)
from pipeline.distillation.run import distil, distil_or_skip
from stages.evaluate import evaluate
from stages.export import export
from stages.publish import publish
from tests.toys.cells import cell
from tests.toys.plugins import rows_of
from tests.toys.project import values

if TYPE_CHECKING:
    from pathlib import Path

COUNTS = {"cat": 7, "dog": 90}


def test_the_cells_that_do_not_fit_are_named_with_the_largest_ipc() -> None:
    params = values("grid.methods=[random, dm]", "grid.ipcs=[1, 2, 8]")
    found = list(find_infeasible(COUNTS, ["frame", "logmel"], params))
    assert [(method, ipc) for method, ipc, _ in found] == [("random", 8), ("dm", 2), ("dm", 8)]
    assert (
        "ipc 2 x 4 pieces needs 8 training windows a class, 'cat' has 7; the largest"
        in (found[1][2])
    )


def test_decode_says_what_will_be_skipped_or_refuses() -> None:
    given = ["grid.methods=[dm]", "grid.ipcs=[1, 2, 8]"]
    (line,) = describe_infeasible(COUNTS, ["frame", "logmel"], values(*given))
    assert line.startswith("will be skipped: dm x 2, 8: ipc 2 x 4 pieces needs 8")
    with pytest.raises(InfeasibleError, match="dm x 2, 8: ipc 2 x 4 pieces"):
        describe_infeasible(COUNTS, ["frame", "logmel"], values(*given, "grid.infeasible=refuse"))


@pytest.mark.parametrize("row", rows_of("method"))
def test_every_method_says_how_many_pieces_it_needs(row: str) -> None:
    distiller = plugins.build("method", row, values())
    assert 1 <= distiller.fewest_pieces(["logmel"]) <= distiller.fewest_pieces(["frame", "logmel"])


def test_only_a_choice_needs_a_validation_split(tmp_path: Path) -> None:
    plain = dataclasses.replace(cell("herding"), val=None)
    assert distil(plain, [0], tmp_path / "out", tmp_path / ".work")[0] == []
    with pytest.raises(CellError, match="dm chooses between 2 candidates on the validation split"):
        dataclasses.replace(cell("dm", rates={"frame": (1.0, 2.0), "logmel": (1.0,)}), val=None)


def test_a_skipped_cell_passes_through_the_stages_with_its_reason(tmp_path: Path) -> None:
    grid = Grid(datasets=("toy",), selectors=("herding",), methods=("dm",), ipcs=(2,), seeds=(0,))
    whole = cell("dm", formation={"frame": (4, 4), "logmel": (4, 4)})
    message, seconds = distil_or_skip(whole, grid, tmp_path / "synthetic", tmp_path / ".work")
    assert message.startswith("dm x 2 is skipped: ipc 2 x 16 pieces needs 32") and seconds == 0
    reason = read_skipped(tmp_path / "synthetic")
    export(tmp_path / "synthetic", tmp_path / "artifacts", params=values())
    evaluate(
        tmp_path / "artifacts",
        tmp_path,
        tmp_path / "scores.json",
        params=values(),
        device="cpu",
        workers=1,
        report=None,
    )
    publish(
        tmp_path / "artifacts", tmp_path / "scores.json", tmp_path / "published", params=values()
    )
    assert reason in message
    assert json.loads((tmp_path / "scores.json").read_text()) == {"skipped": reason}
    assert read_skipped(tmp_path / "published") == reason
    assert (tmp_path / "scores.seconds.json").exists()
