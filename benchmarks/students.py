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

if TYPE_CHECKING:
    from pipeline.models.model import AudioVisual
    from pipeline.training.instances import Instances

CLASSES, SIDE = 10, 32


def main() -> None:
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
    args = parser.parse_args()

    import torch

    from pipeline.core.rng import make_generator
    from pipeline.models import model
    from pipeline.models.heads.ensemble import Head
    from pipeline.models.networks.convnet import Network
    from pipeline.training import loop
    from pipeline.training.students import StudentTrainer, TrainingJob
    from stages._runtime import device_of

    device = device_of(args.device)
    per_modality = {"frame": 3, "logmel": 3}
    network = Network(
        width=args.width, depth=per_modality, grid=4, padding={"frame": 1, "logmel": 1}
    )
    trainer = StudentTrainer(
        network=network,
        head=Head(),
        device=device,
        threads=len(os.sched_getaffinity(0)),
        report=loop.ignore_progress,
    )
    data, test = make_instances(4 * args.ipc * CLASSES, 0, device), make_instances(500, 1, device)
    rates = {"frame": 1e-3, "logmel": 1e-3}
    operations = {"frame": ("color", "crop", "cutout", "scale", "rotate"), "logmel": ("shift",)}
    recipe = loop.Recipe(
        steps=args.steps,
        batch=args.batch,
        rates=rates,
        head_rates=rates,
        weight_decay=1e-4,
        schedule=loop.anneal_cosine,
        stops=dict.fromkeys(rates, 1.0),
        operations=operations,
    )
    jobs = [
        TrainingJob(data=data, recipe=recipe, name=("student", i)) for i in range(args.students)
    ]

    def measure_accuracy(module: AudioVisual) -> float:
        module.eval()
        with torch.no_grad():
            logits = module(test.take(torch.arange(len(test.label))))
        return (
            (sum(x.softmax(1) for x in logits.values()).argmax(1).cpu() == test.label)
            .float()
            .mean()
            .item()
        )

    def train_one_by_one() -> list[float]:
        results = []
        for job in jobs:
            module = model.build(
                network, Head(), data.shapes, data.classes, make_generator(*job.name, "weights")
            ).to(device)
            loop.fit(module, data, recipe, make_generator(*job.name, "batches"), device)
            results.append(measure_accuracy(module))
        return results

    sides = {
        "one after another": train_one_by_one,
        "trained at once": lambda: trainer.train(jobs, measure_accuracy),
    }
    times: dict[str, list[float]] = {name: [] for name in sides}
    accuracies: dict[str, list[float]] = {}
    for _ in range(args.rounds):
        for name, side in sides.items():
            began = time.perf_counter()
            accuracies[name] = side()
            times[name].append(time.perf_counter() - began)
    print(
        f"{args.students} students, IPC {args.ipc} x 4 pieces x {CLASSES} classes, "
        f"{SIDE} x {SIDE}, width {args.width}, ",
        end="",
    )
    print(
        f"{args.steps} steps of {args.batch}, {device}, {torch.get_num_threads()} threads, "
        f"torch {torch.__version__}"
    )
    for name, seconds in times.items():
        percents = " ".join(f"{100 * x:.1f}" for x in accuracies[name])
        print(f"{name:<18} {min(seconds):7.2f} to {max(seconds):7.2f} s   accuracy {percents}")
    pairs = [one / other for one, other in zip(*times.values(), strict=True)]
    print(f"ratio, median of {len(pairs)} pairs: {statistics.median(pairs):.2f}")


def make_instances(count: int, seed: int, device: object) -> Instances:
    """Make noise whose brightness and loudness depend on the class, too hard to learn perfectly."""
    import torch

    from pipeline.core.records import Normalisation
    from pipeline.training.instances import Instances

    generator = torch.Generator().manual_seed(seed)
    label = torch.arange(count) % CLASSES
    level = label.float()[:, None, None, None] / CLASSES
    rows = {
        "frame": (
            torch.randn(count, 1, 3, SIDE, SIDE, generator=generator) + level[:, None] / 2
        ).to(device),
        "logmel": (torch.randn(count, 1, SIDE, SIDE, generator=generator) + level / 2).to(device),
    }
    blank = Normalisation(scale=1.0, mean=(0.0,), std=(1.0,), fill=0.0)
    return Instances(
        take=lambda index: {m: values[index] for m, values in rows.items()},
        label=label,
        classes=CLASSES,
        shapes={m: tuple(values.shape[1:]) for m, values in rows.items()},
        normalisation=dict.fromkeys(rows, blank),
    )


if __name__ == "__main__":
    main()
