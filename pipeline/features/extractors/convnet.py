"""Embeddings of a ConvNet pair trained on the real training set: self-contained, no weights to download."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pipeline.core import tensors
from pipeline.core.params import NonNegativeFloat, PositiveFloat, PositiveInt
from pipeline.core.plugins import pick
from pipeline.core.rng import make_generator
from pipeline.features.extractors._batches import build_origin, embed_in_batches
from pipeline.models import model
from pipeline.models.heads.ensemble import Head as Ensemble
from pipeline.training import instances, loop
from pipeline.training.augment import Operation

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import torch
    from torch import Tensor

    from pipeline.core.checkpoints import PartialResults
    from pipeline.core.records import Features, RealSet
    from pipeline.models.model import NetworkPlugin


@dataclass(frozen=True, kw_only=True)
class Extractor:
    """Train for `steps`, then embed every sample.

    Args:
        network: the plugin that is trained; `rate`: Adam's, falling to 0 as a cosine.
        augment: modality -> augmentations, one drawn per batch and modality.
    """

    network: str
    steps: PositiveInt
    batch: PositiveInt
    rate: PositiveFloat
    weight_decay: NonNegativeFloat
    augment: dict[str, tuple[Operation, ...]]
    seed: int

    def embed(
        self,
        real: RealSet,
        networks: Mapping[str, NetworkPlugin],
        parts: PartialResults,
        device: torch.device,
        report: Callable[..., None],
    ) -> Features:
        """One float32 [N, D] per modality; the trained weights are the first part that is kept."""
        data, network = (
            instances.wrap_real_set(real, device),
            pick(networks, self.network, "network"),
        )
        module = model.build(
            network, Ensemble(), data.shapes, data.classes, make_generator("extractor", self.seed)
        ).to(device)
        recipe = loop.Recipe.build_uniform(
            self.rate,
            self.augment,
            steps=self.steps,
            batch=self.batch,
            weight_decay=self.weight_decay,
        )

        def train() -> dict[str, Tensor]:
            loop.fit(
                module, data, recipe, make_generator("extractor", self.seed, "fit"), device, report
            )
            return module.state_dict()

        def encode(index: slice) -> dict[str, Tensor]:
            return module.towers.embed(
                {
                    m: real.normalisation[m].apply(rows[index].to(device))
                    for m, rows in real.rows.items()
                }
            )

        state = parts.load_or_make("weights", train)
        module.load_state_dict(state)
        module.eval()
        source = build_origin(real, "convnet", self, tensors.digest(state))
        return embed_in_batches(real, encode, source, loop.PASS, parts, report)
