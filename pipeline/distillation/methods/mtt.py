"""MTT, matching training trajectories (Cazenavette et al., CVPR 2022), in constant memory.

Constant memory is that of TESLA (Cui et al., ICML 2023). An expert of the bank and an epoch t are
drawn. A student starts at the expert's weights w_0 = w*_t and takes N steps of SGD on batches B_i
of the synthetic instances, w_{i+1} = w_i - a_m g_i with g_i = grad CE(w_i; T(D(S))[B_i]), where a_m
is the learned rate of the modality that a weight belongs to, D the decoding of the formation and T
an augmentation. It should end where the expert was `ahead` epochs later:

    L = mean over modalities m of |w_N - w*_{t+ahead}|_m^2 / |w*_t - w*_{t+ahead}|_m^2,

with |.|_m over the flat vector of a modality's tower and outputs. As w_N = w_0 - a_m sum_i g_i, and
with e = w_N - w*_{t+ahead} and D_m the denominator times the number of modalities,

    dL/d log a_m = 2 e . (w_N - w_0) / D_m over the weights of m,
    dL/dS = sum over i of d(u . g_i)/dS, u = -2 a_m e / D_m on the weights of m.

u is known only after the last step. So the student is trained twice: once for e, and once more with
the graph of one step at a time.

Differentiated through: each g_i with respect to the rows in its own batch, and w_N with respect to
the rates. Not differentiated through: the weights w_i where the g_i are taken; they depend on
earlier steps, by second derivatives that TESLA drops, in rows and rates alike. For N = 1 there are
no earlier steps and the gradient is MTT's.

Cost per step: 2 N forward and backward passes of a batch, and N derivatives of a gradient; memory:
that of one batch, for any N.

Unlike the papers: sound and picture each have their own rate and normalised distance, so that the
tower with more weights or the longer segment does not outweigh the other (an output that sees
several modalities belongs to the first in its name). Rates are learned as logarithms, so that they
stay positive, and start at the experts' rate; the experts' momentum is ignored. There is no ZCA.
The rows are pieces of a formation. With one modality the mean is over one.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import torch

from pipeline.core.params import NonNegativeFloat, PositiveInt
from pipeline.core.plugins import pick
from pipeline.distillation.methods._base import AugmentedOptimized
from pipeline.distillation.optimise import SyntheticOptimizer
from pipeline.distillation.trajectory_matching import RATE, TrajectoryMatcher

if TYPE_CHECKING:
    from pipeline.distillation.inputs import DistillInputs, Runtime
    from pipeline.distillation.optimise import DistillResult
    from pipeline.models.model import NetworkPlugin

TITLE = "Matching training trajectories (MTT)"
PAPER = "https://arxiv.org/abs/2203.11932"


@dataclass(frozen=True, kw_only=True)
class Distiller(AugmentedOptimized):
    """Parameters of MTT; `rates` and `momentum` are those of the rows.

    Args:
        inner: steps of the student.
        batch: training instances per step, of shuffled epochs, or all if there are fewer.
        ahead: epochs of the expert that the student has to cover.
        max_start: the last epoch that the student may start from.
        rate_step: step size of the logarithms of the student's rates; 0 leaves them at the
            experts' rate.
    """

    inner: PositiveInt
    batch: PositiveInt
    ahead: PositiveInt
    max_start: PositiveInt
    rate_step: NonNegativeFloat

    def network_of(self, inputs: DistillInputs) -> NetworkPlugin:
        return inputs.require_experts("mtt").network

    def distill(
        self, inputs: DistillInputs, *, ipc: int, seed: int, runtime: Runtime
    ) -> DistillResult:
        """Optimise the rows and the student's rates; provenance gets the `learned_rates`.

        Raises:
            CellError: there is no bank, or it was trained on other data, or for fewer epochs than
                `max_start` + `ahead`.
        """
        bank, start = inputs.require_experts("mtt"), self.begin(inputs, ipc=ipc, seed=seed)
        matcher = TrajectoryMatcher(self, bank, inputs.real, start, seed, runtime)
        rates = {m: pick(self.rates, m, "rate")[0] for m in start.rows}
        logarithms = {RATE + m: torch.tensor(math.log(bank.rate)) for m in start.rows}
        steps = {**rates, **dict.fromkeys(logarithms, self.rate_step)}
        optimizer = SyntheticOptimizer({**start.rows, **logarithms}, steps, self.momentum, runtime)
        optimizer.run(self.steps, lambda step: matcher.run_step(step, optimizer))
        learned = {m: optimizer.params[RATE + m].exp().item() for m in start.rows}
        return optimizer.result(
            replace(start, provenance={**start.provenance, "learned_rates": learned})
        )
