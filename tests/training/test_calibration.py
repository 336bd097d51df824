"""Temperature scaling: networks become as certain as they are right."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from pipeline.training.experts import TEMPERATURES, fit_temperature


def drawn(count: int = 4000, classes: int = 5) -> tuple[torch.Tensor, torch.Tensor]:
    """Logits, and classes drawn as their softmax says: they are as certain as they are right."""
    generator = torch.Generator().manual_seed(0)
    logits = 2 * torch.randn(count, classes, generator=generator)
    return logits, torch.multinomial(logits.softmax(1), 1, generator=generator)[:, 0]


@given(st.sampled_from([0.75, 1.0, 2.0, 5.0, 30.0]))
def test_what_was_exaggerated_is_found(times: float) -> None:
    logits, label = drawn()
    assert fit_temperature(times * logits, label) == pytest.approx(times, rel=0.1)


def test_networks_that_know_nothing_become_uncertain() -> None:
    generator = torch.Generator().manual_seed(1)
    logits, label = (
        9 * torch.randn(4000, 5, generator=generator),
        torch.randint(5, (4000,), generator=generator),
    )
    assert (logits / fit_temperature(logits, label)).softmax(1).amax(1).mean() < 0.25


def test_being_always_right_is_no_reason_for_boundless_certainty() -> None:
    assert fit_temperature(torch.eye(5), torch.arange(5)) == TEMPERATURES[0] == 0.5
