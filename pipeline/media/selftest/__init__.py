"""Reference clips: write a flash and a beep at a known time, decode them, and compare.

A table lists the containers and codecs. Every frame carries its number as bars of light and dark,
so that a decoder must return the very frame and not only its time stamp.
"""

from __future__ import annotations

from pipeline.media.selftest.cases import CASES, ReferenceClip
from pipeline.media.selftest.check import (
    ORDERS,
    DecoderResult,
    StreamResult,
    check_beep,
    check_frames,
    examine,
    run_selftest,
)
from pipeline.media.selftest.write import GroundTruth, write

__all__ = [
    "CASES",
    "ORDERS",
    "DecoderResult",
    "GroundTruth",
    "ReferenceClip",
    "StreamResult",
    "check_beep",
    "check_frames",
    "examine",
    "run_selftest",
    "write",
]
