"""Stored instances as pictures: frames in their colours, log-mels through a colour map, as PNG data URIs."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from pipeline import formation, media
from pipeline.artifact import read_artifact

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from torch import Tensor

    from pipeline.records import Normalisation

# Five stops of viridis, dark to bright.
VIRIDIS = np.array([(68, 1, 84), (59, 82, 139), (33, 145, 140), (94, 201, 98), (253, 231, 37)], dtype=np.float64)
# Log-mels are drawn over this many standard deviations to either side of the training split's mean: one scale for a whole dataset.
SPREAD = 2.0


@dataclass(frozen=True, kw_only=True)
class Shown:
    """One modality of one stored instance: what it is called, its PNG as a data URI, and its size in pixels."""

    name: str
    uri: str
    width: int
    height: int


@dataclass(frozen=True, kw_only=True)
class Gallery:
    """The first instances of each class of one artifact; `pieces`: training instances that a stored one is split into."""

    instances: dict[str, list[list[Shown]]]
    pieces: int


def gallery(artifact: Path, most: int) -> Gallery:
    """Class -> its first `most` stored instances -> one picture per modality."""
    synthetic = read_artifact(artifact)
    shown = {modality: rows for modality, rows in synthetic.rows.items() if modality in PICTURES}
    instances = {
        name: [
            [_shown(modality, rows[i], synthetic.normalisation[modality]) for modality, rows in shown.items()]
            for i in (synthetic.label == label).nonzero().flatten()[:most].tolist()
        ]
        for label, name in enumerate(synthetic.classes)
    }
    return Gallery(instances=instances, pieces=formation.pieces(synthetic.formation))


def _shown(modality: str, stored: Tensor, normalisation: Normalisation) -> Shown:
    name, drawn = PICTURES[modality]
    rgb = drawn(stored, normalisation)
    uri = f"data:image/png;base64,{base64.b64encode(media.png(rgb)).decode()}"
    return Shown(name=name, uri=uri, width=rgb.shape[1], height=rgb.shape[0])


def _frames(stored: Tensor, normalisation: Normalisation) -> np.ndarray:
    """[T, 3, H, W] -> u8 [H, T * W, 3], one moment beside the other."""
    raw = normalisation.undo(stored).round().clamp(0, 255).byte().numpy()
    return np.concatenate(list(raw.transpose(0, 2, 3, 1)), axis=1)


def _logmel(stored: Tensor, normalisation: Normalisation) -> np.ndarray:
    """[1, M, F], which is standardised already, -> u8 [M, F, 3] with low frequencies at the bottom."""
    place = ((stored[0].flip(0) / SPREAD).clamp(-1, 1).numpy() + 1) / 2
    stops = np.linspace(0, 1, len(VIRIDIS))
    return np.stack([np.interp(place, stops, channel) for channel in VIRIDIS.T], axis=-1).round().astype(np.uint8)


# modality -> what it is called, and how it becomes a picture
PICTURES: dict[str, tuple[str, Callable[[Tensor, Normalisation], np.ndarray]]] = {
    "frame": ("frame", _frames),
    "logmel": ("log-mel", _logmel),
}
