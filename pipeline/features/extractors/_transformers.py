"""Door to transformers: pretrained encoders from a local folder or the hub, by one call; the optional extra `encoders`."""

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
    """A frozen model of a transformers class, float32, on the device.

    Args:
        kind: the class, e.g. CLIPModel; `name`: a local folder, or a model's id on the hub.
        revision: branch, tag or commit on the hub; a folder has none.

    Raises:
        PluginError: the extra is not installed.
        SourceError: there is no such model, it cannot be fetched or read, or it is of another kind.
    """
    loader = getattr(_import_transformers(), kind).from_pretrained
    module, about = _load(
        lambda: loader(name, revision=revision, dtype=torch.float32, output_loading_info=True),
        name,
        kind,
    )
    # What a file lacks the library draws at random, and only its log says so.
    drawn = sorted(set(about["missing_keys"]) & dict(module.named_parameters()).keys())
    if drawn:
        raise SourceError(
            f"{name!r} lacks {len(drawn)} weights of a {kind}, first {drawn[0]}; name a model of that kind"
        )
    return module.eval().requires_grad_(False).to(device)


def load_feature_extractor(name: str, revision: str) -> Any:
    """The model's own feature extractor: float waves of its `sampling_rate` -> what the model takes."""
    loader = _import_transformers().ClapFeatureExtractor.from_pretrained
    return _load(lambda: loader(name, revision=revision), name, "ClapFeatureExtractor")


def read_image_constants(name: str, revision: str) -> Mapping[str, Any]:
    """The image processor's image_mean, image_std and rescale_factor, read without the packages that it would draw in."""
    _import_transformers()
    from transformers.image_processing_base import ImageProcessingMixin
    from transformers.image_utils import OPENAI_CLIP_MEAN, OPENAI_CLIP_STD

    reader = ImageProcessingMixin.get_image_processor_dict
    found = _load(lambda: reader(name, revision=revision), name, "image processor")[0]
    # What CLIP's processor takes where the file does not say: the first published files have no rescale_factor.
    return {
        "image_mean": OPENAI_CLIP_MEAN,
        "image_std": OPENAI_CLIP_STD,
        "rescale_factor": 1 / 255,
        **found,
    }


@torch.no_grad()
def embed_sentences(
    module: Any, name: str, revision: str, sentences: Sequence[str], batch: int
) -> Tensor:
    """float32 [n, D]: a model's unit vectors of sentences, by its own tokenizer; SourceError for one that it would cut."""
    loader = _import_transformers().AutoTokenizer.from_pretrained
    tokenizer = _load(lambda: loader(name, revision=revision), name, "tokenizer")
    _refuse_unreadable(tokenizer, module, name, sentences)
    device, made = next(module.parameters()).device, []
    for first in range(0, len(sentences), batch):
        tokens = tokenizer(
            list(sentences[first : first + batch]), padding=True, return_tensors="pt"
        )
        given = {key: tokens[key].to(device) for key in ("input_ids", "attention_mask")}
        made.append(normalise(module.get_text_features(**given)).cpu())
    return torch.cat(made)


def _refuse_unreadable(tokenizer: Any, module: Any, name: str, sentences: Sequence[str]) -> None:
    """SourceError for a sentence that is too long, or that reads like another: without its files a tokenizer knows no word."""
    most = min(tokenizer.model_max_length, module.config.text_config.max_position_embeddings)
    seen: dict[tuple[int, ...], str] = {}
    for sentence in sentences:
        tokens = tuple(tokenizer(sentence)["input_ids"])
        if len(tokens) > most:
            raise SourceError(
                f"{name} reads {most} tokens, {sentence!r} has {len(tokens)}; shorten it"
            )
        if seen.setdefault(tokens, sentence) != sentence:
            same = f"the tokenizer of {name} makes the same of {seen[tokens]!r} and {sentence!r}"
            raise SourceError(
                f"{same}; name a folder that holds the model's tokenizer too, or other words"
            )


def normalise(output: Any) -> Tensor:
    """What get_image_features and its like gave, as unit vectors: transformers 4 gives a tensor, 5 an object around it.

    These encoders were trained on cosines, so a vector's length says nothing.
    """
    vectors: Tensor = output if isinstance(output, Tensor) else output.pooler_output
    return F.normalize(vectors.float(), dim=-1)


def _import_transformers() -> Any:
    try:
        import transformers
    except ImportError as error:
        raise PluginError(
            f"this extractor needs the package transformers ({error}); install it with: pip install '{EXTRA}'"
        ) from error
    # Their own logs and bars; our warnings are Python's.
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    logging.getLogger("huggingface_hub").setLevel(logging.ERROR)
    return transformers


def _load(load: Callable[[], Any], name: str, what: str) -> Any:
    try:
        return load()
    except Exception as error:  # files, JSON, shapes, sockets: a dozen packages raise their own
        reason = " ".join(str(error).split()).split(". ")[0] or type(error).__name__
        wanted = f"no {what} could be loaded from {name!r} ({reason})"
        raise SourceError(
            f"{wanted}; expected a folder that save_pretrained wrote, or a model's id on a hub that can be reached"
        ) from error
