"""Long recordings: a window is the same whatever else is asked for, and memory does not grow."""

from __future__ import annotations

import subprocess
import sys
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import av
import numpy as np
import pytest

from pipeline import media
from pipeline.core.errors import MediaError
from pipeline.media import FrameTrack, SoundTrack, timeline
from pipeline.media.blocks import BLOCK_S
from tests.toys.decoding import clip_of
from tests.toys.project import ROOT

if TYPE_CHECKING:
    from pathlib import Path

RATE, SECONDS, FPS = 16000, 150, 2
BOTH = ["decord", "pyav"]
# Decoders that start elsewhere are a little off: MP2 adds noise, and AAC does with `aac_pns`.
NEARLY = 1e-4


def chirps(rate: int) -> np.ndarray:
    """Tones that rise through each second, i16 [n]."""
    time = np.arange(SECONDS * rate) / rate
    return (9000 * np.sin(2 * np.pi * (300 + 5 * (time % 50) * (time % 1)) * time)).astype(np.int16)


def record(path: Path, kind: str, codec: str, rate: int, **options: str) -> None:
    with av.open(str(path), "w", format=kind) as container:
        stream: Any = container.add_stream(codec, rate=rate, layout="mono", options=options)
        samples = chirps(rate)
        for first in range(0, len(samples), 4096):
            piece = samples[None, first : first + 4096]
            frame = av.AudioFrame.from_ndarray(piece, format="s16", layout="mono")
            frame.rate, frame.pts, frame.time_base = rate, first, Fraction(1, rate)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


def sounds(path: Path, start_s: float = 0.0, end_s: float | None = None) -> list[np.ndarray]:
    seconds = media.decode(clip_of(path, start_s, end_s), {"it": SoundTrack(rate=RATE)}, BOTH)
    arrays = [second.readings["it"].array for second in seconds]
    return [array for array in arrays if array is not None]


@pytest.mark.parametrize(
    ("kind", "codec", "rate", "options"),
    [
        ("mp4", "aac", 44100, {}),
        pytest.param("mp4", "aac", 44100, {"aac_pns": "0"}, marks=pytest.mark.slow),
        pytest.param("adts", "aac", 22050, {"aac_pns": "0"}, marks=pytest.mark.slow),
        pytest.param("matroska", "aac", 44100, {"aac_pns": "0"}, marks=pytest.mark.slow),
        pytest.param("mpegts", "aac", 48000, {"aac_pns": "0"}, marks=pytest.mark.slow),
        ("mp3", "libmp3lame", 44100, {}),
        pytest.param("flv", "libmp3lame", 22050, {}, marks=pytest.mark.slow),
        pytest.param("webm", "libopus", 48000, {}, marks=pytest.mark.slow),
        pytest.param("ogg", "libopus", 48000, {}, marks=pytest.mark.slow),
        ("flac", "flac", 44100, {}),
        ("wav", "pcm_s16le", 44100, {}),
        pytest.param("wav", "adpcm_ima_wav", 44100, {}, marks=pytest.mark.slow),
        pytest.param("avi", "mp2", 44100, {}, marks=pytest.mark.slow),
    ],
)
def test_a_span_hears_the_very_windows_of_the_whole_file(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    kind: str,
    codec: str,
    rate: int,
    options: dict[str, str],
) -> None:
    path = tmp_path / "clip"
    record(path, kind, codec, rate, **options)
    whole = sounds(path)
    assert len(whole) == SECONDS
    for start in (0, BLOCK_S - 1, 2 * BLOCK_S, 95, 118):
        span = sounds(path, start, start + 3)
        assert all(np.array_equal(a, b) for a, b in zip(span, whole[start:], strict=False))
    # Both are a decode without a break, up to what decoders remember.
    monkeypatch.setattr(timeline, "LONG_S", 1e9)
    monkeypatch.setitem(media.BACKENDS, "decord", media.BACKENDS["pyav"])
    worst = max(np.abs(a - b).max() for a, b in zip(sounds(path), whole, strict=True))
    assert worst <= (0.2 if options == {} and codec == "aac" else NEARLY)


def test_blocks_stand_still_when_a_seek_leads_nowhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "clip.mka"
    record(path, "matroska", "flac", 22050)
    sought = sounds(path, 100, 103)
    monkeypatch.setattr("pipeline.media.blocks.SEEK_MARGIN_S", -5.0)
    assert all(np.array_equal(a, b) for a, b in zip(sought, sounds(path, 100, 103), strict=True))


def film(path: Path, seconds: int, wide: int, high: int) -> None:
    """Still pictures that change every second, and silence."""
    with av.open(str(path), "w", format="mp4") as container:
        options = {"preset": "ultrafast", "g": "20", "threads": "1"}
        video: Any = container.add_stream("libx264", rate=FPS, options=options)
        video.width, video.height, video.pix_fmt = wide, high, "yuv420p"
        audio: Any = container.add_stream("aac", rate=RATE, layout="mono")
        for number in range(seconds * FPS):
            frame = av.VideoFrame(wide, high, "yuv420p")
            for plane, level in zip(
                frame.planes, (20 + number // FPS % 200, 128, 128), strict=True
            ):
                plane.update(bytes([level]) * plane.buffer_size)
            frame.pts, frame.time_base = number, Fraction(1, FPS)
            container.mux(video.encode(frame))
        for first in range(0, seconds * RATE, 1024):
            silence = np.zeros((1, 1024), np.float32)
            piece = av.AudioFrame.from_ndarray(silence, format="fltp", layout="mono")
            piece.rate, piece.pts, piece.time_base = RATE, first, Fraction(1, RATE)
            container.mux(audio.encode(piece))
        container.mux([*video.encode(None), *audio.encode(None)])


def test_a_span_of_a_film_hears_and_sees_the_whole(tmp_path: Path) -> None:
    film(tmp_path / "clip.mp4", SECONDS, 64, 64)
    track = FrameTrack(width=16, height=16, crop=True, offsets=(0.0, 0.5))
    assert_spans_are_windows(tmp_path / "clip.mp4", track)


@pytest.mark.parametrize(
    ("kind", "codec", "options"),
    [
        ("matroska", "libx264", {"g": "40", "bf": "2"}),
        # A seek in a transport stream leads anywhere, and key frames are far apart.
        ("mpegts", "libx264", {"g": "250", "bf": "2"}),
        # AVI knows decoding times alone; the pictures before a key frame depend on those before it.
        ("avi", "mpeg4", {"g": "12", "bf": "2"}),
        pytest.param("mpeg", "mpeg2video", {"g": "12", "bf": "2"}, marks=pytest.mark.slow),
        pytest.param("asf", "wmv2", {"g": "40"}, marks=pytest.mark.slow),
        ("h264", "libx264", {"g": "40", "bf": "0"}),
    ],
)
def test_a_span_sees_the_very_windows_of_the_whole_film(
    tmp_path: Path, kind: str, codec: str, options: dict[str, str]
) -> None:
    path, fps = tmp_path / "clip", 25 if kind in ("mpeg", "h264") else 8
    with av.open(str(path), "w", format=kind) as container:
        stream: Any = container.add_stream(codec, rate=fps, options={"threads": "1", **options})
        stream.width = stream.height = 32
        stream.pix_fmt = "yuv420p"
        for number in range(SECONDS * fps):
            picture = np.full((32, 32, 3), 40 + 3 * (number % 60), np.uint8)
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            frame.pts, frame.time_base = number, Fraction(1, fps)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    track = FrameTrack(width=16, height=16, crop=True, offsets=(0.1, 0.5))
    assert_spans_are_windows(path, track)


def assert_spans_are_windows(path: Path, track: FrameTrack) -> None:
    def read(start: float = 0.0, end: float | None = None) -> list[Any]:
        seconds = media.decode(clip_of(path, start, end), {"it": track}, BOTH)
        return [second.readings["it"] for second in seconds]

    whole = read()
    assert len(whole) >= SECONDS - 1 and all(r.array is not None for r in whole)
    for start in (0, 33, 119, 121, 147):
        for span, reading in zip(read(start, start + 3), whole[start:], strict=False):
            # Times are those of the file, wherever the span begins.
            assert span.pts == reading.pts and np.array_equal(span.array, reading.array)


def test_pieces_are_the_clip(tmp_path: Path) -> None:
    path = tmp_path / "clip.wav"
    record(path, "wav", "pcm_s16le", RATE)
    tracks = {"it": SoundTrack(rate=RATE)}
    pieces = list(media.decode_pieces(clip_of(path), tracks, BOTH))
    assert [(piece.first, piece.last) for piece in pieces] == [(True, False), (False, True)]
    numbers = [second.second for piece in pieces for second in piece.seconds]
    assert numbers == list(range(SECONDS))


def test_decord_is_not_asked_for_more_frames_than_fit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "clip.mp4"
    film(path, 20, 64, 48)
    track = FrameTrack(width=16, height=12, crop=True, offsets=(0.0, 0.5))
    starts = [float(number) for number in range(20)]
    by_decord = media.read(str(path), track, starts, ["decord"])
    monkeypatch.setattr("pipeline.media.decord_backend.MAX_BYTES", 64 * 48 * 3 * 10)
    with pytest.raises(MediaError, match="decord keeps all 40 frames"):
        media.read(str(path), track, starts, ["decord"])
    by_pyav = media.read(str(path), track, starts, BOTH)
    assert all(np.array_equal(a.array, b.array) for a, b in zip(by_decord, by_pyav, strict=True))


MEASURE = """
import re, sys
from pathlib import Path
from pipeline import media
from pipeline.core.records import Clip
clip = Clip(
    clip_id="x", path=sys.argv[1], label="a", split="train", start_s=0.0, end_s=None, group="x",
    bytes=0, sha256="",
)
tracks = {
    "frame": media.FrameTrack(width=32, height=32, crop=True, offsets=(0.5,)),
    "sound": media.SoundTrack(rate=16000),
}
count = sum(
    reading.array is not None
    for piece in media.decode_pieces(clip, tracks, ["decord", "pyav"])
    for second in piece.seconds
    for reading in second.readings.values()
)
# Not ru_maxrss: it begins with the memory of the parent.
print(count, int(re.search(r"VmHWM:\\s+(\\d+)", Path("/proc/self/status").read_text())[1]) // 1024)
"""


@pytest.mark.slow
def test_memory_does_not_grow_with_length(tmp_path: Path) -> None:
    path, seconds = tmp_path / "clip.mp4", 600
    film(path, seconds, 1920, 1080)
    code = [sys.executable, "-c", MEASURE, str(path)]
    output = subprocess.run(code, check=True, cwd=ROOT, capture_output=True, text=True).stdout
    count, megabytes = map(int, output.split())
    assert count == 2 * seconds
    assert megabytes < 300
