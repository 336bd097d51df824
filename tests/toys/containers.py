"""Two and a half seconds of media in many containers, written by PyAV."""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING, Any

import av
import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

# Muxer, video codec ("" for a sound), audio codec ("" for a picture alone), suffixes.
CONTAINERS = (
    ("mpegts", "libx264", "aac", ".ts .mts .m2ts .m2t"),
    ("mpegts", "mpeg2video", "ac3", ".tod"),
    ("vob", "mpeg2video", "mp2", ".vob"),
    ("mpeg", "mpeg1video", "mp2", ".mpe .mpg .mpeg"),
    ("mpeg2video", "mpeg2video", "", ".m2v"),
    ("mp4", "libx264", "aac", ".mp4 .m4v .f4v"),
    ("mp4", "mpeg4", "aac", ".mp4v"),
    ("mov", "libx264", "aac", ".mov .qt"),
    ("3gp", "libx264", "aac", ".3gp .3g2"),
    ("asf", "wmv2", "wmav2", ".wmv .asf"),
    ("ogg", "libvpx", "libopus", ".ogv .ogm"),
    ("avi", "mpeg4", "libmp3lame", ".avi .divx .xvid"),
    ("matroska", "libx264", "libopus", ".mkv .mk3d"),
    ("webm", "libvpx", "libopus", ".webm"),
    ("flv", "libx264", "aac", ".flv"),
    ("mxf", "mpeg2video", "pcm_s16le", ".mxf"),
    ("nut", "mpeg4", "mp2", ".nut"),
    ("rm", "rv20", "ac3", ".rm .rmvb"),
    ("wtv", "mpeg2video", "mp2", ".wtv"),
    ("mjpeg", "mjpeg", "", ".mjpeg .mjpg"),
    ("yuv4mpegpipe", "wrapped_avframe", "", ".y4m"),
    ("wav", "", "pcm_s16le", ".wav .wave .bwf .rf64"),
    ("w64", "", "pcm_s16le", ".w64"),
    ("aiff", "", "pcm_s16be", ".aif .aiff .aifc"),
    ("au", "", "pcm_s16be", ".au .snd"),
    ("caf", "", "pcm_s16be", ".caf"),
    ("voc", "", "pcm_s16le", ".voc"),
    ("asf", "", "wmav2", ".wma"),
    ("ogg", "", "libopus", ".ogg .oga .opus"),
    ("matroska", "", "libopus", ".mka .weba"),
    ("flac", "", "flac", ".flac"),
    ("wv", "", "wavpack", ".wv"),
    ("tta", "", "tta", ".tta"),
    ("ac3", "", "ac3", ".ac3"),
    ("eac3", "", "eac3", ".eac3"),
    ("mp2", "", "mp2", ".mp2"),
    ("mp3", "", "libmp3lame", ".mp3 .mpga"),
    ("mp4", "", "aac", ".m4a .m4b .m4r .3ga"),
    ("mp4", "", "alac", ".alac"),
    ("adts", "", "aac", ".aac .adts"),
)
SIDE, FPS, RATE, BLOCK = 64, 25, 48000, 960
# Brightness and loudness of each second.
LEVELS, LOUDNESS = (60, 200), (0.05, 0.5)


def write_container(path: Path, muxer: str, video: str, audio: str) -> Path:
    """Write a second that is dark and quiet, then one that is bright and loud."""
    with av.open(str(path), "w", format=muxer) as container:
        streams: list[tuple[Any, Iterator[Any]]] = []
        if video:
            picture: Any = container.add_stream(video, rate=FPS)
            picture.width = picture.height = SIDE
            picture.pix_fmt = "yuvj420p" if video == "mjpeg" else "yuv420p"
            streams.append((picture, _draw_frames()))
        if audio:
            sound: Any = container.add_stream(audio, rate=RATE, layout="mono")
            sound.bit_rate = 96000
            streams.append((sound, _make_blocks()))
        for stream, frames in streams:
            for frame in frames:
                container.mux(stream.encode(frame))
            container.mux(stream.encode(None))
    return path


def _draw_frames() -> Iterator[av.VideoFrame]:
    for index in range(int(2.5 * FPS)):
        rgb = np.full((SIDE, SIDE, 3), LEVELS[min(index // FPS, 1)], np.uint8)
        frame = av.VideoFrame.from_ndarray(rgb, format="rgb24")
        frame.pts, frame.time_base = index, Fraction(1, FPS)
        yield frame


def _make_blocks() -> Iterator[av.AudioFrame]:
    time = np.arange(int(2.5 * RATE)) / RATE
    wave = np.take(LOUDNESS, np.minimum(time.astype(int), 1)) * np.sin(2 * np.pi * 440 * time)
    samples = np.rint(32767 * wave).astype(np.int16)
    for first in range(0, len(samples), BLOCK):
        block = samples[None, first : first + BLOCK]
        frame = av.AudioFrame.from_ndarray(block, format="s16", layout="mono")
        frame.rate, frame.pts, frame.time_base = RATE, first, Fraction(1, RATE)
        yield frame
