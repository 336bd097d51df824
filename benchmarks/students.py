"""Measure time and accuracy of a cell's students, trained at once and one after another.

    python benchmarks/students.py                      # 5 students on a CPU: a thread each
    python benchmarks/students.py --device cuda        # stacked under torch.func.vmap

One after another is the plain loop with torch's threads on every core, with the same recipe and
counters. Rounds alternate between the two sides, and each side's accuracies are printed: they are
the same students, so they differ by float noise only.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

sys.path.insert(0, str(Path(__file__).parent.parent))

import torch

from pipeline.core.records import Normalisation
from pipeline.core.rng import make_generator
from pipeline.models import model
from pipeline.models.heads.ensemble import Head
from pipeline.models.networks.convnet import Network
from pipeline.training import loop
from pipeline.training.instances import Instances
from pipeline.training.students import StudentTrainer, TrainingJob
from stages._runtime import device_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from pipeline.models.model import AudioVisual

CLASSES, SIDE, PIECES, TEST = 10, 32, 4, 500
RATES = {"frame": 1e-3, "logmel": 1e-3}
OPERATIONS = {"frame": ("color", "crop", "cutout", "scale", "rotate"), "logmel": ("shift",)}


def main() -> None:
    args = parse_arguments()
    device = device_of(args.device)
    network = Network(
        width=args.width, depth=dict.fromkeys(RATES, 3), grid=4, padding=dict.fromkeys(RATES, 1)
    )
    data = make_instances(PIECES * args.ipc * CLASSES, 0, device)
    test = make_instances(TEST, 1, device)
    recipe = make_recipe(args.steps, args.batch)
    jobs = [
        TrainingJob(data=data, recipe=recipe, name=("student", i)) for i in range(args.students)
    ]
    trainer = StudentTrainer(
        network=network,
        head=Head(),
        device=device,
        threads=len(os.sched_getaffinity(0)),
        report=loop.ignore_progress,
    )

    def measure_accuracy(module: AudioVisual) -> float:
        module.eval()
        with torch.no_grad():
            logits = module(test.take(torch.arange(len(test.label))))
        predicted = sum(x.softmax(1) for x in logits.values()).argmax(1).cpu()
        return (predicted == test.label).float().mean().item()

    sides = {
        "one after another": lambda: [
            measure_accuracy(train_one(network, job, device)) for job in jobs
        ],
        "trained at once": lambda: trainer.train(jobs, measure_accuracy),
    }
    print(
        f"{args.students} students, IPC {args.ipc} x {PIECES} pieces x {CLASSES} classes, "
        f"{SIDE} x {SIDE}, width {args.width}, {args.steps} steps of {args.batch}, {device}, "
        f"{torch.get_num_threads()} threads, torch {torch.__version__}"
    )
    compare(sides, args.rounds)


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--students", type=int, default=5)
    parser.add_argument("--ipc", type=int, default=10)
    parser.add_argument("--width", type=int, default=32)
    parser.add_argument("--steps", type=int, default=100)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--device", default="cpu")
    return parser.parse_args()


def compare(sides: dict[str, Callable[[], list[float]]], rounds: int) -> None:
    """Run two sides in turn; print their times and accuracies, and the median ratio of times."""
    times: dict[str, list[float]] = {name: [] for name in sides}
    accuracies: dict[str, list[float]] = {}
    for _ in range(rounds):
        for name, side in sides.items():
            began = time.perf_counter()
            accuracies[name] = side()
            times[name].append(time.perf_counter() - began)
    for name, seconds in times.items():
        percents = " ".join(f"{100 * x:.1f}" for x in accuracies[name])
        print(f"{name:<18} {min(seconds):7.2f} to {max(seconds):7.2f} s   accuracy {percents}")
    ratios = [one / other for one, other in zip(*times.values(), strict=True)]
    print(f"ratio, median of {len(ratios)} pairs: {statistics.median(ratios):.2f}")


def make_recipe(steps: int, batch: int) -> loop.Recipe:
    """Return the recipe of both sides."""
    return loop.Recipe(
        steps=steps,
        batch=batch,
        rates=RATES,
        head_rates=RATES,
        weight_decay=1e-4,
        schedule=loop.anneal_cosine,
        stops=dict.fromkeys(RATES, 1.0),
        operations=OPERATIONS,
    )


def train_one(network: Network, job: TrainingJob, device: torch.device) -> AudioVisual:
    """Train one student by the plain loop."""
    data = job.data
    module = model.build(
        network, Head(), data.shapes, data.classes, make_generator(*job.name, "weights")
    ).to(device)
    loop.fit(module, data, job.recipe, make_generator(*job.name, "batches"), device)
    return module


def make_instances(count: int, seed: int, device: torch.device) -> Instances:
    """Make noise whose brightness and loudness depend on the class, too hard to learn perfectly."""
    generator = torch.Generator().manual_seed(seed)
    label = torch.arange(count) % CLASSES
    level = label.float()[:, None, None, None] / CLASSES
    frames = torch.randn(count, 1, 3, SIDE, SIDE, generator=generator) + level[:, None] / 2
    logmels = torch.randn(count, 1, SIDE, SIDE, generator=generator) + level / 2
    rows = {"frame": frames.to(device), "logmel": logmels.to(device)}
    identity = Normalisation(scale=1.0, mean=(0.0,), std=(1.0,), fill=0.0)
    return Instances(
        take=lambda index: {m: values[index] for m, values in rows.items()},
        label=label,
        classes=CLASSES,
        shapes={m: tuple(values.shape[1:]) for m, values in rows.items()},
        normalisation=dict.fromkeys(rows, identity),
    )


if __name__ == "__main__":
    main()
