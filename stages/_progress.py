"""Progress of long work: a bar on a terminal, a line every half minute elsewhere; always on stderr."""

from __future__ import annotations

import sys
import time

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

EVERY_S = 30.0


class ProgressReporter:
    """Called with (done, total, **figures) as work goes on; quiet, it says nothing.

    Work is a row of courses, each counted from 1, or from where it was left; rates and the time that is left are of the course on
    its way, of what was done here.
    """

    def __init__(self, stage: str, quiet: bool) -> None:
        self._stage, self._quiet = stage, quiet
        self._began = self._said = time.monotonic()
        self._first, self._last = 0, sys.maxsize
        self._bar: Progress | None = None

    def __call__(self, done: int, total: int, **figures: float | str) -> None:
        if self._quiet:
            return
        if done <= 1 or done < self._last:
            self._began, self._first = time.monotonic(), done
        self._last = done
        rate = (done - self._first) / max(time.monotonic() - self._began, 1e-3)
        # A stage that counts its own rates has said enough.
        rates = {} if any(name.endswith("/s") for name in figures) or not rate else {"/s": rate}
        said = [_format_figure(figure) for figure in {**figures, **rates}.items()]
        if sys.stderr.isatty():
            self._draw(done, total, "  ".join(said))
        else:
            left = [f"{(total - done) / rate:.0f} s left"] if rate else []
            self._say("  ".join([f"{self._stage}: {done}/{total}", *said, *left]))

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

    def _say(self, line: str) -> None:
        if time.monotonic() - self._said >= EVERY_S:
            self._said = time.monotonic()
            print(line, file=sys.stderr, flush=True)


def _format_figure(figure: tuple[str, float | str]) -> str:
    """A figure beside its name; a rate's unit stands behind it."""
    name, value = figure
    if isinstance(value, str):
        return f"{name} {value}"
    return (
        f"{value:.3g}{' ' * (name != '/s')}{name}" if name.endswith("/s") else f"{name} {value:.4g}"
    )
