"""Cells that need more samples than a class has: found, refused, or skipped with their reason."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

from pipeline.core import plugins
from pipeline.core.errors import CellError, InfeasibleError
from pipeline.core.files import create_folder, read_json, write_json
from pipeline.core.params import Grid
from pipeline.core.paths import to_path

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from pipeline.core.params import Params
    from pipeline.core.paths import AnyPath
    from pipeline.core.records import RealSet

# Stands in the folders of a skipped cell in place of its sets and artifacts.
SKIPPED = "skipped.json"


def count_windows(real: RealSet) -> dict[str, int]:
    """Return class -> number of samples.

    Args:
        real: the training split.

    Example:
        count_windows(real)["dog"]  # 120
    """
    return {name: len(real.indices_of(label)) for label, name in enumerate(real.classes)}


def refuse_infeasible(counts: Mapping[str, int], ipc: int, pieces: int) -> None:
    """Refuse a cell that needs more samples than a class has.

    Args:
        counts: class -> samples in the training split.
        ipc: instances per class.
        pieces: samples per instance.

    Raises:
        InfeasibleError: a class has too few samples; it names the largest ipc that fits.

    Example:
        refuse_infeasible({"cat": 30, "dog": 50}, ipc=10, pieces=4)  # cat has 10 too few
    """
    if ipc < 1:
        raise CellError(f"ipc is {ipc}; expected 1 or more instances per class")
    name, smallest = min(counts.items(), key=lambda item: item[1])
    if ipc * pieces > smallest:
        fits = (
            f"the largest ipc that fits is {smallest // pieces}"
            if smallest >= pieces
            else "no ipc fits; add clips or use fewer pieces"
        )
        raise InfeasibleError(
            f"ipc {ipc} x {pieces} pieces needs {ipc * pieces} training windows a class, "
            f"{name!r} has {smallest}; {fits}"
        )


def find_infeasible(
    counts: Mapping[str, int], modalities: Sequence[str], params: Params
) -> Iterator[tuple[str, int, str]]:
    """Yield (method, ipc, reason) for each cell of the grid that needs more samples than there are.

    Args:
        counts: class -> samples in the training split.
        modalities: that the shards hold.
        params: the params file.

    Example:
        list(find_infeasible({"cat": 3, "dog": 9}, ["frame"], params))  # [("dm", 1, "ipc 1 x ...")]
    """
    grid = params.build("grid", Grid)
    for method in grid.methods:
        distiller = plugins.build("method", method, params)
        for ipc in grid.ipcs:
            try:
                refuse_infeasible(counts, ipc, distiller.fewest_pieces(modalities))
            except InfeasibleError as error:
                yield method, ipc, str(error)


def describe_infeasible(
    counts: Mapping[str, int], modalities: Sequence[str], params: Params
) -> list[str]:
    """Return a sentence for each method whose cells are skipped.

    Args:
        counts: class -> samples in the training split.
        modalities: that the shards hold.
        params: the params file.

    Raises:
        InfeasibleError: a cell does not fit, and grid.infeasible is refuse.

    Example:
        describe_infeasible({"cat": 3, "dog": 9}, ["frame"], params)
    """
    cells: dict[str, list[tuple[int, str]]] = defaultdict(list)
    for method, ipc, reason in find_infeasible(counts, modalities, params):
        cells[method].append((ipc, reason))
    sentences = [
        f"{method} x {', '.join(str(ipc) for ipc, _ in refused)}: {refused[0][1]}"
        for method, refused in cells.items()
    ]
    if sentences and params.build("grid", Grid).infeasible == "refuse":
        raise InfeasibleError("; ".join(sentences))
    return [f"will be skipped: {sentence}" for sentence in sentences]


def write_skipped(folder: AnyPath, reason: str) -> None:
    """Write a folder that says why a cell is skipped, in place of its sets or artifacts.

    Args:
        folder: a new folder.
        reason: a sentence.

    Example:
        write_skipped(Path("synthetic"), "ipc 5 x 4 pieces needs 20 training windows a class")
    """
    with create_folder(folder) as part:
        write_json(part / SKIPPED, {"skipped": reason})


def read_skipped(folder: AnyPath) -> str:
    """Return why a cell is skipped, or "" if it is not.

    Args:
        folder: of the cell's sets or artifacts.

    Example:
        read_skipped(Path("synthetic"))  # ""
    """
    file = to_path(folder) / SKIPPED
    return str(read_json(file, "distill")["skipped"]) if file.is_file() else ""
