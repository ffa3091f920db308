"""A store as the report and the server read it: every array is looked up once, then only sliced."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from rmtools.radio.receivers import inside_buildings

if TYPE_CHECKING:
    from rmtools.store import Store
    from rmtools.types import BoolArray, ByteArray, FloatArray

ROAD_LAYER, BUILDING_LAYER = 1, 2


class Reader:
    """Layers, positions, vehicles and maps of a store.

    Attributes
    ----------
    store, grid, sizes
        The store, its grid and the lengths of its dimensions.
    """

    def __init__(self, store: Store) -> None:
        self.store, self.grid, self.sizes = store, store.grid, store.sizes
        self._solver = store.solver
        self._static = not store.has("pathloss")
        self._arrays: dict[str, Any] = {}

    def array(self, name: str) -> Any:
        """An array of the store, to be sliced."""
        if name not in self._arrays:
            self._arrays[name] = self.store.array(name)
        return self._arrays[name]

    def block(self, name: str, *index: int) -> Any:
        """Everything of an array at its leading indices, as a NumPy array."""
        return np.asarray(self.array(name)[index])

    @property
    def trajectories(self) -> int:
        """Trajectories that have maps: one of maps without vehicles, 0 without any maps."""
        if not self._static:
            return self.sizes.traj
        return int(self.store.has("pathloss_static"))

    @property
    def frames(self) -> int:
        """Frames of a sequence; a map without vehicles is a sequence of one frame."""
        return 1 if self._static else self.sizes.frame

    def sequence(self, s: int, t: int, k: int) -> FloatArray:
        """Path loss in dB, NaN where not computed, shape (frame, n, n)."""
        if self._static:
            return self.block("pathloss_static", s, k)[None]
        return self.block("pathloss", s, t, k)

    def buildings(self, s: int) -> BoolArray:
        """Building mask, shape (n, n)."""
        return self.block("buildings", s).astype(bool)

    def inside_buildings(self, s: int) -> BoolArray:
        """Pixels whose receiver is inside a building, shape (n, n)."""
        return inside_buildings(self.buildings(s), self.block("building_height", s), self._solver)

    def layers(self, s: int, stride: int = 1) -> ByteArray:
        """0 ground, 1 roads and 2 buildings of a scene, shape (n, n)."""
        found = np.zeros(self.grid.shape, np.uint8)
        found[self.block("roads", s).astype(bool)] = ROAD_LAYER
        found[self.inside_buildings(s)] = BUILDING_LAYER
        return found[::stride, ::stride]

    def positions(self, s: int) -> list[list[float] | None]:
        """Positions (x, y) of a scene's transmitters in local metres, None where not written."""
        if not self.store.has("tx_x"):
            return []
        places = zip(self.block("tx_x", s).tolist(), self.block("tx_y", s).tolist(), strict=True)
        return [[round(x, 3), round(y, 3)] if np.isfinite(x + y) else None for x, y in places]

    def vehicles(self, s: int, t: int, frames: int) -> list[list[list[float]]]:
        """Centre x, y and heading of the vehicles that are there, for each frame."""
        if not self.store.has("vehicles"):
            return [[] for _ in range(frames)]
        names = ("track_x", "track_y", "track_heading")
        table = np.stack([self.block(name, s, t) for name in names], axis=-1)[:frames]
        return [np.round(frame[np.isfinite(frame).all(axis=-1)], 2).tolist() for frame in table]

    def vehicle_size(self) -> list[float]:
        """Length and width of the vehicles in metres; 0 where there are none yet."""
        if not self.store.has("vehicles"):
            return [0.0, 0.0]
        size = self.store.vehicle_size
        return [size.length_m, size.width_m]
