"""FSD50K (Fonseca et al., TASLP 2022): Freesound clips with one or more of 200 labels. Audio only.

ROOT holds FSD50K.ground_truth/dev.csv (fname,labels,mids,split) and eval.csv (fname,labels,mids).
The clips are FSD50K.dev_audio/<fname>.wav and FSD50K.eval_audio/<fname>.wav, or lie in any other
folder. Each clip has a licence of its own, from FSD50K.metadata/dev_clips_info_FSD50K.json if that
file exists.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from pipeline.core.params import Names
from pipeline.core.records import NOT_STATED, Source
from pipeline.datasets.adapters import _lists
from pipeline.datasets.adapters._index import AnnotatedClip, MediaIndex

if TYPE_CHECKING:
    from pathlib import Path

    from pipeline.core.records import Clip

SOURCE = Source(
    name="FSD50K",
    home="https://zenodo.org/record/4060432",
    licence="CC-BY-4.0",
    citation="Eduardo Fonseca, Xavier Favory, Jordi Pons, Frederic Font, Xavier Serra, "
    '"FSD50K: An Open Dataset of Human-Labeled Sound Events", IEEE/ACM TASLP 2022',
)
LICENCES = "dev_clips_info_FSD50K.json"
COLUMNS = ("fname", "labels", "mids")


@dataclass(frozen=True, kw_only=True)
class Dataset:
    """One clip per sound; its label is the first of its row, the most specific, before its parents.

    Official splits: train and val as in dev.csv, test is eval.csv. The manifest keeps all labels,
    for `avdistill prototypes`.

    Args:
        classes: first labels to keep: a list, the name of a file with one per line, or null for
            all.
    """

    classes: Names | str | None

    def source(self, root: Path) -> Source:
        """Return the authors' statements, with the licences of the training clips."""
        index = MediaIndex.scan(root)
        licences = _read_licences(index)
        counts = Counter(
            licences.get(row.name, NOT_STATED)
            for row in self._read_rows(index)
            if row.split == "train"
        )
        return replace(SOURCE, clip_licences=dict(sorted(counts.items())))

    def clips(self, root: Path) -> list[Clip]:
        index = MediaIndex.scan(root)
        return index.clips(
            self._read_rows(index),
            "FSD50K.dev_audio/<fname>.wav, FSD50K.eval_audio/<fname>.wav, <fname>.wav",
        )

    def _read_rows(self, index: MediaIndex) -> list[AnnotatedClip]:
        splits = {"train": "train", "val": "val"}
        rows = [
            _parse_row(where, row, "dev", _lists.parse_split(where, row["split"], splits))
            for where, row in _lists.read_table(index.find_list("dev.csv"), (*COLUMNS, "split"))
        ]
        rows += [
            _parse_row(where, row, "eval", "test")
            for where, row in _lists.read_table(index.find_list("eval.csv"), COLUMNS)
        ]
        classes = _lists.select_classes(index, self.classes, (row.label for row in rows))
        return [row for row in rows if row.label.casefold() in classes]


def _read_licences(index: MediaIndex) -> dict[str, str]:
    """Return clip -> address of its licence; it is empty without the metadata."""
    path = index.lists.get(LICENCES)
    document = _lists.read_document(path) if path else {}
    if not isinstance(document, dict):
        raise _lists.make_error(str(path), document, "an object of clips")
    return {
        name: _lists.get_entry(f"{path}, clip {name}", entry, str, "license")
        for name, entry in document.items()
    }


def _parse_row(where: str, row: dict[str, str], part: str, split: str) -> AnnotatedClip:
    name = _lists.parse_file_id(where, row["fname"]).removesuffix(".wav")
    labels = tuple(_lists.parse_label(where, label.strip()) for label in row["labels"].split(","))
    return AnnotatedClip(
        stems=(name,),
        expected_path=f"FSD50K.{part}_audio/{name}.wav",
        name=name,
        label=labels[0],
        split=split,
        group=name,
        labels=labels,
    )
