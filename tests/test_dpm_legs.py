"""Last legs that vehicles cut: all of them are found, and no others."""

from __future__ import annotations

import numpy as np
from dpm_scenes import random_city, scene
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from test_dpm_frames import random_cars

from rmtools.radio.dpm.frames import solve_base
from rmtools.radio.dpm.labels import LEG_CUT, SOURCE, copy_labels, place
from rmtools.radio.dpm.legs import mark_cut_legs, new_lifts
from rmtools.radio.dpm.solver import DominantPathSolver
from rmtools.radio.dpm.vehicles import make_vehicles
from rmtools.radio.dpm.visibility import FREE, STREET, blocker
from rmtools.radio.solver import Transmitter


@settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.integers(0, 10_000), st.sampled_from([1.5, 8.0]), st.sampled_from([1.5, 4.0]))
def test_cut_legs_are_those_whose_sight_line_a_vehicle_blocks(
    seed: int, transmitter_m: float, vehicle_m: float
) -> None:
    solver = DominantPathSolver("radiomapmotion")
    prepared = solver.prepare(scene(*random_city(seed), n=96))
    transmitter = Transmitter(48.3, 47.9, transmitter_m)
    source = solver._source(prepared, transmitter)
    without = solver._air(prepared, transmitter, prepared.no_vehicles)
    base = solve_base(without, source, copy_labels(prepared.labels))
    vehicles = make_vehicles(prepared.grid, random_cars(seed, 12, vehicle_m), 0.5)
    air = solver._air(prepared, transmitter, vehicles)
    lifts = new_lifts(base.labels.size)
    lifts.watch[:] = 0
    mark_cut_legs(air, source, base.labels, base.legs, lifts)

    def cut(node: int) -> bool:
        bend = int(base.labels["parent"][node])
        start_kind = STREET if bend == SOURCE else int(base.labels["kind"][bend])
        start = place(air.raster, base.labels, source.at, bend)
        at = place(air.raster, base.labels, source.at, node)
        kind = int(base.labels["kind"][node])
        return blocker(start, start_kind, at, kind, vehicles.walls) != FREE

    expected = [cut(int(node)) for node in base.order]
    np.testing.assert_array_equal(lifts.watch[base.order] & LEG_CUT != 0, expected)
    assert any(expected) or transmitter_m > vehicle_m
