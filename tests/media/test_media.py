"""Media: the frame on display and the sound of that very second, the same from both decoders."""

from __future__ import annotations

import subprocess
import sys
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from pipeline import media
from pipeline.core.errors import MediaError
from pipeline.media import FrameTrack, SoundTrack
from tests.toys.decoding import clip_of
from tests.toys.project import REAL_DATA, ROOT

FPS, RATE = 25, 16000
FLASH, BEEP = 35, 1.4  # the frame at 1.4 s turns bright as the tone begins


@pytest.fixture(scope="module")
def flash_and_beep(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("flash") / "flash.mp4"
    tone = np.zeros(3 * RATE, np.float32)
    on = int(BEEP * RATE)
    tone[on : on + 1600] = 0.5 * np.sin(2 * np.pi * 1000 * np.arange(1600) / RATE)
    frames = (np.full((128, 128, 3), 220 if i >= FLASH else 30, np.uint8) for i in range(3 * FPS))
    media.write_clip(path, frames, FPS, tone, RATE)
    return path


@pytest.mark.parametrize("backend", sorted(media.BACKENDS))
def test_the_frame_is_the_one_on_display(flash_and_beep: Path, backend: str) -> None:
    picture = FrameTrack(width=8, height=8, crop=True, offsets=(0.39, 0.4, 0.41))
    second = media.decode(clip_of(flash_and_beep), {"frame": picture}, [backend])[1]
    assert second.readings["frame"].pts == (1.36, 1.4, 1.4)
    assert second.readings["frame"].array.mean((1, 2, 3)).round(-1).tolist() == [30, 220, 220]


@pytest.mark.parametrize("backend", sorted(media.BACKENDS))
def test_the_beep_begins_where_it_was_written(flash_and_beep: Path, backend: str) -> None:
    seconds = media.decode(clip_of(flash_and_beep), {"logmel": SoundTrack(rate=RATE)}, [backend])
    track = np.concatenate([second.readings["logmel"].array for second in seconds])
    assert np.argmax(np.abs(track) > 0.1) / RATE == pytest.approx(BEEP, abs=0.002)


def test_a_span_shifts_picture_and_sound_alike(flash_and_beep: Path) -> None:
    tracks = {
        "frame": FrameTrack(width=8, height=8, crop=True, offsets=(0.0,)),
        "logmel": SoundTrack(rate=RATE),
    }
    (second,) = media.decode(clip_of(flash_and_beep, 1.4, 2.4), tracks, ["decord"])
    assert second.readings["frame"].array.mean() > 200
    assert np.argmax(np.abs(second.readings["logmel"].array) > 0.1) / RATE == pytest.approx(
        0, abs=0.002
    )


def test_a_late_stream_keeps_its_place(tmp_path: Path) -> None:
    import av

    path = tmp_path / "late.mkv"
    tone = (20000 * np.sin(2 * np.pi * 1000 * np.arange(2 * RATE) / RATE)).astype(np.int16)
    tone[: int(BEEP * RATE)] = 0
    with av.open(str(path), "w") as container:
        video, audio = (
            container.add_stream("libx264", rate=FPS),
            container.add_stream("pcm_s16le", rate=RATE, layout="mono"),
        )
        video.width = video.height = 64
        for index in range(2 * FPS):
            frame = av.VideoFrame.from_ndarray(
                np.full((64, 64, 3), 220 if index >= 10 else 30, np.uint8), format="rgb24"
            )
            frame.pts, frame.time_base = (
                index + 15,
                Fraction(1, FPS),
            )  # the first frame comes at 0.6 s, the bright one at 1.0 s
            container.mux(video.encode(frame))
        sound = av.AudioFrame.from_ndarray(tone[None], format="s16", layout="mono")
        sound.rate, sound.pts, sound.time_base = RATE, 0, Fraction(1, RATE)
        container.mux([*audio.encode(sound), *video.encode(None), *audio.encode(None)])
    tracks = {
        "frame": FrameTrack(width=8, height=8, crop=True, offsets=(0.9,)),
        "logmel": SoundTrack(rate=RATE),
    }
    first, second = media.decode(clip_of(path), tracks, ["decord", "pyav"])[:2]
    assert first.readings["frame"].array.mean() < 50 and second.readings["frame"].array.mean() > 200
    assert np.argmax(np.abs(second.readings["logmel"].array) > 0.1) / RATE == pytest.approx(
        BEEP - 1, abs=0.002
    )


def test_crop_keeps_the_aspect_and_squash_does_not(tmp_path: Path) -> None:
    frame = np.zeros((64, 128, 3), np.uint8)
    frame[:, 32:96] = 255  # the middle square is white
    path = tmp_path / "wide.mp4"
    media.write_clip(path, [frame] * FPS, FPS, np.zeros(RATE, np.float32), RATE)

    def mean(crop: bool) -> float:
        (second,) = media.decode(
            clip_of(path),
            {"frame": FrameTrack(width=16, height=16, crop=crop, offsets=(0.5,))},
            ["pyav"],
        )
        return second.readings["frame"].array.mean()

    assert mean(crop=True) > 240
    assert mean(crop=False) == pytest.approx(128, abs=10)


@pytest.mark.parametrize(
    ("content", "reason"),
    [(b"not a video at all", "decode_error"), (None, "missing_file"), (b"", "decode_error")],
)
def test_what_is_no_video_has_a_reason(tmp_path: Path, content: bytes | None, reason: str) -> None:
    path = tmp_path / "clip.mp4"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(MediaError) as caught:
        media.decode(clip_of(path), {"logmel": SoundTrack(rate=RATE)}, ["decord", "pyav"])
    assert caught.value.reason == reason


def test_a_silent_film_has_no_audio(tmp_path: Path) -> None:
    import av

    path = tmp_path / "silent.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=FPS)
        stream.width = stream.height = 64
        for _ in range(FPS):
            container.mux(
                stream.encode(
                    av.VideoFrame.from_ndarray(np.zeros((64, 64, 3), np.uint8), format="rgb24")
                )
            )
        container.mux(stream.encode(None))
    with pytest.raises(MediaError) as caught:
        media.decode(clip_of(path), {"logmel": SoundTrack(rate=RATE)}, ["decord", "pyav"])
    assert caught.value.reason == "no_audio"


def test_less_than_a_second_is_short(flash_and_beep: Path) -> None:
    with pytest.raises(MediaError) as caught:
        media.decode(clip_of(flash_and_beep, 2.5), {"logmel": SoundTrack(rate=RATE)}, ["pyav"])
    assert caught.value.reason == "short"


def test_a_window_beyond_the_end_is_truncated(flash_and_beep: Path) -> None:
    tracks = {
        "frame": FrameTrack(width=8, height=8, crop=True, offsets=(0.5,)),
        "logmel": SoundTrack(rate=RATE),
    }
    last = media.decode(clip_of(flash_and_beep, 0.0, 4.0), tracks, ["pyav"])[3]
    assert {m: reading.reason for m, reading in last.readings.items()} == {
        "frame": "truncated_video",
        "logmel": "truncated_audio",
    }


def test_media_never_imports_torch() -> None:
    code = "import sys, pipeline.media, pipeline.core.workers\n"
    code += "raise SystemExit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False, cwd=ROOT).returncode == 0


def test_encoding_does_not_depend_on_what_memory_held(tmp_path: Path) -> None:
    code = (
        "import sys, numpy as np; from pathlib import Path; from pipeline import media;"
        "n = np.random.default_rng(0);"
        "f = [n.integers(0, 256, (64, 64, 3), dtype=np.uint8) // 4 + 8 * i for i in range(12)];"
        "media.write_clip(Path(sys.argv[1]), f, 12, n.normal(size=16000).astype('f4') / 9, 16000)"
    )
    for fill in ("0", "85", "170"):
        environment = {"MALLOC_PERTURB_": fill, "PATH": ""}
        subprocess.run(
            [sys.executable, "-c", code, tmp_path / fill],
            check=True,
            cwd=ROOT,
            env=environment,
        )
    assert len({path.read_bytes() for path in tmp_path.iterdir()}) == 1


def test_png_is_a_png() -> None:
    assert media.encode_png(np.zeros((4, 6, 3), np.uint8)).startswith(b"\x89PNG")


@pytest.mark.skipif(not REAL_DATA.exists(), reason="the real clips are not here")
@pytest.mark.parametrize("name", ["avmnist_fsdd", "grid_digits", "esc_photo"])
def test_both_decoders_agree_on_real_clips(name: str) -> None:
    tracks = {
        "frame": FrameTrack(width=32, height=32, crop=True, offsets=(0.5,)),
        "logmel": SoundTrack(rate=RATE),
    }
    for path in sorted((REAL_DATA / name / "test").rglob("*.mp4"))[:6]:
        one, other = (
            media.decode(clip_of(path), tracks, [backend]) for backend in ("decord", "pyav")
        )
        assert len(one) == len(other) >= 1
        for first, second in zip(one, other, strict=True):
            assert first.readings["frame"].pts == second.readings["frame"].pts
            assert all(
                np.array_equal(first.readings[m].array, second.readings[m].array) for m in tracks
            )
