"""The DC family: DC, DSA, DM, CAFE and code derived from theirs.

A file `res_<method>_<data>_<network>_<k>ipc.pt` is a mapping: `data` holds [images, labels] of each
experiment, other entries hold accuracies, which are numpy numbers.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from pipeline.artifact.importers._files import check_tensor, load_file
from pipeline.artifact.importers._sets import PublishedSet, order_by_class
from pipeline.core.errors import SourceError
from pipeline.core.params import NonNegativeInt
from pipeline.core.paths import list_folder, to_path

if TYPE_CHECKING:
    from pathlib import Path

    from pipeline.core.paths import AnyPath
    from pipeline.core.records import SyntheticSet

# All that a pickled 64-bit number of numpy names: its constructor, under the names that numpy 1 and
# numpy 2 give it, and its types.
_CONSTRUCTOR = np.float64().__reduce__()[0]
NUMBERS = [
    (_CONSTRUCTOR, "numpy.core.multiarray.scalar"),
    (_CONSTRUCTOR, "numpy._core.multiarray.scalar"),
    np.dtype,
    type(np.dtype(np.float64)),
]


@dataclass(frozen=True, kw_only=True)
class Importer(PublishedSet):
    """A set that code of the DC family saved.

    Args:
        method: the member of the family that made it.
        experiment: one of the independent sets, from 0.
    """

    method: str
    experiment: NonNegativeInt

    def read(self, path: AnyPath) -> SyntheticSet:
        """Read the set in a file, or in the only such file of a folder.

        Args:
            path: the file or the folder.

        Raises:
            ParamsError: the given values do not fit the tensors.
            SourceError: the file is missing, damaged, or has other content.
        """
        path = to_path(path)
        file = _find_file(path)
        content = load_file(file, NUMBERS)
        sets = content.get("data") if isinstance(content, dict) else None
        number = self.experiment
        if not isinstance(sets, list) or len(sets) <= number or len(sets[number]) < 2:
            actual = f"{len(sets)} experiments" if isinstance(sets, list) else "no list `data`"
            raise SourceError(
                f"{file} holds {actual}; expected [images, labels] of experiment {number}; "
                "set `experiment` to one that it holds"
            )
        images = check_tensor(
            sets[number][0], f"images of {file}", "[rows, channels, height, width]"
        )
        label = check_tensor(sets[number][1], f"labels of {file}", "[rows]")
        if len(images) != len(label):
            raise SourceError(
                f"{file} holds {len(images)} images and {len(label)} labels; fetch it again"
            )
        order = order_by_class(label, len(self.read_names(file.parent)), file)
        return self.assemble({"frame": images[order]}, [file], method=self.method, seed=number)


def _find_file(path: Path) -> Path:
    if not path.is_dir():
        return path
    files = list_folder(path, "res_*.pt")
    if len(files) != 1:
        raise SourceError(f"{path} holds {len(files)} files res_*.pt; name the one to read")
    return files[0]
