"""Vehicle outlines as walls and pixels of one frame."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from rmtools.kernel import kernel
from rmtools.radio.dpm.walls import edges_of, to_pixels

if TYPE_CHECKING:
    from rmtools.grid import Grid
    from rmtools.types import BoolArray, FloatArray

SAMPLE_PX = 1e-3
"""Pixels are sampled this far north-east of their centre, as buildings are: an outline owns its
west and south edge."""


def outline_edges(grid: Grid, outlines: FloatArray) -> FloatArray:
    """Edges of vehicle outlines in pixels, shape (4 * V, 8); the four of a vehicle in a row."""
    return edges_of(to_pixels(grid, outlines)).reshape(-1, 8)


@kernel
def outline_pixels(n: int, edges: FloatArray) -> BoolArray:
    """Pixels inside convex outlines given as four edges each, shape (n * n,)."""
    inside = np.zeros(n * n, np.bool_)
    for first in range(0, edges.shape[0], 4):
        box = edges[first : first + 4]
        for row in range(max(int(box[:, 1].min()), 0), min(int(box[:, 1].max()) + 2, n)):
            for col in range(max(int(box[:, 0].min()), 0), min(int(box[:, 0].max()) + 2, n)):
                u, v = col + SAMPLE_PX, row - SAMPLE_PX
                left = 0
                for e in range(4):
                    du, dv = box[e, 2] - box[e, 0], box[e, 3] - box[e, 1]
                    side = du * (v - box[e, 1]) - dv * (u - box[e, 0])
                    left += 1 if side > 0.0 else -1
                if abs(left) == 4:
                    inside[row * n + col] = True
    return inside
