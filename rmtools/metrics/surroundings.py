"""What stands around a map: buildings and transmitter, and the pixels they divide it into."""

from __future__ import annotations

import functools
from abc import ABC, abstractmethod
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from rmtools.city.rasters import building_mask
from rmtools.city.seer import ANTENNAS, BUILDINGS, IMAGES, read_map, read_png, read_transmitters
from rmtools.errors import InputError
from rmtools.grid import Grid
from rmtools.kernel import hot_kernel
from rmtools.layouts.motion_format import DESCRIPTION_NAME
from rmtools.layouts.motion_reader import MotionLayout

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from rmtools.store import Store
    from rmtools.types import BoolArray, FloatArray

LINE_OF_SIGHT, SHADOW = "line of sight", "shadow"
DISTANCES_M = (0.0, 16.0, 32.0, 64.0, 128.0, np.inf)
"""Edges of the classes of distance."""


class Surroundings(ABC):
    """Buildings and transmitters of a dataset.

    Attributes
    ----------
    buildings_from
        Where the building mask comes from, in words.
    """

    buildings_from: str

    def __init__(self) -> None:
        self.buildings = functools.lru_cache(maxsize=8)(self._buildings)
        self.line_of_sight = functools.lru_cache(maxsize=8)(self._line_of_sight)

    @abstractmethod
    def grid(self) -> Grid:
        """Grid of all maps."""

    @abstractmethod
    def _buildings(self, scene: int) -> BoolArray:
        """Pixels inside buildings, where path loss is not computed, shape (n, n)."""

    @abstractmethod
    def transmitter(self, scene: int, tx: int) -> tuple[float, float]:
        """Position (x, y) of a transmitter in local metres."""

    def _line_of_sight(self, scene: int, tx: int) -> BoolArray:
        """Pixels that the transmitter sees past the buildings, shape (n, n); vehicles do not count.

        See :func:`visible_from`.
        """
        row, col = (int(k) for k in self.grid().pixel(*self.transmitter(scene, tx)))
        return visible_from(self.buildings(scene), row, col)

    def distance_m(self, scene: int, tx: int) -> FloatArray:
        """Distance of the pixel centres from a transmitter in the plane, shape (n, n)."""
        x, y = self.transmitter(scene, tx)
        grid = self.grid()
        return np.hypot(grid.x_centres()[None, :] - x, grid.y_centres()[:, None] - y)


class StoreSurroundings(Surroundings):
    """Of a store; over roofs below the receivers path loss is computed."""

    buildings_from = "the store: roofs above the receivers"

    def __init__(self, store: Store) -> None:
        super().__init__()
        self._store = store

    def grid(self) -> Grid:
        """Grid of all maps."""
        return self._store.grid

    def _buildings(self, scene: int) -> BoolArray:
        return self._store.inside_buildings(scene)

    def transmitter(self, scene: int, tx: int) -> tuple[float, float]:
        """Position (x, y) of a transmitter in local metres."""
        x, y, _ = self._store.transmitters(scene)[tx].tolist()
        return x, y


class MotionSurroundings(Surroundings):
    """Of the RadioMapMotion layout with its ``dataset.json``."""

    buildings_from = "environment/: roofs above the receivers"

    def __init__(self, root: Path) -> None:
        super().__init__()
        self._layout = MotionLayout(root)

    @staticmethod
    def describes(root: Path) -> bool:
        """Whether there is such a description."""
        return (root / DESCRIPTION_NAME).is_file()

    @property
    def tree(self) -> str:
        """Folder of the images."""
        description = self._layout.description
        return "gain" if description and description.names == "loader" else "png"

    @property
    def scene_names(self) -> list[str]:
        """Names of the scenes by index."""
        description = self._layout.description
        return [scene.name for scene in description.scenes] if description else []

    def grid(self) -> Grid:
        """Grid of all maps."""
        return self._layout.grid

    def _buildings(self, scene: int) -> BoolArray:
        self._check(scene, 0)
        return self._layout.inside_buildings(scene)

    def transmitter(self, scene: int, tx: int) -> tuple[float, float]:
        """Position (x, y) of a transmitter in local metres."""
        self._check(scene, tx)
        x, y, _ = self._layout.transmitters(scene)[tx].tolist()
        return x, y

    def _check(self, scene: int, tx: int) -> None:
        sizes = self._layout.sizes
        if scene >= sizes.scene or tx >= sizes.tx:
            raise InputError(
                f"environment {scene}, transmitter {tx} is not among its {sizes.scene} and "
                f"{sizes.tx}.",
                where=self._layout.root / DESCRIPTION_NAME,
                remedy="Run `rmtools validate` on the folder.",
            )


class SeerSurroundings(Surroundings):
    """Of a RadioMapSeer folder: ``antenna/`` and ``polygon/`` or ``png/``."""

    def __init__(self, root: Path) -> None:
        super().__init__()
        self._root = root
        self.buildings_from = f"{BUILDINGS}, {IMAGES} for maps without polygons"

    @staticmethod
    def describes(root: Path) -> bool:
        """Whether there are buildings or transmitters in that layout."""
        return any((root / folder).is_dir() for folder in (ANTENNAS, BUILDINGS, IMAGES))

    def grid(self) -> Grid:
        """Grid of all maps."""
        return Grid()

    def _buildings(self, scene: int) -> BoolArray:
        if (self._root / BUILDINGS / f"{scene}.json").is_file():
            return building_mask(read_map(self._root, scene))
        return read_png(self._root / IMAGES / f"{scene}.png") > 127

    def transmitter(self, scene: int, tx: int) -> tuple[float, float]:
        """Position (x, y) of a transmitter in local metres."""
        positions = read_transmitters(self._root, scene)
        if tx >= len(positions):
            raise InputError(
                f"transmitter {tx} of map {scene} is not among its {len(positions)}.",
                where=self._root / ANTENNAS,
                remedy="Give the folder that the maps belong to.",
            )
        x, y = positions[tx][:2].tolist()
        return x, y


# -- parts of a map --------------------------------------------------------------------------


def by_line_of_sight(surroundings: Surroundings, scene: int, tx: int) -> dict[str, BoolArray]:
    """Pixels outside buildings in line of sight and in shadow."""
    outside = ~surroundings.buildings(scene)
    seen = surroundings.line_of_sight(scene, tx)
    return {LINE_OF_SIGHT: outside & seen, SHADOW: outside & ~seen}


def by_distance(
    surroundings: Surroundings, scene: int, tx: int, edges: Sequence[float] = DISTANCES_M
) -> dict[str, BoolArray]:
    """Pixels outside buildings by their distance from the transmitter."""
    outside = ~surroundings.buildings(scene)
    distance = surroundings.distance_m(scene, tx)
    return {
        f"{low:g} m and more" if np.isinf(high) else f"{low:g} to {high:g} m": outside
        & (distance >= low)
        & (distance < high)
        for low, high in pairwise(edges)
    }


def visible_from(blocked: BoolArray, row: int, col: int) -> BoolArray:
    """Pixels whose centre is seen from the centre of a pixel.

    Parameters
    ----------
    blocked
        Pixels that nothing is seen through, shape (rows, cols).
    row, col
        The pixel that is looked from; a transmitter is seen from even if it stands on a blocked
        pixel.

    Returns
    -------
    ndarray of bool
        Pixels to which the straight line between the centres crosses no blocked pixel. A line
        through a corner passes between the two pixels that meet the others there. Blocked pixels
        are not seen.

    Raises
    ------
    InputError
        The pixel is not on the map.
    """
    if not (0 <= row < blocked.shape[0] and 0 <= col < blocked.shape[1]):
        raise InputError(
            f"a transmitter at row {row}, col {col} is not on a map of {blocked.shape[0]} x "
            f"{blocked.shape[1]} pixels.",
            remedy="Run `rmtools validate` on the dataset.",
        )
    seen = np.zeros(blocked.shape, np.bool_)
    _look(np.ascontiguousarray(blocked), row, col, seen)
    return seen


@hot_kernel
def _look(blocked: BoolArray, row: int, col: int, seen: BoolArray) -> None:
    """Walk from the pixel to every other one through all pixels that the line crosses."""
    for end_row in range(blocked.shape[0]):
        for end_col in range(blocked.shape[1]):
            if blocked[end_row, end_col]:
                continue
            rows, cols = abs(end_row - row), abs(end_col - col)
            row_step = 1 if end_row > row else -1
            col_step = 1 if end_col > col else -1
            r, c = row, col
            # positive: the line meets the next border between columns first; whole numbers only
            side = cols - rows
            free = True
            while free and (r != end_row or c != end_col):
                if side > 0:
                    c += col_step
                    side -= 2 * rows
                elif side < 0:
                    r += row_step
                    side += 2 * cols
                else:
                    r += row_step
                    c += col_step
                    side += 2 * (cols - rows)
                free = not blocked[r, c]
            seen[end_row, end_col] = free
