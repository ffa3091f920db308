"""The square raster frame of a scene: pixels on one side, local metres on the other.

Arrays are indexed ``[row, col]`` and row 0 is north. Metric coordinates are x east and y north
with the origin at the tile's south-west corner. The conventions of RadioMapSeer and
RadioMapMotion are translated in :mod:`rmtools.city.seer` and :mod:`rmtools.layouts`, never here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from affine import Affine
    from numpy.typing import ArrayLike

    from rmtools.types import BoolArray, FloatArray, IntArray


@dataclass(frozen=True)
class Grid:
    """A square grid of ``n`` by ``n`` pixels.

    Attributes
    ----------
    n
        Pixels per side.
    resolution_m
        Side of one pixel in metres.
    """

    n: int = 256
    resolution_m: float = 1.0

    def __post_init__(self) -> None:
        if not 8 <= self.n <= 8192:
            msg = f"a grid has 8 to 8192 pixels per side, not {self.n}"
            raise ValueError(msg)
        if not self.resolution_m > 0:
            msg = f"the resolution must be positive, not {self.resolution_m} m"
            raise ValueError(msg)

    @property
    def shape(self) -> tuple[int, int]:
        """Shape of a raster on this grid, ``(n, n)``."""
        return (self.n, self.n)

    @property
    def size_m(self) -> float:
        """Side of the tile in metres."""
        return self.n * self.resolution_m

    @property
    def transform(self) -> Affine:
        """Affine map from (col, row) to (x, y), as rasterio wants it."""
        from affine import Affine

        r = self.resolution_m
        return Affine(r, 0.0, 0.0, 0.0, -r, self.size_m)

    def x_centres(self) -> FloatArray:
        """X of the pixel centres in metres, shape (n,), ascending with the column."""
        return (np.arange(self.n) + 0.5) * self.resolution_m

    def y_centres(self) -> FloatArray:
        """Y of the pixel centres in metres, shape (n,), descending with the row."""
        return self.size_m - (np.arange(self.n) + 0.5) * self.resolution_m

    def pixel(self, x: ArrayLike, y: ArrayLike) -> tuple[IntArray, IntArray]:
        """Pixel that holds a point: ``row = n - 1 - floor(y)``, ``col = floor(x)`` at 1 m.

        Parameters
        ----------
        x, y
            Local metres. A pixel owns its west and south edge.

        Returns
        -------
        row, col
            Integer arrays of the same shape; not clipped to the grid.
        """
        col = np.floor(np.asarray(x, float) / self.resolution_m).astype(np.intp)
        row = self.n - 1 - np.floor(np.asarray(y, float) / self.resolution_m).astype(np.intp)
        return row, col

    def centre(self, row: ArrayLike, col: ArrayLike) -> tuple[FloatArray, FloatArray]:
        """Centre (x, y) of pixels in local metres."""
        r = self.resolution_m
        return (np.asarray(col) + 0.5) * r, self.size_m - (np.asarray(row) + 0.5) * r

    def contains(self, x: ArrayLike, y: ArrayLike) -> BoolArray:
        """Whether points lie on the grid (west and south edge included)."""
        x, y = np.asarray(x, float), np.asarray(y, float)
        return (x >= 0) & (x < self.size_m) & (y >= 0) & (y < self.size_m)
