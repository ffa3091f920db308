"""Where a radio map has receivers, told from the description of the solver that made it."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from rmtools.types import BoolArray, FloatArray


def inside_buildings(
    buildings: BoolArray, building_height_m: FloatArray, solver: object
) -> BoolArray:
    """Pixels whose receiver is inside a building; over lower roofs it is in the air.

    Parameters
    ----------
    buildings
        Building mask, shape (n, n).
    building_height_m
        Roof heights in metres, shape (n, n); an unknown one (NaN) counts as higher.
    solver
        Description of the solver as the store and the layouts keep it. One that does not state
        ``receiver_height_m`` has its receivers on the street, below every roof.

    Returns
    -------
    ndarray of bool, shape (n, n)
        Where the path loss is not computed.
    """
    stated = solver.get("receiver_height_m") if isinstance(solver, dict) else None
    known = isinstance(stated, int | float) and math.isfinite(stated)
    # stored heights are float32: equal heights are equal only at that precision
    lower = np.asarray(building_height_m, np.float32) <= np.float32(stated if known else 0.0)
    return buildings & ~lower
