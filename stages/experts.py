"""training shards -> a bank of trained networks"""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pipeline.core.params import Params


def experts(shards: Path, out: Path, *, params: Params, device: str, report: Any) -> str:
    """Train networks on the training split, and keep their weights after every epoch.

    SHARDS is the training split's folder. The validation split beside it decides the temperatures
    that calibrate the experts. OUT gets index.json and expert<k>.safetensors, with the weights at
    the start and after every epoch. Methods that match on trained networks or along their
    trajectories, or label by them, take it as --experts. Finished experts survive an interruption.
    The seconds of this run go to OUT's sibling .seconds.json.

    Example: avdistill experts data/generated/shards/train work/generated/experts
    """
    from pipeline.core.checkpoints import PartialResults
    from pipeline.core.code import digest_code
    from pipeline.core.files import digest_of, refuse_existing
    from pipeline.core.plugins import build_all, pick
    from pipeline.shards.read import read_shards
    from pipeline.training.experts import ExpertSettings, ExpertTrainer, train_bank
    from stages._runtime import checkpoint_folder_of, device_of, write_seconds

    refuse_existing(out)
    settings = params.build("experts", ExpertSettings)
    trainer = ExpertTrainer(
        settings=settings,
        network=pick(build_all("network", params), settings.network, "network"),
        head=pick(build_all("head", params), settings.head, "head"),
        real=read_shards(shards),
        val=read_shards(shards.parent / "val"),
        device=device_of(device),
        report=report,
    )
    code = digest_code([__name__], [trainer.network, trainer.head])
    key = digest_of([code, "experts", trainer.cache_key])[:16]
    began = time.monotonic()
    accuracy = train_bank(out, trainer, PartialResults(folder=checkpoint_folder_of(out) / key))
    write_seconds(out, time.monotonic() - began, trainer.device)
    counted = f"{settings.count} experts of {settings.epochs} epochs"
    shares = ", ".join(f"{name} {100 * share:.1f} %" for name, share in accuracy.items())
    return f"{counted}, accuracy on the training split: {shares} -> {out}"
