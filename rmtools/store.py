"""The dataset in one Zarr v3 group, readable with ``xarray.open_zarr``.

Dimensions are ``scene, traj, tx, frame, vehicle, y, x``; row 0 of ``y`` is north. The big array
``pathloss`` is chunked one sequence (scene, trajectory, transmitter) at a time and sharded so
that one unit of work (a scene and a trajectory) owns exactly one shard: workers never share a
file. docs/store.md lists every array with its unit.
"""

from __future__ import annotations

import contextlib
import math
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from rmtools import store_place
from rmtools.errors import InputError, RecipeError
from rmtools.grid import Grid
from rmtools.radio.receivers import inside_buildings
from rmtools.remote import RememberingGroup
from rmtools.store_arrays import make_arrays
from rmtools.store_attributes import check_root, root_attributes, solver_of, vehicle_size_of
from rmtools.store_format import (
    FORMAT,
    MAPS_NAME,
    PATHLOSS,
    STATIC,
    STATIC_MAPS,
    TRACKS,
    TRANSMITTERS,
    in_steps,
    of_simulator,
)
from rmtools.store_place import StorePlace, consolidate
from rmtools.traffic.tracks import FRAME_INTERVAL_S, State, Tracks

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    from rmtools.scene import Scene
    from rmtools.store_format import ArraySpec
    from rmtools.traffic.tracks import VehicleSize
    from rmtools.types import BoolArray, FloatArray

STORE_NAME = store_place.NAME
SCENES_NAME = "scenes"
_TRACK_FIELDS = ("x", "y", "heading", "speed", "state")


@dataclass(frozen=True)
class Sizes:
    """Length of each dimension; 0 where a stage has not run yet."""

    scene: int
    traj: int
    tx: int
    frame: int
    vehicle: int
    pixels: int


class Store:
    """A dataset store, open for reading or writing.

    Use :meth:`create` or :meth:`open`. Writers fill whole shards, so two processes may write
    different scenes or units of one store at the same time.

    Attributes
    ----------
    place
        Where it lies.
    path
        Its folder; :meth:`open` finds the store by this path even where it lies at a URL.
    """

    def __init__(self, place: StorePlace, group: Any) -> None:
        self.place = place
        self.path = place.path
        # zarr.Group; Any because its items may be arrays or groups
        self._group: Any = group if place.remote is None else RememberingGroup(group)

    # -- making and opening ------------------------------------------------------------------

    @classmethod
    def create(cls, path: Path, scenes: Sequence[Scene], attributes: Mapping[str, Any]) -> Store:
        """Make a store for `scenes` with its static layers, or replace the one at `path`.

        Parameters
        ----------
        path
            Folder of the store, by custom named ``store.zarr``. It appears only when complete.
        scenes
            All on the same grid, with unique names.
        attributes
            JSON values for the root: title, seed, recipe digest.
        """
        from rmtools.city.rasters import building_height, building_mask, road_mask

        grids = {scene.grid for scene in scenes}
        if len(grids) != 1 or len({scene.name for scene in scenes}) != len(scenes):
            raise RecipeError(
                f"{len(scenes)} scenes on {len(grids)} different grids cannot share a store.",
                remedy="Give at least one scene, one grid for all, and every scene its own name.",
            )
        grid = grids.pop()
        everything = {**root_attributes(grid, scenes), **attributes}
        with cls.building(path, grid, everything) as store:
            for index, scene in enumerate(scenes):
                store.write_static(
                    index, building_mask(scene), building_height(scene), road_mask(scene)
                )
        return cls.open(path, mode="r+")

    @classmethod
    @contextlib.contextmanager
    def building(cls, path: Path, grid: Grid, attributes: Mapping[str, Any]) -> Iterator[Store]:
        """A new store to be filled; it appears at `path` when the block ends without error.

        Parameters
        ----------
        path
            Folder of the store; one that lies there is replaced.
        grid
            Grid of all scenes.
        attributes
            All root attributes, as :func:`~rmtools.store_attributes.root_attributes` makes them;
            the list ``scenes`` says how many scenes there are.
        """
        place = StorePlace.of(path)
        with place.building(attributes) as group:
            store, scenes = cls(place, group), attributes["scenes"]
            make_arrays(group, STATIC, {"scene": len(scenes), "y": grid.n, "x": grid.n})
            group["x"][:], group["y"][:] = grid.x_centres(), grid.y_centres()
            for name in ("easting", "northing"):
                corner = [scene.get(f"{name}_m") for scene in scenes]
                group[f"scene_{name}"][:] = [np.nan if value is None else value for value in corner]
            yield store

    def write_static(
        self, scene: int, buildings: BoolArray, building_height_m: FloatArray, roads: BoolArray
    ) -> None:
        """Write the static layers of a scene, each of shape (n, n)."""
        self._group["buildings"][scene] = buildings.astype(np.uint8)
        self._group["building_height"][scene] = building_height_m.astype(np.float32)
        self._group["roads"][scene] = roads.astype(np.uint8)

    @classmethod
    def open(cls, path: Path, mode: str = "r") -> Store:
        """Open the store at `path`, or the one of the dataset folder `path`.

        Raises
        ------
        InputError
            There is no rmtools store.
        """
        place = StorePlace.of(path)
        group = place.open_group(writable=mode == "r+")
        if (found := group.attrs.get("rmtools_format")) != FORMAT:
            raise InputError(
                f"the store has format {found!r}, this version reads format {FORMAT}.",
                where=str(place),
                remedy="Use the rmtools version that wrote it, or build the dataset again.",
            )
        return cls(place, group)

    def remove(self, names: Iterable[str]) -> None:
        """Delete arrays, as far as they exist."""
        for name in names:
            if name in self._group:
                del self._group[name]
        consolidate(self._group)

    # -- tracks ------------------------------------------------------------------------------

    def create_tracks(
        self, trajectories: int, frames: int, vehicles: int, attributes: Mapping[str, Any]
    ) -> None:
        """Make the arrays of vehicle tracks and masks.

        Parameters
        ----------
        trajectories, frames, vehicles
            Sizes of the new dimensions.
        attributes
            ``vehicle_length_m``, ``vehicle_width_m``, ``vehicle_height_m`` and whatever else
            describes the traffic; they go to ``vehicles``.
        """
        new = {"traj": trajectories, "frame": frames, "vehicle": vehicles}
        make_arrays(self._group, TRACKS, self._lengths() | new, {"vehicles": attributes})
        self._group["time"][:] = np.round(np.arange(frames) * FRAME_INTERVAL_S, 6)
        consolidate(self._group)

    def write_tracks(
        self, scene: int, traj: int, tracks: Tracks, masks: BoolArray | None = None
    ) -> None:
        """Write one trajectory: tables and masks.

        The masks, shape (frame, n, n), follow from the tracks, unless they came with them.
        """
        group = self._group
        for name, values in (
            ("x", tracks.x),
            ("y", tracks.y),
            ("heading", tracks.heading_deg),
            ("speed", tracks.speed_mps),
            ("state", tracks.state),
        ):
            group[f"track_{name}"][scene, traj] = values
        if masks is None:
            masks = np.stack([tracks.mask(frame, self.grid) for frame in range(tracks.frames)])
        group["vehicles"][scene, traj] = masks.astype(np.uint8)

    def tracks(self, scene: int, traj: int) -> Tracks:
        """Read one trajectory back."""
        x, y, heading, speed, state = (
            self.array(f"track_{name}")[scene, traj] for name in _TRACK_FIELDS
        )
        return Tracks(x, y, heading, speed, state, self.vehicle_size)

    @property
    def vehicle_size(self) -> VehicleSize:
        """Size of all vehicles."""
        return vehicle_size_of(self.array_attributes("vehicles"), self.path / "vehicles")

    def vehicles_placed(self) -> tuple[int, int]:
        """Vehicles that are there in any frame, and slots for them."""
        used = (self.array("track_state")[:] != State.ABSENT).any(axis=2)
        return int(used.sum()), int(used.size)

    def vehicle_masks(self, scene: int, traj: int) -> BoolArray:
        """Vehicle masks of one trajectory, shape (frame, n, n)."""
        return np.asarray(self.array("vehicles")[scene, traj], bool)

    # -- transmitters ------------------------------------------------------------------------

    def create_transmitters(self, count: int, attributes: Mapping[str, Any]) -> None:
        """Make the arrays of transmitter positions; `attributes` say how they were chosen."""
        make_arrays(
            self._group, TRANSMITTERS, self._lengths() | {"tx": count}, {"tx_x": attributes}
        )
        consolidate(self._group)

    def write_transmitters(self, scene: int, positions: FloatArray) -> None:
        """Write the positions (x, y, z) of one scene, shape (tx, 3), local metres."""
        for axis, name in enumerate("xyz"):
            self._group[f"tx_{name}"][scene] = positions[:, axis]

    def transmitters(self, scene: int) -> FloatArray:
        """Positions (x, y, z) of one scene's transmitters, shape (tx, 3), local metres."""
        return np.stack([self.array(f"tx_{name}")[scene] for name in "xyz"], axis=-1)

    # -- path loss ---------------------------------------------------------------------------

    def create_pathloss(self, attributes: Mapping[str, Any], simulator: str | None = None) -> None:
        """Make the path-loss array; `attributes` describe solver and preset.

        A dataset has one solver. Maps of further simulators, as RadioMapSeer has them, stand
        beside its own under the simulator's name, such as ``"irt2"``.
        """
        self._make_maps(PATHLOSS[0], attributes, simulator)

    def create_static_maps(
        self, attributes: Mapping[str, Any], simulator: str | None = None
    ) -> None:
        """Make the array of path loss without vehicles, see :meth:`create_pathloss`."""
        self._make_maps(STATIC_MAPS[0], attributes, simulator)

    def _make_maps(
        self, spec: ArraySpec, attributes: Mapping[str, Any], simulator: str | None
    ) -> None:
        named = of_simulator(spec, simulator)
        make_arrays(self._group, [named], self._lengths(), {named.name: attributes})
        consolidate(self._group)

    def write_pathloss(
        self, scene: int, traj: int, pathloss_db: FloatArray, simulator: str | None = None
    ) -> None:
        """Write one unit of work, shape (tx, frame, n, n), in steps of 1/128 dB."""
        name = of_simulator(PATHLOSS[0], simulator).name
        self._group[name][scene, traj] = in_steps(pathloss_db)

    def write_static_maps(
        self, scene: int, pathloss_db: FloatArray, simulator: str | None = None
    ) -> None:
        """Write the maps of a scene without vehicles, shape (tx, n, n), in steps of 1/128 dB."""
        self._group[of_simulator(STATIC_MAPS[0], simulator).name][scene] = in_steps(pathloss_db)

    def pathloss(self, scene: int, traj: int, tx: int, simulator: str | None = None) -> FloatArray:
        """Path loss of one sequence in dB, float32, shape (frame, n, n); NaN where not computed."""
        return np.asarray(self.array(of_simulator(PATHLOSS[0], simulator).name)[scene, traj, tx])

    def pathloss_unit(self, scene: int, traj: int) -> FloatArray:
        """Path loss of one unit of work in dB, float32, shape (tx, frame, n, n)."""
        return np.asarray(self.array("pathloss")[scene, traj])

    def static_map(self, scene: int, tx: int, simulator: str | None = None) -> FloatArray:
        """Path loss without vehicles in dB, float32, shape (n, n); NaN where not computed."""
        return np.asarray(self.array(of_simulator(STATIC_MAPS[0], simulator).name)[scene, tx])

    def frame_map(self, scene: int, traj: int, tx: int, frame: int) -> FloatArray:
        """One map, shape (n, n); in a dataset without trajectories the one without vehicles."""
        if self.has("pathloss"):
            return np.asarray(self.array("pathloss")[scene, traj, tx, frame])
        return self.static_map(scene, tx)

    @property
    def map_arrays(self) -> list[str]:
        """Names of all arrays of path loss, sorted."""
        return sorted(name for name in self._group if MAPS_NAME.fullmatch(name))

    @property
    def maps(self) -> int:
        """How many radio maps there are, those of further simulators included."""
        return sum(math.prod(self.array(name).shape[:-2]) for name in self.map_arrays)

    @property
    def solver(self) -> dict[str, Any]:
        """The solver and all of its constants; empty before there is path loss."""
        found = (
            solver_of(self.array_attributes(name), self.path / name)
            for name in ("pathloss", "pathloss_static")
        )
        return next((solver for solver in found if solver), {})

    @property
    def simulators(self) -> list[str]:
        """Names of further simulators whose maps are there, sorted."""
        matches = (MAPS_NAME.fullmatch(name) for name in self.map_arrays)
        return sorted({match["simulator"] for match in matches if match and match["simulator"]})

    # -- looking in --------------------------------------------------------------------------

    @property
    def attributes(self) -> dict[str, Any]:
        """Root attributes: provenance, licence, conventions, the list of scenes.

        Raises
        ------
        InputError
            One is missing or makes no sense, see :func:`~rmtools.store_attributes.check_root`.
        """
        return dict(self._attributes)

    @cached_property
    def _attributes(self) -> dict[str, Any]:
        found = dict(self._group.attrs)
        scenes = self.array("scene").shape[0] if "scene" in self._group else None
        check_root(found, scenes, self.path)
        return found

    def update_attributes(self, values: Mapping[str, Any]) -> None:
        """Add or replace root attributes."""
        self._group.attrs.update(dict(values))
        consolidate(self._group)
        self.__dict__.pop("_attributes", None)

    def array_attributes(self, name: str) -> dict[str, Any]:
        """Attributes of one array; empty when the array is not there yet."""
        return dict(self.array(name).attrs) if name in self._group else {}

    def has(self, name: str) -> bool:
        """Whether an array exists (it may be partly unwritten, or damaged)."""
        try:
            return name in self._group
        except InputError:
            return True

    @property
    def array_names(self) -> list[str]:
        """Names of all arrays, sorted."""
        return sorted(self._group.array_keys())

    def array(self, name: str) -> Any:
        """An array of the store as a :class:`zarr.Array`, for those who copy or slice it.

        Raises
        ------
        InputError
            There is none.
        """
        try:
            found = self._group[name]
        except KeyError:
            found = None
        if not hasattr(found, "shape"):
            raise InputError(
                f"there is no array {name}.",
                where=self.path,
                remedy="`rmtools validate` says what the store lacks, and how it is made.",
            )
        return found

    @property
    def scene_names(self) -> list[str]:
        """Names of the scenes in order."""
        return [scene["name"] for scene in self._attributes["scenes"]]

    @property
    def grid(self) -> Grid:
        """Grid of all scenes."""
        return Grid(int(self.array("x").shape[0]), float(self._attributes["resolution_m"]))

    @property
    def sizes(self) -> Sizes:
        """Length of each dimension."""
        found = self._lengths()
        names = ("scene", "traj", "tx", "frame", "vehicle", "x")
        return Sizes(*(found.get(name, 0) for name in names))

    def _lengths(self) -> dict[str, int]:
        """Length of each dimension whose coordinate exists."""
        names = ("scene", "traj", "tx", "frame", "vehicle", "y", "x")
        return {n: int(self.array(n).shape[0]) for n in names if n in self._group}

    def buildings(self, scene: int) -> BoolArray:
        """Building mask of a scene, shape (n, n)."""
        return np.asarray(self.array("buildings")[scene], bool)

    def building_height(self, scene: int) -> FloatArray:
        """Roof heights in metres, NaN outside buildings, shape (n, n)."""
        return np.asarray(self.array("building_height")[scene])

    def inside_buildings(self, scene: int) -> BoolArray:
        """Pixels whose receiver is inside a building, shape (n, n): those with higher roofs.

        Before the path loss is there, which states the height of the receivers, these are all
        building pixels.
        """
        return inside_buildings(self.buildings(scene), self.building_height(scene), self.solver)

    def roads(self, scene: int) -> BoolArray:
        """Drivable mask of a scene, shape (n, n)."""
        return np.asarray(self.array("roads")[scene], bool)

    def chunk_files(self, name: str, *index: int) -> list[str]:
        """Files (relative to the store) that hold the block of `name` at the leading `index`."""
        array = self.array(name)
        key = [*index, *([0] * (array.ndim - len(index)))]
        file = f"{name}/c/" + "/".join(str(k) for k in key)
        return [file] if self.place.size(file) is not None else []
