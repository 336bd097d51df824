"""A training step on a GPU, recorded once as a CUDA graph and replayed.

For small networks the calls cost more than the arithmetic.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor

# Calls of each form before it is recorded: in the first ones libraries make their plans, and
# optimisers their state.
WARM_UP_CALLS = 3


class GraphReplay:
    """A function with a CUDA graph for each form (names, shapes and dtypes) of its inputs.

    Tensors that the function changes in place must stay at their addresses, and it may read no
    number from the device.

    Args:
        function: maps named tensors to a tensor; it may change other tensors in place.
    """

    def __init__(self, function: Callable[[dict[str, Tensor]], Tensor]) -> None:
        self._function = function
        self._calls: dict[object, int] = {}
        self._recorded: dict[object, tuple[torch.cuda.CUDAGraph, dict[str, Tensor], Tensor]] = {}
        self._stream = torch.cuda.Stream()  # type: ignore[no-untyped-call]

    def __call__(self, inputs: dict[str, Tensor]) -> Tensor:
        """Return the function's result; a replay overwrites the result of the last one.

        Args:
            inputs: named tensors on the device.
        """
        form = tuple((name, values.shape, values.dtype) for name, values in inputs.items())
        calls = self._calls[form] = self._calls.get(form, 0) + 1
        if calls <= WARM_UP_CALLS:
            return self._warm_up(inputs)
        if form not in self._recorded:
            self._recorded[form] = self._record(inputs)
        graph, static_inputs, out = self._recorded[form]
        for name, values in inputs.items():
            static_inputs[name].copy_(values)
        graph.replay()
        return out

    def _warm_up(self, inputs: dict[str, Tensor]) -> Tensor:
        """Call the function on the stream where it will be recorded."""
        self._stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(self._stream):
            out = self._function(inputs)
        torch.cuda.current_stream().wait_stream(self._stream)
        return out

    def _record(
        self, inputs: dict[str, Tensor]
    ) -> tuple[torch.cuda.CUDAGraph, dict[str, Tensor], Tensor]:
        graph = torch.cuda.CUDAGraph()
        static_inputs = {name: values.clone() for name, values in inputs.items()}
        with torch.cuda.graph(graph, stream=self._stream):
            out = self._function(static_inputs)
        return graph, static_inputs, out
