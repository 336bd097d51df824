"""Numbers and names as the page and its siblings write them."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pipeline.report.read.scores import MeasurementKey, Summary

NUMBERS = ("median rank", "gallery")
VIEWS = {"av": "audio-visual", "a": "audio", "v": "visual"}


def scale_of(metric: str) -> int:
    """What a metric is multiplied with to be written: shares are written in percent."""
    return 1 if metric in NUMBERS else 100


def format_mean_std(metric: str, summary: Summary) -> str:
    """mean ± std; the mean alone where nothing varies, as with a count."""
    if summary.std == 0 and summary.low is None:
        return f"{scale_of(metric) * summary.mean:g}"
    return f"{scale_of(metric) * summary.mean:.1f} ± {scale_of(metric) * summary.std:.1f}"


def format_interval(metric: str, summary: Summary, between: str) -> str:
    """The two ends; nothing, if there is no interval."""
    if summary.low is None or summary.high is None:
        return ""
    return f"{scale_of(metric) * summary.low:.1f}{between}{scale_of(metric) * summary.high:.1f}"


def format_score(metric: str, summary: Summary) -> str:
    """mean ± std [low, high]"""
    ends = format_interval(metric, summary, ", ")
    return format_mean_std(metric, summary) + (f" [{ends}]" if ends else "")


def view_name(view: str) -> str:
    return VIEWS.get(view, view)


def measure_name(measure: MeasurementKey) -> str:
    """In words, without the task."""
    return f"protocol {measure.protocol}, network {measure.network}, head {measure.head}"


def format_count(number: float) -> str:
    """With thin gaps between thousands."""
    return f"{number:,}".replace(",", "\N{NARROW NO-BREAK SPACE}")


def format_duration(seconds: float) -> str:
    """Seconds as one looks at them."""
    if seconds < 100:
        return f"{seconds:.1f} s"
    return f"{seconds / 60:.1f} min" if seconds < 6000 else f"{seconds / 3600:.1f} h"


def format_difference(share: float) -> str:
    """A difference in percentage points."""
    return f"{100 * share:+.1f}".replace("-", "\N{MINUS SIGN}")
