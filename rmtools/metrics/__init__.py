"""The evaluator: one written specification (docs/metrics.md), NumPy in, numbers out.

Maps are floats in [0, 1] on the grey scale of their dataset, shape (..., rows, cols). The
functions here give one number for all maps at once; :class:`Evaluator` takes them as they come
and follows a :class:`Protocol`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from rmtools.metrics.checks import as_maps, as_masks, checked_map
from rmtools.metrics.evaluator import ALL, Evaluator
from rmtools.metrics.protocol import (
    REFERENCE,
    ErrorMetric,
    Protocol,
    SsimMetric,
    load_protocol,
    protocol_names,
    threshold,
    unthreshold,
)
from rmtools.metrics.ssim import REFERENCE_SSIM, SsimMap, SsimParameters
from rmtools.metrics.sums import ExactSum, Mean, Totals

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

__all__ = [
    "ALL",
    "REFERENCE",
    "REFERENCE_SSIM",
    "ErrorMetric",
    "Evaluator",
    "ExactSum",
    "Mean",
    "Protocol",
    "SsimMap",
    "SsimMetric",
    "SsimParameters",
    "Totals",
    "load_protocol",
    "mae",
    "mse",
    "nmse",
    "protocol_names",
    "psnr",
    "rmse",
    "ssim",
    "threshold",
    "totals",
    "unthreshold",
]


def totals(pred: ArrayLike, truth: ArrayLike, mask: ArrayLike | None = None) -> Totals:
    """Sums over the pixels (of the mask) of all maps, which every function below is made of.

    Parameters
    ----------
    pred, truth
        Floats, shape (..., rows, cols); the truth in [0, 1]. Predictions are taken as they are.
    mask
        Pixels that count, bool, of the same shape or one for all maps.

    Raises
    ------
    InputError
        Integers, other shapes, numbers that are not finite, or a truth outside [0, 1].
    """
    pred, truth, leading = as_maps(pred, truth)
    shape = (*leading, *truth.shape[-2:])
    masks = None if mask is None else as_masks(mask, shape, "mask")
    result = Totals()
    for k in range(len(truth)):
        pair = checked_map(pred[k], "prediction"), checked_map(truth[k], "truth")
        if masks is None:
            result.include(Totals.of(*pair))
        elif masks[k].any():
            result.include(Totals.of(*(image[masks[k]] for image in pair)))
    return result


def mse(pred: ArrayLike, truth: ArrayLike, mask: ArrayLike | None = None) -> float:
    """Mean squared error over all pixels of all maps, see :func:`totals`."""
    return totals(pred, truth, mask).mse()


def rmse(pred: ArrayLike, truth: ArrayLike, mask: ArrayLike | None = None) -> float:
    """Root of :func:`mse`; times ``scale.span_db`` it is dB."""
    return totals(pred, truth, mask).rmse()


def mae(pred: ArrayLike, truth: ArrayLike, mask: ArrayLike | None = None) -> float:
    """Mean absolute error over all pixels of all maps, see :func:`totals`."""
    return totals(pred, truth, mask).mae()


def nmse(pred: ArrayLike, truth: ArrayLike, mask: ArrayLike | None = None) -> float:
    """Sum of squared errors over sum of squared truth, over all maps, see :func:`totals`."""
    return totals(pred, truth, mask).nmse()


def psnr(pred: ArrayLike, truth: ArrayLike, mask: ArrayLike | None = None) -> float:
    """``-10 log10`` of :func:`mse`, in dB; infinite without error."""
    return totals(pred, truth, mask).psnr()


def ssim(
    pred: ArrayLike,
    truth: ArrayLike,
    mask: ArrayLike | None = None,
    *,
    parameters: SsimParameters = REFERENCE_SSIM,
) -> float:
    """Mean over the maps of their SSIM.

    Parameters
    ----------
    pred, truth, mask
        As in :func:`totals`. With a mask SSIM is the mean over the windows whose centre is set in
        it; the windows still see the pixels beside it.
    parameters
        Window, constants, range and border.

    Raises
    ------
    InputError
        As in :func:`totals`, or a map smaller than the window.
    """
    pred, truth, leading = as_maps(pred, truth)
    shape = (*leading, *truth.shape[-2:])
    masks = None if mask is None else as_masks(mask, shape, "mask")
    mean = Mean()
    for k in range(len(truth)):
        pair = checked_map(pred[k], "prediction"), checked_map(truth[k], "truth")
        value = SsimMap(*pair, parameters).mean(None if masks is None else masks[k])
        if not np.isnan(value):
            mean.add(value)
    return mean.value()
