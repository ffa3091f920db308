"""Structural similarity with every parameter named.

Z. Wang, A. Bovik, H. Sheikh, E. Simoncelli, "Image quality assessment: from error visibility to
structural similarity", IEEE Trans. Image Process. 13(4), 2004, equation 13.

Packages that are used to evaluate radio maps differ in the window, in the covariance, in what
they do at the border and in what they take for the range of the data; docs/metrics.md has a table.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, model_validator

from rmtools.errors import InputError
from rmtools.kernel import hot_kernel

if TYPE_CHECKING:
    from rmtools.types import BoolArray, FloatArray


class SsimParameters(BaseModel):
    """How SSIM is computed; the defaults are those of the reference protocol."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    window: Literal["gaussian", "uniform"] = Field(
        default="gaussian", description="Weights within the window"
    )
    size: int = Field(default=11, ge=3, le=255, description="Side of the window, odd")
    sigma: float = Field(default=1.5, gt=0, description="Of the Gaussian window, in pixels")
    k1: float = Field(default=0.01, ge=0)
    k2: float = Field(default=0.03, gt=0)
    data_range: Annotated[float, Field(gt=0)] | Literal["truth", "pair"] = Field(
        default=1.0,
        description="Range of the data: a number, or taken from each map: 'truth' is max - min of "
        "the truth, 'pair' the larger of the ranges of truth and prediction. Flat maps have 1",
    )
    border: Literal["valid", "mirror", "zero"] = Field(
        default="valid",
        description="valid: only windows that lie inside the map. Otherwise one window for every "
        "pixel, the map being continued by its mirror image or by zeros",
    )
    covariance: Literal["population", "sample"] = Field(
        default="population",
        description="sample multiplies variances by N / (N - 1), N pixels being in the window",
    )

    @model_validator(mode="after")
    def _odd(self) -> SsimParameters:
        if self.size % 2 == 0:
            raise ValueError(f"the window must have an odd side, not {self.size}")
        return self

    @property
    def weights(self) -> FloatArray:
        """Weights of the window along one axis; their sum is 1."""
        if self.window == "uniform":
            return np.full(self.size, 1.0 / self.size)
        offset = np.arange(self.size) - self.size // 2
        weights = np.exp(-0.5 * (offset / self.sigma) ** 2)
        return weights / weights.sum()


REFERENCE_SSIM = SsimParameters()


class SsimMap:
    """SSIM of one pair of maps, window by window.

    Attributes
    ----------
    values
        Shape (rows, cols) of the map, or smaller by ``size - 1`` with border ``"valid"``.
    """

    def __init__(self, pred: FloatArray, truth: FloatArray, parameters: SsimParameters) -> None:
        size = parameters.size
        if min(truth.shape) < size:
            raise InputError(
                f"a map of {truth.shape[0]} x {truth.shape[1]} pixels is smaller than the window "
                f"of SSIM, {size} x {size}.",
                remedy="Evaluate larger maps, or by a protocol without SSIM.",
            )
        level = _data_range(pred, truth, parameters.data_range)
        self._margin = size // 2 if parameters.border == "valid" else 0
        if parameters.border == "mirror":
            pred, truth = (np.pad(image, size // 2, mode="reflect") for image in (pred, truth))
        elif parameters.border == "zero":
            pred, truth = (np.pad(image, size // 2) for image in (pred, truth))
        rows, cols = (side - size + 1 for side in truth.shape)
        self.values = np.empty((rows, cols))
        factor = size**2 / (size**2 - 1) if parameters.covariance == "sample" else 1.0
        _ssim(
            np.ascontiguousarray(pred),
            np.ascontiguousarray(truth),
            parameters.weights,
            np.array([(parameters.k1 * level) ** 2, (parameters.k2 * level) ** 2, factor]),
            self.values,
            np.empty((4, truth.shape[1])),
            np.empty((4, cols)),
        )

    def mean(self, mask: BoolArray | None = None) -> float:
        """Mean over the windows, or over those whose centre is set in a mask of the map's shape.

        NaN if there are none.
        """
        if mask is None:
            return float(self.values.mean())
        cut = self._margin
        inner = mask[cut : mask.shape[0] - cut, cut : mask.shape[1] - cut]
        chosen = self.values[inner]
        return float(chosen.mean()) if chosen.size else np.nan


def _data_range(
    pred: FloatArray, truth: FloatArray, wanted: float | Literal["truth", "pair"]
) -> float:
    if not isinstance(wanted, str):
        return wanted
    images = (truth,) if wanted == "truth" else (truth, pred)
    return max(float(np.ptp(image)) for image in images) or 1.0


@hot_kernel
def _ssim(
    pred: FloatArray,
    truth: FloatArray,
    weights: FloatArray,
    constants: FloatArray,
    out: FloatArray,
    column_sums: FloatArray,
    window_sums: FloatArray,
) -> None:
    """Fill `out` with the SSIM of every window that lies inside the maps.

    The window is separable: sums down the columns first, then along the row. SSIM needs the two
    variances as their sum only, so four moments do. `constants` are C1, C2 of the paper and the
    factor of variances.
    """
    c1, c2, factor = constants[0], constants[1], constants[2]
    taps = weights.size
    for row in range(out.shape[0]):
        column_sums[:] = 0.0
        for tap in range(taps):
            weight = weights[tap]
            for col in range(pred.shape[1]):
                p, t = pred[row + tap, col], truth[row + tap, col]
                column_sums[0, col] += weight * p
                column_sums[1, col] += weight * t
                column_sums[2, col] += weight * (p * p + t * t)
                column_sums[3, col] += weight * (p * t)
        window_sums[:] = 0.0
        for moment in range(4):
            for tap in range(taps):
                weight = weights[tap]
                for col in range(out.shape[1]):
                    window_sums[moment, col] += weight * column_sums[moment, col + tap]
        for col in range(out.shape[1]):
            p, t = window_sums[0, col], window_sums[1, col]
            squares, product = p * p + t * t, p * t
            variances = factor * (window_sums[2, col] - squares)
            covariance = factor * (window_sums[3, col] - product)
            out[row, col] = ((2.0 * product + c1) * (2.0 * covariance + c2)) / (
                (squares + c1) * (variances + c2)
            )
