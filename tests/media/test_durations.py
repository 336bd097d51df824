"""How long a file is: its packets decide wherever a header cannot know, or is wrong."""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING, Any

import av
import numpy as np
import pytest

from pipeline import media
from pipeline.core.errors import MediaError
from pipeline.media import FrameTrack, SoundTrack
from tests.toys.decoding import clip_of

if TYPE_CHECKING:
    from pathlib import Path

RATE, SECONDS, FPS = 16000, 6, 10
BOTH = ["decord", "pyav"]
# A variable bit rate by quality, and no header that counts the frames.
VBR = {"flags": "+qscale", "global_quality": "472"}
NO_XING = {"write_xing": "0", "id3v2_version": "0"}


class Pipe:
    """A target that cannot go back to fill in a header."""

    def __init__(self, path: Path) -> None:
        self.path = path
        path.write_bytes(b"")

    def write(self, data: bytes) -> int:
        with self.path.open("ab") as stream:
            return stream.write(bytes(data))


def sound(loud_first: bool) -> np.ndarray:
    """Noise in the first or in the last second, near silence in the others, i16 [n]."""
    samples = np.random.default_rng(0).normal(0, 20, SECONDS * RATE)
    part = slice(0, RATE) if loud_first else slice(-RATE, None)
    samples[part] *= 300
    return samples.astype(np.int16)


def record(
    target: Any, kind: str, codec: str, loud_first: bool = True, **options: dict[str, str]
) -> None:
    """Write SECONDS of sound; a path may be filled in at the end, a Pipe may not."""
    muxer, encoder = options.get("muxer", {}), options.get("encoder", {})
    name = target if isinstance(target, Pipe) else str(target)
    with av.open(name, "w", format=kind, options=muxer) as container:
        stream: Any = container.add_stream(codec, rate=RATE, layout="mono", options=encoder)
        samples = sound(loud_first)
        for first in range(0, len(samples), 1024):
            frame = av.AudioFrame.from_ndarray(
                samples[None, first : first + 1024], format="s16", layout="mono"
            )
            frame.rate, frame.pts, frame.time_base = RATE, first, Fraction(1, RATE)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


def outcomes(path: Path) -> list[str]:
    seconds = media.decode(clip_of(path), {"it": SoundTrack(rate=8000)}, BOTH)
    return [second.readings["it"].reason or "ok" for second in seconds]


@pytest.mark.parametrize("loud_first", [True, False])
@pytest.mark.parametrize(
    ("kind", "codec", "options"),
    [
        ("adts", "aac", {}),
        ("mp3", "libmp3lame", {"muxer": NO_XING, "encoder": VBR}),
        ("mp3", "libmp3lame", {"muxer": NO_XING}),
        ("mp2", "mp2", {}),
        ("latm", "aac", {}),
    ],
)
def test_a_raw_stream_is_as_long_as_its_packets(
    tmp_path: Path, kind: str, codec: str, options: dict[str, Any], loud_first: bool
) -> None:
    path = tmp_path / f"clip.{kind}"
    record(path, kind, codec, loud_first, **options)
    assert outcomes(path) == ["ok"] * SECONDS
    header = media.probe(str(path))
    assert header.audio is not None
    assert header.end == pytest.approx(SECONDS, abs=0.2) and header.audio.end == header.end


@pytest.mark.parametrize(
    ("kind", "codec", "options"),
    [
        ("wav", "pcm_s16le", {}),
        ("wav", "adpcm_ima_wav", {}),
        ("wav", "libmp3lame", {"encoder": VBR}),
        ("avi", "libmp3lame", {}),
        ("flac", "flac", {}),
        ("flv", "aac", {}),
        ("au", "pcm_s16be", {}),
        ("matroska", "libmp3lame", {"encoder": VBR}),
        ("webm", "libopus", {"muxer": {"live": "1"}}),
        ("ogg", "libopus", {}),
        ("mpegts", "aac", {}),
        ("mp4", "aac", {"muxer": {"movflags": "empty_moov", "frag_duration": "1000000"}}),
    ],
)
def test_a_stream_written_without_going_back_is_as_long_as_its_packets(
    tmp_path: Path, kind: str, codec: str, options: dict[str, Any]
) -> None:
    path = tmp_path / "clip"
    record(Pipe(path), kind, codec, **options)
    assert outcomes(path) == ["ok"] * SECONDS


@pytest.mark.parametrize("box", [b"mvhd", b"mdhd"])
@pytest.mark.parametrize("lie", [2, 60])
def test_the_index_of_an_mp4_overrules_its_header(tmp_path: Path, box: bytes, lie: int) -> None:
    path = tmp_path / "clip.mp4"
    record(path, "mp4", "aac")
    content = bytearray(path.read_bytes())
    for name in {b"mvhd", box}:
        at = content.index(name) + 16
        scale = int.from_bytes(content[at : at + 4], "big")
        content[at + 4 : at + 8] = (lie * scale).to_bytes(4, "big")
    path.write_bytes(content)
    assert outcomes(path) == ["ok"] * SECONDS


@pytest.mark.parametrize(("kind", "codec"), [("mp3", "libmp3lame"), ("flac", "flac")])
def test_a_file_that_was_cut_short_keeps_its_missing_seconds(
    tmp_path: Path, kind: str, codec: str
) -> None:
    path = tmp_path / f"clip.{kind}"
    record(path, kind, codec)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    found = outcomes(path)
    assert len(found) == SECONDS and found[0] == "ok" and found[-1] == "truncated_audio"


def test_two_recordings_in_one_mp3_are_both_heard(tmp_path: Path) -> None:
    path = tmp_path / "clip.mp3"
    record(path, "mp3", "libmp3lame")
    path.write_bytes(2 * path.read_bytes())
    assert outcomes(path) == ["ok"] * 2 * SECONDS


@pytest.mark.parametrize("kind", ["h264", "m4v", "mpeg1video", "mjpeg"])
def test_a_raw_picture_stream_counts_its_frames(tmp_path: Path, kind: str) -> None:
    path = tmp_path / f"clip.{kind}"
    codec = {"h264": "libx264", "m4v": "mpeg4"}.get(kind, kind)
    with av.open(str(path), "w", format=kind) as container:
        stream: Any = container.add_stream(codec, rate=25, options={"bf": "0", "threads": "1"})
        stream.width = stream.height = 64
        stream.pix_fmt = "yuvj420p" if kind == "mjpeg" else "yuv420p"
        for number in range(25 * SECONDS):
            level = 40 + 30 * (number // 25)
            frame = av.VideoFrame.from_ndarray(np.full((64, 64, 3), level, np.uint8), "rgb24")
            frame.pts, frame.time_base = number, Fraction(1, 25)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    picture = FrameTrack(width=8, height=8, crop=True, offsets=(0.5,))
    seconds = media.decode(clip_of(path), {"it": picture}, BOTH)
    arrays = [second.readings["it"].array for second in seconds]
    levels = [float(array.mean()) for array in arrays if array is not None]
    assert levels == pytest.approx([40 + 30 * number for number in range(SECONDS)], abs=3)


@pytest.mark.parametrize("name", ["12:30.mp4", "Movie: part 1.mp4", "-dash.mp4", "50%d.mp4"])
def test_any_name_is_a_local_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.chdir(tmp_path)
    frames = [np.full((64, 64, 3), 90, np.uint8)] * 2 * FPS
    media.write_clip(tmp_path / name, frames, FPS, np.zeros(2 * RATE, np.float32), RATE)
    tracks: dict[str, media.Track] = {
        "frame": FrameTrack(width=8, height=8, crop=True, offsets=(0.5,)),
        "sound": SoundTrack(rate=RATE),
    }
    for path in (name, tmp_path / name):
        seconds = media.decode(clip_of(path), tracks, BOTH)  # type: ignore[arg-type]
        assert [r.reason for s in seconds for r in s.readings.values()] == [""] * 4


@pytest.mark.parametrize(
    "content",
    [
        "#EXTM3U\n#EXTINF:1,\nreal.mp4\n#EXT-X-ENDLIST\n",
        "ffconcat version 1.0\nfile real.mp4\n",
        "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=audio 9 RTP/AVP 0\n",
    ],
)
@pytest.mark.parametrize("name", ["list.mp4", "list.m3u8"])
def test_a_file_that_names_others_is_refused(tmp_path: Path, content: str, name: str) -> None:
    frames = [np.full((64, 64, 3), 90, np.uint8)] * FPS
    media.write_clip(tmp_path / "real.mp4", frames, FPS, np.zeros(RATE, np.float32), RATE)
    (tmp_path / name).write_text(content, encoding="ascii")
    with pytest.raises(MediaError) as caught:
        media.decode(clip_of(tmp_path / name), {"it": SoundTrack(rate=RATE)}, BOTH)
    assert caught.value.reason == "decode_error"
    assert str(tmp_path) not in caught.value.detail
