"""Clips for a teacher and others for its students.

    python benchmarks/halves.py CLIPS TEACHER STUDENTS

CLIPS is a tree split/label/clip. TEACHER and STUDENTS become trees of links: each training clip is
in one of them, half of every class in each; the other splits are in both. So a teacher from TEACHER
(benchmarks/teacher.py) has seen no clip that a set of STUDENTS is made from.
"""

from __future__ import annotations

import argparse
from pathlib import Path

TRAIN = "train"


def halves(clips: Path) -> tuple[list[Path], list[Path]]:
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
            own = clip.relative_to(clips)
            teacher += [own] if label.parent.name != TRAIN or number % 2 == 0 else []
            students += [own] if label.parent.name != TRAIN or number % 2 == 1 else []
    return teacher, students


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("clips", type=Path)
    parser.add_argument("teacher", type=Path)
    parser.add_argument("students", type=Path)
    given = parser.parse_args()
    for place, own in zip((given.teacher, given.students), halves(given.clips), strict=True):
        for clip in own:
            (place / clip).parent.mkdir(parents=True, exist_ok=True)
            (place / clip).symlink_to((given.clips / clip).resolve())
        print(
            f"{len(own)} clips, {sum(clip.parts[0] == TRAIN for clip in own)} of them for training "
            f"-> {place}"
        )


if __name__ == "__main__":
    main()
