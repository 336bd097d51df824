"""One cell, method x ipc: choose the step size once, then distil every seed.

Finished seeds are kept when a run is interrupted.
"""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

from pipeline import evaluation
from pipeline.core import tensors
from pipeline.core.code import digest_code
from pipeline.core.csv import write_rows
from pipeline.core.errors import CellError, InfeasibleError
from pipeline.core.files import (
    create_folder,
    digest_of,
    read_json,
    shorten_digest,
    write_json,
)
from pipeline.core.paths import list_folder, to_path
from pipeline.core.plugins import plugin_name
from pipeline.distillation.feasibility import write_skipped
from pipeline.training import formation

if TYPE_CHECKING:
    from pathlib import Path

    from pipeline.core.params import Grid
    from pipeline.core.paths import AnyPath
    from pipeline.core.records import RealSet, SyntheticSet
    from pipeline.distillation.inputs import DistillInputs, Runtime
    from pipeline.evaluation import BudgetProtocol
    from pipeline.training.students import StudentTrainer

LOSSES = "losses.csv"
START = "start.safetensors"


@dataclass(frozen=True, kw_only=True)
class DistillCell:
    """Everything that decides a cell.

    Args:
        method: section of `distill` in params.yaml.
        distiller: the method, with its parameters.
        ipc: instances per class.
        inputs: the data.
        runtime: the device, and how often runs are saved; only its rank 0 reads and writes files.
        budget: the protocol that step sizes are chosen with.
        trainer: trains the students that step sizes are chosen with.
        val: the validation split, which decides the choice; None if there is none.

    Raises:
        CellError: the coresets do not fit the shards or each other, or there are too many
            candidates or ranks.
    """

    method: str
    distiller: Any
    ipc: int
    inputs: DistillInputs
    runtime: Runtime
    budget: BudgetProtocol
    trainer: StudentTrainer
    val: RealSet | None

    def __post_init__(self) -> None:
        _check_coresets(self.inputs)
        variants = len(self.variants)
        if variants > self.budget.trials:
            raise CellError(
                f"{variants} candidates of {self.method} are more than the {self.budget.trials} "
                "trials of evaluate.protocols.budget.trials; give fewer, or more trials"
            )
        if variants > 1 and self.val is None:
            raise CellError(
                f"{self.method} chooses between {variants} candidates on the validation split, "
                "and it is empty; carve one, or give one step size"
            )
        if self.runtime.ranks.count > 1 and not self.distiller.separable:
            raise CellError(
                f"{self.method} cannot be split over {self.runtime.ranks.count} ranks; "
                "start it without torchrun"
            )

    @property
    def variants(self) -> list[Any]:
        """The distiller's candidates, one distiller each."""
        return list(self.distiller.variants(self.inputs, self.ipc))

    @property
    def digest(self) -> str:
        """SHA-256 of the inputs and the code that decide the cell's bytes."""
        inputs = self.inputs
        coresets = {name: coreset.to_json() for name, coreset in inputs.coresets.items()}
        plugins = [self.distiller, self.trainer.network, self.trainer.head, *self._list_networks()]
        trained = [inputs.bank, inputs.bank.network, inputs.bank.head] if inputs.bank else []
        code = digest_code([__name__], [*plugins, *trained, *inputs.real.rows.values()])
        values = [_to_dict(plugin) for plugin in plugins]
        tuning = [asdict(self.budget), self.val and self.val.digest]
        bank = inputs.bank and inputs.bank.digest
        about = [self.method, self.ipc, inputs.real.digest, bank]
        return digest_of([code, about, coresets, values, tuning, self.trainer.device.type])

    def _list_networks(self) -> list[Any]:
        """Return the network that the distiller names; no other decides the cell's bytes."""
        name = getattr(self.distiller, "network", None)
        return [network for key, network in self.inputs.networks.items() if key == name]


def _to_dict(plugin: Any) -> dict[str, Any]:
    return asdict(plugin)


def _check_coresets(inputs: DistillInputs) -> None:
    again = "run `avdistill extract` and `coreset` again"
    for name, coreset in inputs.coresets.items():
        if coreset.shards != inputs.real.digest:
            raise CellError(
                f"ranking {name!r} was made from shards {shorten_digest(coreset.shards)}, "
                f"the shards here are {shorten_digest(inputs.real.digest)}; {again}"
            )
    tables = {coreset.table: name for name, coreset in inputs.coresets.items()}
    if len(tables) > 1:
        (table, name), (other, second) = list(tables.items())[:2]
        raise CellError(
            f"ranking {name!r} is of feature table {shorten_digest(table)} and {second!r} "
            f"of {shorten_digest(other)}, expected one table; {again}"
        )


def distil(
    cell: DistillCell, seeds: Sequence[int], out: AnyPath, checkpoints: AnyPath
) -> tuple[list[dict[str, Any]], float]:
    """Distil a cell and write its sets.

    `out` gets seed<k>.safetensors for each seed and losses.csv; where rows were optimised, also
    start.safetensors, the rows that the first seed started from. Until all of it is written,
    finished runs, the choice of the step size and the unfinished run are kept in a folder of
    `checkpoints` that is named by a digest of the inputs.

    Args:
        cell: the cell.
        seeds: one set each; step sizes are chosen with the first.
        out: a new folder.
        checkpoints: the folder of unfinished work.

    Returns:
        The trials behind the step size, and the seconds of all runs, interrupted ones included.

    Example:
        trials, seconds = distil(cell, [0, 1, 2], Path("synthetic"), Path(".work"))
    """
    out, checkpoints = to_path(out), to_path(checkpoints)
    folder = checkpoints / digest_of([cell.digest, seeds[0]])[:16]
    choice = _choose_candidates(cell, folder, seeds[0])
    variants = cell.variants
    distiller = (
        cell.distiller.mix({m: variants[i] for m, i in choice["picks"].items()})
        if choice["picks"]
        else variants[0]
    )
    for number, seed in enumerate(seeds, start=1):
        _ensure_set(cell, distiller, seed, folder, {"seed": f"{seed} ({number} of {len(seeds)})"})
    seconds = choice["seconds"] + cell.runtime.ranks.broadcast(
        lambda: _write_cell(cell, distiller, seeds, choice["trials"], folder, out)
    )
    return list(choice["trials"]), seconds


def distil_or_skip(
    cell: DistillCell, grid: Grid, out: AnyPath, checkpoints: AnyPath
) -> tuple[str, float]:
    """Distil a cell, or write why it is skipped; return a line about it and its seconds.

    Args:
        cell: the cell.
        grid: names the seeds, and says whether a cell without enough samples is skipped.
        out: a new folder.
        checkpoints: the folder of unfinished work.

    Raises:
        InfeasibleError: a class has too few samples, and `grid.infeasible` is refuse.

    Example:
        distil_or_skip(cell, params.build("grid", Grid), Path("synthetic"), Path(".work"))
    """
    try:
        trials, seconds = distil(cell, grid.seeds, out, checkpoints)
    except InfeasibleError as error:
        if grid.infeasible == "refuse":
            raise
        cell.runtime.ranks.broadcast(partial(write_skipped, out, str(error)))
        return f"{cell.method} x {cell.ipc} is skipped: {error}", 0.0
    return summarise_cell(cell, grid.seeds, trials), seconds


def summarise_cell(cell: DistillCell, seeds: Sequence[int], trials: Sequence[Any]) -> str:
    """Describe a finished cell in one line.

    Args:
        cell: the cell.
        seeds: its seeds.
        trials: the trials behind its step size.

    Example:
        summarise_cell(cell, [0, 1], [])  # "dm: 2 sets of 10 classes x 1"
    """
    parts = [
        f"{cell.method}: {len(seeds)} sets of {len(cell.inputs.real.classes)} classes x {cell.ipc}"
    ]
    if trials:
        parts.append(f"step size chosen among {len(trials)}")
    if cell.runtime.needs_streaming(cell.inputs.real):
        mib = cell.inputs.real.nbytes / 2**20
        parts.append(f"{mib:.1f} MiB of real samples streamed from their shards")
    return ", ".join(parts)


def _write_cell(
    cell: DistillCell,
    distiller: Any,
    seeds: Sequence[int],
    trials: list[Any],
    folder: Path,
    out: Path,
) -> float:
    """Write `out`, remove the folder of unfinished work, and return the seconds of all runs."""
    with create_folder(out) as part:
        for seed in seeds:
            synthetic = tensors.load_synthetic(folder / f"{_name_run(distiller, seed)}.safetensors")
            sources = _describe_sources(cell.inputs.real)
            provenance = {**synthetic.provenance, **sources, "tuning": trials}
            tensors.save_synthetic(
                part / f"seed{seed}.safetensors", replace(synthetic, provenance=provenance)
            )
        _write_start(cell, distiller, seeds[0], part)
        losses = [(seed, folder / f"{_name_run(distiller, seed)}.json") for seed in seeds]
        _write_losses(losses, part / LOSSES)
    runs = [read_json(path, "distill") for path in list_folder(folder, "*-*.json")]
    shutil.rmtree(folder, ignore_errors=True)
    return float(sum(run["seconds"] for run in runs))


def _name_run(distiller: Any, seed: int) -> str:
    """Name a run by its parameters and seed, so that a candidate's run is reused if chosen."""
    return f"seed{seed}-{digest_of(asdict(distiller))[:12]}"


def _choose_candidates(cell: DistillCell, folder: Path, seed: int) -> dict[str, Any]:
    """Return the candidate picked for each modality, the trials behind it and their seconds."""
    path, ranks, variants = folder / "tuning.json", cell.runtime.ranks, cell.variants

    def tune() -> dict[str, Any]:
        assert cell.val is not None
        start = time.monotonic()
        report = partial(cell.trainer.report, choosing="among candidates")
        trainer = replace(cell.trainer, report=report)
        sets = [
            tensors.load_synthetic(folder / f"{_name_run(variant, seed)}.safetensors")
            for variant in variants
        ]
        picks, trials = evaluation.choose_variants(variants, sets, cell.budget, trainer, cell.val)
        write_json(path, {"picks": picks, "trials": trials, "seconds": time.monotonic() - start})
        choice: dict[str, Any] = read_json(path, "distill")
        return choice

    if len(variants) == 1:
        return {"picks": {}, "trials": [], "seconds": 0.0}
    if ranks.broadcast(path.exists):
        return ranks.broadcast(lambda: read_json(path, "distill"))
    # A candidate that cannot start fails here, before the others have taken their time.
    for variant in variants:
        variant.begin(cell.inputs, ipc=cell.ipc, seed=seed)
    for number, variant in enumerate(variants, start=1):
        _ensure_set(cell, variant, seed, folder, {"candidate": f"{number} of {len(variants)}"})
    return ranks.broadcast(tune)


def _ensure_set(
    cell: DistillCell, distiller: Any, seed: int, folder: Path, figures: Mapping[str, str]
) -> None:
    """Distil one set into a folder, unless it is there; an unfinished run goes on.

    Ranks above 0 only compute. They read and write no file, so they need no common file system.

    Args:
        cell: the cell.
        distiller: one of its variants, or the chosen mixture.
        seed: of the run.
        folder: the cell's folder of unfinished work.
        figures: which of the cell's runs it is, for the progress report.
    """
    name, ranks = _name_run(distiller, seed), cell.runtime.ranks
    path = folder / f"{name}.safetensors"
    if ranks.broadcast(path.exists):
        return
    runtime = _make_runtime(cell, distiller, seed, folder / f"{name}.step.safetensors", figures)
    result = distiller.distill(cell.inputs, ipc=cell.ipc, seed=seed, runtime=runtime)
    if ranks.number == 0:
        write_json(folder / f"{name}.json", {"losses": result.losses, "seconds": result.seconds})
        provenance = _provenance(cell, distiller, seed, result.synthetic)
        tensors.save_synthetic(path, replace(result.synthetic, provenance=provenance))


def _make_runtime(
    cell: DistillCell, distiller: Any, seed: int, path: Path, figures: Mapping[str, str]
) -> Runtime:
    """Return the cell's runtime with the checkpoint and the report of one run."""
    real = cell.inputs.real
    is_streamed = cell.runtime.needs_streaming(real)
    streamed = {"streamed MiB": real.nbytes / 2**20} if is_streamed else {}
    about = {
        "method": cell.method,
        "ipc": cell.ipc,
        "seed": seed,
        "inputs": digest_of([cell.digest, asdict(distiller)]),
    }
    return replace(
        cell.runtime,
        report=partial(cell.runtime.report, **figures, **streamed),
        checkpoint=replace(cell.runtime.checkpoint, path=path, about=about),
    )


def _provenance(
    cell: DistillCell, distiller: Any, seed: int, synthetic: SyntheticSet
) -> dict[str, Any]:
    real, plugin = cell.inputs.real, plugin_name(distiller)
    params = real.preprocessing_params
    return {
        **synthetic.provenance,
        "method": cell.method,
        **({} if plugin == cell.method else {"plugin": plugin}),
        "params": json.loads(json.dumps(asdict(distiller))),
        "seed": seed,
        "preprocessing": real.preprocessing,
        **({"preprocessing_params": dict(params)} if params else {}),
        "source_shards": real.digest,
        "pieces": formation.count_pieces(synthetic.formation),
    }


def _describe_sources(real: RealSet) -> dict[str, Any]:
    """Return where the clips come from.

    It is added when the cell is written, so that a reworded licence does not discard finished runs.
    """
    ids = {"source_ids": sorted(set(real.clips))} if real.source.by_id else {}
    return {"sources": [asdict(real.source)], **ids}


def _write_start(cell: DistillCell, distiller: Any, seed: int, part: Path) -> None:
    """Write the start of a seed beside its set, if the rows have changed."""
    start: SyntheticSet = distiller.begin(cell.inputs, ipc=cell.ipc, seed=seed)
    end = tensors.load_synthetic(part / f"seed{seed}.safetensors")
    if any(not rows.equal(end.rows[m]) for m, rows in start.rows.items()):
        tensors.save_synthetic(part / START, start)


def _write_losses(runs: Sequence[tuple[int, Path]], path: Path) -> None:
    """Write the losses of all seeds as one CSV file.

    Args:
        runs: seed, and the JSON file of its run.
        path: the CSV file.
    """
    rows = (
        [seed, step, f"{loss:.6g}"]
        for seed, run in runs
        for step, loss in enumerate(read_json(run, "distill")["losses"], start=1)
    )
    write_rows(path, ["seed", "step", "loss"], rows)
