"""Numbers and names as the page and the files beside it write them."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pipeline.report.read.scores import MeasurementKey, Summary

VIEWS = {"av": "audio-visual", "a": "audio", "v": "visual"}


def format_mean_std(summary: Summary) -> str:
    """Return "mean ± std"; the mean alone where nothing varies, as with a count.

    Args:
        summary: of a fraction, which is written in percent, or of a plain number.
    """
    mean, std = summary.scale * summary.mean, summary.scale * summary.std
    return f"{mean:g}" if std == 0 and summary.low is None else f"{mean:.1f} ± {std:.1f}"


def format_interval(summary: Summary) -> tuple[str, str] | None:
    """Return the two ends of the interval, None without one.

    Args:
        summary: of a fraction, which is written in percent, or of a plain number.
    """
    if summary.low is None or summary.high is None:
        return None
    return f"{summary.scale * summary.low:.1f}", f"{summary.scale * summary.high:.1f}"


def format_difference(fraction: float) -> str:
    """Return a difference in percentage points, with its sign.

    Args:
        fraction: difference of two fractions.
    """
    return format_number(100 * fraction, 1, "+")


def format_number(value: float, digits: int, sign: str = "-") -> str:
    """Return a number with a true minus sign.

    Args:
        value: the number.
        digits: after the point.
        sign: "+" for a sign in front of positive numbers, too.
    """
    return f"{value:{sign}.{digits}f}".replace("-", "\N{MINUS SIGN}")


def format_count(number: float) -> str:
    """Return a number with narrow spaces between thousands.

    Args:
        number: e.g. 12345.
    """
    return f"{number:,}".replace(",", "\N{NARROW NO-BREAK SPACE}")


def format_duration(seconds: float) -> str:
    """Return a time in seconds, minutes or hours.

    Args:
        seconds: the time.
    """
    if seconds < 100:
        return f"{seconds:.1f} s"
    return f"{seconds / 60:.1f} min" if seconds < 6000 else f"{seconds / 3600:.1f} h"


def measure_name(measure: MeasurementKey) -> str:
    """Return the names of a measurement, without the task.

    Args:
        measure: an item of evaluate.run.
    """
    return f"protocol {measure.protocol}, network {measure.network}, head {measure.head}"
