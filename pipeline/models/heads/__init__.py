"""Heads: modules from features to trained outputs, each output named by the modalities it uses."""

from __future__ import annotations

# Joins modalities in an output's name: "frame+logmel" uses both.
AND = "+"

# Kinds of outputs: logits of classes, or unit vectors in one space.
CLASSES, VECTORS = "classes", "vectors"


def modalities_of(output: str) -> tuple[str, ...]:
    """Return the modalities that an output uses.

    Args:
        output: its name, e.g. "frame+logmel".
    """
    return tuple(output.split(AND))
