"""Checking one scene of a store: layers, transmitters, tracks, masks and radio maps."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, TypeVar

import numpy as np
import shapely

from rmtools.radio.receivers import inside_buildings
from rmtools.traffic.tracks import FRAME_INTERVAL_S, State
from rmtools.validation.pathloss import MapChecker
from rmtools.validation.store import read_or_report

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from rmtools.findings import Report
    from rmtools.traffic.tracks import Tracks
    from rmtools.types import BoolArray, FloatArray
    from rmtools.validation.pathloss import BlindPixels
    from rmtools.validation.store import StoreFacts

OVERLAP_M2 = 0.01

_T = TypeVar("_T")


def check_scene(facts: StoreFacts, scene: int, report: Report) -> dict[str, BlindPixels]:
    """Check everything that a store has of a scene.

    Parameters
    ----------
    facts
        Of the store.
    scene
        Its index.
    report
        Findings are added to it.

    Returns
    -------
    dict
        How many pixels the solvers could not reach, by array.
    """
    checker = _SceneChecker(facts, report)
    checker.check_scene(scene)
    return {name: maps.blind for name, maps in checker.maps.items() if maps.blind is not None}


class _SceneChecker:
    """State of the check of one scene."""

    def __init__(self, facts: StoreFacts, report: Report) -> None:
        self.facts, self.report = facts, report
        self.store, self.sizes, self.grid = facts.store, facts.sizes, facts.grid
        self.maps = {
            name: MapChecker(attributes, facts.grid, report)
            for name, attributes in facts.maps.items()
        }

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
        inside = inside_buildings(buildings, height, self.facts.solver)
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
                    "warning" if self.facts.drawn else "error",
                    f"{here}, frame {frame}: vehicles",
                    masks[frame] != tracks.mask(frame, self.grid),
                    "do not agree with the tracks",
                )
            if masks is not None:
                self.report.found_at(
                    "warning" if self.facts.imported else "error",
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
            if name in self.maps:
                place = where if simulator is None else f"{where}, {simulator}"
                yield place, simulator, self.maps[name]

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
        comes_or_goes = not self.facts.imported and (here != here[0]).any()
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
        too_far[1:] = step > self.facts.longest_step_m + 1e-9
        what = f"moved farther than {self.facts.longest_step_m:g} m per frame"
        self._vehicles(where, too_far, what)
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
                add = self.report.warning if self.facts.imported else self.report.error
                add(f"{where}, frame {frame}", f"{count} pairs of vehicles overlap")
        return True

    # -- helpers -----------------------------------------------------------------------------

    def _try(self, where: str, read: Callable[[], _T]) -> _T | None:
        """Read something from the store; report it when it cannot be read."""
        return read_or_report(self.report, where, read)

    def _vehicles(self, where: str, bad: BoolArray, what: str) -> None:
        """Report when any entry of `bad`, shape (frame, vehicle), is set."""
        if bad.any():
            frame, vehicle = (int(k) for k in np.argwhere(bad)[0])
            self.report.error(f"{where}, frame {frame}: vehicle {vehicle}", f"it {what}")
