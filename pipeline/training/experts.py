"""Train a bank of experts: networks on the real set, with their weights after every epoch."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from functools import partial
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F

from pipeline.core import tensors
from pipeline.core.files import create_folder
from pipeline.core.params import NonNegativeFloat, PositiveFloat, PositiveInt, UnitInterval
from pipeline.core.paths import to_path
from pipeline.core.rng import make_generator
from pipeline.models import model
from pipeline.training import instances, loop
from pipeline.training.augment import Operation
from pipeline.training.bank import describe_architecture, write_bank

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from torch import Tensor

    from pipeline.core.checkpoints import PartialResults
    from pipeline.core.paths import AnyPath
    from pipeline.core.records import RealSet
    from pipeline.models.model import AudioVisual, HeadPlugin, NetworkPlugin
    from pipeline.training.bank import Trajectory

# An eighth of an octave apart. The lowest is 1/2: where every sample is right, the best temperature
# would be 0, which means no more than that.
TEMPERATURES = tuple(2 ** (i / 8) for i in range(-8, 65))


@dataclass(frozen=True, kw_only=True)
class ExpertSettings:
    """Section `experts`.

    Args:
        network: the experts' network, by name.
        head: their head, by name.
        count: number of experts.
        epochs: epochs of training.
        batch: rows per batch.
        rate: learning rate of SGD with momentum, constant, as trajectory matching needs it (MTT:
            Cazenavette et al., CVPR 2022).
        momentum: of SGD.
        weight_decay: of SGD.
        augment: modality -> augmentations, one drawn per batch and modality.
        seed: of weights and batches.
    """

    network: str
    head: str
    count: PositiveInt
    epochs: PositiveInt
    batch: PositiveInt
    rate: PositiveFloat
    momentum: UnitInterval
    weight_decay: NonNegativeFloat
    augment: dict[str, tuple[Operation, ...]]
    seed: int

    def make_recipe(self, samples: int) -> loop.Recipe:
        """Return the recipe of whole epochs.

        Args:
            samples: rows of the real set.
        """
        rates = dict.fromkeys(self.augment, self.rate)
        return loop.Recipe(
            steps=self.epochs * math.ceil(samples / self.batch),
            batch=self.batch,
            rates=rates,
            head_rates=rates,
            weight_decay=self.weight_decay,
            schedule=loop.keep_constant,
            stops=dict.fromkeys(self.augment, 1.0),
            operations=self.augment,
            momentum=self.momentum,
        )


@dataclass(frozen=True, kw_only=True)
class ExpertTrainer:
    """Trains experts on a real set.

    Args:
        settings: section `experts`.
        network: the plugin that the settings name.
        head: the plugin that the settings name.
        real: the training split.
        val: the validation split, on which temperatures are fitted; nothing else is learnt from it.
        device: where the experts are trained.
        report: called with (done, total) steps of all experts.
    """

    settings: ExpertSettings
    network: NetworkPlugin
    head: HeadPlugin
    real: RealSet
    val: RealSet
    device: torch.device
    report: Callable[..., None]

    @property
    def cache_key(self) -> list[object]:
        """JSON values of everything that decides the weights, besides the code."""
        form = describe_architecture(self.network, self.head)
        return [asdict(self.settings), form, self.real.digest, self.val.digest, self.device.type]

    def train(self, number: int) -> Trajectory:
        """Train one expert; return its weights at the start and after every epoch.

        Args:
            number: of the expert; names its generators.
        """
        data = instances.wrap_real_set(self.real, self.device)
        name = ("expert", self.settings.seed, number)
        recipe = self.settings.make_recipe(len(self.real))
        module = self._build_model(data, make_generator(*name, "weights"))
        states = [_copy_state(module)]

        def report_progress(done: int, total: int, **figures: float) -> None:
            self.report(number * total + done, self.settings.count * total, **figures)

        epoch = recipe.steps // self.settings.epochs
        snapshots = loop.Snapshots(
            steps=range(epoch, recipe.steps + 1, epoch),
            callback=lambda _: states.append(_copy_state(module)),
        )
        batches = make_generator(*name, "batches")
        loop.fit(module, data, recipe, batches, self.device, report_progress, snapshots)
        return {key: torch.stack([state[key] for state in states]) for key in states[0]}

    def measure_accuracy(self, trajectory: Trajectory) -> dict[str, float]:
        """Return each output's accuracy on the training split, after the last epoch.

        Args:
            trajectory: one expert's weights.
        """
        outputs = self._compute_logits(trajectory, self.real)
        return {
            name: (logits.argmax(1) == self.real.label).float().mean().item()
            for name, logits in outputs.items()
        }

    def fit_temperatures(self, trajectories: Sequence[Trajectory]) -> dict[str, float]:
        """Return each output's temperature on the validation split, after the last epoch.

        Args:
            trajectories: the weights of all experts; their logits are pooled.
        """
        outputs = [self._compute_logits(trajectory, self.val) for trajectory in trajectories]
        label = self.val.label.repeat(len(trajectories))
        return {
            name: fit_temperature(torch.cat([logits[name] for logits in outputs]), label)
            for name in outputs[0]
        }

    def _build_model(self, data: instances.Instances, generator: torch.Generator) -> AudioVisual:
        module = model.build(self.network, self.head, data.shapes, data.classes, generator)
        return module.to(self.device)

    def _compute_logits(self, trajectory: Trajectory, real: RealSet) -> dict[str, Tensor]:
        """Return the logits of each output after the last epoch, on every sample."""
        data = instances.wrap_real_set(self.real, self.device)
        module = self._build_model(data, make_generator("outputs"))
        module.load_state_dict({name: values[-1] for name, values in trajectory.items()})
        return loop.apply_in_batches(module, module, real, self.real.normalisation, self.device)


def train_bank(out: AnyPath, trainer: ExpertTrainer, cache: PartialResults) -> dict[str, float]:
    """Train a bank and write it; return each output's mean accuracy on the training split.

    Args:
        out: the folder to write.
        trainer: trains each expert.
        cache: keeps finished experts, so that they survive an interruption.
    """
    out = to_path(out)
    names = [f"expert{number:03d}" for number in range(trainer.settings.count)]
    trajectories = [
        cache.load_or_make(name, partial(trainer.train, number))
        for number, name in enumerate(names)
    ]
    accuracies = [trainer.measure_accuracy(trajectory) for trajectory in trajectories]
    about = {
        "params": asdict(trainer.settings),
        "shards": trainer.real.digest,
        "preprocessing": trainer.real.preprocessing,
        "accuracy": accuracies,
        "temperature": trainer.fit_temperatures(trajectories),
    }
    with create_folder(out) as part:
        files = [part / f"{name}.safetensors" for name in names]
        for file, trajectory in zip(files, trajectories, strict=True):
            tensors.save(file, trajectory, {})
        write_bank(part, files, about, trainer.network, trainer.head)
    cache.remove()
    return {
        name: sum(accuracy[name] for accuracy in accuracies) / len(accuracies)
        for name in accuracies[0]
    }


def fit_temperature(logits: Tensor, label: Tensor) -> float:
    """Return the temperature, from 1/2 to 256, that makes a network as certain as it is right.

    T = argmin over T of mean -log softmax(z / T)_y, on samples that the network has not learnt from
    (Guo et al., On Calibration of Modern Neural Networks, ICML 2017, section 4.2).

    Args:
        logits: z, float32 [N, classes].
        label: y, int64 [N].
    """
    return min(TEMPERATURES, key=lambda t: F.cross_entropy(logits / t, label).item())


def _copy_state(module: torch.nn.Module) -> Trajectory:
    return {name: values.detach().cpu().clone() for name, values in module.state_dict().items()}
