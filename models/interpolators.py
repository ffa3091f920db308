"""Kriging, radial basis functions and nearest neighbours: a map from its samples alone.

The classical baselines of radio-map estimation. Nothing is trained. Every map is worked out by
itself in double precision from the positions of its samples, in pixels, and their values on the
scale of the target; neither the transmitter nor the vehicles are used. Distances do not know of
walls, so that RadioUNet's paper sets what is predicted inside known buildings to the
weakest value afterwards. That rule is an option here, and on, as without it they are far worse.

With k samples and n x n pixels a map costs the following; seconds on one core of a virtual machine
for n = 256:

======= ============== ======= ======= =======
method  cost           k = 100 k = 300 k = 655
======= ============== ======= ======= =======
Kriging O(k^3 + n^2 k) 0.18    0.52    1.2
RBF     O(k^3 + n^2 k) 0.08    0.21    0.44
KNN     O(n^2 log k)   0.08    0.10    0.12
======= ============== ======= ======= =======

Models are read-only once made and may be used from several threads or processes. At samples all
three give the sample's value (RBF: without smoothing).

The papers compare with these methods by name only, RMDM without numbers, none with variogram,
kernel or K. The defaults below are ours.
"""

from __future__ import annotations

import importlib
from abc import abstractmethod
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
import torch
from scipy.linalg import pinvh, solve
from scipy.spatial.distance import cdist
from torch import Tensor

from rmtools.errors import MissingError, RecipeError

from .interface import RadioModel

if TYPE_CHECKING:
    from collections.abc import Callable

    from rmtools.layouts.conventions import Task
    from rmtools.types import FloatArray

    from .interface import Batch

Variogram = Literal["linear", "power", "gaussian", "spherical", "exponential"]

ROWS_AT_ONCE = 32
"""Rows of a map that Kriging works out together, which bounds its memory."""


class Interpolator(RadioModel):
    """What the interpolators have in common.

    Parameters
    ----------
    task
        ``sparse`` or ``sparse-dynamic``, which make no difference.
    buildings_weakest
        Whether buildings get the weakest value that the target can have.
    target
        See :class:`~rmtools.models.interface.RadioModel`.
    """

    conventions: ClassVar = dict.fromkeys(("sparse", "sparse-dynamic"), "rmtools")

    def __init__(
        self,
        task: Task = "sparse",
        *,
        buildings_weakest: bool = True,
        target: Literal["grey", "paper"] = "grey",
    ) -> None:
        super().__init__(task, target=target)
        self.buildings_weakest = buildings_weakest

    @abstractmethod
    def interpolate(self, points: FloatArray, values: FloatArray, n: int) -> FloatArray:
        """Values of all pixels of a map from those of some.

        Parameters
        ----------
        points
            Row and column of each sample, float64, shape (k, 2) with k at least 1, all different.
        values
            float64, shape (k,).
        n
            Rows and columns of the map.

        Returns
        -------
        numpy.ndarray
            float64, shape (n, n).
        """

    def predict(self, batch: Batch) -> Tensor:
        """See :meth:`~rmtools.models.interface.RadioModel.predict`.

        Raises
        ------
        RecipeError
            A map has no samples.
        """
        planes = dict(zip(self.convention.channels, batch["input"].cpu().unbind(1), strict=True))
        maps = []
        for samples, mask in zip(planes["samples"].numpy(), planes["mask"].numpy(), strict=True):
            points = np.argwhere(mask > 0)
            if not len(points):
                raise RecipeError(
                    "a map has no samples.", where=self.title, remedy="Draw at least one."
                )
            values = samples[mask > 0].astype(np.float64)
            maps.append(self.interpolate(points.astype(np.float64), values, len(mask)))
        made = torch.from_numpy(np.stack(maps)).to(torch.float32)
        if self.buildings_weakest:
            made.masked_fill_(planes["buildings"] > 0, self.convention.grey.offset)
        return made[:, None].to(batch["input"].device)


class Kriging(Interpolator):
    """Ordinary Kriging by PyKrige.

    PyKrige fits the variogram. The system is solved in its dual form, once for a map and not for
    each pixel, which gives PyKrige's numbers in O(n^2 k) instead of O(n^2 k^2).

    The variogram is fitted to each map anew: mean half squared differences of the samples' values
    in `lags` classes of distance of equal width, least squares with a soft L1 loss. Default is the
    exponential one, ``nugget + psill (1 - exp(-3 d / range))``, which is what shadowing with
    Gudmundson's correlation exp(-d / d0) has.

    Samples that are all equal, or one alone, give a constant map: there is nothing to be fitted.
    Two samples have one distance only; they are weighted by the linear variogram, where slope and
    nugget of 0 make no difference.

    Parameters
    ----------
    variogram
        ``"linear"``, ``"power"``, ``"gaussian"``, ``"spherical"`` or ``"exponential"``.
    parameters
        Of the variogram instead of a fit, in PyKrige's order: (slope, nugget) if linear, (scale,
        exponent, nugget) if power, otherwise (sill, range, nugget), sill including the nugget.
    lags
        Classes of distance.
    pseudo_inverse
        Solve by the pseudo-inverse, which is slower, but also good for systems that are singular
        to working precision, as with a Gaussian variogram without nugget.
    task, buildings_weakest, target
        See :class:`Interpolator`.
    """

    title = "Kriging"
    source = "ordinary Kriging, Matheron 1963; PyKrige"

    def __init__(
        self,
        task: Task = "sparse",
        *,
        variogram: Variogram = "exponential",
        parameters: tuple[float, ...] | None = None,
        lags: int = 6,
        pseudo_inverse: bool = False,
        buildings_weakest: bool = True,
        target: Literal["grey", "paper"] = "grey",
    ) -> None:
        super().__init__(task, buildings_weakest=buildings_weakest, target=target)
        wanted = {"linear": 2, "power": 3, "gaussian": 3, "spherical": 3, "exponential": 3}
        if variogram not in wanted:
            raise RecipeError(
                f"there is no variogram {variogram!r}.",
                remedy=f"Choose one of {', '.join(wanted)}.",
            )
        if parameters is not None and len(parameters) != wanted[variogram]:
            raise RecipeError(
                f"{len(parameters)} parameters of the {variogram} variogram.",
                remedy=f"Give {wanted[variogram]} or none.",
            )
        _package("pykrige", "PyKrige")
        self.variogram, self.variogram_parameters = variogram, parameters
        self.lags, self.pseudo_inverse = lags, pseudo_inverse

    def interpolate(self, points: FloatArray, values: FloatArray, n: int) -> FloatArray:
        """See :meth:`Interpolator.interpolate`."""
        if np.ptp(values) == 0:
            return np.full((n, n), values[0])
        half_squares = self._fitted(points, values)
        count = len(values)
        system = np.ones((count + 1, count + 1))
        system[:count, :count] = half_squares(cdist(points, points))
        system[-1, -1] = 0.0
        if self.pseudo_inverse:
            weights = pinvh(system) @ np.append(values, 0.0)
        else:
            try:
                weights = solve(system, np.append(values, 0.0), assume_a="sym")
            except np.linalg.LinAlgError as error:
                raise RecipeError(
                    f"the {self.variogram} variogram gives a singular system.",
                    where=self.title,
                    remedy="Set pseudo_inverse=True, or give parameters with a nugget.",
                ) from error
        strips = np.array_split(pixels(n), -(-n // ROWS_AT_ONCE))
        return np.concatenate(
            [half_squares(cdist(strip, points)) @ weights[:-1] + weights[-1] for strip in strips]
        ).reshape(n, n)

    def _fitted(self, points: FloatArray, values: FloatArray) -> Callable[[FloatArray], FloatArray]:
        """The variogram, a function of distance that is 0 at 0, nugget or not."""
        name, parameters = self.variogram, self.variogram_parameters
        if len(values) == 2 and parameters is None:
            name, parameters = "linear", (1.0, 0.0)
        fitted = _package("pykrige.ok", "PyKrige").OrdinaryKriging(
            points[:, 1],
            points[:, 0],
            values,
            variogram_model=name,
            variogram_parameters=None if parameters is None else list(parameters),
            nlags=self.lags,
        )

        def half_squares(far: FloatArray) -> FloatArray:
            made = fitted.variogram_function(fitted.variogram_model_parameters, far)
            return np.where(far == 0, 0.0, made)

        return half_squares


class RBF(Interpolator):
    """Radial basis functions by SciPy, multiquadric as in RadioUNet's paper.

    The sum of ``-sqrt(1 + (epsilon r)^2)`` around all samples and a polynomial. Samples too few for
    the polynomial, or on a line, get a constant instead.

    Parameters
    ----------
    smoothing
        0 goes through the samples; larger ones come near them only.
    epsilon
        Shape, in 1/pixels; None for 1 over the side of the square that each sample has for itself
        in the rectangle they span.
    degree
        Of the polynomial: 0 for a constant, 1 for a plane.
    kernel
        Any of :class:`scipy.interpolate.RBFInterpolator` that a constant is enough for.
    task, buildings_weakest, target
        See :class:`Interpolator`.
    """

    title = "RBF"
    source = "multiquadrics, Hardy 1971; SciPy"

    def __init__(
        self,
        task: Task = "sparse",
        *,
        smoothing: float = 0.0,
        epsilon: float | None = None,
        degree: Literal[0, 1] = 0,
        kernel: Literal[
            "multiquadric", "inverse_multiquadric", "inverse_quadratic", "gaussian", "linear"
        ] = "multiquadric",
        buildings_weakest: bool = True,
        target: Literal["grey", "paper"] = "grey",
    ) -> None:
        super().__init__(task, buildings_weakest=buildings_weakest, target=target)
        if smoothing < 0 or (epsilon is not None and epsilon <= 0) or degree not in (0, 1):
            raise RecipeError(
                f"smoothing {smoothing}, epsilon {epsilon}, degree {degree}.",
                where=self.title,
                remedy="Smoothing is not negative, epsilon positive, the degree 0 or 1.",
            )
        self.smoothing, self.epsilon, self.degree, self.kernel = smoothing, epsilon, degree, kernel

    def interpolate(self, points: FloatArray, values: FloatArray, n: int) -> FloatArray:
        """See :meth:`Interpolator.interpolate`."""
        from scipy.interpolate import RBFInterpolator

        area = float(np.prod(np.maximum(np.ptp(points, axis=0), 1.0)))
        plane = np.column_stack([np.ones(len(points)), points])
        try:
            function = RBFInterpolator(
                points,
                values,
                smoothing=self.smoothing,
                kernel=self.kernel,
                epsilon=self.epsilon or (len(points) / area) ** 0.5,
                degree=self.degree if np.linalg.matrix_rank(plane) == 3 else 0,
            )
        except np.linalg.LinAlgError as error:
            raise RecipeError(
                "the system is singular.",
                where=self.title,
                remedy="Give a smoothing such as 1e-6, or a larger epsilon.",
            ) from error
        return np.asarray(function(pixels(n))).reshape(n, n)


class KNN(Interpolator):
    """Mean of the K nearest samples, weighted by 1 / distance, by scikit-learn.

    Parameters
    ----------
    neighbours
        K; all samples where there are fewer.
    task, buildings_weakest, target
        See :class:`Interpolator`.
    """

    title = "KNN"
    source = "K nearest neighbours, Cover and Hart 1967; scikit-learn"

    def __init__(
        self,
        task: Task = "sparse",
        *,
        neighbours: int = 5,
        buildings_weakest: bool = True,
        target: Literal["grey", "paper"] = "grey",
    ) -> None:
        super().__init__(task, buildings_weakest=buildings_weakest, target=target)
        if neighbours < 1:
            raise RecipeError(f"{neighbours} neighbours.", remedy="Give one or more.")
        _package("sklearn", "scikit-learn")
        self.neighbours = neighbours

    def interpolate(self, points: FloatArray, values: FloatArray, n: int) -> FloatArray:
        """See :meth:`Interpolator.interpolate`."""
        nearest = _package("sklearn.neighbors", "scikit-learn").KNeighborsRegressor(
            min(self.neighbours, len(points)), weights="distance"
        )
        return np.asarray(nearest.fit(points, values).predict(pixels(n))).reshape(n, n)


def pixels(n: int) -> FloatArray:
    """Row and column of every pixel, float64, shape (n * n, 2)."""
    return np.argwhere(np.ones((n, n), bool)).astype(np.float64)


def _package(module: str, name: str) -> Any:
    """Import an optional package."""
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise MissingError(
            f"this interpolator needs {name}, which is not installed.",
            remedy="Install it with: pip install 'rmtools[train]'.",
        ) from error
