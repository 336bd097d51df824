"""The published settings against the published commands: ffmpeg, and torchaudio for the log-mel.

The fixtures hold the output of those commands. The measured tolerances stand here and in
docs/reference/media.md.
"""

from __future__ import annotations

import shutil
import subprocess
from fractions import Fraction
from functools import cache
from typing import TYPE_CHECKING, Any

import av
import numpy as np
import pytest
import torch
from torchaudio.transforms import AmplitudeToDB, MelSpectrogram

from pipeline import media
from pipeline.core import params
from pipeline.shards.settings import DecodeSettings
from tests.toys.decoding import clip_of
from tests.toys.project import PARAMS, REAL_DATA, ROOT

if TYPE_CHECKING:
    from pathlib import Path

PRESETS = ["ave", "music21", "vggs10k", "vggsound"]
RATE, SECONDS = 44100, 2
needs_ffmpeg = pytest.mark.skipif(
    shutil.which("ffmpeg") is None,
    reason="the published commands need ffmpeg, which is not installed",
)
# Of 255: JPEG at ffmpeg's quality, and a scaler that works on luma and chroma instead of RGB.
PIXELS = 2.0
# Decibels, over bins above HEARD dB: below it the published 16-bit samples are noise. The columns
# at either edge are left out: the published resampler starts there without a past.
DECIBELS, EDGE, HEARD = 0.03, 3, -40.0


@pytest.fixture(scope="module")
def avdd() -> DecodeSettings:
    return params.load(ROOT / "presets" / "ave.yaml").build("decode", DecodeSettings)


@cache
def numbered(number: int) -> np.ndarray:
    """A wide smooth picture that moves, with its number as eight bars."""
    y, x = np.mgrid[0:240, 0:320]
    rgb = np.stack(
        [
            128 + 90 * np.sin((x + 4 * number) / 31),
            128 + 90 * np.cos(y / 23),
            128 + 60 * np.sin((x + y) / 47),
        ],
        -1,
    )
    rgb[200:] = np.repeat([30 + 190 * (number >> bit & 1) for bit in range(8)], 40)[:, None]
    return rgb.astype(np.uint8)


def number_in(rgb: np.ndarray) -> int:
    bars = rgb[195:220].mean((0, 2)).reshape(8, -1)[:, 6:-6].mean(1)
    return int((bars > 125) @ (1 << np.arange(8)))


def filmed(path: Path, fps: Fraction, channels: int, codec: str) -> Path:
    """A clip with a chirp on the left, a chord on the right."""
    time = np.arange(SECONDS * RATE) / RATE
    left = (
        0.2
        * np.sin(2 * np.pi * (300 * time + 200 * time**2))
        * (1.2 + np.sin(2 * np.pi * 3 * time))
        / 2
    )
    right = sum(0.08 * np.sin(2 * np.pi * pitch * time) for pitch in (440, 1100, 2500, 4100))
    samples = (32767 * np.stack([left, right])[:channels]).astype(np.int16)
    with av.open(str(path), "w") as container:
        video: Any = container.add_stream(
            "libx264", rate=fps, options={"threads": "1", "crf": "18"}
        )
        video.width, video.height, video.pix_fmt = 320, 240, "yuv420p"
        audio: Any = container.add_stream(codec, rate=RATE, layout=["mono", "stereo"][channels - 1])
        for number in range(int(SECONDS * fps)):
            frame = av.VideoFrame.from_ndarray(numbered(number), format="rgb24")
            frame.pts, frame.time_base = number, 1 / fps
            container.mux(video.encode(frame))
        sound = av.AudioFrame.from_ndarray(
            np.ascontiguousarray(samples.T.reshape(1, -1)), format="s16", layout=audio.layout.name
        )
        sound.rate, sound.pts, sound.time_base = RATE, 0, Fraction(1, RATE)
        container.mux([*audio.encode(sound), *video.encode(None), *audio.encode(None)])
    return path


def published_frame(path: Path, second: int, folder: Path) -> np.ndarray:
    """The picture that the published command calls 04."""
    cut = ["ffmpeg", "-y", "-v", "error", "-ss", str(second), "-t", "1", "-i", str(path)]
    subprocess.run([*cut, "-vf", "fps=8,scale=224:224", str(folder / "%02d.jpg")], check=True)
    with av.open(str(folder / "04.jpg")) as container:
        return next(container.decode(video=0)).to_ndarray(format="rgb24")


def published_logmel(path: Path, second: int, folder: Path) -> np.ndarray:
    """11 kHz stereo of 16 bits, averaged, padded or cut to a second, with torchaudio's defaults."""
    cut = ["ffmpeg", "-y", "-v", "error", "-ss", str(second), "-t", "1", "-i", str(path)]
    subprocess.run(
        [*cut, "-vn", "-acodec", "pcm_s16le", "-ar", "11000", "-ac", "2", str(folder / "o.wav")],
        check=True,
    )
    with av.open(str(folder / "o.wav")) as container:
        pieces = [frame.to_ndarray().reshape(-1, 2) for frame in container.decode(audio=0)]
    wave = torch.from_numpy(np.concatenate(pieces).astype(np.float32) / 32768).mean(1)
    wave = torch.nn.functional.pad(wave, (0, max(0, 11000 - len(wave))))[:11000]
    with pytest.warns(UserWarning, match="all zero values"):
        mel = MelSpectrogram(11000)
    return AmplitudeToDB()(mel(wave)).numpy()


def ours(
    path: Path, avdd: DecodeSettings, second: int, backend: str
) -> tuple[np.ndarray, np.ndarray]:
    readings = media.decode(clip_of(path), avdd.tracks, [backend])[second].readings
    frame, wave = readings["frame"].array, readings["logmel"].array
    assert frame is not None and wave is not None
    return frame[0], avdd.logmel(wave).astype(np.float32)


def apart(one: np.ndarray, other: np.ndarray) -> float:
    """Mean difference in dB over bins that are heard, away from the second's edges."""
    inner = (slice(None), slice(EDGE, -EDGE))
    heard = np.maximum(one, other)[inner] > HEARD
    return float(np.abs(one - other)[inner][heard].mean())


@needs_ffmpeg
@pytest.mark.parametrize("backend", sorted(media.BACKENDS))
@pytest.mark.parametrize("fps", [Fraction(25), Fraction(30000, 1001), Fraction(12)], ids=str)
def test_the_frame_is_the_published_one(
    tmp_path: Path, avdd: DecodeSettings, fps: Fraction, backend: str
) -> None:
    path = filmed(tmp_path / "clip.mov", fps, 2, "pcm_s16le")
    for second in range(SECONDS):
        frame, _ = ours(path, avdd, second, backend)
        reference = published_frame(path, second, tmp_path)
        assert number_in(frame) == number_in(reference)
        assert np.abs(frame.astype(float) - reference).mean() < PIXELS


@needs_ffmpeg
@pytest.mark.parametrize("backend", sorted(media.BACKENDS))
@pytest.mark.parametrize(("codec", "suffix"), [("pcm_s16le", "mov"), ("aac", "mp4")])
def test_the_logmel_is_the_published_one(
    tmp_path: Path, avdd: DecodeSettings, backend: str, codec: str, suffix: str
) -> None:
    path = filmed(tmp_path / f"clip.{suffix}", Fraction(25), 2, codec)
    for second in range(SECONDS):
        _, logmel = ours(path, avdd, second, backend)
        reference = published_logmel(path, second, tmp_path)
        assert logmel.shape == reference.shape == (128, 56)
        assert apart(logmel, reference) < DECIBELS


@needs_ffmpeg
def test_one_channel_is_three_decibels_louder_than_published(
    tmp_path: Path, avdd: DecodeSettings
) -> None:
    path = filmed(tmp_path / "clip.mov", Fraction(25), 1, "pcm_s16le")
    _, logmel = ours(path, avdd, 1, "decord")
    reference = published_logmel(path, 1, tmp_path)
    assert apart(logmel, reference + 10 * np.log10(2)) < DECIBELS


def test_the_clean_preset_has_no_empty_mel_bin_and_keeps_the_aspect() -> None:
    clean = params.load(PARAMS).build("decode", DecodeSettings)
    assert clean.frame.crop
    assert (clean.logmel._mel.mel_scale.fb.sum(0) > 0).all()


@pytest.mark.parametrize("preset", PRESETS)
def test_every_published_preset_decodes_alike(preset: str, avdd: DecodeSettings) -> None:
    decode = params.load(ROOT / "presets" / f"{preset}.yaml").build("decode", DecodeSettings)
    assert (decode.frame, decode.logmel, decode.modalities) == (
        avdd.frame,
        avdd.logmel,
        avdd.modalities,
    )


def test_without_ffmpeg_the_published_rule_is_held_by_numbers(
    tmp_path: Path, avdd: DecodeSettings
) -> None:
    # At 8 frames a second, rounded to the nearest, number 04 is the last frame before s + 3.5 / 8.
    for fps in (Fraction(25), Fraction(30), Fraction(30000, 1001), Fraction(12), Fraction(50)):
        path = filmed(tmp_path / "clip.mov", fps, 2, "pcm_s16le")
        frame, logmel = ours(path, avdd, 1, "pyav")
        assert number_in(frame) == max(n for n in range(200) if n / fps < 1 + Fraction(7, 16))
    with pytest.warns(UserWarning, match="all zero values"):
        reference = AmplitudeToDB()(MelSpectrogram(11000)(torch.zeros(11000)))
    assert (
        logmel.shape == reference.shape and float(reference.max()) == avdd.logmel.floor_db == -100.0
    )


@needs_ffmpeg
@pytest.mark.skipif(not REAL_DATA.exists(), reason="the real clips are not here")
def test_real_clips_are_the_published_ones(tmp_path: Path, avdd: DecodeSettings) -> None:
    for path in sorted((REAL_DATA / "esc_photo" / "test").rglob("*.mp4"))[::40]:
        frame, logmel = ours(path, avdd, 1, "pyav")
        assert np.abs(frame.astype(float) - published_frame(path, 1, tmp_path)).mean() < PIXELS
        # AAC makes up noise as it goes: a decoder that starts elsewhere makes up another.
        assert apart(logmel, published_logmel(path, 1, tmp_path) + 10 * np.log10(2)) < 10 * DECIBELS
