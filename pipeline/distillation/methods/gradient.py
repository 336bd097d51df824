"""Gradient matching: DC (Zhao, Mopuri and Bilen, ICLR 2021) and DSA (Zhao and Bilen, ICML 2021).

Each iteration draws a network with fresh weights W and lowers, by one SGD step on all rows,

    L = sum over classes c of G(grad CE(T(real_c); W), grad CE(T(D(S_c)); W)).

D decodes the formation. T is one augmentation, drawn at each step and the same for both sides;
DC is the row without. G sums 1 - cos over layers and output units; a convolution's gradient is read
as (out, in x k x k), biases and norms are left out. Then W is trained for `inner` epochs on the
rows, until `outer` steps are done.

The sum runs over the towers and classifiers of all modalities, so with one modality this is DC or
DSA. Cost per step: classes x batch_real forward and backward passes, and classes x ipc x pieces
with second derivatives, about three times as expensive; and (outer - 1) x inner epochs on the rows
per network.

Unlike the papers: rows start from a formed coreset (Kim et al., ICML 2022), where DC starts from
noise; an IPC between two that are listed takes the loops of the lower one; T is one draw for all
classes and modalities, where DSA draws one for each class.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pipeline.core.errors import CellError
from pipeline.core.params import PositiveFloat, PositiveInt
from pipeline.core.plugins import pick
from pipeline.distillation import gradient_matching as gradients
from pipeline.distillation.methods._base import AugmentedOptimized

if TYPE_CHECKING:
    from pipeline.distillation.inputs import DistillInputs, Runtime
    from pipeline.distillation.optimise import DistillResult
    from pipeline.models.model import NetworkPlugin

TITLE = "Gradient matching"
PAPER = "https://arxiv.org/abs/2006.05929"
ROWS = {
    "dc": ("Dataset condensation by gradient matching (DC)", "https://arxiv.org/abs/2006.05929"),
    "dsa": ("Differentiable siamese augmentation (DSA)", "https://arxiv.org/abs/2102.08259"),
}


@dataclass(frozen=True, kw_only=True)
class Loop:
    """The loops of an IPC, and of larger ones up to the next that is listed.

    Args:
        ipc: instances per class.
        outer: steps of the rows on each network.
        inner: epochs that the network is trained for between two of these steps.
    """

    ipc: PositiveInt
    outer: PositiveInt
    inner: PositiveInt


@dataclass(frozen=True, kw_only=True)
class Distiller(AugmentedOptimized):
    """Parameters of gradient matching; without augmentations it is DC, with them DSA.

    Args:
        network: the architecture; new weights are drawn at each of `steps`, and its
            classifiers are those of the head `ensemble`.
        batch_real: real samples per class and step of the rows.
        loops: published (IPC, outer, inner): (1, 1, 1), (10, 10, 50), (20, 20, 25), (50, 50, 10).
        batch_net: instances per step of the network; published: 256.
        rate_net: step size of the network; published: 0.01.
    """

    network: str
    batch_real: PositiveInt
    loops: tuple[Loop, ...]
    batch_net: PositiveInt
    rate_net: PositiveFloat

    def network_of(self, inputs: DistillInputs) -> NetworkPlugin:
        return pick(inputs.networks, self.network, "network")

    def distill(
        self, inputs: DistillInputs, *, ipc: int, seed: int, runtime: Runtime
    ) -> DistillResult:
        loop, start = self._pick_loop(ipc), self.begin(inputs, ipc=ipc, seed=seed)
        plan = gradients.GradientMatchingPlan(
            steps=self.steps,
            outer=loop.outer,
            inner=loop.inner,
            batch_real=self.batch_real,
            rates={modality: rates[0] for modality, rates in self.rates.items()},
            momentum=self.momentum,
            batch_net=self.batch_net,
            rate_net=self.rate_net,
            operations=self.augment,
        )
        return gradients.condense(
            self.network_of(inputs), inputs.real, start, plan, seed=seed, runtime=runtime
        )

    def _pick_loop(self, ipc: int) -> Loop:
        """Return the loops of the largest listed IPC that is not above this one."""
        below = [loop for loop in self.loops if loop.ipc <= ipc]
        if not below:
            listed = ", ".join(str(loop.ipc) for loop in self.loops) or "none"
            raise CellError(
                f"no loops are given for ipc {ipc}, only from {listed} on; "
                f"add {{ipc: {ipc}, outer: .., inner: ..}}"
            )
        return max(below, key=lambda loop: loop.ipc)
