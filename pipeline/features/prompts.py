"""Prompts: the sentences that a text encoder embeds, one per template and class.

A table of prompts has the columns `class,template,text`, with whole sentences, or `class,name`,
with the name of each class. A manifest serves too: its labels are the classes. A name replaces {}
in the templates; a class without one is named by its label, with spaces for underscores.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from pipeline.core.errors import PluginError, SourceError
from pipeline.core.params import Names
from pipeline.core.paths import to_path
from pipeline.core.records import Texts
from pipeline.datasets.manifest import LABEL_SEPARATOR
from pipeline.datasets.tables import read_rows
from pipeline.features.extractors import TextEncoder

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    import torch

    from pipeline.core.paths import AnyPath

SLOT = "{}"
COLUMNS = ("class", "template", "text", "name", "label", "labels")


@dataclass(frozen=True, kw_only=True)
class Templates:
    """Section `extract-text`.

    Args:
        templates: sentences with {} for the name of a class; a table of whole sentences needs none.
    """

    templates: Names

    def __post_init__(self) -> None:
        wrong = [template for template in self.templates if template.count(SLOT) != 1]
        if wrong or len(set(self.templates)) < len(self.templates):
            raise ValueError(
                f"templates are {list(self.templates)}; "
                f"expected each once, with one {SLOT} for the class's name"
            )


@dataclass(frozen=True, kw_only=True)
class Prompts:
    """A sentence per template and class.

    Args:
        classes: sorted labels.
        templates: sentences with {}, or names of templates.
        sentences: template by template, and class by class within a template.
    """

    classes: tuple[str, ...]
    templates: tuple[str, ...]
    sentences: tuple[str, ...]


def read_prompts(path: AnyPath, settings: Templates) -> Prompts:
    """Read the prompts of a table, or make them from a manifest's labels.

    Args:
        path: a CSV file with class,template,text, or class,name, or label.
        settings: templates for tables without whole sentences.

    Raises:
        SourceError: the file is no such table, lacks a sentence, or has one sentence for two
            classes.

    Example:
        # drums.csv: class,name
        #            d1,snare drum
        settings = Templates(templates=("the sound of a {}",))
        read_prompts(Path("drums.csv"), settings).sentences  # ("the sound of a snare drum",)
    """
    path = to_path(path)
    rows = _read_rows(path)
    columns = rows[0].keys()
    if {"class", "template", "text"} <= columns:
        prompts = _gather_sentences(path, rows)
    elif "class" in columns:
        names = {row["class"]: row.get("name") or _name_of(row["class"]) for row in rows}
        prompts = _fill_templates(names, settings)
    elif "label" in columns:
        names = {label: _name_of(label) for label in _labels_of(rows)}
        prompts = _fill_templates(names, settings)
    else:
        raise SourceError(
            f"{path} has the columns {', '.join(columns)}; "
            "expected class,template,text, or class,name, or label"
        )
    _refuse_equal(path, prompts)
    return prompts


def _labels_of(rows: Iterable[Mapping[str, str]]) -> set[str]:
    """Return the labels of a manifest, also those of clips with several."""
    return {
        label
        for row in rows
        for label in (row["label"], *row.get("labels", "").split(LABEL_SEPARATOR))
        if label
    }


def embed_prompts(prompts: Prompts, plugin: Any, extractor: str, device: torch.device) -> Texts:
    """Embed every prompt by an extractor's text encoder.

    Args:
        prompts: the sentences.
        plugin: the extractor.
        extractor: its name.
        device: where the encoder runs.

    Raises:
        PluginError: the extractor reads no text.

    Example:
        texts = embed_prompts(prompts, plugins.build("extractor", "clap", params), "clap", device)
        texts.vectors  # float32 [templates, classes, D]
    """
    if not isinstance(plugin, TextEncoder):
        raise PluginError(f"the extractor {extractor} reads no text; name clap, clip or external")
    vectors, weights = plugin.embed_texts(prompts.sentences, device)
    return Texts(
        classes=prompts.classes,
        templates=prompts.templates,
        prompts=prompts.sentences,
        vectors=vectors.reshape(len(prompts.templates), len(prompts.classes), -1),
        extractor=extractor,
        params=json.loads(json.dumps(asdict(plugin))),  # type: ignore[call-overload]
        weights=weights,
    )


def _read_rows(path: Path) -> list[dict[str, str]]:
    if not path.is_file():
        raise SourceError(f"{path} does not exist; name a table of prompts, or a manifest")
    rows = [
        (line, {name: cell.strip() for name, cell in row.items() if name})
        for line, row in read_rows(path, "a table of prompts, or a manifest", COLUMNS)
    ]
    if not rows:
        raise SourceError(f"{path} has no row; expected one per class, or per class and template")
    for number, row in rows:
        empty = [name for name in ("class", "template", "text") if name in row and not row[name]]
        if empty:
            raise SourceError(
                f"{path}, line {number}: the {empty[0]} is empty; fill it in or remove the row"
            )
    return [row for _, row in rows]


def _gather_sentences(path: Path, rows: Iterable[Mapping[str, str]]) -> Prompts:
    """Return the prompts of a table of whole sentences, one per row."""
    texts: dict[tuple[str, str], str] = {}
    for row in rows:
        if texts.setdefault((row["template"], row["class"]), row["text"]) != row["text"]:
            raise SourceError(
                f"{path} has two texts of the class {row['class']!r} "
                f"and the template {row['template']!r}; keep one"
            )
    templates = tuple(dict.fromkeys(template for template, _ in texts))
    classes = tuple(sorted({name for _, name in texts}))
    wanted = [(template, name) for template in templates for name in classes]
    missing = [pair for pair in wanted if pair not in texts]
    if missing:
        template, name = missing[0]
        raise SourceError(
            f"{path} lacks {len(missing)} of {len(wanted)} texts, first that of the class "
            f"{name!r} and the template {template!r}; add them"
        )
    sentences = tuple(texts[pair] for pair in wanted)
    return Prompts(classes=classes, templates=templates, sentences=sentences)


def _fill_templates(names: Mapping[str, str], settings: Templates) -> Prompts:
    classes = tuple(sorted(names))
    sentences = tuple(
        template.replace(SLOT, names[name]) for template in settings.templates for name in classes
    )
    return Prompts(classes=classes, templates=settings.templates, sentences=sentences)


def _name_of(label: str) -> str:
    return label.replace("_", " ")


def _refuse_equal(path: Path, prompts: Prompts) -> None:
    """Refuse a template that has the same sentence for two classes."""
    count = len(prompts.classes)
    for number, template in enumerate(prompts.templates):
        class_of: dict[str, str] = {}
        sentences = prompts.sentences[number * count :][:count]
        for name, sentence in zip(prompts.classes, sentences, strict=True):
            if class_of.setdefault(sentence, name) != name:
                raise SourceError(
                    f"{path}: {class_of[sentence]!r} and {name!r} have the text {sentence!r} "
                    f"in the template {template!r}; give each class a text of its own"
                )
