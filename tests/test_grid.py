"""Pixels and metres."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rmtools.grid import Grid

grids = st.builds(Grid, st.integers(8, 512), st.sampled_from([0.5, 1.0, 2.0, 2.5]))


@given(grids, st.data())
def test_every_pixel_centre_lies_in_its_pixel(grid: Grid, data: st.DataObject) -> None:
    row = data.draw(st.integers(0, grid.n - 1))
    col = data.draw(st.integers(0, grid.n - 1))
    x, y = grid.centre(row, col)
    assert grid.pixel(x, y) == (row, col)
    assert (grid.x_centres()[col], grid.y_centres()[row]) == (x, y)
    assert grid.transform @ (col + 0.5, row + 0.5) == pytest.approx((float(x), float(y)))


def test_row_zero_is_north_and_a_pixel_owns_its_west_and_south_edge() -> None:
    grid = Grid(256, 1.0)
    assert grid.pixel(0.0, 255.99) == (0, 0)
    assert grid.pixel(0.0, 0.0) == (255, 0)
    assert grid.pixel(1.0, 1.0) == (254, 1)
    assert grid.contains(0.0, 0.0)
    assert not grid.contains(256.0, 0.0)
    assert np.all(np.diff(grid.y_centres()) == -1)


@pytest.mark.parametrize(("n", "resolution"), [(7, 1.0), (10_000, 1.0), (64, 0.0), (64, -1.0)])
def test_absurd_grids_are_refused(n: int, resolution: float) -> None:
    with pytest.raises(ValueError, match=r"pixels|resolution"):
        Grid(n, resolution)
