"""Time: every frame and the beep of the reference clips, from each decoder and both in turn."""

from __future__ import annotations

import os
import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest

from pipeline import media
from pipeline.media import selftest as truth

if TYPE_CHECKING:
    from pathlib import Path

    from pipeline.media.selftest import GroundTruth, ReferenceClip
    from pipeline.media.tracks import Shrink

Clips = dict["ReferenceClip", tuple["Path", "GroundTruth"]]


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Clips:
    root = tmp_path_factory.mktemp("truth")
    paths = {case: root / f"{number}.{case.container}" for number, case in enumerate(truth.CASES)}
    return {case: (path, truth.write(case, path)) for case, path in paths.items()}


def each_case(test: object) -> object:
    return pytest.mark.parametrize(
        "case", truth.CASES, ids=lambda case: case.name.replace(" ", "-")
    )(test)


@each_case
@pytest.mark.parametrize("order", truth.ORDERS, ids="-".join)
def test_every_frame_is_the_one_on_display(
    clips: Clips, case: ReferenceClip, order: tuple[str, ...]
) -> None:
    finding = truth.check_frames(case, *clips[case], order)
    assert finding.verdict == "ok" or (order == ("decord",) and finding.verdict == "refused"), (
        finding.detail
    )


@each_case
@pytest.mark.parametrize("order", truth.ORDERS, ids="-".join)
def test_the_beep_is_heard_when_it_was_written(
    clips: Clips, case: ReferenceClip, order: tuple[str, ...]
) -> None:
    finding = truth.check_beep(*clips[case], order)
    assert finding.verdict == "ok" or (order == ("decord",) and finding.verdict == "refused"), (
        finding.detail
    )


@each_case
def test_decord_refuses_what_it_would_get_wrong(clips: Clips, case: ReferenceClip) -> None:
    path, _ = clips[case]
    late = case.video_start > max(min(case.video_start, case.audio_start), 0)
    finding = truth.check_frames(case, *clips[case], ["decord"])
    if not media.probe(str(path)).video.indexed:  # type: ignore[union-attr]
        assert "no full index" in finding.detail
    elif late:
        assert "decord would move it to 0" in finding.detail
    elif case.video_start < 0:
        assert (
            "an edit list hides" in finding.detail or "decord would move it to 0" in finding.detail
        )
    elif case.container in ("mp4", "mov"):
        assert finding.verdict == "ok"


def test_the_table_is_as_wide_as_promised() -> None:
    cases = truth.CASES
    assert {"mp4", "mkv", "webm", "mov", "avi"} <= {case.container for case in cases}
    assert {"libx264", "mpeg4", "libvpx-vp9", "libsvtav1"} <= {case.video for case in cases}
    assert {"mono", "stereo", "5.1"} <= {case.layout for case in cases}
    assert {8000, 96000} <= {case.rate for case in cases}
    for container in ("mp4", "mkv", "webm", "mov"):
        of_it = [case for case in cases if case.container == container]
        assert any(case.audio_start > 0 or case.video_start > 0 for case in of_it)
        assert any(len(case.steps) > 1 for case in of_it)


def test_an_edit_between_two_frames_is_where_ffmpeg_alone_goes_wrong(clips: Clips) -> None:
    case = next(case for case in truth.CASES if len(case.steps) > 1 and case.video_start < 0)
    path, message = clips[case]
    video = media.probe(str(path)).video
    assert (
        video is not None
        and video.skew * video.tick == pytest.approx(message.pts[0])
        and message.pts[0] > 0.05
    )


@pytest.mark.skipif(shutil.which("ffprobe") is None, reason="ffprobe is not installed")
@pytest.mark.parametrize("number", [1, 2, 3, 8])
def test_another_program_reads_the_same_times(clips: Clips, number: int) -> None:
    path, message = clips[truth.CASES[number]]
    command = [
        "ffprobe",
        "-v",
        "error",
        "-select_streams",
        "v",
        "-show_entries",
        "frame=best_effort_timestamp_time",
        "-of",
        "csv=p=0",
    ]
    lines = subprocess.run(
        [*command, str(path)], check=True, capture_output=True, text=True
    ).stdout.split()
    stamps = [float(line.strip(",")) for line in lines if line.strip(",")]
    zero = media.probe(str(path)).zero
    assert [stamp - zero for stamp in stamps] == pytest.approx(message.pts, abs=1e-5)


def test_a_wrong_decoder_is_called_wrong(clips: Clips, monkeypatch: pytest.MonkeyPatch) -> None:
    case = truth.CASES[0]
    honest = media.BACKENDS["pyav"]

    class Hasty:
        """Takes the next frame, and the sound 30 ms early."""

        def read_frames(
            self, path: str, probe: media.MediaProbe, times: list[float], shrink: Shrink
        ) -> list[object]:
            return honest.read_frames(path, probe, [time + 0.04 for time in times], shrink)

        def read_sound(
            self, path: str, probe: media.MediaProbe, rate: int, starts: list[float]
        ) -> object:
            return honest.read_sound(path, probe, rate, [start + 0.03 for start in starts])

    monkeypatch.setitem(media.BACKENDS, "pyav", Hasty())
    frame, beep = (
        truth.check_frames(case, *clips[case], ["pyav"]),
        truth.check_beep(*clips[case], ["pyav"]),
    )
    assert (frame.verdict, beep.verdict) == ("wrong", "wrong")
    assert frame.error_ms == pytest.approx(40) and beep.error_ms == pytest.approx(30, abs=0.1)
    assert "the beep is 30.0 ms off" in beep.detail and "frame 1 of 0.0400 s, not 0" in frame.detail


def test_writing_leaves_the_process_scheduled_as_it_was(tmp_path: Path) -> None:
    before = os.sched_getscheduler(0)
    truth.write(
        next(case for case in truth.CASES if case.video == "libsvtav1"), tmp_path / "clip.mp4"
    )
    assert os.sched_getscheduler(0) == before
