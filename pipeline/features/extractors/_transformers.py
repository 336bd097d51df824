"""Door to transformers: pretrained encoders from a local folder or the hub.

The library is the optional extra `encoders`.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from torch.nn import functional as F

from pipeline.core.errors import PluginError, SourceError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

EXTRA = "avdistill[encoders]"


def load_model(kind: str, name: str, revision: str, device: torch.device) -> Any:
    """Load a frozen model, float32.

    Args:
        kind: its class in transformers, e.g. CLIPModel.
        name: a local folder, or a model's id on the hub.
        revision: branch, tag or commit on the hub; a folder has none.
        device: where the model is.

    Raises:
        PluginError: the extra is not installed.
        SourceError: there is no such model, it cannot be fetched or read, or it is of another kind.

    Example:
        model = load_model("CLIPModel", "openai/clip-vit-base-patch32", "main", device)
    """
    loader = getattr(_import_transformers(), kind).from_pretrained
    module, about = _load(
        lambda: loader(name, revision=revision, dtype=torch.float32, output_loading_info=True),
        name,
        kind,
    )
    # The library draws missing weights at random, and reports that only in its log.
    missing = sorted(set(about["missing_keys"]) & dict(module.named_parameters()).keys())
    if missing:
        raise SourceError(
            f"{name!r} lacks {len(missing)} weights of a {kind}, first {missing[0]}; "
            "name a model of that kind"
        )
    return module.eval().requires_grad_(False).to(device)


def load_feature_extractor(name: str, revision: str) -> Any:
    """Load a CLAP model's feature extractor, which turns float waves into the model's inputs.

    Args:
        name: a local folder, or a model's id on the hub.
        revision: branch, tag or commit on the hub.

    Example:
        load_feature_extractor("laion/clap-htsat-unfused", "main").sampling_rate  # 48000
    """
    loader = _import_transformers().ClapFeatureExtractor.from_pretrained
    return _load(lambda: loader(name, revision=revision), name, "ClapFeatureExtractor")


def read_image_constants(name: str, revision: str) -> Mapping[str, Any]:
    """Read image_mean, image_std and rescale_factor of a model's image processor.

    They are read from its file, without the packages that the processor would import.

    Args:
        name: a local folder, or a model's id on the hub.
        revision: branch, tag or commit on the hub.

    Example:
        read_image_constants("openai/clip-vit-base-patch32", "main")["rescale_factor"]  # 1 / 255
    """
    _import_transformers()
    from transformers.image_processing_base import ImageProcessingMixin
    from transformers.image_utils import OPENAI_CLIP_MEAN, OPENAI_CLIP_STD

    reader = ImageProcessingMixin.get_image_processor_dict
    constants = _load(lambda: reader(name, revision=revision), name, "image processor")[0]
    # The defaults of CLIP's processor: the first published files have no rescale_factor.
    return {
        "image_mean": OPENAI_CLIP_MEAN,
        "image_std": OPENAI_CLIP_STD,
        "rescale_factor": 1 / 255,
        **constants,
    }


@torch.no_grad()
def embed_sentences(
    module: Any, name: str, revision: str, sentences: Sequence[str], batch: int
) -> Tensor:
    """Embed sentences as unit vectors float32 [n, D], with the model's own tokenizer.

    Args:
        module: the model.
        name: a local folder, or the model's id on the hub.
        revision: branch, tag or commit on the hub.
        sentences: n sentences.
        batch: sentences per forward pass.

    Raises:
        SourceError: a sentence is too long for the model, or two have the same tokens.

    Example:
        embed_sentences(model, "laion/clap-htsat-unfused", "main", ["a dog", "a cat"], 64)
    """
    loader = _import_transformers().AutoTokenizer.from_pretrained
    tokenizer = _load(lambda: loader(name, revision=revision), name, "tokenizer")
    _refuse_unreadable(tokenizer, module, name, sentences)
    device, vectors = next(module.parameters()).device, []
    for first in range(0, len(sentences), batch):
        tokens = tokenizer(
            list(sentences[first : first + batch]), padding=True, return_tensors="pt"
        )
        inputs = {key: tokens[key].to(device) for key in ("input_ids", "attention_mask")}
        vectors.append(normalise(module.get_text_features(**inputs)).cpu())
    return torch.cat(vectors)


def _refuse_unreadable(tokenizer: Any, module: Any, name: str, sentences: Sequence[str]) -> None:
    """Refuse a sentence that is too long, or has the tokens of another.

    A tokenizer without its files turns every word into the same token.
    """
    most = min(tokenizer.model_max_length, module.config.text_config.max_position_embeddings)
    sentence_of: dict[tuple[int, ...], str] = {}
    for sentence in sentences:
        tokens = tuple(tokenizer(sentence)["input_ids"])
        if len(tokens) > most:
            raise SourceError(
                f"{name} reads {most} tokens, {sentence!r} has {len(tokens)}; shorten it"
            )
        if sentence_of.setdefault(tokens, sentence) != sentence:
            raise SourceError(
                f"the tokenizer of {name} makes the same of {sentence_of[tokens]!r} and "
                f"{sentence!r}; name a folder that holds the model's tokenizer too, or other words"
            )


def normalise(output: Any) -> Tensor:
    """Return unit vectors float32 [n, D], since these encoders were trained on cosines.

    Args:
        output: of get_image_features and the like: a tensor in transformers 4, an object that
            holds it in transformers 5.

    Example:
        normalise(torch.tensor([[3.0, 4.0]]))  # [[0.6, 0.8]]
    """
    vectors: Tensor = output if isinstance(output, Tensor) else output.pooler_output
    return F.normalize(vectors.float(), dim=-1)


def _import_transformers() -> Any:
    try:
        import transformers
    except ImportError as error:
        raise PluginError(
            f"this extractor needs the package transformers ({error}); "
            f"install it with: pip install '{EXTRA}'"
        ) from error
    # Silence its own logs and progress bars.
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    logging.getLogger("huggingface_hub").setLevel(logging.ERROR)
    return transformers


def _load(load: Callable[[], Any], name: str, what: str) -> Any:
    try:
        return load()
    except Exception as error:  # files, JSON, shapes, sockets: a dozen packages raise their own
        reason = " ".join(str(error).split()).split(". ")[0] or type(error).__name__
        raise SourceError(
            f"no {what} could be loaded from {name!r} ({reason}); expected a folder that "
            "save_pretrained wrote, or a model's id on a hub that can be reached"
        ) from error
