"""A toy step of a student with two teachers."""

from stages.contract.teachers import (
    LABEL,
    WIDTHS,
    toy_batch,
    toy_parts,
    toy_term,
    toy_terms,
    wave,
)

__all__ = ["LABEL", "WIDTHS", "toy_batch", "toy_parts", "toy_term", "toy_terms", "wave"]
