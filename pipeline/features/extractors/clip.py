"""CLIP (Radford et al., ICML 2021): unit vectors of frames by a pretrained image encoder.

A frame is resized to the encoder's side by its shorter one, bicubic and antialiased, cropped in the
middle, and normalised with the image processor's constants. A sample's vector is the mean of its T
frames' unit vectors, normalised to length 1.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch.nn import functional as F

from pipeline.core import tensors
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


@dataclass(frozen=True, kw_only=True)
class Extractor:
    """A CLIP model of transformers; nothing is trained.

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
        """Embed frames u8 [N, T, 3, H, W] as frame float32 [N, D]; see `FeatureExtractor.embed`."""
        frames = rows_of(real, "frame")
        model = _transformers.load_model("CLIPModel", self.model, self.revision, device)
        constants = _transformers.read_image_constants(self.model, self.revision)
        side = model.config.vision_config.image_size

        def encode(index: slice) -> dict[str, Tensor]:
            rows = frames[index].to(device)
            pixels = preprocess_frames(
                rows.flatten(0, 1),
                side,
                constants["rescale_factor"],
                constants["image_mean"],
                constants["image_std"],
            )
            vectors = _transformers.normalise(model.get_image_features(pixel_values=pixels))
            return {"frame": F.normalize(vectors.view(*rows.shape[:2], -1).mean(1), dim=-1)}

        origin = build_origin(real, "clip", self, tensors.digest(model.state_dict()))
        return embed_in_batches(real, encode, origin, self.batch, cache, report)

    def embed_texts(self, sentences: Sequence[str], device: torch.device) -> tuple[np.ndarray, str]:
        """Embed sentences by the text tower; the digest is of both towers' weights."""
        model = _transformers.load_model("CLIPModel", self.model, self.revision, device)
        vectors = _transformers.embed_sentences(
            model, self.model, self.revision, sentences, self.batch
        )
        return vectors.numpy(), tensors.digest(model.state_dict())


def preprocess_frames(
    frames: Tensor, side: int, scale: float, mean: Sequence[float], std: Sequence[float]
) -> Tensor:
    """Return the pixels that a CLIP model takes, float32 [B, 3, side, side].

    Args:
        frames: u8 [B, 3, H, W].
        side: of the encoder's pictures.
        scale: factor of the pixels, as a rule 1 / 255.
        mean: of each channel, after scaling.
        std: of each channel, after scaling.

    Example:
        preprocess_frames(frames, 224, 1 / 255, OPENAI_CLIP_MEAN, OPENAI_CLIP_STD)
    """
    height, width = frames.shape[-2:]
    shorter = min(height, width)
    shape = (height * side // shorter, width * side // shorter)
    resized = F.interpolate(frames.float(), shape, mode="bicubic", antialias=True)
    resized = resized.clamp(0, 255).round()  # the encoder was trained on 8-bit pictures
    top, left = (shape[0] - side) // 2, (shape[1] - side) // 2
    cropped = resized[..., top : top + side, left : left + side]
    means, stds = (resized.new_tensor(values)[:, None, None] for values in (mean, std))
    return (cropped * scale - means) / stds
