"""List media files under a folder as clips with unique ids."""

from __future__ import annotations

from pathlib import Path

from pipeline.core.errors import SourceError
from pipeline.core.files import file_digest
from pipeline.core.paths import make_absolute
from pipeline.core.records import SPLITS, Clip
from pipeline.datasets.adapters._names import (
    make_id,
    make_ids_unique,
    normalise_label,
    normalise_name,
)
from pipeline.datasets.listing import TABLE, list_media
from pipeline.datasets.locations import refuse_undecodable

# Folder names that look like a split.
LOOKALIKES = {*SPLITS, "training", "valid", "validation", "testing", "dev", "eval"}


class Contents(dict[Path, tuple[int, str]]):
    """Path -> bytes and SHA-256; each file is read once, a missing file has 0 and ""."""

    def __missing__(self, path: Path) -> tuple[int, str]:
        try:
            self[path] = (path.stat().st_size, file_digest(path)) if path.is_file() else (0, "")
        except OSError as error:
            raise SourceError(
                f"{path} cannot be read ({error.strerror}); make it readable or remove it"
            ) from error
        return self[path]


def list_clips(root: Path) -> list[Clip]:
    """List the clips of a tree: `split/label/*.mp4`, or `label/*.mp4`, which is all train.

    The first folders are splits if all of them are called so (train, val, test) and hold folders of
    labels. A folder `train` with clips in it, beside other labels, is a class.

    Args:
        root: the folder.

    Raises:
        SourceError: a file lies in no label's folder, the tree mixes both layouts, or a folder's
            name looks like a split.
    """
    media = list_media(root)
    parts = [path.relative_to(root).parts for path in media]
    refuse_undecodable("/".join(names) for names in parts)
    has_splits = _find_layout(root, parts)
    contents = Contents()
    clips = []
    for path, (*folders, _) in zip(media, parts, strict=True):
        split, labels = (folders[0], folders[1:]) if has_splits else ("train", folders)
        name = path.relative_to(root)
        clip = clip_of(
            path,
            name.with_suffix("").as_posix(),
            "/".join(map(normalise_label, labels)),
            split,
            contents=contents,
        )
        clips.append((clip, (normalise_name(name.as_posix()), name.as_posix())))
    return make_ids_unique(clips)


def _find_layout(root: Path, parts: list[tuple[str, ...]]) -> bool:
    """Return whether the first folders are splits; False if they are labels.

    Args:
        root: the folder.
        parts: of each file's path below it.
    """
    loose = next((file for file in parts if len(file) == 1), None)
    if loose:
        raise _make_outside_error(root, loose)
    labels = {file[0] for file in parts if file[0].strip().lower() not in LOOKALIKES}
    flat = {file[0]: file for file in parts if len(file) == 2 and file[0] not in labels}
    deep = sorted({file[0] for file in parts if len(file) > 2} - labels)
    if labels and deep:
        raise SourceError(
            f"{root} mixes two layouts: {deep[0]} looks like a split, {min(labels)} is a label; "
            f"move all labels into folders of splits, or name each clip's label in {root / TABLE}"
        )
    if labels:
        return False
    if len(flat) > 1 and not deep:
        raise SourceError(
            f"{root} holds clips in {' and '.join(sorted(flat))}, which look like splits; move "
            f"them to <split>/<label>/ folders, or, if these are classes, list them in {TABLE}"
        )
    if flat:
        raise _make_outside_error(root, min(flat.values()))
    for name in deep:
        if name not in SPLITS:
            raise SourceError(
                f"{root / name} looks like a split but is not one; "
                f"rename it to one of {', '.join(SPLITS)}"
            )
    return True


def _make_outside_error(root: Path, parts: tuple[str, ...]) -> SourceError:
    return SourceError(
        f"{root.joinpath(*parts)} lies outside of any label's folder; "
        f"move it to {root}/<label>/ or {root}/<split>/<label>/"
    )


def clip_of(
    path: Path,
    name: str,
    label: str,
    split: str,
    *,
    start_s: float = 0.0,
    end_s: float | None = None,
    group: str | None = None,
    contents: Contents | None = None,
) -> Clip:
    """Make a manifest row for one file.

    A missing file keeps its row, without bytes and digest: decode puts it into the ledger as
    missing_file.

    Args:
        path: the file.
        name: becomes the id; it does not depend on where the root lies.
        label: its class.
        split: train, val or test.
        start_s: seconds from the file's first presentation time.
        end_s: the same; None means the end of the file.
        group: clips of one group stay in one split; by default the name.
        contents: shared by rows, so that a file with several clips is read once.
    """
    name = normalise_name(name)
    size, digest = (Contents() if contents is None else contents)[path]
    return Clip(
        clip_id=make_id(name),
        path=make_absolute(path),
        label=normalise_label(label),
        split=split,
        start_s=start_s,
        end_s=end_s,
        group=normalise_name(group) if group else name,
        bytes=size,
        sha256=digest,
    )
