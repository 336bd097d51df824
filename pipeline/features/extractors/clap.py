"""CLAP (Wu et al., ICASSP 2023): unit vectors of waves by a pretrained audio encoder.

A sample's wave is one second. The model's own feature extractor pads it to the model's length, as a
rule by repeating it. It never has to cut a wave, which it would do at a random place. It also marks
the waves that it cut, and marks one at random if there is none; here no wave is marked.
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
        model: a local folder that save_pretrained wrote, or an id on the hub.
        revision: branch, tag or commit on the hub.
        batch: samples per forward pass.
    """

    model: str
    revision: str
    batch: PositiveInt

    def embed(
        self,
        real: RealSet,
        networks: Mapping[str, NetworkPlugin],
        cache: PartialResults,
        device: torch.device,
        report: Callable[..., None],
    ) -> Features:
        """Embed waves int16 [N, 1, rate] as wave float32 [N, D]; see `FeatureExtractor.embed`.

        Raises:
            ShardError: the shards hold no waves, or of another rate than the model's.
        """
        waves = rows_of(real, "wave")
        reader = _transformers.load_feature_extractor(self.model, self.revision)
        _refuse_rate(waves.shape[-1], reader, self.model)
        model = _transformers.load_model("ClapModel", self.model, self.revision, device)

        def encode(index: slice) -> dict[str, Tensor]:
            audio = preprocess_waves(waves[index], reader).to(device)
            is_cut = torch.zeros(len(audio), 1, dtype=torch.bool, device=device)
            output = model.get_audio_features(input_features=audio, is_longer=is_cut)
            return {"wave": _transformers.normalise(output)}

        origin = build_origin(real, "clap", self, tensors.digest(model.state_dict()))
        return embed_in_batches(real, encode, origin, self.batch, cache, report)

    def embed_texts(self, sentences: Sequence[str], device: torch.device) -> tuple[np.ndarray, str]:
        """Embed sentences by the text tower; the digest is of both towers' weights."""
        model = _transformers.load_model("ClapModel", self.model, self.revision, device)
        vectors = _transformers.embed_sentences(
            model, self.model, self.revision, sentences, self.batch
        )
        return vectors.numpy(), tensors.digest(model.state_dict())


def preprocess_waves(waves: Tensor, reader: Any) -> Tensor:
    """Return the log-mels that a CLAP model takes, float32 [B, 1 or 4, F, M].

    Args:
        waves: int16 [B, 1, rate].
        reader: the model's feature extractor, see `_transformers.load_feature_extractor`.

    Example:
        preprocess_waves(real.rows["wave"][:8], reader).shape  # (8, 1, 1001, 64)
    """
    floats = waves[:, 0].double().numpy() / FULL_SCALE
    inputs = reader(list(floats), sampling_rate=reader.sampling_rate, return_tensors="pt")
    logmels: Tensor = inputs["input_features"]
    return logmels.float()


def _refuse_rate(rate: int, reader: Any, name: str) -> None:
    if rate != reader.sampling_rate:
        raise ShardError(
            f"{name} takes {reader.sampling_rate} samples a second, the shards hold {rate}; "
            f"set decode.wave.rate to {reader.sampling_rate} and run `avdistill decode` again"
        )
    if reader.nb_max_samples < rate:
        raise ShardError(
            f"{name} takes {reader.max_length_s} s, less than a sample's second; "
            "name a model that takes one or more"
        )
