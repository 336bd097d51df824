"""Find the files of a listed dataset in one walk, and turn annotated rows into clips."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING
from unicodedata import normalize

from pipeline.core.errors import SourceError
from pipeline.datasets.adapters._names import make_ids_unique, normalise_label, normalise_name
from pipeline.datasets.adapters._tree import Contents, clip_of
from pipeline.datasets.listing import (
    LISTS,
    USUAL,
    is_media,
    is_sound,
    list_files,
    refuse_no_folder,
)

if TYPE_CHECKING:
    from pathlib import Path

    from pipeline.core.records import Clip


@dataclass(frozen=True, kw_only=True)
class AnnotatedClip:
    """One annotated clip.

    Args:
        stems: possible names of its file, without suffix, the likeliest first; in any folder.
        expected_path: below the root, for the row of a missing file.
        name: becomes the clip's id.
        label: its class.
        split: train, val or test.
        group: clips of one group stay in one split when a split is carved.
        start_s: seconds from the file's first presentation time.
        end_s: the same; None means the end of the file.
        fold: the official fold, or None.
        labels: all labels, where a clip may have several.
    """

    stems: tuple[str, ...]
    expected_path: str
    name: str
    label: str
    split: str
    group: str
    start_s: float = 0.0
    end_s: float | None = None
    fold: int | None = None
    labels: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class MediaIndex:
    """The files below a root: media by their stem, annotation files by their name.

    If two media files have one stem, a video is preferred to a sound, then the file that lies
    higher in the tree. If two lists have one name, the one that lies higher is preferred.

    Args:
        root: the folder.
        media: stem in Unicode's form NFC -> path.
        lists: file name -> path.
    """

    root: Path
    media: dict[str, Path]
    lists: dict[str, Path]

    @classmethod
    def scan(cls, root: Path) -> MediaIndex:
        """Walk a folder once; links are followed, and `find_leftovers` names what no row uses.

        Args:
            root: the folder.

        Raises:
            SourceError: there is no such folder, or one cannot be read.
        """
        refuse_no_folder(root, "a folder with the dataset's annotation files and media")
        # The preferred file first; the dictionaries are filled in reverse, so that it wins.
        files = sorted(
            list_files(root),
            key=lambda path: (is_sound(path.name), len(path.parts), str(path)),
            reverse=True,
        )
        return cls(
            root=root,
            media={normalize("NFC", path.stem): path for path in files if is_media(path.name)},
            lists={path.name: path for path in files if path.suffix.lower() in LISTS},
        )

    def find_list(self, *names: str) -> Path:
        """Return the first of these annotation files that exists, in any case if need be.

        Args:
            names: of files.

        Raises:
            SourceError: none of them exists.
        """
        folded = {name.casefold(): path for name, path in self.lists.items()}
        for name in names:
            if name in self.lists or name.casefold() in folded:
                return self.lists.get(name) or folded[name.casefold()]
        raise SourceError(
            f"no {' or '.join(names)} in {self.root} or any folder below it; "
            "put the dataset's annotation files there"
        )

    def find(self, *stems: str) -> Path | None:
        """Return the media file of the first of these stems that has one.

        Args:
            stems: names without suffix.
        """
        names = [normalize("NFC", stem) for stem in stems]
        return next((self.media[name] for name in names if name in self.media), None)

    def clips(self, rows: list[AnnotatedClip], layouts: str) -> list[Clip]:
        """Return a clip per row, sorted by id; files are read once, missing ones keep rows.

        Args:
            rows: from the annotation files.
            layouts: names that were tried, for the message.

        Raises:
            SourceError: there is no row, or not one of the files.
        """
        paths = [self.find(*row.stems) for row in rows]
        self._refuse_nothing(rows, paths, layouts)
        contents = Contents()
        clips = []
        for row, path in zip(rows, paths, strict=True):
            file = path or self.root / row.expected_path
            if path is None:
                contents[file] = 0, ""
            clip = clip_of(
                file,
                row.name,
                row.label,
                row.split,
                start_s=row.start_s,
                end_s=row.end_s,
                group=row.group,
                contents=contents,
            )
            labels = tuple(normalise_label(label) for label in row.labels)
            names = (normalise_name(row.name), row.name)
            clips.append((replace(clip, fold=row.fold, labels=labels), names))
        return make_ids_unique(clips)

    def _refuse_nothing(
        self, rows: list[AnnotatedClip], paths: list[Path | None], layouts: str
    ) -> None:
        if not rows:
            raise SourceError(
                f"the annotation files in {self.root} list no clip; download them again"
            )
        if not any(path and path.exists() for path in paths):
            example = " or ".join(dict.fromkeys(rows[0].stems))
            raise SourceError(
                f"{self.root} holds no media file of the {len(rows)} clips that are listed; "
                f"tried {layouts}, in any folder and with any suffix of media, for instance "
                f"{example} ({USUAL}); put the files, or a link to them, there"
            )
