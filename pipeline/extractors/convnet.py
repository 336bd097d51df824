"""Embeddings of a ConvNet pair trained on the real training set: self-contained, no weights to download."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

import torch

from pipeline import training
from pipeline.augment import Operation
from pipeline.files import digest_of
from pipeline.heads.ensemble import Head as Ensemble
from pipeline.params import Count, Least, Positive
from pipeline.plugins import pick
from pipeline.records import Features
from pipeline.streams import stream

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from pipeline.records import RealSet
    from pipeline.training import Network


@dataclass(frozen=True, kw_only=True)
class Extractor:
    """Train for `steps`, then embed every sample.

    Args:
        network: the plugin that is trained; `rate`: Adam's, falling to 0 as a cosine.
        augment: modality -> augmentations, one drawn per batch and modality.
    """

    network: str
    steps: Count
    batch: Count
    rate: Positive
    weight_decay: Least
    augment: dict[str, tuple[Operation, ...]]
    seed: int

    def embed(self, real: RealSet, networks: Mapping[str, Network], device: torch.device, report: Callable[..., None]) -> Features:
        """One float32 [N, D] per modality."""
        data, network = training.whole(real, device), pick(networks, self.network, "network")
        module = training.build(network, Ensemble(), data, stream("extractor", self.seed)).to(device)
        recipe = training.Recipe.even(self.rate, self.augment, steps=self.steps, batch=self.batch, weight_decay=self.weight_decay)
        training.fit(module, data, recipe, stream("extractor", self.seed, "fit"), device, report)
        vectors = training.embed(module, real, device)
        weights = {name: tensor.double().sum().item() for name, tensor in module.state_dict().items()}
        return Features(
            keys=real.keys,
            label=real.label.numpy(),
            vectors={modality: tensor.numpy() for modality, tensor in vectors.items()},
            classes=real.classes,
            attributes={
                "extractor": "convnet",
                "shards": real.digest,
                "preprocessing": real.preprocessing,
                "weights": digest_of([asdict(self), weights]),
            },
        )
