"""Facts of kd methods, on a toy step of a student with two teachers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from pipeline.kd.method import KDBatch, KDMethod, Term, Widths
from stages.contract.subject import expect, expect_untouched

if TYPE_CHECKING:
    from stages.contract.subject import Subject

LABEL = torch.tensor([0, 0, 1, 1, 2, 2])
WIDTHS = Widths(student=4, teachers={"frame": 4, "logmel": 5}, classes=3, label=LABEL.repeat(2))


def wave(width: int, a: float, b: float) -> Tensor:
    """Return float64 [6, width] with sin(a (i width + j) + b) at (i, j).

    Args:
        width: columns.
        a: frequency.
        b: phase.
    """
    return torch.sin(a * torch.arange(6 * width, dtype=torch.float64) + b).reshape(6, width)


def toy_batch(**changes: Any) -> KDBatch:
    """Make a batch of six rows of three classes; teachers have 4 and 5 numbers, the student 4.

    Args:
        changes: fields that differ.
    """
    given = {
        "features": wave(4, 0.7, 0.1).requires_grad_(),
        "logits": wave(3, 0.9, 0.2).requires_grad_(),
        "label": LABEL,
        "target": LABEL,
        "rows": torch.arange(6),
        "teachers": {
            "frame": wave(4, 1.3, 0.5).requires_grad_(),
            "logmel": wave(5, 1.1, 0.3).requires_grad_(),
        },
        "probes": {"frame": wave(3, 0.4, 1.0), "logmel": wave(3, 0.5, 0.7)},
        "epoch": 1,
        "generator": torch.Generator().manual_seed(3),
    }
    return KDBatch(**{**given, **changes})


def toy_parts(method: KDMethod, widths: Widths = WIDTHS) -> nn.ModuleDict:
    """Build the modules that the method trains beside the student, in float64.

    Args:
        method: the method.
        widths: their sizes.
    """
    return method.build(widths, torch.Generator().manual_seed(0)).double()


def toy_term(method: KDMethod, batch: KDBatch | None = None) -> Term:
    """Return the method's term of a batch.

    Args:
        method: the method.
        batch: by default the toy's.
    """
    return method.term(toy_parts(method), batch or toy_batch())


def toy_terms(method: KDMethod) -> tuple[float, float]:
    """Return the term's two parts.

    Args:
        method: the method.
    """
    term = toy_term(method)
    return term.student_loss.item(), 0.0 if term.module_loss is None else term.module_loss.item()


def check_weights(subject: Subject) -> None:
    """Check that it has candidate weights."""
    weights = subject.plugin.weights
    expect(bool(weights), "no weights", "one or more candidates")


def check_term(subject: Subject) -> None:
    """Check that its term is finite, with a finite gradient for the student."""
    batch = toy_batch()
    term = toy_term(subject.plugin, batch)
    losses = [loss for loss in (term.student_loss, term.module_loss) if loss is not None]
    expect(all(loss.isfinite() for loss in losses), f"{losses}", "finite losses")
    if term.student_loss.requires_grad:
        given = (batch.features, batch.logits)
        found = torch.autograd.grad(term.student_loss, given, allow_unused=True)
        wrong = [each for each in found if each is not None and not each.isfinite().all()]
        expect(not wrong, "gradients that are not finite", "finite ones")


def check_term_twice(subject: Subject) -> None:
    """Check that its term is the same twice, and that the batch stays as it is."""
    batch = toy_batch()

    def act() -> None:
        first, second = (toy_terms(subject.plugin) for _ in range(2))
        expect(first == second, f"{first} and {second}", "the same")
        toy_term(subject.plugin, batch)

    def list_arrays(given: KDBatch) -> dict[str, Any]:
        named = {"features": given.features, "logits": given.logits, **given.teachers}
        return {name: values.detach().clone() for name, values in named.items()}

    expect_untouched(batch, act, list_arrays)


FACTS = (check_weights, check_term, check_term_twice)
