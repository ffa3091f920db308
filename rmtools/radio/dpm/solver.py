"""The embedded Dominant Path Model behind the solver protocol."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from rmtools.city.rasters import building_height
from rmtools.radio.checks import check_buildings, check_obstacles, check_transmitter
from rmtools.radio.dpm.equation import Equation
from rmtools.radio.dpm.frames import (
    at_transmitter,
    solve_base,
    solve_frame,
)
from rmtools.radio.dpm.labels import BENDS, Raster, copy_labels, new_labels, of_pixels
from rmtools.radio.dpm.presets import Preset, resolve
from rmtools.radio.dpm.queue import new_queue
from rmtools.radio.dpm.search import path_search
from rmtools.radio.dpm.space import Air, Source
from rmtools.radio.dpm.vehicles import Vehicles, lifted_points, make_vehicles
from rmtools.radio.dpm.visibility import ROOF, STREET
from rmtools.radio.dpm.walls import Walls, build_walls, building_edges, to_metres, to_pixels
from rmtools.radio.solver import NO_OBSTACLES, Obstacles, Transmitter

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from rmtools.grid import Grid
    from rmtools.scene import Scene
    from rmtools.types import BoolArray, ByteArray, FloatArray, LabelArray

LEVEL_PX = 1e-6
"""Sight lines this little below a roof still pass, so that equal heights do."""


@dataclass(frozen=True)
class PreparedScene:
    """What the solver keeps of a scene; shared by all transmitters and frames.

    Attributes
    ----------
    scene
        As it was given.
    mask
        Pixels inside buildings that are higher than the receivers, shape (n, n).
    labels
        Nodes of the search without labels, shape ((n + 2)^2,).
    walls, no_vehicles
        Walls of the buildings, and of no vehicles.
    """

    scene: Scene
    mask: BoolArray
    labels: LabelArray
    walls: Walls
    no_vehicles: Walls

    @property
    def grid(self) -> Grid:
        """Frame of the scene."""
        return self.scene.grid


@dataclass(frozen=True)
class Detailed:
    """Path loss and the paths it belongs to.

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
    _grid: Grid
    _labels: LabelArray
    _source: Source
    _vehicles: Walls

    def path(self, row: int, col: int) -> FloatArray:
        """Points of the path to a pixel: transmitter, bends (over vehicles too), receiver.

        Returns
        -------
        ndarray, shape (2 + bends, 3)
            x, y in local metres and height in metres; empty for a pixel that is not computed.

        Raises
        ------
        IndexError
            The pixel is not on the grid.
        """
        n = self._grid.n
        if not (0 <= row < n and 0 <= col < n):
            msg = f"pixel ({row}, {col}) is not on a grid of {n} by {n} pixels"
            raise IndexError(msg)
        if self.classes[row, col] == 0:
            return np.zeros((0, 3))
        side = n + 2
        nodes = [(row + 1) * side + col + 1]
        while (parent := int(self._labels["parent"][nodes[-1]])) >= 0:
            nodes.append(parent)
        back = np.array(nodes[::-1])
        bends = (self._labels["classes"][back] & BENDS).astype(int) - 1
        places = np.column_stack([back % side - 1.0, back // side - 1.0, self._labels["z"][back]])
        points = [np.array([self._source.at])]
        for k, place in enumerate(places):
            over = bends[k] - (bends[k - 1] + 1 if k else 0)
            if over:
                points.append(lifted_points(self._vehicles, points[-1][-1], place, over))
            points.append(place[None])
        return to_metres(self._grid, np.concatenate(points))


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
        check_buildings(scene)
        footprints = [b.polygon for b in scene.buildings]
        heights = [b.height_m for b in scene.buildings]
        crossing = [self.preset.bend_height_m(h) for h in heights]
        edges, tops = building_edges(grid, footprints, crossing)
        r = grid.resolution_m
        walls = build_walls(edges, tops / r - LEVEL_PX, grid.n)
        nobody = build_walls(np.zeros((0, 8)), np.zeros(0), grid.n)
        height = building_height(scene)
        mask = height > self.preset.receiver_height_m  # NaN where there is none
        z = np.full(grid.shape, self.preset.receiver_height_m)
        for value in np.unique(height[mask]):
            z[height == value] = self.preset.bend_height_m(float(value))
        labels = new_labels(z / r, np.where(mask, np.uint8(ROOF), np.uint8(STREET)))
        return PreparedScene(scene, mask, labels, walls, nobody)

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
        """Path loss, and the class and the path of every pixel, see :meth:`solve`."""
        check_transmitter(prepared.scene, transmitter)
        check_obstacles(prepared.scene, transmitter, obstacles)
        source = self._source(prepared, transmitter)
        vehicles = make_vehicles(prepared.grid, obstacles)
        labels = copy_labels(prepared.labels)
        path_search(self._air(prepared, transmitter, vehicles.walls), source, labels)
        classes = np.where(prepared.mask, np.uint8(0), of_pixels(labels, "classes"))
        found = _pathloss(prepared, labels), classes
        return Detailed(*found, prepared.grid, labels, source, vehicles.walls)

    def solve_sequences(
        self,
        prepared: PreparedScene,
        transmitters: Sequence[Transmitter],
        frames: Sequence[Obstacles],
    ) -> Iterator[FloatArray]:
        """Maps of all frames for one transmitter after the other, shape (F, n, n) each.

        For each transmitter the scene is solved once without vehicles, and in each frame only what
        its vehicles change; a frame does not depend on the others. How exactly it is what
        :meth:`solve` gives is measured in docs/dpm.md.

        Raises
        ------
        InputError
            As :meth:`solve`.
        """
        vehicles: list[Vehicles] = []
        for transmitter in transmitters:
            check_transmitter(prepared.scene, transmitter)
            for obstacles in frames:
                check_obstacles(prepared.scene, transmitter, obstacles)
            vehicles = vehicles or [make_vehicles(prepared.grid, obstacles) for obstacles in frames]
            yield self._sequence(prepared, transmitter, vehicles)

    def _sequence(
        self, prepared: PreparedScene, transmitter: Transmitter, frames: Sequence[Vehicles]
    ) -> FloatArray:
        """Maps of all frames, shape (F, n, n)."""
        source = self._source(prepared, transmitter)
        labels, base = copy_labels(prepared.labels), None
        maps = np.empty((len(frames), *prepared.grid.shape), np.float32)
        for k, vehicles in enumerate(frames):
            air = self._air(prepared, transmitter, vehicles.walls)
            if at_transmitter(source, vehicles):
                from_scratch = copy_labels(prepared.labels)
                path_search(air, source, from_scratch)
                maps[k] = _pathloss(prepared, from_scratch)
                continue
            if base is None:
                empty = self._air(prepared, transmitter, prepared.no_vehicles)
                base, queue = solve_base(empty, source, labels), new_queue(labels.size)
                plain = _pathloss(prepared, labels)
                copy_labels(base.labels, labels)
            changed = solve_frame(air, source, base, vehicles, labels, queue)
            maps[k] = plain
            row, col = np.divmod(changed, prepared.grid.n + 2)
            loss = labels["loss"][changed]
            loss[prepared.mask[row - 1, col - 1]] = np.nan
            maps[k, row - 1, col - 1] = loss
            copy_labels(base.labels, labels, changed)
        return maps

    def _source(self, prepared: PreparedScene, transmitter: Transmitter) -> Source:
        """The transmitter in pixels."""
        grid = prepared.grid
        u, v = to_pixels(grid, np.array([transmitter.x, transmitter.y]))
        sideways = self.preset.near_field == "grid" and u == np.rint(u) and v == np.rint(v)
        antenna = transmitter.antenna
        gain = antenna.table if antenna else np.zeros((0, 0))
        at = (float(u), float(v), transmitter.z_m / grid.resolution_m)
        return Source(at, bool(sideways), gain)

    def _air(self, prepared: PreparedScene, transmitter: Transmitter, vehicles: Walls) -> Air:
        """The space that paths go through."""
        grid = prepared.grid
        raster = Raster(grid.n + 2, grid.resolution_m)
        eq = Equation.of(self.preset, transmitter.z_m)
        return Air(raster, prepared.walls, vehicles, eq)


def _pathloss(prepared: PreparedScene, labels: LabelArray) -> FloatArray:
    """The map of a solution, float32, shape (n, n)."""
    pathloss = of_pixels(labels, "loss").astype(np.float32)
    pathloss[prepared.mask] = np.nan
    return pathloss
