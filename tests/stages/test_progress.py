"""What progress says, on a terminal and in a log."""

from __future__ import annotations

import sys

import pytest

from stages import _progress
from stages._progress import ProgressReporter


class Clock:
    """A second a call of the report."""

    def __init__(self) -> None:
        self.now = 0.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(_progress, "time", made)
    return made


def message(
    clock: Clock,
    report: ProgressReporter,
    first: int,
    last: int,
    total: int,
    **figures: float | str,
) -> None:
    for done in range(first, last + 1):
        clock.now += 1.0
        report(done, total, **figures)


def test_a_log_has_a_line_every_half_minute(
    clock: Clock, capsys: pytest.CaptureFixture[str]
) -> None:
    message(
        clock,
        ProgressReporter("distill", quiet=False),
        1,
        65,
        100,
        seed="0 (1 of 2)",
        loss=1.5,
        MiB=812.25,
    )
    assert capsys.readouterr().err.splitlines() == [
        "distill: 30/100  seed 0 (1 of 2)  loss 1.5  MiB 812.2  1/s  70 s left",
        "distill: 60/100  seed 0 (1 of 2)  loss 1.5  MiB 812.2  1/s  40 s left",
    ]


def test_a_course_that_goes_on_counts_what_was_done_here(
    clock: Clock, capsys: pytest.CaptureFixture[str]
) -> None:
    message(clock, ProgressReporter("distill", quiet=False), 901, 930, 1000)
    assert capsys.readouterr().err == "distill: 930/1000  1/s  70 s left\n"


def test_the_next_course_has_a_rate_of_its_own(
    clock: Clock, capsys: pytest.CaptureFixture[str]
) -> None:
    report = ProgressReporter("distill", quiet=False)
    message(clock, report, 1, 10, 10)
    clock.now += 100.0  # something else is done
    message(clock, report, 5, 9, 10)
    clock.now += 26.0
    report(10, 10)
    first, second = capsys.readouterr().err.splitlines()
    assert first == "distill: 5/10"
    assert second == "distill: 10/10  0.167/s  0 s left"


def test_a_stage_that_counts_its_rate_gets_no_other(
    clock: Clock, capsys: pytest.CaptureFixture[str]
) -> None:
    message(clock, ProgressReporter("decode", quiet=False), 1, 30, 100, **{"windows/s": 12.0})
    assert capsys.readouterr().err == "decode: 30/100  12 windows/s  70 s left\n"


def test_quiet_says_nothing(clock: Clock, capsys: pytest.CaptureFixture[str]) -> None:
    message(clock, ProgressReporter("distill", quiet=True), 1, 65, 100)
    assert capsys.readouterr().err == ""


def test_a_terminal_has_a_bar_of_the_course_on_its_way(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    report = ProgressReporter("distill", quiet=False)
    courses = (
        (1, 10, "candidate", "1 of 2"),
        (10, 10, "candidate", "1 of 2"),
        (3, 20, "seed", "0 (1 of 1)"),
    )
    for done, total, name, place in courses:
        report(done, total, **{name: place, "loss": 0.25})
    assert report._bar is not None
    (task,) = report._bar.tasks
    assert (task.completed, task.total, task.fields["text"]) == (
        3,
        20,
        "seed 0 (1 of 1)  loss 0.25",
    )
    report.close()
    assert report._bar is None
