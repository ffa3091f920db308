"""One phase of training as a LightningModule: what happens in a step and at a check.

Lightning brings devices, precision and processes. One of its epochs is the time between two
checks; ours are counted by :mod:`.data`.
"""

from __future__ import annotations

import hashlib
import math
import signal
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from lightning.pytorch import LightningModule
from torch.nn import functional as F

from rmtools.errors import RecipeError

from .data import Batches, Epochs, evenly, in_order, loader
from .log import LossSums
from .mean import RunningMean
from .schedule import rate_factor
from .turns import make_optimiser, set_modes, train_only

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor
    from torch.optim import Optimizer
    from torch.utils.data import DataLoader

    from rmtools.layouts.datasets import MapDataset

    from ..interface import Batch, Phase, RadioModel
    from ..recipe import Recipe
    from .log import Log
    from .schedule import Length, Progress

LOG_EVERY = 20
"""Steps that a row of the log is the mean of."""

TELL_EVERY_S = 30.0
"""Seconds after which something is said between two checks."""

ASK_EVERY = 10
"""Steps after which several processes agree on whether to stop."""


class StopTraining(Exception):  # noqa: N818 - it is no error
    """Leaves Lightning's loops after a step that was finished."""


@dataclass
class PhasePlan:
    """What a phase needs to run.

    Attributes
    ----------
    number, of
        Which phase it is, counted from 1.
    recipe, length
        How it goes.
    train, val
        The datasets; without `val` the latest weights count as the best.
    seed
        Of the training.
    check_maps
        Look at so many samples of the validation set; None for all.
    workers
        Processes that read.
    channels_last, compiled
        Whether to use that memory format, and torch.compile.
    time_limit_s
        After which the phase ends with a last check; None for no limit.
    save_every_s
        Least time between two writings of ``last.ckpt``.
    save_best, save_last
        Write the checkpoints; called with what they need.
    say
        Told how it goes.
    """

    number: int
    of: int
    recipe: Recipe
    length: Length
    train: MapDataset
    val: MapDataset | None
    seed: int
    save_best: Callable[[PhaseModule], None]
    save_last: Callable[[PhaseModule], None]
    say: Callable[[str], None]
    check_maps: int | None = None
    workers: int = 0
    channels_last: bool = False
    compiled: bool = False
    time_limit_s: float | None = None
    save_every_s: float = 120.0


class PhaseModule(LightningModule):
    """Trains the turns of one phase.

    Parameters
    ----------
    model
        Is trained in place.
    phase
        One of its phases.
    plan
        How.
    progress
        How far it is; kept up to date.
    log
        Where the losses go.
    resume
        State of a checkpoint to go on from.
    """

    def __init__(
        self,
        model: RadioModel,
        phase: Phase,
        plan: PhasePlan,
        progress: Progress,
        log: Log,
        resume: dict[str, Any] | None = None,
    ) -> None:
        super().__init__()
        self.automatic_optimization = False
        self.model, self.phase, self.plan, self.progress = model, phase, plan, progress
        self.turns = phase.turns
        self.parameters_of = [list(turn.parameters) for turn in self.turns]
        self.stop_asked = False
        self.score: float | None = None
        self._table, self._resume = log, resume
        every = (p for parameters in self.parameters_of for p in parameters)
        self.trained = list(dict.fromkeys(every))
        train_only(model, self.trained)
        self._losses = [
            torch.compile(turn.loss) if plan.compiled else turn.loss for turn in self.turns
        ]
        self._sums, self._checked = LossSums(), (0.0, 0)
        self._micro, self.loss = 0, float("nan")
        decay = plan.recipe.ema
        self.mean = None if decay is None else RunningMean(self.trained, decay)

    # -- preparation -------------------------------------------------------------------------

    def configure_optimizers(self) -> list[Optimizer]:
        """One for each turn."""
        pairs = zip(self.turns, self.parameters_of, strict=True)
        return [make_optimiser(t.optimiser or self.plan.recipe.optimiser, p) for t, p in pairs]

    def on_train_start(self) -> None:
        """Go on from where it was, and listen to Ctrl-C from here on."""
        if self.mean is not None:
            self.mean.values = [value.to(self.device) for value in self.mean.values]
        if self._resume and self._resume["optimisers"]:
            saved = self._resume["optimisers"]
            for optimiser, state in zip(self.trainer.optimizers, saved, strict=True):
                optimiser.load_state_dict(state)
            if self.mean is not None:
                self.mean.load(self._resume["mean"])
            self.trainer.precision_plugin.load_state_dict(self._resume["precision"])
            self._resume = None
        self._began = self._said = self._saved = time.monotonic()
        self._before = self.progress.seconds
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGINT, self._on_signal)  # Lightning puts the old ones back
            signal.signal(signal.SIGTERM, self._on_signal)

    def _on_signal(self, *_: object) -> None:
        if self.stop_asked:
            raise KeyboardInterrupt
        self.stop_asked = True

    def on_train_epoch_start(self) -> None:
        """Put what is not trained in this phase into evaluation mode."""
        set_modes(self.model, {id(p) for p in self.trained})

    def train_dataloader(self) -> DataLoader[Any]:
        """The batches up to the next check."""
        plan, step = self.plan, self.progress.step
        stop = min(
            plan.length.steps, (step // plan.length.check_every + 1) * plan.length.check_every
        )
        accumulate = plan.length.accumulate
        batches = Batches(
            len(plan.train),
            plan.length,
            step * accumulate,
            stop * accumulate,
            (plan.seed, self.phase.name),
            self.trainer.global_rank,
            self.trainer.world_size,
        )
        return loader(
            Epochs(plan.train), batches, workers=plan.workers, pin=self.device.type == "cuda"
        )

    def val_dataloader(self) -> Any:
        """The validation set in its order, or nothing."""
        plan = self.plan
        if plan.val is None:
            return []
        samples = evenly(len(plan.val), plan.check_maps)
        size = max(1, plan.length.batch // self.trainer.world_size)
        batches = in_order(samples, size, self.trainer.global_rank, self.trainer.world_size)
        return loader(plan.val, batches, pin=self.device.type == "cuda")

    def on_after_batch_transfer(self, batch: Batch, dataloader_idx: int) -> Batch:  # noqa: ARG002 - Lightning's signature
        """Make the floats of the convention on the device."""
        ready = self.plan.train.finish(batch)
        if self.plan.channels_last and ready["input"].dim() == 4:
            ready["input"] = ready["input"].contiguous(memory_format=torch.channels_last)
        return ready

    # -- training ----------------------------------------------------------------------------

    def training_step(self, batch: Batch, batch_idx: int) -> None:  # noqa: ARG002 - Lightning's signature
        """Take every turn; every so many batches also the step of its optimiser."""
        recipe, progress = self.plan.recipe, self.progress
        self._micro = (self._micro + 1) % recipe.accumulate
        last = self._micro == 0
        torch.manual_seed(self._seed("step", progress.step, self._micro, self.trainer.global_rank))
        rate = self._rate()
        several = len(self.turns) > 1
        for number, (turn, optimiser) in enumerate(zip(self.turns, self._wrapped(), strict=True)):
            if several:
                train_only(self.model, self.parameters_of[number])
            losses = self._losses[number](batch)
            self.manual_backward(losses["loss"] / recipe.accumulate)
            if last:
                base = (turn.optimiser or recipe.optimiser).learning_rate
                for group in optimiser.param_groups:
                    group["lr"] = base * rate
                optimiser.step()
                optimiser.zero_grad(set_to_none=True)
            self._sums.add(losses, f"{turn.name} " if several else "", progress.step + 1)
        self._sums.batches += 1
        if last:
            progress.step += 1
            progress.seconds = self._before + time.monotonic() - self._began
            if self.mean is not None:
                self.mean.update()
            self._after_step(rate)

    def on_before_optimizer_step(self, optimizer: Optimizer) -> None:
        """Limit the gradient, once it is in its own scale again."""
        if self.plan.recipe.clip is not None:
            parameters = [p for group in optimizer.param_groups for p in group["params"]]
            torch.nn.utils.clip_grad_norm_(parameters, self.plan.recipe.clip)

    def _after_step(self, rate: float) -> None:
        plan, step = self.plan, self.progress.step
        due = step % plan.length.check_every == 0 or step == plan.length.steps
        if step % LOG_EVERY == 0 or due:
            self._log_losses(rate)
        if due or (self.trainer.world_size > 1 and step % ASK_EVERY):
            return
        stop, late = self._asked()
        if stop:
            self._log_losses(rate)
            self._table.close()
            plan.save_last(self)
            raise StopTraining
        if late:
            self.progress.ended = "time"
            self.trainer.should_stop = True  # after a last check
        now = time.monotonic()
        if now - self._said > TELL_EVERY_S:
            self._tell("")
        if now - self._saved > max(plan.save_every_s, 1.0):
            self._save_last()

    def _log_losses(self, rate: float) -> None:
        sums, progress = self._sums, self.progress
        if not sums.batches or sums.bad_step is None:
            return
        bad = -float(self.trainer.strategy.reduce(-sums.bad_step, reduce_op="max"))
        if bad < float("inf"):
            raise RecipeError(
                f"the loss is not a finite number any more in step {bad:.0f} of the phase "
                f"{self.phase.name!r}.",
                where=type(self.model).__name__,
                remedy="Lower the rate (--set recipe.optimiser.learning_rate=...), limit the "
                "gradient (--set recipe.clip=1) or use --precision 32-true; what was saved before "
                "is still there.",
            )
        totals = self._sum(sums.batches, *(float(value) for value in sums.values.values()))
        means = dict(zip(sums.values, (total / totals[0] for total in totals[1:]), strict=True))
        self.loss = means.get("loss", next(iter(means.values())))
        base = self.plan.recipe.optimiser.learning_rate
        told = {
            "epoch": self.plan.length.epochs(progress.step),
            "seconds": progress.seconds,
            "learning_rate": base * rate,
        }
        self._table.add(progress.step, {**told, **means})
        self._sums = LossSums()

    # -- checks ------------------------------------------------------------------------------

    def on_validation_start(self) -> None:
        """Judge the running mean where there is one."""
        self._checked = (0.0, 0)
        if self.mean is not None:
            self.mean.swap()

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        """Sum up the score of the maps."""
        torch.manual_seed(self._seed("check", batch_idx, self.trainer.global_rank))
        maps = len(batch["target"])
        check = self.phase.check or self._squared_error
        total, count = self._checked
        self._checked = total + float(check(batch)) * maps, count + maps

    def _squared_error(self, batch: Batch) -> Tensor:
        return F.mse_loss(self.model.predict(batch).float(), batch["target"])

    def on_validation_epoch_end(self) -> None:
        """Keep the weights if they are the best so far."""
        total, count = self._sum(*self._checked)
        self.score = total / count
        if self.progress.judge(self.score, self.plan.recipe.schedule):
            self.plan.save_best(self)
        self._table.add(self.progress.step, {"check": self.score})

    def on_validation_end(self) -> None:
        """Go on with the weights themselves."""
        if self.mean is not None:
            self.mean.swap()

    def on_train_epoch_end(self) -> None:
        """After a check: save, and see whether the phase is over."""
        plan, progress = self.plan, self.progress
        if plan.val is None:
            progress.best_step = progress.step
            if self.mean is not None:
                self.mean.swap()
            plan.save_best(self)
            if self.mean is not None:
                self.mean.swap()
        stop, late = self._asked()
        patience = plan.recipe.patience
        if progress.step >= plan.length.steps:
            progress.ended = "length"
        elif late:
            progress.ended = "time"
        elif patience is not None and progress.waiting >= patience:
            progress.ended = "patience"
        self.trainer.should_stop = progress.ended is not None
        best = "" if self.score is None else f", check {self.score:.5g}"
        self._tell(best + (" (best)" if progress.best_step == progress.step and best else ""))
        self._table.write()
        if stop or progress.ended or time.monotonic() - self._saved >= plan.save_every_s:
            self._save_last()
        if stop:
            self._table.close()
            raise StopTraining

    def on_train_end(self) -> None:
        """Wait until the best weights are written."""
        self._table.close()
        self.trainer.strategy.barrier("best weights")

    # -- helpers -----------------------------------------------------------------------------

    def _save_last(self) -> None:
        self.plan.save_last(self)
        self._saved = time.monotonic()

    def resume_state(self) -> dict[str, Any]:
        """What to go on from, beside the weights."""
        return {
            "progress": dict(vars(self.progress)),
            "optimisers": [optimiser.state_dict() for optimiser in self.trainer.optimizers],
            "mean": [] if self.mean is None else self.mean.values,
            "precision": self.trainer.precision_plugin.state_dict(),
        }

    def _rate(self) -> float:
        length, step = self.plan.length, self.progress.step
        return rate_factor(
            self.plan.recipe.schedule,
            step,
            length.steps,
            int(length.epochs(step)),
            self.progress.reductions,
        )

    def _seed(self, *purpose: object) -> int:
        words = "\x1f".join(map(str, (self.plan.seed, self.phase.name, *purpose)))
        return int.from_bytes(hashlib.sha256(words.encode()).digest()[:7], "little")

    def _wrapped(self) -> list[Any]:
        found = self.optimizers()
        return found if isinstance(found, list) else [found]

    def _asked(self) -> tuple[bool, bool]:
        """Whether any process was asked to stop, and whether the time is over in any."""
        limit = self.plan.time_limit_s
        late = limit is not None and self.progress.seconds >= limit
        if self.trainer.world_size == 1:
            return self.stop_asked, late
        here = torch.tensor([float(self.stop_asked), float(late)], device=self.device)
        stop, late = (bool(v) for v in self.trainer.strategy.reduce(here, reduce_op="max"))
        return stop, late

    def _sum(self, *numbers: float) -> list[float]:
        """Sums over all processes."""
        if self.trainer.world_size == 1:
            return list(numbers)
        here = torch.tensor(numbers, device=self.device, dtype=torch.float64)
        return [float(v) for v in self.trainer.strategy.reduce(here, reduce_op="sum")]

    def _tell(self, more: str) -> None:
        plan, step, now = self.plan, self.progress.step, time.monotonic()
        which = (
            f"{self.phase.name} ({plan.number} of {plan.of})" if plan.of > 1 else self.phase.name
        )
        speed = self.progress.seconds / max(1, step)
        left = speed * (plan.length.steps - step) / 60.0
        loss = "" if math.isnan(self.loss) else f", loss {self.loss:.5g}"  # none measured yet
        plan.say(
            f"{which}: step {step:,} of {plan.length.steps:,}{loss}{more}, {left:.1f} min left"
        )
        self._said = now
