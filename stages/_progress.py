"""Progress of long work: a bar on a terminal, a line every half minute elsewhere; always on stderr."""

from __future__ import annotations

import sys
import time

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

EVERY_S = 30.0


class Report:
    """Called with (done, total, **figures) as work goes on; quiet, it says nothing."""

    def __init__(self, stage: str, quiet: bool) -> None:
        self._stage, self._quiet = stage, quiet
        self._began = self._said = time.monotonic()
        self._bar: Progress | None = None

    def __call__(self, done: int, total: int, **figures: float) -> None:
        if self._quiet:
            return
        if done <= 1:
            self._began = time.monotonic()
        rate = max(done - 1, 0) / max(time.monotonic() - self._began, 1e-3)
        # A stage that counts its own rates has said enough.
        rates = {} if any(name.endswith("/s") for name in figures) or not rate else {"/s": rate}
        text = "  ".join(map(_told, {**figures, **rates}.items()))
        (self._draw if sys.stderr.isatty() else self._say)(done, total, text)

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

    def _say(self, done: int, total: int, text: str) -> None:
        if time.monotonic() - self._said >= EVERY_S:
            self._said = time.monotonic()
            left = f"  {(total - done) * (self._said - self._began) / (done - 1):.0f} s left" if done > 1 else ""
            print(f"{self._stage}: {done}/{total}  {text}{left}", file=sys.stderr, flush=True)


def _told(figure: tuple[str, float]) -> str:
    """A figure beside its name; a rate's unit stands behind it."""
    name, value = figure
    return f"{value:.3g}{' ' * (name != '/s')}{name}" if name.endswith("/s") else f"{name} {value:.4g}"
