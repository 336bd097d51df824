"""The nouns of the line: source, clip, window, sample, real set, features, synthetic set, scores; none of them imports torch."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from pipeline.core.errors import PipelineError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sized

    import numpy as np
    import torch
    from torch import Tensor

SPLITS = ("train", "val", "test")

# What files call a modality's soft labels: this, and its name.
SOFT = "soft_label_"


NOT_STATED = "not stated"


@dataclass(frozen=True, kw_only=True)
class Source:
    """Where clips come from, as those who made the dataset say it; it decides no value of any sample.

    Args:
        licence: of the dataset as a whole, an SPDX id where there is one; `citation`: authors, title, venue and year in one line.
        clip_licences: licence -> training clips, where the dataset gives each clip a licence of its own.
        by_id: whether its media are published elsewhere, under ids (YouTube): a set then lists the ids that it was made from.
            Of other sets, own folders above all, it does not: names of files may be private.
    """

    name: str = NOT_STATED
    home: str = NOT_STATED
    licence: str = NOT_STATED
    citation: str = NOT_STATED
    clip_licences: Mapping[str, int] = field(default_factory=dict)
    by_id: bool = False


# Of manifests and shards that do not say where they come from.
UNKNOWN = Source()


@dataclass(frozen=True, kw_only=True)
class Clip:
    """One labelled span of one media file: a row of the manifest.

    Args:
        start_s: seconds from the file's first presentation time.
        end_s: the same; None means the end of the file.
        group: clips of one group never part when a split is carved (a speaker, a recording).
        fold: the official fold, where a dataset comes in numbered ones; `labels`: all of them, `label` among them, where a clip
            may have several. Both are read by `avdistill prototypes` only.
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
    """One decoded second of a clip: arrays by modality, e.g. frame u8 [T, H, W, 3] and logmel f16 [M, F] in dB.

    Args:
        pts: when its first modality was taken, seconds from the container's first presentation time; `quality`: see quality.py.
    """

    clip: str
    second: int
    label: str
    arrays: dict[str, np.ndarray]
    pts: tuple[float, ...]
    quality: dict[str, float | str] = field(default_factory=dict)

    @property
    def key(self) -> str:
        """`<clip_id>_<second:04d>`, the name that a sample carries through every table."""
        return f"{self.clip}_{self.second:04d}"


@dataclass(frozen=True, kw_only=True)
class Normalisation:
    """How stored values become what networks see: (raw * scale - mean) / std, per channel.

    Args:
        scale: 1/255 for 8-bit frames, 1 for log-mels in dB.
        fill: the normalised value that stands for nothing (mean colour, the log-mel's floor); augmentation pads with it.
    """

    scale: float
    mean: tuple[float, ...]
    std: tuple[float, ...]
    fill: float

    @property
    def affine(self) -> tuple[tuple[float, ...], tuple[float, ...]]:
        """Factor and shift of each channel: raw values times the one and plus the other are normalised."""
        pairs = list(zip(self.mean, self.std, strict=True))
        return tuple(self.scale / std for _, std in pairs), tuple(
            -mean / std for mean, std in pairs
        )

    def apply(self, raw: Tensor) -> Tensor:
        """Raw [..., C, H, W] of any dtype -> normalised float32 of the same shape."""
        values = raw.float()
        factor, shift = (values.new_tensor(numbers)[:, None, None] for numbers in self.affine)
        return shift.addcmul(values, factor)  # one pass over the rows

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> Normalisation:
        return cls(
            scale=value["scale"],
            mean=tuple(value["mean"]),
            std=tuple(value["std"]),
            fill=value["fill"],
        )

    def undo(self, normalised: Tensor) -> Tensor:
        """Normalised [..., C, H, W] -> raw units (0..255, dB) as float32."""
        mean = normalised.new_tensor(self.mean)[:, None, None]
        std = normalised.new_tensor(self.std)[:, None, None]
        return (normalised * std + mean) / self.scale


class Rows(Protocol):
    """Rows of one modality: a tensor, or what reads them from their shards as they are taken (`shards.MappedRows`)."""

    @property
    def shape(self) -> torch.Size: ...

    @property
    def nbytes(self) -> int: ...

    def __len__(self) -> int: ...

    def __getitem__(self, index: Tensor | slice, /) -> Tensor: ...

    def to(self, device: torch.device, /) -> Tensor: ...


@dataclass(frozen=True, kw_only=True)
class RealSet:
    """One split, as stored on disk: frame u8 [N, T, 3, H, W], logmel f16 [N, 1, M, F], label int64 [N].

    Args:
        rows: by modality, in memory or left in their shards.
        keys: one per row; `clips`: the source clip of each row, the unit that is resampled in the bootstrap.
        classes: names, in the order of the label's numbers, the same for every split.
        preprocessing: digest of the parameters that made the samples from the media.
        digest: digest of the shards that were read, without their source.
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

    def __post_init__(self) -> None:
        _check_lengths({**self.rows, "label": self.label, "keys": self.keys, "clips": self.clips})

    def __len__(self) -> int:
        return len(self.keys)

    @property
    def nbytes(self) -> int:
        """Of all rows, in memory or not."""
        return sum(rows.nbytes for rows in self.rows.values())

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Shape of one row per modality, without the batch dimension."""
        return {modality: tuple(rows.shape[1:]) for modality, rows in self.rows.items()}

    def normalise(
        self, index: Tensor | slice, using: Mapping[str, Normalisation] | None = None
    ) -> dict[str, Tensor]:
        """Rows at `index` as networks see them, float32."""
        return {
            m: (using or self.normalisation)[m].apply(rows[index]) for m, rows in self.rows.items()
        }

    def indices_of(self, label: int) -> Tensor:
        """Indices of one class's rows, ascending."""
        return (self.label == label).nonzero().flatten()


@dataclass(frozen=True, kw_only=True)
class Origin:
    """What embeddings were made by and from; a table has one, so that its rows are of one encoder and one set of shards.

    Args:
        extractor: the plugin's name; `params`: its parameters, as JSON values.
        shards: digest of the shards that were read; `preprocessing`: of what made those from the media.
        weights: digest of the encoder's tensors, or of the files that vectors were read from.
    """

    extractor: str
    params: dict[str, Any]
    shards: str
    preprocessing: str
    weights: str


@dataclass(frozen=True, kw_only=True)
class Features:
    """Embeddings of one split: one float32 [N, D] per modality, keyed like the samples."""

    keys: tuple[str, ...]
    label: np.ndarray
    vectors: dict[str, np.ndarray]
    classes: tuple[str, ...]
    origin: Origin

    def __post_init__(self) -> None:
        _check_lengths({**self.vectors, "label": self.label, "keys": self.keys})


@dataclass(frozen=True, kw_only=True)
class Texts:
    """Embedded prompts: what each class is called, in each of several templates; float32 [templates, classes, D].

    Args:
        prompts: the sentences that were embedded, template by template and class by class.
        extractor, params, weights: what they were embedded by, as in `Origin`.
    """

    classes: tuple[str, ...]
    templates: tuple[str, ...]
    prompts: tuple[str, ...]
    vectors: np.ndarray
    extractor: str
    params: dict[str, Any]
    weights: str


def space_of(made: Origin | Texts, modality: str) -> str:
    """The space that embeddings of a modality lie in: the encoder's weights, or what `spaces` calls it."""
    spaces: Mapping[str, str] = made.params.get("spaces", {})
    return spaces.get(modality, made.weights)


@dataclass(frozen=True, kw_only=True)
class SyntheticSet:
    """The synthetic set S: `ipc` stored instances per class, in the networks' normalised units.

    Args:
        rows: frame float32 [N, T, 3, H, W], logmel float32 [N, 1, M, F]; N = classes x ipc, class by class.
        formation: (rows, columns) of the grid of pieces in each stored instance, per modality; (1, 1) is a whole one.
        source_key: for each row, the keys of the real samples that it was formed from or started from.
        soft_label: modality -> float32 [N, pieces of its grid, classes], what to take each piece for; empty if `label` says all.
        provenance: JSON values: sources, method, parameters, seed, digests of what it was made from, how it was tuned.
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
            told = f"soft labels are of {', '.join(sorted(self.soft_label))}, rows of {', '.join(sorted(self.rows))}"
            raise PipelineError(
                f"{told}; expected one for each modality, or none; make the set again"
            )
        if len(self.label) != self.ipc * len(self.classes):
            raise PipelineError(
                f"a synthetic set of {len(self.classes)} classes x ipc {self.ipc} has {len(self.label)} rows"
            )

    @property
    def columns(self) -> dict[str, Tensor]:
        """Rows, soft labels and labels by the names that files give them."""
        return {
            **self.rows,
            **{f"{SOFT}{m}": values for m, values in self.soft_label.items()},
            "label": self.label,
        }

    @classmethod
    def from_columns(cls, columns: Mapping[str, Tensor], **about: Any) -> SyntheticSet:
        """What `columns` gave, and everything else; columns of other names are rows. KeyError if there is no label."""
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
