"""The methods' losses: golden values, flow of gradients, order of rows, a single class."""

from __future__ import annotations

import copy
from dataclasses import replace
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from pipeline.core import plugins
from pipeline.core.errors import CellError
from pipeline.kd.methods import ccl, cor_rd, crd, ifd, kd, pkt, rkd
from pipeline.kd.methods._memory_bank import nce_loss
from tests.toys.plugins import rows_of
from tests.toys.project import values
from tests.toys.teachers import LABEL, WIDTHS, toy_batch, toy_parts, toy_term, wave

S, T = wave(4, 0.7, 0.1), wave(4, 1.3, 0.5)
NO_MASK = torch.zeros(6, 6, dtype=torch.bool)
GIVEN = values()
PLAIN = sorted(set(rows_of("kd method")) - {"none"})


def method(name: str, **changes: Any) -> Any:
    made = plugins.build("kd method", name, GIVEN)
    cut = {"negatives": 5} if getattr(made, "negatives", 0) else {}
    return replace(made, **{**cut, **changes})


# Results of the published code in float64, repaired where it cannot run; cor: the paper's formula.
GOLDEN: dict[str, tuple[Tensor, float]] = {
    "ccl S to T at 0.5": (ccl.contrastive_loss(S, T, LABEL, 0.5), 2.7546074831745138),
    "ccl S to T at 0.1": (ccl.contrastive_loss(S, T, LABEL, 0.1), 9.135739103083713),
    "ccl T to S at 0.5": (ccl.contrastive_loss(T, S, LABEL, 0.5), 2.7493599264955733),
    "ccl T to S at 0.1": (ccl.contrastive_loss(T, S, LABEL, 0.1), 9.137640318072593),
    "ccl divergence": (
        ccl.jeffreys_divergence(wave(3, 0.9, 0.2), wave(3, 0.4, 1.0)) / 2,
        0.1276458549362355,
    ),
    "pkt": (pkt.divergence(S, T), 0.18804395281173178),
    "rkd distance": (
        F.smooth_l1_loss(rkd.relative_distances(S), rkd.relative_distances(T)),
        0.12561578374356736,
    ),
    "rkd angle": (F.smooth_l1_loss(rkd.angles(S), rkd.angles(T)), 0.1589456934203078),
    "cor_rd": (cor_rd.correlation_loss(S, T), 2.237522657787398),
    "ifd": (ifd.divergence(S, T), 0.36029539317266557),
    "crd_inbatch S to T": (crd.info_nce_loss(S, T, 0.07, NO_MASK), 11.688465661125091),
    "crd_inbatch T to S": (crd.info_nce_loss(T, S, 0.07, NO_MASK), 11.47539024252979),
}


@pytest.mark.parametrize("name", GOLDEN)
def test_golden_values(name: str) -> None:
    found, wanted = GOLDEN[name]
    assert found.item() == pytest.approx(wanted, abs=1e-9)


def test_golden_values_of_whole_terms() -> None:
    one = toy_batch(teachers={"frame": T})
    assert toy_term(method("rkd"), one).student_loss.item() == pytest.approx(
        11.087679264604574, abs=1e-9
    )
    assert toy_term(method("cor"), one).student_loss.item() == pytest.approx(
        0.10872464277817502, abs=1e-9
    )
    fitnet = method("fitnet")
    parts = toy_parts(fitnet)
    with torch.no_grad():
        parts["frame"].weight.copy_(torch.eye(4))
    assert fitnet.term(parts, one).student_loss.item() == pytest.approx(
        0.9196360332321142, abs=1e-9
    )


def test_kd_is_the_divergence_of_softened_predictions() -> None:
    student, teacher = wave(3, 0.9, 0.2), wave(3, 0.4, 1.0)
    p, q = (teacher / 4).softmax(1), (student / 4).softmax(1)
    assert kd.divergence(student, teacher, 4.0).item() == pytest.approx(
        16 * (p * (p / q).log()).sum(1).mean().item(), abs=1e-12
    )


def test_memory_follows_its_formula() -> None:
    """One anchor, one negative, five rows: worked out by hand."""
    anchor, candidates = torch.tensor([[1.0, 0.0]]), torch.tensor([[[0.6, 0.8], [-0.6, 0.8]]])
    loss, z = nce_loss(anchor, candidates, torch.zeros(1), rows=5, temperature=0.5)
    raw = torch.tensor([1.2, -1.2]).exp()
    assert z.item() == pytest.approx((raw.mean() * 5).item())
    right, wrong = raw / z
    wanted = -(right / (right + 0.2)).log() - (0.2 / (wrong + 0.2)).log()
    assert loss.item() == pytest.approx(wanted.item())
    assert (
        nce_loss(anchor, candidates, torch.tensor([7.0]), rows=5, temperature=0.5)[1].item() == 7.0
    )


def test_memory_keeps_unit_rows_of_what_it_saw() -> None:
    for name in ("crd", "cmc"):
        kept = toy_term(method(name)).updates
        assert {key.partition(".")[0] for key in kept} == {"frame", "logmel"}
        index, rows = kept["frame.of_student"]
        assert index.tolist() == list(range(6)) and torch.allclose(
            rows.norm(dim=1), torch.ones(6).double()
        )
        assert not rows.requires_grad


def test_negatives_of_crd_are_of_other_classes_and_those_of_cmc_are_not() -> None:
    label = torch.tensor([0, 1])
    assert method("crd").weigh_negatives(label, label).tolist() == [[0.0, 1.0], [1.0, 0.0]]
    assert method("cmc").weigh_negatives(label, label).tolist() == [[1.0, 1.0], [1.0, 1.0]]


def routed() -> tuple[Any, Any, Any]:
    made = method("ccl")
    return made, toy_parts(made), toy_batch()


def by_hand(parts: Any, batch: Any, temperatures: dict[str, float]) -> tuple[Tensor, Tensor]:
    """The student's loss and the composers', as in the paper, from one graph without detaching."""
    student, own = batch.features.new_zeros(()), batch.features.new_zeros(())
    for name, vectors in batch.teachers.items():
        teacher, composed, logits = parts[name](batch.features, vectors)
        tau = temperatures[name]
        met = ccl.symmetric_contrastive_loss(batch.features, composed, LABEL, tau)
        alike = ccl.jeffreys_divergence(batch.logits, logits) / 2
        student = student + (
            met + ccl.symmetric_contrastive_loss(batch.features, teacher, LABEL, tau) + alike
        ) / len(batch.teachers)
        own = (
            own
            + F.cross_entropy(logits, LABEL)
            + met
            + ccl.symmetric_contrastive_loss(composed, teacher, LABEL, tau)
            + alike
        )
    return student, own


def test_ccl_routes_gradients_as_two_backward_passes_do() -> None:
    """The composers' backward, without the student's gradients, then the student's backward."""
    made, parts, batch = routed()
    student, own = by_hand(parts, batch, made.temperature)
    composers = list(parts.parameters())
    first = torch.autograd.grad(own, composers, retain_graph=True)
    second = torch.autograd.grad(student, composers, retain_graph=True, allow_unused=True)
    wanted = [a if b is None else a + b for a, b in zip(first, second, strict=True)]
    wanted_student = torch.autograd.grad(student, [batch.features, batch.logits])
    term = made.term(parts, batch)
    total = term.student_loss + term.module_loss
    for found, known in zip(
        torch.autograd.grad(total, composers, retain_graph=True), wanted, strict=True
    ):
        torch.testing.assert_close(found, known, atol=1e-12, rtol=0)
    for found, known in zip(
        torch.autograd.grad(total, [batch.features, batch.logits]), wanted_student, strict=True
    ):
        torch.testing.assert_close(found, known, atol=1e-12, rtol=0)


@settings(max_examples=10)
@given(order=st.permutations(range(6)))
def test_order_in_the_batch_does_not_matter(order: list[int]) -> None:
    index = torch.tensor(order)
    for name in ("kd", "fitnet", "pkt", "cor", "rkd", "crd_inbatch", "ifd", "ccl"):
        batch, made = toy_batch(), method(name)
        moved = replace(
            batch,
            **{
                key: getattr(batch, key)[index]
                for key in ("features", "logits", "label", "target", "rows")
            },
            **{
                key: {m: x[index] for m, x in getattr(batch, key).items()}
                for key in ("teachers", "probes")
            },
        )
        parts = toy_parts(made)
        assert made.term(parts, moved).student_loss.item() == pytest.approx(
            made.term(parts, batch).student_loss.item(), abs=1e-9
        ), name


def test_order_matters_to_cor_rd() -> None:
    assert cor_rd.correlation_loss(S, T).item() != pytest.approx(
        cor_rd.correlation_loss(S[[0, 2, 1, 3, 4, 5]], T[[0, 2, 1, 3, 4, 5]]).item()
    )


@pytest.mark.parametrize("name", PLAIN)
def test_a_term_reaches_the_student_with_finite_gradients_where_rows_are_equal(name: str) -> None:
    """A class of one row fills its place in a batch with the same row again."""
    twice = wave(4, 0.7, 0.1)[[0, 0, 2, 2, 4, 4]].requires_grad_()
    logits = wave(3, 0.9, 0.2)[[0, 0, 2, 2, 4, 4]].requires_grad_()
    batch = toy_batch(features=twice, logits=logits, teachers={"frame": T[[0, 0, 2, 2, 4, 4]]})
    term = toy_term(method(name), batch).student_loss
    found = torch.autograd.grad(term, [twice, logits], allow_unused=True)
    assert all(x.isfinite().all() for x in found if x is not None)
    assert any(x is not None and x.abs().max() > 0 for x in found)


@pytest.mark.parametrize("name", ["pkt", "cor", "rkd"])
def test_a_student_that_is_its_teacher_has_nothing_to_learn(name: str) -> None:
    assert toy_term(
        method(name), toy_batch(features=T, teachers={"frame": T})
    ).student_loss.item() == pytest.approx(0.0, abs=1e-12)


def test_several_teachers_are_a_mean() -> None:
    made, batch = method("pkt"), toy_batch()
    single = [
        toy_term(made, replace(batch, teachers={m: x})).student_loss.item()
        for m, x in batch.teachers.items()
    ]
    assert toy_term(made, batch).student_loss.item() == pytest.approx(sum(single) / 2)


def test_a_batch_of_one_class_is_refused() -> None:
    with pytest.raises(CellError, match="a batch holds one class"):
        toy_term(method("ccl"), toy_batch(label=torch.zeros(6, dtype=torch.long)))


@pytest.mark.parametrize("name", rows_of("kd method"))
def test_inputs_are_left_alone(name: str) -> None:
    made, batch = method(name), toy_batch()
    parts = toy_parts(made, WIDTHS)
    before = copy.deepcopy((parts.state_dict(), batch.features, batch.teachers))
    made.term(parts, batch)
    assert all(torch.equal(value, before[0][key]) for key, value in parts.state_dict().items())
    assert torch.equal(batch.features, before[1]) and all(
        torch.equal(batch.teachers[m], before[2][m]) for m in before[2]
    )
