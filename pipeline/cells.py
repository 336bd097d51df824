"""One cell, method x ipc: choose the step size once, then distil every seed; a finished seed is never done again."""

from __future__ import annotations

import csv
import json
import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

from pipeline import evaluation, formation, tensors
from pipeline.errors import CellError
from pipeline.files import code_digest, digest_of, new_file, new_folder, read_json, short, write_json

if TYPE_CHECKING:
    from pathlib import Path

    from pipeline.crowd import Crew
    from pipeline.evaluation import Budget
    from pipeline.records import Coreset, RealSet, SyntheticSet
    from pipeline.training import Network

LOSSES = "losses.csv"
START = "start.safetensors"


@dataclass(frozen=True, kw_only=True)
class Cell:
    """Everything that a cell is made from; `digest` names it, so that an interrupted run is found again."""

    method: str
    distiller: Any
    ipc: int
    real: RealSet
    coresets: Mapping[str, Coreset]
    networks: Mapping[str, Network]
    budget: Budget
    crew: Crew
    val: RealSet
    report: Callable[..., None]

    def __post_init__(self) -> None:
        """CellError for a ranking of other shards than are read here, or for rankings of two feature tables."""
        again = "run `avdistill extract` and `coreset` again"
        for name, coreset in self.coresets.items():
            if coreset.shards != self.real.digest:
                made = f"ranking {name!r} was made from shards {short(coreset.shards)}"
                raise CellError(f"{made}, the shards here are {short(self.real.digest)}; {again}")
        tables = {coreset.table: name for name, coreset in self.coresets.items()}
        if len(tables) > 1:
            (table, name), (other, second) = list(tables.items())[:2]
            ranked = f"ranking {name!r} is of feature table {short(table)} and {second!r} of {short(other)}"
            raise CellError(f"{ranked}, expected one table; {again}")

    @property
    def digest(self) -> str:
        """SHA-256 of the inputs, and the code, that decide the cell's bytes."""
        chosen = {name: coreset.to_json() for name, coreset in self.coresets.items()}
        networks = {name: asdict(network) for name, network in self.networks.items()}  # type: ignore[call-overload]
        students = [asdict(self.crew.network), asdict(self.crew.head)]  # type: ignore[call-overload]
        tuning = [asdict(self.budget), students, self.val.digest]
        about = [self.method, asdict(self.distiller), self.ipc, self.real.digest]
        return digest_of([code_digest(), about, chosen, networks, tuning])


def distil(cell: Cell, seeds: Sequence[int], out: Path, checkpoints: Path) -> tuple[list[dict[str, Any]], float]:
    """Write `out`/seed<k>.safetensors for each seed and `out`/losses.csv; return the trials behind the step size, and all seconds.

    Where rows moved, `out`/start.safetensors holds what the first seed started from.

    Finished seeds and the choice lie under `checkpoints`/<digest of the inputs> until the cell is whole.
    """
    place = checkpoints / digest_of([cell.digest, seeds[0]])[:16]  # the first seed is the one that is tuned on
    chosen = _chosen(cell, place / "tuning.json", seeds[0])
    distiller = cell.distiller.mixed(chosen["picks"]) if chosen["picks"] else cell.distiller
    for seed in seeds:
        if not (place / f"seed{seed}.safetensors").exists():
            _seed(cell, distiller, seed, chosen["trials"], place)
    with new_folder(out) as part:
        for seed in seeds:
            shutil.copy(place / f"seed{seed}.safetensors", part)
        _keep_start(cell, seeds[0], part)
        _join_losses([(seed, place / f"seed{seed}.json") for seed in seeds], part / LOSSES)
    seconds = chosen["seconds"] + sum(read_json(place / f"seed{seed}.json", "distill")["seconds"] for seed in seeds)
    shutil.rmtree(place)
    return list(chosen["trials"]), seconds


def _run(cell: Cell, distiller: Any, seed: int, report: Callable[..., None]) -> SyntheticSet:
    synthetic: SyntheticSet = distiller.distill(
        cell.real, cell.coresets, cell.networks, ipc=cell.ipc, seed=seed, device=cell.crew.device, report=report
    )
    return synthetic


def _chosen(cell: Cell, path: Path, seed: int) -> dict[str, Any]:
    if not path.exists():
        began = time.monotonic()
        picks, trials = evaluation.tuned(
            cell.distiller.variants(), lambda variant: _run(cell, variant, seed, cell.report), cell.budget, cell.crew, cell.val
        )
        write_json(path, {"picks": picks, "trials": trials, "seconds": time.monotonic() - began})
    chosen: dict[str, Any] = read_json(path, "distill")
    return chosen


def _seed(cell: Cell, distiller: Any, seed: int, trials: list[dict[str, Any]], place: Path) -> None:
    losses, began = [], time.monotonic()

    def report(done: int, total: int, **figures: float) -> None:
        losses.append(figures["loss"])
        cell.report(done, total, seed=seed, **figures)

    synthetic = _run(cell, distiller, seed, report)
    provenance = {
        "method": cell.method,
        "params": json.loads(json.dumps(asdict(distiller))),
        "seed": seed,
        "tuning": trials,
        "preprocessing": cell.real.preprocessing,
        "source_shards": cell.real.digest,
        "pieces": formation.pieces(synthetic.formation),
    }
    write_json(place / f"seed{seed}.json", {"losses": losses, "seconds": time.monotonic() - began})
    tensors.save_synthetic(place / f"seed{seed}.safetensors", replace(synthetic, provenance=provenance))


def _keep_start(cell: Cell, seed: int, part: Path) -> None:
    start: SyntheticSet = cell.distiller.begin(cell.real, cell.coresets, ipc=cell.ipc, seed=seed)
    end = tensors.load_synthetic(part / f"seed{seed}.safetensors")
    if any(not rows.equal(end.rows[m]) for m, rows in start.rows.items()):
        tensors.save_synthetic(part / START, start)


def _join_losses(parts: Sequence[tuple[int, Path]], path: Path) -> None:
    with new_file(path) as part, part.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(["seed", "step", "loss"])
        for seed, losses in parts:
            writer.writerows(
                [seed, step, f"{loss:.6g}"] for step, loss in enumerate(read_json(losses, "distill")["losses"], start=1)
            )
