"""Temperature scaling: the one number by which logits are divided so that a network is as certain as it is right.

T = argmin over T of mean -log softmax(z / T)_y on samples that the network has not learned from (Guo et al., On Calibration of
Modern Neural Networks, ICML 2017, section 4.2).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch.nn.functional as F

if TYPE_CHECKING:
    from torch import Tensor

# An eighth of an octave apart. The lowest is 1/2: samples that are all right would take it to 0, and say no more than that.
TEMPERATURES = tuple(2 ** (i / 8) for i in range(-8, 65))


def temperature(logits: Tensor, label: Tensor) -> float:
    """The temperature of logits [N, classes] for classes int64 [N], from 1/2 to 256."""
    return min(TEMPERATURES, key=lambda t: F.cross_entropy(logits / t, label).item())
