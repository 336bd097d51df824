"""Prompts: what a text encoder is asked of each class, one sentence per template and class.

A table of prompts has the columns `class,template,text`, each sentence as it stands, or `class,name`, what each class is called; a
manifest will do as well, its labels are the classes. Names go into templates, where they stand for {}; without a name a class is
called by its label, with spaces for underscores.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from pipeline.core.csv import read_rows
from pipeline.core.errors import SourceError
from pipeline.core.params import Names
from pipeline.datasets.manifest import LABEL_SEPARATOR

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    import numpy as np
    import torch

SLOT = "{}"


@dataclass(frozen=True, kw_only=True)
class Templates:
    """Section `extract-text`: sentences with {} where a class's name goes; tables of whole sentences need none."""

    templates: Names

    def __post_init__(self) -> None:
        wrong = [template for template in self.templates if template.count(SLOT) != 1]
        if wrong or len(set(self.templates)) < len(self.templates):
            raise ValueError(
                f"templates are {list(self.templates)}; expected each once, with one {SLOT} for the class's name"
            )


@dataclass(frozen=True, kw_only=True)
class Prompts:
    """`sentences`: template by template, class by class."""

    classes: tuple[str, ...]
    templates: tuple[str, ...]
    sentences: tuple[str, ...]


@runtime_checkable
class TextEncoder(Protocol):
    """An extractor that reads text too."""

    def embed_texts(self, sentences: Sequence[str], device: torch.device) -> tuple[np.ndarray, str]:
        """Sentences -> float32 [n, D] and the digest of what made them."""
        ...


def read_prompts(path: Path, settings: Templates) -> Prompts:
    """The prompts of a table; SourceError for one that is none, lacks a sentence, or says the same of two classes."""
    rows = _read_rows(path)
    columns = rows[0].keys()
    if {"class", "template", "text"} <= columns:
        prompts = _gather_sentences(path, rows)
    elif "class" in columns:
        prompts = _fill_templates(
            {row["class"]: row.get("name") or _name_of(row["class"]) for row in rows}, settings
        )
    elif "label" in columns:
        labels = {
            label
            for row in rows
            for label in (row["label"], *row.get("labels", "").split(LABEL_SEPARATOR))
            if label
        }
        prompts = _fill_templates({label: _name_of(label) for label in labels}, settings)
    else:
        raise SourceError(
            f"{path} has the columns {', '.join(columns)}; expected class,template,text, or class,name, or label"
        )
    _refuse_equal(path, prompts)
    return prompts


def _read_rows(path: Path) -> list[dict[str, str]]:
    if not path.is_file():
        raise SourceError(f"{path} does not exist; name a table of prompts, or a manifest")
    rows = [
        (line, {name: cell.strip() for name, cell in row.items() if name})
        for line, row in read_rows(path, "a table of prompts, or a manifest")
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
    """A sentence per row; each class needs one of each template."""
    said: dict[tuple[str, str], str] = {}
    for row in rows:
        if said.setdefault((row["template"], row["class"]), row["text"]) != row["text"]:
            raise SourceError(
                f"{path} has two texts of the class {row['class']!r} and the template {row['template']!r}; keep one"
            )
    templates, classes = (
        tuple(dict.fromkeys(t for t, _ in said)),
        tuple(sorted({c for _, c in said})),
    )
    absent = [(t, c) for t in templates for c in classes if (t, c) not in said]
    if absent:
        template, name = absent[0]
        lacks = f"{path} lacks {len(absent)} of {len(templates) * len(classes)} texts"
        raise SourceError(
            f"{lacks}, first that of the class {name!r} and the template {template!r}; add them"
        )
    return Prompts(
        classes=classes,
        templates=templates,
        sentences=tuple(said[t, c] for t in templates for c in classes),
    )


def _fill_templates(names: Mapping[str, str], settings: Templates) -> Prompts:
    classes = tuple(sorted(names))
    sentences = tuple(
        template.replace(SLOT, names[name]) for template in settings.templates for name in classes
    )
    return Prompts(classes=classes, templates=settings.templates, sentences=sentences)


def _name_of(label: str) -> str:
    return label.replace("_", " ")


def _refuse_equal(path: Path, prompts: Prompts) -> None:
    count = len(prompts.classes)
    for number, template in enumerate(prompts.templates):
        own: dict[str, str] = {}
        for name, sentence in zip(
            prompts.classes, prompts.sentences[number * count :][:count], strict=True
        ):
            if own.setdefault(sentence, name) != name:
                same = f"{path}: {own[sentence]!r} and {name!r} have the text {sentence!r} in the template {template!r}"
                raise SourceError(f"{same}; give each class a text of its own")
