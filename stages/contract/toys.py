"""A tiny real set in memory, and all that plugins are given beside one."""

from __future__ import annotations

import dataclasses
from dataclasses import replace
from functools import cache
from typing import TYPE_CHECKING, Any

import torch

from pipeline.core import plugins
from pipeline.core.errors import PipelineError
from pipeline.core.params import from_values
from pipeline.core.records import Features, Normalisation, Origin, RealSet
from pipeline.coresets.rankings import rank_features
from pipeline.distillation.inputs import DistillInputs, Runtime
from pipeline.evaluation import Bench
from pipeline.training.bank import ExpertBank
from pipeline.training.experts import ExpertSettings, ExpertTrainer
from pipeline.training.loop import ignore_progress
from pipeline.training.students import StudentTrainer
from stages.contract.subject import shrink

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pipeline.core.params import Params
    from pipeline.coresets.rankings import Coreset

CPU = torch.device("cpu")
ORIGIN = Origin(extractor="toy", params={}, shards="toy0", preprocessing="toy", weights="none")


def toy_real(per_class: int = 12, classes: int = 2, side: int = 8, seed: int = 0) -> RealSet:
    """Make random frames and log-mels whose brightness and loudness tell the class.

    Args:
        per_class: samples; two are of one clip.
        classes: their number.
        side: of frames and log-mels, in pixels.
        seed: of the noise.
    """
    numbers = torch.Generator().manual_seed(seed)
    label = torch.arange(classes).repeat_interleave(per_class)
    level = label.float() / classes
    frame = (
        60 * torch.rand(len(label), 1, 3, side, side, generator=numbers)
        + 150 * level[:, None, None, None, None]
    )
    logmel = (
        20 * torch.rand(len(label), 1, side, side, generator=numbers)
        - 40 * level[:, None, None, None]
    )
    return RealSet(
        rows={"frame": frame.to(torch.uint8), "logmel": logmel.half()},
        label=label,
        keys=tuple(f"clip{i // 2:03d}_{i % 2:04d}" for i in range(len(label))),
        clips=tuple(f"clip{i // 2:03d}" for i in range(len(label))),
        classes=tuple(f"class{c}" for c in range(classes)),
        normalisation={
            "frame": Normalisation(
                scale=1 / 255, mean=(0.4, 0.4, 0.4), std=(0.25, 0.25, 0.25), fill=0.0
            ),
            "logmel": Normalisation(scale=1.0, mean=(-10.0,), std=(15.0,), fill=-4.0),
        },
        preprocessing="toy",
        digest=f"toy{seed}",
    )


def toy_waves(rate: int = 1000) -> RealSet:
    """Make the toy with a second of noise per sample, louder in the second class.

    Args:
        rate: samples a second.
    """
    real = toy_real()
    noise = torch.randn(len(real), 1, rate, generator=torch.Generator().manual_seed(5))
    wave = (3000 * noise * (1 + real.label[:, None, None])).to(torch.int16)
    units = Normalisation(scale=2**-15, mean=(0.0,), std=(0.1,), fill=0.0)
    return replace(
        real, rows={**real.rows, "wave": wave}, normalisation={**real.normalisation, "wave": units}
    )


def take_order(real: RealSet, order: Sequence[int]) -> RealSet:
    """Return the same samples in another order.

    Args:
        real: the samples.
        order: their numbers.
    """
    index = torch.tensor(order)
    return replace(
        real,
        rows={m: rows[index] for m, rows in real.rows.items()},
        label=real.label[index],
        keys=tuple(real.keys[i] for i in order),
        clips=tuple(real.clips[i] for i in order),
    )


def toy_features() -> Features:
    """Make the toy's pixels and log-mels into its embeddings."""
    real = toy_real()
    return Features(
        keys=real.keys,
        label=real.label.numpy(),
        vectors={m: rows[:].flatten(1).float().numpy() for m, rows in real.rows.items()},
        classes=real.classes,
        origin=ORIGIN,
    )


@cache
def toy_networks() -> dict[str, Any]:
    """Build a ConvNet of a few weights, under the name that rows of params give theirs."""
    small = {"width": 4, "depth": {"frame": 2, "logmel": 2}, "grid": 2}
    convnet = plugins.find("network", "convnet")
    return {"convnet": convnet(**small, padding={"frame": 1, "logmel": 3})}


def build_rows(kind: str, params: Params) -> dict[str, Any]:
    """Build the rows of a kind, each for a toy; those that do not build are left out.

    Args:
        kind: a key of KINDS.
        params: the params file.
    """
    built = {}
    for row in params.get_section(plugins.KINDS[kind].section):
        try:
            built[row] = shrink(plugins.build(kind, row, params))
        except PipelineError:  # facts of its own plugin say so
            continue
    return built


@cache
def toy_bank() -> ExpertBank:
    """Train two experts on the toy for two epochs, with the packaged values."""
    packaged = from_values({}, "params.yaml")
    settings = packaged.build("experts", ExpertSettings)
    trainer = ExpertTrainer(
        settings=replace(settings, count=2, epochs=2),
        network=toy_networks()["convnet"],
        head=plugins.build("head", "ensemble", packaged),
        real=toy_real(),
        val=toy_real(),
        device=CPU,
        report=ignore_progress,
    )
    return ExpertBank(
        network=trainer.network,
        head=trainer.head,
        shards="toy0",
        about={"params": dataclasses.asdict(trainer.settings)},
        temperature={"frame": 1.0, "logmel": 1.0},
        trajectories=[trainer.train(number) for number in range(2)],
    )


def rank_toy(params: Params) -> dict[str, Coreset]:
    """Rank the toy by each row of `coreset`.

    Args:
        params: the params file.
    """
    features = toy_features()
    return {
        row: rank_features(row, selector, features, "toy")
        for row, selector in build_rows("selector", params).items()
    }


def toy_inputs(params: Params, **changes: Any) -> DistillInputs:
    """Return the inputs of the toy's sets: samples, rankings, networks and a bank.

    Args:
        params: the params file.
        changes: fields that differ.
    """
    networks = build_rows("network", params) | toy_networks()
    given: dict[str, Any] = {"real": toy_real(), "networks": networks, "bank": toy_bank()}
    given["coresets"] = changes.pop("coresets", None) or rank_toy(params)
    return DistillInputs(**{**given, **changes})


def toy_runtime() -> Runtime:
    """Return a runtime on the CPU that reports nothing."""
    return Runtime(device=CPU, report=ignore_progress)


def toy_bench(head: Any, metrics: dict[str, Any], **changes: Any) -> Bench:
    """Return a bench of toys.

    Args:
        head: the students'.
        metrics: name -> plugin.
        changes: fields that differ.
    """
    networks = toy_networks()
    trainer = StudentTrainer(
        network=networks["convnet"], head=head, device=CPU, threads=2, report=ignore_progress
    )
    given = {
        "trainer": trainer,
        "val": toy_real(4, seed=1),
        "test": toy_real(6, seed=2),
        "metrics": metrics,
        "networks": networks,
    }
    return Bench(**{**given, "repeats": 2, "bootstrap": 50, **changes})
