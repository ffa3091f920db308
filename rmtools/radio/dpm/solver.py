"""The embedded Dominant Path Model behind the solver protocol."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import shapely

from rmtools.city.rasters import building_height
from rmtools.errors import InputError
from rmtools.radio.dpm.equation import Equation
from rmtools.radio.dpm.presets import Preset, resolve
from rmtools.radio.dpm.search import Nodes, Source, path_search
from rmtools.radio.dpm.vehicles import outline_edges, outline_pixels
from rmtools.radio.dpm.visibility import ROOF, STREET, VEHICLE
from rmtools.radio.dpm.walls import Walls, build_walls, building_edges, to_pixels
from rmtools.radio.solver import NO_OBSTACLES, Obstacles, Transmitter

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from rmtools.grid import Grid
    from rmtools.scene import Scene
    from rmtools.types import BoolArray, ByteArray, FloatArray

LEVEL_PX = 1e-6
"""Sight lines this little below a roof still pass, so that equal heights do."""


@dataclass(frozen=True)
class PreparedScene:
    """What the solver keeps of a scene; shared by all transmitters and frames.

    Attributes
    ----------
    name, grid
        Of the scene.
    footprints, heights_m
        Buildings as they stand, to tell whether a transmitter is inside one, shape (B,).
    mask
        Pixels inside buildings, shape (n, n).
    z, kind
        Height in pixels and kind of each node of the search, shape (n * n,).
    walls
        Walls of the buildings.
    """

    name: str
    grid: Grid
    footprints: NDArray[np.object_]
    heights_m: FloatArray
    mask: BoolArray
    z: FloatArray
    kind: ByteArray
    walls: Walls


class Detailed(NamedTuple):
    """Path loss and what kind of path it belongs to.

    Attributes
    ----------
    pathloss_db
        Shape (n, n), float32, NaN inside buildings.
    classes
        Shape (n, n), uint8: 0 not computed, 1 line of sight, 1 + k with k bends, plus 128 when
        one of the bends lies on a roof.
    """

    pathloss_db: FloatArray
    classes: ByteArray


class DominantPathSolver:
    """Radio maps by the Dominant Path Model, as WinProp computes them.

    Parameters
    ----------
    preset
        ``"radiomapseer"``, ``"winprop2021"``, ``"radiomapmotion"`` or constants of your own.
    overrides
        Single constants to replace, such as ``frequency_mhz=28000``; see
        :class:`~rmtools.radio.dpm.presets.Preset`.

    Raises
    ------
    RecipeError
        Unknown preset or constant, or a value out of range.

    Notes
    -----
    The solver holds no state: one instance serves any number of threads.
    """

    def __init__(self, preset: Preset | str = "radiomapseer", **overrides: Any) -> None:
        self.preset = resolve(preset, overrides)

    def describe(self) -> dict[str, Any]:
        """Name, preset and every parameter."""
        return {"solver": "dpm", **self.preset.model_dump(mode="json")}

    def prepare(self, scene: Scene) -> PreparedScene:
        """Walls, roofs and building mask of a scene.

        Raises
        ------
        InputError
            A footprint is not a valid polygon, or a height is not a positive number.
        """
        grid = scene.grid
        for i, building in enumerate(scene.buildings):
            if not (
                building.polygon.is_valid
                and not building.polygon.is_empty
                and 0 < building.height_m < np.inf
            ):
                raise InputError(
                    f"building {i} has an invalid footprint or height ({building.height_m} m).",
                    where=scene.name,
                    remedy="Build the scene again; its reader repairs footprints.",
                )
        footprints = [b.polygon for b in scene.buildings]
        heights = [b.height_m for b in scene.buildings]
        crossing = [self.preset.bend_height_m(h) for h in heights]
        edges, tops = building_edges(grid, footprints, crossing)
        r = grid.resolution_m
        walls = build_walls(edges, tops / r - LEVEL_PX, grid.n)
        height = building_height(scene)
        mask = ~np.isnan(height)
        z = np.full(grid.shape, self.preset.receiver_height_m)
        for value in np.unique(height[mask]):
            crossing_m = self.preset.bend_height_m(float(value))
            z[height == value] = max(crossing_m, self.preset.receiver_height_m)
        z = z.ravel() / r
        kind = np.where(mask, ROOF, STREET).astype(np.uint8).ravel()
        solid = np.array(footprints, object), np.array(heights, float)
        return PreparedScene(scene.name, grid, *solid, mask, z, kind, walls)

    def solve(
        self, prepared: PreparedScene, transmitter: Transmitter, obstacles: Obstacles = NO_OBSTACLES
    ) -> FloatArray:
        """Path loss in dB, positive, float32, shape (n, n); NaN inside buildings.

        Parameters
        ----------
        prepared
            From :meth:`prepare` of a solver with the same constants.
        transmitter
            Anywhere on the grid but inside a building or a vehicle.
        obstacles
            Vehicles of the frame; pixels inside them are computed.

        Raises
        ------
        InputError
            The transmitter is off the grid, inside a building or inside a vehicle.
        """
        return self.solve_detailed(prepared, transmitter, obstacles).pathloss_db

    def solve_detailed(
        self, prepared: PreparedScene, transmitter: Transmitter, obstacles: Obstacles = NO_OBSTACLES
    ) -> Detailed:
        """Path loss and the class of the path of every pixel; arguments as for :meth:`solve`."""
        grid = prepared.grid
        r = grid.resolution_m
        _check(prepared, transmitter, obstacles)
        outlines = np.asarray(obstacles.outlines, np.float64)
        edges = outline_edges(grid, outlines)
        top = obstacles.height_m / r
        vehicles = build_walls(edges, np.full(len(edges), top), grid.n)
        z, kind = prepared.z, prepared.kind
        if len(outlines):
            on_vehicle = outline_pixels(grid.n, edges) & (kind == STREET)
            z = np.where(on_vehicle, np.maximum(z, top), z)
            kind = np.where(on_vehicle, np.uint8(VEHICLE), kind)
        u, v = to_pixels(grid, np.array([transmitter.x, transmitter.y]))
        sideways = self.preset.near_field == "grid" and u == np.rint(u) and v == np.rint(v)
        labels = path_search(
            Nodes(grid.n, r, z, kind),
            prepared.walls,
            vehicles,
            Source((float(u), float(v), transmitter.z_m / r), bool(sideways)),
            Equation.of(self.preset, transmitter.z_m),
        )
        pathloss = labels.loss.astype(np.float32).reshape(grid.shape)
        pathloss[prepared.mask] = np.nan
        classes = np.where(prepared.mask, np.uint8(0), labels.classes.reshape(grid.shape))
        return Detailed(pathloss, classes)


def _check(prepared: PreparedScene, transmitter: Transmitter, obstacles: Obstacles) -> None:
    """Refuse transmitters that stand where none can."""
    x, y, z = transmitter.x, transmitter.y, transmitter.z_m
    where = f"{prepared.name}, transmitter at ({x:g}, {y:g}), {z:g} m high"
    if not (np.isfinite([x, y, z]).all() and z > 0 and prepared.grid.contains(x, y)):
        raise InputError(
            f"the transmitter is not on the tile of {prepared.grid.size_m:g} m.",
            where=where,
            remedy="Give local metres, counted from the tile's south-west corner.",
        )
    point = shapely.Point(x, y)
    inside = shapely.contains(prepared.footprints, point) & (z < prepared.heights_m)
    if inside.any():
        i = int(np.argmax(inside))
        raise InputError(
            f"the transmitter is inside building {i}, which is {prepared.heights_m[i]:g} m high.",
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
