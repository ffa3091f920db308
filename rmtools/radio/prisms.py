"""Buildings and vehicles as triangle meshes, for solvers that trace rays.

Vertices are shared between the faces that meet in them, so that a ray tracer finds the edges at
which waves are diffracted. Faces are counter-clockwise seen from outside; nothing has a floor.
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import shapely

if TYPE_CHECKING:
    from collections.abc import Iterable

    from shapely.geometry import Polygon

    from rmtools.types import FloatArray, IntArray


class Mesh(NamedTuple):
    """Triangles in local metres.

    Attributes
    ----------
    vertices
        Shape (V, 3), float64; z is the height above the street.
    faces
        Indices of vertices, shape (F, 3), int64.
    """

    vertices: FloatArray
    faces: IntArray


def prism(footprint: Polygon, height_m: float) -> Mesh:
    """Walls and flat roof over a valid footprint; its interior rings are courtyards."""
    outline: Any = footprint.normalize()  # exterior clockwise, interiors counter-clockwise
    rings = [outline.exterior, *outline.interiors]
    corners = np.concatenate([shapely.get_coordinates(ring)[:-1] for ring in rings])
    index = {(x, y): i for i, (x, y) in enumerate(corners.tolist())}
    count = len(corners)
    walls: list[tuple[int, int, int]] = []
    for ring in rings:
        turn = [index[x, y] for x, y in ring.coords]
        for b, a in pairwise(turn):  # b to a has the street on its left
            walls += [(a, b, b + count), (a, b + count, a + count)]
    roof = []
    for triangle in shapely.get_parts(shapely.constrained_delaunay_triangles(outline)):
        ring = triangle.exterior if triangle.exterior.is_ccw else triangle.exterior.reverse()
        roof.append([index[x, y] + count for x, y in ring.coords[:3]])
    vertices = np.concatenate(
        [np.column_stack([corners, np.full(count, z)]) for z in (0.0, height_m)]
    )
    return Mesh(vertices, np.array([*walls, *roof], np.int64))


def city(footprints: Iterable[Polygon], heights_m: Iterable[float]) -> Mesh:
    """All buildings of a scene.

    Footprints of one height are united first: the corners of a wall between two houses are not
    corners of the block, and nothing is diffracted there.
    """
    by_height: dict[float, list[Polygon]] = {}
    for footprint, height_m in zip(footprints, heights_m, strict=True):
        by_height.setdefault(float(height_m), []).append(footprint)
    blocks = [
        (block, height_m)
        for height_m, group in sorted(by_height.items())
        for block in shapely.get_parts(shapely.union_all(group).simplify(0.0))
        if block.geom_type == "Polygon" and not block.is_empty
    ]
    return join(prism(block, height_m) for block, height_m in blocks)


def boxes(outlines: FloatArray, height_m: float) -> Mesh:
    """Vehicles, from the corners of their outlines, shape (V, 4, 2)."""
    return join(prism(shapely.Polygon(corners), height_m) for corners in outlines)


def square(west: float, south: float, east: float, north: float) -> Mesh:
    """The ground: a horizontal rectangle at height 0, seen from above."""
    corners = [[west, south, 0.0], [east, south, 0.0], [east, north, 0.0], [west, north, 0.0]]
    return Mesh(np.array(corners), np.array([[0, 1, 2], [0, 2, 3]], np.int64))


def join(meshes: Iterable[Mesh]) -> Mesh:
    """One mesh of several; without any, one of no vertices."""
    vertices: list[FloatArray] = [np.zeros((0, 3))]
    faces: list[IntArray] = [np.zeros((0, 3), np.int64)]
    count = 0
    for mesh in meshes:
        vertices.append(mesh.vertices)
        faces.append(mesh.faces + count)
        count += len(mesh.vertices)
    return Mesh(np.concatenate(vertices), np.concatenate(faces))
