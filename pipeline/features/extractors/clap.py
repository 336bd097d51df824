"""Sound as CLAP hears it (Wu et al., ICASSP 2023): unit vectors of a pretrained audio encoder.

A sample's wave is one second. The model's own feature extractor brings it to the model's length by its own padding, as a rule by
repeating it, and never cuts: for longer waves it would draw where. Where it marks waves that were cut, it marks one at random if
there is none; here none ever is.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch

from pipeline.core import tensors
from pipeline.core.errors import ShardError
from pipeline.core.params import PositiveInt
from pipeline.features.extractors import _transformers
from pipeline.features.extractors._batches import build_origin, embed_in_batches, rows_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    import numpy as np
    from torch import Tensor

    from pipeline.core.checkpoints import PartialResults
    from pipeline.core.records import Features, RealSet
    from pipeline.models.model import NetworkPlugin

# Samples are signed 16-bit.
FULL_SCALE = 2**15


@dataclass(frozen=True, kw_only=True)
class Extractor:
    """A CLAP model of transformers; nothing is trained.

    Args:
        model: a local folder that save_pretrained wrote, or an id on the hub; `revision`: branch, tag or commit there.
        batch: samples per forward pass.
    """

    model: str
    revision: str
    batch: PositiveInt

    def embed(
        self,
        real: RealSet,
        networks: Mapping[str, NetworkPlugin],
        parts: PartialResults,
        device: torch.device,
        report: Callable[..., None],
    ) -> Features:
        """wave int16 [N, 1, rate] -> wave float32 [N, D]; ShardError for a rate other than the model's."""
        waves = rows_of(real, "wave")
        reader = _transformers.load_feature_extractor(self.model, self.revision)
        _refuse_rate(waves.shape[-1], reader, self.model)
        model = _transformers.load_model("ClapModel", self.model, self.revision, device)

        def encode(index: slice) -> dict[str, Tensor]:
            heard = preprocess_waves(waves[index], reader).to(device)
            uncut = torch.zeros(len(heard), 1, dtype=torch.bool, device=device)
            return {
                "wave": _transformers.normalise(
                    model.get_audio_features(input_features=heard, is_longer=uncut)
                )
            }

        source = build_origin(real, "clap", self, tensors.digest(model.state_dict()))
        return embed_in_batches(real, encode, source, self.batch, parts, report)

    def embed_texts(self, sentences: Sequence[str], device: torch.device) -> tuple[np.ndarray, str]:
        """Sentences -> float32 [n, D] of the text tower, and the digest of the model's weights, both towers'."""
        model = _transformers.load_model("ClapModel", self.model, self.revision, device)
        read = _transformers.embed_sentences(
            model, self.model, self.revision, sentences, self.batch
        )
        return read.numpy(), tensors.digest(model.state_dict())


def preprocess_waves(waves: Tensor, reader: Any) -> Tensor:
    """int16 [B, 1, rate] -> the log-mels that the model takes, of its length, float32 [B, 1 or 4, F, M]."""
    floats = waves[:, 0].double().numpy() / FULL_SCALE
    heard: Tensor = reader(list(floats), sampling_rate=reader.sampling_rate, return_tensors="pt")[
        "input_features"
    ]
    return heard.float()


def _refuse_rate(rate: int, reader: Any, name: str) -> None:
    if rate != reader.sampling_rate:
        wanted = f"{name} hears {reader.sampling_rate} samples a second, the shards hold {rate}"
        raise ShardError(
            f"{wanted}; set decode.wave.rate to {reader.sampling_rate} and run `avdistill decode` again"
        )
    if reader.nb_max_samples < rate:
        raise ShardError(
            f"{name} hears {reader.max_length_s} s, less than a sample's second; name a model that hears one or more"
        )
