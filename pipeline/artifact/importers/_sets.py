"""Published tensors, and what their files leave out -> a synthetic set that says where it came from."""

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
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from torch import Tensor

# normalised: as networks see it; plain: before that, 0..1 for pictures, decibels for log-mels.
Units = Literal["normalised", "plain"]

# modality -> channels; where plain values lie; published rows [N, C, H, W] as an artifact has them
CHANNELS = {"frame": 3, "logmel": 1}
PLAIN = {"frame": (0.0, 1.0), "logmel": (-inf, inf)}
STORED: dict[str, Callable[[Tensor], Tensor]] = {
    "frame": lambda rows: rows[:, None],
    "logmel": lambda rows: rows,
}


@dataclass(frozen=True, kw_only=True)
class PublishedSet:
    """What no layout says.

    Args:
        classes: names in the order of the labels, or the name of a text file beside the tensors, one a line.
        formation: modality -> (rows, columns) of the grid of pieces in a row; (1, 1) is a whole one.
        normalise: modality -> mean and std per channel, and the normalised value that stands for nothing.
        units: modality -> whether its values are normalised by these.
        preprocessing: digest of the shards whose samples are like those that the set was made from (`preprocessing` in their
            index.json); evaluate refuses others. None if there are no such shards.
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
                f"formation, normalise and units are of {named}; expected one of each for every modality of the set"
            )

    def read_names(self, folder: Path) -> tuple[str, ...]:
        """The classes' names; an error if there are none, or one twice."""
        names = (
            _read_lines(folder / self.classes) if isinstance(self.classes, str) else self.classes
        )
        if not names or len(set(names)) < len(names):
            raise ParamsError(
                f"classes are {len(names)} names, {len(set(names))} of them different; name each class once"
            )
        return names

    def assemble(
        self,
        rows: Mapping[str, Tensor],
        files: Sequence[Path],
        soft: Tensor | None = None,
        **about: Any,
    ) -> SyntheticSet:
        """Rows [N, C, H, W] by modality, class by class -> the set; ParamsErrors and SourceErrors say what does not fit.

        Args:
            files: what was read; `soft`: class probabilities [N, classes], of all pieces of a row alike.
            about: more that the artifact shall say.
        """
        classes = self.read_names(files[0].parent)
        count = len(next(iter(rows.values())))
        if count % len(classes) or any(len(values) != count for values in rows.values()):
            found = ", ".join(f"{len(values)} of {modality}" for modality, values in rows.items())
            raise SourceError(
                f"{files[0]} holds {found}; expected as many rows of each of {len(classes)} classes"
            )
        fitted = {m: self._convert_rows(m, values, files[0]) for m, values in rows.items()}
        pieces = {m: grid[0] * grid[1] for m, grid in self.formation.items()}
        return SyntheticSet(
            rows={m: values for m, (values, _) in fitted.items()},
            label=torch.arange(len(classes)).repeat_interleave(count // len(classes)),
            classes=classes,
            ipc=count // len(classes),
            formation=dict(self.formation),
            normalisation={m: normalisation for m, (_, normalisation) in fitted.items()},
            source_key=("",) * count,
            soft_label={}
            if soft is None
            else {m: soft[:, None].repeat(1, pieces[m], 1) for m in rows},
            provenance={
                "adopted": {file.name: file_digest(file) for file in files},
                "params": asdict(self),
                "pieces": formation.count_pieces(self.formation),
                "preprocessing": self.preprocessing or "",
                "source_shards": "",
                "tuning": [],
                **about,
            },
        )

    def _convert_rows(
        self, modality: str, rows: Tensor, file: Path
    ) -> tuple[Tensor, Normalisation]:
        """What an artifact stores of one modality, and how it is undone."""
        given, grid, plain = (
            self.normalise[modality],
            self.formation[modality],
            self.units[modality] == "plain",
        )
        channels = pick(CHANNELS, modality, "modality")
        low, high = float(rows.min()), float(rows.max())
        wrong = {
            f"{modality} has {channels} channels, {file} holds {list(rows.shape)}": rows.shape[1]
            != channels,
            f"mean and std have {channels} values each": not len(given.mean)
            == len(given.std)
            == channels,
            f"the grid divides the rows, {file} holds {list(rows.shape)}": any(
                extent % cells for extent, cells in zip(rows.shape[-2:], grid, strict=True)
            ),
            f"plain values lie within {PLAIN[modality]}, {file} has {low:.3g} to {high:.3g}": plain
            and not PLAIN[modality][0] <= low <= high <= PLAIN[modality][1],
            f"normalised values leave 0..1, {file} has {low:.3g} to {high:.3g}": not plain
            and 0 <= low <= high <= 1,
        }
        for expected, violated in wrong.items():
            if violated:
                raise ParamsError(
                    f"the values given for {modality} do not fit the tensors: expected that {expected}"
                )
        normalisation = Normalisation(
            scale=UNIT[modality], mean=given.mean, std=given.std, fill=given.fill
        )
        values = STORED[modality](rows.float())
        return (normalisation.apply(values / UNIT[modality]) if plain else values), normalisation


def order_by_class(label: Tensor, classes: int, where: object) -> Tensor:
    """The order int64 [N] that puts rows class by class; a SourceError if classes differ in number, or some are not known."""
    if label.is_floating_point() or not 0 <= int(label.min()) <= int(label.max()) < classes:
        raise SourceError(
            f"labels of {where} are no whole numbers below {classes}; name the classes that the set has"
        )
    counts = label.long().bincount(minlength=classes)
    if len(set(counts.tolist())) > 1:
        raise SourceError(
            f"{where} has {counts.min()} to {counts.max()} rows a class; expected as many of each of {classes} classes"
        )
    return label.argsort(stable=True)


def _read_lines(path: Path) -> tuple[str, ...]:
    if not path.is_file():
        raise SourceError(
            f"{path} does not exist; it names the classes, one a line, in the order of the labels"
        )
    return tuple(
        line.strip() for line in path.read_text(encoding="utf-8").splitlines() if line.strip()
    )
