"""Tiny roots of the known datasets: annotation files as documented, and placeholders for media."""

from __future__ import annotations

import dataclasses
import importlib
import pkgutil
import wave
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pipeline.core import params, plugins
from tests.toys.project import REAL_DATA, ROOT, values


def write(root: Path, lists: dict[str, list[str]], media: list[str]) -> Path:
    """Write lists by name, and media that hold their own name; the last one is left out."""
    for name, lines in lists.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    for name in media[:-1]:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(name.encode())
    return root


def sounded(root: Path) -> Path:
    """Make the placeholders of esc50 sounds of a second: a class of tones, one of noise."""
    rng = np.random.default_rng(0)
    for path in sorted(root.rglob("*.wav")):
        tone = (
            8000 * np.sin(np.arange(16000) / 5)
            if path.stem[-1] == "0"
            else rng.normal(0, 4000, 16000)
        )
        with wave.open(str(path), "wb") as sound:
            sound.setparams((1, 2, 16000, 0, "NONE", ""))
            sound.writeframes(tone.astype("<i2").tobytes())
    return root


LABELS = ("Church bell", "Male speech, man speaking")


LISTS = REAL_DATA / "annotations"
annotated = pytest.mark.skipif(not LISTS.exists(), reason="the real annotation files are not here")


def dataset(name: str, preset: str | None = None, **changes: Any) -> Any:
    """A dataset with the values of params.yaml, or of a preset, and changes."""
    given = params.load(ROOT / "presets" / f"{preset}.yaml") if preset else values()
    made = plugins.build("adapter", name, given)
    return dataclasses.replace(made, **changes)


def listed(root: Path, folder: str, *media: str) -> Path:
    """A root with the real annotation files of a folder, and placeholders for a few media."""
    (root / "annotations").symlink_to(LISTS / folder)
    for name in media:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(name.encode())
    return root


# adapter -> the function that writes its toy root: `write_source` of the file of its name here
TOYS = {
    module.name: importlib.import_module(f"{__name__}.{module.name}").write_source
    for module in pkgutil.iter_modules(__path__)
}
