"""The feature store: a table is keyed, checked and says what it was made from."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from test_artifact import FULL, toy_synthetic
from test_plugins import toy_features

from pipeline.artifact import write_artifact
from pipeline.errors import StoreError
from pipeline.store import read_features, write_features


def test_features_come_back_with_their_digest(tmp_path: Path) -> None:
    features = toy_features()
    digest = write_features(tmp_path / "f.h5", features)
    read, found = read_features(tmp_path / "f.h5")
    assert found == digest
    assert (read.keys, read.classes) == (features.keys, features.classes)
    assert all(np.array_equal(read.vectors[m], features.vectors[m]) for m in features.vectors)


def test_the_same_table_gives_the_same_bytes(tmp_path: Path) -> None:
    for name in ("a.h5", "b.h5"):
        write_features(tmp_path / name, toy_features())
    assert (tmp_path / "a.h5").read_bytes() == (tmp_path / "b.h5").read_bytes()


def test_an_artifact_is_no_feature_table(tmp_path: Path) -> None:
    write_artifact(tmp_path / "seed0.h5", toy_synthetic(), FULL)
    with pytest.raises(StoreError, match="is no feature table"):
        read_features(tmp_path / "seed0.h5")


def test_a_missing_table_names_the_command(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match=r"does not exist; `avdistill extract` writes feature tables"):
        read_features(tmp_path / "f.h5")
