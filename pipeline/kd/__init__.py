"""Students with a teacher: who they are, what they learn from, how they are taught, and what they reach."""

from __future__ import annotations

from pipeline.kd.data import Classroom, enter, seen
from pipeline.kd.evaluate import Measured, measured
from pipeline.kd.settings import Balanced, Student, Teach, refuse_own_teacher
from pipeline.kd.student import Course, Pupil
from pipeline.kd.teacher_features import Tables, read_tables
from pipeline.kd.training_sets import Train, of_artifact, of_coreset, of_shards

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
