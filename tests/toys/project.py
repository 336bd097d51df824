"""The project's root, its params with changes, and the values of a tiny run."""

from __future__ import annotations

from pathlib import Path

import torch

from pipeline.core import params
from pipeline.core.presets import PACKAGED

ROOT = Path(__file__).parent.parent.parent
REAL_DATA = ROOT.parent / "shared" / "data"
CPU = torch.device("cpu")
# Not those of the top folder, which a user may edit.
PARAMS, GRAPH = PACKAGED / "params.yaml", PACKAGED / "graph.yaml"


def values(*changes: str) -> params.Params:
    """The packaged params.yaml with changes."""
    return params.load(PARAMS, changes)


# Networks, experts, seeds and students that suit the toy on disk.
TINY = (
    "networks.convnet.width=4",
    "networks.convnet.grid=2",
    "networks.convnet.depth={frame: 2, logmel: 2}",
    "experts.count=2",
    "experts.epochs=2",
    "grid.seeds=[0, 1]",
    "evaluate.protocols.budget.steps=2",
)
README = (ROOT / "README.md").read_text(encoding="utf-8")
