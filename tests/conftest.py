"""Toys: a tiny real set, a few generated clips, and the shards that are decoded from them once."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import settings

from pipeline import params
from pipeline.datasets.generated import STAMP
from pipeline.datasets.generated import Dataset as Generated
from pipeline.decoding import Decode, decode_all
from pipeline.engines.local import Engine as Local
from pipeline.manifest import write_manifest
from pipeline.records import Clip, Normalisation, RealSet, Sample
from pipeline.training import silent

os.environ["DVC_NO_ANALYTICS"] = "1"
ROOT = Path(__file__).parent.parent
REAL_DATA = ROOT.parent / "shared" / "data"
CPU = torch.device("cpu")

torch.set_num_threads(1)
# The same examples everywhere, and no deadline: a busy machine is no failure.
settings.register_profile("project", deadline=None, derandomize=True, database=None)
settings.load_profile("project")


def values(*changes: str) -> params.Params:
    """The project's params.yaml with changes."""
    return params.load(ROOT / "params.yaml", changes)


def toy_real(per_class: int = 12, classes: int = 2, side: int = 8, seed: int = 0) -> RealSet:
    """Random frames and log-mels whose brightness and loudness tell the class."""
    numbers = torch.Generator().manual_seed(seed)
    label = torch.arange(classes).repeat_interleave(per_class)
    level = label.float() / classes
    frame = 60 * torch.rand(len(label), 1, 3, side, side, generator=numbers) + 150 * level[:, None, None, None, None]
    logmel = 20 * torch.rand(len(label), 1, side, side, generator=numbers) - 40 * level[:, None, None, None]
    return RealSet(
        rows={"frame": frame.to(torch.uint8), "logmel": logmel.half()},
        label=label,
        keys=tuple(f"clip{i // 2:03d}_{i % 2:04d}" for i in range(len(label))),
        clips=tuple(f"clip{i // 2:03d}" for i in range(len(label))),
        classes=tuple(f"class{c}" for c in range(classes)),
        normalisation={
            "frame": Normalisation(scale=1 / 255, mean=(0.4, 0.4, 0.4), std=(0.25, 0.25, 0.25), fill=0.0),
            "logmel": Normalisation(scale=1.0, mean=(-10.0,), std=(15.0,), fill=-4.0),
        },
        preprocessing="toy",
        digest=f"toy{seed}",
    )


def toy_sample(clip: str, second: int, label: str = "a") -> Sample:
    """A sample whose values follow from its key."""
    numbers = np.random.default_rng([second, *clip.encode()])
    return Sample(
        clip=clip,
        second=second,
        label=label,
        arrays={
            "frame": numbers.integers(0, 256, (1, 4, 4, 3), dtype=np.uint8),
            "logmel": numbers.normal(size=(4, 6)).astype(np.float16),
        },
        pts=(second + 0.5,),
    )


@pytest.fixture(scope="session")
def media(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of generated clips: eight classes, three train, one val, one test clip each."""
    root = tmp_path_factory.mktemp("media") / "clips"
    few = ("ingest.generated.train=3", "ingest.generated.val=1", "ingest.generated.test=1")
    values(*few).build("ingest.generated", Generated, without=["adapter"]).clips(root)
    (root / STAMP).unlink()  # from here on it is anybody's folder
    return root


@pytest.fixture(scope="session")
def clips(media: Path) -> list[Clip]:
    from pipeline.datasets._tree import clips_under

    return clips_under(media)


@pytest.fixture(scope="session")
def manifest(clips: list[Clip], tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("manifest") / "manifest.csv"
    write_manifest(path, clips)
    return path


@pytest.fixture(scope="session")
def shards(clips: list[Clip], tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("decoded") / "shards"
    decode_all(clips, out, values().build("decode", Decode), Local(workers=2), silent)
    return out
