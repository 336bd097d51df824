"""ESC-50 (Piczak, ACM MM 2015): 2,000 five-second sounds of 50 classes in five official folds.

ESC-10 is ten of the classes. Audio only. ROOT holds meta/esc50.csv and audio/<filename>.wav, or
both in any other folder.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.core.params import Names
from pipeline.core.records import Source
from pipeline.datasets.adapters import _folds, _lists
from pipeline.datasets.adapters._index import AnnotatedClip, MediaIndex

if TYPE_CHECKING:
    from pipeline.core.records import Clip

SOURCE = Source(
    name="ESC-50",
    home="https://github.com/karolpiczak/ESC-50",
    licence="CC-BY-NC-3.0",
    citation='Karol J. Piczak, "ESC: Dataset for Environmental Sound Classification", ACM MM 2015',
)
# Table -> source: the ten classes have a licence of their own.
SUBSETS = {"esc10.csv": replace(SOURCE, name="ESC-10", licence="CC-BY-3.0")}
FOLDS = 5


@dataclass(frozen=True, kw_only=True)
class Dataset:
    """One clip per sound, with `category` as its label; a group is a source recording.

    One fold is test, one val, the others train. Four recordings lie in two folds, under two labels
    each; a sound's fold alone decides its split.

    Args:
        tables: names of the CSV, esc50.csv or esc10.csv; the first that exists is read.
        test_fold: the test fold, from 1 to 5.
        val_fold: the validation fold, from 1 to 5.
    """

    tables: Names
    test_fold: int
    val_fold: int

    def __post_init__(self) -> None:
        _folds.check(FOLDS, self.test_fold, self.val_fold)

    def source(self, root: Path) -> Source:
        return SUBSETS.get(MediaIndex.scan(root).find_list(*self.tables).name, SOURCE)

    def clips(self, root: Path) -> list[Clip]:
        index = MediaIndex.scan(root)
        table = _lists.read_table(
            index.find_list(*self.tables), ("filename", "fold", "category", "src_file")
        )
        rows = [self._parse_row(where, row) for where, row in table]
        return index.clips(rows, "audio/<filename>.wav, <filename>.wav")

    def _parse_row(self, where: str, row: dict[str, str]) -> AnnotatedClip:
        name = _lists.parse_file_id(where, row["filename"])
        fold = _lists.parse_integer(where, row["fold"], "fold", 1, FOLDS)
        return AnnotatedClip(
            stems=(Path(name).stem,),
            expected_path=f"audio/{name}",
            name=Path(name).stem,
            label=_lists.parse_label(where, row["category"]),
            split=_folds.split_of(fold, self.test_fold, self.val_fold),
            group=_lists.parse_file_id(where, row["src_file"]),
            fold=fold,
        )
