"""shards -> features"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pipeline.core.params import Params


def extract(
    shards: Path, out: Path, *, extractor: str, params: Params, device: str, report: Any
) -> str:
    """Embed every sample of one split: a table of features keyed like the samples.

    SHARDS is one split's folder, as a rule the training split. EXTRACTOR names a section of
    `extract`. Finished batches survive an interruption.

    Example: avdistill extract data/generated/shards/train work/features.h5 --extractor convnet
    """
    from dataclasses import asdict

    from pipeline.core import plugins
    from pipeline.core.checkpoints import PartialResults
    from pipeline.core.code import digest_code
    from pipeline.core.files import digest_of, refuse_existing, shorten_digest
    from pipeline.features.store import format_statistics, write_features
    from pipeline.shards.read import read_shards
    from stages._runtime import checkpoint_folder_of, device_of

    refuse_existing(out)
    plugin = plugins.build("extractor", extractor, params)
    real, networks = read_shards(shards), plugins.build_all("network", params)
    torch_device = device_of(device)
    used = [networks[name] for name in networks if name == getattr(plugin, "network", None)]
    code, values = digest_code([__name__], [plugin, *used]), [asdict(one) for one in used]
    inputs = [extractor, asdict(plugin), values, real.digest, torch_device.type]
    cache = PartialResults(folder=checkpoint_folder_of(out) / digest_of([code, *inputs])[:16])
    features = plugin.embed(real, networks, cache, torch_device, report)
    digest = write_features(out, features)
    cache.remove()
    missing = len(real) - len(features.keys)
    counted = f"{len(features.keys)} rows"
    if missing:
        counted += f" ({missing} samples have no vector)"
    return f"{counted}, {format_statistics(features)}, digest {shorten_digest(digest)} -> {out}"
