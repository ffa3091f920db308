from __future__ import annotations

import math

import numpy as np
import pytest
import shapely
from hypothesis import example, given, settings
from hypothesis import strategies as st
from pyproj import CRS
from shapely.affinity import rotate, translate
from shapely.geometry import Point, Polygon

from rmtools.city.areas import inner_rectangle, project, utm_crs

AT = (5e5, 5.8e6)


def size(bounds: tuple[float, float, float, float]) -> tuple[float, float]:
    return bounds[2] - bounds[0], bounds[3] - bounds[1]


@settings(deadline=None, max_examples=15)
@given(st.floats(300, 3000), st.floats(300, 3000), st.floats(-4, 4))
@example(300.0, 2224.0, 4.0)
def test_upright_rectangle_in_a_turned_one(width: float, height: float, degrees: float) -> None:
    polygon = translate(rotate(shapely.box(0, 0, width, height), degrees), *AT)
    found = inner_rectangle(polygon)
    assert polygon.buffer(1e-6).covers(shapely.box(*found))
    sine, cosine = abs(math.sin(math.radians(degrees))), math.cos(math.radians(degrees))
    short, long = sorted((width, height))
    if short > 2 * sine * cosine * long:
        # All four corners touch the outline: w cos + h sin = width, w sin + h cos = height.
        largest = np.linalg.solve([[cosine, sine], [sine, cosine]], [width, height]).prod()
    else:
        # The short sides are far away: w cos + h sin = short alone, most where both terms are half.
        largest = short**2 / (4 * sine * cosine)
    assert math.prod(size(found)) == pytest.approx(largest, rel=1e-3)


@settings(deadline=None, max_examples=10)
@given(st.integers(0, 2**32 - 1))
def test_inside_any_polygon_and_not_to_be_extended(seed: int) -> None:
    corners = np.random.default_rng(seed).uniform(0, 1000, (12, 2))
    polygon = shapely.union_all([Point(*corner).buffer(200, quad_segs=3) for corner in corners])
    polygon = max(shapely.get_parts(polygon), key=lambda part: part.area)
    west, south, east, north = inner_rectangle(polygon)
    slack = polygon.buffer(1e-3)
    assert slack.covers(shapely.box(west, south, east, north))
    assert not slack.covers(shapely.box(west, south - 1, east, north))
    assert not slack.covers(shapely.box(west, south, east, north + 1))


def test_l_shape_gives_its_larger_arm() -> None:
    polygon = Polygon([(0, 0), (900, 0), (900, 300), (200, 300), (200, 800), (0, 800)])
    assert size(inner_rectangle(polygon)) == pytest.approx((900, 300), abs=0.1)


@given(st.floats(-179.9, 179.9), st.floats(-79, 83))
def test_utm_zone_holds_the_point(longitude: float, latitude: float) -> None:
    area = CRS(utm_crs(longitude, latitude)).area_of_use
    assert area.west - 1e-9 <= longitude <= area.east + 1e-9
    assert area.south <= latitude <= area.north


def test_projection_keeps_ground_distances() -> None:
    # One minute of latitude is a nautical mile; UTM shrinks it by 0.04 % on the central meridian.
    line = shapely.LineString([(15.0, 52.0), (15.0, 52.0 + 1 / 60)])
    assert project(line, "EPSG:32633").length == pytest.approx(1854.5 * 0.9996, rel=1e-3)
