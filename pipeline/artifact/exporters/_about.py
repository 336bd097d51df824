"""Texts from an artifact's attributes, for formats that describe the file."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pipeline.core.files import shorten_digest
from pipeline.core.hdf5 import DIGEST
from pipeline.core.records import NOT_STATED

if TYPE_CHECKING:
    from collections.abc import Mapping

Attributes = dict[str, Any]
# modality -> a noun for its rows
ROWS = {"frame": "frames", "logmel": "log-mels"}


def make_name(about: Attributes) -> str:
    """Return a unique name: method, instances per class, and the beginning of the digest.

    Args:
        about: the artifact's attributes.
    """
    return f"{about.get('method', 'set')}-ipc{about['ipc']}-{shorten_digest(about[DIGEST])}"


def describe_set(about: Attributes) -> str:
    """Describe the set in one sentence.

    Args:
        about: the artifact's attributes.
    """
    rows = " and ".join(ROWS.get(modality, modality) for modality in sorted(about["normalisation"]))
    noun = "instance" if about["ipc"] == 1 else "instances"
    pieces = max(high * wide for high, wide in about["formation"].values())
    grid = f", each a grid of {pieces} training instances" if pieces > 1 else ""
    return (
        f"A synthetic set of {rows}: {about['ipc']} stored {noun} of each of "
        f"{len(about['classes'])} classes{grid}, "
        f"made by {about.get('method', 'an unnamed method')} to train classifiers with."
    )


def join_statements(about: Attributes, name: str) -> str:
    """Join the statements of all sources, each once; "" if there is none.

    Args:
        about: the artifact's attributes.
        name: the key of the statement, `licence` or `citation`.
    """
    statements = [
        str(source.get(name, NOT_STATED))
        for source in about.get("sources", [])
        if isinstance(source, dict)
    ]
    return "; ".join(dict.fromkeys(text for text in statements if text != NOT_STATED))


def format_markdown(value: Any) -> str:
    """Format a list or a mapping as a list of Markdown, other values as text.

    Args:
        value: parsed JSON.
    """
    if isinstance(value, dict):
        return "\n".join(f"- {key}: {item}" for key, item in value.items())
    return "\n".join(f"- {item}" for item in value) if isinstance(value, list) else str(value)


def drop_empty(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the entries that have a value.

    Args:
        values: None, "", [] and {} are left out.
    """
    return {key: value for key, value in values.items() if value not in (None, "", [], {})}
