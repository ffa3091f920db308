"""Weights of other people's networks, read from files."""

from __future__ import annotations

import pickle
from typing import TYPE_CHECKING, Any

import torch

from rmtools.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from torch import Tensor, nn


def read_weights(path: str | Path) -> dict[str, Tensor]:
    """Read a state dict that was saved by ``torch.save``.

    Nothing in the file is executed. A state dict below ``"state_dict"`` or ``"model"`` is found.

    Raises
    ------
    InputError
        There is no such file, or it holds something else.
    """
    try:
        found: Any = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError as error:
        raise InputError("there is no such file.", where=path) from error
    except (OSError, RuntimeError, EOFError, pickle.UnpicklingError) as error:
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
