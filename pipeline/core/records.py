"""The data that stages exchange: sources, clips, samples, sets and features; without torch."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from pipeline.core.errors import PipelineError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence, Sized

    import numpy as np
    import torch
    from torch import Tensor

SPLITS = ("train", "val", "test")

# In files, soft labels have this prefix and the modality as a name.
SOFT = "soft_label_"
NOT_STATED = "not stated"


def join_names(names: Sequence[str], most: int | None = None) -> str:
    """Join names of classes by semicolons, since many hold a comma.

    Args:
        names: of classes; one that holds a semicolon or a quote is put in quotes.
        most: how many are written, the others are counted; None writes all.
    """
    shown = [json.dumps(x, ensure_ascii=False) if {*';"'} & {*x} else x for x in names[:most]]
    return "; ".join(shown) + (f" and {more} more" if (more := len(names) - len(shown)) else "")


@dataclass(frozen=True, kw_only=True)
class Source:
    """The dataset of some clips, as its makers describe it; no sample depends on it.

    Args:
        name: of the dataset.
        home: its web page.
        licence: of the whole dataset, an SPDX id where there is one.
        citation: authors, title, venue and year in one line.
        clip_licences: licence -> training clips, where each clip has a licence of its own.
        by_id: whether the media are published under ids (YouTube). A set then lists the ids that it
            was made from; other sets do not, since names of files may be private.
    """

    name: str = NOT_STATED
    home: str = NOT_STATED
    licence: str = NOT_STATED
    citation: str = NOT_STATED
    clip_licences: Mapping[str, int] = field(default_factory=dict)
    by_id: bool = False


# The source of manifests and shards that state none.
UNKNOWN = Source()


@dataclass(frozen=True, kw_only=True)
class Clip:
    """One labelled span of one media file: a row of the manifest.

    Args:
        clip_id: letters, digits, - and _; unique in a manifest.
        path: of the media file, or a URL.
        label: the name of its class.
        split: one of SPLITS.
        start_s: seconds from the file's first presentation time.
        end_s: the same; None is the end of the file.
        group: clips of one group (a speaker, a recording) stay together when a split is carved.
        fold: the official fold, for cross-validation.
        labels: all of a clip's labels, `label` among them, where clips may have several.
        bytes: size of the media file, 0 if it is missing.
        sha256: of the media file, "" if it is missing.
    """

    clip_id: str
    path: str
    label: str
    split: str
    start_s: float
    end_s: float | None
    group: str
    fold: int | None = None
    labels: tuple[str, ...] = ()
    bytes: int
    sha256: str


@dataclass(frozen=True, kw_only=True)
class Sample:
    """One decoded second of a clip.

    Args:
        clip: its clip_id.
        second: from the start of the clip, 0 for the first one.
        label: the name of its class.
        arrays: by modality, e.g. frame u8 [T, H, W, 3] and logmel f16 [M, F] in dB.
        pts: times of the first modality, seconds from the file's first presentation time.
        quality: measures of the window, e.g. its level in dB.
    """

    clip: str
    second: int
    label: str
    arrays: dict[str, np.ndarray]
    pts: tuple[float, ...]
    quality: dict[str, float | str] = field(default_factory=dict)

    @property
    def key(self) -> str:
        """`<clip_id>_<second:04d>`, the sample's name in every table."""
        return f"{self.clip}_{self.second:04d}"


@dataclass(frozen=True, kw_only=True)
class Normalisation:
    """Normalisation of stored values for networks: (raw * scale - mean) / std, per channel.

    Args:
        scale: 1/255 for 8-bit frames, 1 for log-mels in dB.
        mean: per channel, after scaling.
        std: per channel, after scaling.
        fill: normalised value that augmentation pads with: the mean colour, the log-mel's floor.
    """

    scale: float
    mean: tuple[float, ...]
    std: tuple[float, ...]
    fill: float

    @property
    def affine(self) -> tuple[tuple[float, ...], tuple[float, ...]]:
        """Factor and shift of each channel: raw * factor + shift is normalised."""
        pairs = list(zip(self.mean, self.std, strict=True))
        return tuple(self.scale / std for _, std in pairs), tuple(
            -mean / std for mean, std in pairs
        )

    def apply(self, raw: Tensor) -> Tensor:
        """Return normalised values, float32.

        Args:
            raw: [..., C, H, W] of any dtype.
        """
        values = raw.float()
        factor, shift = (values.new_tensor(numbers)[:, None, None] for numbers in self.affine)
        return shift.addcmul(values, factor)  # one pass over the rows

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> Normalisation:
        """Return a normalisation from its fields as JSON values.

        Args:
            value: scale, mean, std and fill.
        """
        return cls(
            scale=value["scale"],
            mean=tuple(value["mean"]),
            std=tuple(value["std"]),
            fill=value["fill"],
        )

    def undo(self, normalised: Tensor) -> Tensor:
        """Return values in raw units (0..255, dB), float32.

        Args:
            normalised: [..., C, H, W].
        """
        mean = normalised.new_tensor(self.mean)[:, None, None]
        std = normalised.new_tensor(self.std)[:, None, None]
        return (normalised * std + mean) / self.scale


class Rows(Protocol):
    """Rows of one modality: a tensor, or an object that reads them from files when used."""

    @property
    def shape(self) -> torch.Size: ...

    @property
    def nbytes(self) -> int: ...

    def __len__(self) -> int: ...

    def __getitem__(self, index: Tensor | slice, /) -> Tensor: ...

    def to(self, device: torch.device, /) -> Tensor: ...


@dataclass(frozen=True, kw_only=True)
class RealSet:
    """The samples of one split.

    Args:
        rows: by modality, in memory or in files: frame u8 [N, T, 3, H, W], logmel f16 [N, 1, M, F].
        label: int64 [N], indices of `classes`.
        keys: one per row, see `Sample.key`.
        clips: clip_id of each row; the bootstrap resamples clips.
        classes: names, the same in every split.
        normalisation: by modality.
        preprocessing: digest of the parameters that made the samples from the media.
        digest: of the shards, without their source.
        source: the dataset.
        preprocessing_params: those parameters by modality; empty if the index lacks them.
    """

    rows: Mapping[str, Rows]
    label: Tensor
    keys: tuple[str, ...]
    clips: tuple[str, ...]
    classes: tuple[str, ...]
    normalisation: dict[str, Normalisation]
    preprocessing: str
    digest: str
    source: Source = UNKNOWN
    preprocessing_params: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        _check_lengths({**self.rows, "label": self.label, "keys": self.keys, "clips": self.clips})

    def __len__(self) -> int:
        return len(self.keys)

    @property
    def nbytes(self) -> int:
        """Bytes of all rows, in memory or not."""
        return sum(rows.nbytes for rows in self.rows.values())

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Shape of one row by modality, without the batch dimension."""
        return {modality: tuple(rows.shape[1:]) for modality, rows in self.rows.items()}

    def normalise(
        self, index: Tensor | slice, using: Mapping[str, Normalisation] | None = None
    ) -> dict[str, Tensor]:
        """Return normalised rows by modality, float32.

        Args:
            index: indices or a slice of the rows.
            using: another normalisation by modality, by default the set's.
        """
        return {
            m: (using or self.normalisation)[m].apply(rows[index]) for m, rows in self.rows.items()
        }

    def indices_of(self, label: int) -> Tensor:
        """Return the indices of a class's rows, ascending.

        Args:
            label: index of the class.
        """
        return (self.label == label).nonzero().flatten()


@dataclass(frozen=True, kw_only=True)
class Origin:
    """The encoder and the data that a table of embeddings was made with; a table has one of each.

    Args:
        extractor: the plugin's name.
        params: its parameters, as JSON values.
        shards: digest of the shards.
        preprocessing: digest of the parameters that made the samples from the media.
        weights: digest of the encoder's tensors, or of the files with vectors.
    """

    extractor: str
    params: dict[str, Any]
    shards: str
    preprocessing: str
    weights: str


@dataclass(frozen=True, kw_only=True)
class Features:
    """Embeddings of one split.

    Args:
        keys: one per row, those of the samples.
        label: int64 [N], indices of `classes`.
        vectors: by modality, float32 [N, D].
        classes: names.
        origin: encoder and data.
    """

    keys: tuple[str, ...]
    label: np.ndarray
    vectors: dict[str, np.ndarray]
    classes: tuple[str, ...]
    origin: Origin

    def __post_init__(self) -> None:
        _check_lengths({**self.vectors, "label": self.label, "keys": self.keys})


@dataclass(frozen=True, kw_only=True)
class Texts:
    """Embedded prompts: a sentence per template and class.

    Args:
        classes: names.
        templates: sentences with a slot for the class.
        prompts: the embedded sentences, template by template and class by class.
        vectors: float32 [templates, classes, D].
        extractor: the plugin's name.
        params: its parameters, as JSON values.
        weights: digest of the encoder's tensors.
    """

    classes: tuple[str, ...]
    templates: tuple[str, ...]
    prompts: tuple[str, ...]
    vectors: np.ndarray
    extractor: str
    params: dict[str, Any]
    weights: str


def space_of(made: Origin | Texts, modality: str) -> str:
    """Return the name of an embedding space: the encoder's weights, or an entry of its `spaces`.

    Args:
        made: the origin of features, or texts.
        modality: e.g. "wave".
    """
    spaces: Mapping[str, str] = made.params.get("spaces", {})
    return spaces.get(modality, made.weights)


@dataclass(frozen=True, kw_only=True)
class SyntheticSet:
    """The synthetic set S: `ipc` stored instances per class, in normalised units.

    Args:
        rows: frame float32 [N, T, 3, H, W], logmel float32 [N, 1, M, F]; N = classes x ipc, class
            by class.
        label: int64 [N], indices of `classes`.
        classes: names.
        ipc: instances per class.
        formation: modality -> (rows, columns) of an instance's grid of pieces; (1, 1) is whole.
        normalisation: by modality.
        source_key: per row, keys of the real samples that it was formed or started from.
        soft_label: modality -> float32 [N, pieces of its grid, classes], targets of each piece;
            empty for hard labels.
        provenance: JSON values: sources, method, parameters, seed, digests of the inputs, tuning.
    """

    rows: dict[str, Tensor]
    label: Tensor
    classes: tuple[str, ...]
    ipc: int
    formation: dict[str, tuple[int, int]]
    normalisation: dict[str, Normalisation]
    source_key: tuple[str, ...]
    soft_label: dict[str, Tensor] = field(default_factory=dict)
    provenance: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        _check_lengths({**self.rows, "label": self.label, "source_key": self.source_key})
        _check_lengths({"label": self.label, **self.soft_label})
        if self.soft_label and set(self.soft_label) != set(self.rows):
            soft, rows = (", ".join(sorted(part)) for part in (self.soft_label, self.rows))
            raise PipelineError(
                f"soft labels are of {soft}, rows of {rows}; "
                "expected one for each modality, or none; make the set again"
            )
        if len(self.label) != self.ipc * len(self.classes):
            raise PipelineError(
                f"a synthetic set of {len(self.classes)} classes x ipc {self.ipc} "
                f"has {len(self.label)} rows"
            )

    @property
    def columns(self) -> dict[str, Tensor]:
        """Rows, soft labels and labels by their names in files."""
        return {
            **self.rows,
            **{f"{SOFT}{m}": values for m, values in self.soft_label.items()},
            "label": self.label,
        }

    @classmethod
    def from_columns(cls, columns: Mapping[str, Tensor], **about: Any) -> SyntheticSet:
        """Return a set from its columns.

        Args:
            columns: as the property gives them; names other than label and soft labels are rows.
            about: all other fields.

        Raises:
            KeyError: there is no label.
        """
        soft = {
            name.removeprefix(SOFT): values
            for name, values in columns.items()
            if name.startswith(SOFT)
        }
        rows = {
            name: values
            for name, values in columns.items()
            if name != "label" and not name.startswith(SOFT)
        }
        return cls(rows=rows, soft_label=soft, label=columns["label"], **about)


def _check_lengths(columns: Mapping[str, Sized]) -> None:
    lengths = {name: len(column) for name, column in columns.items()}
    if len(set(lengths.values())) > 1:
        raise PipelineError(f"columns of one record differ in length: {lengths}")
