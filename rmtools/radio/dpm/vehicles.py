"""Vehicle outlines as walls and pixels of one frame."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from rmtools.kernel import hot_kernel
from rmtools.radio.dpm.frames import Vehicles
from rmtools.radio.dpm.visibility import STREET
from rmtools.radio.dpm.walls import build_walls, edges_of, to_pixels

if TYPE_CHECKING:
    from rmtools.grid import Grid
    from rmtools.radio.solver import Obstacles
    from rmtools.types import FloatArray, IntArray, LabelArray

SAMPLE_PX = 1e-3
"""Pixels are sampled this far north-east of their centre, as buildings are: an outline owns its
west and south edge."""


DISC_MARGIN_PX = 0.1
"""More than the tolerance of the sight-line test."""


def outline_edges(grid: Grid, outlines: FloatArray) -> FloatArray:
    """Edges of vehicle outlines in pixels, shape (4 * V, 8); the four of a vehicle in a row."""
    return edges_of(to_pixels(grid, outlines)).reshape(-1, 8)


def make_vehicles(grid: Grid, labels: LabelArray, obstacles: Obstacles) -> Vehicles:
    """Vehicles of a frame in pixels.

    Parameters
    ----------
    grid, labels
        Of the scene.
    obstacles
        The vehicles in metres.
    """
    outlines = np.asarray(obstacles.outlines, np.float64)
    edges = outline_edges(grid, outlines)
    top = obstacles.height_m / grid.resolution_m
    walls = build_walls(edges, np.full(len(edges), top), grid.n)
    corners = to_pixels(grid, outlines)
    centre = corners.mean(axis=1)
    radius = np.linalg.norm(corners - centre[:, None], axis=-1).max(axis=1, initial=0.0)
    nodes = outline_nodes(grid.n, edges)
    nodes = nodes[labels["kind"][nodes] == STREET]
    return Vehicles(walls, np.column_stack([centre, radius + DISC_MARGIN_PX]), nodes, top)


def outline_nodes(n: int, edges: FloatArray) -> IntArray:
    """Nodes inside convex outlines given as four edges each, some perhaps twice."""
    count = _collect(n, edges, np.empty(0, np.int32))
    nodes = np.empty(count, np.int32)
    _collect(n, edges, nodes)
    return nodes


@hot_kernel
def _collect(n: int, edges: FloatArray, nodes: IntArray) -> int:
    """Count the nodes inside outlines, and store them when there is room."""
    count = 0
    for first in range(0, edges.shape[0], 4):
        west, east, north, south = math.inf, -math.inf, math.inf, -math.inf
        for e in range(first, first + 4):
            west, east = min(west, edges[e, 0]), max(east, edges[e, 0])
            north, south = min(north, edges[e, 1]), max(south, edges[e, 1])
        for row in range(max(int(north), 0), min(int(south) + 2, n)):
            for col in range(max(int(west), 0), min(int(east) + 2, n)):
                u, v = col + SAMPLE_PX, row - SAMPLE_PX
                left = 0
                for e in range(first, first + 4):
                    du, dv = edges[e, 2] - edges[e, 0], edges[e, 3] - edges[e, 1]
                    side = du * (v - edges[e, 1]) - dv * (u - edges[e, 0])
                    left += 1 if side > 0.0 else -1
                if abs(left) == 4:
                    if nodes.size:
                        nodes[count] = (row + 1) * (n + 2) + col + 1
                    count += 1
    return count
