"""prompts -> text table"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pipeline.core.params import Params


def extract_text(prompts: Path, out: Path, *, extractor: str, params: Params, device: str) -> str:
    """Embed what each class is called, in every template: a table of text vectors for `avdistill prototypes`.

    PROMPTS is a table class,template,text, or class,name, or a manifest, whose labels go into extract-text.templates; EXTRACTOR
    names a section of `extract`: clap or clip, by their text towers, or external, from the file extract.external.sentences.

    Example: avdistill extract-text data/esc50/manifest.csv work/esc50/text.h5 --extractor clap
    """
    import json
    from dataclasses import asdict

    from pipeline.core import plugins
    from pipeline.core.errors import PluginError
    from pipeline.core.files import refuse_existing, shorten_digest
    from pipeline.core.records import Texts
    from pipeline.features.prompts import Templates, TextEncoder, read_prompts
    from pipeline.features.store import write_texts
    from stages._runtime import device_of

    refuse_existing(out)
    asked = read_prompts(prompts, params.build("extract-text", Templates))
    plugin: Any = plugins.build("extractor", extractor, params)
    values = json.loads(json.dumps(asdict(plugin)))
    if not isinstance(plugin, TextEncoder):
        raise PluginError(f"the extractor {extractor} reads no text; name clap, clip or external")
    vectors, weights = plugin.embed_texts(asked.sentences, device_of(device))
    texts = Texts(
        classes=asked.classes,
        templates=asked.templates,
        prompts=asked.sentences,
        vectors=vectors.reshape(len(asked.templates), len(asked.classes), -1),
        extractor=extractor,
        params=values,
        weights=weights,
    )
    digest = write_texts(out, texts)
    told = (
        f"{len(asked.classes)} classes x {len(asked.templates)} templates, {vectors.shape[1]} wide"
    )
    return f"{told}, encoder {shorten_digest(weights)}, digest {shorten_digest(digest)} -> {out}"
