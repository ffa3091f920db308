"""What RadioMapSeer's published maps need beyond the path loss itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from rmtools.errors import InputError

if TYPE_CHECKING:
    from rmtools.types import FloatArray


def halve_vehicle_effect(without_db: FloatArray, with_db: FloatArray) -> FloatArray:
    """Path loss with half of what the vehicles cost: the mean of both maps in dB.

    The authors of RadioMapSeer found the effect of cars in WinProp's results too strong and
    halved it in the maps they published: R. Levie, C. Yapar, G. Kutyniok, G. Caire, "RadioUNet:
    fast radio map estimation with convolutional neural networks" (arXiv 1911.09002), appendix on
    the dataset. No other layout does this.

    Parameters
    ----------
    without_db, with_db
        Path loss in dB of one transmitter without and with vehicles, shape (..., n, n); NaN where
        not computed.

    Returns
    -------
    ndarray
        Same shape and type; NaN where either map is.

    Raises
    ------
    InputError
        The maps differ in shape.
    """
    if without_db.shape != with_db.shape:
        raise InputError(
            f"maps of shape {without_db.shape} and {with_db.shape} do not belong together.",
            remedy="Give the maps of one transmitter on one grid.",
        )
    return np.asarray((without_db + with_db) / 2)
