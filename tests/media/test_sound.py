"""A log-mel back to a waveform, and a waveform to MP3: an estimate, the same every time."""

from __future__ import annotations

import io

import av
import numpy as np
import pytest
import torch

from pipeline.media import encode_mp3
from pipeline.media.logmel import PEAK, LogMel

SMALL = LogMel(rate=16000, n_fft=1024, hop=516, n_mels=32, f_min=20.0, f_max=8000.0, floor_db=-60.0)
# The published setting: one of its mel bins is empty, so its filter bank has no full rank.
AVDD = LogMel(rate=11000, n_fft=400, hop=200, n_mels=128, f_min=0.0, f_max=5500.0, floor_db=-100.0)


def tone(rate: int, hertz: float) -> np.ndarray:
    return (0.3 * np.sin(2 * np.pi * hertz * np.arange(rate) / rate)).astype(np.float32)


@pytest.mark.parametrize("settings", [SMALL, AVDD])
def test_a_tone_comes_back_at_its_pitch(settings: LogMel) -> None:
    decibels = torch.from_numpy(settings(tone(settings.rate, 1000.0)).astype(np.float32))
    assert tuple(decibels.shape) == settings.shape
    (sound,) = settings.invert(decibels[None])
    loudest = sound.numpy()
    pitch = np.abs(np.fft.rfft(loudest)).argmax()  # one second, so bins are hertz
    assert len(sound) == settings.rate
    assert abs(pitch - 1000) < 120


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf"), 1e30, -1e30, 0.0])
def test_any_input_gives_a_finite_sound_within_the_peak(value: float) -> None:
    decibels = torch.full((2, *SMALL.shape), -20.0)
    decibels[1] = value
    sound = SMALL.invert(decibels)
    assert sound.shape == (2, SMALL.rate)
    assert torch.isfinite(sound).all() and sound.abs().max() <= PEAK + 1e-6


def test_the_floor_is_silence() -> None:
    assert not SMALL.invert(torch.full((1, *SMALL.shape), SMALL.floor_db)).any()


def test_same_log_mel_same_sound_same_bytes() -> None:
    decibels = torch.randn(3, *SMALL.shape, generator=torch.Generator().manual_seed(0)) * 10 - 30
    first, second = SMALL.invert(decibels), SMALL.invert(decibels)
    assert torch.equal(first, second)
    assert encode_mp3(first[0].numpy(), SMALL.rate) == encode_mp3(second[0].numpy(), SMALL.rate)


@pytest.mark.parametrize("rate", [8000, 11000, 16000, 44100, 96000])
def test_mp3_keeps_the_duration_and_is_small(rate: int) -> None:
    encoded = encode_mp3(tone(rate, 440.0), rate)
    with av.open(io.BytesIO(encoded)) as container:
        samples = sum(frame.samples for frame in container.decode(audio=0))
        played = container.streams.audio[0].rate
    assert samples / played == pytest.approx(
        1.0, abs=0.08
    )  # a decoder that ignores the header adds whole packets
    assert len(encoded) < 10_000


def test_windows_that_leave_gaps_cannot_be_undone() -> None:
    gaps = LogMel(
        rate=16000, n_fft=400, hop=400, n_mels=32, f_min=0.0, f_max=8000.0, floor_db=-60.0
    )
    assert SMALL.invertible and not gaps.invertible
