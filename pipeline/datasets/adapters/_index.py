"""What adapters of listed datasets share: the files below a root, found in one walk, and annotated rows turned into clips."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from pipeline.core.errors import SourceError
from pipeline.core.paths import walk
from pipeline.datasets.adapters._tree import SOUND, VIDEO, Contents, clip_of, make_ids_unique

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from pipeline.core.records import Clip

LISTS = {".csv", ".json", ".txt"}


@dataclass(frozen=True, kw_only=True)
class AnnotatedClip:
    """One annotated clip.

    Args:
        stems: what its file may be called, without suffix, the likeliest first; in whatever folder.
        place: where below the root it is expected, for the row of a file that is not there.
        name: becomes the clip's id; `group`: what never parts.
    """

    stems: tuple[str, ...]
    place: str
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

    Of two media of one stem a video goes before a sound, then what lies higher in the tree; of two lists the higher one.
    """

    root: Path
    media: dict[str, Path]
    lists: dict[str, Path]

    @classmethod
    def scan(cls, root: Path) -> MediaIndex:
        """Walk once; links are followed, each folder is entered once, what starts with a dot is passed over."""
        if not root.is_dir():
            found = "is a file" if root.exists() else "does not exist"
            raise SourceError(
                f"{root} {found}; expected a folder with the dataset's annotation files and media"
            )
        # Best first: the dictionaries are filled from behind.
        files = sorted(
            _walk_files(root),
            key=lambda file: (
                file[1].lower() in SOUND,
                len(file[2].parts),
                file[2],
                file[0],
                file[1],
            ),
        )
        named = [
            (stem, suffix, folder / (stem + suffix)) for stem, suffix, folder in reversed(files)
        ]
        return cls(
            root=root,
            media={stem: path for stem, suffix, path in named if suffix.lower() in VIDEO | SOUND},
            lists={stem + suffix: path for stem, suffix, path in named if suffix.lower() in LISTS},
        )

    def find_list(self, *names: str) -> Path:
        """The first of these annotation files that is there."""
        for name in names:
            if name in self.lists:
                return self.lists[name]
        raise SourceError(
            f"no {' or '.join(names)} in {self.root} or any folder below it; put the dataset's annotation files there"
        )

    def find(self, *stems: str) -> Path | None:
        """The media file of the first of these stems that is there."""
        return next((self.media[stem] for stem in stems if stem in self.media), None)

    def clips(self, rows: list[AnnotatedClip], layouts: str) -> list[Clip]:
        """A clip per row, sorted by id, in the splits that the lists name; each file is read once, an absent one keeps its rows.

        Raises:
            SourceError: there is no row, or not one file of all rows; the message names the `layouts`.
        """
        if not rows:
            raise SourceError(f"the annotation files in {self.root} list no clip; fetch them anew")
        contents = Contents()
        paths = [self.find(*row.stems) for row in rows]
        if not any(paths):
            example = " or ".join(dict.fromkeys(rows[0].stems))
            raise SourceError(
                f"{self.root} holds no media file of the {len(rows)} clips that are listed; tried {layouts}, in any folder and "
                f"with any of {', '.join(sorted(VIDEO | SOUND))}, for instance {example}; put the files, or a link to them, there"
            )
        clips = []
        for row, path in zip(rows, paths, strict=True):
            place = path or self.root / row.place
            if path is None:
                contents[place] = 0, ""
            clip = clip_of(
                place,
                row.name,
                row.label,
                row.split,
                start_s=row.start_s,
                end_s=row.end_s,
                group=row.group,
                contents=contents,
            )
            clips.append(replace(clip, fold=row.fold, labels=row.labels))
        return make_ids_unique(clips)


def _walk_files(root: Path) -> Iterator[tuple[str, str, Path]]:
    """(stem, suffix, folder) of every file."""
    for folder, names in walk(root):
        for name in names:
            stem, dot, suffix = name.rpartition(".")
            yield stem, dot + suffix, folder
