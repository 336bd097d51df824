"""Facts of methods: sets of the right form, the same each time, from inputs that stay."""

from __future__ import annotations

import dataclasses
import math
from typing import TYPE_CHECKING, Any

import torch

from stages.contract.subject import UntriedError, expect, expect_same, expect_untouched
from stages.contract.toys import take_order, toy_inputs, toy_real, toy_runtime

if TYPE_CHECKING:
    from pipeline.core.records import SyntheticSet
    from pipeline.distillation.inputs import DistillInputs
    from pipeline.distillation.optimise import DistillResult
    from stages.contract.subject import Subject

FUNCTIONS = ("variants", "mix", "begin", "distill", "fewest_pieces")
MODALITIES = ("frame", "logmel")
# Fields of methods -> values with which a step takes all samples, so that their order alone counts.
WHOLE = {"batch_real": 100, "batch": 100}


def distil(subject: Subject, *, seed: int = 0, ipc: int = 2, **changes: Any) -> DistillResult:
    """Return the method's result on the toy.

    Args:
        subject: the method.
        seed: of its draws.
        ipc: instances per class.
        changes: of the inputs.
    """
    given = toy_inputs(subject.params, **changes)
    runtime = toy_runtime()
    result: DistillResult = subject.plugin.distill(given, ipc=ipc, seed=seed, runtime=runtime)
    return result


def check_functions(subject: Subject) -> None:
    """Check that it has variants, mix, begin, distill, fewest_pieces, moves and separable."""
    plugin = subject.plugin
    missing = [name for name in FUNCTIONS if not callable(getattr(plugin, name, None))]
    expect(not missing, f"no {', '.join(missing)}", f"functions {', '.join(FUNCTIONS)}")
    for name in ("moves", "separable"):
        value = getattr(plugin, name, None)
        expect(isinstance(value, bool), f"{name} = {value!r}", "True or False")
    pieces = plugin.fewest_pieces(MODALITIES)
    expect(isinstance(pieces, int) and pieces > 0, f"fewest_pieces {pieces!r}", "1 or more")


def check_variants(subject: Subject) -> None:
    """Check that it has variants, and that mixing one with itself gives it."""
    variants = subject.plugin.variants(toy_inputs(subject.params), 1)
    expect(bool(variants), "no variants", "one or more")
    for variant in variants:
        mixed = variant.mix(dict.fromkeys(MODALITIES, variant))
        expect(mixed == variant, f"mix gives {mixed}", str(variant))


def check_start(subject: Subject) -> None:
    """Check that the set that it starts from has the right form."""
    check_form(subject.plugin.begin(toy_inputs(subject.params), ipc=2, seed=0), ipc=2)


def check_set(subject: Subject) -> None:
    """Check that its set has the right form, for one instance of each class and for two."""
    for ipc in (1, 2):
        result = distil(subject, ipc=ipc)
        check_form(result.synthetic, ipc=ipc)
        expect(all(map(math.isfinite, result.losses)), f"losses {result.losses}", "finite ones")


def check_form(synthetic: SyntheticSet, ipc: int) -> None:
    """Raise an error unless a set is one of the toy: shapes, types, labels in order, finite rows.

    Args:
        synthetic: the set.
        ipc: instances per class.

    Raises:
        BrokenFactError: it is not.
    """
    real = toy_real()
    label = torch.arange(len(real.classes)).repeat_interleave(ipc)
    expect(synthetic.ipc == ipc, f"ipc {synthetic.ipc}", f"{ipc}")
    right = torch.equal(synthetic.label.cpu(), label)
    expect(right, f"labels {synthetic.label.tolist()}", f"{label.tolist()}")
    expect(synthetic.classes == real.classes, synthetic.classes, f"{real.classes}")
    expect(bool(synthetic.rows), "no rows", "rows of a modality")
    for m, rows in synthetic.rows.items():
        shape = (len(label), *real.shapes[m])
        expect(tuple(rows.shape) == shape, f"{m} rows {tuple(rows.shape)}", f"{shape}")
        expect(rows.dtype == torch.float32, f"{m} rows of {rows.dtype}", "float32")
        expect(bool(rows.isfinite().all()), f"{m} rows that are not finite", "finite numbers")


def check_bits(subject: Subject) -> None:
    """Check that one seed gives the same bits twice, whatever was drawn before."""
    first = distil(subject, seed=3).synthetic.columns
    torch.rand(7)
    expect_same(first, distil(subject, seed=3).synthetic.columns, "the same bits")


def check_inputs(subject: Subject) -> None:
    """Check that it leaves samples, rankings and experts as they are."""
    given = toy_inputs(subject.params)
    ranked = {name: coreset.to_json() for name, coreset in given.coresets.items()}

    def act() -> None:
        subject.plugin.distill(given, ipc=1, seed=0, runtime=toy_runtime())

    expect_untouched(given, act, _list_arrays)
    after = {name: coreset.to_json() for name, coreset in given.coresets.items()}
    expect(after == ranked, "other rankings", "rankings as they were")


def _list_arrays(given: DistillInputs) -> dict[str, Any]:
    bank = given.bank
    weights = {
        f"expert {number} {name}": values
        for number, trajectory in enumerate(bank.trajectories if bank else ())
        for name, values in trajectory.items()
    }
    return {**given.real.rows, "label": given.real.label, **weights}


def check_order(subject: Subject) -> None:
    """Check that the order of real samples changes nothing."""
    reason = getattr(subject.module, "EXEMPT", {}).get("order")
    if reason:
        raise UntriedError(f"exempt, it {reason}")
    plugin = subject.plugin
    known = {name: value for name, value in WHOLE.items() if hasattr(plugin, name)}
    whole = dataclasses.replace(subject, plugin=dataclasses.replace(plugin, **known))
    order = torch.randperm(24, generator=torch.Generator().manual_seed(0)).tolist()
    before = distil(whole).synthetic.rows
    for m, rows in distil(whole, real=take_order(toy_real(), order)).synthetic.rows.items():
        off = float((rows - before[m]).abs().max())
        expect(off <= 1e-5, f"{m} rows that differ by {off:.2g}", "the same up to 1e-5")


FACTS = (
    check_functions,
    check_variants,
    check_start,
    check_set,
    check_bits,
    check_inputs,
    check_order,
)
