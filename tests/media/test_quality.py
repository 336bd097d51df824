"""Quality: what a window is like, and hashes that survive what a copy does to it."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.media import quality

RATE = 16000


def scene(seed: int, side: int = 64) -> np.ndarray:
    """A frame u8 [side, side, 3] of smooth blobs."""
    numbers = np.random.default_rng(seed)
    y, x = np.mgrid[0 : 1 : side * 1j, 0 : 1 : side * 1j]
    waves = sum(
        np.sin(2 * np.pi * (a * x + b * y) + c) for a, b, c in numbers.uniform(-3, 3, (6, 3))
    )
    return np.uint8(np.repeat(np.clip(128 + 30 * waves, 0, 255)[..., None], 3, axis=2))


def tune(seed: int) -> np.ndarray:
    """A second float32 [RATE] of tones that come and go."""
    numbers, time = np.random.default_rng(seed), np.arange(RATE) / RATE
    tones = [
        np.sin(2 * np.pi * f * time) * np.sin(np.pi * r * time) ** 2
        for f, r in numbers.uniform((150, 1), (3500, 9), (8, 2))
    ]
    return np.float32(0.1 * sum(tones) + 0.001 * numbers.standard_normal(RATE))


def bits(one: str, other: str) -> int:
    return int(
        quality.distances(*(np.array([int(text, 16)], dtype=np.uint64) for text in (one, other)))[
            0, 0
        ]
    )


@given(level=st.floats(0.01, 1.0))
def test_level_and_peak_are_those_of_a_sine(level: float) -> None:
    wave = np.float32(level * np.sin(2 * np.pi * 1000 * np.arange(RATE) / RATE))
    measured = quality.measure_sound(wave)
    assert measured["rms_db"] == pytest.approx(20 * np.log10(level) - 10 * np.log10(2), abs=0.02)
    assert measured["peak"] == pytest.approx(level, abs=1e-3)


def test_silence_is_as_quiet_as_it_gets_and_has_no_hash() -> None:
    assert quality.measure_sound(np.zeros(RATE, np.float32)) == {
        "rms_db": -120.0,
        "peak": 0.0,
        "clipped": 0.0,
        "sound_hash": "",
    }


def test_clipping_is_the_share_of_full_samples() -> None:
    wave = np.zeros(RATE, np.float32)
    wave[: RATE // 4] = 1
    assert quality.measure_sound(wave)["clipped"] == 0.25


def test_a_flat_picture_has_no_hash() -> None:
    measured = quality.measure_picture(np.full((16, 16, 3), 7, np.uint8), None)
    assert measured == {"luma": 7.0, "contrast": 0.0, "frame_hash": ""}


def test_motion_is_the_mean_change_of_light() -> None:
    dark, light = (np.full((8, 8, 3), value, np.uint8) for value in (10, 30))
    assert quality.measure_picture(dark, light)["motion"] == pytest.approx(20, abs=1e-3)
    assert quality.measure_picture(dark, dark)["motion"] == 0


@given(seed=st.integers(0, 200), gain=st.floats(0.3, 1.0), noise=st.integers(0, 3))
def test_a_copy_is_near_and_another_is_far(seed: int, gain: float, noise: int) -> None:
    """Few bits differ for a scene darker, noisier or larger and a softer tune; many for others."""
    numbers = np.random.default_rng(seed)
    frame, wave = scene(seed), tune(seed)
    copy = np.uint8(np.clip(gain * scene(seed, 96) + numbers.normal(0, noise, (96, 96, 3)), 0, 255))
    one, same, other = (
        quality.measure_picture(picture, None)["frame_hash"]
        for picture in (frame, copy, scene(seed + 1))
    )
    assert bits(one, same) <= 8 < bits(one, other)
    one, same, other = (
        quality.measure_sound(sound)["sound_hash"]
        for sound in (wave, np.float32(gain * wave), tune(seed + 1))
    )
    assert bits(one, same) <= 3 < bits(one, other)


@pytest.mark.parametrize("shape", [(1, 1), (3, 200), (8, 9), (224, 224)])
def test_pictures_of_any_shape_have_a_hash_or_none(shape: tuple[int, int]) -> None:
    frame = np.random.default_rng(0).integers(0, 256, (*shape, 3), dtype=np.uint8)
    assert len(quality.measure_picture(frame, frame)["frame_hash"]) in (0, 16)


@pytest.mark.parametrize("rate", [400, 8000, 11000, 96000])
def test_sounds_of_any_rate_have_a_hash_or_none(rate: int) -> None:
    wave = np.float32(np.random.default_rng(0).uniform(-0.5, 0.5, rate))
    assert len(quality.measure_sound(wave)["sound_hash"]) == (0 if rate < 1000 else 16)


@pytest.mark.parametrize(
    ("measured", "reason"),
    [
        ({"luma": 2.0, "motion": 9.0, "rms_db": -20.0, "clipped": 0.0}, "black"),
        ({"luma": 90.0, "motion": 0.1, "rms_db": -90.0, "clipped": 0.0}, "still"),
        ({"luma": 90.0, "motion": 9.0, "rms_db": -90.0, "clipped": 0.0}, "silent"),
        ({"luma": 90.0, "motion": 9.0, "rms_db": -1.0, "clipped": 0.5}, "clipping"),
        ({"luma": 90.0, "motion": 9.0, "rms_db": -20.0, "clipped": 0.0}, ""),
        ({"rms_db": -20.0, "clipped": 0.0}, ""),
    ],
)
def test_the_first_filter_that_fits_is_the_reason(measured: dict[str, float], reason: str) -> None:
    thresholds = {"black": 8.0, "still": 0.5, "silent": -60.0, "clipping": 0.05}
    assert quality.apply_filters(measured, thresholds)[0] == reason
    assert quality.apply_filters(measured, {}) == ("", "")
