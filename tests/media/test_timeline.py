"""Irregular timelines: gaps, late streams, seeking, no duration, many tracks, damage, locks."""

from __future__ import annotations

import os
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import av
import numpy as np
import pytest

from pipeline import media
from pipeline.core.errors import MediaError
from pipeline.media import FrameTrack, SoundTrack
from pipeline.media.downmix import mix_to_mono
from pipeline.media.placement import PlacedSound
from tests.toys.decoding import clip_of

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

FPS, RATE = 25, 16000
TRACKS: dict[str, media.Track] = {
    "frame": FrameTrack(width=8, height=8, crop=True, offsets=(0.5,)),
    "logmel": SoundTrack(rate=RATE),
}
BOTH = ["decord", "pyav"]


def tone(seconds: float, rate: int = RATE) -> np.ndarray:
    return (12000 * np.sin(2 * np.pi * 500 * np.arange(int(seconds * rate)) / rate)).astype(
        np.int16
    )


def sounds(stream: Any, samples: np.ndarray, first: int = 0) -> Iterable[Any]:
    """Packets of i16 [C, n], from sample `first` on."""
    frame = av.AudioFrame.from_ndarray(
        np.ascontiguousarray(samples.T.reshape(1, -1)), format="s16", layout=stream.layout.name
    )
    frame.rate, frame.pts, frame.time_base = stream.rate, first, Fraction(1, stream.rate)
    return stream.encode(frame)


def pictures(stream: Any, levels: Iterable[int]) -> Iterable[Any]:
    """Packets of even frames, one per level."""
    for number, level in enumerate(levels):
        frame = av.VideoFrame.from_ndarray(np.full((64, 64, 3), level, np.uint8), format="rgb24")
        frame.pts, frame.time_base = number, Fraction(1, FPS)
        yield from stream.encode(frame)


def film(container: Any, codec: str = "libx264", side: int = 64, **options: str) -> Any:
    stream = container.add_stream(codec, rate=FPS, options={"threads": "1", **options})
    stream.width = stream.height = side
    stream.pix_fmt = "yuv420p"
    return stream


def outcomes(
    path: Path, tracks: dict[str, media.Track], backends: list[str] = BOTH
) -> dict[str, list[str]]:
    seconds = media.decode(clip_of(path), tracks, backends)
    return {m: [second.readings[m].reason or "ok" for second in seconds] for m in tracks}


@pytest.mark.parametrize("backends", [["pyav"], BOTH])
def test_a_gap_in_the_sound_stays_where_it_is(tmp_path: Path, backends: list[str]) -> None:
    path = tmp_path / "gap.mkv"
    with av.open(str(path), "w") as container:
        stream: Any = container.add_stream("pcm_s16le", rate=RATE, layout="mono")
        container.mux(
            [
                *sounds(stream, tone(1.0)[None]),
                *sounds(stream, tone(2.0)[None], 2 * RATE),
                *stream.encode(None),
            ]
        )
    assert outcomes(path, {"logmel": SoundTrack(rate=RATE)}, backends) == {
        "logmel": ["ok", "truncated_audio", "ok", "ok"]
    }
    third = (
        media.decode(clip_of(path), {"logmel": SoundTrack(rate=RATE)}, backends)[2]
        .readings["logmel"]
        .array
    )
    assert third is not None and np.abs(third - tone(1.0) / 32768).max() < 1e-3


def test_a_second_before_the_sound_begins_is_no_sample(tmp_path: Path) -> None:
    path = tmp_path / "late.mkv"
    with av.open(str(path), "w") as container:
        video, audio = film(container), container.add_stream("pcm_s16le", rate=RATE, layout="mono")
        container.mux([*pictures(video, [90] * 3 * FPS), *video.encode(None)])
        container.mux([*sounds(audio, tone(2.0)[None], RATE), *audio.encode(None)])
    seconds = media.decode(clip_of(path), TRACKS, BOTH)
    assert [second.readings["logmel"].reason for second in seconds] == ["av_offset", "", ""]
    assert "the sound starts at 1.00 s" in seconds[0].readings["logmel"].detail


def test_a_far_window_is_found_by_seeking(tmp_path: Path) -> None:
    path = tmp_path / "long.mp4"
    levels = [20 + 10 * (number // FPS) for number in range(16 * FPS)]
    with av.open(str(path), "w") as container:
        video = film(container, g="40", bf="3")
        container.mux([*pictures(video, levels), *video.encode(None)])
    picture = FrameTrack(width=8, height=8, crop=True, offsets=(0.0, 0.96))
    for start in (6, 8, 9, 14):
        (second,) = media.decode(clip_of(path, start, start + 1), {"frame": picture}, ["pyav"])
        assert second.readings["frame"].pts == (start, start + 0.96)
        frame: Any = second.readings["frame"].array
        assert frame == pytest.approx(20 + 10 * start, abs=2)


def test_a_header_without_duration_is_no_short_clip(tmp_path: Path) -> None:
    path = tmp_path / "live.webm"
    with av.open(str(path), "w", options={"live": "1"}) as container:
        video, audio = (
            film(container, "libvpx-vp9"),
            container.add_stream("libopus", rate=48000, layout="mono"),
        )
        container.mux([*pictures(video, [90] * 2 * FPS), *video.encode(None)])
        container.mux([*sounds(audio, tone(2.0, 48000)[None]), *audio.encode(None)])
    with av.open(str(path)) as container:
        assert container.duration is None
    assert outcomes(path, TRACKS) == {"frame": ["ok", "ok"], "logmel": ["ok", "ok"]}


def test_a_clock_that_wraps_goes_on(tmp_path: Path) -> None:
    path = tmp_path / "wrap.ts"
    levels = [20 + 60 * (number // FPS) for number in range(3 * FPS)]
    with av.open(
        str(path), "w", format="mpegts", options={"output_ts_offset": "95442"}
    ) as container:
        video, audio = (
            film(container, bf="0"),
            container.add_stream("mp2", rate=RATE, layout="mono"),
        )
        packets = [
            *pictures(video, levels),
            *video.encode(None),
            *sounds(audio, tone(3.0)[None]),
            *audio.encode(None),
        ]
        container.mux(sorted(packets, key=lambda packet: packet.dts * packet.time_base))
    assert outcomes(path, TRACKS) == {"frame": ["ok"] * 3, "logmel": ["ok"] * 3}
    seconds = media.decode(clip_of(path), {"frame": TRACKS["frame"]}, BOTH)
    assert [second.readings["frame"].array.mean() for second in seconds] == pytest.approx(
        [20, 80, 140], abs=3
    )  # type: ignore[union-attr]


@pytest.mark.parametrize(("hours", "outcome"), [(3, "ok"), (300, "decode_error")])
def test_time_stamps_that_nobody_believes(tmp_path: Path, hours: int, outcome: str) -> None:
    path = tmp_path / "wild.mkv"
    with av.open(str(path), "w") as container:
        stream: Any = container.add_stream("pcm_s16le", rate=RATE, layout="mono")
        container.mux(
            [
                *sounds(stream, tone(1.0)[None]),
                *sounds(stream, tone(1.0)[None], hours * 3600 * RATE),
            ]
        )
    clip = clip_of(path, 0.0, 1.0)
    if outcome == "ok":
        assert (
            media.decode(clip, {"logmel": SoundTrack(rate=8000)}, BOTH)[0].readings["logmel"].array
            is not None
        )
    else:
        with pytest.raises(MediaError, match="300 hours") as caught:
            media.decode(clip, {"logmel": SoundTrack(rate=8000)}, BOTH)
        assert caught.value.reason == outcome


def test_one_wild_time_stamp_costs_no_memory() -> None:
    def piece() -> Any:
        frame = av.AudioFrame.from_ndarray(tone(1.0)[None], format="s16", layout="mono")
        frame.rate = RATE
        return frame

    track = PlacedSound(rate=RATE, channels=("FC",))
    for start in (-0.5, 0.5, 1e9, 2.5):
        track.add(piece(), start)
    whole = track.assemble(3.0)
    assert len(whole) == 4 * RATE
    assert (
        np.isnan(whole).sum() == pytest.approx(1.5 * RATE, abs=RATE / 50)
        and not np.isnan(whole[: int(1.5 * RATE)]).any()
    )


def test_of_several_tracks_the_one_that_players_show(tmp_path: Path) -> None:
    path = tmp_path / "two.mkv"
    with av.open(str(path), "w") as container:
        small, large = film(container, side=32), film(container, side=64)
        small.disposition, large.disposition = (
            av.stream.Disposition.forced,
            av.stream.Disposition.default,
        )
        for stream, level in ((small, 20), (large, 200)):
            for number in range(2 * FPS):
                frame = av.VideoFrame.from_ndarray(
                    np.full((stream.height, stream.width, 3), level, np.uint8), format="rgb24"
                )
                frame.pts, frame.time_base = number, Fraction(1, FPS)
                container.mux(stream.encode(frame))
            container.mux(stream.encode(None))
    for backends in (["pyav"], BOTH):
        (first, *_) = media.decode(clip_of(path), {"frame": TRACKS["frame"]}, backends)
        assert first.readings["frame"].array.mean() > 150  # type: ignore[union-attr]


def test_a_cover_picture_is_no_video(tmp_path: Path) -> None:
    path = tmp_path / "cover.m4a"
    with av.open(str(path), "w", format="mp4") as container:
        cover: Any = container.add_stream("mjpeg", rate=1)
        cover.width = cover.height = 64
        cover.pix_fmt = "yuvj420p"
        cover.disposition = av.stream.Disposition.attached_pic
        audio: Any = container.add_stream("aac", rate=RATE, layout="mono")
        container.mux(
            [
                *pictures(cover, [90]),
                *cover.encode(None),
                *sounds(audio, tone(1.0)[None]),
                *audio.encode(None),
            ]
        )
    with pytest.raises(MediaError) as caught:
        media.decode(clip_of(path), TRACKS, BOTH)
    assert caught.value.reason == "no_video"


@pytest.mark.parametrize("backend", BOTH)
def test_stereo_is_the_mean_of_left_and_right(tmp_path: Path, backend: str) -> None:
    path = tmp_path / "stereo.mkv"
    left, right = np.full(RATE, 32000, np.int16), np.full(RATE, 16000, np.int16)
    with av.open(str(path), "w") as container:
        stream: Any = container.add_stream("pcm_s16le", rate=RATE, layout="stereo")
        container.mux([*sounds(stream, np.stack([left, right])), *stream.encode(None)])
    (second,) = media.decode(clip_of(path), {"logmel": SoundTrack(rate=RATE)}, [backend])
    sound: Any = second.readings["logmel"].array
    assert sound == pytest.approx(24000 / 32768, abs=1e-4)


@pytest.mark.parametrize(
    "channels",
    [
        ("FL", "FR"),
        ("FL", "FR", "FC", "LFE", "BL", "BR"),
        ("FL", "FR", "FC", "LFE", "SL", "SR"),
        (),
    ],
)
def test_no_downmix_is_louder_than_its_channels(channels: tuple[str, ...]) -> None:
    count = len(channels) or 3
    assert mix_to_mono(np.ones((count, 4), np.float32), channels) == pytest.approx(1.0)
    if "LFE" in channels:
        only = np.array([[float(name == "LFE")] for name in channels], np.float32)
        assert mix_to_mono(only, channels) == 0


def test_damage_costs_the_seconds_it_hits(tmp_path: Path) -> None:
    path, noise = tmp_path / "damaged.mkv", np.random.default_rng(0)
    with av.open(str(path), "w") as container:
        stream = film(container, g="25", bf="0")
        for number in range(6 * FPS):
            frame = av.VideoFrame.from_ndarray(
                noise.integers(0, 256, (64, 64, 3), np.uint8), format="rgb24"
            )
            frame.pts, frame.time_base = number, Fraction(1, FPS)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    picture = FrameTrack(width=64, height=64, crop=True, offsets=(0.1, 0.3, 0.5, 0.7, 0.9))
    whole = media.decode(clip_of(path), {"frame": picture}, ["pyav"])
    content = bytearray(path.read_bytes())
    third = int(0.45 * len(content))  # 2.7 s
    content[third : third + 400] = noise.integers(0, 256, 400, np.uint8).tobytes()
    path.write_bytes(content)
    hit = media.decode(clip_of(path), {"frame": picture}, BOTH)
    assert [second.readings["frame"].reason for second in hit] == [
        "",
        "",
        "decode_error",
        "",
        "",
        "",
    ]
    for before, after in zip(whole, hit, strict=True):
        kept = after.readings["frame"].array
        frame: Any = before.readings["frame"].array
        assert kept is None or np.array_equal(kept, frame)
    with pytest.raises(MediaError, match="decord: "):
        media.decode(clip_of(path), {"frame": picture}, ["decord"])


def test_a_locked_stream_is_not_guessed_at(tmp_path: Path) -> None:
    path = tmp_path / "locked.mp4"
    lock = {
        "encryption_scheme": "cenc-aes-ctr",
        "encryption_key": "0" * 32,
        "encryption_kid": "1" * 32,
    }
    with av.open(str(path), "w", options=lock) as container:
        video = film(container)
        container.mux([*pictures(video, [90] * 2 * FPS), *video.encode(None)])
    for backends in (["decord"], ["pyav"], BOTH):
        with pytest.raises(MediaError, match="the stream is encrypted") as caught:
            media.decode(clip_of(path), {"frame": TRACKS["frame"]}, backends)
        assert caught.value.reason == "decode_error"


def test_a_folder_with_a_films_name_is_no_film(tmp_path: Path) -> None:
    (tmp_path / "folder.mp4").mkdir()
    with pytest.raises(MediaError) as caught:
        media.decode(clip_of(tmp_path / "folder.mp4"), TRACKS, BOTH)
    assert caught.value.reason == "decode_error"


def test_decoders_keep_off_the_terminal(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "cut.mp4"
    noise = np.random.default_rng(0)
    media.write_clip(
        path,
        (noise.integers(0, 256, (64, 64, 3), np.uint8) for _ in range(3 * FPS)),
        FPS,
        tone(3.0) / 32768,
        RATE,
    )
    content = bytearray(path.read_bytes())
    content[len(content) // 3 : len(content) // 2] = os.urandom(
        len(content) // 2 - len(content) // 3
    )
    path.write_bytes(content)
    for modality, track in TRACKS.items():
        media.decode(clip_of(path), {modality: track}, BOTH)
    assert capfd.readouterr() == ("", "")
