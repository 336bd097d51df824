"""The networks: equal features by modality, weights from one generator, many trained at once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.func import functional_call, stack_module_state, vmap

from pipeline.core import params, plugins
from pipeline.core.errors import CellError, ParamsError
from pipeline.models.initialisation import PositionEmbedding
from pipeline.models.towers import GridPool
from tests.toys.plugins import rows_of
from tests.toys.project import values as params_values

if TYPE_CHECKING:
    from pipeline.models.towers import Towers

SMALL: dict[str, dict[str, Any]] = {
    "alexnet": {"width": 2, "grid": 2},
    "convnet": {
        "width": 4,
        "depth": {"frame": 2, "logmel": 2},
        "grid": 2,
        "padding": {"frame": 1, "logmel": 1},
    },
    "mlp": {"width": 16, "depth": 2},
    "r2plus1d": {"width": 4},
    "resnet10": {"blocks": [1, 1, 1, 1], "width": 4},
    "resnet18": {"blocks": [2, 2, 2, 2], "width": 4},
    "vgg11": {"width": 4},
    "vit": {
        "patch": {"frame": [4, 4], "logmel": [8, 4]},
        "width": 8,
        "depth": 2,
        "heads": 2,
        "mlp_ratio": 2,
    },
}
FEATURES = {
    "alexnet": 24,
    "convnet": 16,
    "mlp": 16,
    "r2plus1d": 32,
    "resnet10": 32,
    "resnet18": 32,
    "vgg11": 32,
    "vit": 8,
}
TOY = {"frame": (2, 3, 8, 8), "logmel": (1, 8, 8)}
SHAPES = [
    TOY,
    {"frame": (1, 3, 32, 32), "logmel": (1, 32, 32)},
    {"frame": (1, 3, 16, 24), "logmel": (1, 128, 56)},
    {"frame": (1, 3, 12, 8), "logmel": (1, 8, 60)},
]
every_network = pytest.mark.parametrize("name", rows_of("network"))


def network(
    name: str, seed: int = 0, shapes: dict[str, tuple[int, ...]] = TOY, **changes: Any
) -> Towers:
    given = params_values()
    section = {**given.get_section(f"networks.{name}"), **SMALL.get(name, {}), **changes}
    plugin = plugins.find("network", section.pop("network", name))
    factory = params.build(plugin, section, f"networks.{name}")
    try:
        built: Towers = factory.build(shapes, torch.Generator().manual_seed(seed))
    except CellError:
        if name in SMALL or changes:
            raise
        pytest.skip(f"{name} with the values of params.yaml takes no rows of {shapes}")
    return built


def rows(shapes: dict[str, tuple[int, ...]] = TOY, count: int = 3) -> dict[str, Tensor]:
    numbers = torch.Generator().manual_seed(1)
    return {
        modality: torch.randn(count, *shape, generator=numbers)
        for modality, shape in shapes.items()
    }


def loss_of(towers: Towers, given: dict[str, Tensor]) -> Tensor:
    """Of random directions, so that no feature cancels another."""
    numbers = torch.Generator().manual_seed(2)
    features = towers.embed(given).values()
    return torch.stack(
        [(values * torch.randn(values.shape, generator=numbers)).sum() for values in features]
    ).sum()


def drawn(towers: Towers) -> dict[str, Tensor]:
    """Copies of what `initialise` draws: weights of convolutions, linear layers and positions."""
    parts = [
        (name, part)
        for name, part in towers.named_modules()
        if isinstance(part, nn.Conv2d | nn.Conv3d | nn.Linear | PositionEmbedding)
    ]
    return {
        f"{name}.{key}": value.detach().clone()
        for name, part in parts
        for key, value in part.named_parameters()
    }


@every_network
@pytest.mark.parametrize(
    "shapes",
    SHAPES,
    ids=lambda shapes: "-".join("x".join(map(str, shape)) for shape in shapes.values()),
)
def test_features_of_any_shape(name: str, shapes: dict[str, tuple[int, ...]]) -> None:
    towers = network(name, shapes=shapes)
    features = towers.embed(rows(shapes, count=2))
    (width,) = set(towers.features.values())
    assert width == FEATURES.get(name, width)
    assert {m: values.shape for m, values in features.items()} == dict.fromkeys(shapes, (2, width))


@every_network
def test_features_tell_rows_apart(name: str) -> None:
    for values in network(name).embed(rows()).values():
        assert values.isfinite().all() and not torch.allclose(values[0], values[1], rtol=1e-3)


@every_network
def test_same_generator_same_weights(name: str) -> None:
    one, two = network(name).state_dict(), network(name).state_dict()
    assert one.keys() == two.keys() and all(torch.equal(one[key], two[key]) for key in one)


@every_network
def test_another_generator_other_weights(name: str) -> None:
    one, two = drawn(network(name)), drawn(network(name, seed=1))
    assert all((one[key] != two[key]).all() for key in one)


@every_network
def test_initialise_redraws_every_weight(name: str) -> None:
    towers = network(name)
    before = drawn(towers)
    towers.initialise(torch.Generator().manual_seed(1))
    after = drawn(towers)
    assert all((before[key] != after[key]).all() for key in before)


@every_network
def test_initialise_equals_a_fresh_build(name: str) -> None:
    towers, fresh = network(name), network(name, seed=1).state_dict()
    towers.initialise(torch.Generator().manual_seed(1))
    assert all(torch.equal(value, fresh[key]) for key, value in towers.state_dict().items())


@every_network
def test_only_norms_are_not_drawn(name: str) -> None:
    towers = network(name)
    norms = {part for part in towers.modules() if isinstance(part, nn.GroupNorm | nn.LayerNorm)}
    assert {key for key, _ in towers.named_parameters()} - drawn(towers).keys() == {
        f"{key}.{kind}"
        for key, part in towers.named_modules()
        if part in norms
        for kind in ("weight", "bias")
    }


@every_network
def test_no_state_but_weights(name: str) -> None:
    towers = network(name)
    assert not list(towers.buffers()) and not any(
        isinstance(part, nn.Dropout) for part in towers.modules()
    )


@every_network
def test_every_weight_gets_a_gradient(name: str) -> None:
    towers = network(name)
    loss_of(towers, rows()).backward()
    assert [
        key
        for key, value in towers.named_parameters()
        if value.grad is None or not value.grad.abs().max() > 0
    ] == []


@every_network
def test_second_derivative(name: str) -> None:
    """Gradient and trajectory matching differentiate the weights' gradient by the rows."""
    towers = network(name)
    given = {modality: values.requires_grad_() for modality, values in rows().items()}
    first = torch.autograd.grad(
        loss_of(towers, given), list(towers.parameters()), create_graph=True
    )
    second = torch.autograd.grad(
        torch.stack([value.square().sum() for value in first]).sum(), list(given.values())
    )
    assert all(value.isfinite().all() and value.abs().max() > 0 for value in second)


@every_network
@pytest.mark.parametrize("modality", sorted(TOY))
def test_two_networks_under_vmap(name: str, modality: str) -> None:
    towers = [network(name, seed).towers[modality] for seed in range(2)]
    x = rows()[modality].flatten(0, -4)
    stacked, _ = stack_module_state(towers)
    together = vmap(lambda weights: functional_call(towers[0], weights, (x,)))(stacked)
    torch.testing.assert_close(
        together, torch.stack([tower(x) for tower in towers]), atol=1e-5, rtol=1e-5
    )


@every_network
@pytest.mark.parametrize("modality", sorted(TOY))
def test_gradients_of_two_networks_under_vmap(name: str, modality: str) -> None:
    towers = [network(name, seed).towers[modality].double() for seed in range(2)]
    x = (
        rows()[modality].flatten(0, -4).double()
    )  # an instance norm over few values multiplies rounding errors

    def loss(weights: dict[str, Tensor]) -> Tensor:
        features: Tensor = functional_call(towers[0], weights, (x,))
        return features.square().sum()

    alone = [torch.func.grad(loss)(dict(tower.named_parameters())) for tower in towers]
    stacked, _ = stack_module_state(towers)
    for key, together in vmap(torch.func.grad(loss))(stacked).items():
        torch.testing.assert_close(
            together, torch.stack([gradients[key] for gradients in alone]), atol=1e-8, rtol=1e-5
        )


@every_network
def test_frames_of_a_row_are_averaged_or_their_order_matters(name: str) -> None:
    towers, frame = network(name), rows()["frame"]
    each = torch.stack(
        [towers.embed({"frame": frame[:, t : t + 1]})["frame"] for t in range(frame.shape[1])]
    )
    forwards, backwards = (towers.embed({"frame": x})["frame"] for x in (frame, frame.flip(1)))
    averaged = torch.allclose(forwards, each.mean(0), rtol=1e-4, atol=1e-5)
    assert averaged or not torch.allclose(forwards, backwards, rtol=1e-3)
    assert averaged == (name != "r2plus1d") or name not in SMALL


def test_r2plus1d_has_as_many_weights_as_published() -> None:
    towers = network("r2plus1d", shapes={"frame": (16, 3, 112, 112)}, width=64)
    assert sum(values.numel() for values in towers.parameters()) == pytest.approx(14.4e6, rel=0.01)


@every_network
def test_a_row_does_not_see_its_batch(name: str) -> None:
    towers, many = network(name), rows()
    one = towers.embed({modality: values[:1] for modality, values in many.items()})
    for modality, values in towers.embed(many).items():
        torch.testing.assert_close(values[:1], one[modality], atol=1e-5, rtol=1e-5)


def test_patch_that_does_not_fit() -> None:
    with pytest.raises(
        ParamsError, match=r"patch\.logmel is 8 x 3, but a logmel has 8 rows and 8 columns"
    ):
        network("vit", patch={"frame": [4, 4], "logmel": [8, 3]})


def test_patch_larger_than_the_data() -> None:
    with pytest.raises(ParamsError, match=r"patch\.frame is 16 x 16"):
        network("vit", patch={"frame": [16, 16], "logmel": [8, 4]})


def test_heads_that_do_not_divide_the_width() -> None:
    with pytest.raises(ParamsError, match="no multiple of heads"):
        network("vit", heads=3)


def test_rows_that_are_too_small_are_one_clear_error() -> None:
    from pipeline.models.networks.convnet import Network

    deep = Network(width=4, depth={"frame": 5}, grid=1, padding={"frame": 1})
    with pytest.raises(CellError, match="frame rows of 4 x 4 are too small for this network"):
        deep.build({"frame": (1, 3, 4, 4)}, torch.Generator().manual_seed(0))


@given(high=st.integers(1, 40), wide=st.integers(1, 40), grid=st.integers(1, 9))
def test_a_pool_by_lines_is_the_pool(high: int, wide: int, grid: int) -> None:
    x = torch.randn(
        2, 3, high, wide, dtype=torch.float64, generator=torch.Generator().manual_seed(high)
    )
    pool = GridPool(grid)
    torch.testing.assert_close(pool.pool_by_matmul(x), pool(x))
