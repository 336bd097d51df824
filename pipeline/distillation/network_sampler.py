"""The network of each step: random weights, or an expert of a bank.

A step's number alone names its network, so that a resumed run draws the same ones.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from copy import deepcopy
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import torch
from torch import Tensor, nn

from pipeline.core.rng import make_generator
from pipeline.models.model import AudioVisual

if TYPE_CHECKING:
    from collections.abc import Callable

    from pipeline.core.records import RealSet
    from pipeline.models.model import NetworkPlugin
    from pipeline.models.towers import Towers
    from pipeline.training.bank import ExpertBank


class NetworkSampler(Protocol):
    """A source of networks."""

    def sample(self, step: int) -> AudioVisual:
        """Return the network of a step: on the device, its weights without gradients.

        Args:
            step: number of the step, from 0.
        """
        ...


class RandomNetworks:
    """Networks with random weights, drawn in place (DM: Zhao and Bilen, WACV 2023).

    Weights are drawn on the CPU, so that every device has the same. For another device a thread
    draws the next weights while the current ones are in use.

    Args:
        network: the architecture.
        real: gives the shapes of the inputs.
        seed: names the weights.
        device: where the networks are used.
        every: steps per network; 1 in DM.
    """

    def __init__(
        self, network: NetworkPlugin, real: RealSet, seed: int, device: torch.device, every: int = 1
    ) -> None:
        towers = network.build(real.shapes, make_generator("network", seed))
        self._towers = towers.requires_grad_(False)
        self._seed, self._every, self._group = seed, every, -1
        is_cpu = device.type == "cpu"
        self._copy = None if is_cpu else _DeviceTowers(self._towers, self._draw, device)
        self._module = AudioVisual(self._copy.towers if self._copy else self._towers, nn.Identity())

    def sample(self, step: int) -> AudioVisual:
        group = step // self._every
        if self._group != group:
            (self._copy.load if self._copy else self._draw)(group)
            self._group = group
        return self._module

    def _draw(self, group: int) -> None:
        self._towers.initialise(make_generator("network", self._seed, group))


class _DeviceTowers:
    """Towers on a device, copied as one tensor from those on the CPU.

    Args:
        source: the towers on the CPU.
        draw: draws the weights of a group into `source`; a thread calls it ahead of time.
        device: where the copy lies.
    """

    def __init__(self, source: Towers, draw: Callable[[int], None], device: torch.device) -> None:
        self.towers = deepcopy(source).to(device)
        self._source = _flatten_parameters(source, torch.Tensor.pin_memory)
        self._weights = _flatten_parameters(self.towers, lambda x: x.to(device))
        self._draw, self._thread = draw, ThreadPoolExecutor(1)
        self._copied = torch.cuda.Event()  # type: ignore[no-untyped-call]
        self._group, self._next = -1, self._thread.submit(lambda: None)

    def load(self, group: int) -> None:
        """Copy the weights of a group, and start drawing those of the next."""
        self._next.result()
        if self._group != group:
            self._draw(group)
        self._weights.copy_(self._source, non_blocking=True)
        self._copied.record()
        self._group, self._next = group + 1, self._thread.submit(self._draw_next, group + 1)

    def _draw_next(self, group: int) -> None:
        self._copied.synchronize()  # the source must not change while it is copied
        self._draw(group)


def _flatten_parameters(towers: Towers, place: Callable[[Tensor], Tensor]) -> Tensor:
    """Move all parameters into one tensor and make them views of it.

    Args:
        towers: changed in place.
        place: the flat tensor -> the same values in their final memory.
    """
    parameters = list(towers.parameters())
    flat = place(torch.cat([values.detach().flatten() for values in parameters]))
    parts = torch.split(flat, [values.numel() for values in parameters])
    for values, part in zip(parameters, parts, strict=True):
        values.data = part.view(values.shape)
    return flat


@dataclass(frozen=True, kw_only=True)
class EpochRange:
    """A part of an expert's training, as fractions: 0 is its start and 1 its end.

    Args:
        first: where the part begins.
        last: where it ends.
    """

    first: float
    last: float


class ExpertNetworks:
    """Experts of a bank, each between its start and its end, the position drawn uniformly.

    Args:
        bank: the experts.
        real: the training split, which the bank was trained on.
        epochs: the part of their training that positions are drawn from.
        seed: names the draws.
        device: where the networks are used.

    Raises:
        CellError: the bank was trained on other data.
    """

    def __init__(
        self, bank: ExpertBank, real: RealSet, epochs: EpochRange, seed: int, device: torch.device
    ) -> None:
        self._bank, self._epochs, self._seed = bank, epochs, seed
        self._module = bank.build_empty_model(real, device)

    def sample(self, step: int) -> AudioVisual:
        generator = make_generator("expert", self._seed, step)
        expert = int(torch.randint(len(self._bank.trajectories), (), generator=generator))
        length = self._epochs.last - self._epochs.first
        position = self._epochs.first + length * torch.rand((), generator=generator).item()
        self._module.load_state_dict(self._bank.interpolate(expert, position))
        return self._module
