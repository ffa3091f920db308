"""Checking the content of a store, one sequence at a time, going on after every bad one."""

from __future__ import annotations

import dataclasses
import math
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
import shapely

from rmtools.errors import InputError
from rmtools.radio.receivers import inside_buildings
from rmtools.store_format import (
    PATHLOSS,
    STATIC,
    STATIC_MAPS,
    TRACKS,
    TRANSMITTERS,
    of_simulator,
)
from rmtools.traffic.tracks import FRAME_INTERVAL_S, MAX_SPEED_MPS, State
from rmtools.validation.pathloss import MapChecker, positive

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from rmtools.findings import Report
    from rmtools.grid import Grid
    from rmtools.store import Sizes, Store
    from rmtools.store_format import ArraySpec
    from rmtools.traffic.tracks import Tracks
    from rmtools.types import BoolArray, FloatArray

STEP_FACTOR = 1.5
"""A vehicle may not move farther per frame than this times its fastest nominal step."""

NOMINAL_SPEED_MPS = 10.0
"""RadioMapMotion paper: 1 m per frame; used where the store does not state its own."""

OVERLAP_M2 = 0.01
MAX_BLOCK_BYTES = 2 * 2**30
UNREADABLE = (
    *(OSError, ValueError, RuntimeError, KeyError, IndexError, TypeError, EOFError),
    InputError,
)
"""What zarr, its codecs and the guard before them raise at damaged metadata and chunks."""

_NOT_THERE = object()
_T = TypeVar("_T")


def check_store(store: Store, report: Report) -> bool:
    """Check a store: attributes, shapes, then every scene, trajectory and sequence.

    Parameters
    ----------
    store
        Open for reading.
    report
        Findings are added to it.

    Returns
    -------
    bool
        Whether attributes and shapes are sound, so that something else can be compared with it.
    """
    checker = _StoreChecker(store, report)
    if not checker.check_root():
        return False
    for scene in range(checker.sizes.scene):
        checker.check_scene(scene)
    for maps in checker.checkers.values():
        maps.report_blind()
    return True


def _wanted(store: Store) -> dict[str, tuple[ArraySpec, ...]]:
    """The arrays that a store should have by the verb that writes them.

    A dataset without trajectories has maps without vehicles and no tracks.
    """
    moving = any(store.has(spec.name) for spec in (*TRACKS, *PATHLOSS))
    still = not moving and store.has("pathloss_static")
    known = (
        of_simulator(spec, simulator)
        for spec in (*PATHLOSS, *STATIC_MAPS)
        for simulator in (None, *store.simulators)
    )
    return {
        "build-scenes": STATIC,
        "generate-trajectories": () if still else TRACKS,
        "place-transmitters": TRANSMITTERS,
        "simulate": tuple(spec for spec in known if store.has(spec.name)) or PATHLOSS,
    }


def imported(traffic: object) -> bool:
    """Whether a description of traffic says that the tracks were made elsewhere.

    What those do on their own streets (overlap, drive through a passage under a building, come
    and go) is a property of the input, not a fault of the dataset.
    """
    return isinstance(traffic, dict) and bool(traffic.get("tracks"))


class _StoreChecker:
    """State of one walk through a store."""

    def __init__(self, store: Store, report: Report) -> None:
        self.store, self.report = store, report
        self.sizes: Sizes
        self.grid: Grid

    # -- the whole ---------------------------------------------------------------------------

    def check_root(self) -> bool:
        """Attributes and shapes; False when going on makes no sense."""
        sizes = self._try("store", lambda: self.store.sizes)
        grid = self._try("store", lambda: self.store.grid)
        if sizes is None or grid is None:
            return False
        self.sizes, self.grid = sizes, grid
        attrs = self.store.attributes  # sound, since the grid was read from them
        for key in ("licence", "attribution"):
            if not attrs[key] or not all(attrs[key]):
                self.report.error("store", f"attribute {key} is empty")
        listed = self.store.scene_names
        if not 0 < len(listed) == len(set(listed)):
            self.report.error(
                "store",
                f"attribute scenes has {len(listed)} entries with {len(set(listed))} different "
                "names",
            )
            return False
        return self._check_arrays() and self._read_descriptions()

    def _check_arrays(self) -> bool:
        """Whether every array is there, and is what the format says."""
        group = self.store.place.open_group(writable=False)
        sizes = self.sizes
        lengths = {**dataclasses.asdict(sizes), "y": sizes.pixels, "x": sizes.pixels}
        good = True
        for name, length in dataclasses.asdict(sizes).items():
            if not length and self.store.has(name) and name != "vehicle":
                self.report.error(name, "the dimension is empty")
                good = False
        wanted = self._try("store", partial(_wanted, self.store))
        for verb, specs in (wanted or {}).items():
            for spec in specs:
                array: Any = self._try(spec.name, partial(group.get, spec.name, _NOT_THERE))
                shape = tuple(lengths[dim] for dim in spec.dims)
                if array is None:
                    good = False
                elif array is _NOT_THERE:
                    self.report.error(spec.name, f"not there; run `rmtools {verb}`")
                    good = False
                elif (found := getattr(array, "shape", None)) != shape or array.dtype != spec.dtype:
                    self.report.error(
                        spec.name,
                        f"shape {found}, expected {shape} of {spec.dtype} from its dimensions",
                    )
                    good = False
                elif math.prod(array.chunks) * array.dtype.itemsize > MAX_BLOCK_BYTES:
                    self.report.error(spec.name, f"chunks {array.chunks} are too large to be read")
                    good = False
                else:
                    for key, value in spec.attrs.items():
                        if array.attrs.get(key) != value:
                            self.report.error(spec.name, f"attribute {key} is not {value!r}")
        return good and wanted is not None

    def _read_descriptions(self) -> bool:
        """What later checks need to know from attributes; False when it is not there."""
        solver = self._try("pathloss", lambda: self.store.solver)
        if solver is None:
            return False
        self.solver = solver
        self.checkers = {
            name: MapChecker(name, self.store.array_attributes(name), self.grid, self.report)
            for name in self.store.map_arrays
        }
        if not self.store.has("vehicles"):
            return True
        vehicles = self.store.array_attributes("vehicles")
        self.drawn = "imported_from" in vehicles  # masks that came with the tracks
        traffic = vehicles.get("traffic")
        self.imported = imported(traffic)
        speed = positive(traffic, "speed_mps") or NOMINAL_SPEED_MPS
        spread = positive(traffic, "speed_spread") or 0.0
        self.longest_step_m = STEP_FACTOR * speed * (1.0 + spread) * FRAME_INTERVAL_S
        if self.imported:
            self.longest_step_m = MAX_SPEED_MPS * FRAME_INTERVAL_S
        sides = ("vehicle_length_m", "vehicle_width_m", "vehicle_height_m")
        missing = [side for side in sides if positive(vehicles, side) is None]
        for side in missing:
            self.report.error("vehicles", f"attribute {side} is not a positive number")
        return not missing

    # -- scenes ------------------------------------------------------------------------------

    def check_scene(self, scene: int) -> None:
        """Static layers and transmitters, then every trajectory."""
        self.report.count("scenes")
        where = f"scene {scene} ({self.store.scene_names[scene]})"
        buildings = self._try(f"{where}: buildings", lambda: self.store.buildings(scene))
        height = self._try(f"{where}: heights", lambda: self.store.building_height(scene))
        roads = self._try(f"{where}: roads", lambda: self.store.roads(scene))
        positions = self._try(f"{where}: transmitters", lambda: self.store.transmitters(scene))
        if buildings is None or height is None or positions is None:
            return
        self.report.error_at(
            f"{where}: building_height",
            np.isnan(height) == buildings,
            "have a height without a building, or the other way round",
        )
        self.report.error_at(
            f"{where}: building_height",
            (height <= 0) | np.isinf(height),
            "have a building without a positive, finite height",
        )
        if roads is not None and (roads & buildings).any():
            self.report.warning(f"{where}: roads", "drivable pixels lie on buildings")
        for tx, position in enumerate(positions):
            self._check_transmitter(f"{where}, tx {tx}", position, buildings, height)
        inside = inside_buildings(buildings, height, self.solver)
        self._check_static_maps(where, scene, inside, positions)
        for traj in range(self.sizes.traj):
            self._check_trajectory(where, scene, traj, buildings, inside, positions)

    def _check_transmitter(
        self, where: str, position: FloatArray, buildings: BoolArray, height: FloatArray
    ) -> None:
        x, y, z = position.tolist()
        if not np.isfinite(position).all():
            self.report.error(where, "its position was not written")
        elif not self.grid.contains(x, y):
            self.report.error(where, f"it lies outside the tile, at x = {x:g}, y = {y:g} m")
        else:
            row, col = self.grid.pixel(x, y)
            if buildings[row, col] and z < height[row, col]:
                self.report.error(where, f"it lies inside a building, at x = {x:g}, y = {y:g} m")
            if z <= 0:
                self.report.error(where, f"its height is {z:g} m")

    # -- trajectories ------------------------------------------------------------------------

    def _check_trajectory(
        self,
        where: str,
        scene: int,
        traj: int,
        buildings: BoolArray,
        inside: BoolArray,
        positions: FloatArray,
    ) -> None:
        here = f"{where}, trajectory {traj}"
        self.report.count("trajectories")
        masks = self._try(f"{here}: masks", lambda: self.store.vehicle_masks(scene, traj))
        tracks = self._try(f"{here}: tracks", lambda: self.store.tracks(scene, traj))
        if tracks is not None and not self._check_tracks(here, tracks):
            tracks = None
        for frame in range(self.sizes.frame):
            if masks is not None and tracks is not None:
                self.report.found_at(
                    "warning" if self.drawn else "error",
                    f"{here}, frame {frame}: vehicles",
                    masks[frame] != tracks.mask(frame, self.grid),
                    "do not agree with the tracks",
                )
            if masks is not None:
                self.report.found_at(
                    "warning" if self.imported else "error",
                    f"{here}, frame {frame}: vehicles",
                    masks[frame] & buildings,
                    "show a vehicle on a building",
                )
        for place, simulator, maps in self._arrays(here, "pathloss"):
            for tx in range(self.sizes.tx):
                self.report.count("sequences")
                at = f"{place}, tx {tx}"
                loss = self._try(at, partial(self.store.pathloss, scene, traj, tx, simulator))
                if loss is not None:
                    maps.check(at, loss, positions[tx], inside, masks)

    def _check_static_maps(
        self, where: str, scene: int, inside: BoolArray, positions: FloatArray
    ) -> None:
        for place, simulator, maps in self._arrays(where, "pathloss_static"):
            for tx in range(self.sizes.tx):
                self.report.count("static maps")
                at = f"{place}, tx {tx}"
                loss = self._try(at, partial(self.store.static_map, scene, tx, simulator))
                if loss is not None:
                    maps.check(
                        f"{at}, without vehicles", loss[None], positions[tx], inside, static=True
                    )

    def _arrays(self, where: str, base: str) -> Iterator[tuple[str, str | None, MapChecker]]:
        """Place, further simulator and checker of the arrays of one kind."""
        for simulator in (None, *self.store.simulators):
            name = base if simulator is None else f"{base}_{simulator}"
            if name in self.checkers:
                place = where if simulator is None else f"{where}, {simulator}"
                yield place, simulator, self.checkers[name]

    def _check_tracks(self, where: str, tracks: Tracks) -> bool:
        """Whether the tracks can be drawn, so that masks can be compared with them."""
        here = ~np.isnan(tracks.x)
        if self.sizes.vehicle and not here.any():
            self.report.warning(where, "no vehicle, or the tracks were not written")
            return True
        fields = (tracks.x, tracks.y, tracks.heading_deg, tracks.speed_mps)
        unknown = here & ~np.isfinite(fields).all(axis=0)
        self._vehicles(where, unknown, "has a position, heading or speed that is no number")
        outside = here & ~unknown & ~self.grid.contains(tracks.x, tracks.y)
        self._vehicles(where, outside, "is outside the tile")
        if (unknown | outside).any():
            return False
        comes_or_goes = not self.imported and (here != here[0]).any()
        if ((tracks.state == State.ABSENT) == here).any() or comes_or_goes:
            self.report.error(where, "a vehicle's positions and states do not agree")
        new = here.copy()
        new[1:] &= ~here[:-1]
        self._vehicles(
            where,
            new & ((tracks.state != State.SEEDED) | (tracks.speed_mps != 0)),
            "appears, but its state is not seeded or its speed not 0",
        )
        step = np.hypot(np.diff(tracks.x, axis=0), np.diff(tracks.y, axis=0))
        too_far = np.zeros_like(here)
        too_far[1:] = step > self.longest_step_m + 1e-9
        self._vehicles(where, too_far, f"moved farther than {self.longest_step_m:g} m per frame")
        wrong = np.zeros_like(here)
        wrong[1:] = np.abs(step / FRAME_INTERVAL_S - tracks.speed_mps[1:]) > 1e-3
        self._vehicles(where, wrong, "has a speed that is not its step per 0.1 s")
        for frame in range(tracks.frames):
            outlines = tracks.outlines(frame)
            if len(outlines) < 2:
                continue
            shapes = [shapely.Polygon(corners) for corners in outlines]
            pairs = shapely.STRtree(shapes).query(shapes, predicate="intersects").T
            count = sum(
                a < b and shapes[a].intersection(shapes[b]).area > OVERLAP_M2 for a, b in pairs
            )
            if count:
                add = self.report.warning if self.imported else self.report.error
                add(f"{where}, frame {frame}", f"{count} pairs of vehicles overlap")
        return True

    # -- helpers -----------------------------------------------------------------------------

    def _try(self, where: str, read: Callable[[], _T]) -> _T | None:
        """Read something from the store; report it when it cannot be read."""
        try:
            return read()
        except UNREADABLE as error:
            said = error.what if isinstance(error, InputError) else error
            self.report.error(where, f"cannot be read ({type(error).__name__}: {said})"[:300])
            return None

    def _vehicles(self, where: str, bad: BoolArray, what: str) -> None:
        """Report when any entry of `bad`, shape (frame, vehicle), is set."""
        if bad.any():
            frame, vehicle = (int(k) for k in np.argwhere(bad)[0])
            self.report.error(f"{where}, frame {frame}: vehicle {vehicle}", f"it {what}")
