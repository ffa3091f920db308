"""Line of sight and distance of the pixels of a map: geometry, and true maps."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import pytest
import shapely
from fakes_store import make_store
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from rmtools.errors import InputError
from rmtools.metrics.maps import open_maps
from rmtools.metrics.surroundings import (
    LINE_OF_SIGHT,
    SHADOW,
    SeerSurroundings,
    by_distance,
    by_line_of_sight,
    visible_from,
)

if TYPE_CHECKING:
    from pathlib import Path

N = 32


@settings(deadline=None, max_examples=40)
@given(data=st.data())
def test_what_is_seen_equals_geometry(data: st.DataObject) -> None:
    rows, cols = data.draw(st.tuples(st.integers(2, 8), st.integers(2, 8)))
    random = np.random.default_rng(data.draw(st.integers(0, 999)))
    blocked = random.random((rows, cols)) < data.draw(st.sampled_from([0.1, 0.3]))
    row, col = random.integers(rows), random.integers(cols)
    seen = visible_from(blocked, row, col)
    walls = [
        shapely.box(c, r, c + 1, r + 1)
        for r, c in np.argwhere(blocked).tolist()
        if (r, c) != (row, col)
    ]
    for r, c in np.ndindex(rows, cols):
        line = shapely.LineString([(col + 0.5, row + 0.5), (c + 0.5, r + 0.5)])
        free = all(line.intersection(wall).length < 1e-9 for wall in walls)
        assert seen[r, c] == (free and not blocked[r, c])


def test_a_transmitter_beside_the_map_is_refused() -> None:
    with pytest.raises(InputError, match="not on a map"):
        visible_from(np.zeros((4, 4), bool), 4, 0)


def test_distances_are_half_open_classes(tmp_path: Path) -> None:
    store = make_store(tmp_path, n=N, scenes=1, frames=1)
    maps = open_maps(store.path, truth=True)
    assert maps.surroundings is not None
    parts = by_distance(maps.surroundings, 0, 0, (0, 1, 5, math.inf))
    assert list(parts) == ["0 to 1 m", "1 to 5 m", "5 m and more"]
    x, y, _ = store.transmitters(0)[0]
    assert parts["0 to 1 m"].sum() == 1  # a transmitter on a pixel centre
    assert parts["0 to 1 m"][N - 1 - int(y), int(x)]


def test_line_of_sight_on_a_true_map(reference_data: Path) -> None:
    """RadioMapSeer's pixels in line of sight lose 25 dB per decade, those in shadow more."""
    root = reference_data / "radiomapseer"
    surroundings = SeerSurroundings(root)
    for tx in (0, 1, 10):
        levels = np.asarray(Image.open(root / f"gain/DPM/0_{tx}.png")).astype(float)
        distance = np.maximum(surroundings.distance_m(0, tx), 1)
        law = np.rint(255 * (147 - 47.857 - 25 * np.log10(distance)) / 99.16)
        obeyed = np.abs(law - levels) <= 1
        parts = by_line_of_sight(surroundings, 0, tx)
        assert obeyed[parts[LINE_OF_SIGHT]].mean() > 0.97
        assert obeyed[parts[SHADOW]].mean() < 0.02
        assert levels[~surroundings.buildings(0)].min() >= 0
        assert levels[surroundings.buildings(0)].max() == 0
