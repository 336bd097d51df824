"""A generated dataset: H.264 + AAC clips of eight events, each with a look and a sound.

Neither look nor sound alone separates all eight; both together do.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.random import Generator

from pipeline.core.errors import ParamsError, SourceError
from pipeline.core.files import create_folder
from pipeline.core.records import SPLITS, Clip, Source
from pipeline.datasets.adapters._tree import list_clips
from pipeline.media import write_clip

if TYPE_CHECKING:
    from pathlib import Path

SOURCE = Source(
    name="generated",
    home="pipeline/datasets/generated.py of avdistill",
    licence="CC0-1.0",
    citation="none needed: made by avdistill, with no media of others",
)
STAMP = ".generated.json"  # holds the parameters of a generated folder
Array = Any  # numpy's stubs lose an array's type at every ufunc

# Shapes: points (x, y), in radii from the centre -> distance to the outline, negative inside.


def _disc(x: Array, y: Array) -> Array:
    return np.hypot(x, y) - 1


def _ring(x: Array, y: Array) -> Array:
    return np.abs(np.hypot(x, y) - 0.9) - 0.25


def _bar(x: Array, y: Array) -> Array:
    return np.maximum(np.abs(x) - 0.35, np.abs(y) - 1.2)


def _rows(x: Array, y: Array) -> Array:
    return np.maximum(
        np.maximum(np.abs(x), np.abs(y)) - 0.95, np.abs((y + 0.95) % 0.76 - 0.19) - 0.19
    )


def _wedge(x: Array, y: Array) -> Array:
    return np.maximum(-y - 0.6, 0.87 * np.abs(x) + 0.5 * y - 0.6)


def _cog(x: Array, y: Array) -> Array:
    return np.hypot(x, y) - 0.8 - 0.3 * np.cos(6 * np.arctan2(y, x))


# Timbres: seconds since the last onset and a pitch factor -> the waveform.


def _thud(age: Array, pitch: float, rng: Generator) -> Array:
    return np.exp(-12 * age) * (
        np.sin(2 * np.pi * 110 * pitch * age) + 0.2 * make_noise(rng, len(age), -0.5)
    )


def _chime(age: Array, pitch: float, rng: Generator) -> Array:
    partials = 600 * pitch * np.array([[1], [2.76], [5.4]])  # of a free metal bar
    return np.exp(-4 * age) * np.sin(2 * np.pi * partials * age).sum(0)


def _sweep(age: Array, pitch: float, rng: Generator) -> Array:
    return np.sin(2 * np.pi * 500 * pitch * (age + age**2))


def _hiss(age: Array, pitch: float, rng: Generator) -> Array:
    return np.exp(-4 * age) * make_noise(rng, len(age), 0.5)


def _rattle(age: Array, pitch: float, rng: Generator) -> Array:
    return np.exp(-60 * (age % (0.08 / pitch**0.5))) * make_noise(rng, len(age), 0)


def _buzz(age: Array, pitch: float, rng: Generator) -> Array:
    return (1 - 0.5 * np.exp(-8 * age)) * (140 * pitch * age % 1 - 0.5)


class Look(NamedTuple):
    """A shape, and how far each beat moves it.

    Args:
        shape: points -> distance to the outline.
        bounce: up, in radii.
        grow: as a share of the radius.
        nod: back and forth, in radians.
        spin: onward, in radians.
        fade: as a share of the brightness.
    """

    shape: Callable[[Array, Array], Array]
    bounce: float = 0
    grow: float = 0
    nod: float = 0
    spin: float = 0
    fade: float = 0


class Event(NamedTuple):
    """A class: the look of its frames and the timbre of its sounds."""

    look: Look
    timbre: Callable[[Array, float, Generator], Array]


BALL, RIPPLE = Look(_disc, bounce=0.6), Look(_ring, grow=0.5)

# The first four come in pairs that look alike, the last four in pairs that sound alike.
EVENTS = {
    "ball_bounce": Event(BALL, _thud),
    "pinball": Event(BALL, _chime),
    "sonar": Event(RIPPLE, _sweep),
    "splash": Event(RIPPLE, _hiss),
    "woodpecker": Event(Look(_wedge, nod=0.5), _rattle),
    "typewriter": Event(Look(_rows, fade=0.4), _rattle),
    "propeller": Event(Look(_bar, spin=2 * np.pi), _buzz),
    "circular_saw": Event(Look(_cog, spin=2 * np.pi), _buzz),
}


@dataclass(frozen=True, kw_only=True)
class Dataset:
    """Clips with a random generator each: a larger set contains the smaller one of the same seed.

    Args:
        train: clips per class.
        val: clips per class.
        test: clips per class.
        seconds: length of each clip.
        pixels: side of the picture.
        fps: frames per second.
        rate: of the sound, in Hz.
        seed: of the generators.
        noise: from 0, a plain figure and a clean sound, to 1, both almost lost in the background.
    """

    train: int
    val: int
    test: int
    seconds: float
    pixels: int
    fps: int
    rate: int
    seed: int
    noise: float

    def __post_init__(self) -> None:
        if self.pixels % 2 or self.seconds < 1 or self.seed < 0 or not 0 <= self.noise <= 1:
            raise ParamsError(
                f"{self}: expected even pixels, seconds from 1, seed from 0 and noise from 0 to 1"
            )

    def source(self, root: Path) -> Source:
        return SOURCE

    def clips(self, root: Path) -> list[Clip]:
        """Return the clips under `root`, and write them first if the folder is missing.

        Raises:
            SourceError: the folder was generated with other parameters.
        """
        stamp = json.dumps(asdict(self), sort_keys=True)
        if not root.exists():
            with create_folder(root) as part:
                (part / STAMP).write_text(stamp, encoding="utf-8")
                self._write_all(part)
        written = (root / STAMP).read_text(encoding="utf-8") if (root / STAMP).is_file() else stamp
        if written != stamp:
            raise SourceError(
                f"{root} was generated with {written}, but {stamp} is asked for; "
                "remove the folder to generate it again"
            )
        return list_clips(root)

    def _write_all(self, root: Path) -> None:
        for split, count in zip(SPLITS, (self.train, self.val, self.test), strict=True):
            for label in EVENTS:
                folder = root / split / label
                folder.mkdir(parents=True)
                for index in range(count):
                    self.write(folder / f"{index:04d}.mp4", split, label, index)

    def write(self, path: Path, split: str, label: str, index: int) -> None:
        """Draw and write one clip; look and sound share their onsets.

        Args:
            path: the file to write.
            split: train, val or test.
            label: a key of EVENTS.
            index: number of the clip within its class and split.
        """
        rng = np.random.default_rng(
            [self.seed, SPLITS.index(split), list(EVENTS).index(label), index]
        )
        event, tempo, onset = EVENTS[label], rng.uniform(1.2, 2.4), rng.uniform()
        frames = self.render_frames(event, tempo, onset, rng)
        sound = self.synthesise_sound(event, tempo, onset, rng)
        write_clip(path, frames, self.fps, sound, self.rate)

    def render_frames(self, event: Event, tempo: float, onset: float, rng: Generator) -> Array:
        """Draw frames u8 [T, pixels, pixels, 3]: a figure of one colour on a drifting texture.

        Args:
            event: the class.
            tempo: beats per second.
            onset: phase of the first beat, from 0 to 1.
            rng: of the clip.
        """
        time = np.arange(round(self.seconds * self.fps), dtype=np.float32)[:, None, None] / self.fps
        y, x = np.mgrid[1 : -1 : self.pixels * 1j, -1 : 1 : self.pixels * 1j].astype(np.float32)
        cover = self._cover(event.look, tempo * time + onset, x, y, rng)
        texture = 0.2 * rng.standard_normal(cover.shape, dtype=np.float32)
        for across, up, drift, phase in rng.normal(0, 6, (3, 4)).astype(np.float32):
            texture += np.sin(across * x + up * y + drift * time + phase)
        # Background and figure lie on two sides of grey, so that some contrast is left.
        low, high, tint = (
            rng.uniform(*span, 3).astype(np.float32)
            for span in ((0.05, 0.4), (0.6, 0.95), (0.0, 0.3))
        )
        rgb = low + cover[..., None] * (high - low) + self.noise * texture[..., None] * tint
        return np.uint8(255 * np.clip(rgb if rng.uniform() < 0.5 else 1 - rgb, 0, 1))

    def _cover(self, look: Look, beat: Array, x: Array, y: Array, rng: Generator) -> Array:
        """Return the figure's share of each pixel, times its brightness, [T, pixels, pixels]."""
        radius, left, low = rng.uniform(0.45, 0.75), rng.uniform(-0.2, 0.2), rng.uniform(-0.2, 0.2)
        scale = radius * (1 + look.grow * (beat % 1 - 0.5))
        turn = look.nod * np.cos(2 * np.pi * beat) + look.spin * beat + rng.normal(0, 0.3)
        rise = look.bounce * (np.abs(np.sin(np.pi * beat)) - 0.5)
        across, up = (x - left) / scale, (y - low) / scale - rise
        distance = scale * look.shape(
            across * np.cos(turn) + up * np.sin(turn), up * np.cos(turn) - across * np.sin(turn)
        )
        return (1 - look.fade * (beat % 1)) * np.clip(0.5 - distance * self.pixels / 2, 0, 1)

    def synthesise_sound(self, event: Event, tempo: float, onset: float, rng: Generator) -> Array:
        """Make a waveform float32 [n] in -1..1: the timbre after each onset, over coloured noise.

        Args:
            event: the class.
            tempo: beats per second.
            onset: phase of the first beat, from 0 to 1.
            rng: of the clip.
        """
        beat = tempo * np.arange(round(self.seconds * self.rate)) / self.rate + onset
        clean = event.timbre(beat % 1 / tempo, 2 ** rng.uniform(-1, 1), rng)
        snr = rng.uniform(10, 35) - 50 * self.noise  # dB
        mixed = clean / clean.std() + 10 ** (-snr / 20) * make_noise(
            rng, len(clean), rng.uniform(-1, 0.5)
        )
        loudness = 10 ** rng.uniform(-1, 0)
        return (loudness * mixed / np.abs(mixed).max()).astype(np.float32)


def make_noise(rng: Generator, count: int, tilt: float) -> Array:
    """Make noise of unit deviation whose amplitude grows as frequency ** tilt, float64 [count].

    Args:
        rng: random generator.
        count: samples.
        tilt: the exponent.
    """
    spectrum = np.fft.rfft(rng.standard_normal(count)) * np.arange(1, count // 2 + 2) ** tilt
    noise = np.fft.irfft(spectrum, count)
    return noise / noise.std()
