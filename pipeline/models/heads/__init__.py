"""Heads: modules from features to trained outputs, each output named by the modalities it sees."""

from __future__ import annotations

# Joins modalities in an output's name: "frame+logmel" sees both.
AND = "+"

# Kinds of outputs: logits of classes, or unit vectors in one space.
CLASSES, VECTORS = "classes", "vectors"


def modalities_of(output: str) -> tuple[str, ...]:
    """Return the modalities that an output sees.

    Args:
        output: its name, e.g. "frame+logmel".
    """
    return tuple(output.split(AND))
