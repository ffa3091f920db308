"""What the report counts: against the whole array, closed forms, and invariants."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from fakes_store import (
    make_store,
)
from hypothesis import given
from hypothesis import strategies as st
from report_page import Page

from rmtools.report import charts, figures
from rmtools.report.html import write_report
from rmtools.report.material import gather
from rmtools.report.statistics import Histogram, Statistics, sampled, target_window
from rmtools.units import MOTION_SCALE

if TYPE_CHECKING:
    from pathlib import Path

    from rmtools.store import Store


def collect(store: Store, max_sequences: int = 1000) -> Statistics:
    return gather(store, MOTION_SCALE, max_sequences)[0]


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    return make_store(tmp_path_factory.mktemp("report"))


def test_statistics_equal_those_of_the_whole_array(store: Store) -> None:
    found = collect(store)
    sizes = store.sizes
    units = [(s, t) for s in range(sizes.scene) for t in range(sizes.traj)]
    whole = np.stack([store.pathloss_unit(s, t) for s, t in units])
    step = np.diff(whole, axis=2)
    finite = np.isfinite(step)
    assert found.sequences == found.available == sizes.scene * sizes.traj * sizes.tx
    assert found.loss.total == np.isfinite(whole).sum()
    assert found.compared == finite.sum()
    assert found.changed == (np.abs(step[finite]) > 0).sum()
    assert found.consecutive.rms == pytest.approx(np.sqrt(np.mean(step[finite] ** 2)))
    levels = MOTION_SCALE.encode(whole) / 255.0
    error = levels[:, :, 10:] - levels[:, :, 9:10]
    assert found.repeat_error.mean_square == pytest.approx(np.mean(error**2))
    assert found.target_power.mean_square == pytest.approx(np.mean(levels[:, :, 10:] ** 2))
    centres = np.arange(250) + 0.5
    mean = (found.loss.counts * centres).sum() / found.loss.total
    assert mean == pytest.approx(np.nanmean(whole), abs=0.5)
    tracks = [store.tracks(s, t) for s, t in units]
    assert found.vehicles == [track.present.sum() for track in tracks]


def test_a_steady_drift_gives_its_closed_form(tmp_path: Path) -> None:
    made = make_store(tmp_path, scenes=1, traj=1, tx=1, n=16, frames=15)
    drift = 1.5
    frames = 80.0 + drift * np.arange(15)[:, None, None] + np.zeros((15, 16, 16))
    made.write_pathloss(0, 0, frames[None])
    found = collect(made)
    assert found.changed == found.compared == 14 * 256
    assert found.consecutive.rms == pytest.approx(drift)
    assert found.change.counts.nonzero()[0].tolist() == [round((drift + 20) / 0.5)]
    for f, moment in enumerate(found.from_first):
        assert (moment.rms or 0.0) == pytest.approx(drift * f)
    # RMS of 1, 2, 3, 4, 5 drifts is sqrt(11) drifts; a grey step is the resolution.
    assert found.repeat_error.rms == pytest.approx(drift * 11**0.5 / 95.5, abs=1 / 255)
    assert found.clipped == 0


def test_sequences_that_were_never_written_are_counted_and_left_out(tmp_path: Path) -> None:
    made = make_store(tmp_path, scenes=2, traj=1, tx=2, frames=3)
    before = collect(made)
    made.write_pathloss(1, 0, np.full((2, 3, 48, 48), np.nan))
    after = collect(made)
    assert (before.empty, after.empty) == (0, 2)
    assert 0 < after.loss.total < before.loss.total
    text = Page(write_report(made, tmp_path / "r.html")).plain
    assert "2 of the 4 sequences looked at hold no value yet" in text


@pytest.mark.parametrize(
    ("frames", "window"),
    [(1, None), (2, (0, (1, 1))), (6, (3, (4, 5))), (15, (9, (10, 14))), (40, (9, (10, 14)))],
)
def test_targets_follow_the_context(
    frames: int, window: tuple[int, tuple[int, int]] | None
) -> None:
    assert target_window(frames) == window


@given(st.integers(1, 5000), st.integers(2, 300))
def test_a_sample_is_even_bounded_and_holds_both_ends(total: int, most: int) -> None:
    chosen = sampled(total, most)
    assert len(chosen) == min(total, most)
    assert (chosen[0], chosen[-1]) == (0, total - 1)
    gaps = np.diff(chosen)
    assert len(gaps) == 0 or (gaps.min() >= 1 and gaps.max() - gaps.min() <= 1)


@given(st.lists(st.floats(-30, 30), min_size=1, max_size=50))
def test_a_histogram_counts_every_value_once(values: list[float]) -> None:
    histogram = Histogram.empty(-20.0, 20.0, 80)
    histogram.add(np.array(values))
    assert histogram.total == len(values)
    trimmed = charts.trimmed(histogram)
    assert trimmed.total == len(values)
    assert trimmed.counts[0] > 0
    assert trimmed.counts[-1] > 0
    low, high = np.clip([min(values), max(values)], -20, 20)
    assert trimmed.low - 1e-9 <= low <= high <= trimmed.high


@given(st.lists(st.integers(0, 500), min_size=1, max_size=20), st.booleans())
def test_few_values_spread_over_whole_bins(values: list[int], centred: bool) -> None:  # noqa: FBT001 - drawn by Hypothesis
    histogram = figures.spread(values, centred=centred)
    bins = len(histogram.counts)
    width = (histogram.high - histogram.low) / bins
    assert 6 <= bins <= 20
    assert width == round(width) >= 1
    assert histogram.low <= min(values)
    assert max(values) < histogram.high
    inside = [((v >= e) & (v < e + width)) for v in values for e in histogram.edges[:-1]]
    assert histogram.total == sum(inside) == len(values)
