"""One cell, method x ipc: choose the step size once, then distil every seed; a finished seed is never done again."""

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
from pipeline.core.csv import write_rows
from pipeline.core.errors import CellError
from pipeline.core.files import (
    code_digest,
    create_folder,
    digest_of,
    read_json,
    shorten_digest,
    write_json,
)
from pipeline.training import formation

if TYPE_CHECKING:
    from pathlib import Path

    from pipeline.core.records import RealSet, SyntheticSet
    from pipeline.distillation.inputs import DistillInputs, Runtime
    from pipeline.evaluation import BudgetProtocol
    from pipeline.training.students import StudentTrainer

LOSSES = "losses.csv"
START = "start.safetensors"


@dataclass(frozen=True, kw_only=True)
class DistillCell:
    """Everything that a cell is made from; `digest` names it, so that an interrupted run is found again.

    Args:
        budget, crew, val: what step sizes are chosen with.
        machine: what descents run on, and how often they are kept; its rank 0 alone reads and writes files, and tells.
    """

    method: str
    distiller: Any
    ipc: int
    inputs: DistillInputs
    runtime: Runtime
    budget: BudgetProtocol
    trainer: StudentTrainer
    val: RealSet

    def __post_init__(self) -> None:
        """CellError for rankings of other shards or of two feature tables, for too many candidates, and for too many ranks."""
        again, real = "run `avdistill extract` and `coreset` again", self.inputs.real
        for name, coreset in self.inputs.coresets.items():
            if coreset.shards != real.digest:
                made = f"ranking {name!r} was made from shards {shorten_digest(coreset.shards)}"
                raise CellError(
                    f"{made}, the shards here are {shorten_digest(real.digest)}; {again}"
                )
        tables = {coreset.table: name for name, coreset in self.inputs.coresets.items()}
        if len(tables) > 1:
            (table, name), (other, second) = list(tables.items())[:2]
            ranked = f"ranking {name!r} is of feature table {shorten_digest(table)} and {second!r} of {shorten_digest(other)}"
            raise CellError(f"{ranked}, expected one table; {again}")
        variants = len(self.variants)
        if variants > self.budget.trials:
            raise CellError(
                f"{variants} candidates are more than the {self.budget.trials} trials of the budget; give fewer"
            )
        if self.runtime.ranks.count > 1 and not self.distiller.separable:
            told = f"{self.method} cannot be split over {self.runtime.ranks.count} ranks"
            raise CellError(f"{told}; start it without torchrun")

    @property
    def variants(self) -> list[Any]:
        """The distiller's candidates, among which the selection rule chooses."""
        return list(self.distiller.variants(self.inputs, self.ipc))

    @property
    def digest(self) -> str:
        """SHA-256 of the inputs, and the code, that decide the cell's bytes."""
        given = self.inputs
        chosen = {name: coreset.to_json() for name, coreset in given.coresets.items()}
        networks = {name: asdict(network) for name, network in given.networks.items()}  # type: ignore[call-overload]
        students = [asdict(self.trainer.network), asdict(self.trainer.head)]  # type: ignore[call-overload]
        tuning = [asdict(self.budget), students, self.val.digest]
        about = [
            self.method,
            asdict(self.distiller),
            self.ipc,
            given.real.digest,
            given.bank and given.bank.digest,
        ]
        return digest_of([code_digest(), about, chosen, networks, tuning, self.trainer.device.type])


def distil(
    cell: DistillCell, seeds: Sequence[int], out: Path, checkpoints: Path
) -> tuple[list[dict[str, Any]], float]:
    """Write `out`/seed<k>.safetensors for each seed and `out`/losses.csv; return the trials behind the step size, and all seconds.

    Where rows moved, `out`/start.safetensors holds what the first seed started from.

    Finished descents, the choice, and the descent that is on its way lie under `checkpoints`/<digest of the inputs> until the
    cell is whole.
    """
    place = (
        checkpoints / digest_of([cell.digest, seeds[0]])[:16]
    )  # the first seed is the one that is tuned on
    chosen = _choose_candidates(cell, place, seeds[0])
    variants = cell.variants
    distiller = (
        cell.distiller.mix({m: variants[i] for m, i in chosen["picks"].items()})
        if chosen["picks"]
        else variants[0]
    )
    for number, seed in enumerate(seeds, start=1):
        _ensure_set(cell, distiller, seed, place, {"seed": f"{seed} ({number} of {len(seeds)})"})
    seconds = chosen["seconds"] + cell.runtime.ranks.broadcast(
        lambda: _write_cell(cell, distiller, seeds, chosen["trials"], place, out)
    )
    return list(chosen["trials"]), seconds


def _write_cell(
    cell: DistillCell,
    distiller: Any,
    seeds: Sequence[int],
    trials: list[Any],
    place: Path,
    out: Path,
) -> float:
    """Write `out`, then remove what lay in `place`; the seconds of all descents."""
    with create_folder(out) as part:
        for seed in seeds:
            synthetic = tensors.load_synthetic(place / f"{_name(distiller, seed)}.safetensors")
            provenance = {**synthetic.provenance, **_sources(cell.inputs.real), "tuning": trials}
            tensors.save_synthetic(
                part / f"seed{seed}.safetensors", replace(synthetic, provenance=provenance)
            )
        _keep_start(cell, distiller, seeds[0], part)
        _join_losses(
            [(seed, place / f"{_name(distiller, seed)}.json") for seed in seeds], part / LOSSES
        )
    seconds: float = sum(
        read_json(path, "distill")["seconds"] for path in sorted(place.glob("*-*.json"))
    )
    shutil.rmtree(place, ignore_errors=True)
    return seconds


def _name(distiller: Any, seed: int) -> str:
    """Of the descent with these parameters and seed: one that was tried as a candidate is not done again for its seed."""
    return f"seed{seed}-{digest_of(asdict(distiller))[:12]}"


def _choose_candidates(cell: DistillCell, place: Path, seed: int) -> dict[str, Any]:
    """The candidate of each rate, the trials behind the choice and their seconds, found again if it was made before."""
    path, ranks, variants = place / "tuning.json", cell.runtime.ranks, cell.variants

    def tune() -> dict[str, Any]:
        began = time.monotonic()
        trainer = replace(
            cell.trainer, report=partial(cell.trainer.report, choosing="among candidates")
        )
        sets = [
            tensors.load_synthetic(place / f"{_name(variant, seed)}.safetensors")
            for variant in variants
        ]
        picks, trials = evaluation.choose_variants(variants, sets, cell.budget, trainer, cell.val)
        write_json(path, {"picks": picks, "trials": trials, "seconds": time.monotonic() - began})
        found: dict[str, Any] = read_json(path, "distill")
        return found

    if len(variants) == 1:
        return {"picks": {}, "trials": [], "seconds": 0.0}
    if ranks.broadcast(path.exists):
        return ranks.broadcast(lambda: read_json(path, "distill"))
    for (
        variant
    ) in variants:  # one that cannot begin is told before the others have taken their time
        variant.begin(cell.inputs, ipc=cell.ipc, seed=seed)
    for number, variant in enumerate(variants, start=1):
        _ensure_set(cell, variant, seed, place, {"candidate": f"{number} of {len(variants)}"})
    return ranks.broadcast(tune)


def _ensure_set(
    cell: DistillCell, distiller: Any, seed: int, place: Path, told: Mapping[str, str]
) -> None:
    """See that a distiller's set with a seed lies in `place`: made, found again if it was made before, gone on with if begun.

    Ranks above 0 only compute: they look at no file, so that they need not share a file system, and write none.

    Args:
        told: which of the cell's descents it is, for the report.
    """
    name, ranks = _name(distiller, seed), cell.runtime.ranks
    path = place / f"{name}.safetensors"
    if ranks.broadcast(path.exists):
        return
    about = {
        "method": cell.method,
        "ipc": cell.ipc,
        "seed": seed,
        "inputs": digest_of([cell.digest, asdict(distiller)]),
    }
    streamed = (
        {"streamed MiB": cell.inputs.real.nbytes / 2**20}
        if cell.runtime.needs_streaming(cell.inputs.real)
        else {}
    )
    runtime = replace(
        cell.runtime,
        report=partial(cell.runtime.report, **told, **streamed),
        checkpoint=replace(
            cell.runtime.checkpoint, path=place / f"{name}.step.safetensors", about=about
        ),
    )
    result = distiller.distill(cell.inputs, ipc=cell.ipc, seed=seed, runtime=runtime)
    if ranks.number == 0:
        write_json(place / f"{name}.json", {"losses": result.losses, "seconds": result.seconds})
        synthetic = replace(
            result.synthetic, provenance=_provenance(cell, distiller, seed, result.synthetic)
        )
        tensors.save_synthetic(path, synthetic)


def _provenance(
    cell: DistillCell, distiller: Any, seed: int, synthetic: SyntheticSet
) -> dict[str, Any]:
    real = cell.inputs.real
    return {
        **synthetic.provenance,
        "method": cell.method,
        "params": json.loads(json.dumps(asdict(distiller))),
        "seed": seed,
        "preprocessing": real.preprocessing,
        "source_shards": real.digest,
        "pieces": formation.count_pieces(synthetic.formation),
    }


def _sources(real: RealSet) -> dict[str, Any]:
    """Whose clips these are, told when the cell is whole: descents are found again after a licence was stated in other words."""
    ids = {"source_ids": sorted(set(real.clips))} if real.source.by_id else {}
    return {"sources": [asdict(real.source)], **ids}


def _keep_start(cell: DistillCell, distiller: Any, seed: int, part: Path) -> None:
    start: SyntheticSet = distiller.begin(cell.inputs, ipc=cell.ipc, seed=seed)
    end = tensors.load_synthetic(part / f"seed{seed}.safetensors")
    if any(not rows.equal(end.rows[m]) for m, rows in start.rows.items()):
        tensors.save_synthetic(part / START, start)


def _join_losses(parts: Sequence[tuple[int, Path]], path: Path) -> None:
    rows = (
        [seed, step, f"{loss:.6g}"]
        for seed, losses in parts
        for step, loss in enumerate(read_json(losses, "distill")["losses"], start=1)
    )
    write_rows(path, ["seed", "step", "loss"], rows)
