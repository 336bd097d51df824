"""The bench that students are scored on, from the params file and a folder of shards."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

    from pipeline.evaluation import Bench, Protocols
    from pipeline.params import Params


def bench_of(shards: Path, params: Params, device: str, report: Any, *, test: str = "test") -> tuple[Protocols, Bench]:
    """The protocols and the bench; distillation passes `val` as the test split and so never sees test."""
    from pipeline.evaluation import Bench, Evaluate
    from pipeline.plugins import pick
    from pipeline.shards import read_shards
    from stages._machine import device_of
    from stages._plugins import every

    settings = params.build("evaluate", Evaluate)
    metrics = every("metrics", params)
    bench = Bench(
        val=read_shards(shards / "val"),
        test=read_shards(shards / test),
        network=pick(every("networks", params), settings.network, "network"),
        metrics={name: pick(metrics, name, "metric") for name in settings.metrics},
        repeats=settings.repeats,
        bootstrap=settings.bootstrap,
        device=device_of(device),
        report=report,
    )
    return settings.protocols, bench
