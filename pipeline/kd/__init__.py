"""Students with a teacher: settings, data, training and evaluation."""

from __future__ import annotations

from pipeline.kd.data import KDData, build_data, select_view
from pipeline.kd.evaluate import KDResult, train_and_evaluate
from pipeline.kd.settings import BalancedBatch, StudentSettings, TeachSettings, refuse_own_teacher
from pipeline.kd.student import KDRun, Student
from pipeline.kd.teacher_features import TeacherFeatures, read_tables
from pipeline.kd.training_sets import (
    TrainingSet,
    build_from_artifact,
    build_from_coreset,
    build_from_shards,
)

__all__ = [
    "BalancedBatch",
    "KDData",
    "KDResult",
    "KDRun",
    "Student",
    "StudentSettings",
    "TeachSettings",
    "TeacherFeatures",
    "TrainingSet",
    "build_data",
    "build_from_artifact",
    "build_from_coreset",
    "build_from_shards",
    "read_tables",
    "refuse_own_teacher",
    "select_view",
    "train_and_evaluate",
]
