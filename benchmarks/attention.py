"""Measure the published attention head beside variants with easy mistakes, on one artifact.

    python benchmarks/attention.py work/NAME/dm/ipc1/artifacts/seed0.h5 data/NAME/shards \\
        [--protocol avdd] [--students 3]

It looks for the reason why the published row is at chance. Accuracy is on the validation split;
networks and protocols are those of the params file.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

sys.path.insert(0, str(Path(__file__).parent.parent))

import torch
from torch import Tensor, nn

from pipeline.artifact import read_artifact
from pipeline.core import params
from pipeline.evaluation import fuse_outputs, pick_joint_view
from pipeline.evaluation.setup import EvaluationSetup
from pipeline.models import heads, model
from pipeline.models.heads._classifier import Classifier, FusedClassifier, build_linear
from pipeline.models.heads.attention import ModalityAttention
from pipeline.models.initialisation import init_
from pipeline.shards.read import read_shards
from pipeline.training import instances, loop
from pipeline.training.students import StudentTrainer, TrainingJob
from stages._runtime import device_of

CPU = torch.device("cpu")


class OverBatch(ModalityAttention):
    """A softmax over the batch instead of the modalities."""

    def forward(self, features: list[Tensor]) -> Tensor:
        projected = torch.stack(
            [layer(x) for layer, x in zip(self.project, features, strict=True)], 1
        )
        return (self.score(torch.tanh(self.hidden(projected))).softmax(0) * projected).sum(1)


class WeightsAlone(ModalityAttention):
    """A classifier of the two attention weights instead of the weighted features."""

    def forward(self, features: list[Tensor]) -> Tensor:
        projected = torch.stack(
            [layer(x) for layer, x in zip(self.project, features, strict=True)], 1
        )
        return self.score(torch.tanh(self.hidden(projected))).softmax(1).squeeze(-1)


class OverFeatures(nn.Module):
    """A softmax over the features of each modality: each is scaled to about 1 / D."""

    def __init__(self, features: list[int], width: int) -> None:
        super().__init__()
        self.gates = nn.ModuleList([nn.Linear(count, count) for count in features])

    def forward(self, features: list[Tensor]) -> Tensor:
        return torch.stack(
            [gate(x).softmax(1) * x for gate, x in zip(self.gates, features, strict=True)]
        ).sum(0)


@dataclass(frozen=True)
class Head:
    """A fusion module under a linear classifier.

    Args:
        fuse: the module.
        width: number of features that it returns.
        tiny: draw its layers from N(0, 1e-4), as published classifiers are.
    """

    fuse: type[nn.Module]
    width: int
    tiny: bool
    gives: ClassVar[str] = heads.CLASSES

    def build(
        self, features: dict[str, int], classes: int, generator: torch.Generator
    ) -> Classifier:
        fuse = self.fuse(list(features.values()), 64)
        init_(fuse, generator)
        for layer in fuse.modules():
            if self.tiny and isinstance(layer, nn.Linear):
                with torch.no_grad():
                    layer.weight.copy_(torch.randn(layer.weight.shape, generator=generator) * 1e-4)
                    layer.bias.zero_()
        return Classifier(
            {
                heads.AND.join(features): FusedClassifier(
                    fuse, build_linear(self.width, classes, generator)
                )
            }
        )


def make_variants(features: int, modalities: int) -> dict[str, Any]:
    """Return name -> head of each variant; `features` is their number per modality."""
    return {
        "attention, all layers from N(0, 1e-4)": Head(ModalityAttention, 64, tiny=True),
        "softmax over the batch": Head(OverBatch, 64, tiny=False),
        "softmax over the features": Head(OverFeatures, features, tiny=False),
        "the weights alone are classified": Head(WeightsAlone, modalities, tiny=False),
    }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("artifact", type=Path)
    parser.add_argument("shards", type=Path)
    parser.add_argument("--protocol", default="avdd")
    parser.add_argument("--students", type=int, default=3)
    parser.add_argument("--params-file", type=Path, default=Path("params.yaml"))
    args = parser.parse_args()
    device_of("cpu")
    setup = EvaluationSetup.from_params(params.load(args.params_file))
    data = instances.decode_synthetic_set(read_artifact(args.artifact).synthetic, CPU)
    val = read_shards(args.shards / "val")
    recipes = getattr(setup.settings.protocols, args.protocol).make_recipes(len(data.label), 0)
    recipe = recipes[len(recipes) // 2]
    network = setup.networks[setup.settings.run[0].network]
    wide = next(iter(network.build(data.shapes, torch.Generator()).features.values()))
    variants = {name: setup.heads[name] for name in ("ensemble", "concat", "sum", "attention")}
    variants |= make_variants(wide, len(data.shapes))

    def measure_accuracy(module: model.AudioVisual) -> float:
        views = fuse_outputs(loop.predict(module, val, data.normalisation, CPU))
        return 100 * (views[pick_joint_view(views)].argmax(1) == val.label).double().mean().item()

    print(
        f"{args.artifact}, protocol {args.protocol}, {recipe.steps} steps, "
        f"chance {100 / len(val.classes):.1f} %"
    )
    for name, head in variants.items():
        trainer = StudentTrainer(
            network=network, head=head, device=CPU, threads=2, report=loop.ignore_progress
        )
        jobs = [
            TrainingJob(data=data, recipe=recipe, name=("student", 0, student))
            for student in range(args.students)
        ]
        accuracies = "".join(f"{x:7.1f}" for x in trainer.train(jobs, measure_accuracy))
        print(f"{name:<40}{accuracies}", flush=True)


if __name__ == "__main__":
    main()
