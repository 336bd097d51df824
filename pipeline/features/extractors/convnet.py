"""Embeddings by a network pair that is trained on the real training set.

It needs no pretrained weights.
"""

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
    """A network with the head `ensemble`, trained on the samples that it then embeds.

    Args:
        network: section of `networks`.
        steps: training steps.
        batch: rows per training batch.
        rate: learning rate of Adam, which falls to 0 as a cosine.
        weight_decay: of Adam.
        augment: modality -> augmentations, one drawn per batch and modality.
        seed: of weights and batches.
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
        cache: PartialResults,
        device: torch.device,
        report: Callable[..., None],
    ) -> Features:
        """Embed all modalities; see `FeatureExtractor.embed`.

        The trained weights are the first partial result.
        """
        data = instances.wrap_real_set(real, device)
        network = pick(networks, self.network, "network")
        weights = make_generator("extractor", self.seed)
        module = model.build(network, Ensemble(), data.shapes, data.classes, weights).to(device)

        def train() -> dict[str, Tensor]:
            batches = make_generator("extractor", self.seed, "fit")
            loop.fit(module, data, self._make_recipe(), batches, device, report)
            return module.state_dict()

        def encode(index: slice) -> dict[str, Tensor]:
            rows = {m: values[index].to(device) for m, values in real.rows.items()}
            return module.towers.embed(
                {m: real.normalisation[m].apply(values) for m, values in rows.items()}
            )

        state = cache.load_or_make("weights", train)
        module.load_state_dict(state)
        module.eval()
        origin = build_origin(real, "convnet", self, tensors.digest(state))
        return embed_in_batches(real, encode, origin, loop.PASS, cache, report)

    def _make_recipe(self) -> loop.Recipe:
        return loop.Recipe.build_uniform(
            self.rate,
            self.augment,
            steps=self.steps,
            batch=self.batch,
            weight_decay=self.weight_decay,
        )
