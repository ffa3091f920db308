"""Training a model: phase after phase, each from the best weights of the one before."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import torch

from rmtools.errors import RecipeError
from rmtools.files import write_json

from ..interface import count_parameters
from .checkpoint import load_checkpoint, save_checkpoint
from .data import default_workers, in_order, loader
from .log import Log
from .machine import Machine, channels_last, explained, quiet, trainer
from .prepare import Training, prepare
from .record import (
    BEST_NAME,
    LAST_NAME,
    SUMMARY_NAME,
    CheckpointInfo,
    PhaseResult,
    Setup,
    TrainingSummary,
)
from .schedule import Progress, length

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from lightning.pytorch import Trainer

    from rmtools.layouts.datasets import MapDataset

    from ..interface import Batch
    from .module import PhaseModule, PhasePlan

__all__ = ["Machine", "Stopped", "Training", "TrainingResult", "train"]


@dataclass(frozen=True)
class TrainingResult:
    """A finished training.

    Attributes
    ----------
    folder
        Where everything is; ``checkpoint`` is its ``best.ckpt``.
    summary
        What stands in ``training.json``.
    main
        False in the further processes of several devices, which have nothing to say.
    """

    folder: Path
    summary: TrainingSummary
    main: bool = True

    @property
    def checkpoint(self) -> Path:
        """The best weights."""
        return self.folder / BEST_NAME


class Stopped(KeyboardInterrupt):
    """The training was stopped by Ctrl-C or SIGTERM, after the step was finished and saved."""


def train(
    asked: Training,
    out: Path | str,
    machine: Machine | None = None,
    *,
    resume: bool = False,
    say: Callable[[str], None] = lambda _: None,
) -> TrainingResult:
    """Train a model.

    Parameters
    ----------
    asked
        What is to be trained.
    out
        Folder to make: ``best.ckpt``, ``last.ckpt``, ``training.json``, ``metrics.csv`` and
        ``tensorboard/``.
    machine
        Where and how.
    resume
        Go on where a training in `out` was stopped; start if there is none.
    say
        Told how it goes, in lines.

    Returns
    -------
    TrainingResult
        The best weights are in its ``checkpoint``.

    Raises
    ------
    Stopped
        By Ctrl-C or SIGTERM; ``resume`` goes on with the next step.
    RecipeError
        Options do not fit, there is a training in `out` already, the training to be resumed is
        another one, or the loss is not finite any more.
    StorageError
        The disk is full, or memory does not suffice.
    """
    from lightning.pytorch.utilities import rank_zero_only

    folder, machine = Path(out), machine or Machine()
    main = rank_zero_only.rank == 0  # type: ignore[attr-defined]  # Lightning sets it
    run = _Run(folder, machine, say if main else lambda _: None, main=main)
    with quiet():
        return run.carry_out(asked, resume=resume)


class _Run:
    """One training; `main` is False in the further processes of several devices."""

    def __init__(
        self, folder: Path, machine: Machine, say: Callable[[str], None], *, main: bool
    ) -> None:
        self.folder, self.machine, self.say, self.main = folder, machine, say, main
        self.notes: list[str] = []
        self.precision: list[str] = []
        self.results: list[PhaseResult] = []
        self.began = time.monotonic()
        self.before = 0.0
        self.score: float | None = None

    def carry_out(self, asked: Training, *, resume: bool) -> TrainingResult:
        """See :func:`train`."""
        last, saved = self.folder / LAST_NAME, None
        if resume and last.is_file():
            saved = load_checkpoint(last)
        elif resume:
            self.say(f"nothing to resume in {self.folder}: starting")
        elif self.main and any((self.folder / n).exists() for n in (LAST_NAME, BEST_NAME)):
            raise RecipeError(
                "there is a training in it already.",
                where=self.folder,
                remedy="Go on with it by --resume, or choose another --out.",
            )
        cache = (self.machine.cache or self.folder.parent) if self.machine.use_cache else None
        self.ready = ready = prepare(
            asked, cache=cache, say=self.say, audit=self.main, devices=self.machine.devices
        )
        self._note(*ready.notes)
        first, progress, state = 0, Progress(), None
        if saved is not None:
            _check_same(saved.info.setup, ready.setup, self.folder)
            saved.load_into(ready.model)
            state = saved.resume
            first, progress = saved.info.phase - 1, Progress(**state["progress"])
            self.results = [PhaseResult(**result) for result in state["results"]]
            self.notes, self.before = list(state["notes"]), float(state["seconds"])
            self.precision = list(state["precisions"])[:first]
            self.say(f"resuming after step {progress.step:,} of phase {saved.info.phase_name!r}")
        self._describe("running")
        if not ready.phases:
            return self._without_phases()
        if saved is None:
            ready.model.fit(self._batches(ready.train))
        for number in range(first, len(ready.phases)):
            self._phase(number, progress, state)
            progress, state = Progress(), None
        summary = self._describe("finished")
        return TrainingResult(self.folder, summary, self.main)

    # -- phases ------------------------------------------------------------------------------

    def _phase(self, number: int, progress: Progress, state: dict[str, Any] | None) -> None:
        """Train one phase, and leave the model with its best weights."""
        from .module import PhaseModule, PhasePlan

        ready, machine = self.ready, self.machine
        phase, recipe = ready.phases[number], ready.setup.phases[number]
        plan = PhasePlan(
            number=number + 1,
            of=len(ready.phases),
            recipe=recipe,
            length=length(recipe, len(ready.train), machine.devices),
            train=ready.train,
            val=ready.val,
            seed=ready.setup.seed,
            save_best=self._save_best,
            save_last=self._save_last,
            say=self.say,
            check_maps=ready.setup.check_maps,
            compiled=machine.compiled,
            time_limit_s=self._share(number),
            save_every_s=machine.save_minutes * 60.0,
        )
        if number and state is None:
            self._save_start(plan, phase.name)
        made = trainer(
            machine, recipe, self.folder, validates=plan.val is not None, note=self._note
        )
        self.precision.append(str(made.precision))
        self._describe("running")
        device = made.strategy.root_device.type
        plan.channels_last = device == "cuda"
        cores = (os.cpu_count() or 1) // machine.devices
        default = default_workers(device, len(ready.train), cores)
        plan.workers = default if machine.workers is None else machine.workers
        asked = [p.requires_grad for p in ready.model.parameters()]
        log = Log(self.folder if self.main else None, number + 1, phase.name, progress.step)
        module = PhaseModule(ready.model, phase, plan, progress, log, state)
        if plan.channels_last:
            channels_last(ready.model)
        if progress.ended is None:
            self._fit(made, module)
        for parameter, flag in zip(ready.model.parameters(), asked, strict=True):
            parameter.requires_grad_(flag)
        self._take_best(number + 1)
        self.results.append(
            PhaseResult(
                name=phase.name,
                steps=progress.step,
                of=plan.length.steps,
                epochs=plan.length.epochs(progress.step),
                score=progress.best_score,
                best_step=progress.best_step,
                ended=progress.ended or "length",
                seconds=progress.seconds,
            )
        )

    def _fit(self, made: Trainer, module: PhaseModule) -> None:
        from .module import StopTraining

        try:
            made.fit(module)
        except StopTraining:
            self._describe("stopped")
            raise Stopped(
                f"stopped after step {module.progress.step:,} of {module.phase.name!r}; the same "
                "command with --resume goes on from here."
            ) from None
        except (RuntimeError, MemoryError) as error:
            known = explained(error)
            if known is None:
                raise
            raise known from error
        except SystemExit as error:  # Lightning's answer to a second Ctrl-C
            raise KeyboardInterrupt from error

    def _take_best(self, phase: int) -> None:
        best = load_checkpoint(self.folder / BEST_NAME)
        if best.info.phase == phase:
            best.load_into(self.ready.model)

    def _share(self, number: int) -> float | None:
        """Seconds for a phase: its part, by steps, of what is left of the limit."""
        if self.machine.limit_minutes is None:
            return None
        left = self.machine.limit_minutes * 60.0 - sum(r.seconds for r in self.results)
        samples, devices = len(self.ready.train), self.machine.devices
        steps = [length(r, samples, devices).steps for r in self.ready.setup.phases[number:]]
        return max(0.0, left) * steps[0] / sum(steps)

    # -- files -------------------------------------------------------------------------------

    def _info(
        self, phase: int, name: str, progress: Progress, score: float | None
    ) -> CheckpointInfo:
        from rmtools import __version__

        return CheckpointInfo(
            rmtools_version=__version__,
            torch_version=torch.__version__,
            setup=self.ready.setup,
            phase=phase,
            phase_name=name,
            step=progress.step,
            score=score,
        )

    def _save_best(self, module: PhaseModule) -> None:
        if self.main:
            info = self._info(
                module.plan.number, module.phase.name, module.progress, module.progress.best_score
            )
            save_checkpoint(self.folder / BEST_NAME, info, self.ready.model.state_dict())

    def _save_last(self, module: PhaseModule) -> None:
        if not self.main:
            return
        info = self._info(module.plan.number, module.phase.name, module.progress, module.score)
        resume = {**module.resume_state(), **self._history()}
        save_checkpoint(self.folder / LAST_NAME, info, self.ready.model.state_dict(), resume)

    def _save_start(self, plan: PhasePlan, name: str) -> None:
        """Before a later phase: its best weights will take the place of those it starts from."""
        if self.main:
            info = self._info(plan.number, name, Progress(), None)
            resume = {"progress": dict(vars(Progress())), "optimisers": [], **self._history()}
            save_checkpoint(self.folder / LAST_NAME, info, self.ready.model.state_dict(), resume)

    def _history(self) -> dict[str, Any]:
        return {
            "results": [result.model_dump(mode="json") for result in self.results],
            "precisions": self.precision,
            "notes": self.notes,
            "seconds": self._seconds(),
        }

    def _seconds(self) -> float:
        return self.before + time.monotonic() - self.began

    def _note(self, *notes: str) -> None:
        for note in notes:
            if note not in self.notes:
                self.notes.append(note)
                self.say(note)

    def _describe(self, status: Literal["running", "stopped", "finished"]) -> TrainingSummary:
        from rmtools import __version__

        machine = self.machine
        summary = TrainingSummary(
            rmtools_version=__version__,
            torch_version=torch.__version__,
            setup=self.ready.setup,
            title=self.ready.model.title,
            parameters=count_parameters(self.ready.model),
            status=status,
            phases=self.results,
            score=self.score if not self.results else self.results[-1].score,
            device=torch.cuda.get_device_name() if machine.on_gpu else "cpu",
            devices=machine.devices,
            precision=self.precision,
            seconds=self._seconds(),
            notes=self.notes,
        )
        if self.main:
            write_json(self.folder / SUMMARY_NAME, summary.model_dump(mode="json"))
        return summary

    # -- models without phases ---------------------------------------------------------------

    def _without_phases(self) -> TrainingResult:
        """Fit, and measure what comes of it."""
        model, val = self.ready.model, self.ready.val
        model.fit(self._batches(self.ready.train))
        if val is not None:
            total, count = 0.0, 0
            model.eval()
            with torch.no_grad():
                for batch in self._batches(val):
                    error = (model.predict(batch).float() - batch["target"]) ** 2
                    total, count = total + float(error.mean()) * len(error), count + len(error)
            self.score = total / count
        if self.main:
            info = self._info(0, "fit", Progress(), self.score)
            save_checkpoint(self.folder / BEST_NAME, info, model.state_dict())
        return TrainingResult(self.folder, self._describe("finished"), self.main)

    def _batches(self, data: MapDataset) -> Iterator[Batch]:
        """Every sample once, in order."""
        for raw in loader(data, in_order(range(len(data)), 16)):
            yield data.finish(raw)


def _check_same(before: Setup, now: Setup, folder: Path) -> None:
    """Refuse to resume a training as another one."""
    old, new = before.model_dump(mode="json"), now.model_dump(mode="json")
    if changed := [key for key, value in new.items() if old[key] != value]:
        listed = "; ".join(f"{key}: {_brief(old[key])} -> {_brief(new[key])}" for key in changed)
        raise RecipeError(
            f"the training in it is another one ({listed}).",
            where=folder,
            remedy="Resume it with the options it was started with, or choose another --out.",
        )


def _brief(value: Any) -> str:
    text = str(value)
    return text if len(text) <= 80 else f"{text[:77]}..."
