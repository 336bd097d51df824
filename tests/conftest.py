"""Toys: a tiny real set, a few generated clips, and the shards that are decoded from them once."""

from __future__ import annotations

import json
import os
import signal
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import settings
from torch import Tensor, nn

from pipeline.core import params
from pipeline.core.files import write_json
from pipeline.core.records import Clip, Normalisation, Origin, RealSet, Sample
from pipeline.datasets.adapters.generated import STAMP
from pipeline.datasets.adapters.generated import Dataset as Generated
from pipeline.datasets.manifest import write_manifest
from pipeline.models.networks.convnet import HalvingPool
from pipeline.shards.decode import Decode, decode_all
from pipeline.shards.engines.local import Engine as Local
from pipeline.shards.index import Index, read_index, write_index
from pipeline.shards.layout import move_channels_last
from pipeline.shards.write import write_shard
from pipeline.training.loop import ignore_progress

os.environ["DVC_NO_ANALYTICS"] = "1"
ROOT = Path(__file__).parent.parent
REAL_DATA = ROOT.parent / "shared" / "data"
CPU = torch.device("cpu")

# Whatever a test forgets, nothing is fetched.
os.environ["HF_HUB_OFFLINE"] = "1"
ORIGIN = Origin(extractor="toy", params={}, shards="toy0", preprocessing="toy", weights="none")

# A GPU's kernels run in Triton's interpreter where there is none; read when Triton is first imported.
if not torch.cuda.is_available():
    os.environ["TRITON_INTERPRET"] = "1"

torch.set_num_threads(1)
# A shell's background jobs ignore interrupts, and so would the commands that tests interrupt.
signal.signal(signal.SIGINT, signal.default_int_handler)
# The same examples everywhere, and no deadline: a busy machine is no failure.
settings.register_profile("project", deadline=None, derandomize=True, database=None)
settings.load_profile("project")


def values(*changes: str) -> params.Params:
    """The project's params.yaml with changes."""
    return params.load(ROOT / "params.yaml", changes)


def convnet_block(channels: int, width: int, padding: int, grid: int | None) -> nn.Sequential:
    """Convolution, instance norm, ReLU and a pool that halves, or an adaptive one, without gradients of their own."""
    torch.manual_seed(0)
    layers = nn.Sequential(
        nn.Conv2d(channels, width, 3, padding=padding),
        nn.GroupNorm(width, width),
        nn.ReLU(),
        HalvingPool() if grid is None else nn.AdaptiveAvgPool2d(grid),
    ).requires_grad_(False)
    layers[1].weight.uniform_(0.5, 1.5)
    layers[1].bias.uniform_(-0.5, 0.5)
    return layers


def apart(found: Tensor, expected: Tensor) -> float:
    """Relative, by the norm."""
    return ((found.double().cpu() - expected.cpu()).norm() / expected.norm()).item()


def toy_real(per_class: int = 12, classes: int = 2, side: int = 8, seed: int = 0) -> RealSet:
    """Random frames and log-mels whose brightness and loudness tell the class."""
    numbers = torch.Generator().manual_seed(seed)
    label = torch.arange(classes).repeat_interleave(per_class)
    level = label.float() / classes
    frame = (
        60 * torch.rand(len(label), 1, 3, side, side, generator=numbers)
        + 150 * level[:, None, None, None, None]
    )
    logmel = (
        20 * torch.rand(len(label), 1, side, side, generator=numbers)
        - 40 * level[:, None, None, None]
    )
    return RealSet(
        rows={"frame": frame.to(torch.uint8), "logmel": logmel.half()},
        label=label,
        keys=tuple(f"clip{i // 2:03d}_{i % 2:04d}" for i in range(len(label))),
        clips=tuple(f"clip{i // 2:03d}" for i in range(len(label))),
        classes=tuple(f"class{c}" for c in range(classes)),
        normalisation={
            "frame": Normalisation(
                scale=1 / 255, mean=(0.4, 0.4, 0.4), std=(0.25, 0.25, 0.25), fill=0.0
            ),
            "logmel": Normalisation(scale=1.0, mean=(-10.0,), std=(15.0,), fill=-4.0),
        },
        preprocessing="toy",
        digest=f"toy{seed}",
    )


def toy_waves(rate: int = 1000) -> RealSet:
    """The toy with a second of noise per sample, louder in the second class."""
    real = toy_real()
    noise = torch.randn(len(real), 1, rate, generator=torch.Generator().manual_seed(5))
    wave = (3000 * noise * (1 + real.label[:, None, None])).to(torch.int16)
    units = Normalisation(scale=2**-15, mean=(0.0,), std=(0.1,), fill=0.0)
    return replace(
        real, rows={**real.rows, "wave": wave}, normalisation={**real.normalisation, "wave": units}
    )


TEXT = {
    "hidden_size": 8,
    "intermediate_size": 8,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "vocab_size": 16,
    "max_position_embeddings": 8,
    "bos_token_id": 0,
    "eos_token_id": 1,
    "pad_token_id": 1,
}
NO_ENCODERS = "no transformers; pip install -e '.[encoders]'"


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


def clap_into(folder: Path, fused: bool = False, seconds: float = 2) -> Path:
    """A tiny CLAP; `fused` has the second branch, for sounds that were cut."""
    transformers = pytest.importorskip("transformers", reason=NO_ENCODERS)
    audio = {
        "window_size": 4,
        "num_mel_bins": 16,
        "spec_size": 64,
        "patch_size": 4,
        "patch_stride": [4, 4],
        "hidden_size": 16,
        "patch_embeds_hidden_size": 8,
        "depths": [1, 1],
        "num_attention_heads": [2, 2],
        "num_hidden_layers": 2,
        "mlp_ratio": 1.0,
        "enable_fusion": fused,
        "aff_block_r": 2,
    }
    torch.manual_seed(0)
    transformers.logging.disable_progress_bar()
    config = transformers.ClapConfig(projection_dim=6, text_config=TEXT, audio_config=audio)
    transformers.ClapModel(config).save_pretrained(folder)
    transformers.ClapFeatureExtractor(
        feature_size=16,
        sampling_rate=1000,
        hop_length=40,
        max_length_s=seconds,
        fft_window_size=256,
        frequency_max=500,
        truncation="fusion" if fused else "rand_trunc",
    ).save_pretrained(folder)
    tokenizer_into(folder)
    return folder


WORDS = (
    "<s>",
    "</s>",
    "<unk>",
    "a",
    "sound",
    "of",
    "this",
    "is",
    "class0",
    "class1",
    "cat",
    "dog",
    "church",
    "bell",
)


def tokenizer_into(folder: Path) -> None:
    """A tokenizer of a few whole words, for the text towers of the toys; six tokens at most."""
    transformers = pytest.importorskip("transformers", reason=NO_ENCODERS)
    tokenizers = pytest.importorskip("tokenizers", reason=NO_ENCODERS)
    words = tokenizers.Tokenizer(
        tokenizers.models.WordLevel({word: i for i, word in enumerate(WORDS)}, unk_token="<unk>")
    )
    words.normalizer = tokenizers.normalizers.Lowercase()
    words.pre_tokenizer = tokenizers.pre_tokenizers.Whitespace()
    words.post_processor = tokenizers.processors.TemplateProcessing(
        single="<s> $A </s>", special_tokens=[("<s>", 0), ("</s>", 1)]
    )
    given = {
        "bos_token": "<s>",
        "eos_token": "</s>",
        "pad_token": "</s>",
        "unk_token": "<unk>",
        "model_max_length": 6,
    }
    transformers.PreTrainedTokenizerFast(tokenizer_object=words, **given).save_pretrained(folder)


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
    decode_all(clips, out, values().build("decode", Decode), Local(workers=2), ignore_progress)
    return out


# Networks, experts, seeds and students that suit the toy on disk.
TINY = (
    "networks.convnet.width=4",
    "networks.convnet.grid=2",
    "networks.convnet.depth={frame: 2, logmel: 2}",
    "experts.count=2",
    "experts.epochs=2",
    "grid.seeds=[0, 1]",
    "evaluate.protocols.budget.steps=2",
)


def write_split(
    folder: Path, real: RealSet, modalities: tuple[str, ...] = ("frame", "logmel")
) -> None:
    """A toy as shards on disk."""
    samples = [
        Sample(
            clip=clip,
            second=int(key.rpartition("_")[2]),
            label=real.classes[label],
            arrays={m: move_channels_last(real.rows[m][i].numpy()) for m in modalities},
            pts=(0.5,),
        )
        for i, (key, clip, label) in enumerate(
            zip(real.keys, real.clips, real.label.tolist(), strict=True)
        )
    ]
    shard = write_shard(folder, "shard-00000", "toy", samples, [])
    units = {m: real.normalisation[m] for m in modalities}
    known = Index(classes=real.classes, preprocessing="toy", normalisation=units, shards=(shard,))
    write_index(folder, known)


@pytest.fixture(scope="session")
def toy_data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The toy on disk: three splits, rankings of the training split, and a bank that learned it."""
    from test_plugins import rankings

    from stages.experts import experts

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
