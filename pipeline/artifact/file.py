"""Writing, reading and publishing; what is read is whole and fits together, or an ArtifactError."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

import pipeline
from pipeline.artifact.packing import PACKING, pack, unpack
from pipeline.artifact.schema import DECODING, FORMAT, KEYS, VERSION, find_faults, modalities
from pipeline.core import hdf5 as tables
from pipeline.core.errors import ArtifactError, TableError
from pipeline.core.records import SOFT, Normalisation, SyntheticSet

if TYPE_CHECKING:
    from pathlib import Path

    from torch import Tensor
    from torch.utils.data import Dataset

# What scores hold of every single student or clip.
_SINGLE = ("runs", "trials", "right", "windows", "confusion")
# What a stored number means, per modality; undo: (stored * std + mean) / scale.
UNITS = "(raw * scale - mean) / std per channel; raw is 0..255 for frame, decibels for logmel"
# Attributes that are fields of a synthetic set, or of the format; the others are its provenance.
_DEFINED = (
    "format",
    "format_version",
    "package_version",
    "classes",
    "ipc",
    "formation",
    "decoding",
    "normalisation",
    "units",
    PACKING,
    "scores",
    "evaluation",
)


@dataclass(frozen=True, kw_only=True)
class ExportSettings:
    """Section `export`: the type that rows are stored in."""

    storage: Literal["float32", "float16", "uint8"]


@dataclass(frozen=True, kw_only=True)
class PublishSettings:
    """Section `publish`: whether the score of every single student goes into the file, beside the summaries."""

    runs: bool


@dataclass(frozen=True, kw_only=True)
class Artifact:
    """A synthetic set as NumPy has it.

    Args:
        columns: frame float32 [N, T, 3, H, W], logmel float32 [N, 1, M, F], in the networks' normalised units; label int64 [N];
            source_key, text [N]; where there are soft labels, soft_label_<modality> float32 [N, pieces, classes].
        about: every attribute, lists and mappings read from their JSON.
    """

    columns: dict[str, np.ndarray]
    about: dict[str, Any]

    @property
    def synthetic(self) -> SyntheticSet:
        """The record that students are taught from, as torch has it."""
        import torch  # here, for describing and publishing a file should not wait two seconds for it

        about = self.about
        return SyntheticSet.from_columns(
            {
                name: torch.from_numpy(column)
                for name, column in self.columns.items()
                if name != KEYS
            },
            classes=tuple(about["classes"]),
            ipc=about["ipc"],
            formation={m: (grid[0], grid[1]) for m, grid in about["formation"].items()},
            normalisation={
                m: Normalisation.from_json(value) for m, value in about["normalisation"].items()
            },
            source_key=tuple(self.columns[KEYS].tolist()),
            provenance={name: about[name] for name in about if name not in _DEFINED},
        )

    def to_torch(self) -> Dataset[dict[str, Tensor]]:
        """The training instances, decoded and normalised: items of frame [T, 3, H, W], logmel [1, M, F], label and soft labels.

        For any DataLoader: `DataLoader(read_artifact(path).to_torch(), batch_size=32, shuffle=True)`.
        """
        from torch.utils.data import StackDataset

        from pipeline.training import formation

        rows, label, soft = formation.decode(self.synthetic)
        soft = {f"{SOFT}{modality}": values for modality, values in soft.items()}
        return StackDataset(**rows, label=label, **soft)  # type: ignore[arg-type]


def write_artifact(path: Path, synthetic: SyntheticSet, settings: ExportSettings) -> str:
    """Write the set, without scores; return its content digest.

    Raises:
        ArtifactError: the set does not fit the format, so that nobody could read it; nothing is written.
    """
    columns = {name: np.asarray(values) for name, values in synthetic.columns.items()}
    columns[KEYS] = np.array(synthetic.source_key)
    stored = {m: pack(columns[m], settings.storage) for m in synthetic.rows}
    packing = {m: how for m, (_, how) in stored.items() if how}
    attributes = {
        "format": FORMAT,
        "format_version": VERSION,
        "package_version": pipeline.__version__,
        "classes": list(synthetic.classes),
        "ipc": synthetic.ipc,
        "formation": {m: list(grid) for m, grid in synthetic.formation.items()},
        "decoding": DECODING,
        "normalisation": {m: asdict(n) for m, n in synthetic.normalisation.items()},
        "units": UNITS,
        **({PACKING: packing} if packing else {}),
        **synthetic.provenance,
    }
    _refuse_faulty(path, columns, attributes, "nothing is written; distil the set again")
    return tables.write_table(
        path, columns | {m: rows for m, (rows, _) in stored.items()}, attributes
    )


def read_artifact(path: Path) -> Artifact:
    """What a file of this format holds; ArtifactError if it is missing, damaged, changed, or newer than this program."""
    found = read_unchecked(path)
    _refuse_faulty(path, found.columns, found.about, "export it again")
    return found


def read_unchecked(path: Path) -> Artifact:
    """The same, whether or not its parts fit together: for those who list its `faults`."""
    columns, about = _read_stored(path)
    try:
        return Artifact(columns=unpack(columns, about, modalities(columns)), about=about)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise ArtifactError(
            f"{path} holds rows that cannot be unpacked ({type(error).__name__}: {error}); export it again"
        ) from error


def read_about(path: Path) -> tuple[dict[str, tables.ColumnType], dict[str, Any]]:
    """The attributes, and what each column is, of a file whose rows are neither read nor checked; ArtifactError as before."""
    try:
        kinds, attributes = tables.read_attributes(path)
    except TableError as error:
        raise ArtifactError(str(error)) from error
    return kinds, _parse_attributes(path, attributes)


def list_artifacts(place: Path) -> list[Path]:
    """The artifact itself, or the artifacts of a folder, sorted; ArtifactError if there is none."""
    files = sorted(place.glob("*.h5")) if place.is_dir() else [place]
    if not files or not files[0].is_file():
        raise ArtifactError(
            f"{place} holds no artifact; expected an .h5 file, or a folder of them as `avdistill export` writes it"
        )
    return files


def publish_artifact(
    path: Path, known: dict[str, Any], settings: PublishSettings, out: Path
) -> str:
    """Copy an artifact to `out` with the scores that `known`, an evaluation of this very file, holds; return the digest."""
    columns, about = _read_stored(path)
    digest: str = about[tables.DIGEST]
    if not isinstance(known, dict) or not {"artifacts", "scores"} <= known.keys():
        raise ArtifactError(
            f"the scores given for {path} are none; expected the JSON that `avdistill evaluate` writes"
        )
    if known["artifacts"].get(path.name) != digest:
        raise ArtifactError(
            f"the scores are not of {path} (digest {digest[:12]}); evaluate it, then publish with those scores"
        )
    number = sorted(known["artifacts"]).index(path.name)
    scores = [
        _prepare_score(entry, number, () if settings.runs else _SINGLE) for entry in known["scores"]
    ]
    evaluation = {"evaluation": known["evaluation"]} if "evaluation" in known else {}
    written = tables.write_table(out, columns, {**about, **evaluation, "scores": scores})
    assert written == digest, "scores are outside of the digest"
    return written


def _prepare_score(entry: dict[str, Any], number: int, left_out: tuple[str, ...]) -> dict[str, Any]:
    """A score as files carry it; `own`: metric -> view -> the mean of the students of this file's own set."""
    runs = [run for run in entry["runs"] if run["set"] == number]
    own = {
        metric: {view: sum(run[metric][view] for run in runs) / len(runs) for view in views}
        for metric, views in entry["metrics"].items()
        if runs and all(metric in run for run in runs)
    }
    return {**{name: value for name, value in entry.items() if name not in left_out}, "own": own}


def _read_stored(path: Path) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """Columns as they are stored, and attributes with their JSON read."""
    try:
        columns, attributes = tables.read_table(path)
    except TableError as error:
        raise ArtifactError(str(error)) from error
    return columns, _parse_attributes(path, attributes)


def _parse_attributes(path: Path, attributes: dict[str, Any]) -> dict[str, Any]:
    """The attributes of a file of this format and version."""
    if attributes.get("format") != FORMAT:
        raise ArtifactError(
            f"{path} is no artifact of avdistill; expected what `avdistill export` writes"
        )
    version = str(attributes.get("format_version", ""))
    if version.partition(".")[0] != VERSION.partition(".")[0]:
        raise ArtifactError(
            f"{path} has format version {version[:20]}, this program reads {VERSION}; "
            f"install the avdistill that reads it: pip install --upgrade avdistill"
        )
    return {name: _read(value) for name, value in attributes.items()}


def _read(value: Any) -> Any:
    """JSON lists and mappings are read; other text stays text."""
    if not isinstance(value, str) or value[:1] not in ("[", "{"):
        return value
    try:
        return json.loads(value)
    except (ValueError, RecursionError):
        return value


def _refuse_faulty(
    path: Path, columns: dict[str, np.ndarray], about: dict[str, Any], advice: str
) -> None:
    if fault := next(find_faults(columns, about), None):
        raise ArtifactError(f"{path} {fault}; {advice}")
