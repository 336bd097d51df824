"""CLIP and CLAP of random weights."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

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
