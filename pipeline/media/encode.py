"""Write clips as H.264 + AAC, pictures as PNG, sounds as MP3.

The files hold no clock, so the same input gives the same bytes.
"""

from __future__ import annotations

import io
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import av
import numpy as np

from pipeline.core.paths import make_absolute, to_path

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pipeline.core.paths import AnyPath

# Sample rates in Hz at which every browser plays MP3 -> bits per second for speech-like sound.
MP3_RATES = {16000: 24000, 22050: 32000, 24000: 32000, 32000: 48000, 44100: 64000, 48000: 64000}
# No macroblock tree: with it, x264's output depends on the content of fresh memory.
X264 = {"crf": "23", "preset": "veryfast", "threads": "1", "x264-params": "mbtree=0"}


def write_clip(
    path: AnyPath, frames: Iterable[np.ndarray], fps: int, waveform: np.ndarray, rate: int
) -> None:
    """Write frames and a waveform as an MP4 of H.264 + AAC, with one thread each.

    Args:
        path: the file to write.
        frames: u8 [H, W, 3] each, all of one size.
        fps: frames per second.
        waveform: mono float32 [n] in -1..1.
        rate: of the waveform, in Hz.
    """
    with av.open(
        make_absolute(to_path(path)), "w", format="mp4", options={"fflags": "+bitexact"}
    ) as container:
        video: Any = None
        audio: Any = container.add_stream("aac", rate=rate, layout="mono")
        for index, rgb in enumerate(frames):
            if video is None:
                video = container.add_stream("libx264", rate=fps, options=X264)
                video.height, video.width, video.pix_fmt = rgb.shape[0], rgb.shape[1], "yuv420p"
            frame = av.VideoFrame.from_ndarray(rgb, format="rgb24")
            frame.pts, frame.time_base = index, Fraction(1, fps)
            container.mux(video.encode(frame))
        for first in range(0, len(waveform), 1024):
            piece = av.AudioFrame.from_ndarray(
                waveform[None, first : first + 1024].astype(np.float32),
                format="fltp",
                layout="mono",
            )
            piece.rate, piece.pts, piece.time_base = rate, first, Fraction(1, rate)
            container.mux(audio.encode(piece))
        container.mux(video.encode(None))
        container.mux(audio.encode(None))


def encode_png(rgb: np.ndarray) -> bytes:
    """Encode one picture as PNG.

    Args:
        rgb: u8 [H, W, 3].
    """
    target = io.BytesIO()
    with av.open(target, "w", format="image2pipe") as container:
        stream: Any = container.add_stream("png", rate=1)
        stream.height, stream.width, stream.pix_fmt = rgb.shape[0], rgb.shape[1], "rgb24"
        container.mux(
            stream.encode(av.VideoFrame.from_ndarray(np.ascontiguousarray(rgb), format="rgb24"))
        )
        container.mux(stream.encode(None))
    return target.getvalue()


def encode_mp3(waveform: np.ndarray, rate: int) -> bytes:
    """Encode a waveform as MP3, at the next higher rate of MP3_RATES; its header has its duration.

    Args:
        waveform: mono float32 [n] in -1..1.
        rate: of the waveform, in Hz.
    """
    target = io.BytesIO()
    with av.open(target, "w", format="mp3", options={"fflags": "+bitexact"}) as container:
        mp3_rate = min((known for known in MP3_RATES if known >= rate), default=max(MP3_RATES))
        stream: Any = container.add_stream("libmp3lame", rate=mp3_rate, layout="mono")
        stream.bit_rate = MP3_RATES[mp3_rate]
        frame = av.AudioFrame.from_ndarray(
            np.ascontiguousarray(waveform[None], dtype=np.float32), format="flt", layout="mono"
        )
        frame.rate, frame.pts, frame.time_base = rate, 0, Fraction(1, rate)
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return target.getvalue()
