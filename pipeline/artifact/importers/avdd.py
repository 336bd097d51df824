"""AVDD (Kushwaha et al., TMLR 2024): `exp_<e>_audSyn_<it>.pt` and `exp_<e>_imgSyn_<it>.pt`, or one `class:<c>.pt` per class.

Rows are class by class, packed two by two, log-mels in decibels and pictures normalised; except that class-wise files hold their
pictures plain, 0..1, because the code that wrote them changed the tensor it was about to save.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from pipeline.artifact.importers._files import check_tensor, find_file, load_file
from pipeline.artifact.importers._sets import PublishedSet
from pipeline.core.errors import SourceError
from pipeline.core.params import NonNegativeInt, PositiveInt
from pipeline.core.plugins import pick

if TYPE_CHECKING:
    from torch import Tensor

    from pipeline.core.records import SyntheticSet

# modality -> what files are called that hold it, and its key in class-wise ones
WHOLE = {"frame": "imgSyn", "logmel": "audSyn"}
CLASSWISE = {"frame": "image_syn", "logmel": "audio_syn"}
SHAPE = "[rows, channels, high, wide]"


@dataclass(frozen=True, kw_only=True)
class Importer(PublishedSet):
    """`ipc`: rows a class; `experiment`: one of the independent sets, from 0; `iteration`: when it was saved."""

    ipc: PositiveInt
    experiment: NonNegativeInt
    iteration: NonNegativeInt

    def read(self, place: Path) -> SyntheticSet:
        """The set in a folder of such files, whole ones before class-wise; errors say what is missing or does not fit."""
        classwise = any(place.glob("class:*.pt*")) and not any(place.glob("exp_*Syn_*.pt*"))
        rows, files = self._read_classwise(place) if classwise else self._read_whole(place)
        classes = len(self.read_names(place))
        for modality, values in rows.items():
            if len(values) != self.ipc * classes:
                told = f"{place} holds {len(values)} rows of {modality}, expected ipc {self.ipc} x {classes} classes"
                raise SourceError(f"{told}; give the ipc that the set has, and its classes")
        return self.assemble(rows, files, method="avdd", seed=self.experiment)

    def _read_whole(self, place: Path) -> tuple[dict[str, Tensor], list[Path]]:
        stems = {
            m: f"exp_{self.experiment}_{pick(WHOLE, m, 'modality')}_{self.iteration}"
            for m in self.formation
        }
        files = {m: find_file(place, (f"{stem}.pt", f"{stem}.pth")) for m, stem in stems.items()}
        return {m: check_tensor(load_file(file), file, SHAPE) for m, file in files.items()}, list(
            files.values()
        )

    def _read_classwise(self, place: Path) -> tuple[dict[str, Tensor], list[Path]]:
        files = [
            find_file(place, (f"class:{c}.pt", f"class:{c}.pth"))
            for c in range(len(self.read_names(place)))
        ]
        parts: dict[str, list[Tensor]] = {m: [] for m in self.formation}
        for file in files:
            content = load_file(file)
            for modality, part in parts.items():
                part.append(check_tensor(self._look_up(content, modality, file), file, SHAPE))
        return {m: torch.cat(part) for m, part in parts.items()}, files

    def _look_up(self, content: Any, modality: str, file: Path) -> Any:
        """experiment -> modality -> iteration -> rows."""
        for key in (self.experiment, pick(CLASSWISE, modality, "modality"), self.iteration):
            if not isinstance(content, dict) or key not in content:
                known = (
                    ", ".join(map(str, content))
                    if isinstance(content, dict)
                    else type(content).__name__
                )
                raise SourceError(
                    f"{file} has nothing at {key!r}, there is {known}; give an experiment and an iteration it holds"
                )
            content = content[key]
        return content
