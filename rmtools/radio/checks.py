"""What every solver refuses: buildings that are none, transmitters where none can stand."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import shapely

from rmtools.errors import InputError

if TYPE_CHECKING:
    from rmtools.radio.solver import Obstacles, Transmitter
    from rmtools.scene import Scene


def check_buildings(scene: Scene) -> None:
    """Refuse a scene with a broken footprint or height.

    Raises
    ------
    InputError
        A footprint is not a valid polygon, or a height is not a positive number.
    """
    for i, building in enumerate(scene.buildings):
        shape, height_m = building.polygon, building.height_m
        if not (shape.is_valid and not shape.is_empty and 0 < height_m < np.inf):
            raise InputError(
                f"building {i} has an invalid footprint or height ({height_m} m).",
                where=scene.name,
                remedy="Build the scene again; its reader repairs footprints.",
            )


def check_placement(scene: Scene, transmitter: Transmitter, obstacles: Obstacles) -> None:
    """Refuse transmitters that stand where none can, and outlines that are none.

    Raises
    ------
    InputError
        The transmitter is off the grid, inside a building or inside a vehicle, or the outlines
        of the vehicles are not finite corners of shape (V, 4, 2).
    """
    x, y, z = transmitter.x, transmitter.y, transmitter.z_m
    where = f"{scene.name}, transmitter at ({x:g}, {y:g}), {z:g} m high"
    if not (np.isfinite([x, y, z]).all() and z > 0 and scene.grid.contains(x, y)):
        raise InputError(
            f"the transmitter is not on the tile of {scene.grid.size_m:g} m.",
            where=where,
            remedy="Give local metres, counted from the tile's south-west corner.",
        )
    point = shapely.Point(x, y)
    for i, building in enumerate(scene.buildings):
        if z < building.height_m and building.polygon.contains(point):
            raise InputError(
                f"the transmitter is inside building {i}, which is {building.height_m:g} m high.",
                where=where,
                remedy="Place transmitters with `rmtools place-transmitters`.",
            )
    outlines = np.asarray(obstacles.outlines, float)
    if outlines.ndim != 3 or outlines.shape[1:] != (4, 2) or not np.isfinite(outlines).all():
        raise InputError(
            f"vehicle outlines have shape {outlines.shape} or are not finite.",
            where=where,
            remedy="Give finite corners of shape (V, 4, 2).",
        )
    run_over = shapely.contains(shapely.polygons(outlines), point) & (z <= obstacles.height_m)
    if run_over.any():
        raise InputError(
            f"the transmitter is inside vehicle {int(np.argmax(run_over))}.",
            where=where,
            remedy="Keep vehicles away from transmitters, or move the transmitter.",
        )
