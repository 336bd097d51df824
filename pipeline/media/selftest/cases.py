"""The table of reference clips: containers, codecs, rates and start times."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

# Seconds from frame to frame, repeated.
STEADY = (Fraction(1, 25),)
NTSC = (Fraction(1001, 30000),)
UNEVEN = (Fraction(1, 25), Fraction(3, 25), Fraction(2, 25), Fraction(1, 25), Fraction(5, 25))


@dataclass(frozen=True, kw_only=True)
class ReferenceClip:
    """One clip of the table.

    Args:
        container: its file name's extension.
        video: FFmpeg's encoder of the picture.
        audio: FFmpeg's encoder of the sound.
        rate: of the sound, in Hz.
        layout: FFmpeg's channel layout, e.g. stereo.
        steps: seconds from frame to frame, repeated; a single value is a constant rate.
        b_frames: B-frames between reference frames, in encoders that have them.
        video_start: when the picture begins, in seconds; an edit list hides all before zero.
        audio_start: the same for the sound.
        movflags: options of FFmpeg's MP4 writer.
    """

    container: str
    video: str
    audio: str
    rate: int
    layout: str
    steps: tuple[Fraction, ...] = STEADY
    b_frames: int = 0
    video_start: Fraction = Fraction(0)
    audio_start: Fraction = Fraction(0)
    movflags: str = ""

    @property
    def name(self) -> str:
        """A short description of the case."""
        pace = {STEADY: "25/s", NTSC: "29.97/s", UNEVEN: "uneven"}[self.steps]
        words = [
            self.container,
            self.video.removeprefix("lib"),
            pace,
            f"{self.b_frames} B" if self.b_frames else "",
        ]
        words += [self.audio.removeprefix("lib"), f"{self.rate / 1000:g} kHz", self.layout]
        words += [
            f"{noun} {self._format_start(start)}"
            for noun, start in (("video", self.video_start), ("audio", self.audio_start))
            if start
        ]
        return " ".join(word for word in [*words, self.movflags] if word)

    @staticmethod
    def _format_start(start: Fraction) -> str:
        return f"{float(start):+g} s"

    @property
    def rounded(self) -> bool:
        """Whether the container counts no finer than milliseconds (Matroska)."""
        return self.container in ("mkv", "webm")

    @property
    def tick(self) -> float:
        """Seconds per unit of the time stamps, at least 2 microseconds."""
        return 0.001 if self.rounded else 2e-6


# A whole number of frames, not of key-frame distances: hidden frames must still be decoded.
LATE, HIDDEN = Fraction(12, 25), Fraction(-10, 25)
CASES = (
    ReferenceClip(container="mp4", video="libx264", audio="aac", rate=44100, layout="stereo"),
    ReferenceClip(
        container="mp4", video="libx264", audio="aac", rate=48000, layout="5.1", b_frames=3
    ),
    ReferenceClip(
        container="mp4",
        video="libx264",
        audio="aac",
        rate=16000,
        layout="mono",
        steps=UNEVEN,
        b_frames=2,
    ),
    ReferenceClip(
        container="mp4",
        video="libx264",
        audio="aac",
        rate=44100,
        layout="mono",
        b_frames=2,
        audio_start=LATE,
    ),
    ReferenceClip(
        container="mp4",
        video="libx264",
        audio="aac",
        rate=44100,
        layout="stereo",
        b_frames=2,
        video_start=LATE,
    ),
    ReferenceClip(
        container="mp4",
        video="libx264",
        audio="aac",
        rate=48000,
        layout="stereo",
        b_frames=2,
        video_start=HIDDEN,
    ),
    ReferenceClip(
        container="mp4",
        video="libx264",
        audio="aac",
        rate=44100,
        layout="stereo",
        video_start=HIDDEN,
        audio_start=HIDDEN,
    ),
    ReferenceClip(
        container="mp4",
        video="libx264",
        audio="aac",
        rate=32000,
        layout="mono",
        b_frames=2,
        movflags="frag_keyframe+empty_moov+delay_moov",
    ),
    ReferenceClip(
        container="mp4",
        video="libx264",
        audio="aac",
        rate=22050,
        layout="mono",
        video_start=LATE,
        audio_start=2 * LATE,
    ),
    ReferenceClip(
        container="mp4", video="mpeg4", audio="libmp3lame", rate=44100, layout="stereo", b_frames=2
    ),
    ReferenceClip(container="mp4", video="libvpx-vp9", audio="aac", rate=96000, layout="stereo"),
    ReferenceClip(
        container="mp4", video="libsvtav1", audio="aac", rate=8000, layout="mono", steps=NTSC
    ),
    ReferenceClip(
        container="mov", video="libx264", audio="pcm_s16le", rate=48000, layout="stereo", b_frames=2
    ),
    ReferenceClip(
        container="mov",
        video="mpeg4",
        audio="pcm_s16le",
        rate=22050,
        layout="mono",
        audio_start=LATE,
    ),
    ReferenceClip(
        container="mov",
        video="libx264",
        audio="aac",
        rate=48000,
        layout="5.1",
        steps=UNEVEN,
        video_start=HIDDEN,
    ),
    ReferenceClip(
        container="mkv", video="libx264", audio="flac", rate=96000, layout="stereo", b_frames=2
    ),
    ReferenceClip(
        container="mkv", video="libx264", audio="pcm_s16le", rate=8000, layout="mono", steps=UNEVEN
    ),
    ReferenceClip(
        container="mkv", video="libx264", audio="aac", rate=44100, layout="stereo", b_frames=2
    ),
    ReferenceClip(
        container="mkv", video="mpeg4", audio="libmp3lame", rate=48000, layout="stereo", steps=NTSC
    ),
    ReferenceClip(
        container="mkv",
        video="libvpx-vp9",
        audio="libopus",
        rate=48000,
        layout="5.1",
        video_start=LATE,
    ),
    ReferenceClip(
        container="mkv",
        video="libx264",
        audio="flac",
        rate=44100,
        layout="5.1",
        audio_start=LATE,
        b_frames=2,
    ),
    ReferenceClip(container="webm", video="libvpx-vp9", audio="libopus", rate=48000, layout="mono"),
    ReferenceClip(
        container="webm",
        video="libvpx-vp9",
        audio="libopus",
        rate=24000,
        layout="stereo",
        steps=UNEVEN,
    ),
    ReferenceClip(
        container="webm",
        video="libsvtav1",
        audio="libopus",
        rate=48000,
        layout="stereo",
        audio_start=LATE,
    ),
    ReferenceClip(container="avi", video="mpeg4", audio="pcm_s16le", rate=44100, layout="stereo"),
    ReferenceClip(container="avi", video="libx264", audio="pcm_s16le", rate=8000, layout="mono"),
    ReferenceClip(
        container="avi", video="mpeg4", audio="pcm_s16le", rate=96000, layout="5.1", steps=NTSC
    ),
    ReferenceClip(
        container="avi", video="mpeg4", audio="pcm_s16le", rate=16000, layout="mono", b_frames=2
    ),
    # Neither of these signals the delay of MP2 and AAC. Their sound starts late; so the picture
    # sets time zero.
    ReferenceClip(
        container="mpg",
        video="mpeg2video",
        audio="mp2",
        rate=44100,
        layout="stereo",
        b_frames=2,
        audio_start=LATE,
    ),
    ReferenceClip(
        container="ts",
        video="libx264",
        audio="aac",
        rate=48000,
        layout="stereo",
        b_frames=2,
        audio_start=LATE,
    ),
)
