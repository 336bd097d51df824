"""The pool: every task gets an answer, whatever it does to its worker."""

from __future__ import annotations

import errno
import math
import multiprocessing.process
from typing import Any

import pytest

from pipeline.core import workers as pool
from pipeline.core.errors import EngineError
from pipeline.core.workers import WORKER_MB, measure_resident
from tests.toys.tasks import act


def answers(
    *tasks: str,
    workers: int = 2,
    deadline_s: float = 20.0,
    memory_mb: int = 1000,
    recycle: int = 100,
    usable_mb: float = math.inf,
) -> dict[str, Any]:
    limits = {
        "deadline_s": deadline_s,
        "memory_mb": memory_mb,
        "recycle": recycle,
        "usable_mb": usable_mb,
    }
    return dict(pool.work(act, tasks, workers=workers, **limits))


def test_a_crash_costs_one_task() -> None:
    result = answers("double1", "die", "double2", "double3", workers=1)
    assert result["die"].reason == "crash"
    assert "exit code 11" in result["die"].detail
    assert [result[f"double{i}"] for i in (1, 2, 3)] == ["doubledouble"] * 3


def test_a_hang_ends_at_its_deadline() -> None:
    result = answers("hang", "double", workers=1, deadline_s=3.0)
    assert result["hang"].reason == "timeout"
    assert result["double"] == "doubledouble"


def test_a_leak_ends_at_its_cap() -> None:
    result = answers("grow", "double", workers=1, memory_mb=400)
    assert result["grow"].reason == "memory"
    assert result["double"] == "doubledouble"


def test_tasks_that_do_not_fit_together_are_done_one_by_one() -> None:
    own_mb = measure_resident()
    usable_mb = (own_mb + 900) / pool.SHARE
    result = answers("hold1", "hold2", "hold3", workers=3, usable_mb=usable_mb)
    assert set(result.values()) == {"held 500 MB"}


def test_a_task_that_does_not_fit_alone_is_refused() -> None:
    result = answers("grow", "double", workers=1, memory_mb=10**6, usable_mb=1.0)
    assert result["grow"].detail == f"it took more than {WORKER_MB} MB"
    assert result["double"] == "doubledouble"


def test_a_machine_without_room_for_processes_is_a_sentence(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def refuse(*_: object) -> None:
        raise BlockingIOError(errno.EAGAIN, "Resource temporarily unavailable")

    monkeypatch.setattr(multiprocessing.process.BaseProcess, "start", refuse)
    with pytest.raises(EngineError, match=r"no more worker processes .*; lower --workers"):
        answers("double")


def test_a_refusal_and_a_surprise_have_reasons() -> None:
    result = answers("refuse", "surprise")
    assert (result["refuse"].reason, result["surprise"].reason) == ("no_audio", "decode_error")
    assert "ZeroDivisionError" in result["surprise"].detail


def test_a_worker_is_recycled() -> None:
    result = answers(*(f"pid{i}" for i in range(4)), workers=1, recycle=2)
    assert len(set(result.values())) == 2


def test_no_task_no_worker() -> None:
    assert answers() == {}


def test_a_generator_gives_its_values_one_by_one_and_each_in_its_time() -> None:
    limits: dict[str, Any] = {"deadline_s": 1.5, "memory_mb": 1000, "recycle": 100}
    results = list(pool.work(act, ["count", "break", "double"], workers=1, **limits))
    assert [value for task, value in results if task == "count"] == [0, 1, 2, 3]
    *values, failure = [value for task, value in results if task == "break"]
    assert values == [0, 1, 2, 3] and failure.reason == "decode_error"
    assert results[-1] == ("double", "doubledouble")
