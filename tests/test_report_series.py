"""The report's figures of sequences and sight, against formulas of their own."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from fakes_store import make_store
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.linalg import solve_toeplitz

from rmtools.report import series
from rmtools.report.material import gather
from rmtools.report.reader import Reader
from rmtools.report.series import moving_pixels, partial_autocorrelation
from rmtools.report.sight import Sight
from rmtools.units import MOTION_SCALE

if TYPE_CHECKING:
    from pathlib import Path

    from rmtools.store import Store


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    return make_store(tmp_path_factory.mktemp("series"), scenes=2)


def yule_walker(values: np.ndarray, lag: int) -> float:
    """Last coefficient of the autoregression of order `lag`, from its linear equations."""
    centred = values - values.mean()
    covariance = np.array([np.dot(centred[k:], centred[: len(values) - k]) for k in range(lag + 1)])
    return float(solve_toeplitz(covariance[:lag], covariance[1:])[-1])


@given(
    arrays(
        float,
        st.tuples(st.integers(4, 20), st.integers(1, 4)),
        elements=st.floats(-50, 50).map(lambda x: round(x, 3)),
    )
)
def test_partial_autocorrelation_solves_the_yule_walker_equations(values: np.ndarray) -> None:
    values = values[:, np.ptp(values, axis=0) > 0.01]
    lags = len(values) - 1
    found = partial_autocorrelation(values, lags)
    assert found.shape == (lags, values.shape[1])
    assert (np.abs(found) < 1 + 1e-9).all()
    for column in range(values.shape[1]):
        for lag in range(1, min(lags, 6) + 1):
            wanted = yule_walker(values[:, column], lag)
            assert found[lag - 1, column] == pytest.approx(wanted, rel=1e-5, abs=1e-6)


@pytest.mark.parametrize(
    ("coefficients", "wanted"),
    [
        # AR(1): the coefficient at lag 1, nothing beyond; AR(2): phi1 / (1 - phi2), phi2, nothing.
        ((0.7,), (0.7, 0.0, 0.0, 0.0)),
        ((-0.4,), (-0.4, 0.0, 0.0, 0.0)),
        ((0.5, 0.3), (0.5 / 0.7, 0.3, 0.0, 0.0)),
        ((0.9, -0.5), (0.9 / 1.5, -0.5, 0.0, 0.0)),
    ],
)
def test_long_autoregressions_have_their_closed_form(
    coefficients: tuple[float, ...], wanted: tuple[float, ...]
) -> None:
    noise = np.random.default_rng(5).normal(size=(60_500, 2))
    values = np.zeros_like(noise)
    for t in range(2, len(noise)):
        past = sum(c * values[t - 1 - i] for i, c in enumerate(coefficients))
        values[t] = past + noise[t]
    found = partial_autocorrelation(values[500:], 4)
    np.testing.assert_allclose(found, np.array(wanted)[:, None] * np.ones(2), atol=0.02)


def test_only_pixels_that_change_are_looked_at_and_not_too_many() -> None:
    values = np.zeros((15, 5000), np.float32)
    values[7, 1000:3000] = np.arange(2000)
    found = moving_pixels(values)
    assert found.shape == (15, series.MAX_PIXELS)
    assert (found[7] > 0).all()
    assert (found[7, 0], found[7, -1]) == (1, 1999)
    assert moving_pixels(values[:, :1000]).shape == (15, 0)


def test_the_report_averages_over_pixels_and_then_over_sequences(store: Store) -> None:
    statistics, _, _ = gather(store, MOTION_SCALE)
    means, sizes = [], []
    for s in range(2):
        for t in range(2):
            for k in range(2):
                maps = store.pathloss(s, t, k).reshape(15, -1).astype(float)
                moving = maps[:, np.ptp(maps, axis=0) > 0]  # NaN is not greater
                kept = min(400, moving.shape[1])
                chosen = np.linspace(0, moving.shape[1] - 1, kept).round().astype(int)
                moving = moving[:, chosen]
                lags = np.array([[yule_walker(x, lag) for lag in (1, 2, 3)] for x in moving.T])
                means.append(lags.mean(axis=0))
                sizes.append(np.abs(lags).mean(axis=0))
    assert statistics.remembering == 8
    np.testing.assert_allclose(statistics.memory[:3] / 8, np.mean(means, axis=0), rtol=1e-4)
    np.testing.assert_allclose(statistics.memory_size[:3] / 8, np.mean(sizes, axis=0), rtol=1e-4)


def test_line_of_sight_is_a_straight_line_past_the_buildings(store: Store) -> None:
    sight = Sight()
    reader = Reader(store)
    inside = store.inside_buildings(1)
    x, y, _ = store.transmitters(1)[0]
    row, col = (int(k) for k in store.grid.pixel(x, y))
    maps = store.pathloss(1, 0, 0)
    sight.add(reader, (1, 0), maps[0])
    sight.add(reader, (1, 0), maps[0])
    seen = 0
    losses = []
    for r, c in np.argwhere(~inside).tolist():
        # Points along the line, far denser than pixels; lines that only touch a corner may differ.
        steps = np.linspace(0.0, 1.0, 2000)
        rows = np.round(row + steps * (r - row)).astype(int)
        cols = np.round(col + steps * (c - col)).astype(int)
        if not inside[rows, cols].any():
            seen += 1
            losses.append(maps[0, r, c])
    (share,) = sight.shares
    assert share == pytest.approx(seen / (~inside).sum(), abs=0.02)
    assert sight.seen.total + sight.shadow.total == (~inside).sum()
    assert 0.2 < share < 1.0
    middle = np.average(sight.seen.edges[:-1] + 1.0, weights=sight.seen.counts)
    assert middle == pytest.approx(float(np.mean(losses)), abs=0.5)


def test_a_transmitter_without_a_place_has_no_sight(tmp_path: Path) -> None:
    made = make_store(tmp_path, scenes=1, traj=1, tx=2, frames=2)
    places = made.transmitters(0)
    places[0] = np.nan
    places[1, :2] = 1e6
    made.write_transmitters(0, places)
    _, sight, _ = gather(made, MOTION_SCALE)
    assert sight.shares == []
    assert sight.mean_share is None
