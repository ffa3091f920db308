"""What a model has to offer to be trained and judged: one base class.

A batch is what the loaders of :mod:`rmtools.layouts` give: a dict of ``input``, ``target``,
``meta`` and, for the sparse tasks, ``mask`` (docs/loaders.md).
"""

from __future__ import annotations

import inspect
from abc import ABC, abstractmethod
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import torch
from torch import Tensor, nn

from rmtools.errors import RecipeError
from rmtools.layouts.conventions import Convention, GreyTransform, find_convention

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from rmtools.layouts.conventions import Task

    from .recipe import Optimiser, Recipe

Batch = dict[str, Any]
Losses = dict[str, Tensor]
"""Scalars by name; ``"loss"`` is the one to be minimised, the others are for the log."""


@dataclass(frozen=True)
class Turn:
    """One optimiser at work: its parameters and what they minimise.

    Attributes
    ----------
    name
        For the log, such as ``"generator"``.
    parameters
        What is trained; everything else stays as it is during this turn.
    loss
        Losses of a batch.
    optimiser
        If not that of the recipe.
    """

    name: str
    parameters: Iterable[nn.Parameter]
    loss: Callable[[Batch], Losses]
    optimiser: Optimiser | None = None

    def __post_init__(self) -> None:
        """Keep the parameters of an iterator, so that they can be looked through again."""
        object.__setattr__(self, "parameters", tuple(self.parameters))


@dataclass(frozen=True)
class Phase:
    """A part of training that starts from the best weights of the one before.

    Attributes
    ----------
    name
        Such as ``"first U"`` or ``"autoencoder"``.
    turns
        Taken one after the other on every batch; two for a GAN, one otherwise.
    check
        The number of a batch, averaged over its maps, that is lowest for the best weights; by
        default the mean squared error of :meth:`RadioModel.predict`.
    """

    name: str
    turns: tuple[Turn, ...]
    check: Callable[[Batch], Tensor] | None = None


class RadioModel(nn.Module, ABC):
    """A model of radio maps.

    Parameters
    ----------
    task
        One of the tasks of the loaders that the class has a convention for.
    target
        ``"grey"``: the target is the grey level divided by 255 (or the same as -1 to 1, for the
        models that want it so), which makes models comparable; ``"paper"``: with the threshold
        and divisor of the published code.

    Attributes
    ----------
    title
        The name in papers' tables.
    source
        Where it was published.
    conventions
        Channels and scaling by task: names of docs/loaders.md, or a :class:`Convention`.
    recipes
        The recipes by name, ``"paper"`` and ``"quick"``: one :class:`Recipe` for each phase (for
        the first ones, where an option leaves out a phase); empty for what is not trained.
    ablations
        The variants that its paper takes apart: a name for tables, and the constructor's options.
    task, convention
        Of this model; loaders are made from them.
    """

    title: ClassVar[str]
    source: ClassVar[str]
    conventions: ClassVar[dict[Task, str | Convention]]
    recipes: ClassVar[dict[str, tuple[Recipe, ...]]] = {}
    ablations: ClassVar[dict[str, dict[str, Any]]] = {}

    def __init__(self, task: Task, *, target: Literal["grey", "paper"] = "grey") -> None:
        super().__init__()
        if task not in self.conventions:
            raise RecipeError(
                f"{self.title} is for {' and '.join(self.conventions)}, not for {task!r}.",
                remedy="Choose another task or another model.",
            )
        found = self.conventions[task]
        convention = found if isinstance(found, Convention) else find_convention(found, task)
        if target == "grey":
            signed = convention.grey.offset < 0
            grey = GreyTransform(factor=2.0, offset=-1.0) if signed else GreyTransform()
            convention = replace(convention, grey=grey)
        elif target != "paper":
            raise RecipeError(f"target {target!r}.", remedy="It is 'grey' or 'paper'.")
        self.task: Task = task
        self.convention = convention

    @classmethod
    def options(cls) -> list[str]:
        """Names of the options of the constructor."""
        return [name for name in inspect.signature(cls).parameters if name != "self"]

    @abstractmethod
    def predict(self, batch: Batch) -> Tensor:
        """Predict the target of a batch.

        Called in evaluation mode without gradients. The prediction of a map must not depend on
        the other maps of the batch: what is random takes its numbers from :func:`noise`.

        Parameters
        ----------
        batch
            As the loaders give it; ``target`` may be absent (but samples are in ``input``).

        Returns
        -------
        Tensor
            Shape and scale of the target: (B, 1, n, n), or (B, horizon, 1, n, n) for forecasts.
        """

    def fit(self, batches: Iterable[Batch]) -> None:
        """Learn what takes one look at the training set and no gradients; by default nothing.

        Called once, before the phases. What is learnt belongs into registered buffers, which are
        saved with the weights.

        Parameters
        ----------
        batches
            Of the training set, every sample once, in any order; iterated over once at most.
        """
        del batches

    def phases(self) -> tuple[Phase, ...]:
        """The phases of training, as many as each recipe has; none for what is not trained."""
        return ()


def noise(meta: dict[str, Tensor], shape: tuple[int, ...], *, seed: int = 0) -> Tensor:
    """Normal random numbers for each map of a batch, the same in any batch.

    Parameters
    ----------
    meta
        ``meta`` of a batch: the numbers depend on scene, trajectory, transmitter and frame.
    shape
        Shape for one map.
    seed
        Other numbers for another seed.

    Returns
    -------
    Tensor
        float32, shape (B, *shape), on the device of `meta`.
    """
    keys = torch.stack([meta[key].cpu() for key in ("scene", "traj", "tx", "frame")], 1)
    rows = []
    for scene, traj, tx, frame in keys.tolist():
        code = (((seed * 1_000_003 + scene) * 1_009 + traj) * 1_013 + tx) * 1_019 + frame
        rows.append(torch.randn(shape, generator=torch.Generator().manual_seed(code % 2**63)))
    return torch.stack(rows).to(meta["scene"].device)


def count_parameters(module: nn.Module, *, trainable: bool = False) -> int:
    """Number of parameters; only of those with a gradient, if asked for."""
    return sum(p.numel() for p in module.parameters() if p.requires_grad or not trainable)
