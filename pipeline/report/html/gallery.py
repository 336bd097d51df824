"""Stored instances as a page holds them: pictures, and sounds made from log-mels."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F

from pipeline import media
from pipeline.artifact import read_artifact
from pipeline.artifact.pictures import PICTURES
from pipeline.artifact.sounds import MODALITY, reconstruct_waveforms
from pipeline.core.errors import SourceError
from pipeline.core.tensors import load_synthetic
from pipeline.training import formation

if TYPE_CHECKING:
    from torch import Tensor

    from pipeline.core.records import Normalisation, SyntheticSet
    from pipeline.media.logmel import LogMel
    from pipeline.report.read.results import CellResult

# Pictures are shown 64 pixels high, so none is stored higher: this bounds the page.
MAX_HEIGHT = 64
# Classes of a soft label that are shown.
LIKELIEST = 2


@dataclass(frozen=True, kw_only=True)
class GalleryImage:
    """One modality of one stored instance: its name, its PNG as a data URI, and its pixels."""

    name: str
    uri: str
    width: int
    height: int


@dataclass(frozen=True, kw_only=True)
class GalleryInstance:
    """One stored instance.

    Args:
        pictures: one per modality.
        soft_labels: the likeliest classes, one text per modality with soft labels.
        sound: an MP3 as a data URI, None without one.
        start: the initial instance, None where nothing is optimised.
    """

    pictures: list[GalleryImage]
    soft_labels: list[str]
    sound: str | None
    start: GalleryInstance | None


@dataclass(frozen=True, kw_only=True)
class Gallery:
    """Stored instances of one artifact.

    Args:
        instances: class -> its first instances.
        pieces: training instances that a stored one is split into.
    """

    instances: dict[str, list[GalleryInstance]]
    pieces: int

    @property
    def shown(self) -> list[GalleryInstance]:
        """All instances."""
        return [instance for instances in self.instances.values() for instance in instances]

    @property
    def sound_count(self) -> int:
        """Sounds, those of the starts included."""
        both = [x for instance in self.shown for x in (instance, instance.start) if x]
        return sum(x.sound is not None for x in both)


def build_gallery(cell: CellResult, count: int, settings: LogMel | None) -> Gallery:
    """Return the first stored instances of each class.

    Args:
        cell: whose first artifact is read.
        count: instances per class.
        settings: of the log-mels, None for no sound.

    Raises:
        SourceError: the initial instances do not belong to the artifact.
    """
    synthetic = read_artifact(cell.published).synthetic
    rows = {
        name: (synthetic.label == c).nonzero().flatten()[:count].tolist()
        for c, name in enumerate(synthetic.classes)
    }
    index = [i for of_class in rows.values() for i in of_class]
    starts: list[GalleryInstance | None] = [None] * len(index)
    if cell.start is not None and index:
        start = load_synthetic(cell.start)
        shapes = [{m: x.shape for m, x in one.rows.items()} for one in (start, synthetic)]
        if shapes[0] != shapes[1] or not torch.equal(start.label, synthetic.label):
            raise SourceError(
                f"{cell.start} does not hold the initial instances of {cell.published}; "
                f"remove {cell.folder} and run the cell again"
            )
        starts = [*_build_instances(start, index, settings, str(cell.start), starts)]
    instances = iter(_build_instances(synthetic, index, settings, str(cell.published), starts))
    return Gallery(
        instances={name: [next(instances) for _ in of_class] for name, of_class in rows.items()},
        pieces=formation.count_pieces(synthetic.formation),
    )


def _build_instances(
    synthetic: SyntheticSet,
    index: list[int],
    settings: LogMel | None,
    where: str,
    starts: list[GalleryInstance | None],
) -> list[GalleryInstance]:
    modalities = [modality for modality in synthetic.rows if modality in PICTURES]
    sounds: list[str | None] = [None] * len(index)
    if index and settings is not None and settings.invertible and MODALITY in synthetic.rows:
        waveforms = reconstruct_waveforms(synthetic, index, settings, where).numpy()
        mp3 = (media.encode_mp3(waveform, settings.rate) for waveform in waveforms)
        sounds = [_make_uri("audio/mpeg", sound) for sound in mp3]
    return [
        GalleryInstance(
            pictures=[
                _draw_picture(m, synthetic.rows[m][i], synthetic.normalisation[m])
                for m in modalities
            ],
            soft_labels=_describe_soft_labels(synthetic, i, modalities),
            sound=sound,
            start=start,
        )
        for i, sound, start in zip(index, sounds, starts, strict=True)
    ]


def _describe_soft_labels(synthetic: SyntheticSet, i: int, modalities: list[str]) -> list[str]:
    """Return "frame: class 75 %; class 25 %" per modality: the mean over an instance's pieces."""
    texts = []
    for modality in (m for m in modalities if m in synthetic.soft_label):
        mean = synthetic.soft_label[modality][i].mean(0)
        values, labels = (x.tolist() for x in mean.topk(min(LIKELIEST, len(synthetic.classes))))
        classes = [
            f"{synthetic.classes[label]} {100 * value:.0f} %"
            for value, label in zip(values, labels, strict=True)
        ]
        texts.append(f"{PICTURES[modality][0]}: {'; '.join(classes)}")
    return texts


def _draw_picture(modality: str, stored: Tensor, normalisation: Normalisation) -> GalleryImage:
    name, draw = PICTURES[modality]
    rgb = draw(_shrink(stored), normalisation)
    uri = _make_uri("image/png", media.encode_png(rgb))
    return GalleryImage(name=name, uri=uri, width=rgb.shape[1], height=rgb.shape[0])


def _shrink(stored: Tensor) -> Tensor:
    """Average [..., H, W] down to MAX_HEIGHT rows where it has more."""
    high, wide = stored.shape[-2:]
    if high <= MAX_HEIGHT:
        return stored
    lower = (MAX_HEIGHT, max(round(wide * MAX_HEIGHT / high), 1))
    flat = F.interpolate(stored.flatten(0, -3)[None], lower, mode="area")[0]
    return flat.reshape(*stored.shape[:-2], *lower)


def _make_uri(kind: str, content: bytes) -> str:
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"
