"""Progress of long work on stderr: a bar on a terminal, a line every half minute elsewhere."""

from __future__ import annotations

import sys
import time

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

EVERY_S = 30.0


class ProgressReporter:
    """Show progress; called with (done, total, **figures) as work goes on.

    Work may be several runs in a row, each counted from 1, or from the step where it resumes.
    Rates and the remaining time are of the present run, from the steps of this process.

    Args:
        stage: shown before the numbers.
        quiet: show nothing.
    """

    def __init__(self, stage: str, quiet: bool) -> None:
        self._stage, self._quiet = stage, quiet
        self._began = self._printed_at = time.monotonic()
        self._first, self._last = 0, sys.maxsize
        self._bar: Progress | None = None

    def __call__(self, done: int, total: int, **figures: float | str) -> None:
        if self._quiet:
            return
        if done <= 1 or done < self._last:
            self._began, self._first = time.monotonic(), done
        self._last = done
        rate = (done - self._first) / max(time.monotonic() - self._began, 1e-3)
        # No second rate for a stage that reports its own.
        rates = {} if any(name.endswith("/s") for name in figures) or not rate else {"/s": rate}
        texts = [_format_figure(figure) for figure in {**figures, **rates}.items()]
        if sys.stderr.isatty():
            self._draw(done, total, "  ".join(texts))
        else:
            left = [f"{(total - done) / rate:.0f} s left"] if rate else []
            self._print("  ".join([f"{self._stage}: {done}/{total}", *texts, *left]))

    def close(self) -> None:
        """Take the bar off the terminal."""
        if self._bar is not None:
            self._bar.stop()
            self._bar = None

    def _draw(self, done: int, total: int, text: str) -> None:
        if self._bar is None:
            columns = (
                TextColumn("{task.description}"),
                BarColumn(bar_width=8),
                MofNCompleteColumn(),
                TextColumn("{task.fields[text]}"),
                TimeRemainingColumn(),
            )
            self._bar = Progress(*columns, console=Console(stderr=True), transient=True)
            self._bar.add_task(self._stage, total=total, text=text)
            self._bar.start()
        task = self._bar.tasks[0].id
        if done < self._bar.tasks[0].completed:
            self._bar.reset(task)
        self._bar.update(task, completed=done, total=total, text=text)

    def _print(self, line: str) -> None:
        if time.monotonic() - self._printed_at >= EVERY_S:
            self._printed_at = time.monotonic()
            print(line, file=sys.stderr, flush=True)


def _format_figure(figure: tuple[str, float | str]) -> str:
    """Format a figure with its name; a rate's name is its unit and comes last."""
    name, value = figure
    if isinstance(value, str):
        return f"{name} {value}"
    return (
        f"{value:.3g}{' ' * (name != '/s')}{name}" if name.endswith("/s") else f"{name} {value:.4g}"
    )
