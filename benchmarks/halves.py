"""Divide clips between a teacher and its students.

    python benchmarks/halves.py CLIPS TEACHER STUDENTS

CLIPS is a tree split/label/clip. TEACHER and STUDENTS become trees of links. Each training clip is
in one of them, half of every class in each; the other splits are in both. So a teacher that was
trained on TEACHER (benchmarks/teacher.py) has seen no clip behind a set of STUDENTS.
"""

from __future__ import annotations

import argparse
from pathlib import Path

TRAIN = "train"


def split_clips(clips: Path) -> tuple[list[Path], list[Path]]:
    """Return the teacher's and the students' clips: training clips of a label alternate by name."""
    labels = [
        label
        for split in sorted(clips.iterdir())
        if split.is_dir()
        for label in sorted(split.iterdir())
        if label.is_dir()
    ]
    teacher, students = [], []
    for label in labels:
        for number, clip in enumerate(sorted(label.iterdir())):
            path, is_train = clip.relative_to(clips), label.parent.name == TRAIN
            teacher += [path] if not is_train or number % 2 == 0 else []
            students += [path] if not is_train or number % 2 == 1 else []
    return teacher, students


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("clips", type=Path)
    parser.add_argument("teacher", type=Path)
    parser.add_argument("students", type=Path)
    args = parser.parse_args()
    for folder, paths in zip((args.teacher, args.students), split_clips(args.clips), strict=True):
        for clip in paths:
            (folder / clip).parent.mkdir(parents=True, exist_ok=True)
            (folder / clip).symlink_to((args.clips / clip).resolve())
        training = sum(clip.parts[0] == TRAIN for clip in paths)
        print(f"{len(paths)} clips, {training} of them for training -> {folder}")


if __name__ == "__main__":
    main()
