"""prompts -> text table"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pipeline.core.params import Params


def extract_text(prompts: Path, out: Path, *, extractor: str, params: Params, device: str) -> str:
    """Embed a sentence per class and template: a table of text vectors for `avdistill prototypes`.

    PROMPTS is a table class,template,text, or class,name, or a manifest, whose labels go into
    extract-text.templates. EXTRACTOR names a section of `extract`: clap or clip, by their text
    towers, or external, from the file extract.external.sentences.

    Example: avdistill extract-text data/esc50/manifest.csv work/esc50/text.h5 --extractor clap
    """
    from pipeline.core import plugins
    from pipeline.core.files import refuse_existing, shorten_digest
    from pipeline.features.prompts import Templates, embed_prompts, read_prompts
    from pipeline.features.store import write_texts
    from stages._runtime import device_of

    refuse_existing(out)
    sentences = read_prompts(prompts, params.build("extract-text", Templates))
    plugin = plugins.build("extractor", extractor, params)
    texts = embed_prompts(sentences, plugin, extractor, device_of(device))
    digest = write_texts(out, texts)
    templates, classes, width = texts.vectors.shape
    counted = f"{classes} classes x {templates} templates, {width} wide"
    digests = f"encoder {shorten_digest(texts.weights)}, digest {shorten_digest(digest)}"
    return f"{counted}, {digests} -> {out}"
