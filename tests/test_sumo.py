"""What the real SUMO writes, from its file to a finished dataset.

The excerpts of tests/data/sumo are always read; where the wheel ``eclipse-sumo`` is installed,
SUMO also runs here.
"""

from __future__ import annotations

import gzip
import importlib.util
import json
import re
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from scipy.ndimage import distance_transform_edt
from typer.testing import CliRunner

from rmtools.city.rasters import road_mask
from rmtools.cli import app
from rmtools.errors import ExitCode, RecipeError
from rmtools.files import sha256_tree
from rmtools.run.recipe import Recipe, load_recipe
from rmtools.run.runner import run
from rmtools.store import Store
from rmtools.traffic.config import TrackFiles, TrafficConfig
from rmtools.traffic.imports import import_tracks
from rmtools.traffic.tracks import State, Tracks
from rmtools.validation import validate

if TYPE_CHECKING:
    from types import ModuleType

    from rmtools.scene import Scene

FOLDER = Path(__file__).resolve().parent / "data" / "sumo"
DEMO = Path(__file__).resolve().parent.parent / "pipelines" / "demo.yaml"
LANE_M = 3.2  # SUMO's default
CAR = {"vehicle_length_m": 5.0, "vehicle_width_m": 1.8}


@pytest.fixture(scope="module")
def maker() -> ModuleType:
    """tests/data/sumo/make.py."""
    spec = importlib.util.spec_from_file_location("make_sumo", FOLDER / "make.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def scene(maker: ModuleType) -> Scene:
    return maker.demo_scene()


def tracks_of(scene: Scene, file: Path, **source: Any) -> Tracks:
    """Six seconds of one file."""
    config = TrafficConfig(
        frames=60,
        trajectories=1,
        vehicles=40,
        tracks=TrackFiles(files=str(file), **source),
        **CAR,
    )
    return import_tracks(scene, 0, config)[0]


def check_facts(scene: Scene, net: Tracks, geo: Tracks) -> None:
    """What must be true of any drive through a scene, written in both kinds of coordinates."""
    here = ~np.isnan(net.x)
    assert np.array_equal(here, ~np.isnan(geo.x))
    assert here.any(axis=0).sum() >= 8
    assert (here != here[0]).any()  # some come or go
    assert np.nanmax(np.hypot(net.x - geo.x, net.y - geo.y)) < 0.01
    turned = (net.heading_deg - geo.heading_deg + 180) % 360 - 180
    assert np.nanmax(np.abs(turned)) < 0.001  # SUMO's angles do not depend on the coordinates

    to_road_m = distance_transform_edt(~road_mask(scene))
    row, col = scene.grid.pixel(net.x[here], net.y[here])
    assert (to_road_m[row, col] <= LANE_M).mean() > 0.98
    assert (to_road_m[row, col] == 0).mean() > 0.85

    dx, dy = np.diff(net.x, axis=0), np.diff(net.y, axis=0)
    drives = np.hypot(dx, dy) > 0.3
    assert np.count_nonzero(drives) > 100
    off = np.rad2deg(np.arctan2(dy, dx))[drives] - net.heading_deg[1:][drives]
    off = (off + 180) % 360 - 180
    # The convergence of the meridians, 1.8 degrees here, would show: headings are the grid's.
    assert abs(np.median(off)) < 0.1
    assert np.quantile(np.abs(off), 0.9) < 10


def text_of(name: str) -> str:
    return gzip.decompress((FOLDER / name).read_bytes()).decode()


def test_true_sumo_output_lies_on_the_roads_of_the_scene(scene: Scene) -> None:
    net = tracks_of(scene, FOLDER / "net.fcd.xml.gz", net=str(FOLDER / "location.net.xml"))
    check_facts(scene, net, tracks_of(scene, FOLDER / "geo.fcd.xml.gz"))


def test_every_vehicle_drives_at_the_speed_that_sumo_states(scene: Scene, tmp_path: Path) -> None:
    """One vehicle at a time; where a lane of a junction has a kink, centre and front differ."""
    text, path = text_of("net.fcd.xml.gz"), tmp_path / "one.xml"
    differences: list[float] = []
    for name in sorted(set(re.findall('<vehicle id="([^"]*)"', text))):
        kept = [
            line for line in text.splitlines() if "<vehicle" not in line or f'"{name}" x' in line
        ]
        path.write_text("\n".join(kept))
        one = tracks_of(scene, path, net=str(FOLDER / "location.net.xml"))
        stated = np.full(60, np.nan)
        for step, block in enumerate(path.read_text().split("<timestep")[1:61]):
            if found := re.search(' speed="([^"]*)"', block):
                stated[step] = float(found[1])
        known = one.state[:, 0] > State.SEEDED
        differences += (one.speed_mps[known, 0] - stated[known]).tolist()
    assert len(differences) > 300
    assert abs(np.median(differences)) < 0.01
    assert np.quantile(np.abs(differences), 0.9) < 0.5


def test_a_coarse_file_agrees_at_its_steps_and_nearly_between(scene: Scene, tmp_path: Path) -> None:
    """Every fifth time step only, as with --device.fcd.period 0.5."""
    head, *steps = text_of("net.fcd.xml.gz").split("    <timestep")
    coarse = "    <timestep".join([head, *steps[::5]])
    end = "" if "</fcd-export>" in coarse else "</fcd-export>"
    (tmp_path / "coarse.xml").write_text(coarse + end)
    net = str(FOLDER / "location.net.xml")
    between = tracks_of(scene, tmp_path / "coarse.xml", net=net)
    exact = tracks_of(scene, FOLDER / "net.fcd.xml.gz", net=net)
    assert np.nanmax(np.hypot(between.x - exact.x, between.y - exact.y)[::5]) == 0
    assert np.nanquantile(np.hypot(between.x - exact.x, between.y - exact.y), 0.9) < 0.3


def test_one_way_in_coordinates_of_the_projection_is_the_same(scene: Scene, tmp_path: Path) -> None:
    """--fcd-output.utm: the net's coordinates without its offset."""

    def unshifted(found: re.Match[str]) -> str:
        x, y = float(found[1]) + 385424.12, float(found[2]) + 6671479.60
        return f'x="{x:.4f}" y="{y:.4f}"'

    (tmp_path / "u.xml").write_text(
        re.sub(r'x="([^"]*)" y="([^"]*)"', unshifted, text_of("net.fcd.xml.gz"))
    )
    utm = tracks_of(scene, tmp_path / "u.xml", crs="EPSG:32635")
    net = tracks_of(scene, FOLDER / "net.fcd.xml.gz", net=str(FOLDER / "location.net.xml"))
    assert np.nanmax(np.hypot(utm.x - net.x, utm.y - net.y)) < 1e-3


def test_sumo_itself(maker: ModuleType, scene: Scene, tmp_path: Path) -> None:
    pytest.importorskip("sumo", reason="the wheel eclipse-sumo is not installed")
    net = maker.make_net(tmp_path)
    plain = maker.drive(tmp_path, "net.xml")
    geographic = maker.drive(tmp_path, "geo.xml.gz", "--fcd-output.geo")
    ours = tracks_of(scene, plain, net=str(net))
    check_facts(scene, ours, tracks_of(scene, geographic))
    utm = tracks_of(scene, maker.drive(tmp_path, "utm.xml", "--fcd-output.utm"), crs="EPSG:32635")
    assert np.nanmax(np.hypot(utm.x - ours.x, utm.y - ours.y)) < 1e-3


# -- a dataset -----------------------------------------------------------------------------------

SMALL = [
    "name=sumo",
    "grid.n=96",
    "city.tiles.count=1",
    "city.tiles.margin_m=296",  # a tile within the one that the excerpt is about
    "city.tiles.min_road_m=20",
    "traffic.trajectories=2",
    "traffic.frames=6",
    "traffic.vehicles=4",
    "traffic.vehicle_length_m=5.0",
    "traffic.vehicle_width_m=1.8",
    "transmitters.count=1",
    "transmitters.clear_of_roads=false",
]


def small(file: Path | str, *more: str) -> Recipe:
    given = [f"traffic.tracks.files={file}", *more]
    return load_recipe(DEMO, [*SMALL, *given])


@pytest.fixture(scope="module")
def imported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished dataset with vehicles from SUMO, together with the file they are from."""
    root = tmp_path_factory.mktemp("imported")
    shutil.copy(FOLDER / "geo.fcd.xml.gz", root / "drive.xml.gz")
    run(root / "data", small(root / "drive.xml.gz", "traffic.tracks.every_s=1.5"))
    return root


def test_a_dataset_with_vehicles_that_come_and_go_is_made_and_valid(imported: Path) -> None:
    data = imported / "data"
    found = validate(data)
    assert found.ok, found.findings
    assert (data / "report.html").is_file()
    store = Store.open(data)
    tracks = [store.tracks(0, t) for t in range(2)]
    changes = [(~np.isnan(t.x[0])).sum() - (~np.isnan(t.x[-1])).sum() for t in tracks]
    assert min(changes) < 0 < max(changes)  # one leaves, one comes
    assert store.vehicles_placed() == (sum(int(t.present.sum()) for t in tracks), 8)
    for t, track in enumerate(tracks):
        for f, mask in enumerate(store.vehicle_masks(0, t)):
            assert np.array_equal(mask, track.mask(f, store.grid))
        assert np.isfinite(store.pathloss(0, t, 0)).any()


def test_provenance_names_the_files_and_no_folder(imported: Path) -> None:
    from hashlib import sha256

    digest = sha256((FOLDER / "geo.fcd.xml.gz").read_bytes()).hexdigest()
    told = Store.open(imported / "data").array_attributes("vehicles")["traffic"]
    assert told["tracks"]["files"] == {"drive.xml.gz": digest}
    assert told["tracks"]["every_s"] == 1.5
    assert "smoothing" not in told
    description = json.loads((imported / "data" / "motion" / "dataset.json").read_text())
    assert description["vehicle"]["traffic"] == told
    for name in ("motion/dataset.json", "report.html", "store.zarr/zarr.json"):
        assert str(imported) not in (imported / "data" / name).read_text(), name


def test_what_was_packaged_can_be_imported_again(imported: Path, tmp_path: Path) -> None:
    tables = "environment/env_{index:03d}/traj_{trajectory:02d}/tracks.csv"
    run(tmp_path, small(imported / "data" / "motion" / tables), stages=["tracks"])
    one, two = imported / "data" / "store.zarr", tmp_path / "store.zarr"
    for name in ("track_x", "track_y", "track_heading", "track_speed", "track_state", "vehicles"):
        assert sha256_tree(one / name / "c") == sha256_tree(two / name / "c"), name
    told = Store.open(tmp_path).array_attributes("vehicles")["traffic"]["tracks"]
    assert list(told["files"]) == [f"env_000/traj_0{t}/tracks.csv" for t in range(2)]


def test_a_changed_file_is_noticed_and_a_missing_one_is_not_needed(
    imported: Path, tmp_path: Path
) -> None:
    shutil.copytree(imported, tmp_path / "x")
    data, drive = tmp_path / "x" / "data", tmp_path / "x" / "drive.xml.gz"
    recipe = small(drive, "traffic.tracks.every_s=1.5")
    assert not sum(s.done_now for s in run(data, recipe))  # another folder, the same content
    text = gzip.decompress(drive.read_bytes())
    drive.write_bytes(gzip.compress(text.replace(b'id="1', b'id="9')))
    with pytest.raises(RecipeError, match=r"radio maps.*another state of the source.*--overwrite"):
        run(data, recipe)
    drive.unlink()
    assert not sum(s.done_now for s in run(data, recipe))  # its digest was recorded
    with pytest.raises(RecipeError, match=r"traffic\.tracks\.files: .*drive\.xml\.gz -> None"):
        run(data, load_recipe(DEMO, SMALL))


# -- the command line ----------------------------------------------------------------------------


def rmtools(*arguments: object) -> Any:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def test_the_verb_writes_the_setting_and_generating_takes_it_back(tmp_path: Path) -> None:
    data = tmp_path / "data"
    rules = [part for setting in SMALL for part in ("--set", setting)]
    assert rmtools("build-scenes", "demo", data, *rules).exit_code == 0
    done = rmtools(
        "import-tracks",
        data,
        FOLDER / "net.fcd.xml.gz",
        "--begin-s",
        121,
        "--net",
        FOLDER / "location.net.xml",
    )
    assert done.exit_code == 0, done.output
    recipe = load_recipe(data / "recipe.yaml")
    assert recipe.traffic.tracks is not None
    assert recipe.traffic.tracks.net == str(FOLDER / "location.net.xml")
    first = Store.open(data).tracks(0, 0)
    done = rmtools("import-tracks", data, FOLDER / "geo.fcd.xml.gz", "--begin-s", 121)
    assert done.exit_code == 0, done.output
    again = Store.open(data).tracks(0, 0)
    assert np.allclose(first.x, again.x, atol=0.01, equal_nan=True)
    done = rmtools("import-tracks", data, FOLDER / "geo.fcd.xml.gz", "--vehicles", 1)
    assert isinstance(done.exception, RecipeError)
    assert done.exception.exit_code == ExitCode.RECIPE
    assert "Set traffic.vehicles=" in str(done.exception)
    assert rmtools("generate-trajectories", data).exit_code == 0
    assert load_recipe(data / "recipe.yaml").traffic.tracks is None
    assert (Store.open(data).tracks(0, 0).state[0] == State.SEEDED).any()


def test_pictures_of_vehicles_that_come_and_go(imported: Path, tmp_path: Path) -> None:
    for name, what in (("s.png", "scene"), ("m.png", "map"), ("a.gif", "sequence")):
        out = tmp_path / name
        done = rmtools("preview", imported / "data", "--what", what, "--out", out, "--frame", 5)
        assert done.exit_code == 0, done.output
        assert out.stat().st_size > 1000
