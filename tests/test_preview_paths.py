"""Pictures of paths: the drawn points are the path, and wrong wishes are explained."""

from __future__ import annotations

import shutil
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
import zarr
from typer.testing import CliRunner

from rmtools.cli import app
from rmtools.errors import ExitCode, InputError, RecipeError
from rmtools.report import paths as drawing
from rmtools.report import pictures
from rmtools.run.again import solve_again
from rmtools.run.recipe import load_recipe
from rmtools.run.runner import run
from rmtools.run.workspace import Workspace
from rmtools.store import Store

if TYPE_CHECKING:
    from rmtools.radio.dpm.solver import Detailed

DEMO = Path(__file__).resolve().parent.parent / "pipelines" / "demo.yaml"
SETTINGS = [
    "grid.n=128",
    "city.tiles.count=1",
    "city.tiles.min_road_m=50",
    "traffic.trajectories=1",
    "traffic.frames=3",
    "traffic.vehicles=8",
    "transmitters.count=2",
    "transmitters.clear_of_roads=false",
    "layouts.motion=null",
]
INDEX = (0, 0, 1, 2)
RUNNER = CliRunner()


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("paths")
    run(made, load_recipe(DEMO, SETTINGS), stages=["pathloss"])
    return made


@pytest.fixture(scope="module")
def space(root: Path) -> Workspace:
    return Workspace(root, load_recipe(root / "recipe.yaml"))


@pytest.fixture(scope="module")
def solved(space: Workspace) -> Detailed:
    return solve_again(space, *INDEX)


def test_the_frame_is_the_stored_one_with_its_vehicles(space: Workspace, solved: Detailed) -> None:
    stored = space.store.pathloss(0, 0, 1)[2]
    away = np.abs(solved.pathloss_db - stored)
    assert (np.isnan(away) == (solved.classes == 0)).all()
    assert np.nanmean(away > 0.01) < 0.001
    other = np.abs(solved.pathloss_db - space.store.pathloss(0, 0, 1)[0])
    assert np.nanmean(other > 0.01) > 0.003  # vehicles have moved
    text = drawing.difference_text(solved, space.store, INDEX)
    assert "solved again" in text
    assert "% of the pixels" in text


def test_the_constants_in_the_store_count_and_not_the_recipe(root: Path, solved: Detailed) -> None:
    changed = Workspace(root, load_recipe(root / "recipe.yaml", ["solver.preset=winprop2021"]))
    again = solve_again(changed, *INDEX)
    np.testing.assert_array_equal(again.pathloss_db, solved.pathloss_db)


def test_receivers_are_spread_over_the_streets(space: Workspace, solved: Detailed) -> None:
    free = solved.classes > 0
    found = drawing.spread_receivers(free)
    assert 20 <= len(found) <= 49
    assert len(set(found)) == len(found)
    assert all(free[pixel] for pixel in found)
    cells = {(row * 7 // 128, col * 7 // 128) for row, col in found}
    assert len(cells) >= 0.9 * len(found)
    assert drawing.spread_receivers(np.zeros((64, 64), bool)) == []
    assert len(drawing.find_paths(solved, space.store, INDEX)) == len(found)


def test_bends_are_told_apart(space: Workspace, solved: Detailed) -> None:
    store = space.store
    everywhere = [(int(r), int(c)) for r, c in np.argwhere(solved.classes > 0)[::7]]
    inside = store.inside_buildings(0)
    seen = set()
    for (row, col), path in zip(
        everywhere, drawing.find_paths(solved, store, INDEX, everywhere), strict=True
    ):
        assert len(path.points) == len(path.bends) + 2
        assert (solved.classes[row, col] & 127) == len(path.bends) + 1
        assert (drawing.ROOF in path.bends) == (path.kind == 4) == (solved.classes[row, col] > 127)
        if path.kind < 4:
            assert path.kind == min(len(path.bends), 3)
        for point, kind in zip(path.points[1:-1], path.bends, strict=True):
            seen.add(kind)
            at = store.grid.pixel(point[0], point[1])
            assert (kind == drawing.ROOF) == bool(inside[at])
            heights = {drawing.STREET: 1.5, drawing.VEHICLE: 2.0}  # half a metre above its roof
            assert point[2] == pytest.approx(heights.get(kind, point[2]))
            assert point[2] > 1.5 or kind == drawing.STREET
    assert seen == {drawing.STREET, drawing.ROOF, drawing.VEHICLE}


def test_drawn_lines_lie_on_the_path(space: Workspace, solved: Detailed) -> None:
    """Pixels that a path changes lie along its legs, and its colour runs all along them."""
    store, factor = space.store, 4
    rows, cols = np.nonzero((solved.classes & 127) == 3)
    to = (int(rows[len(rows) // 2]), int(cols[len(cols) // 2]))
    chosen = drawing.find_paths(solved, store, INDEX, [to])
    plain = np.asarray(drawing.draw_paths(solved, [], store, INDEX, factor=factor))
    drawn = np.asarray(drawing.draw_paths(solved, chosen, store, INDEX, factor=factor))
    (path,) = chosen
    corners = path.points[:, :2].copy()
    corners[:, 1] = store.grid.size_m - corners[:, 1]
    corners = corners * factor  # across and down in screen pixels
    np.testing.assert_allclose(corners[-1], (np.array(to)[::-1] + 0.5) * factor)
    changed = np.argwhere((plain != drawn).any(axis=-1))[:, ::-1] + 0.5
    along = np.concatenate(
        [a + np.linspace(0, 1, 400)[:, None] * (b - a) for a, b in pairwise(corners)]
    )
    away = np.linalg.norm(changed[:, None] - along[None], axis=-1)
    assert away.min(axis=1).max() < 8
    for point in along:
        x, y = np.clip(point, 1, 128 * factor - 2).astype(int)
        near = (plain != drawn)[y - 1 : y + 2, x - 1 : x + 2].any()
        assert near or np.linalg.norm(point - corners[0]) < 12  # under the transmitter's ring


def test_the_class_map_has_the_colour_of_each_pixels_kind(
    space: Workspace, solved: Detailed
) -> None:
    picture = drawing.draw_paths(solved, [], space.store, INDEX, factor=1, by_class=True)
    shown = np.asarray(picture)
    vehicles = space.store.tracks(0, 0).mask(2, space.store.grid)
    x, y = np.meshgrid(space.store.grid.x_centres(), space.store.grid.y_centres())
    at = space.store.transmitters(0)[1]
    clear = np.hypot(x - at[0], y - at[1]) > 8
    for k in range(4):
        clear &= ~np.roll(vehicles, (-1, 1, -1, 1)[k], (0, 0, 1, 1)[k])
    for row, col in np.argwhere(clear & ~vehicles)[::37]:
        classes = int(solved.classes[row, col])
        kind = 4 if classes > 127 else min(classes, 4) - 1
        wanted = pictures.BUILDING if classes == 0 else drawing.KINDS[kind].colour
        assert tuple(shown[row, col]) == wanted


def test_colours_of_the_kinds_differ_from_each_other_and_from_the_map() -> None:
    from rmtools.report.colours import gain_table, oklab_from_srgb

    colours = np.array([kind.colour for kind in drawing.KINDS], np.uint8)
    lab = oklab_from_srgb(colours)
    apart = np.linalg.norm(lab[:, None] - lab[None], axis=-1)[np.triu_indices(len(lab), 1)]
    assert apart.min() > 0.1
    table = oklab_from_srgb(gain_table())
    assert np.linalg.norm(lab[:, None] - table[None], axis=-1).min() > 0.05


def test_wrong_pixels_are_explained(space: Workspace, solved: Detailed) -> None:
    row, col = (int(i) for i in np.argwhere(space.store.buildings(0))[0])
    for pixel, words in (
        ((128, 0), "not on the map, which has 128 by 128"),
        ((0, -1), "not on the map"),
        ((row, col), "inside a building"),
    ):
        with pytest.raises(InputError, match=rf"pixel {pixel[0]},{pixel[1]} is {words}"):
            drawing.find_paths(solved, space.store, INDEX, [pixel])
    for text in ("3", "a,b", "1,2,3", "1.5,2", ""):
        with pytest.raises(RecipeError, match="is no pixel"):
            drawing.parse_pixel(text)
    assert drawing.parse_pixel(" 120, 64") == (120, 64)


def test_other_solvers_and_other_scenes_are_refused(root: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(root, tmp_path / "copy"))
    space = Workspace(copy, load_recipe(copy / "recipe.yaml"))
    path = space.scene_path(space.store.scene_names[0])
    text = path.read_text()
    path.write_text(text.replace('"height_m": 1', '"height_m": 2', 1))
    with pytest.raises(InputError, match="not the scene that the maps were made of"):
        solve_again(space, *INDEX)
    path.write_text(text)
    group = zarr.open_group(copy / "store.zarr", mode="r+", use_consolidated=False)
    known = dict(group["pathloss"].attrs["solver"])
    for solver, words in (
        ({**known, "solver": "sionna"}, "made by the solver 'sionna'"),
        (None, "attribute solver: Input should be a valid dictionary"),
        ({**known, "p_los": "much"}, "constants of its solver cannot be used"),
        ({**known, "antenna": {"pattern": "a.msi", "sha256": "0"}}, "antenna pattern 'a.msi'"),
    ):
        group["pathloss"].attrs["solver"] = solver
        with pytest.raises(InputError, match=words):
            solve_again(Workspace(copy, space.recipe), *INDEX)


def test_the_verb_draws_paths_and_says_that_it_solved(root: Path, tmp_path: Path) -> None:
    written = {}
    row, col = (int(i) for i in np.argwhere(~Store.open(root).buildings(0))[100])
    for name, options in {
        "all": ["--paths"],
        "one": ["--to", f"{row},{col}"],
        "classes": ["--classes"],
        "both": ["--classes", "--paths"],
    }.items():
        out = tmp_path / f"{name}.png"
        done = RUNNER.invoke(app, ["preview", str(root), "--out", str(out), *options])
        assert done.exit_code == ExitCode.OK, done.output
        assert "solved again" in done.output
        written[name] = out.read_bytes()
    assert len(set(written.values())) == 4
    for options in (["--out", str(tmp_path / "a.jpg")], ["--what", "sheet"]):
        bad = RUNNER.invoke(app, ["preview", str(root), "--paths", *options])
        assert isinstance(bad.exception, RecipeError) or bad.exit_code == ExitCode.RECIPE
