"""The golden rows: settings and numbers of every method on the toy."""

from __future__ import annotations

import dataclasses
import json
import sys
from functools import cache
from pathlib import Path
from typing import Any

from pipeline.core import params, plugins
from pipeline.core.errors import CellError
from pipeline.distillation.inputs import DistillInputs, Runtime
from pipeline.training.bank import ExpertBank
from pipeline.training.experts import ExpertSettings, ExpertTrainer
from pipeline.training.loop import ignore_progress
from tests.toys.plugins import NETWORKS, built, toy_inputs
from tests.toys.project import CPU, ROOT, values
from tests.toys.samples import toy_real

SEEN = {
    "frame": ("color", "crop", "cutout", "flip", "scale", "rotate"),
    "logmel": ("shift", "gain", "mask_time", "mask_mel"),
}
FOLDER = ROOT / "tests/golden"
# A row's `method` is its plugin, `settings` are all its parameters, so that no number follows
# params.yaml, `numbers` are those of `summary`. `exempt`: law -> why the method breaks it, see
# `rows_of_golden`.
#
# Numbers may change with a change of a method's formulas, of its draws, of the augmentations, the
# formation, the ConvNet or the selectors, and the changelog then says so. A change that only moves
# code or makes it faster leaves them alone.
GOLDEN: dict[str, dict[str, Any]] = {
    path.stem: json.loads(path.read_text(encoding="utf-8"))
    for path in sorted(FOLDER.glob("*.json"))
}
# Steps and real samples of a step, for a new row.
SHORT = {"steps": 4, "batch_real": 8, "inner": 2, "ahead": 1, "max_start": 1}
LAWS = {
    "order": "the order of real samples changes nothing",
    "numbering": "the numbering of classes changes nothing",
    "zero": "a synthetic set of all real samples has no distance from them",
}


def rows_of_golden(law: str = "", **properties: bool) -> list[str]:
    """List the golden rows.

    Args:
        law: a key of LAWS; leave out the rows that are exempt from it.
        properties: of the distiller, e.g. moves=True for the rows that optimise something.
    """
    assert not law or law in LAWS
    return [
        row
        for row, entry in GOLDEN.items()
        if law not in entry.get("exempt", {})
        and all(getattr(distiller(row), name) == value for name, value in properties.items())
    ]


def rows_with_experts() -> list[str]:
    """List the golden rows that move instances with a bank of experts: without one they refuse."""
    alone = DistillInputs(real=toy_real(), coresets={}, networks=NETWORKS, bank=None)
    return [row for row in rows_of_golden(moves=True) if refuses(row, alone)]


def refuses(row: str, given: DistillInputs) -> bool:
    try:
        distiller(row).network_of(given)
    except CellError:
        return True
    return False


def distiller(row: str, **changes: Any) -> Any:
    """The method of a golden row with its settings, and changes."""
    entry = GOLDEN[row]
    made = params.build(plugins.find("method", entry["method"]), entry["settings"], row)
    return dataclasses.replace(made, **changes)


@cache
def bank() -> ExpertBank:
    """Two experts of two epochs on the toy, whatever params.yaml says."""
    settings = ExpertSettings(
        network="convnet",
        head="ensemble",
        count=2,
        epochs=2,
        batch=12,
        rate=0.01,
        momentum=0.9,
        weight_decay=0.0005,
        augment=SEEN,
        seed=0,
    )
    head = built("head", "ensemble")
    trainer = ExpertTrainer(
        settings=settings,
        network=NETWORKS["convnet"],
        head=head,
        real=toy_real(),
        val=toy_real(),
        device=CPU,
        report=ignore_progress,
    )
    trajectories = [trainer.train(number) for number in range(2)]
    about = {"params": dataclasses.asdict(settings)}
    certain = {"frame": 1.0, "logmel": 1.0}
    return ExpertBank(
        network=trainer.network,
        head=head,
        shards="toy0",
        about=about,
        temperature=certain,
        trajectories=trajectories,
    )


def summary(method: str) -> dict[str, tuple[float, ...]]:
    """Return the golden numbers of a row.

    They are the first and last loss, and for each modality the mean, the first and the last value
    of the rows and how far they moved (rms). Soft labels give their first and last value and their
    standard deviation.
    """
    made, given = distiller(method), toy_inputs(bank=bank())
    outcome = made.distill(
        given, ipc=2, seed=0, runtime=Runtime(device=CPU, report=ignore_progress)
    )
    start = made.begin(given, ipc=2, seed=0).rows
    rows = {
        m: (values, (values - start[m]).square().mean().sqrt())
        for m, values in outcome.synthetic.rows.items()
    }
    numbers = {
        m: (x.mean(), x.flatten()[0], x.flatten()[-1], moved) for m, (x, moved) in rows.items()
    }
    soft = {
        f"soft {m}": (p.flatten()[0], p.flatten()[-1], p.std())
        for m, p in outcome.synthetic.soft_label.items()
    }
    found = {name: tuple(map(float, own)) for name, own in (numbers | soft).items()}
    return {"losses": outcome.losses[:1] + outcome.losses[-1:], **found}


def write(row: str, *changes: str) -> Path:
    """Write the numbers of a row; a new row gets the settings of params.yaml, made short.

    Args:
        row: a section of `distill` in params.yaml, or a row that there is.
        changes: settings of a new row that differ, e.g. "steps=2".
    """
    if row not in GOLDEN:
        given = values(*(f"distill.{row}.{change}" for change in changes))
        settings = {**given.get_section(f"distill.{row}")}
        method = settings.pop("method", row)
        settings |= {name: SHORT[name] for name in SHORT.keys() & settings.keys()}
        if "rates" in settings:
            settings["rates"] = {m: rates[:1] for m, rates in settings["rates"].items()}
        GOLDEN[row] = {"method": method, "settings": settings}
    numbers = {
        name: [float(f"{value:.6g}") for value in values] for name, values in summary(row).items()
    }
    path = FOLDER / f"{row}.json"
    path.write_text(json.dumps({**GOLDEN[row], "numbers": numbers}, indent=1) + "\n")
    return path


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit("usage: python -m tests.toys.golden ROW [NAME=VALUE ...]")
    print(f"wrote {write(*sys.argv[1:])}")
