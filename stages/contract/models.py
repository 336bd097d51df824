"""Facts of networks and heads: shapes, weights from the generator alone, gradients for all."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

from stages.contract.subject import expect, expect_same

if TYPE_CHECKING:
    from torch import nn

    from stages.contract.subject import Subject

SHAPES = {"frame": (2, 3, 32, 32), "logmel": (1, 32, 32)}
FEATURES, CLASSES, ROWS = {"frame": 6, "logmel": 6}, 3, 4
LABEL = torch.tensor([0, 1, 2, 0])


def _draw(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def build_towers(subject: Subject, seed: int = 0) -> Any:
    """Build a network's towers for rows of 32 x 32, whatever the global generator gives.

    Args:
        subject: the network.
        seed: of the weights.
    """
    torch.rand(seed + 3)
    return subject.plugin.build(SHAPES, torch.Generator().manual_seed(seed))


def build_head(subject: Subject, seed: int = 0) -> Any:
    """Build a head on six features of each modality.

    Args:
        subject: the head.
        seed: of the weights.
    """
    torch.rand(seed + 3)
    return subject.plugin.build(FEATURES, CLASSES, torch.Generator().manual_seed(seed))


def expect_gradients(module: nn.Module, loss: torch.Tensor) -> None:
    """Raise an error where a loss does not reach a weight.

    Args:
        module: with the weights.
        loss: a scalar.

    Raises:
        BrokenFactError: a gradient is missing, or not finite.
    """
    expect(bool(loss.isfinite()) and not loss.shape, f"a loss {loss}", "one finite number")
    loss.backward()  # type: ignore[no-untyped-call]
    missing = [
        name
        for name, weight in module.named_parameters()
        if weight.grad is None or not weight.grad.isfinite().all()
    ]
    expect(not missing, f"none for {', '.join(missing[:5])}", "a finite gradient for each weight")


def check_towers(subject: Subject) -> None:
    """Check that its towers embed rows as `features` numbers each, the same ones twice."""
    towers = build_towers(subject)
    expect(towers.features.keys() == SHAPES.keys(), f"{[*towers.features]}", f"{[*SHAPES]}")
    rows = {m: _draw(ROWS, *shape) for m, shape in SHAPES.items()}
    found = {m: values.detach() for m, values in towers.embed(rows).items()}
    again = {m: values.detach() for m, values in towers.embed(rows).items()}
    expect_same(found, again, "the same features of the same rows")
    for m, values in found.items():
        shape = (ROWS, towers.features[m])
        expect(tuple(values.shape) == shape, f"{m} {tuple(values.shape)}", f"{shape}")
        expect(bool(values.isfinite().all()), f"{m} features not finite", "finite numbers")


def check_alone(subject: Subject) -> None:
    """Check that it can be built for one modality, without the others."""
    for m, shape in SHAPES.items():
        towers = subject.plugin.build({m: shape}, torch.Generator().manual_seed(0))
        expect([*towers.embed({m: _draw(1, *shape)})] == [m], "other features", m)


def check_tower_weights(subject: Subject) -> None:
    """Check that the generator alone draws the weights, and another one draws others."""
    _check_weights(*(build_towers(subject, seed) for seed in (0, 0, 1)))


def _check_weights(first: nn.Module, again: nn.Module, other: nn.Module) -> None:
    expect_same(first.state_dict(), again.state_dict(), "the same weights from one seed")
    pairs = zip(first.parameters(), other.parameters(), strict=True)
    same = all(torch.equal(one, two) for one, two in pairs) and any(
        True for _ in other.parameters()
    )
    expect(not same, "the same weights from two seeds", "other ones")


def check_tower_gradients(subject: Subject) -> None:
    """Check that gradients reach all weights of its towers, and the rows."""
    towers = build_towers(subject)
    rows = {m: _draw(ROWS, *shape).requires_grad_() for m, shape in SHAPES.items()}
    loss = torch.stack([values.square().sum() for values in towers.embed(rows).values()]).sum()
    expect_gradients(towers, loss)
    for m, values in rows.items():
        reached = values.grad is not None and bool(values.grad.any())
        expect(reached, f"no gradient of {m} rows", "one, for distillation")


def check_outputs(subject: Subject) -> None:
    """Check that it gives logits, or unit vectors, as `gives` says."""
    gives, outputs = subject.plugin.gives, _run(build_head(subject))
    expect(gives in ("classes", "vectors"), f"gives {gives!r}", "heads.CLASSES or heads.VECTORS")
    expect(bool(outputs), "no outputs", "one or more")
    for name, values in outputs.items():
        expect({*name.split("+")} <= FEATURES.keys(), f"an output {name!r}", "modalities, by +")
        if gives == "classes":
            shape = (ROWS, CLASSES)
            expect(tuple(values.shape) == shape, f"{name} {tuple(values.shape)}", f"{shape}")
        else:
            lengths = values.norm(dim=1)
            unit = torch.allclose(lengths, torch.ones(ROWS), atol=1e-4)
            expect(unit, f"{name} of length {lengths.tolist()}", "unit vectors")


def _run(head: Any) -> Any:
    return head({m: _draw(ROWS, count, seed=i) for i, (m, count) in enumerate(FEATURES.items())})


def check_head_weights(subject: Subject) -> None:
    """Check that the generator alone draws the weights, and another one draws others."""
    _check_weights(*(build_head(subject, seed) for seed in (0, 0, 1)))


def check_loss(subject: Subject) -> None:
    """Check that its loss is finite, and that gradients reach all weights."""
    head = build_head(subject)
    expect_gradients(head, head.loss(_run(head), LABEL))


NETWORK_FACTS = (check_towers, check_alone, check_tower_weights, check_tower_gradients)
HEAD_FACTS = (check_outputs, check_head_weights, check_loss)
