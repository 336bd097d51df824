"""Toys: a tiny real set, a few generated clips, and the shards that are decoded from them once."""

from __future__ import annotations

import json
import os
import signal
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from hypothesis import settings

from pipeline.core.files import write_json
from pipeline.core.records import Clip
from pipeline.datasets.adapters.generated import STAMP
from pipeline.datasets.adapters.generated import Dataset as Generated
from pipeline.datasets.manifest import write_manifest
from pipeline.shards.decode import decode_all
from pipeline.shards.engines.local import Engine as Local
from pipeline.shards.index import read_index
from pipeline.shards.settings import DecodeSettings
from pipeline.training.loop import ignore_progress
from tests.toys.encoders import NO_ENCODERS, TEXT, clap_into, tokenizer_into
from tests.toys.project import TINY, values
from tests.toys.samples import toy_real, write_split

os.environ["DVC_NO_ANALYTICS"] = "1"

# Whatever a test forgets, nothing is fetched.
os.environ["HF_HUB_OFFLINE"] = "1"

# Without a GPU its kernels run in Triton's interpreter; Triton reads this when it is imported.
if not torch.cuda.is_available():
    os.environ["TRITON_INTERPRET"] = "1"

torch.set_num_threads(1)
# A shell's background jobs ignore interrupts, and so would the commands that tests interrupt.
signal.signal(signal.SIGINT, signal.default_int_handler)
# The same examples everywhere, and no deadline: a busy machine is no failure.
settings.register_profile("project", deadline=None, derandomize=True, database=None)
settings.load_profile("project")


@pytest.fixture(scope="session")
def toy_clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A CLIP of random weights and 8 x 8 pixels, in a folder as save_pretrained writes it."""
    transformers = pytest.importorskip("transformers", reason=NO_ENCODERS)
    folder = tmp_path_factory.mktemp("clip")
    vision = {**{name: TEXT[name] for name in list(TEXT)[:4]}, "image_size": 8, "patch_size": 4}
    torch.manual_seed(0)
    config = transformers.CLIPConfig(projection_dim=6, text_config=TEXT, vision_config=vision)
    transformers.logging.disable_progress_bar()
    transformers.CLIPModel(config).save_pretrained(folder)
    constants = {
        "image_mean": [0.4, 0.5, 0.6],
        "image_std": [0.2, 0.3, 0.4],
        "size": 8,
        "crop_size": 8,
    }
    (folder / "preprocessor_config.json").write_text(json.dumps(constants))
    tokenizer_into(folder)
    return folder


@pytest.fixture(scope="session")
def toy_clap(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A CLAP of random weights that hears two seconds at 1000 Hz."""
    return clap_into(tmp_path_factory.mktemp("clap"))


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
    from pipeline.datasets.adapters._tree import list_clips

    return list_clips(media)


@pytest.fixture(scope="session")
def manifest(clips: list[Clip], tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("manifest") / "manifest.csv"
    write_manifest(path, clips)
    return path


@pytest.fixture(scope="session")
def shards(clips: list[Clip], tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("decoded") / "shards"
    decode_all(
        clips, out, values().build("decode", DecodeSettings), Local(workers=2), ignore_progress
    )
    return out


@pytest.fixture(scope="session")
def toy_data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The toy on disk: three splits, rankings of the training split, and a bank that learned it."""
    from stages.experts import experts
    from tests.toys.plugins import rankings

    root = tmp_path_factory.mktemp("data")
    for split, real in (
        ("train", toy_real()),
        ("val", toy_real(4, seed=1)),
        ("test", toy_real(6, seed=2)),
    ):
        write_split(root / "shards" / split, real)
    digest = read_index(root / "shards" / "train").digest
    for name, coreset in rankings().items():
        write_json(root / "coreset" / f"{name}.json", replace(coreset, shards=digest).to_json())
    experts(
        root / "shards" / "train",
        root / "experts",
        params=values(*TINY),
        device="cpu",
        report=ignore_progress,
    )
    return root
