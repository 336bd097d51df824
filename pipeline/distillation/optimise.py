"""The loop of what is moved step by step, sets and taught students: leaves under SGD; a killed run goes on."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from pipeline.core.errors import CellError
from pipeline.training.loop import constant

if TYPE_CHECKING:
    from pipeline.core.records import SyntheticSet
    from pipeline.distillation.inputs import Runtime

LOSSES, SECONDS = "losses", "seconds"


@dataclass(frozen=True, kw_only=True)
class DistillResult:
    """A synthetic set, the loss of each step that made it (none, if nothing was optimised), and the seconds of all of them."""

    synthetic: SyntheticSet
    losses: tuple[float, ...] = ()
    seconds: float = 0.0


class SyntheticOptimizer:
    """Leaves on their way down; `steps` moves of any form, each of which may take several steps of SGD.

    Args:
        leaves: name -> what moves; a modality's rows carry its name.
        rates: leaf -> step size.
        momentum: of SGD, as in DC and all that followed it; `schedule`: fraction of the steps done, 0..1 -> factor on every rate.
        machine: its checkpoint is where the descent goes on from, its report is called with (done, all, loss=...) after each move;
            its ranks' gradients are added, so that all ranks hold the same leaves.

    `figures` are reported beside the loss: what happens on the way and users should know.
    """

    def __init__(
        self,
        params: Mapping[str, Tensor],
        rates: Mapping[str, float],
        momentum: float,
        runtime: Runtime,
        schedule: Callable[[float], float] = constant,
        weight_decay: float = 0.0,
    ) -> None:
        self.params = {
            name: values.detach().to(runtime.device, copy=True).requires_grad_()
            for name, values in params.items()
        }
        self.losses: list[float] = []
        self.seconds = 0.0
        self.figures: dict[str, float] = {}
        # False while leaves have moved and their step is not counted yet: what is kept then would be no step's.
        self._at_rest = True
        self._rates, self._runtime, self._schedule = dict(rates), runtime, schedule
        groups = [{"params": [values], "lr": rates[name]} for name, values in self.params.items()]
        self._optimiser = torch.optim.SGD(groups, momentum=momentum, weight_decay=weight_decay)

    def run(self, steps: int, move: Callable[[int], float]) -> None:
        """Call `move(step)`, which moves the leaves and gives its loss, for each step that is not done yet.

        An interrupt keeps the steps that are done.

        Raises:
            CellError: a loss is no finite number.
            TensorError: the checkpoint is damaged, or another descent's.
        """
        self._restore(self._runtime.ranks.broadcast(self._runtime.checkpoint.read))
        try:
            self._run_steps(steps, move)
        except KeyboardInterrupt:
            if self._runtime.ranks.number == 0 and self._at_rest and self.losses:
                self._runtime.checkpoint.write(self._state())
            raise

    def _run_steps(self, steps: int, move: Callable[[int], float]) -> None:
        due, began = self._runtime.checkpoint.start_timer(), time.monotonic() - self.seconds
        for step in range(len(self.losses), steps):
            for group, name in zip(self._optimiser.param_groups, self.params, strict=True):
                group["lr"] = self._rates[name] * self._schedule(step / steps)
            loss = move(step)
            if not math.isfinite(loss):
                raise CellError(
                    f"the loss is {loss} at step {step}; check the real set for NaN, or lower the rates ({self._rates})"
                )
            self.losses.append(loss)
            self._at_rest = True
            self.seconds = time.monotonic() - began
            self._runtime.report(
                step + 1, steps, loss=loss, **self.figures, **_memory(self._runtime.device)
            )
            if self._runtime.ranks.number == 0 and due():
                self._runtime.checkpoint.write(self._state())

    def step(self, losses: Iterable[Tensor]) -> float:
        """One step of SGD down the sum of these losses, whose graphs live one at a time; gives the sum before it."""
        self._optimiser.zero_grad()
        seen, params = [], list(self.params.values())
        for loss in losses:
            loss.backward(inputs=params)  # type: ignore[no-untyped-call]  # not of the networks, which a loss may hang on too
            seen.append(loss.detach())
        # Read once all is under way: a device is waited for here, and nowhere else in a step.
        total = self._all_reduce(sum((loss.item() for loss in seen), 0.0))
        if math.isfinite(total):
            self._at_rest = False
            self._optimiser.step()
        return total

    def _all_reduce(self, loss: float) -> float:
        """Gradients and loss of all ranks."""
        ranks = self._runtime.ranks
        if ranks.count == 1:
            return loss
        for values in self.params.values():
            values.grad = torch.zeros_like(values) if values.grad is None else values.grad
        whole = torch.tensor(loss, dtype=torch.float64, device=self._runtime.device)
        ranks.all_reduce(
            [whole, *(values.grad for values in self.params.values() if values.grad is not None)]
        )
        return whole.item()

    def result(self, start: SyntheticSet) -> DistillResult:
        """The set whose rows are the leaves of their names, in place of the start's."""
        rows = {m: self.params[m].detach().cpu() for m in start.rows}
        return DistillResult(
            synthetic=replace(start, rows=rows), losses=tuple(self.losses), seconds=self.seconds
        )

    def _state(self) -> dict[str, Tensor]:
        momenta = {
            f"momentum.{name}": self._optimiser.state[values]["momentum_buffer"]
            for name, values in self.params.items()
            if self._optimiser.state[values].get("momentum_buffer") is not None
        }
        course = {LOSSES: self.losses, SECONDS: self.seconds}
        return {
            **self.params,
            **momenta,
            **{name: torch.tensor(values, dtype=torch.float64) for name, values in course.items()},
        }

    @torch.no_grad()
    def _restore(self, state: Mapping[str, Tensor]) -> None:
        if not state:
            return
        self._refuse_other(state)
        self.losses, self.seconds = state[LOSSES].tolist(), state[SECONDS].item()
        for name, values in self.params.items():
            values.copy_(state[name])
            if f"momentum.{name}" in state:
                self._optimiser.state[values]["momentum_buffer"] = state[f"momentum.{name}"].to(
                    values.device
                )

    def _refuse_other(self, state: Mapping[str, Tensor]) -> None:
        """TensorError if these are not the leaves of this descent, momenta of some of them, its losses and seconds."""
        moved = {name: values.shape for name, values in self.params.items()}
        momenta = {f"momentum.{name}": shape for name, shape in moved.items()}
        held = {
            name: values.shape for name, values in state.items() if name not in (LOSSES, SECONDS)
        }
        # A leaf has momentum once it has had a gradient.
        if {LOSSES, SECONDS} - state.keys() or not moved.items() <= held.items() <= {
            **moved,
            **momenta,
        }.items():
            theirs, ours = (
                {name: tuple(shape) for name, shape in sorted(side.items())}
                for side in (held, moved)
            )
            raise self._runtime.checkpoint.make_error(
                f"holds other tensors, {theirs}, than this descent moves, {ours}"
            )


def _memory(device: torch.device) -> dict[str, float]:
    """What the device has given at most so far, where it counts."""
    return {"MiB": torch.cuda.max_memory_allocated(device) / 2**20} if device.type == "cuda" else {}
