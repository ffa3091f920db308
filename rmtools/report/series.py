"""How the value of a pixel depends on its own past: the partial autocorrelation of sequences.

RadioMapMotion judges by it how many past frames are worth looking at (section V-A and Fig. 4 of
the paper: "averaged over all sequences", magnitude about 0.25 at lag 10).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from rmtools.types import FloatArray

MAX_LAG = 14
"""That of RadioMapMotion's sequences of 15 frames."""

MAX_PIXELS = 400
"""Pixels of a sequence that are looked at; more are sampled evenly."""


def partial_autocorrelation(series: FloatArray, lags: int) -> FloatArray:
    """Partial autocorrelation of many short series at once.

    The sample autocovariance (mean removed, divided by the length at every lag, so that it is
    positive definite) goes through the Durbin-Levinson recursion; the result at lag k is the last
    coefficient of the autoregression of order k that solves the Yule-Walker equations.

    Parameters
    ----------
    series
        Shape (frames, pixels); no column is constant.
    lags
        Largest lag, less than the number of frames.

    Returns
    -------
    ndarray of float64, shape (lags, pixels)
        Lags 1 to `lags`.
    """
    length, count = series.shape
    centred = series - series.mean(axis=0, dtype=np.float64)
    covariance = np.stack(
        [(centred[: length - k] * centred[k:]).sum(axis=0) / length for k in range(lags + 1)]
    )
    found = np.empty((lags, count))
    coefficients = np.empty((0, count))
    error = covariance[0].copy()
    for k in range(1, lags + 1):
        explained = (coefficients * covariance[k - 1 : 0 : -1]).sum(axis=0)
        last = (covariance[k] - explained) / error
        coefficients = np.vstack([coefficients - last * coefficients[::-1], last[None]])
        error *= 1.0 - last**2
        found[k - 1] = last
    return found


def moving_pixels(values: FloatArray) -> FloatArray:
    """Series of at most :data:`MAX_PIXELS` pixels that change at all, spread evenly.

    Parameters
    ----------
    values
        Shape (frames, pixels), without NaN.
    """
    moving = np.flatnonzero((values != values[0]).any(axis=0))
    if len(moving) > MAX_PIXELS:
        moving = moving[np.linspace(0, len(moving) - 1, MAX_PIXELS).round().astype(int)]
    return values[:, moving].astype(np.float64)
