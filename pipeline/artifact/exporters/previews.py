"""Previews: stored rows as pictures, and an estimate of their sound."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pipeline import media
from pipeline.artifact import read_artifact
from pipeline.artifact.exporters._instances import make_keys
from pipeline.artifact.pictures import PICTURES
from pipeline.artifact.schema import PREPROCESSING_PARAMS
from pipeline.artifact.sounds import MODALITY, encode_wav, reconstruct_waveforms
from pipeline.core.files import create_folder
from pipeline.core.params import build
from pipeline.core.paths import list_folder
from pipeline.media.logmel import LogMel

if TYPE_CHECKING:
    from collections.abc import Iterator

    from torch import Tensor

    from pipeline.core.paths import AnyPath
    from pipeline.core.records import SyntheticSet

# Rows whose sound is estimated at once; bounds memory.
CHUNK = 16


@dataclass(frozen=True, kw_only=True)
class Exporter:
    """Previews of an artifact.

    Args:
        logmel: the parameters that the log-mels were made with, from which sound is estimated;
            those that the artifact holds count before these.
    """

    logmel: LogMel

    def write(self, artifact: AnyPath, out: AnyPath) -> str:
        """Write `<label>_<n>.<modality>.png` and `<label>_<n>.wav` for every stored row.

        A picture shows a row's whole grid; the sound plays its pieces one after another. There is
        no sound without log-mels, or if their windows do not overlap.

        Args:
            artifact: the .h5 file.
            out: the new folder.
        """
        content = read_artifact(artifact)
        synthetic, held = content.synthetic, content.about.get(PREPROCESSING_PARAMS, {})
        logmel = build(LogMel, held[MODALITY], str(artifact)) if MODALITY in held else self.logmel
        names = make_keys(synthetic.label.tolist())
        with create_folder(out) as part:
            for modality in sorted(synthetic.rows.keys() & PICTURES.keys()):
                _, draw = PICTURES[modality]
                for name, row in zip(names, synthetic.rows[modality], strict=True):
                    picture = media.encode_png(draw(row, synthetic.normalisation[modality]))
                    (part / f"{name}.{modality}.png").write_bytes(picture)
            sounds = _reconstruct_sounds(synthetic, logmel, str(artifact))
            for name, sound in zip(names, sounds, strict=False):
                (part / f"{name}.wav").write_bytes(encode_wav(sound.numpy(), logmel.rate))
            return f"{out}  {len(names)} stored rows, {len(list_folder(part))} files"


def _reconstruct_sounds(synthetic: SyntheticSet, logmel: LogMel, where: str) -> Iterator[Tensor]:
    """Yield the sound of each row, or nothing if the set has none."""
    if MODALITY not in synthetic.rows or not logmel.invertible:
        return
    count = len(synthetic.label)
    for first in range(0, count, CHUNK):
        index = list(range(first, min(first + CHUNK, count)))
        yield from reconstruct_waveforms(synthetic, index, logmel, where)
