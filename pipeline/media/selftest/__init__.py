"""Truth clips: flash and beep at a known time in a table of containers and codecs, and what decoders make of them.

Every frame carries its number as bars of light and dark, so that a decoder is held to the very frame and not only to a time stamp.
"""

from __future__ import annotations

from pipeline.media.selftest.cases import CASES, ReferenceClip
from pipeline.media.selftest.check import (
    BEEP_WITHIN_S,
    ORDERS,
    DecoderResult,
    StreamResult,
    check_beep,
    check_frames,
    examine,
    report_failure,
)
from pipeline.media.selftest.write import GroundTruth, write

__all__ = [
    "BEEP_WITHIN_S",
    "CASES",
    "ORDERS",
    "DecoderResult",
    "GroundTruth",
    "ReferenceClip",
    "StreamResult",
    "check_beep",
    "check_frames",
    "examine",
    "report_failure",
    "write",
]
