"""Decoding on two Ray nodes on this machine: the local pool's bytes, also after a node dies."""

from __future__ import annotations

import importlib.util
import os
import secrets
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from pipeline.core.errors import EngineError
from pipeline.shards.decode import decode_all
from pipeline.shards.engines import ray as door
from pipeline.shards.engines.ray import Engine
from pipeline.training.loop import ignore_progress
from tests.toys.decoding import DECODE, digests
from tests.toys.project import ROOT
from tests.toys.tasks import act

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pipeline.core.records import Clip

# Ray reads its settings when it is first imported, so that must wait for the fixture.
pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("ray") is None, reason="the extra `ray` is not installed"
)

LIMITS: dict[str, Any] = {"deadline_s": 60.0, "memory_mb": 2000, "recycle": 100}
NODE = {"num_cpus": 1, "object_store_memory": 80 * 2**20}


@pytest.fixture(scope="module", autouse=True)
def settings() -> Iterator[None]:
    """Little memory, no statistics, a secret password, and our modules on every node."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(ROOT))
        patch.setenv("RAY_AUTH_MODE", "token")
        patch.setenv("RAY_AUTH_TOKEN", secrets.token_hex(32))
        patch.setenv("RAY_DEFAULT_OBJECT_STORE_MAX_MEMORY_BYTES", str(NODE["object_store_memory"]))
        patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
        patch.setenv("RAY_health_check_period_ms", "500")  # a dead node is noticed within seconds
        yield


@pytest.fixture(scope="module")
def cluster(settings: None) -> Iterator[Any]:
    """A head that only keeps the books, and a node of one CPU; tests add the second."""
    from ray.cluster_utils import Cluster

    nodes = Cluster(
        initialize_head=True, head_node_args={**NODE, "num_cpus": 0, "include_dashboard": False}
    )
    nodes.add_node(**NODE)
    yield nodes
    nodes.shutdown()


@pytest.fixture
def second(cluster: Any) -> Iterator[Any]:
    """A second node, which a test may kill."""
    node = cluster.add_node(**NODE)
    yield node
    if node in cluster.list_all_nodes():
        cluster.remove_node(node)


def engine(cluster: Any) -> Engine:
    return Engine(address=cluster.address)


def stay(task: Path) -> str:
    """Say on which node the task was begun; on the one that its folder names, never end."""
    node = os.environ["RAY_RAYLET_PID"]
    (task.parent / f"{task.name}-{node}").touch()
    while node == task.parent.name:
        time.sleep(0.02)
    return node


@pytest.mark.slow
def test_two_nodes_change_no_byte(
    cluster: Any, second: Any, clips: list[Clip], shards: Path, tmp_path: Path
) -> None:
    decode_all(clips, tmp_path / "shards", DECODE, engine(cluster), ignore_progress)
    assert digests(tmp_path / "shards") == digests(shards)


def test_a_node_killed_in_the_middle_changes_no_byte(
    cluster: Any, second: Any, clips: list[Clip], shards: Path, tmp_path: Path
) -> None:
    def report(done: int, total: int, **figures: float) -> None:
        if done == 1:
            cluster.remove_node(second, allow_graceful=False)

    decode_all(clips, tmp_path / "shards", DECODE, engine(cluster), report)
    assert digests(tmp_path / "shards") == digests(shards)


@pytest.mark.slow
def test_what_a_killed_node_held_is_done_elsewhere(
    cluster: Any, second: Any, tmp_path: Path
) -> None:
    doomed = str(second.all_processes["raylet"][0].process.pid)
    folder = tmp_path / doomed
    folder.mkdir()

    def kill() -> None:
        while not list(folder.glob(f"*-{doomed}")):
            time.sleep(0.02)
        cluster.remove_node(second, allow_graceful=False)

    killer = threading.Thread(target=kill)
    killer.start()
    tasks = [folder / f"task{i}" for i in range(4)]
    answers = dict(engine(cluster).work(stay, [[task] for task in tasks], **LIMITS))
    killer.join()
    assert set(answers) == set(tasks)
    begun = [path.name.split("-") for path in folder.glob("task*")]
    held = {task for task, node in begun if node == doomed}
    assert held and all(answers[folder / task] != doomed for task in held)


def test_a_crash_costs_one_task_of_its_batch() -> None:
    """On a Ray that is started for the work and ends with it."""
    import ray

    answers = dict(
        Engine(address="").work(act, [["double1", "die", "double2"], ["modules"]], **LIMITS)
    )
    assert answers["die"].reason == "crash" and "exit code 11" in answers["die"].detail
    assert answers["double1"] == answers["double2"] == "doubledouble"
    assert answers["modules"] == [], "workers on nodes stay without torch"
    assert not ray.is_initialized()


@pytest.mark.slow
def test_nothing_to_do_asks_for_no_node(cluster: Any) -> None:
    assert list(engine(cluster).work(act, [], **LIMITS)) == []


@pytest.mark.slow
def test_only_some_batches_are_under_way(cluster: Any) -> None:
    taken: list[str] = []

    def batches() -> Iterator[list[str]]:
        for i in range(8):
            taken.append(f"double{i}")
            yield taken[-1:]

    for number, _ in enumerate(engine(cluster).work(act, batches(), **LIMITS), start=1):
        assert len(taken) <= number + door.AHEAD
    assert len(taken) == 8


@pytest.mark.slow
def test_another_version_on_a_node_is_refused(
    cluster: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(door, "_collect_versions", lambda: {"av": "0.1"})
    with pytest.raises(
        EngineError, match=r"has av \d.*, the driver 0.1; install the same on every node"
    ):
        list(engine(cluster).work(act, [["double"]], **LIMITS))


@pytest.mark.slow
def test_a_function_that_a_node_cannot_import_is_one_sentence(
    cluster: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "here_alone.py").write_text("def act(task):\n    return task\n")
    monkeypatch.syspath_prepend(tmp_path)
    import here_alone

    with pytest.raises(
        EngineError,
        match=r"could not finish a batch .*here_alone.*; see that every node has avdistill",
    ):
        list(engine(cluster).work(here_alone.act, [["double"]], **LIMITS))


@pytest.mark.parametrize(
    "address", ["127.0.0.1:1", "nowhere.invalid:6379", "nonsense", "127.0.0.1:123456"]
)
def test_no_cluster_there_is_one_sentence(address: str) -> None:
    with pytest.raises(
        EngineError, match=rf"^no Ray cluster at {address} \(.*\); `ray start` starts one"
    ):
        list(Engine(address=address).work(act, [["double"]], **LIMITS))


def test_ray_absent_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(EngineError, match=r"needs the package ray; pip install 'avdistill\[ray\]'"):
        list(Engine(address="").work(act, [["double"]], **LIMITS))
