"""Who is trained in a turn, by which optimiser, and who is not."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from collections.abc import Iterable

    from torch import nn
    from torch.optim import Optimizer

    from ..recipe import Optimiser

_OPTIMISERS = {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW}


def make_optimiser(about: Optimiser, parameters: list[nn.Parameter]) -> Optimizer:
    """Make an optimiser of some parameters."""
    return _OPTIMISERS[about.kind](
        parameters,
        lr=about.learning_rate,
        betas=about.betas,
        weight_decay=about.weight_decay,
    )


def train_only(model: nn.Module, parameters: Iterable[nn.Parameter]) -> None:
    """Let gradients reach some parameters of a model alone."""
    trained = {id(p) for p in parameters}
    for parameter in model.parameters():
        parameter.requires_grad_(id(parameter) in trained)


def set_modes(module: nn.Module, trained: set[int], *, inherited: bool = True) -> None:
    """Put modules without any trained parameter into evaluation mode, the others into training.

    Modules without parameters, such as dropout, follow the module they are in. So statistics of
    what is frozen stay as they are.

    Parameters
    ----------
    module
        With all modules in it.
    trained
        Ids of the trained parameters.
    inherited
        The mode of the module it is in.
    """
    own = [id(p) in trained for p in module.parameters()]
    module.training = any(own) if own else inherited
    for child in module.children():
        set_modes(child, trained, inherited=module.training)
