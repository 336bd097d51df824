"""Make samples of a clip of one's own, as the samples behind an artifact were made."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from pipeline import media
from pipeline.artifact.schema import PREPROCESSING_PARAMS
from pipeline.core.errors import ArtifactError, MediaError
from pipeline.core.records import Clip, Normalisation
from pipeline.shards.layout import move_channels_first
from pipeline.shards.preprocessing import Preprocessing

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pipeline.media import Second

# The decoder that reads every container.
BACKENDS = ("pyav",)


@dataclass(frozen=True, kw_only=True)
class ClipSamples:
    """The seconds of a clip as a network takes them.

    Args:
        rows: modality -> float32 in the artifact's normalised units, frame [n, T, 3, H, W] and
            logmel [n, 1, M, F].
        seconds: int64 [n], where each begins in the clip.
        omitted: second -> why it has no sample, e.g. that its sound is missing.
    """

    rows: dict[str, np.ndarray]
    seconds: np.ndarray
    omitted: dict[int, str]

    def __repr__(self) -> str:
        """Name the shape of each modality, and the number of seconds without a sample."""
        shapes = "".join(f"{m} {list(rows.shape)}, " for m, rows in self.rows.items())
        return f"ClipSamples({shapes}{len(self.omitted)} seconds omitted)"


def preprocess_clip(path: str, about: Mapping[str, Any]) -> ClipSamples:
    """Make a sample of every whole second of a clip; no filter is applied.

    Args:
        path: of the media file, or a URL of fsspec.
        about: the attributes of an artifact.

    Raises:
        ArtifactError: the artifact does not hold its preprocessing.
        MediaError: the clip cannot be decoded, lacks a stream, or has no whole second.

    Example:
        samples = preprocess_clip("dog.mp4", read_artifact("seed0.h5").about)
    """
    if PREPROCESSING_PARAMS not in about:
        raise ArtifactError(
            f"this artifact of format {about['format_version']} does not hold its "
            f"{PREPROCESSING_PARAMS}, so no clip can be made like its samples; ask "
            "its maker for one of format 1.1: `avdistill decode` again, then distil and export"
        )
    names = about["normalisation"]
    params = {name: about[PREPROCESSING_PARAMS][name] for name in names}
    preprocessing = Preprocessing.from_json(params, PREPROCESSING_PARAMS)
    decoded = _decode(path, preprocessing)
    omitted = {second.second: text for second in decoded if (text := _explain_gap(second))}
    kept = [second for second in decoded if second.second not in omitted]
    if not kept:
        second, text = next(iter(omitted.items()))
        raise MediaError("decode_error", f"{path}: no second has a sample; {second}: {text}")
    rows = {
        name: _normalise(
            [encode(array) for each in kept if (array := each.readings[name].array) is not None],
            Normalisation.from_json(names[name]),
        )
        for name, encode in preprocessing.encoders.items()
    }
    seconds = np.array([second.second for second in kept], dtype=np.int64)
    return ClipSamples(rows=rows, seconds=seconds, omitted=omitted)


def _decode(path: str, preprocessing: Preprocessing) -> list[Second]:
    clip = Clip(
        clip_id="clip",
        path=path,
        label="",
        split="test",
        start_s=0.0,
        end_s=None,
        group="",
        bytes=0,
        sha256="",
    )
    try:
        return media.decode(clip, preprocessing.tracks, BACKENDS)
    except MediaError as error:
        needed = " and ".join(preprocessing.encoders)
        detail = f"{error.detail}; expected a clip with {needed}, found {path}"
        raise MediaError(error.reason, detail) from error


def _explain_gap(second: Second) -> str:
    """Return why a second has no sample, "" if it has one."""
    missing = [reading for reading in second.readings.values() if reading.array is None]
    return f"{missing[0].reason}: {missing[0].detail}" if missing else ""


def _normalise(arrays: list[np.ndarray], normalisation: Normalisation) -> np.ndarray:
    raw = np.stack([np.ascontiguousarray(move_channels_first(array)) for array in arrays])
    rows: np.ndarray = normalisation.apply(torch.from_numpy(raw)).numpy()
    return rows
