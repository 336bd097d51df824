"""Heads: features per modality -> outputs that are trained, each named by the modalities that it sees."""

from __future__ import annotations

# Between the modalities in an output's name: "frame+logmel" sees both.
AND = "+"

# What a head's outputs are: logits of classes, or unit vectors in one space.
CLASSES, VECTORS = "classes", "vectors"


def modalities_of(output: str) -> tuple[str, ...]:
    """The modalities that the output of this name sees."""
    return tuple(output.split(AND))
