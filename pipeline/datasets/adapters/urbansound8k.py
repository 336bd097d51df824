"""UrbanSound8K (Salamon, Jacoby and Bello, ACM MM 2014): 8,732 sounds of up to four seconds.

Ten classes, ten folds, audio only. ROOT holds metadata/UrbanSound8K.csv and
audio/fold<k>/<slice_file_name>, or both in any other folder.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.core.records import Source
from pipeline.datasets.adapters import _folds, _lists
from pipeline.datasets.adapters._index import AnnotatedClip, MediaIndex

if TYPE_CHECKING:
    from pipeline.core.records import Clip

SOURCE = Source(
    name="UrbanSound8K",
    home="https://urbansounddataset.weebly.com/urbansound8k.html",
    licence="CC-BY-NC-3.0",
    citation="Justin Salamon, Christopher Jacoby, Juan Pablo Bello, "
    '"A Dataset and Taxonomy for Urban Sound Research", ACM MM 2014',
)
FOLDS = 10
TABLE = "UrbanSound8K.csv"
COLUMNS = ("slice_file_name", "fsID", "fold", "class")
# Some copies of the table name the class otherwise.
ALIASES = {"class_name": "class"}


@dataclass(frozen=True, kw_only=True)
class Dataset:
    """One clip per slice, in full length; a group is a recording, `fsID`.

    One fold is test, one val, the others train. Five recordings lie in two folds; a slice's fold
    alone decides its split. `start` and `end` of the table are seconds of the recording, not of the
    slice.

    Args:
        test_fold: the test fold, from 1 to 10.
        val_fold: the validation fold, from 1 to 10.
    """

    test_fold: int
    val_fold: int

    def __post_init__(self) -> None:
        _folds.check(FOLDS, self.test_fold, self.val_fold)

    def source(self, root: Path) -> Source:
        return SOURCE

    def clips(self, root: Path) -> list[Clip]:
        index = MediaIndex.scan(root)
        table = _lists.read_table(index.find_list(TABLE), COLUMNS, ALIASES)
        rows = [self._parse_row(where, row) for where, row in table]
        return index.clips(rows, "audio/fold<k>/<slice_file_name>, <slice_file_name>")

    def _parse_row(self, where: str, row: dict[str, str]) -> AnnotatedClip:
        name = _lists.parse_file_id(where, row["slice_file_name"])
        fold = _lists.parse_integer(where, row["fold"], "fold", 1, FOLDS)
        return AnnotatedClip(
            stems=(Path(name).stem,),
            expected_path=f"audio/fold{fold}/{name}",
            name=Path(name).stem,
            label=_lists.parse_label(where, row["class"]),
            split=_folds.split_of(fold, self.test_fold, self.val_fold),
            group=_lists.parse_file_id(where, row["fsID"]),
            fold=fold,
        )
