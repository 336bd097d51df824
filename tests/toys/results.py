"""Results of a made-up grid, and its report."""

from __future__ import annotations

import csv
import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from pipeline.artifact import ExportSettings, write_artifact
from pipeline.core.params import Grid
from pipeline.core.records import Normalisation, SyntheticSet
from pipeline.core.tensors import save_synthetic
from pipeline.evaluation import ScoreTexts
from pipeline.media.logmel import LogMel
from pipeline.report import ReportSettings

LOGMEL = LogMel(rate=8000, n_fft=1024, hop=520, n_mels=16, f_min=20.0, f_max=4000.0, floor_db=-60.0)
TEXTS = ScoreTexts(protocols={"avdd": "As published.", "budget": "20 steps."})
SETTINGS = ReportSettings(gallery=2, baseline="random", random="random", kd_baseline="none")
HEADLINE = ("budget", "convnet", "ensemble", "recognition")
MEASURES = (HEADLINE, ("avdd", "convnet", "ensemble", "recognition"))
# Everything that params.yaml can ask for, and a task that nobody has described.
EVERYTHING = (
    *MEASURES,
    ("budget", "resnet", "ensemble", "recognition"),
    ("budget", "convnet", "attention", "recognition"),
    ("budget", "convnet", "ensemble", "retrieval"),
    ("budget", "convnet", "ensemble", "continual"),
    ("budget", "convnet", "ensemble", "ranking"),
    ("budget", "convnet", "attention", "dropout"),
    ("budget", "convnet", "ensemble", "juggling"),
)

# What `avdistill ceiling` says of its data.
DATA = {
    "source": {
        "name": "Toys",
        "home": "https://toys.example/data",
        "licence": "CC-BY-4.0",
        "citation": "not stated",
        "clip_licences": {"CC0-1.0": 3},
    },
    "sizes": {
        "train": {"bell": [2, 9], "cat & <dog>": [3, 11]},
        "test": {"bell": [5, 10], "cat & <dog>": [1, 10]},
    },
    "left_out": [["failed", "decode_error", "test", 1, 0], ["filtered", "silent", "train", 0, 14]],
    "leaks": {"train-test": 3},
}


@dataclass(frozen=True, kw_only=True)
class Toys:
    """Results of a made-up grid: all numbers follow from accuracies and counts.

    Args:
        formation: pieces of the instances of `moves`, the methods that optimise.
    """

    means: dict[tuple[str, int], float]
    datasets: tuple[str, ...] = ("toy",)
    classes: tuple[str, ...] = ("cat & <dog>", "bell")
    measures: tuple[tuple[str, ...], ...] = MEASURES
    moves: tuple[str, ...] = ("dm",)
    side: int = 16
    formation: tuple[int, int] = (2, 2)
    clips: int = 10
    runs: int = 4
    whole: float = 0.9
    seconds: bool = True

    @property
    def grid(self) -> Grid:
        methods, ipcs = (tuple(dict.fromkeys(key[i] for key in self.means)) for i in (0, 1))
        return Grid(
            datasets=self.datasets, selectors=("herding",), methods=methods, ipcs=ipcs, seeds=(0,)
        )

    def write(self, results: Path) -> Path:
        for dataset in self.datasets:
            counts = {
                "train_windows": 4000,
                "test_windows": 2 * self.clips,
                "test_clips": self.clips,
            }
            about = {"classes": self.classes, **counts, "projection": self.points(60, 0.0)}
            save(results / dataset / "ceiling.json", {**about, "scores": self.scores(self.whole)})
            self.clock(results / dataset / "ceiling", 4000.0)
            for (method, ipc), mean in self.means.items():
                self.cell(results / dataset / method / f"ipc{ipc}", method, ipc, mean)
        return results

    def cell(self, place: Path, method: str, ipc: int, mean: float) -> None:
        synthetic, optimised = place / "synthetic", method in self.moves
        about = {
            "artifacts": {"seed0.h5": "1"},
            "bytes": 12345 * ipc,
            "classes": self.classes,
            "test_windows": 2 * self.clips,
        }
        points = self.points(ipc * len(self.classes), 0.3)
        save(place / "scores.json", {**about, "projection": points, "scores": self.scores(mean)})
        losses = (
            [f"{seed},{step},{100 / step + seed}" for seed in (0, 2) for step in range(1, 501)]
            if optimised
            else []
        )
        save(synthetic / "losses.csv", "\n".join(["seed,step,loss", *losses]) + "\n")
        self.clock(place / "scores", 30.0 * ipc)
        self.clock(synthetic, 40.0 if optimised else 0.4)
        (place / "published").mkdir()
        write_artifact(
            place / "published" / "seed0.h5",
            self.stored(ipc, optimised, method),
            ExportSettings(storage="float32"),
        )
        if optimised:
            save_synthetic(synthetic / "start.safetensors", self.stored(ipc, optimised, "start"))

    def stored(self, ipc: int, optimised: bool, name: str) -> SyntheticSet:
        """Colour ramps, and tones that rise with the class."""
        rows, noise = ipc * len(self.classes), torch.Generator().manual_seed(len(name))
        label = torch.arange(len(self.classes)).repeat_interleave(ipc)
        ramp = torch.linspace(-1.5, 1.5, self.side).expand(self.side, -1)
        frame = torch.stack([ramp, ramp.T, -ramp]).expand(rows, 1, 3, -1, -1) + 0.3 * label.reshape(
            -1, 1, 1, 1, 1
        )
        bins = torch.arange(LOGMEL.shape[0], dtype=torch.float32).reshape(1, 1, -1, 1)
        pitch = (2 + label.float() * (LOGMEL.shape[0] - 4) / len(self.classes)).reshape(-1, 1, 1, 1)
        logmel = (2.5 - (bins - pitch).abs()).clamp(-2.5).expand(-1, -1, -1, LOGMEL.shape[1])
        made = {"frame": frame, "logmel": logmel}
        formation = dict.fromkeys(made, self.formation if optimised else (1, 1))
        return SyntheticSet(
            rows={m: x + 0.2 * torch.randn(x.shape, generator=noise) for m, x in made.items()},
            label=label,
            classes=self.classes,
            ipc=ipc,
            formation=formation,
            normalisation={
                "frame": Normalisation(scale=1 / 255, mean=(0.5,) * 3, std=(0.2,) * 3, fill=0.0),
                "logmel": Normalisation(scale=1.0, mean=(-30.0,), std=(10.0,), fill=-3.0),
            },
            source_key=("",) * rows,
        )

    def points(self, count: int, aside: float) -> list[list[float]]:
        numbers = np.random.default_rng(count)
        labels = [i % len(self.classes) for i in range(count)]
        return [
            [round(float(np.cos(c) * 4 + x + aside), 4), round(float(np.sin(c) * 4 + y), 4), c]
            for c, (x, y) in zip(labels, numbers.normal(size=(count, 2)), strict=True)
        ]

    def clock(self, result: Path, seconds: float) -> None:
        if self.seconds:
            save(
                result.with_suffix(".seconds.json"),
                {"seconds": seconds, "device": "cpu", "threads": 2},
            )

    def scores(self, mean: float) -> list[dict[str, Any]]:
        return [self.entry(measure, mean) for measure in self.measures]

    def entry(self, measure: tuple[str, ...], mean: float) -> dict[str, Any]:
        protocol, network, head, task = measure
        about = {
            "protocol": protocol,
            "network": network,
            "head": head,
            "task": task,
            "chosen": {},
            "trials": [],
        }
        if task != "recognition":
            return {**about, "metrics": METRICS[task](mean), "runs": []}
        views = ("a", "v", "av") if head == "ensemble" else ("av",)
        confusion = [
            [int(50 * mean) if i == j else 3 for j in range(len(self.classes))]
            for i in range(len(self.classes))
        ]
        metrics = {"accuracy": dict.fromkeys(views, summary(mean))}
        if measure == HEADLINE and len(self.measures) > 2:
            metrics["vote"] = dict.fromkeys(views, summary(mean))
        return {
            **about,
            "metrics": metrics,
            "runs": [
                {"set": 0, "student": i, "accuracy": dict.fromkeys(views, mean)}
                for i in range(self.runs)
            ],
            "right": {view: self.right(mean) for view in views},
            "windows": [2] * self.clips,
            "confusion": dict.fromkeys(views, confusion),
        }

    def right(self, mean: float) -> list[list[int]]:
        """Count right windows, two a clip, the first clips right, to meet an accuracy."""
        return [
            [
                max(0, min(2, round(2 * self.clips * mean) + run % 2 - 2 * clip))
                for clip in range(self.clips)
            ]
            for run in range(self.runs)
        ]


def summary(mean: float) -> dict[str, Any]:
    return {"mean": mean, "std": 0.02, "low": mean - 0.05, "high": mean + 0.04, "n": 4}


def taught(method: str, train_set: str, mean: float, **changes: Any) -> dict[str, Any]:
    """What `avdistill teach` writes, of students that see frames and a teacher that hears."""
    recalled = {"student": summary(mean / 2), "teacher logmel": plain(0.5)}
    metrics = {
        "accuracy": {
            "student": summary(mean),
            "student + logmel": summary(mean + 0.1),
            "probe logmel": summary(0.6),
        },
        "R@1": recalled,
        "mAP": recalled,
    }
    about = {
        "method": method,
        "student": "frame",
        "teachers": ["logmel"],
        "train_set": train_set,
        "training_rows": 40,
    }
    return {
        **about,
        "classes": TOYS.classes,
        "not_run": [],
        "scores": [{"metrics": metrics}],
        **changes,
    }


def plain(value: float) -> dict[str, Any]:
    return {"mean": value, "std": 0.5, "low": None, "high": None, "n": 4}


METRICS: dict[str, Any] = {
    "retrieval": lambda mean: {
        **{
            f"R@{k}": {"a->v": summary(mean * share), "v->a": summary(mean * share)}
            for k, share in ((1, 0.3), (5, 0.6), (10, 0.9))
        },
        "median rank": {"a->v": plain(7.5), "v->a": plain(8.0)},
        "gallery": {"a->v": {"mean": 20.0}, "v->a": {"mean": 20.0}},
    },
    "continual": lambda mean: {
        "accuracy": {
            "av after 1": summary(1.0),
            "av after 2": summary(mean),
            "average": summary(mean),
        }
    },
    # Below 0.5 the order is turned around.
    "ranking": lambda mean: {
        "accuracy": {
            f"convnet {0.001 * (i + 1):g}": summary(mean + (0.05 if mean > 0.5 else -0.05) * i)
            for i in range(3)
        }
    },
    "dropout": lambda mean: {
        "accuracy": {
            "av": summary(mean),
            "av without a": summary(mean / 2),
            "av without v": summary(mean / 3),
        },
    },
    "juggling": lambda mean: {"balls": {"both hands": summary(mean)}},
}


def save(path: Path, value: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(value if isinstance(value, str) else json.dumps(value), encoding="utf-8")


def edit(path: Path, change: Any) -> None:
    value = json.loads(path.read_text(encoding="utf-8"))
    change(value)
    save(path, value)


TOYS = Toys(means={("random", 1): 0.31, ("dm", 1): 0.52, ("random", 2): 0.44, ("dm", 2): 0.43})
GRID = TOYS.grid


def text_of(page: Path, suffix: str = ".html") -> str:
    return page.with_suffix(suffix).read_text(encoding="utf-8")


def markdown_of(page: Path) -> str:
    """The Markdown tables beside a page, without the padding of their cells."""
    return re.sub(r" +", " ", text_of(page, ".md"))


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))
