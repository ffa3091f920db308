"""Telling the person in front of the terminal how far the run is."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.progress import Progress as Bars
    from rich.progress import TaskID


class Progress:
    """One bar a stage on a terminal, one line a stage anywhere else; always on stderr.

    Use as a context manager around a run.
    """

    def __init__(self, *, quiet: bool = False) -> None:
        self._quiet = quiet
        self._bars: Bars | None = None
        self._task: TaskID | None = None
        self._label, self._total, self._before, self._began = "", 0, 0, 0.0

    def __enter__(self) -> Progress:
        if not self._quiet and sys.stderr.isatty():
            from rich.console import Console
            from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
            from rich.progress import Progress as RichProgress

            self._bars = RichProgress(
                TextColumn("{task.description:<14}"),
                BarColumn(),
                MofNCompleteColumn(),
                TimeRemainingColumn(),
                console=Console(stderr=True),
            )
            self._bars.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._bars is not None:
            self._bars.stop()

    def start(self, label: str, total: int, done: int) -> None:
        """A stage begins, `done` of its `total` units being finished already."""
        self._label, self._total, self._before = label, total, done
        self._began = time.monotonic()
        if self._bars is not None:
            self._task = self._bars.add_task(label, total=total, completed=done)

    def advance(self, units: int = 1) -> None:
        """One more unit is finished, or several."""
        if self._bars is not None and self._task is not None:
            self._bars.advance(self._task, units)

    def say(self, text: str) -> None:
        """Something that the person should know while it lasts."""
        if self._bars is not None:
            self._bars.console.print(text, highlight=False)
        elif not self._quiet:
            print(text, file=sys.stderr)  # noqa: T201 - this is the place that talks

    def finish(self, note: str = "") -> None:
        """The stage is complete; `note` says what is worth knowing about it."""
        if self._bars is not None and note:
            self._bars.console.print(f"{self._label}: {note}", highlight=False)
        if self._quiet or self._bars is not None:
            return
        made = self._total - self._before
        seconds = time.monotonic() - self._began
        what = f"{made} made in {seconds:.1f} s" if made else "up to date"
        line = f"{self._label:<14} {self._total:>5} units, {what}"
        print(f"{line}; {note}" if note else line, file=sys.stderr)  # noqa: T201 - this is the place that talks
