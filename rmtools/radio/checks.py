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


def check_transmitter(scene: Scene, transmitter: Transmitter) -> None:
    """Refuse transmitters that stand where none can.

    Raises
    ------
    InputError
        The transmitter is off the grid or inside a building.
    """
    x, y, z = transmitter.x, transmitter.y, transmitter.z_m
    if not (np.isfinite([x, y, z]).all() and z > 0 and scene.grid.contains(x, y)):
        raise InputError(
            f"the transmitter is not on the tile of {scene.grid.size_m:g} m.",
            where=_where(scene, transmitter),
            remedy="Give local metres, counted from the tile's south-west corner.",
        )
    footprints = np.array([building.polygon for building in scene.buildings], object)
    heights_m = np.array([building.height_m for building in scene.buildings])
    inside = shapely.contains(footprints, shapely.Point(x, y)) & (z < heights_m)
    if inside.any():
        i = int(np.argmax(inside))
        raise InputError(
            f"the transmitter is inside building {i}, which is {heights_m[i]:g} m high.",
            where=_where(scene, transmitter),
            remedy="Place transmitters with `rmtools place-transmitters`.",
        )


def check_obstacles(scene: Scene, transmitter: Transmitter, obstacles: Obstacles) -> None:
    """Refuse outlines that are none, and vehicles on the transmitter.

    Raises
    ------
    InputError
        The outlines are not finite corners of shape (V, 4, 2), or the transmitter is inside one.
    """
    outlines = np.asarray(obstacles.outlines, float)
    if outlines.ndim != 3 or outlines.shape[1:] != (4, 2) or not np.isfinite(outlines).all():
        raise InputError(
            f"vehicle outlines have shape {outlines.shape} or are not finite.",
            where=_where(scene, transmitter),
            remedy="Give finite corners of shape (V, 4, 2).",
        )
    if transmitter.z_m > obstacles.height_m:
        return
    run_over = shapely.contains(
        shapely.polygons(outlines), shapely.Point(transmitter.x, transmitter.y)
    )
    if run_over.any():
        raise InputError(
            f"the transmitter is inside vehicle {int(np.argmax(run_over))}.",
            where=_where(scene, transmitter),
            remedy="Keep vehicles away from transmitters, or move the transmitter.",
        )


def _where(scene: Scene, transmitter: Transmitter) -> str:
    x, y, z = transmitter.x, transmitter.y, transmitter.z_m
    return f"{scene.name}, transmitter at ({x:g}, {y:g}), {z:g} m high"
