"""What models of the task forecast have in common: which frames they see and predict."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, ClassVar, Literal

from rmtools.errors import RecipeError

from .interface import RadioModel

if TYPE_CHECKING:
    from rmtools.layouts.conventions import Task


STRETCH = 10.0
"""What neighbouring frames differ by, a few hundredths, is multiplied by this for a net that works
on differences, and its output is divided by it."""


class Forecaster(RadioModel):
    """A model that continues a sequence of maps.

    Whatever the context, it ends with the frame before `first_predicted`, so that all lengths of
    context are judged by the same frames, as in figure 7 of RadioMapMotion's paper. With ten frames
    this is the paper's window (0, 10, 5), with eight the released code's (2, 8, 5).

    Parameters
    ----------
    task
        ``forecast``.
    context, horizon
        Frames that are seen and frames that are predicted.
    first_predicted
        Number of the first predicted frame in its sequence, which starts with frame 0.
    target
        See :class:`~rmtools.models.interface.RadioModel`.

    Raises
    ------
    RecipeError
        The window is empty or begins before the sequence.
    """

    conventions: ClassVar = {"forecast": "radiomapmotion-paper"}

    def __init__(
        self,
        task: Task = "forecast",
        *,
        context: int = 10,
        horizon: int = 5,
        first_predicted: int = 10,
        target: Literal["grey", "paper"] = "grey",
    ) -> None:
        super().__init__(task, target=target)
        first = first_predicted - context
        if context < 1 or horizon < 1 or first < 0:
            raise RecipeError(
                f"{context} frames before frame {first_predicted}, {horizon} from there on.",
                where=f"{self.title}'s window",
                remedy="Give at least one frame of each; sequences begin with frame 0.",
            )
        self.horizon = horizon
        self.convention = replace(self.convention, window=(first, context, horizon))
