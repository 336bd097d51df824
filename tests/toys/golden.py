"""The golden rows: settings and numbers of every method on the toy."""

from __future__ import annotations

import dataclasses
import json
from functools import cache
from typing import Any

from pipeline.core import params, plugins
from pipeline.distillation.inputs import Runtime
from pipeline.training.bank import ExpertBank
from pipeline.training.experts import ExpertSettings, ExpertTrainer
from pipeline.training.loop import ignore_progress
from tests.toys.plugins import NETWORKS, built, materials
from tests.toys.project import CPU, ROOT
from tests.toys.samples import toy_real

SEEN = {
    "frame": ("color", "crop", "cutout", "flip", "scale", "rotate"),
    "logmel": ("shift", "gain", "mask_time", "mask_mel"),
}
# golden/<row>.json: the plugin, every parameter of it, so that no number follows params.yaml, and `numbers`, see `summary`.
# They may change with a change of a method's formulas, of its draws, of the augmentations, the formation, the ConvNet or the
# selectors, and the changelog then says so. A change that only moves code or makes it faster leaves them alone.
GOLDEN = {
    path.stem: json.loads(path.read_text())
    for path in sorted((ROOT / "tests/golden").glob("*.json"))
}


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
    school = ExpertTrainer(
        settings=settings,
        network=NETWORKS["convnet"],
        head=head,
        real=toy_real(),
        val=toy_real(),
        device=CPU,
        report=ignore_progress,
    )
    courses = [school.train(number) for number in range(2)]
    about = {"params": dataclasses.asdict(settings)}
    certain = {"frame": 1.0, "logmel": 1.0}
    return ExpertBank(
        network=school.network,
        head=head,
        shards="toy0",
        about=about,
        temperature=certain,
        courses=courses,
    )


def summary(method: str) -> dict[str, tuple[float, ...]]:
    """First and last loss; of each modality's rows the mean, the first and the last value, and how far they moved (rms).

    Of its soft labels, if there are any, the first and the last value and the spread.
    """
    made, given = distiller(method), materials(bank=bank())
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
