"""A joint space of sounds and texts with known answers: texts and clips around class centres."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from pipeline.core.records import Texts
from pipeline.prototypes import Clips, PrototypeSettings
from pipeline.prototypes.clips import normalise_rows
from tests.toys.project import values
from tests.toys.samples import ORIGIN

CLASSES = tuple(f"class{number}" for number in range(10))


def toy_space(
    seed: int = 0,
    *,
    misaligned: float = 1.5,
    noise: float = 1.6,
    gap: float = 0.0,
    per_class: int = 40,
    width: int = 64,
) -> tuple[Clips, Texts]:
    """Ten classes x `per_class` clips in five folds, and a text of each class around its centre."""
    rng = np.random.default_rng(seed)
    centres = rng.normal(size=(10, width))
    texts = centres + misaligned * rng.normal(size=centres.shape)
    label = np.repeat(np.arange(10), per_class)
    apart = gap * rng.normal(size=width)
    sounds = centres[label] + noise * rng.normal(size=(len(label), width)) + apart
    clips = Clips(
        ids=tuple(f"clip{number:04d}" for number in range(len(label))),
        classes=CLASSES,
        vectors=normalise_rows(sounds),
        targets=np.eye(10, dtype=bool)[label],
        partition=np.array([str(number % 5 + 1) for number in range(len(label))]),
        has_folds=True,
        group=np.arange(len(label)),
        shared_groups=(),
        without_vector=0,
    )
    return clips, toy_texts(texts[None])


def toy_texts(vectors: np.ndarray, **changes: Any) -> Texts:
    """Texts [templates, classes, D] of the toy's encoder."""
    templates = tuple(f"template {number} {{}}" for number in range(len(vectors)))
    classes = tuple(f"class{number}" for number in range(vectors.shape[1]))
    made = Texts(
        classes=classes,
        templates=templates,
        prompts=tuple(template.replace("{}", name) for template in templates for name in classes),
        vectors=vectors.astype(np.float32),
        extractor=ORIGIN.extractor,
        params={},
        weights=ORIGIN.weights,
    )
    return replace(made, **changes)


def settings(**changes: Any) -> PrototypeSettings:
    """params.yaml's, with the MLP cut to a toy."""
    given = values(
        "prototypes.mlp.epochs=2", "prototypes.repeats=1", "prototypes.bootstrap=100"
    ).build("prototypes", PrototypeSettings)
    return replace(given, **changes)
