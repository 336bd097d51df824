"""Previews: stored rows as pictures, and what their log-mels sound like."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pipeline import media
from pipeline.artifact import read_artifact
from pipeline.artifact.exporters._instances import make_keys
from pipeline.artifact.pictures import PICTURES
from pipeline.artifact.sounds import MODALITY, encode_wav, reconstruct_waveforms
from pipeline.core.files import create_folder
from pipeline.media.logmel import LogMel

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from torch import Tensor

    from pipeline.core.records import SyntheticSet

# Rows that are made to sound at once; bounds memory.
CHUNK = 16


@dataclass(frozen=True, kw_only=True)
class Exporter:
    """`logmel`: what the log-mels were made with, so that they can be heard."""

    logmel: LogMel

    def write(self, artifact: Path, out: Path) -> str:
        """Write a folder of `<label>_<n>.<modality>.png` and `<label>_<n>.wav`, one of each for every stored row.

        A formed row shows its whole grid, and plays its pieces one after another. There is no sound without log-mels, or where
        their windows do not overlap.
        """
        synthetic = read_artifact(artifact).synthetic
        names = make_keys(synthetic.label.tolist())
        with create_folder(out) as part:
            for modality in sorted(synthetic.rows.keys() & PICTURES.keys()):
                _, drawn = PICTURES[modality]
                for name, row in zip(names, synthetic.rows[modality], strict=True):
                    picture = media.encode_png(drawn(row, synthetic.normalisation[modality]))
                    (part / f"{name}.{modality}.png").write_bytes(picture)
            for name, sound in zip(
                names, self._reconstruct_sounds(synthetic, str(artifact)), strict=False
            ):
                (part / f"{name}.wav").write_bytes(encode_wav(sound.numpy(), self.logmel.rate))
            return f"{out}  {len(names)} stored rows, {len(list(part.iterdir()))} files"

    def _reconstruct_sounds(self, synthetic: SyntheticSet, where: str) -> Iterator[Tensor]:
        """Of each row in turn; of none, if there is nothing to hear."""
        heard = len(synthetic.label) if MODALITY in synthetic.rows and self.logmel.invertible else 0
        for first in range(0, heard, CHUNK):
            yield from reconstruct_waveforms(
                synthetic, list(range(first, min(first + CHUNK, heard))), self.logmel, where
            )
