"""DSA, differentiable Siamese augmentation (Zhao and Bilen, ICML 2021): dc, whose batches are augmented.

L = sum over classes c of G(grad CE(T(real_c); W), grad CE(T(D(S_c)); W)), with G, D and W those of dc and T one augmentation, drawn
anew at each step of the rows and the same for both sides; the network's own training between the steps is augmented too.
Cost per step: dc's.

Unlike the publication T is one draw for all classes and modalities, where DSA draws anew for each class; and what is said of dc,
but that DSA starts from real samples too.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pipeline.distillation.methods._gradient import Condensed
from pipeline.training.augment import Operation

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, kw_only=True)
class Distiller(Condensed):
    """See `Condensed`; `augment`: modality -> augmentations, one drawn per step."""

    augment: dict[str, tuple[Operation, ...]]

    @property
    def operations(self) -> Mapping[str, tuple[str, ...]]:
        """Those that were given."""
        return self.augment
