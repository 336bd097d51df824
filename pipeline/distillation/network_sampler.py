"""Which network looks at a step: fresh ones, or experts of a bank; each is named by counters, never by what came before."""

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
    from pipeline.models.networks._towers import Towers
    from pipeline.training.bank import ExpertBank


class NetworkSampler(Protocol):
    """step -> the network of that step, on the device, without gradients of its own."""

    def sample(self, step: int) -> AudioVisual: ...


class RandomNetworks:
    """A network with new random weights every `every` steps, drawn in place (DM: Zhao and Bilen, WACV 2023; every = 1).

    Weights are drawn on the CPU, so that every device has the same; the next ones while another device works with these.
    """

    def __init__(
        self, network: NetworkPlugin, real: RealSet, seed: int, device: torch.device, every: int = 1
    ) -> None:
        self._towers = network.build(real.shapes, make_generator("network", seed)).requires_grad_(
            False
        )
        self._seed, self._every, self._group = seed, every, -1
        self._copy = None if device.type == "cpu" else _Copy(self._towers, self._draw, device)
        self._module = AudioVisual(self._copy.towers if self._copy else self._towers, nn.Identity())

    def sample(self, step: int) -> AudioVisual:
        """The steps of one group of `every` have one network."""
        group = step // self._every
        if self._group != group:
            (self._copy.take if self._copy else self._draw)(group)
            self._group = group
        return self._module

    def _draw(self, group: int) -> None:
        self._towers.initialise(make_generator("network", self._seed, group))


class _Copy:
    """Towers on a device, and a thread that draws the next weights where theirs come from: all of them are copied as one tensor."""

    def __init__(self, source: Towers, draw: Callable[[int], None], device: torch.device) -> None:
        self.towers = deepcopy(source).to(device)
        self._source, self._weights = (
            _flatten_parameters(source, torch.Tensor.pin_memory),
            _flatten_parameters(self.towers, lambda x: x.to(device)),
        )
        self._draw, self._thread = draw, ThreadPoolExecutor(1)
        self._copied = torch.cuda.Event()  # type: ignore[no-untyped-call]
        self._group, self._coming = -1, self._thread.submit(lambda: None)

    def take(self, group: int) -> None:
        """The weights of that group; those of the next one are on their way."""
        self._coming.result()
        if self._group != group:
            self._draw(group)
        self._weights.copy_(self._source, non_blocking=True)
        self._copied.record()
        self._group, self._coming = group + 1, self._thread.submit(self._draw_next, group + 1)

    def _draw_next(self, group: int) -> None:
        self._copied.synchronize()  # what is still being copied must not change
        self._draw(group)


def _flatten_parameters(towers: Towers, place: Callable[[Tensor], Tensor]) -> Tensor:
    """All parameters as one tensor, which they become parts of."""
    own = list(towers.parameters())
    whole = place(torch.cat([values.detach().flatten() for values in own]))
    for values, part in zip(
        own, torch.split(whole, [values.numel() for values in own]), strict=True
    ):
        values.data = part.view(values.shape)
    return whole


@dataclass(frozen=True, kw_only=True)
class EpochRange:
    """Shares of an expert's course, 0 its start and 1 its end, from which a step draws its own."""

    first: float
    last: float


class ExpertNetworks:
    """An expert of the bank at each step, on the line between its start and its end, drawn uniformly from a window of it."""

    def __init__(
        self, bank: ExpertBank, real: RealSet, window: EpochRange, seed: int, device: torch.device
    ) -> None:
        self._bank, self._window, self._seed, self._device = bank, window, seed, device
        self._module = bank.build_empty_model(real, device)

    def sample(self, step: int) -> AudioVisual:
        """Weights are copied in place."""
        generator = make_generator("expert", self._seed, step)
        expert = int(torch.randint(len(self._bank.courses), (), generator=generator))
        share = (
            self._window.first
            + (self._window.last - self._window.first) * torch.rand((), generator=generator).item()
        )
        self._module.load_state_dict(self._bank.interpolate(expert, share))
        return self._module
