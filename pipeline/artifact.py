"""The versioned synthetic set: one HDF5 file that says everything about itself (docs/artifact-format.md)."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

import pipeline
from pipeline import tables
from pipeline.errors import ArtifactError, TableError
from pipeline.records import Normalisation, SyntheticSet, told

if TYPE_CHECKING:
    from pathlib import Path

FORMAT = "avdistill"
VERSION = "1.0"
# What scores hold of every single student or clip.
_SINGLE = ("runs", "trials", "right", "windows", "confusion")
# What a stored number means, per modality; undo: (stored * std + mean) / scale.
UNITS = "(raw * scale - mean) / std per channel; raw is 0..255 for frame, decibels for logmel"


@dataclass(frozen=True, kw_only=True)
class Export:
    """Section `export`: the type that rows are stored in."""

    storage: Literal["float32", "float16"]


@dataclass(frozen=True, kw_only=True)
class Publish:
    """Section `publish`: whether the score of every single student goes into the file, beside the summaries."""

    runs: bool


def write_artifact(path: Path, synthetic: SyntheticSet, settings: Export) -> str:
    """Write the set, without scores; return its content digest."""
    columns = {name: np.asarray(values) for name, values in synthetic.columns.items()}
    columns |= {m: columns[m].astype(settings.storage) for m in synthetic.rows}
    columns["source_key"] = np.array(synthetic.source_key)
    attributes = {
        "format": FORMAT,
        "format_version": VERSION,
        "package_version": pipeline.__version__,
        "classes": list(synthetic.classes),
        "ipc": synthetic.ipc,
        "formation": {m: list(grid) for m, grid in synthetic.formation.items()},
        "normalisation": {m: asdict(n) for m, n in synthetic.normalisation.items()},
        "units": UNITS,
        **synthetic.provenance,
    }
    return tables.write_table(path, columns, attributes)


def read_artifact(path: Path) -> SyntheticSet:
    """The set in a file of this format; ArtifactError if it is missing, damaged, changed or newer than this program."""
    import torch  # here, for describing and publishing a file should not wait two seconds for it

    columns, about = read_parts(path)
    try:
        keys = tuple(columns.pop("source_key").tolist())
        # Rows and soft labels are float32 to those who use them, whatever they are stored as; labels stay whole numbers.
        values = {name: torch.from_numpy(column) for name, column in columns.items()}
        return SyntheticSet.of_columns(
            {name: column.float() if column.is_floating_point() else column for name, column in values.items()},
            classes=tuple(about["classes"]),
            ipc=int(about["ipc"]),
            formation={m: (grid[0], grid[1]) for m, grid in about["formation"].items()},
            normalisation={m: Normalisation.from_json(value) for m, value in about["normalisation"].items()},
            source_key=keys,
            provenance={name: about[name] for name in about if name not in _DEFINED},
        )
    except (KeyError, TypeError, ValueError) as error:
        raise ArtifactError(f"{path} lacks what the format asks for ({type(error).__name__}: {error}); export it again") from error


def read_parts(path: Path) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """Columns, and attributes with their JSON read: what `inspect` shows."""
    try:
        columns, attributes = tables.read_table(path)
    except TableError as error:
        raise ArtifactError(str(error)) from error
    if attributes.get("format") != FORMAT:
        raise ArtifactError(f"{path} is no artifact of avdistill; expected what `avdistill export` writes")
    major = str(attributes.get("format_version", "")).partition(".")[0]
    if major != VERSION.partition(".")[0]:
        raise ArtifactError(
            f"{path} has format version {attributes.get('format_version')}, this program reads {VERSION}; "
            f"install the avdistill that reads it"
        )
    return columns, {name: _read(value) for name, value in attributes.items()}


def artifacts_in(place: Path) -> list[Path]:
    """The artifact itself, or the artifacts of a folder, sorted; ArtifactError if there is none."""
    files = sorted(place.glob("*.h5")) if place.is_dir() else [place]
    if not files or not files[0].is_file():
        raise ArtifactError(f"{place} holds no artifact; expected an .h5 file, or a folder of them as `avdistill export` writes it")
    return files


def publish_artifact(path: Path, known: dict[str, Any], settings: Publish, out: Path) -> str:
    """Copy an artifact to `out` with the scores that `known`, an evaluation of this very file, holds; return the digest."""
    columns, about = read_parts(path)
    digest = about[tables.DIGEST]
    if not isinstance(known, dict) or not {"artifacts", "scores"} <= known.keys():
        raise ArtifactError(f"the scores given for {path} are none; expected the JSON that `avdistill evaluate` writes")
    if known["artifacts"].get(path.name) != digest:
        raise ArtifactError(f"the scores are not of {path} (digest {digest[:12]}); evaluate it, then publish with those scores")
    left_out = () if settings.runs else _SINGLE
    scores = [{name: value for name, value in entry.items() if name not in left_out} for entry in known["scores"]]
    written = tables.write_table(out, columns, {**about, "scores": scores})
    assert written == digest, "scores are outside of the digest"
    return written


def describe(path: Path) -> str:
    """A page of text: what, from what, how, normalisation, and the scores of a published file."""
    columns, about = read_parts(path)
    scores = about.pop("scores", [])
    lines = [f"{path}  {path.stat().st_size} bytes", ""]
    lines += [f"{name:<18}{column.dtype} {list(column.shape)}" for name, column in columns.items()] + [""]
    for name, value in about.items():
        shown = "\n".join(f"{'':<18}{key}: {item}" for key, item in value.items()).lstrip() if isinstance(value, dict) else value
        lines.append(f"{name:<18}{', '.join(map(str, value)) if isinstance(value, list) else shown}")
    for entry in scores:
        name = " ".join(entry[key] for key in ("protocol", "network", "head", "task"))
        for metric, views in entry["metrics"].items():
            lines += [f"{'score':<18}{name} {metric} {view}: {told(metric, x)} (n = {x['n']})" for view, x in views.items()]
    return "\n".join(lines if scores else [*lines, "scores            none; `avdistill evaluate`, then `avdistill publish`"])


_DEFINED = ("format", "format_version", "package_version", "classes", "ipc", "formation", "normalisation", "units", "scores")


def _read(value: Any) -> Any:
    """JSON lists and mappings are read; other text stays text."""
    return json.loads(value) if isinstance(value, str) and value[:1] in "[{" and value else value
