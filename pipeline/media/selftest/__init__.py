"""Truth clips: flash and beep at a known time in a table of containers and codecs, and what decoders make of them.

Every frame carries its number as bars of light and dark, so that a decoder is held to the very frame and not only to a time stamp.
"""

from __future__ import annotations

from pipeline.media.selftest.cases import CASES, Case
from pipeline.media.selftest.check import (
    BEEP_WITHIN_S,
    ORDERS,
    Answer,
    Finding,
    check_beep,
    check_frames,
    examine,
    lost,
)
from pipeline.media.selftest.write import Truth, write

__all__ = [
    "BEEP_WITHIN_S",
    "CASES",
    "ORDERS",
    "Answer",
    "Case",
    "Finding",
    "Truth",
    "check_beep",
    "check_frames",
    "examine",
    "lost",
    "write",
]
