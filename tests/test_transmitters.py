"""Transmitter placement."""

from __future__ import annotations

import numpy as np
import pytest
import shapely
from strategies import random_scene

from rmtools.city.rasters import touched_mask
from rmtools.errors import RecipeError
from rmtools.grid import Grid
from rmtools.radio.transmitters import PlacementConfig, place, place_scene
from rmtools.traffic.config import TrafficConfig
from rmtools.traffic.engine import generate

GRID = Grid(64)
NOTHING = np.zeros(GRID.shape, bool)
REACH = float(np.hypot(4, 2) / 2)


def placed(obstacle=NOTHING, drivable=NOTHING, seed=0, **options):
    config = PlacementConfig(**{"margin_m": 8.0, **options})
    return place(
        obstacle, drivable, GRID, config, np.random.default_rng(seed), vehicle_reach_m=REACH
    )


@pytest.mark.parametrize(("position", "remainder"), [("centre", 0.5), ("corner", 0.0)])
def test_count_height_position_margin_and_spacing(position, remainder):
    tx = placed(position=position, height_m=2.5, min_spacing_m=7.0)
    assert tx.shape == (20, 3)
    assert (tx[:, 2] == 2.5).all()
    assert (tx[:, :2] % 1 == remainder).all()
    assert tx[:, :2].min() >= 8
    assert tx[:, :2].max() <= 56
    gaps = np.hypot(*(tx[:, None, :2] - tx[None, :, :2]).transpose(2, 0, 1))
    assert gaps[np.triu_indices(20, 1)].min() >= 7.0


@pytest.mark.parametrize("position", ["centre", "corner"])
@pytest.mark.parametrize("seed", range(20))
def test_distance_to_walls_and_roads_in_random_masks(position, seed):
    rng = np.random.default_rng(seed)
    obstacle, drivable = rng.random((2, *GRID.shape)) < 0.01
    tx = placed(obstacle, drivable, seed, position=position, min_wall_m=1.5, min_spacing_m=0.0)
    points = shapely.points(tx[:, :2])
    for mask, least in ((obstacle, 1.5), (drivable, REACH)):
        x, y = GRID.centre(*np.nonzero(mask))
        squares = shapely.union_all(shapely.box(x - 0.5, y - 0.5, x + 0.5, y + 0.5))
        assert shapely.distance(points, squares).min() >= least


def test_roads_may_be_used_when_asked():
    everything = ~NOTHING
    with pytest.raises(RecipeError, match="clear_of_roads"):
        placed(drivable=everything)
    assert len(placed(drivable=everything, clear_of_roads=False)) == 20


@pytest.mark.parametrize("position", ["centre", "corner"])
def test_never_on_a_building_even_without_a_wall_distance(position):
    obstacle = NOTHING.copy()
    obstacle[:, ::2] = obstacle[:, -1] = True
    if position == "corner":  # every corner touches a building
        with pytest.raises(RecipeError, match="Everything is built up"):
            placed(obstacle, position=position, min_wall_m=0.0)
    else:
        tx = placed(obstacle, position=position, min_wall_m=0.0)
        assert not obstacle[GRID.pixel(tx[:, 0], tx[:, 1])].any()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"margin_m": 40.0}, "room for 0 of 20 transmitters.*margin_m"),
        ({"min_spacing_m": 30.0}, r"room for [1-9] of 20 transmitters.*min_spacing_m"),
    ],
)
def test_too_little_room_names_the_option_to_relax(options, message):
    with pytest.raises(RecipeError, match=message):
        placed(**options)


def test_the_default_margin_is_radiomapseers_central_box_at_any_size():
    tx = place(
        NOTHING, NOTHING, GRID, PlacementConfig(), np.random.default_rng(0), vehicle_reach_m=REACH
    )
    assert tx[:, :2].min() >= 64 * 53 / 256
    assert tx[:, :2].max() <= 64 * (1 - 53 / 256)


def test_closed_courtyards_are_used_only_when_asked():
    obstacle, drivable = NOTHING.copy(), NOTHING.copy()
    obstacle[10:50, 10:50] = True
    obstacle[15:45, 15:45] = False
    drivable[60:] = True
    with pytest.raises(RecipeError, match="courtyards"):
        placed(obstacle, drivable, margin_m=15.0)
    inside = placed(obstacle, drivable, margin_m=15.0, courtyards=True)
    assert ((inside[:, :2] > 14) & (inside[:, :2] < 50)).all()
    obstacle[30, 45:50] = False  # a gate
    assert len(placed(obstacle, drivable, margin_m=15.0)) == 20


def test_scene_is_named_when_it_has_no_room():
    scene = random_scene(np.random.default_rng(1), 96)
    with pytest.raises(RecipeError, match=f"^{scene.name}: there is room for 0 of 20"):
        place_scene(scene, PlacementConfig(margin_m=48.0), seed=0)


def test_no_vehicle_ever_covers_a_transmitter():
    checked = 0
    for number in range(20):
        scene = random_scene(np.random.default_rng(number), 128)
        config = PlacementConfig(margin_m=10.0, count=5, min_spacing_m=2.0)
        try:
            tx = place_scene(scene, config, seed=3)
        except RecipeError:
            continue
        traffic = TrafficConfig(vehicles=40, min_spacing_lengths=1.5, frames=20)
        tracks = generate(scene, traffic, seed=3, trajectory=0)
        points = shapely.points(tx[:, :2])
        vehicles = np.concatenate([tracks.outlines(frame) for frame in range(tracks.frames)])
        assert not shapely.STRtree(points).query(shapely.polygons(vehicles), "intersects").size
        assert not touched_mask(scene)[scene.grid.pixel(tx[:, 0], tx[:, 1])].any()
        checked += 1
    assert checked > 8


def test_same_seed_same_places_and_another_seed_others():
    scene = random_scene(np.random.default_rng(2), 128)
    config = PlacementConfig(margin_m=10.0, count=5)
    one, again, other = (place_scene(scene, config, seed) for seed in (1, 1, 2))
    np.testing.assert_array_equal(one, again)
    assert (one != other).any()
