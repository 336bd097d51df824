"""Geometry: circles stay circles, and every display matrix is applied."""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING, Any

import av
import numpy as np
import pytest

from pipeline import media
from pipeline.media import FrameTrack, geometry
from tests.toys.decoding import clip_of

if TYPE_CHECKING:
    from pathlib import Path

FPS = 10
LEVELS = {(-1, -1): 220, (1, -1): 150, (-1, 1): 90, (1, 1): 30}
# Matrices (a, b, c, d) that send the point (x, y) to (a x + c y, b x + d y), y downwards.
UPRIGHT, TURNED = (
    ((1, 0, 0, 1), (-1, 0, 0, 1), (1, 0, 0, -1), (-1, 0, 0, -1)),
    (
        (0, 1, -1, 0),
        (0, -1, 1, 0),
        (0, 1, 1, 0),
        (0, -1, -1, 0),
    ),
)
ORDERS = [["decord", "pyav"], ["pyav"]]


def film(path: Path, rgb: np.ndarray, aspect: Fraction = Fraction(1), kind: str = "mp4") -> None:
    with av.open(str(path), "w", format=kind) as container:
        stream: Any = container.add_stream("libx264", rate=FPS, options={"threads": "1"})
        stream.height, stream.width, stream.pix_fmt = rgb.shape[0], rgb.shape[1], "yuv420p"
        stream.codec_context.sample_aspect_ratio = aspect
        for number in range(FPS):
            frame = av.VideoFrame.from_ndarray(rgb, format="rgb24")
            frame.pts, frame.time_base = number, Fraction(1, FPS)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


def set_matrix(path: Path, matrix: tuple[float, ...]) -> None:
    """Write (a, b, c, d) into the track header of an MP4."""
    content = bytearray(path.read_bytes())
    at = content.index(b"tkhd") + 44
    a, b, c, d = (round(value * (1 << 16)) for value in matrix)
    entries = (a, b, 0, c, d, 0, 0, 0, 1 << 30)
    content[at : at + 36] = b"".join(entry.to_bytes(4, "big", signed=True) for entry in entries)
    path.write_bytes(content)


def quarters(high: int, wide: int) -> np.ndarray:
    rgb = np.zeros((high, wide, 3), np.uint8)
    for (x, y), level in LEVELS.items():
        rows = slice(None, high // 2) if y < 0 else slice(high // 2, None)
        columns = slice(None, wide // 2) if x < 0 else slice(wide // 2, None)
        rgb[rows, columns] = level
    return rgb


def disc(high: int, wide: int, aspect: Fraction) -> np.ndarray:
    """A disc on display, in stored pixels of that aspect."""
    y, x = np.mgrid[:high, :wide].astype(float)
    inside = ((x - wide / 2) * float(aspect)) ** 2 + (y - high / 2) ** 2 < (0.35 * high) ** 2
    return np.repeat((40 + 180 * inside)[:, :, None], 3, 2).astype(np.uint8)


def read(path: Path, backends: list[str], crop: bool, width: int = 48, height: int = 48) -> Any:
    track = FrameTrack(width=width, height=height, crop=crop, offsets=(0.5,))
    (second,) = media.decode(clip_of(path), {"frame": track}, backends)
    assert second.readings["frame"].array is not None
    return second.readings["frame"].array[0].astype(float)


def elongation(picture: np.ndarray) -> float:
    """Standard deviation of the light along x over that along y."""
    light = np.clip(picture.mean(2) - 60, 0, None)
    y, x = np.mgrid[: light.shape[0], : light.shape[1]]
    weights = light / light.sum()
    variances = [(weights * (t - (weights * t).sum()) ** 2).sum() for t in (x, y)]
    return float(np.sqrt(variances[0] / variances[1]))


@pytest.mark.parametrize("backends", ORDERS)
@pytest.mark.parametrize("kind", ["mp4", "matroska"])
@pytest.mark.parametrize(
    "aspect", [Fraction(1), Fraction(4, 3), Fraction(8, 9), Fraction(64, 45), Fraction(1, 2)]
)
def test_a_disc_stays_round_whatever_the_shape_of_pixels(
    tmp_path: Path, aspect: Fraction, kind: str, backends: list[str]
) -> None:
    path = tmp_path / "clip"
    film(path, disc(120, round(160 / aspect / 2) * 2, aspect), aspect, kind)
    assert elongation(read(path, backends, crop=True)) == pytest.approx(1, abs=0.02)
    # A squash goes from the whole display, 4:3, to a square.
    assert elongation(read(path, backends, crop=False)) == pytest.approx(3 / 4, abs=0.02)


def test_an_absurd_shape_of_pixels_is_a_mistake(tmp_path: Path) -> None:
    film(tmp_path / "clip.mp4", disc(120, 120, Fraction(1)), Fraction(1, 200))
    assert elongation(read(tmp_path / "clip.mp4", ["pyav"], crop=True)) == pytest.approx(
        1, abs=0.02
    )


@pytest.mark.parametrize("backends", ORDERS)
@pytest.mark.parametrize("matrix", [*UPRIGHT, *TURNED])
def test_every_turn_and_mirror_is_applied(
    tmp_path: Path, matrix: tuple[int, ...], backends: list[str]
) -> None:
    path = tmp_path / "clip.mp4"
    film(path, quarters(64, 96))
    set_matrix(path, matrix)
    wide, high = (48, 32) if matrix in UPRIGHT else (32, 48)
    picture = read(path, backends, crop=True, width=wide, height=high)
    a, b, c, d = matrix
    for (x, y), level in LEVELS.items():
        shown_x, shown_y = a * x + c * y, b * x + d * y
        row, column = (
            (high // 4 if shown_y < 0 else 3 * high // 4),
            (wide // 4 if shown_x < 0 else 3 * wide // 4),
        )
        assert picture[row, column].mean() == pytest.approx(level, abs=6)


def test_the_shape_of_pixels_turns_with_the_picture(tmp_path: Path) -> None:
    path = tmp_path / "clip.mp4"
    film(path, disc(120, 120, Fraction(4, 3)), Fraction(4, 3))
    set_matrix(path, TURNED[0])
    assert elongation(read(path, ["pyav"], crop=True)) == pytest.approx(1, abs=0.02)


def test_an_odd_angle_turns_the_picture_in_its_frame(tmp_path: Path) -> None:
    path = tmp_path / "clip.mp4"
    rgb = np.full((64, 64, 3), 20, np.uint8)
    rgb[28:36] = 220  # a horizontal bar
    film(path, rgb)
    set_matrix(path, (0.5**0.5, 0.5**0.5, -(0.5**0.5), 0.5**0.5))  # 45 degrees clockwise
    picture = read(path, ["decord", "pyav"], crop=True, width=64, height=64).mean(2)
    assert picture[46, 46] > 150 and picture[18, 18] > 150 and picture[18, 46] < 60


def test_margins_of_a_container_are_cut_off(tmp_path: Path) -> None:
    path = tmp_path / "clip.mkv"
    rgb = np.full((48, 64, 3), 60, np.uint8)
    rgb[:, :16] = 220
    film(path, rgb, kind="matroska")
    # The element DisplayUnit makes room for PixelCropLeft.
    content = path.read_bytes()
    assert content.count(b"\x54\xb2\x81\x04") == 1
    path.write_bytes(content.replace(b"\x54\xb2\x81\x04", b"\x54\xcc\x81\x10"))
    for backends in ORDERS:
        assert read(path, backends, crop=False).max() < 80


def test_a_frame_without_a_matrix_is_upright() -> None:
    assert geometry.DisplayMatrices().read(av.VideoFrame(8, 8, "rgb24")) is None
    picture = geometry.PictureGeometry(width=8, height=8, aspect=2.0, margins=(0, 0, 0, 0))
    rgb = np.zeros((8, 8, 3), np.uint8)
    upright, aspect = picture.straighten(rgb)
    assert upright.shape == rgb.shape and aspect == 2.0
