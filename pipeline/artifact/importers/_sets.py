"""Make a synthetic set of published tensors and of values that their files lack."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from math import inf
from typing import TYPE_CHECKING, Any, Literal

import torch

from pipeline.core.errors import ParamsError, SourceError
from pipeline.core.files import file_digest
from pipeline.core.params import Names, PositiveInt
from pipeline.core.plugins import pick
from pipeline.core.records import Normalisation, SyntheticSet
from pipeline.shards.settings import UNIT, FixedNormalisation
from pipeline.training import formation

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

    from torch import Tensor

# normalised: as networks take it; plain: before normalisation, 0..1 for pictures, dB for log-mels.
Units = Literal["normalised", "plain"]

# modality -> channels; range of plain values; published rows [N, C, H, W] in an artifact's shape
CHANNELS = {"frame": 3, "logmel": 1}
PLAIN = {"frame": (0.0, 1.0), "logmel": (-inf, inf)}
STORED: dict[str, Callable[[Tensor], Tensor]] = {
    "frame": lambda rows: rows[:, None],
    "logmel": lambda rows: rows,
}


@dataclass(frozen=True, kw_only=True)
class PublishedSet:
    """Values that no layout holds.

    Args:
        classes: names in the order of the labels, or the name of a text file beside the tensors
            with one name per line.
        formation: modality -> (rows, columns) of the grid of pieces in a stored instance; (1, 1)
            is a single piece.
        normalise: modality -> mean and std per channel, and the normalised value that means no
            content.
        units: modality -> `normalised` by these values, or `plain`.
        preprocessing: the digest `preprocessing` in the index.json of shards whose samples were
            made like those behind the set; evaluate refuses others. None if there are no such
            shards.
    """

    classes: Names | str
    formation: dict[str, tuple[PositiveInt, PositiveInt]]
    normalise: dict[str, FixedNormalisation]
    units: dict[str, Units]
    preprocessing: str | None

    def __post_init__(self) -> None:
        if not self.formation.keys() == self.normalise.keys() == self.units.keys() != set():
            named = [sorted(part) for part in (self.formation, self.normalise, self.units)]
            raise ParamsError(
                f"formation, normalise and units are of {named}; "
                "expected one of each for every modality of the set"
            )

    def read_names(self, folder: Path) -> tuple[str, ...]:
        """Return the names of the classes.

        Args:
            folder: the folder of the file of names, if they are in a file.

        Raises:
            ParamsError: there are no names, or a name appears twice.
            SourceError: the file does not exist.
        """
        names = (
            _read_lines(folder / self.classes) if isinstance(self.classes, str) else self.classes
        )
        if not names or len(set(names)) < len(names):
            raise ParamsError(
                f"classes are {len(names)} names, {len(set(names))} of them different; "
                "name each class once"
            )
        return names

    def assemble(
        self,
        rows: Mapping[str, Tensor],
        files: Sequence[Path],
        soft: Tensor | None = None,
        **about: Any,
    ) -> SyntheticSet:
        """Make a synthetic set of published rows.

        Args:
            rows: modality -> [N, C, H, W], class by class.
            files: the files that they were read from.
            soft: class probabilities [N, classes], the same for all pieces of a row; None without.
            about: further provenance.

        Raises:
            ParamsError: the given values do not fit the tensors.
            SourceError: the classes do not have the same number of rows.
        """
        classes = self.read_names(files[0].parent)
        count = _count_rows(rows, classes, files[0])
        normalisation = {m: self._check_rows(m, values, files[0]) for m, values in rows.items()}
        pieces = {m: grid[0] * grid[1] for m, grid in self.formation.items()}
        soft_label = (
            {} if soft is None else {m: soft[:, None].repeat(1, pieces[m], 1) for m in rows}
        )
        return SyntheticSet(
            rows={m: self._convert_rows(m, values, normalisation[m]) for m, values in rows.items()},
            label=torch.arange(len(classes)).repeat_interleave(count // len(classes)),
            classes=classes,
            ipc=count // len(classes),
            formation=dict(self.formation),
            normalisation=normalisation,
            source_key=("",) * count,
            soft_label=soft_label,
            provenance=self._make_provenance(files) | about,
        )

    def _make_provenance(self, files: Sequence[Path]) -> dict[str, Any]:
        return {
            "adopted": {file.name: file_digest(file) for file in files},
            "params": asdict(self),
            "pieces": formation.count_pieces(self.formation),
            "preprocessing": self.preprocessing or "",
            "source_shards": "",
            "tuning": [],
        }

    def _check_rows(self, modality: str, rows: Tensor, file: Path) -> Normalisation:
        """Return the normalisation of a modality if all given values fit its rows."""
        if violated := next(self._find_violations(modality, rows, file), None):
            raise ParamsError(
                f"the values given for {modality} do not fit the tensors: expected that {violated}"
            )
        given = self.normalise[modality]
        return Normalisation(scale=UNIT[modality], mean=given.mean, std=given.std, fill=given.fill)

    def _find_violations(self, modality: str, rows: Tensor, file: Path) -> Iterator[str]:
        """Yield expectations that published rows [N, C, H, W] violate."""
        given, grid = self.normalise[modality], self.formation[modality]
        channels = pick(CHANNELS, modality, "modality")
        if rows.shape[1] != channels:
            yield f"{modality} has {channels} channels, {file} holds {list(rows.shape)}"
        if not len(given.mean) == len(given.std) == channels:
            yield f"mean and std have {channels} values each"
        if rows.shape[-2] % grid[0] or rows.shape[-1] % grid[1]:
            yield f"the grid divides the rows, {file} holds {list(rows.shape)}"
        low, high = float(rows.min()), float(rows.max())
        if self.units[modality] == "normalised":
            if 0 <= low <= high <= 1:
                yield f"normalised values leave 0..1, {file} has {low:.3g} to {high:.3g}"
        elif low < PLAIN[modality][0] or high > PLAIN[modality][1]:
            yield f"plain values lie within {PLAIN[modality]}, {file} has {low:.3g} to {high:.3g}"

    def _convert_rows(self, modality: str, rows: Tensor, normalisation: Normalisation) -> Tensor:
        """Return rows as an artifact stores them: float32, normalised, in its shape."""
        values = STORED[modality](rows.float())
        if self.units[modality] == "plain":
            return normalisation.apply(values / UNIT[modality])
        return values


def _count_rows(rows: Mapping[str, Tensor], classes: Sequence[str], file: Path) -> int:
    """Return the number of rows; a SourceError unless modalities agree and classes divide it."""
    count = len(next(iter(rows.values())))
    if count % len(classes) or any(len(values) != count for values in rows.values()):
        counts = ", ".join(f"{len(values)} of {modality}" for modality, values in rows.items())
        raise SourceError(
            f"{file} holds {counts}; expected as many rows of each of {len(classes)} classes"
        )
    return count


def order_by_class(label: Tensor, classes: int, where: object) -> Tensor:
    """Return the order int64 [N] that sorts rows by class.

    Args:
        label: class numbers [N].
        classes: number of classes.
        where: the set's description, for error messages.

    Raises:
        SourceError: labels are not integers below `classes`, or classes have unequal numbers of
            rows.
    """
    if label.is_floating_point() or not 0 <= int(label.min()) <= int(label.max()) < classes:
        raise SourceError(
            f"labels of {where} are not integers below {classes}; name the classes that the set has"
        )
    counts = label.long().bincount(minlength=classes)
    if len(set(counts.tolist())) > 1:
        raise SourceError(
            f"{where} has {counts.min()} to {counts.max()} rows per class; "
            f"expected as many of each of {classes} classes"
        )
    return label.argsort(stable=True)


def _read_lines(path: Path) -> tuple[str, ...]:
    if not path.is_file():
        raise SourceError(
            f"{path} does not exist; "
            "expected the names of the classes, one per line, in the order of the labels"
        )
    return tuple(
        line.strip() for line in path.read_text(encoding="utf-8").splitlines() if line.strip()
    )
