"""Write and read artifacts; a damaged or inconsistent file is an ArtifactError."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

import pipeline
from pipeline.artifact.packing import PACKING, pack, unpack
from pipeline.artifact.schema import (
    DECODING,
    FORMAT,
    KEYS,
    PREPROCESSING_PARAMS,
    SAMPLING,
    STEPS,
    VERSION,
    find_faults,
    list_modalities,
)
from pipeline.core import hdf5 as tables
from pipeline.core.errors import ArtifactError, TableError
from pipeline.core.paths import list_folder, to_path
from pipeline.core.records import SOFT, Normalisation, SyntheticSet

if TYPE_CHECKING:
    from pathlib import Path

    from torch import Tensor
    from torch.utils.data import Dataset

    from pipeline.artifact.clips import ClipSamples
    from pipeline.core.paths import AnyPath

# The attribute `units`; to undo it: raw = (stored * std + mean) / scale.
UNITS = "(raw * scale - mean) / std per channel; raw is 0..255 for frame, decibels for logmel"
# The first bytes of an HDF5 file, and of the note that git-lfs leaves in place of a file.
HDF5, LFS_NOTE = b"\x89HDF", b"version https://git-lfs"
# Attributes that the format or the fields of a synthetic set define; all others are provenance.
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
    STEPS,
)


@dataclass(frozen=True, kw_only=True)
class ExportSettings:
    """Section `export`.

    Args:
        storage: the type of stored rows; uint8 rows have a scale and an offset per modality.
    """

    storage: Literal["float32", "float16", "uint8"]


@dataclass(frozen=True, kw_only=True)
class Artifact:
    """The content of an artifact as NumPy arrays.

    Args:
        columns: rows in the networks' normalised units, frame float32 [N, T, 3, H, W] and logmel
            float32 [N, 1, M, F]; label int64 [N]; source_key, text [N]; if there are soft labels,
            soft_label_<modality> float32 [N, pieces, classes].
        about: every attribute; lists and mappings are parsed from their JSON.
    """

    columns: dict[str, np.ndarray]
    about: dict[str, Any]

    def __repr__(self) -> str:
        """Name the method, instances per class, number of classes, and shape of each modality."""
        shapes = "".join(
            f", {m} {list(self.columns[m].shape)}" for m in list_modalities(self.columns)
        )
        classes = len(self.about.get("classes", ()))
        named = f"{self.about.get('method', 'unnamed')}, IPC {self.about.get('ipc')}"
        return f"Artifact({named}, {classes} classes{shapes})"

    @property
    def synthetic(self) -> SyntheticSet:
        """The synthetic set with torch tensors, as students are trained on it."""
        import torch  # here: inspect and publish do without torch, whose import takes two seconds

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
        """Return the training instances, decoded and normalised, as a dataset for a DataLoader.

        Returns:
            Items with frame [T, 3, H, W], logmel [1, M, F], label, and soft_label_<modality>
            [classes] if there are soft labels.

        Example:
            dataset = read_artifact("seed0.h5").to_torch()
            loader = DataLoader(dataset, batch_size=32, shuffle=True)
        """
        from torch.utils.data import StackDataset

        from pipeline.training import formation

        rows, label, soft = formation.decode(self.synthetic)
        soft = {f"{SOFT}{modality}": values for modality, values in soft.items()}
        return StackDataset(**rows, label=label, **soft)  # type: ignore[arg-type]

    def preprocess(self, path: AnyPath) -> ClipSamples:
        """Make samples of a clip of your own, as those behind the artifact were made.

        PyAV reads the clip and torchaudio makes the log-mels; the values are normalised.

        Args:
            path: of the media file, or a URL of fsspec.

        Returns:
            A sample of every whole second: `rows` by modality, and `seconds`.

        Raises:
            ArtifactError: the artifact does not hold its preprocessing; files of format 1.0 do not.
            MediaError: the clip cannot be decoded, lacks a stream, or has no whole second.

        Example:
            samples = read_artifact("seed0.h5").preprocess("dog.mp4")
            samples.rows["frame"]  # float32 [seconds, T, 3, H, W]
        """
        # By name: a stage's digest covers all that it imports, and no stage runs this.
        clips = import_module("pipeline.artifact.clips")
        samples: ClipSamples = clips.preprocess_clip(str(to_path(path)), self.about)
        return samples


def write_artifact(path: AnyPath, synthetic: SyntheticSet, settings: ExportSettings) -> str:
    """Write a synthetic set as an artifact without scores, and return its content digest.

    Args:
        path: the .h5 file; an existing one is replaced.
        synthetic: the set, with NumPy arrays or torch tensors.
        settings: how rows are stored.

    Raises:
        ArtifactError: the set does not follow the format; nothing is written.

    Example:
        synthetic = load_synthetic("work/dm/seed0.safetensors")
        digest = write_artifact("seed0.h5", synthetic, ExportSettings(storage="float16"))
    """
    path = to_path(path)
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
        **_describe_steps(synthetic),
        **synthetic.provenance,
    }
    _refuse_faulty(path, columns, attributes, "nothing is written; distil the set again")
    return tables.write_table(
        path, columns | {m: rows for m, (rows, _) in stored.items()}, attributes
    )


def _describe_steps(synthetic: SyntheticSet) -> dict[str, Any]:
    """Return the attribute that says how the parameters of the preprocessing are used."""
    if PREPROCESSING_PARAMS not in synthetic.provenance:
        return {}
    return {STEPS: {m: SAMPLING[m] for m in synthetic.rows if m in SAMPLING}}


def read_artifact(path: AnyPath) -> Artifact:
    """Read an artifact and check it against the format.

    Args:
        path: the .h5 file.

    Raises:
        ArtifactError: the file is missing, damaged, changed since it was written, of a newer major
            version, or its parts do not fit together.

    Example:
        artifact = read_artifact("seed0.h5")
        artifact.columns["frame"]  # float32 [N, T, 3, H, W]
        artifact.about["classes"]  # names in the order of the labels
    """
    path = to_path(path)
    artifact = read_unchecked(path)
    _refuse_faulty(path, artifact.columns, artifact.about, "export it again")
    return artifact


def read_unchecked(path: AnyPath) -> Artifact:
    """Read an artifact without checking that its parts fit together; `find_faults` checks them.

    Args:
        path: the .h5 file.

    Raises:
        ArtifactError: the file is missing, damaged, changed or of a newer major version, or its
            rows cannot be unpacked.

    Example:
        artifact = read_unchecked(Path("seed0.h5"))
        faults = list(find_faults(artifact.columns, artifact.about))
    """
    path = to_path(path)
    columns, about = read_stored(path)
    try:
        return Artifact(columns=unpack(columns, about, list_modalities(columns)), about=about)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise ArtifactError(
            f"{path} holds rows that cannot be unpacked ({type(error).__name__}: {error}); "
            "export it again"
        ) from error


def read_about(path: AnyPath) -> tuple[dict[str, tables.ColumnType], dict[str, Any]]:
    """Read the types of the columns and the attributes; rows are neither read nor checked.

    Args:
        path: the .h5 file.

    Returns:
        The type of each column by name, and the attributes with their JSON parsed.

    Raises:
        ArtifactError: the file is missing, damaged or of a newer major version.

    Example:
        types, about = read_about("seed0.h5")
        types["frame"].shape, about["method"]
    """
    path = to_path(path)
    _refuse_other_formats(path)
    try:
        types, attributes = tables.read_attributes(path)
    except TableError as error:
        raise ArtifactError(str(error)) from error
    return types, _parse_attributes(attributes)


def list_artifacts(path: AnyPath) -> list[Path]:
    """Return the artifacts of a folder, sorted by name, or a single file.

    Args:
        path: a folder of .h5 files, or one such file.

    Raises:
        ArtifactError: there is no artifact.

    Example:
        list_artifacts("artifacts")  # [artifacts/seed0.h5, artifacts/seed1.h5]
    """
    path = to_path(path)
    files = list_folder(path, "*.h5") if path.is_dir() else [path]
    if not files or not files[0].is_file():
        raise ArtifactError(
            f"{path} holds no artifact; expected an .h5 file, or a folder of them "
            "as `avdistill export` writes it"
        )
    return files


def read_stored(path: Path) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """Return the columns as they are stored, and the attributes with their JSON parsed.

    Args:
        path: the .h5 file.

    Raises:
        ArtifactError: the file is missing, damaged, changed or of a newer major version.

    Example:
        columns, about = read_stored(Path("seed0.h5"))
    """
    _refuse_other_formats(path)
    try:
        columns, attributes = tables.read_table(path)
    except TableError as error:
        raise ArtifactError(str(error)) from error
    return columns, _parse_attributes(attributes)


def _refuse_other_formats(path: Path) -> None:
    """Check format and version first: a newer one may have other rows and another digest."""
    try:
        attributes = tables.read_some_attributes(path, ("format", "format_version"))
    except TableError as error:
        raise ArtifactError(_describe_foreign(path) or str(error)) from error
    if attributes.get("format") != FORMAT:
        raise ArtifactError(
            f"{path} is not an artifact of avdistill; expected a file of `avdistill export`"
        )
    version = str(attributes.get("format_version", ""))
    if version.partition(".")[0] != VERSION.partition(".")[0]:
        raise ArtifactError(
            f"{path} has format version {version[:20]}, this program reads {VERSION}; "
            "install the avdistill that reads it: pip install --upgrade avdistill"
        )


def _describe_foreign(path: Path) -> str:
    """Return a sentence about a file that does not begin like HDF5, "" for any other."""
    try:
        with path.open("rb") as file:
            start = file.read(len(LFS_NOTE))
    except OSError:
        return ""
    if start.startswith(HDF5):
        return ""
    found = f"it begins with {start!r}" if start else "it is empty"
    advice = "fetch the file by `git lfs pull`" if start == LFS_NOTE else "write or fetch it again"
    return f"{path} is no HDF5 file of datasets, or is damaged ({found}); {advice}"


def _parse_attributes(attributes: dict[str, Any]) -> dict[str, Any]:
    return {name: _parse(value) for name, value in attributes.items()}


def _parse(value: Any) -> Any:
    """Parse JSON lists and mappings; other values stay as they are."""
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
