"""What the methods promise: the published identity, feasibility, and the start they move from."""

from __future__ import annotations

import dataclasses

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from pipeline.core.errors import CellError, PluginError
from pipeline.core.rng import make_generator
from pipeline.distillation import distribution_matching as matching
from pipeline.distillation.distribution_matching import FeatureBatch
from pipeline.distillation.methods._selection import coreset_of, form
from pipeline.distillation.methods.jcf import Candidate
from pipeline.training.formation import split
from tests.toys.golden import distiller as golden
from tests.toys.golden import rows_of_golden
from tests.toys.plugins import built, distilled, rankings, toy_inputs
from tests.toys.samples import toy_real


def seen(
    seed: int, widths: tuple[int, int] = (7, 7), each: int = 4, classes: int = 3
) -> FeatureBatch:
    """Random features of some classes, and a linear head that tells them apart at random."""
    numbers = torch.Generator().manual_seed(seed)
    features = {
        m: torch.randn(classes * each, width, generator=numbers, dtype=torch.float64)
        for m, width in zip(("frame", "logmel"), widths, strict=True)
    }
    head = built("head", "ensemble").build(
        {m: f.shape[1] for m, f in features.items()}, classes, torch.Generator().manual_seed(1)
    )
    return FeatureBatch(
        features=features, sizes=(each,) * classes, labels=tuple(range(classes)), head=head.double()
    )


def streams(name: str) -> torch.Generator:
    return make_generator(name, 0)


def loss_of(method: str, real: FeatureBatch, synthetic: FeatureBatch) -> float:
    return built("method", method).loss(real, synthetic, streams).item()


@given(seed=st.integers(0, 10_000))
def test_avdd_at_the_published_weights_is_21_times_dm(seed: int) -> None:
    real, synthetic = seen(seed), seen(seed + 1)
    assert loss_of("avdd", real, synthetic) == pytest.approx(
        21 * loss_of("dm", real, synthetic), rel=1e-12
    )


def test_avdd_at_unequal_weights_couples_the_modalities() -> None:
    avdd = dataclasses.replace(built("method", "avdd"), weight_gap=0.0)
    real, synthetic = seen(0), seen(1)
    a, v = (real.means()[m] - synthetic.means()[m] for m in ("logmel", "frame"))
    expected = 11 * (a.square().sum() + v.square().sum()) + 20 * (a * v).sum()
    assert avdd.loss(real, synthetic, streams).item() == pytest.approx(expected.item())


def test_avdd_moves_as_dm_does_at_21_times_the_step() -> None:
    rates = {"frame": (0.001,), "logmel": (0.001,)}
    avdd = dataclasses.replace(built("method", "avdd"), rates=rates)
    dm = dataclasses.replace(
        built("method", "dm"), rates={m: (21 * r[0],) for m, r in rates.items()}
    )
    one, other = (distilled(method).rows for method in (avdd, dm))
    start = form(toy_real(), rankings()["herding"].select, 1, dm.formation).rows
    for modality in one:
        moved = (other[modality] - start[modality]).abs().max()
        assert moved > 0
        assert (one[modality] - other[modality]).abs().max() < 1e-4 * moved


ONE = {"frame": (1.0,), "logmel": (1.0,)}


def matching_rows(law: str = "") -> list[str]:
    """Rows that lower a distance between features of real and of synthetic samples."""
    return [row for row in rows_of_golden(law, moves=True) if hasattr(golden(row), "loss")]


@pytest.mark.parametrize(
    ("ipc", "tried", "expected"),
    [
        (1, 2, [(4, 4), (2, 2)]),
        (1, 3, [(4, 4), (2, 2), (1, 1)]),
        (2, 2, [(2, 2), (1, 1)]),
        (16, 3, [(1, 1)]),
        (17, 3, [(1, 1)]),
    ],
)
def test_jcf_tries_its_first_candidates_that_fit(
    ipc: int, tried: int, expected: list[tuple[int, int]]
) -> None:
    grids = [{"frame": grid, "logmel": (1, 1)} for grid in ((4, 4), (2, 2), (1, 1))]
    own = Candidate(
        rates={"frame": 1.0, "logmel": 1.0},
        formation=grids[0],
        temperature={"frame": None, "logmel": None},
    )
    others = tuple(dataclasses.replace(own, formation=grid) for grid in grids[1:])
    method = dataclasses.replace(
        built("method", "jcf"), rates=ONE, formation=grids[0], others=others, tried=tried
    )
    given = dataclasses.replace(toy_inputs(), real=toy_real(16))
    assert [variant.formation["frame"] for variant in method.variants(given, ipc)] == expected


@pytest.mark.parametrize("method", matching_rows("zero"))
def test_the_distance_of_equal_sets_is_zero(method: str) -> None:
    distiller = built("method", method)
    alone = (
        dataclasses.replace(distiller, weight=0.0) if hasattr(distiller, "weight") else distiller
    )
    # jcf smooths its root: sqrt(1e-8) for each of three classes.
    assert alone.loss(seen(0), seen(0), streams).item() == pytest.approx(0, abs=4e-4)


@pytest.mark.parametrize("method", matching_rows())
def test_the_loss_of_other_sets_is_not(method: str) -> None:
    assert loss_of(method, seen(0), seen(1)) > 0.1


def test_avdd_refuses_one_modality_and_names_dm() -> None:
    alone = dataclasses.replace(seen(0), features={"frame": seen(0).features["frame"]})
    with pytest.raises(CellError, match="use dm for one"):
        built("method", "avdd").loss(alone, alone, streams)


def test_avdd_refuses_unequal_widths() -> None:
    with pytest.raises(CellError, match="found widths 5 and 7"):
        built("method", "avdd").loss(seen(0, (7, 5)), seen(1, (7, 5)), streams)


def shuffled(side: FeatureBatch, order: list[int]) -> FeatureBatch:
    """The same classes in another order."""
    features = {m: torch.cat([side.split_by_class(m)[i] for i in order]) for m in side.features}
    return dataclasses.replace(side, features=features, labels=tuple(side.labels[i] for i in order))


@pytest.mark.parametrize("method", matching_rows())
@given(order=st.permutations(range(3)))
def test_the_loss_does_not_depend_on_the_order_of_classes(method: str, order: list[int]) -> None:
    real, synthetic = seen(0), seen(1)
    loss = loss_of(method, shuffled(real, order), shuffled(synthetic, order))
    assert loss == pytest.approx(loss_of(method, real, synthetic))


@pytest.mark.parametrize("method", matching_rows())
@given(order=st.permutations(range(4)))
def test_the_loss_does_not_depend_on_the_order_of_samples(method: str, order: list[int]) -> None:
    real, synthetic = seen(0), seen(1)
    moved = {m: torch.cat([own[order] for own in real.split_by_class(m)]) for m in real.features}
    loss = loss_of(method, dataclasses.replace(real, features=moved), synthetic)
    assert loss == pytest.approx(loss_of(method, real, synthetic))


@pytest.mark.parametrize("method", matching_rows())
def test_gradients_agree_with_finite_differences(method: str) -> None:
    real, synthetic, distiller = seen(0), seen(1), built("method", method)

    def of(frame: torch.Tensor, logmel: torch.Tensor) -> torch.Tensor:
        return distiller.loss(
            real,
            dataclasses.replace(synthetic, features={"frame": frame, "logmel": logmel}),
            streams,
        )

    leaves = [synthetic.features[m].clone().requires_grad_() for m in ("frame", "logmel")]
    assert torch.autograd.gradcheck(of, leaves, atol=1e-6)


def test_too_high_an_ipc_names_the_largest_that_fits() -> None:
    with pytest.raises(
        CellError,
        match=(
            "ipc 4 x 4 pieces needs 16 training windows a class, 'class0' has 12; "
            "the largest ipc that fits is 3"
        ),
    ):
        distilled(built("method", "dm"), ipc=4)


def test_a_ranking_of_other_samples_is_refused() -> None:
    other = dataclasses.replace(toy_real(), keys=tuple(f"other_{i:04d}" for i in range(24)))
    with pytest.raises(CellError, match="the ranking is of other samples"):
        distilled(built("method", "dm"), real=other)


def test_a_modality_without_a_value_is_named() -> None:
    dm = dataclasses.replace(built("method", "dm"), augment={"frame": ()})
    with pytest.raises(
        PluginError, match="no list of augmentations named 'logmel' was given; there are frame"
    ):
        distilled(dm)


def test_no_instance_is_no_set() -> None:
    with pytest.raises(CellError, match="ipc is 0; expected 1 or more"):
        distilled(built("method", "random"), ipc=0)


def test_without_a_ranking_the_command_is_named() -> None:
    with pytest.raises(CellError, match=r"'herding' is needed; run `avdistill coreset` and name"):
        coreset_of({}, "herding")


def test_a_start_that_was_not_given_is_named() -> None:
    dm = dataclasses.replace(built("method", "dm"), start="nearest")
    with pytest.raises(
        CellError,
        match=(
            r"no coreset named 'nearest' .* herding, .*random; "
            r"add nearest to grid\.selectors and run"
        ),
    ):
        distilled(dm)


def test_chosen_rows_are_the_real_samples() -> None:
    real = toy_real()
    whole = {"frame": (1, 1), "logmel": (1, 1)}
    synthetic = form(real, rankings()["herding"].select, 2, whole)
    rows = torch.tensor([real.keys.index(key) for key in synthetic.source_key])
    assert all(torch.equal(synthetic.rows[m], real.normalise(rows)[m]) for m in real.rows)
    assert torch.equal(synthetic.label, real.label[rows])


def test_a_piece_is_the_same_sample_in_both_modalities() -> None:
    real = toy_real()
    grids = {"frame": (2, 2), "logmel": (1, 4)}
    synthetic = form(real, rankings()["herding"].select, 2, grids)
    for row, sources in enumerate(synthetic.source_key):
        for piece, key in enumerate(sources.split()):
            original = real.normalise(torch.tensor([real.keys.index(key)]))
            for m, grid in grids.items():
                seen = split(synthetic.rows[m], grid)[piece * len(synthetic.label) + row]
                assert seen.mean().item() == pytest.approx(original[m].mean().item(), abs=0.35)


def test_random_differs_by_seed_and_herding_does_not() -> None:
    def keys(method: str, seed: int) -> tuple[str, ...]:
        return distilled(built("method", method), ipc=2, seed=seed).source_key

    assert keys("random", 0) != keys("random", 1)
    assert keys("herding", 0) == keys("herding", 1)


@pytest.mark.parametrize("method", matching_rows())
def test_classes_taken_together_or_apart_give_the_same_step(
    method: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def rows() -> dict[str, torch.Tensor]:
        return distilled(built("method", method)).rows

    together = rows()
    monkeypatch.setitem(matching.PASS_PIXELS, "cpu", 1)
    apart = rows()
    assert all(torch.allclose(together[m], apart[m], atol=1e-5) for m in together)
