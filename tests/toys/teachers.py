"""A toy step of a student with two teachers."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from pipeline.kd.method import KDBatch, KDMethod, Term, Widths

LABEL = torch.tensor([0, 0, 1, 1, 2, 2])
WIDTHS = Widths(student=4, teachers={"frame": 4, "logmel": 5}, classes=3, label=LABEL.repeat(2))


def wave(width: int, a: float, b: float) -> Tensor:
    """float64 [6, width] with sin(a (i width + j) + b) at (i, j)."""
    return torch.sin(a * torch.arange(6 * width, dtype=torch.float64) + b).reshape(6, width)


def toy_batch(**changes: Any) -> KDBatch:
    """Six rows of three classes; teachers have 4 and 5 numbers, the student has 4."""
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
    """What the method trains beside the student, in float64."""
    return method.build(widths, torch.Generator().manual_seed(0)).double()


def toy_term(method: KDMethod, batch: KDBatch | None = None) -> Term:
    return method.term(toy_parts(method), batch or toy_batch())


def toy_terms(method: KDMethod) -> tuple[float, float]:
    """The term's two parts."""
    term = toy_term(method)
    return term.student_loss.item(), 0.0 if term.module_loss is None else term.module_loss.item()
