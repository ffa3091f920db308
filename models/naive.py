"""What a model has to beat: the last frame, the mean map, the nearest sample.

Last-Frame Repeat is a row of RadioMapMotion's tables ("simply repeats the last observed frame for
all future time steps"). The other two are ours. None has parameters; the mean map looks once at the
training set.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

import numpy as np
import torch
from torch import Tensor

from rmtools.errors import RecipeError

from .forecaster import Forecaster
from .interface import RadioModel
from .interpolators import Interpolator, pixels

if TYPE_CHECKING:
    from collections.abc import Iterable

    from rmtools.layouts.conventions import Task
    from rmtools.types import FloatArray

    from .interface import Batch


class LastFrame(Forecaster):
    """Last-Frame Repeat: every predicted frame is the last one seen.

    Parameters
    ----------
    task, context, horizon, first_predicted, target
        See :class:`~rmtools.models.forecaster.Forecaster`.
    """

    title = "Last-Frame Repeat"
    source = "RadioMapMotion"

    def predict(self, batch: Batch) -> Tensor:
        """See :meth:`~rmtools.models.interface.RadioModel.predict`."""
        return batch["input"][:, -1:].repeat_interleave(self.horizon, 1)


class NearestSample(Interpolator):
    """Every pixel has the value of the sample nearest to it.

    Where several are equally near, it is one of them, always the same.

    Parameters
    ----------
    task, buildings_weakest, target
        See :class:`~rmtools.models.interpolators.Interpolator`.
    """

    title = "Nearest sample"
    source = "this project"

    def interpolate(self, points: FloatArray, values: FloatArray, n: int) -> FloatArray:
        """See :meth:`~rmtools.models.interpolators.Interpolator.interpolate`."""
        from scipy.spatial import cKDTree

        _, nearest = cKDTree(points).query(pixels(n))
        return values[nearest].reshape(n, n)


class MeanMap(RadioModel):
    """The mean of all training maps, whatever the input.

    Pixel by pixel, which knows that gain is stronger where transmitters tend to be and nothing
    else. With `by_distance` the mean over all pixels equally far from the transmitter, to a pixel,
    inside buildings and outside of them by themselves: a law of distance without any shadow, which
    is much harder to beat. A distance that no training map had gets the value of the next one.

    Parameters
    ----------
    task
        Any; of a sequence all predicted frames are the same.
    by_distance
        See above; not for sequences, whose models do not see transmitter and buildings.
    size
        Rows and columns of the maps.
    target
        See :class:`~rmtools.models.interface.RadioModel`.
    """

    title = "Mean map"
    source = "this project"
    conventions: ClassVar = {
        **dict.fromkeys(("static", "dynamic", "sparse", "sparse-dynamic"), "rmtools"),
        "forecast": "radiomapmotion-paper",
    }
    mean: Tensor
    seen: Tensor

    def __init__(
        self,
        task: Task = "static",
        *,
        by_distance: bool = False,
        size: int = 256,
        target: Literal["grey", "paper"] = "grey",
    ) -> None:
        super().__init__(task, target=target)
        if by_distance and task == "forecast":
            raise RecipeError(
                "the mean by distance is not for forecasts.", remedy="Leave out by_distance."
            )
        self.by_distance, self.size = by_distance, size
        shape = (2, int(2**0.5 * (size - 1)) + 2) if by_distance else (size, size)
        self.register_buffer("mean", torch.zeros(shape))
        self.register_buffer("seen", torch.zeros((), dtype=torch.int64))

    def fit(self, batches: Iterable[Batch]) -> None:
        """Take the mean of the targets, see :meth:`~rmtools.models.interface.RadioModel.fit`.

        Raises
        ------
        RecipeError
            There is no map, or one of another size.
        """
        total = torch.zeros(self.mean.numel(), dtype=torch.float64)
        count = torch.zeros_like(total)
        maps = 0
        for batch in batches:
            target = batch["target"].detach().cpu().to(torch.float64)
            self._check(target)
            if self.by_distance:
                where = self._where(batch).flatten()
                total += torch.bincount(where, target.flatten(), len(total))
                count += torch.bincount(where, minlength=len(total))
            else:
                total += target.reshape(-1, len(total)).sum(0)
                count += target[..., 0, 0].numel()
            maps += target[..., 0, 0].numel()
        if not maps:
            raise RecipeError("there are no training maps.", where=self.title)
        mean = (total / count).reshape(self.mean.shape)
        self.mean.copy_(_filled(mean) if self.by_distance else mean)
        self.seen.fill_(maps)

    def predict(self, batch: Batch) -> Tensor:
        """See :meth:`~rmtools.models.interface.RadioModel.predict`.

        Raises
        ------
        RecipeError
            The mean has not been taken yet.
        """
        if not int(self.seen):
            raise RecipeError(
                "the mean has not been taken.", where=self.title, remedy="Train it first."
            )
        self._check(batch["input"])
        count = len(batch["input"])
        if self.by_distance:
            where = self._where(batch).to(self.mean.device)
            return self.mean.flatten()[where][:, None]
        if self.convention.window is None:
            return self.mean.expand(count, 1, -1, -1)
        return self.mean.expand(count, self.convention.window[2], 1, -1, -1)

    def _where(self, batch: Batch) -> Tensor:
        """Index into the means, of each pixel, int64, shape (B, n, n)."""
        axis = torch.arange(self.size)
        row, col = (axis - batch["meta"][key].cpu()[:, None] for key in ("tx_row", "tx_col"))
        far = (row[:, :, None] ** 2 + col[:, None, :] ** 2).to(torch.float64).sqrt().round().long()
        buildings = batch["input"][:, self.convention.channels.index("buildings")].cpu() > 0
        return far + self.mean.shape[1] * buildings

    def _check(self, maps: Tensor) -> None:
        if tuple(maps.shape[-2:]) != (self.size, self.size):
            raise RecipeError(
                f"maps of {maps.shape[-2]} x {maps.shape[-1]} pixels.",
                where=f"{self.title} of size {self.size}",
                remedy="Give size=... as the maps have it.",
            )


def _filled(rows: Tensor) -> Tensor:
    """Each row with its gaps (NaN) filled by interpolation; a row without any number by zeros."""
    made = rows.numpy().copy()
    for row in made:
        known = np.flatnonzero(~np.isnan(row))
        row[:] = np.interp(np.arange(len(row)), known, row[known]) if len(known) else 0.0
    return torch.from_numpy(made)
