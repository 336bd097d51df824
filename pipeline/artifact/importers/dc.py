"""The DC family (DC, DSA, DM, CAFE and what grew from their code): `res_<method>_<data>_<network>_<k>ipc.pt`.

A mapping of `data`, [images, labels] of each experiment, and of accuracies, which are numpy's numbers.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from pipeline.artifact.importers._files import check_tensor, load_file
from pipeline.artifact.importers._sets import PublishedSet, order_by_class
from pipeline.core.errors import SourceError
from pipeline.core.params import NonNegativeInt

if TYPE_CHECKING:
    from pathlib import Path

    from pipeline.core.records import SyntheticSet

# What a pickled numpy number of 64 bits names, and no more: what makes it, under its name in numpy 1 and 2, and its types.
_MAKE = np.float64().__reduce__()[0]
NUMBERS = [
    (_MAKE, "numpy.core.multiarray.scalar"),
    (_MAKE, "numpy._core.multiarray.scalar"),
    np.dtype,
    type(np.dtype(np.float64)),
]


@dataclass(frozen=True, kw_only=True)
class Importer(PublishedSet):
    """`method`: which of the family; `experiment`: one of the independent sets, from 0."""

    method: str
    experiment: NonNegativeInt

    def read(self, place: Path) -> SyntheticSet:
        """The set in such a file, or in the only one of a folder; errors say what is missing or does not fit."""
        file = _find_file(place)
        content = load_file(file, NUMBERS)
        sets = content.get("data") if isinstance(content, dict) else None
        if (
            not isinstance(sets, list)
            or len(sets) <= self.experiment
            or len(sets[self.experiment]) < 2
        ):
            told = f"{len(sets)} experiments" if isinstance(sets, list) else "no list `data`"
            raise SourceError(
                f"{file} holds {told}; expected [images, labels] of experiment {self.experiment}, see `experiment`"
            )
        images = check_tensor(
            sets[self.experiment][0], f"images of {file}", "[rows, channels, high, wide]"
        )
        label = check_tensor(sets[self.experiment][1], f"labels of {file}", "[rows]")
        if len(images) != len(label):
            raise SourceError(
                f"{file} holds {len(images)} images and {len(label)} labels; fetch it again"
            )
        order = order_by_class(label, len(self.read_names(file.parent)), file)
        return self.assemble(
            {"frame": images[order]}, [file], method=self.method, seed=self.experiment
        )


def _find_file(place: Path) -> Path:
    if not place.is_dir():
        return place
    found = sorted(place.glob("res_*.pt"))
    if len(found) != 1:
        raise SourceError(f"{place} holds {len(found)} files res_*.pt; name the one to read")
    return found[0]
