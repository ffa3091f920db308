"""The vehicle engine on hand-made streets, where every step can be worked out on paper."""

from __future__ import annotations

from math import asin, degrees, radians

import numpy as np
import pytest
import shapely
import traffic_reference
from pydantic import ValidationError

from rmtools.grid import Grid
from rmtools.traffic.config import TrafficConfig
from rmtools.traffic.drivable import drivable_field
from rmtools.traffic.engine import cells_of, desired_speeds, fleet_of, rules_of, simulate
from rmtools.traffic.motion import ALL, FRONT, advance, look
from rmtools.traffic.overlap import pose_at
from rmtools.traffic.tracks import State, outlines

GRID = Grid(96)
NOTHING = np.zeros(GRID.shape, bool)


def rng():
    return np.random.default_rng(0)


def street(*boxes):
    """Mask of boxes (west, south, east, north) in metres."""
    mask = np.zeros(GRID.shape, bool)
    for west, south, east, north in boxes:
        mask[GRID.n - north : GRID.n - south, west:east] = True
    return mask


def drive(road, obstacle=NOTHING, **options):
    """Tracks of random vehicles on a road."""
    config = TrafficConfig(**options)
    return simulate(drivable_field(road, obstacle, GRID, config), config, rng())


class Traffic:
    """Vehicles at given poses (x, y, radians), moved by the compiled engine and by the reference.

    Every frame of the two must be the same bits.
    """

    def __init__(self, field, config, poses):
        self.field, self.config, self.size = field, config, config.size
        self.cells, self.rules = cells_of(field, config), rules_of(config, field.grid)
        start = np.array(poses, float).reshape(-1, 3).T
        self.fleet = fleet_of(start, np.full(len(poses), config.speed_mps))
        self.reference = traffic_reference.Traffic(field, config, rng())
        self.reference.present[:] = True
        self.reference.x, self.reference.y, self.reference.heading = start.copy()
        self.reference.speed[:], self.reference.state[:] = 0.0, State.SEEDED
        self.reference.desired = self.fleet["desired"]

    def __getattr__(self, name):
        return self.fleet[name]

    def advance(self):
        advance(self.cells, self.field.obstacle, self.rules, self.fleet)
        self.reference.advance()
        for name in ("x", "y", "heading", "speed", "state", "still"):
            np.testing.assert_array_equal(self.fleet[name], getattr(self.reference, name))

    def degrees(self):
        return (np.degrees(self.heading) + 180) % 360 - 180

    def turns(self, x, y, heading, *, wide):
        """What the compiled probes find, compared with all that those of the reference find."""
        room = np.empty(ALL)
        here = pose_at(x, y, heading)
        count = look(self.cells, GRID.n, self.rules, here, ALL if wide else FRONT, room)
        found = room[:count].tolist()
        every = self.reference.turns(traffic_reference.Pose(x, y, heading), wide=wide)
        assert found == (every if wide or found != [0.0] else every[:1])
        return found


def traffic(road, *poses, obstacle=NOTHING, **options):
    """Vehicles at given poses (x, y, degrees) instead of random ones."""
    config = TrafficConfig(vehicles=len(poses), **options)
    field = drivable_field(road, obstacle, GRID, config)
    return Traffic(field, config, [(x, y, radians(degree)) for x, y, degree in poses])


def test_empty_straight_road_is_driven_at_one_metre_per_frame():
    road = street((0, 40, 96, 48))
    tracks = drive(road, vehicles=1, frames=15)
    x, y = tracks.x[:, 0], tracks.y[:, 0]
    sense = np.cos(np.radians(tracks.heading_deg[0, 0]))
    moving = tracks.state[1:, 0] == State.MOVING
    assert moving[:3].all()
    np.testing.assert_allclose(np.diff(x)[moving], sense, atol=0.1)
    np.testing.assert_allclose(np.hypot(np.diff(x), np.diff(y))[moving], 1.0, rtol=1e-12)
    np.testing.assert_allclose(tracks.speed_mps[1:, 0][moving], 10.0, rtol=1e-12)


def test_middle_of_an_axis_parallel_road_is_kept_exactly():
    cars = traffic(street((0, 40, 96, 49)), (20.5, 44.5, 0.0))
    for _ in range(20):
        cars.advance()
    assert (cars.x[0], cars.y[0], cars.heading[0]) == (40.5, 44.5, 0.0)


@pytest.mark.parametrize(
    ("road", "expected"),
    [
        (street((0, 60, 96, 69)), 0.0),  # north of the centre: eastwards
        (street((0, 20, 96, 29)), 180.0),
        (street((20, 0, 29, 96)), 90.0),
        (street((60, 0, 69, 96)), -90.0),
    ],
    ids=["north", "south", "west", "east"],
)
def test_flow_is_clockwise_about_the_centre_and_streets_are_one_way(road, expected):
    tracks = drive(road, vehicles=9, frames=1)
    assert tracks.present.sum() >= 2
    turn = (tracks.heading_deg[0, tracks.present] - expected + 180) % 360 - 180
    assert np.abs(turn).max() < 10


def test_one_step_towards_a_target_at_45_degrees_turns_18_degrees():
    # Only the probe at +45 degrees falls on the road: on the pixel that holds its very end.
    end = 6 / np.sqrt(2)
    road = street((19, 19, 22, 22), (22, 23, 28, 29))
    cars = traffic(road, (20.5, 20.5, 0.0), search_radius_lengths=0.0)
    row, col = (int(index) for index in GRID.pixel(20.5 + end, 20.5 + end))
    assert cars.field.lane[row, col]
    assert cars.turns(20.5, 20.5, 0.0, wide=False) == [radians(45)]
    cars.advance()
    assert degrees(cars.heading[0]) == pytest.approx(18.0)


def test_headings_are_interpolated_the_short_way_round():
    # Heading 170 degrees, road towards -145 degrees: 45 degrees to the left, across +-180.
    x, y = 50.5, 50.5
    end_x, end_y = x + 6 * np.cos(radians(215)), y + 6 * np.sin(radians(215))
    road = street((int(x) - 2, int(y) - 2, int(x) + 3, int(y) + 3))
    road |= street((int(end_x) - 1, int(end_y) - 1, int(end_x) + 2, int(end_y) + 2))
    cars = traffic(road, (x, y, 170.0), search_radius_lengths=0.0)
    assert cars.turns(x, y, radians(170), wide=False) == pytest.approx([radians(45)])
    cars.advance()
    assert degrees(cars.heading[0]) % 360 == pytest.approx(188.0)
    assert -np.pi <= cars.heading[0] <= np.pi


def test_of_two_equal_ways_the_right_one_is_taken():
    # The road ahead ends; what the side probes see is symmetric.
    road = street((46, 20, 51, 50), (30, 45, 67, 50))
    cars = traffic(road, (48.5, 47.5, 90.0), search_radius_lengths=1.0)
    turns = cars.turns(48.5, 47.5, np.pi / 2, wide=False)
    assert turns[0] < 0
    assert turns[0] == pytest.approx(-turns[1])


def test_wide_probes_come_after_more_than_three_still_frames_and_go_with_the_first_move():
    # Facing a wall at a T-junction; only 90 degrees to either side there is road.
    road = street((20, 46, 76, 49))
    cars = traffic(road, (48.5, 47.5, 90.0), search_radius_lengths=1.0)
    # The reference tells which probes were used; the compiled engine does the same, bit for bit.
    asked = []
    turns = cars.reference.turns

    def spy(here, *, wide):
        asked.append(wide)
        return turns(here, wide=wide)

    cars.reference.turns = spy
    for _ in range(4):
        cars.advance()
        assert (cars.x[0], cars.y[0], cars.heading[0]) == (48.5, 47.5, np.pi / 2)
        assert cars.state[0] == State.BLOCKED
    assert asked == [False] * 4
    assert cars.still[0] == 4
    cars.advance()
    assert asked[-1]
    # Towards the road on the right, 0.4 of 90 degrees.
    assert degrees(cars.heading[0]) == pytest.approx(54.0)
    while cars.still[0]:
        cars.advance()
        assert asked[-1]
    cars.advance()
    assert not asked[-1]
    for _ in range(6):
        cars.advance()
    assert cars.x[0] > 52
    assert abs(degrees(cars.heading[0])) < 10


def test_a_dead_end_is_left_again():
    wall = ~street((0, 40, 90, 52))
    cars = traffic(street((0, 43, 90, 49)), (80.5, 46.5, 0.0), obstacle=wall)
    for _ in range(60):
        cars.advance()
    assert cars.x[0] < 70
    assert abs(degrees(cars.heading[0])) > 150


def test_a_corner_is_taken():
    road = street((40, 10, 48, 60), (40, 52, 90, 60))
    cars = traffic(road, (44.5, 20.5, 90.0), obstacle=~street((38, 8, 50, 62), (38, 50, 92, 62)))
    for _ in range(60):
        cars.advance()
    assert cars.x[0] > 60
    assert abs(degrees(cars.heading[0])) < 10


def test_brakes_in_quarters_and_waits_behind_a_standing_vehicle():
    road = street((0, 40, 96, 49))
    cars = traffic(road, (20.5, 44.5, 0.0), (27.25, 44.5, 0.0))
    cars.desired[1] = 1e-9  # stands
    steps = []
    for _ in range(6):
        before = cars.x[0]
        cars.advance()
        steps.append((round(float(cars.x[0] - before), 6), State(int(cars.state[0]))))
    assert steps[:4] == [
        (1.0, State.MOVING),
        (1.0, State.MOVING),
        (0.5, State.SLOWED),
        (0.25, State.SLOWED),
    ]
    assert steps[4] == (0.0, State.WAITING)
    assert cars.x[1] - cars.x[0] >= 4.0


def test_turns_round_at_the_edge_of_the_tile_and_never_leaves_it():
    cars = traffic(street((0, 40, 96, 49)), (85.5, 44.5, 0.0))
    east = []
    for _ in range(40):
        cars.advance()
        east.append(cars.x[0])
        assert outlines(cars.x, cars.y, cars.degrees(), cars.size).max() <= 96
    assert max(east) > 92
    assert east[-1] < 85
    assert abs(degrees(cars.heading[0])) > 170


def test_crowded_road_gives_fewer_vehicles_not_an_endless_search():
    tracks = drive(street((0, 40, 96, 46)), vehicles=50, frames=3)
    placed = int(tracks.present.sum())
    # 92 m of road take at most 92 / 16 + 1 vehicles, and at least half as many at random.
    assert 3 <= placed <= 6
    assert (tracks.state[:, placed:] == State.ABSENT).all()
    assert np.isnan(tracks.x[:, placed:]).all()
    assert np.isnan(tracks.speed_mps[:, placed:]).all()


@pytest.mark.parametrize("spacing", [0.0, 0.5, 1.05])
def test_vehicles_start_apart_however_small_the_spacing(spacing):
    road = street((0, 40, 96, 52), (40, 0, 52, 96))
    tracks = drive(road, vehicles=40, frames=1, min_spacing_lengths=spacing)
    vehicles = shapely.polygons(tracks.outlines(0))
    assert len(vehicles) == 40
    assert shapely.union_all(vehicles).area == pytest.approx(40 * 8.0)


@pytest.mark.parametrize("road", [NOTHING, street((40, 40, 41, 41))])
def test_scene_without_usable_road_has_no_trouble(road):
    tracks = drive(road, ~road, frames=2)
    assert not tracks.present.any()
    assert tracks.x.shape == (2, 20)


@pytest.mark.parametrize("mask", [np.zeros((96, 96)), np.zeros((96, 95), bool)])
def test_masks_of_another_kind_or_grid_are_refused(mask):
    with pytest.raises(ValueError, match="road mask must be a boolean array of shape"):
        drive(mask)
    with pytest.raises(ValueError, match="obstacle mask must be a boolean array of shape"):
        drive(NOTHING, mask)


def test_a_field_made_for_other_vehicles_is_refused():
    field = drivable_field(NOTHING, NOTHING, GRID, TrafficConfig())
    with pytest.raises(ValueError, match=r"vehicle_width_m = 2 .*, not 2\.5"):
        simulate(field, TrafficConfig(vehicle_width_m=2.5), rng())


def test_warm_up_is_the_same_motion_recorded_later():
    road = street((0, 40, 96, 49), (40, 0, 49, 96))
    long = drive(road, vehicles=6, frames=40)
    late = drive(road, vehicles=6, frames=10, warmup_frames=30)
    np.testing.assert_array_equal(late.x, long.x[30:])
    np.testing.assert_array_equal(late.state[1:], long.state[31:])
    assert (late.speed_mps[0, late.present] == 0).all()


def test_speed_spread_is_uniform_about_the_mean():
    config = TrafficConfig(vehicles=1000, speed_mps=8.0, speed_spread=0.25)
    desired = desired_speeds(config, rng())
    assert 6.0 <= desired.min() < 6.05
    assert 9.95 < desired.max() <= 10.0
    assert desired.mean() == pytest.approx(8.0, abs=0.1)


@pytest.mark.parametrize(
    "options",
    [
        {"search_radius_lengths": 1.5},
        {"speed_mps": 41.0},
        {"cars": 3},
        {"smoothing": 0.0},
        {"min_spacing_lengths": float("inf")},
    ],
)
def test_senseless_options_are_refused(options):
    with pytest.raises(ValidationError):
        TrafficConfig(**options)


def test_all_distances_of_the_rules_follow_the_length_of_the_vehicle():
    car, small = TrafficConfig(), TrafficConfig(vehicle_length_m=3.0, vehicle_width_m=1.5)
    assert (car.min_spacing_m, car.lookahead_m, car.search_radius_m) == (16.0, 6.0, 5.0)
    assert (small.min_spacing_m, small.lookahead_m, small.search_radius_m) == (12.0, 4.5, 3.75)


@pytest.mark.parametrize("wide", [False, True])
def test_no_turn_exceeds_probe_angle_plus_search_radius(wide):
    config = TrafficConfig()
    random = np.random.default_rng(3)
    field = drivable_field(random.random(GRID.shape) < 0.02, NOTHING, GRID, config)
    cars = Traffic(field, config, [])
    widest = config.wide_angle_deg if wide else config.probe_angle_deg
    bound = radians(widest) + asin(config.search_radius_m / config.lookahead_m)
    seen = []
    for x, y, heading in random.uniform((3, 3, -3), (93, 93, 3), (500, 3)):
        turns = cars.turns(x, y, heading, wide=wide)
        assert [abs(t) for t in turns] == pytest.approx(sorted(abs(t) for t in turns))
        seen += turns
    assert 0.8 * bound < max(np.abs(seen)) <= bound + 1e-9


def test_even_the_pose_stays_when_turning_would_touch_a_wall():
    # In a lane barely wider than the vehicle there is no room to turn on the spot.
    wall = ~street((0, 44, 96, 47))
    cars = traffic(street((0, 44, 96, 47)), (93.4, 45.5, 0.0), obstacle=wall)
    for _ in range(20):
        cars.advance()
    assert abs(degrees(cars.heading[0])) < 30
    assert cars.x[0] <= 94
