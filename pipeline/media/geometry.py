"""Geometry of pictures: from stored pixels to the upright picture, as FFmpeg shows it."""

from __future__ import annotations

import math
from contextlib import suppress
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import av
import numpy as np

# A pixel that is this many times wider than high, or higher than wide, is a mistake.
MAX_ASPECT = 10.0
# Degrees by which an angle may differ from a right one.
ANGLE_SLACK = 1.0
# One, in the fixed point numbers of a display matrix.
UNIT = 1 << 16


@dataclass(frozen=True, kw_only=True)
class PictureGeometry:
    """How a stream's stored pixels become a picture.

    Args:
        width: of a stored frame, in pixels.
        height: of a stored frame, in pixels.
        aspect: width of a stored pixel over its height (SAR).
        margins: pixels that the container cuts off at the left, right, top and bottom.
    """

    width: int
    height: int
    aspect: float
    margins: tuple[int, int, int, int]

    def straighten(
        self, rgb: np.ndarray, matrix: np.ndarray | None = None
    ) -> tuple[np.ndarray, float]:
        """Cut the margins off and turn a frame upright; return it with the aspect of its pixels.

        Args:
            rgb: a stored frame, u8 [H, W, 3].
            matrix: its display matrix, int [9], see `DisplayMatrices`; None: it is upright.
        """
        left, right, top, bottom = self.margins
        high, wide = rgb.shape[:2]
        if left + right < wide and top + bottom < high:
            rgb = rgb[top : high - bottom, left : wide - right]
        if matrix is None:
            return rgb, self.aspect
        upright, transposed = _apply_display_matrix(rgb, matrix)
        return upright, 1 / self.aspect if transposed else self.aspect


def check_aspect(ratio: Any) -> float:
    """Return the aspect of a pixel, and 1 for one that is missing or absurd.

    Args:
        ratio: a number or None.
    """
    aspect = float(ratio or 1)
    return aspect if 1 / MAX_ASPECT <= aspect <= MAX_ASPECT else 1.0


class DisplayMatrices:
    """How decoded frames are turned and mirrored for display."""

    def __init__(self) -> None:
        self._known: dict[int, np.ndarray | None] = {}

    def read(self, frame: Any) -> np.ndarray | None:
        """Return the matrix of a frame, int [9], in 1 / 2 ** 16; None: it is upright.

        A frame whose side data was read stays in memory until the garbage collector finds it, so
        that is done once per angle.

        Args:
            frame: PyAV's video frame.
        """
        angle = frame.rotation
        if angle not in self._known:
            self._known[angle] = _read_display_matrix(frame)
        return self._known[angle]


def _read_display_matrix(frame: Any) -> np.ndarray | None:
    # PyAV does not know every kind of side data, and raises ValueError then.
    with suppress(ValueError):
        for data in frame.side_data:
            if data.type.name == "DISPLAYMATRIX":
                return np.frombuffer(data, np.int32).astype(np.int64)
        return None
    if not frame.rotation:
        return None
    angle = math.radians(frame.rotation)
    cos, sin = round(UNIT * math.cos(angle)), round(UNIT * math.sin(angle))
    return np.array([cos, -sin, 0, sin, cos, 0, 0, 0, UNIT << 14])


def _apply_display_matrix(rgb: np.ndarray, matrix: np.ndarray) -> tuple[np.ndarray, bool]:
    """Turn and mirror a frame as the command ffmpeg does; return it, and whether sides changed.

    Other than right angles turn it within its frame, on black.
    """
    angle = _angle_of(matrix)
    if abs(angle - 90) < ANGLE_SLACK:
        mirrored = matrix[3] > 0
        return (rgb.swapaxes(0, 1) if mirrored else np.rot90(rgb, -1)), True
    if abs(angle - 270) < ANGLE_SLACK:
        mirrored = matrix[3] < 0
        return (rgb[::-1, ::-1].swapaxes(0, 1) if mirrored else np.rot90(rgb)), True
    if abs(angle - 180) < ANGLE_SLACK:
        flipped = rgb[:, ::-1] if matrix[0] < 0 else rgb
        return (flipped[::-1] if matrix[4] < 0 else flipped), False
    if abs(angle) > ANGLE_SLACK:
        return _rotate(rgb, angle), False
    return (rgb[::-1] if matrix[4] < 0 else rgb), False


def _angle_of(matrix: np.ndarray) -> float:
    """Return the clockwise angle of a display matrix in degrees, from -0.9 to below 359.1."""
    first, second = math.hypot(matrix[0], matrix[3]), math.hypot(matrix[1], matrix[4])
    if not first or not second:
        return 0.0
    angle = round(math.degrees(math.atan2(matrix[1] / second, matrix[0] / first)))
    return angle - 360 * math.floor((angle + 0.9) / 360)


def _rotate(rgb: np.ndarray, angle: float) -> np.ndarray:
    graph = av.filter.Graph()
    source = graph.add_buffer(
        width=rgb.shape[1],
        height=rgb.shape[0],
        format=av.VideoFormat("rgb24"),
        time_base=Fraction(1, 25),
    )
    graph.link_nodes(
        source, graph.add("rotate", f"{angle}*PI/180"), graph.add("buffersink")
    ).configure()
    graph.push(av.VideoFrame.from_ndarray(np.ascontiguousarray(rgb), format="rgb24"))
    turned: np.ndarray = graph.pull().to_ndarray()
    return turned
