"""The processors and the memory that this process may use: affinity, cgroup limits and Slurm."""

from __future__ import annotations

import math
import os
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.core.workers import WORKER_MB, measure_resident

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path("/")
MIB = 2**20
# Mounts of a cgroup hierarchy below /sys/fs/cgroup: version 2, and version 2 beside version 1.
UNIFIED = ("", "unified")
# Processors of a task of Slurm, where the affinity is the whole node.
SLURM = "SLURM_CPUS_PER_TASK"


def count_processors(root: Path = ROOT) -> int:
    """Return how many processors this process may use, at least 1.

    It is the smallest of affinity, cgroup quota (rounded up) and SLURM_CPUS_PER_TASK.

    Args:
        root: of the folders proc and sys.
    """
    return max(1, math.ceil(min(_count_by_reason(root).values())))


def measure_memory(root: Path = ROOT) -> float:
    """Return the megabytes that this process and its workers may use in all.

    It is the smaller of the cgroup limits, and of the host's free memory with what this process
    holds already.

    Args:
        root: of the folders proc and sys.
    """
    available = _read_host_memory("MemAvailable", root) + measure_resident()
    return min([*_read_memory_limits(root), available])


def count_workers(root: Path = ROOT) -> int:
    """Return how many workers to start by default: a processor and 512 MB each, at least 1.

    Args:
        root: of the folders proc and sys.
    """
    return max(1, int(min(count_processors(root), measure_memory(root) / WORKER_MB)))


def describe_processors(root: Path = ROOT) -> str:
    """Return a phrase such as "2 of 64 (cgroup quota)".

    Args:
        root: of the folders proc and sys.
    """
    counts = _count_by_reason(root)
    reason = min(counts, key=lambda name: counts[name])
    return f"{count_processors(root)} of {os.cpu_count()}" + f" ({reason})" * bool(reason)


def describe_memory(root: Path = ROOT) -> str:
    """Return a phrase such as "2.1 of 67.4 GB (cgroup limit)", in units of 10^9 bytes.

    Args:
        root: of the folders proc and sys.
    """
    usable, total = measure_memory(root), _read_host_memory("MemTotal", root)
    reason = " (cgroup limit)" if usable in _read_memory_limits(root) else ""
    return f"{usable * MIB / 1e9:.1f} of {total * MIB / 1e9:.1f} GB{reason}"


def _count_by_reason(root: Path) -> dict[str, float]:
    """Return the processors that each limit allows; the affinity's has the name ""."""
    counts = {"": float(len(os.sched_getaffinity(0)))}
    quotas, slurm = _read_quotas(root), os.environ  # the machine, no path and no setting
    if quotas:
        counts["cgroup quota"] = min(quotas)
    if SLURM in slurm and slurm[SLURM].isdecimal():
        counts[SLURM] = float(slurm[SLURM])
    return counts


def _read_quotas(root: Path) -> list[float]:
    """Return the processors that each cgroup above this process allows; versions 2 and 1."""
    quotas = []
    for folder in _list_cgroups("cpu", root):
        limit, _, period = _read(folder / "cpu.max").partition(" ")
        pairs = [
            (limit, period),
            (_read(folder / "cpu.cfs_quota_us"), _read(folder / "cpu.cfs_period_us")),
        ]
        quotas += [
            int(quota) / int(each)
            for quota, each in pairs
            if quota.isdecimal() and each.isdecimal() and int(each)
        ]
    return quotas


def _read_memory_limits(root: Path) -> list[float]:
    """Return the megabytes that each cgroup above this process allows; no limit is left out."""
    texts = [
        _read(folder / name)
        for folder in _list_cgroups("memory", root)
        for name in ("memory.max", "memory.high", "memory.limit_in_bytes")
    ]
    # Version 1 writes the largest number of whole pages for "no limit".
    return [int(text) / MIB for text in texts if text.isdecimal() and int(text) < 2**62]


def _read_host_memory(field: str, root: Path) -> float:
    """Return a field of /proc/meminfo in megabytes; infinity where it is missing."""
    for line in _read(root / "proc/meminfo").splitlines():
        name, _, value = line.partition(":")
        if name == field:
            return int(value.split()[0]) / 1024
    return math.inf


def _list_cgroups(controller: str, root: Path) -> Iterator[Path]:
    """Yield the folders of this process's cgroup and of those above it.

    A container may see the paths of its host, which are missing below its own mounts; the mount
    itself then holds the container's limits.
    """
    mounts = root / "sys/fs/cgroup"
    for line in _read(root / "proc/self/cgroup").splitlines():
        _, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        names = (controllers, controller) if controllers else UNIFIED
        if controllers and controller not in controllers.split(","):
            continue
        below = Path(path.lstrip("/"))
        for name in dict.fromkeys(names):
            for part in (below, *below.parents):
                yield mounts / name / part


def _read(path: Path) -> str:
    """Return a file's text without the white space around it; "" if it cannot be read."""
    try:
        return path.read_text(encoding="ascii").strip()
    except (OSError, ValueError):
        return ""
