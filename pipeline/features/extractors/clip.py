"""Frames as CLIP sees them (Radford et al., ICML 2021): unit vectors of a pretrained image encoder.

A frame is resized so that its shorter side is the encoder's, bicubic and antialiased, cropped in the middle, and normalised with
the image processor's constants. A sample's vector is the mean direction of its T frames, itself of length 1.
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
        """frame u8 [N, T, 3, H, W] -> frame float32 [N, D]."""
        frames = rows_of(real, "frame")
        model = _transformers.load_model("CLIPModel", self.model, self.revision, device)
        constants = _transformers.read_image_constants(self.model, self.revision)
        side = model.config.vision_config.image_size

        def encode(index: slice) -> dict[str, Tensor]:
            some = frames[index].to(device)
            seen = preprocess_frames(
                some.flatten(0, 1),
                side,
                constants["rescale_factor"],
                constants["image_mean"],
                constants["image_std"],
            )
            each = _transformers.normalise(model.get_image_features(pixel_values=seen))
            return {"frame": F.normalize(each.view(*some.shape[:2], -1).mean(1), dim=-1)}

        source = build_origin(real, "clip", self, tensors.digest(model.state_dict()))
        return embed_in_batches(real, encode, source, self.batch, parts, report)

    def embed_texts(self, sentences: Sequence[str], device: torch.device) -> tuple[np.ndarray, str]:
        """Sentences -> float32 [n, D] of the text tower, and the digest of the model's weights, both towers'."""
        model = _transformers.load_model("CLIPModel", self.model, self.revision, device)
        read = _transformers.embed_sentences(
            model, self.model, self.revision, sentences, self.batch
        )
        return read.numpy(), tensors.digest(model.state_dict())


def preprocess_frames(
    raw: Tensor, side: int, scale: float, mean: Sequence[float], std: Sequence[float]
) -> Tensor:
    """u8 [B, 3, H, W] -> float32 [B, 3, side, side] as the encoder wants it."""
    height, width = raw.shape[-2:]
    shorter = min(height, width)
    shape = (height * side // shorter, width * side // shorter)
    # Rounded, for an 8-bit picture is what the encoder was trained on.
    resized = (
        F.interpolate(raw.float(), shape, mode="bicubic", antialias=True).clamp(0, 255).round()
    )
    top, left = (shape[0] - side) // 2, (shape[1] - side) // 2
    cropped = resized[..., top : top + side, left : left + side]
    return (cropped * scale - resized.new_tensor(mean)[:, None, None]) / resized.new_tensor(std)[
        :, None, None
    ]
