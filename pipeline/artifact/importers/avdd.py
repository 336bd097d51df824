"""AVDD (Kushwaha et al., TMLR 2024): one file per modality, or one per class.

The files are `exp_<e>_imgSyn_<it>.pt` and `exp_<e>_audSyn_<it>.pt`, or `class:<c>.pt` for each
class. Rows are class by class, packed two by two; log-mels are in decibels, pictures normalised. In
class-wise files pictures are plain, 0..1, because the code that wrote them changed the tensor that
it was about to save.
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
from pipeline.core.paths import list_folder, to_path
from pipeline.core.plugins import pick

if TYPE_CHECKING:
    from torch import Tensor

    from pipeline.core.paths import AnyPath
    from pipeline.core.records import SyntheticSet

# modality -> its part of a file's name, and its key in class-wise files
WHOLE = {"frame": "imgSyn", "logmel": "audSyn"}
CLASSWISE = {"frame": "image_syn", "logmel": "audio_syn"}
SHAPE = "[rows, channels, height, width]"


@dataclass(frozen=True, kw_only=True)
class Importer(PublishedSet):
    """A set that AVDD's code saved.

    Args:
        ipc: rows per class.
        experiment: one of the independent sets, from 0.
        iteration: the iteration at which it was saved.
    """

    ipc: PositiveInt
    experiment: NonNegativeInt
    iteration: NonNegativeInt

    def read(self, path: AnyPath) -> SyntheticSet:
        """Read the set in a folder; class-wise files count if there are no others.

        Args:
            path: the folder.

        Raises:
            ParamsError: the given values do not fit the tensors.
            SourceError: files are missing, damaged, or of other rows.
        """
        path = to_path(path)
        whole = list_folder(path, "exp_*Syn_*.pt*")
        is_classwise = not whole and bool(list_folder(path, "class:*.pt*"))
        rows, files = self._read_classwise(path) if is_classwise else self._read_whole(path)
        classes = len(self.read_names(path))
        for modality, values in rows.items():
            if len(values) != self.ipc * classes:
                raise SourceError(
                    f"{path} holds {len(values)} rows of {modality}, "
                    f"expected ipc {self.ipc} x {classes} classes; "
                    "give the ipc and the classes of the set"
                )
        return self.assemble(rows, files, method="avdd", seed=self.experiment)

    def _read_whole(self, path: Path) -> tuple[dict[str, Tensor], list[Path]]:
        stems = {
            m: f"exp_{self.experiment}_{pick(WHOLE, m, 'modality')}_{self.iteration}"
            for m in self.formation
        }
        files = {m: find_file(path, (f"{stem}.pt", f"{stem}.pth")) for m, stem in stems.items()}
        rows = {m: check_tensor(load_file(file), file, SHAPE) for m, file in files.items()}
        return rows, list(files.values())

    def _read_classwise(self, path: Path) -> tuple[dict[str, Tensor], list[Path]]:
        files = [
            find_file(path, (f"class:{c}.pt", f"class:{c}.pth"))
            for c in range(len(self.read_names(path)))
        ]
        parts: dict[str, list[Tensor]] = {m: [] for m in self.formation}
        for file in files:
            content = load_file(file)
            for modality, part in parts.items():
                part.append(check_tensor(self._look_up(content, modality, file), file, SHAPE))
        return {m: torch.cat(part) for m, part in parts.items()}, files

    def _look_up(self, content: Any, modality: str, file: Path) -> Any:
        """Return the rows at experiment, modality and iteration of nested mappings."""
        for key in (self.experiment, pick(CLASSWISE, modality, "modality"), self.iteration):
            if not isinstance(content, dict) or key not in content:
                is_mapping = isinstance(content, dict)
                actual = ", ".join(map(str, content)) if is_mapping else type(content).__name__
                raise SourceError(
                    f"{file} has nothing at {key!r}, there is {actual}; "
                    "give an experiment and an iteration that it holds"
                )
            content = content[key]
        return content
