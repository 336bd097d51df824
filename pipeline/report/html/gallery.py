"""Stored instances for eyes and ears: their pictures, and what a log-mel sounds like, as a page holds them."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F

from pipeline import media
from pipeline.artifact import read_artifact
from pipeline.artifact.pictures import PICTURES
from pipeline.artifact.sounds import MODALITY
from pipeline.core.errors import SourceError
from pipeline.core.tensors import load_synthetic
from pipeline.report.html.sounds import encode_sounds
from pipeline.training import formation

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

    from pipeline.core.records import Normalisation, SyntheticSet
    from pipeline.media.logmel import LogMel
    from pipeline.report.read.results import CellResult

# Pictures are shown 64 pixels high, so none is stored higher: this bounds the page, whatever the frames are.
HIGHEST = 64
# Classes that are shown of a soft label.
LIKELIEST = 2


@dataclass(frozen=True, kw_only=True)
class GalleryImage:
    """One modality of one stored instance: what it is called, its PNG as a data URI, and its pixels."""

    name: str
    uri: str
    width: int
    height: int


@dataclass(frozen=True, kw_only=True)
class GalleryInstance:
    """One stored instance: its pictures, what soft labels take them for, its sound as a data URI if it has one, and its start."""

    pictures: list[GalleryImage]
    taken: list[str]
    sound: str | None
    start: GalleryInstance | None


@dataclass(frozen=True, kw_only=True)
class Gallery:
    """The first instances of each class of one artifact; `pieces`: training instances that a stored one is split into."""

    instances: dict[str, list[GalleryInstance]]
    pieces: int

    @property
    def sound_count(self) -> int:
        """How many there are, those of the starts included."""
        shown = [one for own in self.instances.values() for one in own]
        return sum(s.sound is not None for one in shown for s in (one, one.start) if s)


def build_gallery(cell: CellResult, most: int, settings: LogMel | None) -> Gallery:
    """Class -> its first `most` stored instances; `settings` are those of the log-mels, None for no sound."""
    synthetic = read_artifact(cell.published).synthetic
    of = {
        c: (synthetic.label == c).nonzero().flatten()[:most].tolist()
        for c in range(len(synthetic.classes))
    }
    index = [i for own in of.values() for i in own]
    starts: list[GalleryInstance | None] = [None] * len(index)
    if cell.start is not None and index:
        start = load_synthetic(cell.start)
        shapes = [{m: rows.shape for m, rows in one.rows.items()} for one in (start, synthetic)]
        if shapes[0] != shapes[1] or not torch.equal(start.label, synthetic.label):
            raise SourceError(
                f"{cell.start} is not what {cell.published} started from; remove {cell.folder} and run the cell again"
            )
        starts = [*_build_instances(start, index, settings, str(cell.start), starts)]
    shown = iter(_build_instances(synthetic, index, settings, str(cell.published), starts))
    instances = {synthetic.classes[c]: [next(shown) for _ in own] for c, own in of.items()}
    return Gallery(instances=instances, pieces=formation.count_pieces(synthetic.formation))


def _build_instances(
    synthetic: SyntheticSet,
    index: list[int],
    settings: LogMel | None,
    where: str,
    starts: list[GalleryInstance | None],
) -> list[GalleryInstance]:
    modalities = [modality for modality in synthetic.rows if modality in PICTURES]
    heard: Sequence[str | None] = [None] * len(index)
    if settings is not None and settings.invertible and MODALITY in synthetic.rows:
        heard = encode_sounds(synthetic, index, settings, where)
    pictures = [
        [
            _draw_picture(modality, synthetic.rows[modality][i], synthetic.normalisation[modality])
            for modality in modalities
        ]
        for i in index
    ]
    taken = [_describe_soft_labels(synthetic, i, modalities) for i in index]
    return [
        GalleryInstance(pictures=p, taken=t, sound=s, start=start)
        for p, t, s, start in zip(pictures, taken, heard, starts, strict=True)
    ]


def _describe_soft_labels(synthetic: SyntheticSet, i: int, modalities: list[str]) -> list[str]:
    """Of each modality with soft labels its likeliest classes, the mean over the instance's pieces."""
    told = []
    for modality in modalities:
        if modality in synthetic.soft_label:
            share, best = (
                synthetic.soft_label[modality][i]
                .mean(0)
                .topk(min(LIKELIEST, len(synthetic.classes)))
            )
            named = (
                f"{synthetic.classes[c]} {100 * p:.0f} %"
                for p, c in zip(share.tolist(), best.tolist(), strict=True)
            )
            told.append(f"{PICTURES[modality][0]}: {', '.join(named)}")
    return told


def _draw_picture(modality: str, stored: Tensor, normalisation: Normalisation) -> GalleryImage:
    name, drawn = PICTURES[modality]
    rgb = drawn(_shrink(stored), normalisation)
    uri = f"data:image/png;base64,{base64.b64encode(media.encode_png(rgb)).decode()}"
    return GalleryImage(name=name, uri=uri, width=rgb.shape[1], height=rgb.shape[0])


def _shrink(stored: Tensor) -> Tensor:
    """[..., H, W], averaged down to HIGHEST rows where it has more."""
    high, wide = stored.shape[-2:]
    if high <= HIGHEST:
        return stored
    lower = (HIGHEST, max(round(wide * HIGHEST / high), 1))
    return F.interpolate(stored.flatten(0, -3)[None], lower, mode="area")[0].reshape(
        *stored.shape[:-2], *lower
    )
