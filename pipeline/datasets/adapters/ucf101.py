"""UCF101 (Soomro, Zamir and Shah, 2012): 101 actions, 51 of them with sound, three official folds.

ROOT holds trainlist01.txt and testlist01.txt (02, 03), or a folder with them, and the videos as
<class>/v_<class>_g01_c01.avi.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from pipeline.core.errors import SourceError
from pipeline.core.params import Names, UnitInterval
from pipeline.core.records import NOT_STATED, Source
from pipeline.datasets.adapters import _lists
from pipeline.datasets.adapters._index import AnnotatedClip, MediaIndex
from pipeline.datasets.adapters._splits import carve

if TYPE_CHECKING:
    from pathlib import Path

    from pipeline.core.records import Clip

SOURCE = Source(
    name="UCF101",
    home="https://www.crcv.ucf.edu/data/UCF101.php",
    licence=NOT_STATED,
    citation="Khurram Soomro, Amir Roshan Zamir, Mubarak Shah, "
    '"UCF101: A Dataset of 101 Human Actions Classes From Videos in The Wild", CRCV-TR-12-01 2012',
)
# `Class/v_Class_g08_c01.avi`; some lists add a path before it, or numbers of frames and the class.
LINE = re.compile(
    r"(?:.*/)?(?P<label>[^/\s]+)/(?P<stem>v_[^/\s]+_(?P<group>g\d+)_c\d+)(\.\w+)?([\s,;]+\d+)*"
)
# Split -> the names of its list, the official one first; MMAction's val is the official test.
LISTS = {
    "train": ("trainlist0{fold}.txt", "ucf101_train_split_{fold}_videos.txt"),
    "test": ("testlist0{fold}.txt", "ucf101_val_split_{fold}_videos.txt"),
}


@dataclass(frozen=True, kw_only=True)
class Dataset:
    """One clip per video; an official fold for train and test.

    Val is carved from train by the group of takes (g01 to g25).

    Args:
        fold: the official fold.
        classes: a list, the name of a file with one class per line, or null for all; case does not
            matter.
        val_fraction: of each label's training groups.
        seed: decides which groups are carved.
    """

    fold: Literal[1, 2, 3]
    classes: Names | str | None
    val_fraction: UnitInterval
    seed: int

    def source(self, root: Path) -> Source:
        return SOURCE

    def clips(self, root: Path) -> list[Clip]:
        index = MediaIndex.scan(root)
        rows = [
            _parse_row(where, line, split)
            for split, names in LISTS.items()
            for where, line in _lists.read_lines(
                index.find_list(*(name.format(fold=self.fold) for name in names))
            )
        ]
        classes = _lists.select_classes(index, self.classes, (row.label for row in rows))
        rows = [row for row in rows if row.label.casefold() in classes]
        clips = index.clips(rows, "<class>/v_<class>_g01_c01.avi, v_<class>_g01_c01.avi")
        return carve(clips, {"val": self.val_fraction}, self.seed)


def _parse_row(where: str, line: str, split: str) -> AnnotatedClip:
    match = LINE.fullmatch(line.replace("\\", "/"))
    if match is None:
        raise SourceError(
            f"{where}: {line[:80]!r}; expected Class/v_Class_g01_c01.avi, with or without a number"
        )
    label, stem = match["label"], match["stem"]
    return AnnotatedClip(
        stems=(stem,),
        expected_path=f"{label}/{stem}.avi",
        name=stem,
        label=label,
        split=split,
        group=f"{label}_{match['group']}",
    )
