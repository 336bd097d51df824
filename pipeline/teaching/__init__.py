"""Students with a teacher: who they are, what they learn from, how they are taught, and what they reach."""

from __future__ import annotations

from pipeline.teaching._classroom import Classroom, enter, seen
from pipeline.teaching._course import Balanced, Course, Pupil, Student, Teach, refuse_own_teacher
from pipeline.teaching._measure import Measured, measured
from pipeline.teaching._sets import Train, of_artifact, of_coreset, of_shards
from pipeline.teaching._tables import Tables, read_tables

__all__ = [
    "Balanced",
    "Classroom",
    "Course",
    "Measured",
    "Pupil",
    "Student",
    "Tables",
    "Teach",
    "Train",
    "enter",
    "measured",
    "of_artifact",
    "of_coreset",
    "of_shards",
    "read_tables",
    "refuse_own_teacher",
    "seen",
]
