"""The embedded Dominant Path Model behind the solver protocol."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from rmtools.city.rasters import building_height
from rmtools.radio.checks import check_buildings, check_obstacles, check_transmitter
from rmtools.radio.dpm.equation import Equation
from rmtools.radio.dpm.frames import (
    at_transmitter,
    cut_legs,
    settle,
    solve_base,
    solve_frame,
)
from rmtools.radio.dpm.labels import BENDS, LEG_CUT, OVER_ROOF, Raster, copy_labels, new_labels
from rmtools.radio.dpm.legs import new_lifts
from rmtools.radio.dpm.presets import Preset, resolve
from rmtools.radio.dpm.queue import new_queue
from rmtools.radio.dpm.search import path_search
from rmtools.radio.dpm.space import Air, Source
from rmtools.radio.dpm.vehicles import Vehicles, lifted_point, make_vehicles
from rmtools.radio.dpm.visibility import ROOF, STREET
from rmtools.radio.dpm.walls import Walls, build_walls, building_edges, to_metres, to_pixels
from rmtools.radio.solver import NO_OBSTACLES, Obstacles, Transmitter

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from rmtools.grid import Grid
    from rmtools.scene import Scene
    from rmtools.types import BoolArray, ByteArray, FloatArray, IntArray, LabelArray

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
    walls
        Walls of the buildings.
    no_vehicles
        Of a scene without any.
    """

    scene: Scene
    mask: BoolArray
    labels: LabelArray
    walls: Walls
    no_vehicles: Vehicles

    @property
    def grid(self) -> Grid:
        """Frame of the scene."""
        return self.scene.grid


class Paths(NamedTuple):
    """Labels, and which nodes have a last leg that is lifted over vehicles."""

    labels: LabelArray
    cut: BoolArray


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
    _source: Source
    _vehicles: Vehicles
    _found: Paths
    _lifted: Paths | None = None
    _is_lifted: BoolArray | None = None

    def path(self, row: int, col: int) -> FloatArray:
        """Points of the path to a pixel: transmitter, bends (over vehicles too), receiver.

        Where the search with vehicles found a path that is cheaper than the one without, its loss
        is held to that without vehicles, and the path is the one it found.

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
        node = (row + 1) * side + col + 1
        lifted = self._is_lifted is not None and self._is_lifted[node]
        labels, cut = self._lifted if self._lifted is not None and lifted else self._found
        nodes = [node]
        while (parent := int(labels["parent"][nodes[-1]])) >= 0:
            nodes.append(parent)
        back = np.array(nodes[::-1])
        places = np.column_stack([back % side - 1.0, back // side - 1.0, labels["z"][back]])
        points = [np.array(self._source.at)]
        for place, over in zip(places, cut[back], strict=True):
            if over:
                points.append(lifted_point(self._vehicles, points[-1], place))
            points.append(place)
        return to_metres(self._grid, np.array(points))


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
        nobody = make_vehicles(grid, NO_OBSTACLES, 0.0)
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
        vehicles = self._vehicles(prepared, obstacles)
        source = self._source(prepared, transmitter)
        labels = copy_labels(prepared.labels)
        air = self._air(prepared, transmitter, vehicles)
        path_search(air, source, labels)
        found = Paths(labels, _lifted_legs(labels))
        if not vehicles.discs.size:
            pathloss_db = _map(prepared, labels["loss"])
            classes = _classes(prepared, labels["classes"])
            return Detailed(pathloss_db, classes, prepared.grid, source, vehicles, found)
        without = self._air(prepared, transmitter, prepared.no_vehicles)
        base = solve_base(without, source, copy_labels(prepared.labels))
        lifts = new_lifts(labels.size)
        cut_legs(air, source, base, lifts)
        loss, is_lifted = settle(air, source, base, lifts, labels["loss"], _all(labels))
        above = base.labels["classes"]
        bends = np.minimum((above & BENDS) + lifts.bends, BENDS).astype(np.uint8)
        classes = np.where(is_lifted, bends | (above & OVER_ROOF), labels["classes"])
        return Detailed(
            _map(prepared, loss),
            _classes(prepared, classes),
            prepared.grid,
            source,
            vehicles,
            found,
            Paths(base.labels, lifts.watch & LEG_CUT != 0),
            is_lifted,
        )

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
            vehicles = vehicles or [self._vehicles(prepared, obstacles) for obstacles in frames]
            yield self._sequence(prepared, transmitter, vehicles)

    def _sequence(
        self, prepared: PreparedScene, transmitter: Transmitter, frames: Sequence[Vehicles]
    ) -> FloatArray:
        """Maps of all frames, shape (F, n, n)."""
        source = self._source(prepared, transmitter)
        labels, size = copy_labels(prepared.labels), prepared.labels.size
        queue, lifts = new_queue(size), new_lifts(size)
        without = self._air(prepared, transmitter, prepared.no_vehicles)
        base = solve_base(without, source, labels)
        maps = np.tile(_map(prepared, base.plain), (len(frames), 1, 1))
        copy_labels(base.labels, labels)
        for k, vehicles in enumerate(frames):
            air = self._air(prepared, transmitter, vehicles)
            if at_transmitter(air, source, base.labels, base.starts):
                from_scratch = copy_labels(prepared.labels)
                path_search(air, source, from_scratch)
                cut_legs(air, source, base, lifts)
                loss, _ = settle(air, source, base, lifts, from_scratch["loss"], _all(labels))
                maps[k] = _map(prepared, loss)
                continue
            nodes, loss = solve_frame(air, source, base, lifts, labels, queue)
            pixels = _pixels(prepared.grid.n, nodes)
            loss[prepared.mask.reshape(-1)[pixels]] = np.nan
            maps[k].reshape(-1)[pixels] = loss
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

    def _vehicles(self, prepared: PreparedScene, obstacles: Obstacles) -> Vehicles:
        """Vehicles in pixels."""
        return make_vehicles(prepared.grid, obstacles, self.preset.vehicle_clearance_m)

    def _air(self, prepared: PreparedScene, transmitter: Transmitter, vehicles: Vehicles) -> Air:
        """The space that paths go through."""
        grid = prepared.grid
        raster = Raster(grid.n + 2, grid.resolution_m)
        eq = Equation.of(self.preset, transmitter.z_m)
        return Air(raster, prepared.walls, vehicles, eq)


def _map(prepared: PreparedScene, loss: FloatArray) -> FloatArray:
    """Losses of the nodes as a map, float32, shape (n, n)."""
    side = prepared.grid.n + 2
    pathloss = loss.reshape(side, side)[1:-1, 1:-1].astype(np.float32)
    pathloss[prepared.mask] = np.nan
    return pathloss


def _pixels(n: int, nodes: IntArray) -> IntArray:
    """Indices of nodes in a flat map."""
    row = nodes // (n + 2)
    return nodes - (n + 3) - 2 * (row - 1)


def _classes(prepared: PreparedScene, classes: ByteArray) -> ByteArray:
    """Classes of the nodes as a map, shape (n, n)."""
    side = prepared.grid.n + 2
    return np.where(prepared.mask, np.uint8(0), classes.reshape(side, side)[1:-1, 1:-1])


def _all(labels: LabelArray) -> IntArray:
    """All nodes."""
    return np.arange(labels.size, dtype=np.int32)


def _lifted_legs(labels: LabelArray) -> BoolArray:
    """Which nodes have a last leg with a bend over vehicles."""
    parent, bends = labels["parent"], (labels["classes"] & BENDS).astype(int)
    return bends > np.where(parent >= 0, bends[parent] + 1, 1)
