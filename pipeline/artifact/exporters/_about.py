"""What an artifact's attributes say of it, in words: for those that describe the file and do not change it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pipeline.core.files import shorten_digest
from pipeline.core.hdf5 import DIGEST
from pipeline.core.records import NOT_STATED

if TYPE_CHECKING:
    from collections.abc import Mapping

Attributes = dict[str, Any]
# modality -> what its rows are called
ROWS = {"frame": "frames", "logmel": "log-mels"}


def name_of(about: Attributes) -> str:
    """A name that no other set has: method, instances per class, and the beginning of the digest."""
    return f"{about.get('method', 'set')}-ipc{about['ipc']}-{shorten_digest(about[DIGEST])}"


def describe_set(about: Attributes) -> str:
    """What the set is."""
    what = " and ".join(ROWS.get(modality, modality) for modality in sorted(about["normalisation"]))
    stored = "instance" if about["ipc"] == 1 else "instances"
    pieces = max(rows * columns for rows, columns in about["formation"].values())
    each = f", each a grid of {pieces} training instances" if pieces > 1 else ""
    return (
        f"A synthetic set of {what}: {about['ipc']} stored {stored} of each of {len(about['classes'])} classes{each}, "
        f"made by {about.get('method', 'an unnamed method')} to train classifiers with."
    )


def join_statements(about: Attributes, name: str) -> str:
    """What the sources state as `licence` or `citation`, each once; nothing where none does."""
    stated = [
        str(source.get(name, NOT_STATED))
        for source in about.get("sources", [])
        if isinstance(source, dict)
    ]
    return "; ".join(dict.fromkeys(text for text in stated if text != NOT_STATED))


def format_list(value: Any) -> str:
    """Text as it is; a list or a mapping as lines of Markdown."""
    if isinstance(value, dict):
        return "\n".join(f"- {key}: {item}" for key, item in value.items())
    return "\n".join(f"- {item}" for item in value) if isinstance(value, list) else str(value)


def drop_empty(values: Mapping[str, Any]) -> dict[str, Any]:
    """Those values that there are."""
    return {key: value for key, value in values.items() if value not in (None, "", [], {})}
