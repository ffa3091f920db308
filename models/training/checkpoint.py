"""Checkpoints: weights with everything that says what they are; read without running code.

A file of ``torch.save`` that holds text, numbers and tensors only, so that
``torch.load(weights_only=True)`` reads it. ``info`` is the JSON of :class:`CheckpointInfo`,
``weights`` the state of the model, ``resume``, if there, what a training goes on from.
"""

from __future__ import annotations

import pickle
import zipfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from pydantic import ValidationError

from rmtools.errors import InputError, LeakError, RecipeError, RmtoolsError, from_os_error
from rmtools.files import first_problem, replacing

from .. import MODELS, build
from ..pretrained import load_tensors
from .identity import identify
from .options import constructor_options
from .record import CheckpointInfo

if TYPE_CHECKING:
    from torch import Tensor

    from rmtools.layouts.maps import MapSource
    from rmtools.splits.manifest import SplitManifest

    from ..interface import RadioModel

_UNREADABLE = (
    *(OSError, RuntimeError, EOFError, KeyError, ValueError, TypeError, AttributeError),
    *(IndexError, MemoryError, pickle.UnpicklingError, zipfile.BadZipFile),
)
"""What torch raises at damaged and at foreign files."""

_REMEDY = "Give a best.ckpt or last.ckpt that `rmtools train` wrote."


@dataclass(frozen=True)
class Checkpoint:
    """A checkpoint in memory.

    Attributes
    ----------
    path
        Where it was read.
    info
        What it is.
    weights
        State of the model, by name.
    resume
        What a training goes on from; empty in ``best.ckpt``.
    """

    path: Path
    info: CheckpointInfo
    weights: dict[str, Tensor]
    resume: dict[str, Any] = field(default_factory=dict)

    def build(self, model: str | None = None) -> RadioModel:
        """Make the model with these weights, in evaluation mode.

        Parameters
        ----------
        model
            ``path/to/file.py:Class`` for a model of your own: a checkpoint cannot say which file
            to run.

        Raises
        ------
        RecipeError
            It is a model of your own and `model` was not given, or another one was.
        InputError
            The weights do not fit the model as it is now.
        """
        setup = self.info.setup
        options = constructor_options(setup.options)
        made = build(_which(setup.model, model, self.path), task=setup.task, **options)
        if len(made.convention.channels) != len(setup.convention.channels):
            raise InputError(
                f"the model takes {', '.join(made.convention.channels)}, the checkpoint was "
                f"trained with {', '.join(setup.convention.channels)}.",
                where=self.path,
                remedy="It was made with another version of the model; train it again.",
            )
        made.convention = setup.convention
        self.load_into(made)
        return made.eval()

    def load_into(self, model: RadioModel) -> None:
        """Give a model these weights.

        Raises
        ------
        InputError
            Names or shapes differ.
        """
        try:
            model.load_state_dict(self.weights)
        except RuntimeError as error:
            first = next(line.strip() for line in str(error).splitlines()[1:] if line.strip())
            raise InputError(
                f"its weights do not fit the model {model.title} ({first}).",
                where=self.path,
                remedy="Use the options and the version it was trained with, or train again.",
            ) from error


def _which(trained: str, given: str | None, path: Path) -> str:
    """Name of the model to build."""
    name = given or trained
    own = trained not in MODELS
    if own and given is None:
        raise RecipeError(
            f"the checkpoint is of a model of your own, {trained!r}.",
            where=path,
            remedy="Say where its file is: --model path/to/file.py:Class.",
        )
    if name.rpartition(":")[2] != trained.rpartition(":")[2]:
        raise RecipeError(f"the checkpoint is of {trained!r}, not of {name!r}.", where=path)
    return name


def save_checkpoint(
    path: Path,
    info: CheckpointInfo,
    weights: dict[str, Tensor],
    resume: dict[str, Any] | None = None,
) -> None:
    """Write a checkpoint atomically.

    Raises
    ------
    StorageError
        The disk is full or cannot be written; an older checkpoint there stays as it was.
    """
    content = {
        "info": info.model_dump_json(),
        "weights": {name: value.detach().contiguous() for name, value in weights.items()},
        **({"resume": resume} if resume else {}),
    }
    try:
        with replacing(path) as partial, partial.open("wb") as handle:
            torch.save(content, handle)
    except (OSError, RuntimeError) as error:
        raise _storage_error(error, path) from error


def _storage_error(error: BaseException, path: Path) -> BaseException:
    """Torch hides the system's error behind one of its own."""
    cause: BaseException | None = error
    while cause is not None and not isinstance(cause, OSError):
        cause = cause.__context__
    if cause is None:
        return error
    return from_os_error(OSError(cause.errno, cause.strerror, str(path)))


def load_checkpoint(path: Path | str) -> Checkpoint:
    """Read a checkpoint; nothing in it is run.

    Parameters
    ----------
    path
        The file, or the folder of a training, whose ``best.ckpt`` is then read.

    Raises
    ------
    InputError
        It is missing, damaged, or no checkpoint of rmtools.
    """
    from .record import BEST_NAME

    path = Path(path)
    path = path / BEST_NAME if path.is_dir() else path
    if not path.is_file():
        raise InputError("there is no such checkpoint.", where=path, remedy=_REMEDY)
    try:
        content = load_tensors(path)
        info = CheckpointInfo.model_validate_json(content["info"])
        weights = dict(content["weights"])
        if not all(isinstance(value, torch.Tensor) for value in weights.values()):
            raise TypeError("weights that are no tensors")
    except ValidationError as error:
        raise InputError(
            f"no checkpoint of this version ({first_problem(error)}).", where=path, remedy=_REMEDY
        ) from error
    except _UNREADABLE as error:
        raise InputError(
            f"not readable as a checkpoint ({type(error).__name__}).", where=path, remedy=_REMEDY
        ) from error
    return Checkpoint(path, info, weights, content.get("resume", {}))


def check_matches(
    checkpoint: Checkpoint,
    source: MapSource,
    kind: str,
    split: SplitManifest,
    subset: str | None = None,
    *,
    force: bool = False,
) -> list[str]:
    """Refuse to judge a model on what it was not meant to be judged on.

    Parameters
    ----------
    checkpoint
        The model.
    source, kind
        The maps it is to predict.
    split, subset
        The split, and the set of it.
    force
        Go on all the same.

    Returns
    -------
    list of str
        What is different, in words; empty when nothing is.

    Raises
    ------
    RecipeError
        It was trained on another dataset.
    LeakError
        It was trained with another split, or the set is one it was trained with: what it is
        judged on may be what it learnt.
    """
    setup = checkpoint.info.setup
    errors: list[RmtoolsError] = []
    found = identify(source, kind)
    remedy = "Use its own dataset and split, or go on all the same with --force."
    if found.content_sha256 != setup.dataset.content_sha256:
        trained = setup.dataset
        errors.append(
            RecipeError(
                f"it was trained on {trained.title!r} ({trained.kind}, {trained.scenes} scenes, "
                f"{trained.n} pixels, {trained.content_sha256[:12]}), this is {found.title!r} "
                f"({found.kind}, {found.scenes} scenes, {found.n} pixels, "
                f"{found.content_sha256[:12]}).",
                where=checkpoint.path,
                remedy=remedy,
            )
        )
    if split.sha256 != setup.split.sha256:
        errors.append(
            LeakError(
                f"it was trained with the split {setup.split.name!r} "
                f"({setup.split.sha256[:12]}), this is {split.name!r} ({split.sha256[:12]}): its "
                "sets may hold what the model learnt from.",
                where=checkpoint.path,
                remedy=remedy,
            )
        )
    elif subset is not None and subset in (setup.sets.train, setup.sets.val):
        errors.append(
            LeakError(
                f"the set {subset!r} was used to train it.",
                where=checkpoint.path,
                remedy="Choose a set that was not, or go on all the same with --force.",
            )
        )
    if errors and not force:
        raise errors[0]
    return [error.what for error in errors]
