"""Processors and memory, as affinity, cgroups and Slurm allow them."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from pipeline.shards import machine

GIB = 2**30
NO_LIMIT = 9223372036854771712  # as version 1 writes it


@pytest.fixture(autouse=True)
def many_processors(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(64)))
    monkeypatch.setattr(os, "cpu_count", lambda: 128)
    monkeypatch.setattr(machine, "measure_resident", lambda: 0.0)
    monkeypatch.delenv("SLURM_CPUS_PER_TASK", raising=False)


def host(root: Path, cgroup: str, **files: object) -> Path:
    """A root with 64 GiB of free memory, a cgroup, and files below /sys/fs/cgroup."""
    texts = {
        "proc/self/cgroup": cgroup,
        "proc/meminfo": f"MemTotal: {128 * 2**20} kB\nMemAvailable: {64 * 2**20} kB\n",
        **{f"sys/fs/cgroup/{name}": text for name, text in files.items()},
    }
    for name, text in texts.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(f"{text}\n")
    return root


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({}, 64),
        ({"a/b/cpu.max": "max 100000"}, 64),
        ({"a/b/cpu.max": "200000 100000"}, 2),
        ({"a/b/cpu.max": "150000 100000"}, 2),
        ({"a/b/cpu.max": "10000 100000"}, 1),
        ({"a/cpu.max": "300000 100000", "a/b/cpu.max": "max 100000"}, 3),
        ({"cpu.max": "400000 100000"}, 4),  # a container, where the mount is its own cgroup
        ({"unified/a/b/cpu.max": "500000 100000"}, 5),
        ({"a/b/cpu.max": "garbage"}, 64),
    ],
)
def test_the_quota_of_version_2(files: dict[str, str], expected: int, tmp_path: Path) -> None:
    assert machine.count_processors(host(tmp_path, "0::/a/b", **files)) == expected


@pytest.mark.parametrize(
    ("cgroup", "folder"),
    [
        ("3:cpu,cpuacct:/docker/x", "cpu,cpuacct/docker/x"),
        ("3:cpu,cpuacct:/docker/x", "cpu"),
        ("1:cpu:/", "cpu"),
    ],
)
def test_the_quota_of_version_1(cgroup: str, folder: str, tmp_path: Path) -> None:
    files = {f"{folder}/cpu.cfs_quota_us": 200000, f"{folder}/cpu.cfs_period_us": 100000}
    root = host(tmp_path, cgroup, **files)
    assert machine.count_processors(root) == 2
    assert machine.describe_processors(root) == "2 of 128 (cgroup quota)"


def test_no_quota_of_version_1(tmp_path: Path) -> None:
    files = {"cpu/cpu.cfs_quota_us": -1, "cpu/cpu.cfs_period_us": 100000}
    assert machine.count_processors(host(tmp_path, "1:cpu:/", **files)) == 64


def test_slurm_counts_where_the_affinity_is_the_whole_node(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SLURM_CPUS_PER_TASK", "8")
    assert machine.describe_processors(host(tmp_path, "")) == "8 of 128 (SLURM_CPUS_PER_TASK)"


@pytest.mark.parametrize(
    ("cgroup", "files", "expected_mb"),
    [
        ("0::/a/b", {"a/b/memory.max": "max"}, 65536),
        ("0::/a/b", {"a/b/memory.max": 2 * GIB}, 2048),
        ("0::/a/b", {"a/memory.high": GIB, "a/b/memory.max": 2 * GIB}, 1024),
        ("4:memory:/x", {"memory/x/memory.limit_in_bytes": 3 * GIB}, 3072),
        ("4:memory:/x", {"memory/x/memory.limit_in_bytes": NO_LIMIT}, 65536),
        ("4:memory:/gone", {"memory/memory.limit_in_bytes": GIB}, 1024),
    ],
)
def test_the_memory(
    cgroup: str, files: dict[str, object], expected_mb: float, tmp_path: Path
) -> None:
    assert machine.measure_memory(host(tmp_path, cgroup, **files)) == expected_mb


@pytest.mark.parametrize(("limit", "workers"), [(8 * GIB, 4), (1 * GIB, 2), (GIB // 8, 1)])
def test_workers_fit_processors_and_memory(limit: int, workers: int, tmp_path: Path) -> None:
    root = host(tmp_path, "0::/", **{"cpu.max": "400000 100000", "memory.max": limit})
    assert machine.count_workers(root) == workers


def test_the_memory_is_described_with_its_reason(tmp_path: Path) -> None:
    limited = host(tmp_path, "0::/", **{"memory.max": 2 * GIB})
    assert machine.describe_memory(limited) == "2.1 of 137.4 GB (cgroup limit)"


def test_a_machine_without_proc_has_one_processor_or_more(tmp_path: Path) -> None:
    assert machine.count_workers(tmp_path) == 64
