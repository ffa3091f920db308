"""Tracks made elsewhere: the same vehicles at the same places at the same times."""

from __future__ import annotations

import gzip
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pyproj import CRS, Proj, Transformer

from rmtools.errors import RecipeError
from rmtools.layouts.motion import tracks_csv
from rmtools.radio.dpm.solver import DominantPathSolver
from rmtools.radio.solver import Obstacles, Transmitter
from rmtools.scene import Frame, Provenance, Scene
from rmtools.traffic.config import TrackFiles, TrafficConfig
from rmtools.traffic.imports import file_of, identify_files, import_tracks
from rmtools.traffic.tracks import State, Tracks, VehicleSize, outlines

if TYPE_CHECKING:
    from pathlib import Path

EASTING, NORTHING = 385_000.0, 6_672_000.0
PLAIN_NET = '<net><location netOffset="100.00,-50.00" convBoundary="0,0,1,1" {}/></net>'


def empty_scene(crs: str | None = None, n: int = 64) -> Scene:
    """A tile without anything on it."""
    place = {} if crs is None else {"crs": crs, "easting_m": EASTING, "northing_m": NORTHING}
    provenance = Provenance(
        source="x", reader="osm-extract", sha256="0" * 64, date=None, licence="x", attribution="x"
    )
    return Scene("s", Frame(n=n, resolution_m=1.0, **place), (), (), provenance)


def fcd(*steps: tuple[float, dict[str, tuple[float, float, float]]]) -> str:
    """FCD text of steps: time, and (x, y, angle) by vehicle."""
    text = ['<?xml version="1.0" encoding="UTF-8"?>', "<fcd-export>"]
    for time, vehicles in steps:
        text.append(f'<timestep time="{time!r}">')
        for name, (x, y, angle) in vehicles.items():
            text.append(f'<vehicle id="{name}" x="{x!r}" y="{y!r}" angle="{angle!r}" speed="1"/>')
        text.append("</timestep>")
    return "\n".join([*text, "</fcd-export>"])


def local_net(folder: Path) -> str:
    """A net without projection: its coordinates are local metres, shifted."""
    path = folder / "local.net.xml"
    path.write_text(PLAIN_NET.format('origBoundary="0,0,1,1" projParameter="!"'))
    return str(path)


def read_local(folder: Path, text: str, **more: Any) -> list[Tracks]:
    """Import FCD text in the coordinates of :func:`local_net`."""
    path = folder / "a.fcd.xml"
    path.write_text(text)
    given = {"frames": 3, "trajectories": 1, "vehicles": 4} | {
        key: more.pop(key) for key in list(more) if key in TrafficConfig.model_fields
    }
    tracks = TrackFiles(files=str(path), net=local_net(folder), **more)
    return import_tracks(empty_scene(), 0, TrafficConfig(tracks=tracks, **given))


@pytest.mark.parametrize(
    ("angle", "heading", "centre"),
    [
        (0.0, 90.0, (30.0, 18.0)),
        (90.0, 0.0, (28.0, 20.0)),
        (180.0, -90.0, (30.0, 22.0)),
        (270.0, -180.0, (32.0, 20.0)),
        (225.0, -135.0, (30 + 2**0.5, 20 + 2**0.5)),
    ],
)
def test_the_centre_is_half_a_length_behind_the_front_bumper(
    tmp_path: Path, angle: float, heading: float, centre: tuple[float, float]
) -> None:
    text = fcd((5.0, {"a": (130.0, -30.0, angle)}))
    (tracks,) = read_local(tmp_path, text, frames=1, vehicles=1)
    assert (tracks.x[0, 0], tracks.y[0, 0]) == pytest.approx(centre, abs=1e-9)
    assert (tracks.heading_deg[0, 0] - heading + 180) % 360 - 180 == pytest.approx(0, abs=1e-9)
    assert -180 <= tracks.heading_deg[0, 0] < 180
    assert tracks.state[0, 0] == State.SEEDED
    front = tracks.outlines(0)[0, :2].mean(axis=0)
    assert front == pytest.approx([30.0, 20.0], abs=1e-9)


def test_coordinates_of_another_projection_are_turned_as_the_ground_is(tmp_path: Path) -> None:
    """A net in the neighbouring UTM zone; the oracle is PROJ's own meridian convergence."""
    zones = Transformer.from_crs("EPSG:32635", "EPSG:32634", always_xy=True)
    x, y = zones.transform(EASTING + 30, NORTHING + 20)
    text = fcd((0.0, {"a": (x, y, 30.0)}))
    (tmp_path / "a.xml").write_text(text)
    tracks = TrackFiles(files=str(tmp_path / "a.xml"), crs="EPSG:32634")
    config = TrafficConfig(frames=1, trajectories=1, vehicles=1, tracks=tracks)
    (found,) = import_tracks(empty_scene("EPSG:32635"), 0, config)
    lon, lat = Transformer.from_crs("EPSG:32635", "EPSG:4326", always_xy=True).transform(
        EASTING + 30, NORTHING + 20
    )
    there, here = (
        Proj(CRS(name)).get_factors(lon, lat).meridian_convergence
        for name in ("EPSG:32634", "EPSG:32635")
    )
    turned = 60.0 + (here - there)  # the grid's north lies that far from the other's
    assert found.heading_deg[0, 0] == pytest.approx(turned, abs=0.01)
    assert abs(here - there) > 5  # so the test would notice
    front = found.outlines(0)[0, :2].mean(axis=0)
    assert front == pytest.approx([30.0, 20.0], abs=0.01)


def test_long_steps_become_frames_on_the_straight_line_the_short_way_round(tmp_path: Path) -> None:
    text = fcd((0.0, {"a": (130.0, -20.0, 350.0)}), (1.0, {"a": (130.0, -10.0, 10.0)}))
    (tracks,) = read_local(tmp_path, text, frames=11, vehicle_length_m=1e-9, vehicle_width_m=1)
    assert tracks.x[:, 0] == pytest.approx(30.0)
    assert tracks.y[:, 0] == pytest.approx(30.0 + np.arange(11))
    assert tracks.heading_deg[:, 0] == pytest.approx(100.0 - 2 * np.arange(11))
    assert tracks.speed_mps[:, 0] == pytest.approx([0.0, *[10.0] * 10])
    assert tracks.state[:, 0].tolist() == [State.SEEDED, *[State.MOVING] * 10]


def test_steps_that_are_no_multiple_of_a_frame_are_interpolated(tmp_path: Path) -> None:
    steps = [(0.25 * k, {"a": (100.0 + 2.5 * k, 0.0, 90.0)}) for k in range(5)]
    (tracks,) = read_local(tmp_path, fcd(*steps), frames=11)
    assert tracks.x[:, 0] == pytest.approx(
        np.where(np.arange(11) < 2, np.nan, np.arange(11.0) - 2), nan_ok=True
    )


def test_vehicles_come_and_go_and_keep_their_slot(tmp_path: Path) -> None:
    """a drives onto the tile from the west, b leaves the simulation and comes back."""
    steps = []
    for k in range(6):
        step = {"far": (10_000.0, 0.0, 0.0), "a": (101.0 + k, -20.0, 90.0)}
        if k not in (2, 3):
            step["b"] = (150.0, -10.0, 0.0)
        steps.append((120.0 + k / 10, step))
    (tracks,) = read_local(tmp_path, fcd(*steps), frames=6, vehicles=4)
    # b was there first; a is on the tile when its centre is, two metres behind its front
    there = ~np.isnan(tracks.x)
    assert there[:, 0].tolist() == [True, True, False, False, True, True]
    assert there[:, 1].tolist() == [False, True, True, True, True, True]
    assert not there[:, 2:].any()
    s, m, w, no = State.SEEDED, State.MOVING, State.WAITING, State.ABSENT
    assert tracks.state[:, 0].tolist() == [s, w, no, no, s, w]
    assert tracks.state[:, 1].tolist() == [no, s, m, m, m, m]
    assert tracks.speed_mps[:, 1].tolist()[1:] == pytest.approx([0, 10, 10, 10, 10])
    for field in (tracks.y, tracks.heading_deg, tracks.speed_mps):
        assert np.array_equal(np.isnan(field), ~there)
    assert tracks.present.tolist() == [True, True, False, False]
    assert [len(tracks.outlines(f)) for f in range(6)] == [1, 2, 1, 1, 2, 2]
    # half of a sticks out of the tile where it enters; the mask holds the other half
    assert tracks.outlines(1)[1, :, 0].min() == pytest.approx(-2.0)
    grid = empty_scene().grid
    assert tracks.mask(1, grid)[:, :2].sum() == 4


def test_one_file_serves_several_trajectories_and_a_pattern_names_several_files(
    tmp_path: Path,
) -> None:
    steps = [(k / 10, {"a": (110.0 + k / 10, -20.0, 90.0)}) for k in range(60)]
    text = fcd(*steps)
    whole = read_local(tmp_path, text, frames=10, trajectories=3, begin_s=1.0)
    assert [t.x[0, 0] for t in whole] == pytest.approx([9.0, 10.0, 11.0])
    apart = read_local(tmp_path, text, frames=10, trajectories=3, every_s=2.5)
    assert [t.x[0, 0] for t in apart] == pytest.approx([8.0, 10.5, 13.0])
    for t in range(2):
        (tmp_path / f"s_{t:02d}.xml.gz").write_bytes(gzip.compress(fcd(*steps[t:]).encode()))
    tracks = TrackFiles(
        files=str(tmp_path / "{scene}_{trajectory:02d}.xml.gz"), net=local_net(tmp_path)
    )
    config = TrafficConfig(frames=10, trajectories=2, vehicles=1, tracks=tracks)
    found = import_tracks(empty_scene(), 0, config)
    assert [t.x[0, 0] for t in found] == pytest.approx([8.0, 8.1])
    assert list(identify_files(tracks)["files"]) == ["s_00.xml.gz", "s_01.xml.gz"]


def test_more_vehicles_than_slots_is_an_error_that_says_how_many(tmp_path: Path) -> None:
    step = {f"v{k}": (110.0 + 8 * (k % 6), -40.0 + 8 * (k // 6), 90.0) for k in range(25)}
    with pytest.raises(
        RecipeError, match=r"traffic\.vehicles: 25 vehicles .* Set traffic\.veh.*=25"
    ):
        read_local(tmp_path, fcd((0.0, step)), frames=1, vehicles=20)


def test_names_of_files(tmp_path: Path) -> None:
    source = TrackFiles(files="/d/env_{index:03d}/{scene}/traj_{trajectory:02d}/tracks.csv")
    assert str(file_of(source, "berlin", 7, 3)) == "/d/env_007/berlin/traj_03/tracks.csv"
    odd = tmp_path / "a[1]"
    odd.mkdir()
    (odd / "x_0.csv").write_text("frame,vehicle,x_m,y_m,heading_deg\n")
    names = identify_files(TrackFiles(files=str(odd / "x_{trajectory}.csv")))
    assert list(names["files"]) == ["x_0.csv"]
    assert names["net"] is None


def test_a_vehicle_that_sticks_out_of_the_tile_is_solved(tmp_path: Path) -> None:
    """The part on the tile casts its shadow; one that is wholly outside changes nothing."""
    solver = DominantPathSolver("radiomapmotion")
    scene = empty_scene()
    prepared, transmitter = solver.prepare(scene), Transmitter(20.5, 1.5)
    still = solver.solve(prepared, transmitter)
    size = VehicleSize()
    for x, y, heading in ((30.0, 0.5, 0.0), (30.0, 0.1, 90.0), (40.0, 0.9, -30.0)):
        box = outlines(np.array([x]), np.array([y]), np.array([heading]), size)
        moved = solver.solve(prepared, transmitter, Obstacles(box))
        assert np.isfinite(moved).all()
        assert (moved[:, 45:] > still[:, 45:]).any()  # behind it
        assert np.array_equal(moved[:, :20], still[:, :20])  # on the other side
    away = outlines(np.array([80.0]), np.array([80.0]), np.array([30.0]), size)
    assert np.array_equal(solver.solve(prepared, transmitter, Obstacles(away)), still)


# -- tables --------------------------------------------------------------------------------------


@st.composite
def any_tracks(draw: st.DrawFn) -> Tracks:
    """Vehicles that come and go on a tile of 64 m, in slots in the order they appear."""
    frames, vehicles = draw(st.integers(1, 6)), draw(st.integers(1, 4))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    here = rng.random((frames, vehicles)) < 0.7
    here = here[:, here.any(axis=0)]
    first = np.where(here.any(axis=0), here.argmax(axis=0), frames)
    here = here[:, np.argsort(first, kind="stable")]
    shape = here.shape
    x = np.where(here, 30 + rng.uniform(-4, 4, shape), np.nan)
    y = np.where(here, 30 + rng.uniform(-4, 4, shape), np.nan)
    heading = np.where(here, rng.uniform(-180, 180, shape), np.nan)
    new = here.copy()
    new[1:] &= ~here[:-1]
    speed = np.zeros(shape)
    speed[1:] = np.hypot(np.diff(x, axis=0), np.diff(y, axis=0)) / 0.1
    speed = np.where(new, 0.0, np.where(here, speed, np.nan))
    state = np.where(new, 0, rng.integers(1, 5, shape))
    state = np.where(here, state, -1).astype(np.int8)
    return Tracks(x, y, heading, speed, state, VehicleSize())


@settings(max_examples=50, deadline=None)
@given(any_tracks())
def test_the_table_of_the_motion_layout_reads_back_exactly(
    tmp_path_factory: pytest.TempPathFactory, tracks: Tracks
) -> None:
    path = tmp_path_factory.mktemp("csv") / "tracks.csv"
    path.write_text(tracks_csv(tracks))
    config = TrafficConfig(
        frames=tracks.frames, trajectories=1, vehicles=5, tracks=TrackFiles(files=str(path))
    )
    (found,) = import_tracks(empty_scene(), 0, config)
    used = tracks.x.shape[1]
    for name in ("x", "y", "heading_deg", "speed_mps", "state"):
        ours, theirs = getattr(tracks, name), getattr(found, name)
        assert np.array_equal(ours, theirs[:, :used], equal_nan=True), name
    assert (found.state[:, used:] == State.ABSENT).all()


def read_table(folder: Path, text: str, **more: Any) -> Tracks:
    """Import a table for one trajectory."""
    path = folder / "t.csv"
    path.write_text(text)
    tracks = TrackFiles(files=str(path), begin_s=more.pop("begin_s", None))
    config = TrafficConfig(**{"frames": 3, "trajectories": 1, "vehicles": 2, **more}, tracks=tracks)
    return import_tracks(empty_scene(), 0, config)[0]


def test_a_table_with_times_only_is_resampled_and_columns_may_stand_anywhere(
    tmp_path: Path,
) -> None:
    text = "x_m,y_m,heading_deg,vehicle,time_s,note\n10,5,180,bus,0,a\n20,5,-170,bus,1,b\n"
    found = read_table(tmp_path, text, frames=11)
    assert found.x[:, 0] == pytest.approx(10 + np.arange(11))
    assert found.heading_deg[1, 0] == pytest.approx(-179)
    assert found.heading_deg[0, 0] == -180  # 180 is the same direction, written as ours are
    assert found.speed_mps[1:, 0] == pytest.approx(10)


def test_a_frame_without_line_is_a_frame_without_vehicles(tmp_path: Path) -> None:
    head = "frame,vehicle,x_m,y_m,heading_deg\n"
    found = read_table(tmp_path, head + "0,a,10,5,0\n2,a,11,5,0\n", frames=5)
    assert np.isnan(found.x[:, 0]).tolist() == [False, True, False, True, True]
    assert found.state[2, 0] == State.SEEDED
    assert (read_table(tmp_path, head).state == State.ABSENT).all()
    later = read_table(tmp_path, head + "10,a,10,5,0\n11,a,11,5,0\n", frames=2, begin_s=1.0)
    assert later.x[:, 0].tolist() == [10, 11]
