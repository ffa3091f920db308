"""What happened while training: rows of ``metrics.csv`` and events for TensorBoard."""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import torch

from rmtools.files import write_text

from .record import METRICS_NAME, TENSORBOARD_NAME

if TYPE_CHECKING:
    from pathlib import Path

    from torch import Tensor

    from ..interface import Losses

_FIRST = ["phase", "step", "epoch", "seconds", "learning_rate", "check"]


@dataclass
class LossSums:
    """Loss terms since the last row of the log; on the device, so that nothing waits for them.

    Attributes
    ----------
    values
        Sums by name.
    batches
        How many were summed up.
    bad_step
        The first step with a loss that is not finite, else infinity.
    """

    values: dict[str, Tensor] = field(default_factory=dict)
    batches: int = 0
    bad_step: Tensor | None = None

    def add(self, losses: Losses, prefix: str, step: int) -> None:
        """Take in the losses of a turn."""
        for name, value in losses.items():
            key, now = prefix + name, value.detach().float()
            self.values[key] = self.values[key] + now if key in self.values else now
        bad = torch.where(losses["loss"].detach().isfinite(), torch.inf, float(step))
        self.bad_step = bad if self.bad_step is None else torch.minimum(self.bad_step, bad)


class Log:
    """The log of a training, in all its phases and after each resumption.

    Parameters
    ----------
    folder
        Of the training; None logs nothing (the other processes of several).
    phase, label
        Number and name of the phase.
    step
        What was logged after this step of this phase is forgotten: it will be done again.
    """

    def __init__(self, folder: Path | None, phase: int, label: str, step: int) -> None:
        self.phase, self.rows = phase, list[dict[str, Any]]()
        self.path = None if folder is None else folder / METRICS_NAME
        self._events: Any = None
        if folder is None or self.path is None:
            return
        if self.path.is_file():
            with self.path.open(newline="") as handle:
                for row in csv.DictReader(handle):
                    at = (int(row["phase"]), int(row["step"]))
                    if at <= (phase, step):
                        self.rows.append({key: text for key, text in row.items() if text})
        from torch.utils.tensorboard import SummaryWriter

        self._events = SummaryWriter(
            str(folder / TENSORBOARD_NAME / f"{phase} {label}"), purge_step=step + 1
        )

    def add(self, step: int, values: dict[str, float]) -> None:
        """Log the values of a step."""
        if self.path is None:
            return
        row = {"phase": self.phase, "step": step}
        if self.rows and {key: int(self.rows[-1][key]) for key in row} == row:
            self.rows[-1].update(values)
        else:
            self.rows.append({**row, **values})
        for name, value in values.items():
            if name not in ("seconds", "epoch"):
                self._events.add_scalar(name, value, step)

    def write(self) -> None:
        """Bring the file up to date."""
        if self.path is None:
            return
        names = dict.fromkeys([*_FIRST, *(name for row in self.rows for name in row)])
        text = io.StringIO()
        table = csv.DictWriter(text, list(names), lineterminator="\n")
        table.writeheader()
        table.writerows({key: _short(value) for key, value in row.items()} for row in self.rows)
        write_text(self.path, text.getvalue())
        self._events.flush()

    def close(self) -> None:
        """Write what is left and close the files."""
        self.write()
        if self._events is not None:
            self._events.close()


def _short(value: Any) -> Any:
    return f"{value:.7g}" if isinstance(value, float) else value
