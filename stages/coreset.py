"""features -> rankings"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pipeline.core.params import Params


def coreset(features: Path, out: Path, *, params: Params) -> str:
    """Rank each class's samples, best first, with every selector of grid.selectors.

    OUT gets <selector>.json: label -> ordered keys, a prefix of which serves any IPC, or such keys
    for each number of samples.

    Example: avdistill coreset work/generated/features.h5 work/generated/coreset
    """
    from pipeline.core import plugins
    from pipeline.core.files import create_folder, write_json
    from pipeline.core.params import Grid
    from pipeline.coresets.rankings import rank_features
    from pipeline.features.store import read_features

    table, digest = read_features(features)
    selectors = params.build("grid", Grid).selectors
    with create_folder(out) as part:
        for name in selectors:
            selector = plugins.build("selector", name, params)
            ranking = rank_features(name, selector, table, digest)
            write_json(part / f"{name}.json", ranking.to_json())
    counted = f"{len(table.keys)} samples of {len(table.classes)} classes"
    return f"{counted} ranked by {', '.join(selectors)} -> {out}"
