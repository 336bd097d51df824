"""A generated dataset: H.264 + AAC clips of eight events, each with a look and a sound; neither tells all eight apart, both do."""

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
STAMP = ".generated.json"  # the parameters that a folder was generated with
Array = Any  # numpy's stubs lose an array's type at every ufunc

# Shapes: points (x, y), in radii from the centre -> distance to the outline, negative inside.


def disc(x: Array, y: Array) -> Array:
    return np.hypot(x, y) - 1


def ring(x: Array, y: Array) -> Array:
    return np.abs(np.hypot(x, y) - 0.9) - 0.25


def bar(x: Array, y: Array) -> Array:
    return np.maximum(np.abs(x) - 0.35, np.abs(y) - 1.2)


def rows(x: Array, y: Array) -> Array:
    return np.maximum(
        np.maximum(np.abs(x), np.abs(y)) - 0.95, np.abs((y + 0.95) % 0.76 - 0.19) - 0.19
    )


def wedge(x: Array, y: Array) -> Array:
    return np.maximum(-y - 0.6, 0.87 * np.abs(x) + 0.5 * y - 0.6)


def cog(x: Array, y: Array) -> Array:
    return np.hypot(x, y) - 0.8 - 0.3 * np.cos(6 * np.arctan2(y, x))


# Timbres: seconds since the last onset and a pitch factor -> the waveform.


def thud(age: Array, pitch: float, rng: Generator) -> Array:
    return np.exp(-12 * age) * (
        np.sin(2 * np.pi * 110 * pitch * age) + 0.2 * make_noise(rng, len(age), -0.5)
    )


def chime(age: Array, pitch: float, rng: Generator) -> Array:
    partials = 600 * pitch * np.array([[1], [2.76], [5.4]])  # of a free metal bar
    return np.exp(-4 * age) * np.sin(2 * np.pi * partials * age).sum(0)


def sweep(age: Array, pitch: float, rng: Generator) -> Array:
    return np.sin(2 * np.pi * 500 * pitch * (age + age**2))


def hiss(age: Array, pitch: float, rng: Generator) -> Array:
    return np.exp(-4 * age) * make_noise(rng, len(age), 0.5)


def rattle(age: Array, pitch: float, rng: Generator) -> Array:
    return np.exp(-60 * (age % (0.08 / pitch**0.5))) * make_noise(rng, len(age), 0)


def buzz(age: Array, pitch: float, rng: Generator) -> Array:
    return (1 - 0.5 * np.exp(-8 * age)) * (140 * pitch * age % 1 - 0.5)


class Look(NamedTuple):
    """A shape and how far each beat moves it: in radii, in share of its radius, in radians (back and forth, on), in brightness."""

    shape: Callable[[Array, Array], Array]
    bounce: float = 0
    grow: float = 0
    nod: float = 0
    spin: float = 0
    fade: float = 0


class Event(NamedTuple):
    """A class: what its frames and its sounds have in common."""

    look: Look
    timbre: Callable[[Array, float, Generator], Array]


BALL, RIPPLE = Look(disc, bounce=0.6), Look(ring, grow=0.5)

# The first four come in pairs that look alike, the last four in pairs that sound alike.
EVENTS = {
    "ball_bounce": Event(BALL, thud),
    "pinball": Event(BALL, chime),
    "sonar": Event(RIPPLE, sweep),
    "splash": Event(RIPPLE, hiss),
    "woodpecker": Event(Look(wedge, nod=0.5), rattle),
    "typewriter": Event(Look(rows, fade=0.4), rattle),
    "propeller": Event(Look(bar, spin=2 * np.pi), buzz),
    "circular_saw": Event(Look(cog, spin=2 * np.pi), buzz),
}


@dataclass(frozen=True, kw_only=True)
class Dataset:
    """Clips, each from a generator of its own: a larger set holds the smaller one of the same seed.

    Args:
        train, val, test: clips per class; seconds: of each clip; pixels: side of the picture; fps, rate: Hz.
        noise: from 0, a plain figure and a clean sound, to 1, both all but lost in their background.
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
        """It is ours."""
        return SOURCE

    def clips(self, root: Path) -> list[Clip]:
        """The clips under `root`, written first if it is absent; a folder made with other parameters is a SourceError."""
        stamp = json.dumps(asdict(self), sort_keys=True)
        if not root.exists():
            with create_folder(root) as part:
                (part / STAMP).write_text(stamp, encoding="utf-8")
                for split, count in zip(SPLITS, (self.train, self.val, self.test), strict=True):
                    for label in EVENTS:
                        (part / split / label).mkdir(parents=True)
                        for index in range(count):
                            self.write(
                                part / split / label / f"{index:04d}.mp4", split, label, index
                            )
        made = (root / STAMP).read_text(encoding="utf-8") if (root / STAMP).is_file() else stamp
        if made != stamp:
            raise SourceError(
                f"{root} was generated with {made}, now asked for {stamp}; remove the folder to generate it anew"
            )
        return list_clips(root)

    def write(self, path: Path, split: str, label: str, index: int) -> None:
        """Draw and write one clip; look and sound share their onsets."""
        rng = np.random.default_rng(
            [self.seed, SPLITS.index(split), list(EVENTS).index(label), index]
        )
        event, tempo, onset = EVENTS[label], rng.uniform(1.2, 2.4), rng.uniform()
        frames = self.render_frames(event, tempo, onset, rng)
        write_clip(
            path, frames, self.fps, self.synthesise_sound(event, tempo, onset, rng), self.rate
        )

    def render_frames(self, event: Event, tempo: float, onset: float, rng: Generator) -> Array:
        """Frames u8 [T, pixels, pixels, 3]: a figure of one colour before a drifting texture."""
        time = np.arange(round(self.seconds * self.fps), dtype=np.float32)[:, None, None] / self.fps
        y, x = np.mgrid[1 : -1 : self.pixels * 1j, -1 : 1 : self.pixels * 1j].astype(np.float32)
        cover = self._cover(event.look, tempo * time + onset, x, y, rng)
        texture = 0.2 * rng.standard_normal(cover.shape, dtype=np.float32)
        for across, up, drift, phase in rng.normal(0, 6, (3, 4)).astype(np.float32):
            texture += np.sin(across * x + up * y + drift * time + phase)
        # Background and figure start on two sides of grey, either way round, so that some contrast is left.
        low, high, tint = (
            rng.uniform(*span, 3).astype(np.float32)
            for span in ((0.05, 0.4), (0.6, 0.95), (0.0, 0.3))
        )
        rgb = low + cover[..., None] * (high - low) + self.noise * texture[..., None] * tint
        return np.uint8(255 * np.clip(rgb if rng.uniform() < 0.5 else 1 - rgb, 0, 1))

    def _cover(self, look: Look, beat: Array, x: Array, y: Array, rng: Generator) -> Array:
        """How much of each pixel the figure covers, times its glow, [T, pixels, pixels]."""
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
        """Waveform float32 [n] in -1..1: the timbre after each onset, over noise of some colour."""
        beat = tempo * np.arange(round(self.seconds * self.rate)) / self.rate + onset
        clean = event.timbre(beat % 1 / tempo, 2 ** rng.uniform(-1, 1), rng)
        snr = rng.uniform(10, 35) - 50 * self.noise  # dB
        mixed = clean / clean.std() + 10 ** (-snr / 20) * make_noise(
            rng, len(clean), rng.uniform(-1, 0.5)
        )
        loudness = 10 ** rng.uniform(-1, 0)
        return (loudness * mixed / np.abs(mixed).max()).astype(np.float32)


def make_noise(rng: Generator, count: int, tilt: float) -> Array:
    """Noise [count] of unit deviation whose amplitude grows as frequency ** tilt."""
    spectrum = np.fft.rfft(rng.standard_normal(count)) * np.arange(1, count // 2 + 2) ** tilt
    noise = np.fft.irfft(spectrum, count)
    return noise / noise.std()
