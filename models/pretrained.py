"""Weights of other people's networks, read from files."""

from __future__ import annotations

import pickle
import zipfile
from typing import TYPE_CHECKING, Any

import torch

from rmtools.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from torch import Tensor, nn


UNREADABLE = (
    *(OSError, RuntimeError, EOFError, ValueError, pickle.UnpicklingError, zipfile.BadZipFile),
)
"""What :func:`load_tensors` raises."""


def load_tensors(path: str | Path) -> Any:
    """What ``torch.save`` wrote, of plain values and tensors; nothing in it is run or unpacked.

    Raises
    ------
    ValueError
        Not an archive of ``torch.save``, or its members are packed, as ``torch.save`` never packs
        them: a few kilobytes could stand for more than fits into memory.
    OSError, RuntimeError, EOFError, pickle.UnpicklingError, zipfile.BadZipFile
        Damaged, or it holds something else.
    """
    if not zipfile.is_zipfile(path):
        with open(path, "rb"):  # noqa: PTH123 - a missing file is told as such
            raise ValueError("it is no archive of torch.save")
    with zipfile.ZipFile(path) as archive:
        if any(member.compress_type != zipfile.ZIP_STORED for member in archive.infolist()):
            raise ValueError("its members are packed")
    return torch.load(path, map_location="cpu", weights_only=True)


def read_weights(path: str | Path) -> dict[str, Tensor]:
    """Read a state dict that was saved by ``torch.save``.

    Nothing in the file is executed. A state dict below ``"state_dict"`` or ``"model"`` is found.

    Raises
    ------
    InputError
        There is no such file, or it holds something else.
    """
    try:
        found = load_tensors(path)
    except FileNotFoundError as error:
        raise InputError("there is no such file.", where=path) from error
    except UNREADABLE as error:
        raise InputError(f"this is no file of weights: {error}.", where=path) from error
    for key in ("state_dict", "model"):
        if isinstance(found, dict) and isinstance(found.get(key), dict):
            found = found[key]
    if not isinstance(found, dict) or not all(torch.is_tensor(value) for value in found.values()):
        raise InputError("this file holds no dict of tensors.", where=path)
    return found


def put_weights(module: nn.Module, weights: Mapping[str, Tensor], *, where: str | Path) -> None:
    """Put weights into a module: all that it has, of the right shapes; what is more is left.

    Raises
    ------
    InputError
        One is missing or has another shape.
    """
    own = module.state_dict()
    for name, tensor in own.items():
        if name not in weights:
            raise InputError(f"there are no weights for {name!r}.", where=where)
        if weights[name].shape != tensor.shape:
            shapes = f"{tuple(weights[name].shape)}, not {tuple(tensor.shape)}"
            raise InputError(f"the weights for {name!r} have the shape {shapes}.", where=where)
    module.load_state_dict({name: weights[name] for name in own})
