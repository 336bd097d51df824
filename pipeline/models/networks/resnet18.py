"""The ResNet-18 pair: four stages of two blocks each, group norm, one tower per modality (He et al., CVPR 2016)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from pipeline.models.networks._resnet import Residual


@dataclass(frozen=True, kw_only=True)
class Network(Residual):
    """See `Residual`."""

    blocks: ClassVar[tuple[int, ...]] = (2, 2, 2, 2)
