"""Which network looks at a step: fresh ones, or experts of a bank; each is named by counters, never by what came before."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import torch
from torch import nn

from pipeline.streams import stream
from pipeline.training import AudioVisual

if TYPE_CHECKING:
    from pipeline.bank import Bank
    from pipeline.records import RealSet
    from pipeline.training import Network


class Embedder(Protocol):
    """step -> the network of that step, on the device, without gradients of its own."""

    def at(self, step: int) -> AudioVisual: ...


class Fresh:
    """A network with new random weights every `every` steps, drawn in place (DM: Zhao and Bilen, WACV 2023; every = 1)."""

    def __init__(self, network: Network, real: RealSet, seed: int, device: torch.device, every: int = 1) -> None:
        self._towers = network.build(real.shapes, stream("network", seed)).to(device).requires_grad_(False)
        self._module, self._seed, self._every = AudioVisual(self._towers, nn.Identity()), seed, every
        self._drawn = -1

    def at(self, step: int) -> AudioVisual:
        """The steps of one group of `every` have one network."""
        if self._drawn != step // self._every:
            self._towers.initialise(stream("network", self._seed, step // self._every))
            self._drawn = step // self._every
        return self._module


@dataclass(frozen=True, kw_only=True)
class Window:
    """Shares of an expert's course, 0 its start and 1 its end, from which a step draws its own."""

    first: float
    last: float


class Experts:
    """An expert of the bank at each step, on the line between its start and its end, drawn uniformly from a window of it."""

    def __init__(self, bank: Bank, real: RealSet, window: Window, seed: int, device: torch.device) -> None:
        self._bank, self._window, self._seed, self._device = bank, window, seed, device
        self._module = bank.blank(real, device)

    def at(self, step: int) -> AudioVisual:
        """Weights are copied in place."""
        generator = stream("expert", self._seed, step)
        expert = int(torch.randint(len(self._bank.courses), (), generator=generator))
        share = self._window.first + (self._window.last - self._window.first) * torch.rand((), generator=generator).item()
        self._module.load_state_dict(self._bank.between(expert, share))
        return self._module
