"""What the methods promise: the published identity, feasibility, and the start they move from."""

from __future__ import annotations

import dataclasses

import pytest
import torch
from conftest import CPU, toy_real
from hypothesis import given
from hypothesis import strategies as st
from test_plugins import NETWORKS, built, rankings

from pipeline import matching
from pipeline.distillers._chosen import form
from pipeline.errors import CellError, PluginError
from pipeline.formation import split
from pipeline.training import silent


def means(seed: int, widths: tuple[int, int] = (7, 7)) -> dict[str, torch.Tensor]:
    numbers = torch.Generator().manual_seed(seed)
    return {
        m: torch.randn(3, width, generator=numbers, dtype=torch.float64)
        for m, width in zip(("frame", "logmel"), widths, strict=True)
    }


@given(seed=st.integers(0, 10_000))
def test_avdd_at_the_published_weights_is_21_times_dm(seed: int) -> None:
    real, synthetic = means(seed), means(seed + 1)
    ratio = built("distillers", "avdd").loss(real, synthetic) / built("distillers", "dm").loss(real, synthetic)
    assert ratio.item() == pytest.approx(21, rel=1e-12)


def test_avdd_at_unequal_weights_couples_the_modalities() -> None:
    avdd = dataclasses.replace(built("distillers", "avdd"), weight_gap=0.0)
    real, synthetic = means(0), means(1)
    a, v = real["logmel"] - synthetic["logmel"], real["frame"] - synthetic["frame"]
    expected = 11 * (a.square().sum() + v.square().sum()) + 20 * (a * v).sum()
    assert avdd.loss(real, synthetic).item() == pytest.approx(expected.item())


def test_avdd_moves_as_dm_does_at_21_times_the_step() -> None:
    rates = {"frame": (0.001,), "logmel": (0.001,)}
    avdd = dataclasses.replace(built("distillers", "avdd"), rates=rates)
    dm = dataclasses.replace(built("distillers", "dm"), rates={m: (21 * r[0],) for m, r in rates.items()})
    one, other = (m.distill(toy_real(), rankings(), NETWORKS, ipc=1, seed=0, device=CPU, report=silent).rows for m in (avdd, dm))
    start = form(toy_real(), rankings()["herding"].best, 1, dm.formation).rows
    for modality in one:
        moved = (other[modality] - start[modality]).abs().max()
        assert moved > 0
        assert (one[modality] - other[modality]).abs().max() < 1e-4 * moved


@pytest.mark.parametrize("method", ["dm", "avdd"])
def test_the_loss_of_equal_sets_is_zero(method: str) -> None:
    assert built("distillers", method).loss(means(0), means(0)).item() == 0


def test_avdd_refuses_one_modality_and_names_dm() -> None:
    alone = {"frame": means(0)["frame"]}
    with pytest.raises(CellError, match="use dm for one"):
        built("distillers", "avdd").loss(alone, alone)


def test_avdd_refuses_unequal_widths() -> None:
    with pytest.raises(CellError, match="found widths 5 and 7"):
        built("distillers", "avdd").loss(means(0, (7, 5)), means(1, (7, 5)))


@given(order=st.permutations(range(3)))
def test_the_loss_does_not_depend_on_the_order_of_classes(order: list[int]) -> None:
    real, synthetic = means(0), means(1)
    shuffled = [{m: values[order] for m, values in side.items()} for side in (real, synthetic)]
    for method in ("dm", "avdd"):
        loss = built("distillers", method).loss
        assert loss(*shuffled).item() == pytest.approx(loss(real, synthetic).item())


def test_too_high_an_ipc_names_the_largest_that_fits() -> None:
    with pytest.raises(
        CellError, match="ipc 4 x 4 pieces needs 16 training windows a class, 'class0' has 12; the largest ipc that fits is 3"
    ):
        built("distillers", "dm").distill(toy_real(), rankings(), NETWORKS, ipc=4, seed=0, device=CPU, report=silent)


def test_a_ranking_of_other_samples_is_refused() -> None:
    other = dataclasses.replace(toy_real(), keys=tuple(f"other_{i:04d}" for i in range(24)))
    with pytest.raises(CellError, match="the ranking is of other samples"):
        built("distillers", "dm").distill(other, rankings(), NETWORKS, ipc=1, seed=0, device=CPU, report=silent)


def test_a_modality_without_a_value_is_named() -> None:
    dm = dataclasses.replace(built("distillers", "dm"), augment={"frame": ()})
    with pytest.raises(PluginError, match="no list of augmentations named 'logmel' was given; there are frame"):
        dm.distill(toy_real(), rankings(), NETWORKS, ipc=1, seed=0, device=CPU, report=silent)


def test_no_instance_is_no_set() -> None:
    with pytest.raises(CellError, match="ipc is 0; expected 1 or more"):
        built("distillers", "random").distill(toy_real(), rankings(), NETWORKS, ipc=0, seed=0, device=CPU, report=silent)


def test_a_start_that_was_not_given_is_named() -> None:
    dm = dataclasses.replace(built("distillers", "dm"), start="nearest")
    with pytest.raises(CellError, match=r"no coreset named 'nearest' .* herding, .*random; add nearest to grid\.selectors and run"):
        dm.distill(toy_real(), rankings(), NETWORKS, ipc=1, seed=0, device=CPU, report=silent)


def test_chosen_rows_are_the_real_samples() -> None:
    real = toy_real()
    whole = {"frame": (1, 1), "logmel": (1, 1)}
    synthetic = form(real, rankings()["herding"].best, 2, whole)
    rows = torch.tensor([real.keys.index(key) for key in synthetic.source_key])
    assert all(torch.equal(synthetic.rows[m], real.normalised(rows)[m]) for m in real.rows)
    assert torch.equal(synthetic.label, real.label[rows])


def test_a_piece_is_the_same_sample_in_both_modalities() -> None:
    real = toy_real()
    grids = {"frame": (2, 2), "logmel": (1, 4)}
    synthetic = form(real, rankings()["herding"].best, 2, grids)
    for row, sources in enumerate(synthetic.source_key):
        for piece, key in enumerate(sources.split()):
            original = real.normalised(torch.tensor([real.keys.index(key)]))
            for m, grid in grids.items():
                seen = split(synthetic.rows[m], grid)[piece * len(synthetic.label) + row]
                assert seen.mean().item() == pytest.approx(original[m].mean().item(), abs=0.35)


def test_random_differs_by_seed_and_herding_does_not() -> None:
    def keys(method: str, seed: int) -> tuple[str, ...]:
        return (
            built("distillers", method)
            .distill(toy_real(), rankings(), NETWORKS, ipc=2, seed=seed, device=CPU, report=silent)
            .source_key
        )

    assert keys("random", 0) != keys("random", 1)
    assert keys("herding", 0) == keys("herding", 1)


def test_classes_taken_together_or_apart_give_the_same_step(monkeypatch: pytest.MonkeyPatch) -> None:
    def rows() -> dict[str, torch.Tensor]:
        return built("distillers", "dm").distill(toy_real(), rankings(), NETWORKS, ipc=1, seed=0, device=CPU, report=silent).rows

    together = rows()
    monkeypatch.setitem(matching.PASS_PIXELS, "cpu", 1)
    apart = rows()
    assert all(torch.allclose(together[m], apart[m], atol=1e-5) for m in together)
