"""Formation: pieces go in and come out in the published order."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from pipeline.core.errors import CellError
from pipeline.training import formation

grids = st.sampled_from([(1, 1), (2, 2), (1, 4), (4, 1), (2, 1)])


@given(grid=grids, count=st.integers(1, 3))
def test_flat_pieces_survive_a_round_trip(grid: tuple[int, int], count: int) -> None:
    number = grid[0] * grid[1] * count
    instances = torch.arange(1.0, number + 1)[:, None, None, None].expand(number, 1, 8, 8)
    assert torch.equal(formation.split(formation.join(instances, grid), grid), instances)


def test_pieces_are_read_column_by_column() -> None:
    stored = (
        torch.tensor([[1.0, 3.0], [2.0, 4.0]])
        .repeat_interleave(2, 0)
        .repeat_interleave(2, 1)[None, None]
    )
    assert formation.split(stored, (2, 2)).mean((1, 2, 3)).tolist() == [1, 2, 3, 4]


def test_frames_keep_their_time_dimension() -> None:
    assert formation.split(torch.zeros(2, 5, 3, 8, 8), (2, 2)).shape == (8, 5, 3, 8, 8)
    assert formation.join(torch.zeros(8, 5, 3, 8, 8), (2, 2)).shape == (2, 5, 3, 8, 8)


def test_gradients_reach_every_stored_value() -> None:
    stored = torch.rand(1, 1, 8, 8, requires_grad=True)
    formation.split(stored, (2, 2)).sum().backward()
    assert (stored.grad > 0).all()


def test_a_coarser_grid_repeats_its_pieces_in_their_order() -> None:
    stored = formation.join(torch.arange(1.0, 3)[:, None, None, None].expand(2, 1, 8, 8), (1, 2))
    assert formation.count_pieces({"frame": (1, 2), "logmel": (2, 2)}) == 4
    assert formation.split(stored, (1, 2), 4).mean((1, 2, 3)).tolist() == [1, 2, 1, 2]


def test_numbers_of_pieces_that_do_not_divide_each_other_are_refused() -> None:
    with pytest.raises(
        CellError,
        match="the 4 of frame do not divide 6; give each modality the same number of them",
    ):
        formation.count_pieces({"frame": (2, 2), "logmel": (2, 3)})


def test_a_grid_that_does_not_divide_is_refused() -> None:
    with pytest.raises(CellError, match="does not divide 9 x 8"):
        formation.join(torch.zeros(4, 1, 9, 8), (2, 2))


@given(
    high=st.integers(1, 20),
    wide=st.integers(1, 20),
    taller=st.integers(1, 40),
    wider=st.integers(1, 40),
)
def test_resizing_by_lines_is_bilinear(high: int, wide: int, taller: int, wider: int) -> None:
    rows = torch.randn(2, 1, 3, high, wide, generator=torch.Generator().manual_seed(high))
    torch.testing.assert_close(
        formation.resize_by_matmul(rows, taller, wider),
        formation._resize(rows, taller, wider),
        atol=1e-5,
        rtol=1e-5,
    )
