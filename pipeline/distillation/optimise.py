"""SGD on named tensors, with checkpoints: a killed run goes on from its last saved step.

Distillation optimises synthetic rows with it, and kd the weights of its students.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from pipeline.core.errors import CellError
from pipeline.training.loop import keep_constant

if TYPE_CHECKING:
    from pipeline.core.records import SyntheticSet
    from pipeline.distillation.inputs import Runtime

# Keys of a checkpoint, beside the parameters and their momenta.
LOSSES, SECONDS = "losses", "seconds"


@dataclass(frozen=True, kw_only=True)
class DistillResult:
    """The output of a distiller.

    Args:
        synthetic: the synthetic set.
        losses: one per step; empty if nothing was optimised.
        seconds: of all steps, those before an interruption included.
    """

    synthetic: SyntheticSet
    losses: tuple[float, ...] = ()
    seconds: float = 0.0


class SyntheticOptimizer:
    """SGD with momentum, as in DC and the methods after it, on parameters that need no module.

    Args:
        params: name -> initial values; the rows of a modality have the modality's name.
        rates: parameter -> step size.
        momentum: of SGD.
        runtime: where the parameters live; it reports and saves the steps, and its ranks add their
            gradients, so that all ranks hold the same parameters.
        schedule: fraction of the steps done, 0..1 -> factor on every rate.
        weight_decay: of SGD.

    Attributes:
        params: name -> current values, on the device.
        losses: one per finished step.
        figures: name -> number to report beside the loss, e.g. a batch that was split.
    """

    def __init__(
        self,
        params: Mapping[str, Tensor],
        rates: Mapping[str, float],
        momentum: float,
        runtime: Runtime,
        schedule: Callable[[float], float] = keep_constant,
        weight_decay: float = 0.0,
    ) -> None:
        self.params = {
            name: values.detach().to(runtime.device, copy=True).requires_grad_()
            for name, values in params.items()
        }
        self.losses: list[float] = []
        self.seconds = 0.0
        self.figures: dict[str, float] = {}
        # False between an update and the end of its step: a checkpoint then would be of no step.
        self._is_between_steps = True
        self._rates, self._runtime, self._schedule = dict(rates), runtime, schedule
        groups = [{"params": [values], "lr": rates[name]} for name, values in self.params.items()]
        self._sgd = torch.optim.SGD(groups, momentum=momentum, weight_decay=weight_decay)

    def run(self, steps: int, take_step: Callable[[int], float]) -> None:
        """Call `take_step` for each step that is not done yet; an interrupt saves the done steps.

        Args:
            steps: in all.
            take_step: step -> loss; it calls `step` once or several times.

        Raises:
            CellError: a loss is NaN or infinite.
            TensorError: the checkpoint is damaged, or of another run.
        """
        self._restore(self._runtime.ranks.broadcast(self._runtime.checkpoint.read))
        try:
            self._run_steps(steps, take_step)
        except KeyboardInterrupt:
            if self._runtime.ranks.number == 0 and self._is_between_steps and self.losses:
                self._runtime.checkpoint.write(self._state())
            raise

    def _run_steps(self, steps: int, take_step: Callable[[int], float]) -> None:
        due, start = self._runtime.checkpoint.start_timer(), time.monotonic() - self.seconds
        for step in range(len(self.losses), steps):
            for group, name in zip(self._sgd.param_groups, self.params, strict=True):
                group["lr"] = self._rates[name] * self._schedule(step / steps)
            loss = take_step(step)
            if not math.isfinite(loss):
                raise CellError(
                    f"the loss is {loss} at step {step}; "
                    f"check the real set for NaN, or lower the rates ({self._rates})"
                )
            self.losses.append(loss)
            self._is_between_steps = True
            self.seconds = time.monotonic() - start
            memory = _measure_memory(self._runtime.device)
            self._runtime.report(step + 1, steps, loss=loss, **self.figures, **memory)
            if self._runtime.ranks.number == 0 and due():
                self._runtime.checkpoint.write(self._state())

    def step(self, losses: Iterable[Tensor]) -> float:
        """Take one step of SGD on the sum of some losses, and return the sum before the step.

        Args:
            losses: scalars; only one graph exists at a time. If their sum is NaN or infinite, the
                parameters stay as they are.
        """
        self._sgd.zero_grad()
        values, params = [], list(self.params.values())
        for loss in losses:
            # Without `inputs`, the networks in the graph would get gradients too.
            loss.backward(inputs=params)  # type: ignore[no-untyped-call]
            values.append(loss.detach())
        # The only wait for the device within a step, after all of its work was queued.
        total = self._all_reduce(sum((value.item() for value in values), 0.0))
        if math.isfinite(total):
            self._is_between_steps = False
            self._sgd.step()
        return total

    def _all_reduce(self, loss: float) -> float:
        """Sum gradients and loss over all ranks."""
        ranks = self._runtime.ranks
        if ranks.count == 1:
            return loss
        for values in self.params.values():
            values.grad = torch.zeros_like(values) if values.grad is None else values.grad
        total = torch.tensor(loss, dtype=torch.float64, device=self._runtime.device)
        gradients = [values.grad for values in self.params.values() if values.grad is not None]
        ranks.all_reduce([total, *gradients])
        return total.item()

    def result(self, start: SyntheticSet) -> DistillResult:
        """Return the set whose rows are the current parameters.

        Args:
            start: everything but the rows is taken from it.
        """
        rows = {m: self.params[m].detach().cpu() for m in start.rows}
        return DistillResult(
            synthetic=replace(start, rows=rows), losses=tuple(self.losses), seconds=self.seconds
        )

    def _state(self) -> dict[str, Tensor]:
        momenta = {
            f"momentum.{name}": self._sgd.state[values]["momentum_buffer"]
            for name, values in self.params.items()
            if self._sgd.state[values].get("momentum_buffer") is not None
        }
        record = {LOSSES: self.losses, SECONDS: self.seconds}
        return {
            **self.params,
            **momenta,
            **{name: torch.tensor(values, dtype=torch.float64) for name, values in record.items()},
        }

    @torch.no_grad()
    def _restore(self, state: Mapping[str, Tensor]) -> None:
        if not state:
            return
        self._check_state(state)
        self.losses, self.seconds = state[LOSSES].tolist(), state[SECONDS].item()
        for name, values in self.params.items():
            values.copy_(state[name])
            if f"momentum.{name}" in state:
                momentum = state[f"momentum.{name}"].to(values.device)
                self._sgd.state[values]["momentum_buffer"] = momentum

    def _check_state(self, state: Mapping[str, Tensor]) -> None:
        """Refuse a checkpoint of other parameters; some may have no momentum yet."""
        shapes = {name: values.shape for name, values in self.params.items()}
        momenta = {f"momentum.{name}": shape for name, shape in shapes.items()}
        saved = {
            name: values.shape for name, values in state.items() if name not in (LOSSES, SECONDS)
        }
        is_complete = state.keys() >= {LOSSES, SECONDS} and shapes.items() <= saved.items()
        if not is_complete or not saved.items() <= {**shapes, **momenta}.items():
            saved_shapes, expected = (
                {name: tuple(shape) for name, shape in sorted(side.items())}
                for side in (saved, shapes)
            )
            raise self._runtime.checkpoint.make_error(
                f"holds other tensors, {saved_shapes}, than this run optimises, {expected}"
            )


def _measure_memory(device: torch.device) -> dict[str, float]:
    """Return the peak of the device's memory so far, in MiB; nothing on a CPU."""
    return {"MiB": torch.cuda.max_memory_allocated(device) / 2**20} if device.type == "cuda" else {}
