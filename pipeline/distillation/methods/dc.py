"""DC, dataset condensation with gradient matching (Zhao, Mopuri and Bilen, ICLR 2021), without augmentation.

On a fresh random network with weights W, again and again: L = sum over classes c of G(grad CE(real_c; W), grad CE(D(S_c); W)),
with D the formation's decoding and G of two gradients the sum over layers and output units of 1 - cos; a convolution's is read as
(out, in x k x k), biases and norms are left out. One step of SGD moves all rows down L, then W is trained for `inner` epochs on
the rows, and so on, until there were `outer` steps.
The network is audio-visual: the sum runs over the towers and classifiers of all modalities, whose cross-entropies are added, so
with one modality this is DC. Cost per step of the rows: classes x batch_real passes forth and back, and classes x ipc x pieces
with the gradient of a gradient, about three times as dear; and (outer - 1) x inner epochs on the rows for each network.

Unlike the publication the rows start from a formed coreset (Kim et al., ICML 2022, for formation) where DC's start from noise, and
an IPC between two that are listed takes the loops of the lower one. As in it, classifiers start from PyTorch's default weights.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pipeline.distillation.methods._gradient import Condensed

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, kw_only=True)
class Distiller(Condensed):
    """See `Condensed` for the parameters."""

    @property
    def operations(self) -> Mapping[str, tuple[str, ...]]:
        """None for any modality."""
        return dict.fromkeys(self.formation, ())
