"""Where a training runs: devices, precision and processes, by Lightning, and without its talk."""

from __future__ import annotations

import logging
import warnings
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from rmtools.errors import MissingError, RecipeError, StorageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from lightning.pytorch import Trainer
    from torch import nn

    from rmtools.errors import RmtoolsError

    from ..recipe import Recipe

PRECISIONS = ("32-true", "bf16-mixed", "16-mixed")


@dataclass(frozen=True)
class Machine:
    """Where and how it is done: what changes the time, and of the result no more than rounding.

    Attributes
    ----------
    accelerator, devices
        As Lightning names them; more than one device divide every batch among them (DDP).
    precision
        Instead of the recipe's.
    workers
        Processes that read for each device; None to decide by the device and the data.
    compiled
        Whether to use torch.compile.
    cache
        Folder of packed caches; None for the folder that the training lies in.
    use_cache
        False reads the dataset as it is.
    limit_minutes
        Of all phases together, divided among them by their steps; a phase ends with a check.
    save_minutes
        Least time between two writings of ``last.ckpt``.
    """

    accelerator: str = "auto"
    devices: int = 1
    precision: str | None = None
    workers: int | None = None
    compiled: bool = False
    cache: Path | None = None
    use_cache: bool = True
    limit_minutes: float | None = None
    save_minutes: float = 2.0

    @property
    def on_gpu(self) -> bool:
        """Whether that is a GPU of CUDA."""
        wanted = self.accelerator in ("gpu", "cuda", "auto")
        return wanted and torch.cuda.is_available()


def trainer(
    machine: Machine, recipe: Recipe, folder: Path, *, validates: bool, note: Callable[[str], None]
) -> Trainer:
    """Make Lightning's trainer for a phase.

    Parameters
    ----------
    machine
        Where.
    recipe
        Its precision is used where the machine has it.
    folder
        Of the training.
    validates
        Whether there is a validation set.
    note
        Told what is done otherwise than the recipe says.

    Raises
    ------
    MissingError
        There are no such devices.
    RecipeError
        The precision that was asked for is not possible there.
    """
    from lightning.pytorch import Trainer

    try:
        return Trainer(
            accelerator=machine.accelerator,
            devices=machine.devices,
            strategy="ddp_find_unused_parameters_true" if machine.devices > 1 else "auto",
            precision=_precision(machine, recipe, note),  # type: ignore[arg-type]  # one of PRECISIONS
            max_epochs=-1,
            logger=False,
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
            num_sanity_val_steps=0,
            reload_dataloaders_every_n_epochs=1,
            limit_val_batches=None if validates else 0,
            use_distributed_sampler=False,
            inference_mode=False,
            benchmark=machine.on_gpu,
            default_root_dir=folder,
        )
    except (RuntimeError, ValueError) as error:  # what Lightning has against a machine
        raise MissingError(
            f"{machine.devices} devices of {machine.accelerator!r} cannot be used "
            f"({' '.join(str(error).split())}).",
            remedy="Give other --devices or another --accelerator.",
        ) from error


def _precision(machine: Machine, recipe: Recipe, note: Callable[[str], None]) -> str:
    precision = machine.precision or recipe.precision
    if precision not in PRECISIONS:
        raise RecipeError(f"precision {precision!r}.", remedy=f"One of {', '.join(PRECISIONS)}.")
    if not machine.on_gpu:
        if machine.precision == "16-mixed":
            raise RecipeError("16-mixed needs a GPU.", remedy="Use 32-true or bf16-mixed.")
        if machine.precision is None and precision != "32-true":
            note(f"{precision} is for GPUs: computing in 32-true")
            return "32-true"
    elif precision == "bf16-mixed" and not torch.cuda.is_bf16_supported(including_emulation=False):
        note("this GPU does not compute in bf16: computing in 16-mixed")
        return "16-mixed"
    return precision


def channels_last(model: nn.Module) -> None:
    """Keep the weights of convolutions in the order that tensor cores want."""
    for parameter in model.parameters():
        if parameter.dim() == 4:
            parameter.data = parameter.data.contiguous(memory_format=torch.channels_last)


@contextmanager
def quiet() -> Iterator[None]:
    """Keep Lightning's advice and advertising from the person's terminal."""
    from lightning.fabric.utilities.warnings import PossibleUserWarning

    loggers = [logging.getLogger(f"lightning.{part}") for part in ("pytorch", "fabric")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", category=PossibleUserWarning)
            warnings.filterwarnings("ignore", module="lightning")
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


def explained(error: BaseException) -> RmtoolsError | None:
    """What an error of torch means for the person; None for one that is a bug."""
    text, kind = str(error), type(error)
    if isinstance(error, (torch.OutOfMemoryError, MemoryError)) or "can't allocate memory" in text:
        return StorageError(
            "the memory does not suffice for this batch.",
            remedy="Halve it and take two for a step: --set recipe.batch=... --set "
            "recipe.accumulate=2, or use --precision bf16-mixed on a GPU.",
        )
    if kind.__module__.startswith(("torch._dynamo", "torch._inductor")):
        return MissingError(
            f"torch.compile cannot compile this model here ({text.splitlines()[0]}).",
            remedy="Leave out --compile.",
        )
    if "DataLoader worker" in text:
        return StorageError(
            f"a process that reads maps died ({text.splitlines()[0]}).",
            remedy="Memory or /dev/shm may be too small: give fewer --workers, or 0.",
        )
    return None
