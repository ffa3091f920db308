"""Buildings as triangle meshes: closed, oriented, sharing vertices, without inner walls."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from shapely.affinity import rotate
from shapely.geometry import Polygon, box

from rmtools.radio.prisms import Mesh, boxes, city, prism, square


def area_vectors(mesh: Mesh) -> np.ndarray:
    a, b, c = np.moveaxis(mesh.vertices[mesh.faces], 1, 0)
    return np.cross(b - a, c - a) / 2


def volume(mesh: Mesh) -> float:
    """By the divergence theorem; the missing floor lies at height 0 and adds nothing."""
    centres = mesh.vertices[mesh.faces].mean(axis=1)
    return float((centres * area_vectors(mesh)).sum() / 3)


def surface(mesh: Mesh) -> float:
    return float(np.linalg.norm(area_vectors(mesh), axis=1).sum())


def open_edges(mesh: Mesh) -> list[tuple[int, int]]:
    """Directed edges of faces that no other face has in the other direction."""
    edges = Counter((int(f[i]), int(f[(i + 1) % 3])) for f in mesh.faces for i in range(3))
    assert max(edges.values()) == 1
    return [edge for edge in edges if edge[::-1] not in edges]


@st.composite
def footprints(draw: st.DrawFn) -> Polygon:
    """A turned star with a courtyard, or an L."""
    angle = draw(st.floats(0, 360))
    if draw(st.booleans()):
        wide = draw(st.floats(5, 40))
        outline: Polygon = Polygon(
            [(0, 0), (wide, 0), (wide, 4), (4, 4), (4, 30), (0, 30)],
        )
    else:
        radii = np.tile([draw(st.floats(20, 30)), draw(st.floats(10, 19))], 5)
        turns = np.linspace(0, 2 * np.pi, 10, endpoint=False)
        points = np.column_stack([radii * np.cos(turns), radii * np.sin(turns)])
        outline = Polygon(points, [box(-3, -4, 5, 2).exterior])
    return rotate(outline, angle)


@settings(deadline=None)
@given(footprints(), st.floats(0.5, 300))
def test_a_prism_has_the_volume_and_surface_of_its_building(
    footprint: Polygon, height: float
) -> None:
    mesh = prism(footprint, height)
    assert volume(mesh) == pytest.approx(footprint.area * height)
    assert surface(mesh) == pytest.approx(footprint.area + footprint.length * height)
    edges = open_edges(mesh)
    assert all((mesh.vertices[list(edge), 2] == 0).all() for edge in edges), "only the floor"
    corners = (
        len(footprint.exterior.coords) - 1 + sum(len(r.coords) - 1 for r in footprint.interiors)
    )
    assert len(edges) == corners


def test_houses_in_a_row_become_one_block() -> None:
    block = city([box(0, 0, 10, 10), box(10, 0, 25, 10), box(30, 0, 40, 10)], [12.0, 12.0, 12.0])
    assert surface(block) == pytest.approx(250 + 70 * 12 + 100 + 40 * 12)
    assert len(block.vertices) == 16, "no corner where the houses meet"


def test_houses_of_different_heights_stay_apart() -> None:
    mesh = city([box(0, 0, 10, 10), box(10, 0, 25, 10)], [12.0, 20.0])
    assert volume(mesh) == pytest.approx(100 * 12 + 150 * 20)
    assert set(mesh.vertices[:, 2]) == {0.0, 12.0, 20.0}


def test_without_buildings_and_vehicles_there_is_no_face() -> None:
    assert city([], []).faces.shape == boxes(np.zeros((0, 4, 2)), 1.5).faces.shape == (0, 3)


def test_vehicles_and_ground() -> None:
    outlines = np.array([[(0, 0), (4, 0), (4, 2), (0, 2)], [(9, 9), (9, 13), (7, 13), (7, 9)]])
    assert volume(boxes(outlines.astype(float), 1.5)) == pytest.approx(2 * 4 * 2 * 1.5)
    assert area_vectors(square(-1, -2, 3, 4)).sum(axis=0) == pytest.approx([0, 0, 24])
