"""Exporting a dataset: every job is there once, complete, and says where it belongs."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import geopandas
import jsonschema
import numpy as np
import pytest
import shapely
from fakes_store import make_scene, make_tracks
from fakes_winprop import make_dataset, make_template
from typer.testing import CliRunner

from rmtools.cli import app
from rmtools.data import helsinki_path
from rmtools.errors import InputError, RecipeError
from rmtools.files import sha256_tree
from rmtools.run.recipe import check_recipe
from rmtools.run.runner import run
from rmtools.scene import Scene
from rmtools.store import Store
from rmtools.winprop.export import Source, estimate, export_jobs, plan
from rmtools.winprop.manifest import JOBS_NAME, JobManifest, read_jobs
from rmtools.winprop.plan import JobOptions
from rmtools.winprop.project import read_template

if TYPE_CHECKING:
    from rmtools.store import Store as StoreType

SIZES: dict[str, Any] = {"n": 32, "scenes": 2, "traj": 2, "tx": 2, "frames": 3}
JOB_FILES = {
    "buildings.shp",
    "buildings.shx",
    "buildings.dbf",
    "buildings.cpg",
    "buildings_experimental.oda",
    "expected.txt",
    "jobs.json",
    "project.net",
    "project.nup",
    "project.wpi",
    "project.mic",
}


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("data") / "set"
    make_dataset(root, **SIZES)
    return root


@pytest.fixture(scope="module")
def source(dataset: Path, tmp_path_factory: pytest.TempPathFactory) -> Source:
    return Source(dataset, read_template(make_template(tmp_path_factory.mktemp("template"))))


def planned(source: Source, **options: Any) -> JobManifest:
    return plan(source, JobOptions(**options))


def cli(*arguments: object) -> Any:
    return CliRunner().invoke(app, [str(a) for a in arguments])


def test_moving_jobs_hold_every_car_state_once(source: Source, tmp_path: Path) -> None:
    manifest = planned(source)
    export_jobs(source, tmp_path, manifest)
    assert [(job.scene, job.trajectory, job.frame) for job in manifest.jobs] == [
        (f"fake_00{s}", t, f) for s in range(2) for t in range(2) for f in range(3)
    ]
    for job in manifest.jobs:
        folder = tmp_path / job.folder
        assert {path.name for path in folder.iterdir()} == JOB_FILES
        assert job.trajectory is not None
        assert job.frame is not None
        table = geopandas.read_file(folder / "buildings.shp")
        cars = table[table["KIND"] == "vehicle"]
        outlines = make_tracks(job.trajectory, 32, 3).outlines(job.frame)
        tile = shapely.box(0, 0, 32, 32)
        expected = shapely.intersection(shapely.polygons(outlines), tile)
        assert np.allclose(cars.area.to_numpy(), shapely.area(expected), atol=1e-6)
        assert set(cars["HEIGHT_M"]) == {1.5}
        houses = table[table["KIND"] == "building"]
        scene = make_scene(int(job.scene[-1]), 32)
        assert sorted(houses["HEIGHT_M"]) == sorted(b.height_m for b in scene.buildings)
        assert (table.total_bounds >= 0).all()


def test_the_manifest_maps_every_result(source: Source, tmp_path: Path) -> None:
    manifest = planned(source, power_dbm=20.0)
    export_jobs(source, tmp_path, manifest)
    assert read_jobs(tmp_path) == manifest
    schema = Path(__file__).parent.parent / "schemas" / "jobs.schema.json"
    jsonschema.validate(
        json.loads((tmp_path / JOBS_NAME).read_text()), json.loads(schema.read_text())
    )
    store = Store.open(source.dataset)
    assert (manifest.frequency_mhz, manifest.receiver_height_m, manifest.power_dbm) == (
        3500.0,
        1.5,
        20.0,
    )
    assert (manifest.grid.n, manifest.grid.resolution_m) == (32, 1.0)
    expected = list(manifest.expected())
    assert len(expected) == 2 * 2 * 3 * 2
    for each in expected:
        scene = manifest.scene(each.job.scene)
        position = store.transmitters(scene.index)[each.transmitter.index]
        assert (each.transmitter.x, each.transmitter.y, each.transmitter.z_m) == tuple(position)
        assert scene.sha256 == store.attributes["scenes"][scene.index]["sha256"]
        folder, _, name = each.paths[0].rpartition("/results/")
        assert folder == each.job.folder
        listed = (tmp_path / folder / "expected.txt").read_text().splitlines()
        assert listed[each.transmitter.index] == name
        project = (tmp_path / folder / "project.net").read_bytes()
        assert f' NAME "{name.removesuffix(" Path Loss.txt")}"\r\n'.encode() in project
    listed = (tmp_path / "jobs.txt").read_text().splitlines()
    assert listed == [job.folder for job in manifest.jobs]
    # each folder can be given away and says the same by itself
    alone = read_jobs(tmp_path / manifest.jobs[-1].folder)
    assert [each.paths for each in alone.expected()] == [
        (f"./results/{tx.files[0]}", f"./results/{tx.files[1]}")
        for tx in manifest.scenes[-1].transmitters
    ]


def test_static_jobs_have_no_vehicles(source: Source, tmp_path: Path) -> None:
    manifest = planned(source, static=True)
    export_jobs(source, tmp_path, manifest)
    assert [(j.id, j.trajectory, j.frame) for j in manifest.jobs] == [
        ("s0_static", None, None),
        ("s1_static", None, None),
    ]
    for job in manifest.jobs:
        table = geopandas.read_file(tmp_path / job.folder / "buildings.shp")
        assert set(table["KIND"]) == {"building"}


def test_workers_and_interruptions_change_nothing(source: Source, tmp_path: Path) -> None:
    manifest = planned(source)
    export_jobs(source, tmp_path / "a", manifest)
    export_jobs(source, tmp_path / "b", manifest, workers=2)
    assert sha256_tree(tmp_path / "a") == sha256_tree(tmp_path / "b")

    # what a kill leaves behind: a missing job, and a half-written one
    first, last = (tmp_path / "b" / manifest.jobs[i].folder for i in (0, -1))
    shutil.rmtree(first)
    last.rename(last.with_name(last.name + ".partial"))
    kept = (tmp_path / "b" / manifest.jobs[1].folder / "project.net").stat().st_mtime_ns
    found = export_jobs(source, tmp_path / "b", manifest)
    assert found.done_before == len(manifest.jobs) - 2
    assert sha256_tree(tmp_path / "a") == sha256_tree(tmp_path / "b")
    again = (tmp_path / "b" / manifest.jobs[1].folder / "project.net").stat().st_mtime_ns
    assert again == kept


def test_a_folder_of_other_jobs_is_left_alone(source: Source, tmp_path: Path) -> None:
    export_jobs(source, tmp_path, planned(source, static=True))
    before = sha256_tree(tmp_path)
    elsewhere = Source(source.dataset, source.template, "C:\\jobs")
    for other, options in (
        (source, {}),
        (source, {"static": True, "frequency_mhz": 2000.0}),
        (elsewhere, {"static": True}),
    ):
        with pytest.raises(RecipeError, match="other jobs"):
            export_jobs(other, tmp_path, planned(other, **options))
    assert sha256_tree(tmp_path) == before


def test_moved_vehicles_are_other_jobs(source: Source, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(source.dataset, copy)
    before = planned(Source(copy, source.template))
    Store.open(copy, mode="r+").write_tracks(0, 0, make_tracks(1, 32, 3))
    assert planned(Source(copy, source.template)) != before


def test_dry_run_says_what_the_run_writes(source: Source, tmp_path: Path) -> None:
    manifest = planned(source)
    guess = estimate(source, tmp_path / "out", manifest)
    assert not (tmp_path / "out").exists()
    found = export_jobs(source, tmp_path / "out", manifest)
    assert (guess.jobs, guess.files, guess.done_before) == (found.jobs, found.files, 0)
    assert abs(guess.bytes - found.bytes) < 0.05 * found.bytes


def test_neutral_jobs_are_geojson(dataset: Path, tmp_path: Path) -> None:
    manifest = planned(Source(dataset))
    export_jobs(Source(dataset), tmp_path, manifest)
    assert manifest.sign == "loss"
    for job in manifest.jobs[:4]:
        assert job.trajectory is not None
        assert job.frame is not None
        data = json.loads((tmp_path / job.folder / "vehicles.geojson").read_text())
        rings = [feature["geometry"]["coordinates"][0] for feature in data["features"]]
        outlines = make_tracks(job.trajectory, 32, 3).outlines(job.frame)
        assert np.array_equal(np.array(rings)[:, :4], outlines)
        assert all(ring[0] == ring[-1] for ring in rings)
    for scene in manifest.scenes:
        read = Scene.read(tmp_path / "scenes" / f"{scene.name}.geojson")
        assert read.digest() == scene.sha256
    assert {name for each in manifest.expected() for name in each.transmitter.files} == {
        "tx0.npz",
        "tx0.csv",
        "tx1.npz",
        "tx1.csv",
    }


def test_the_verbs(dataset: Path, tmp_path: Path) -> None:
    template = make_template(tmp_path / "template")
    out = tmp_path / "out"
    base = ("export-winprop", dataset, out, "--template", template, "-j", 1)
    dry = cli(*base, "--dry-run", "--json")
    assert dry.exit_code == 0, dry.output
    assert not out.exists()
    told = json.loads(dry.stdout)
    assert (told["jobs"], told["results"], told["dry_run"]) == (12, 24, True)
    assert cli(*base, "--static", "--place", "D:\\jobs").exit_code == 0
    project = (out / "jobs/s1/static/project.net").read_bytes()
    assert b'PROJECT_FILE "D:\\jobs\\jobs\\s1\\static\\project"\r\n' in project
    assert (out / "run.sh").stat().st_mode & 0o111
    assert b"\n" not in (out / "run.cmd").read_bytes().replace(b"\r\n", b"")
    for script in ("run.sh", "run.cmd"):
        text = (out / script).read_text("ascii")
        assert "buildings.odb" in text
        assert "@DATABASE@" not in text
    refused = cli(*base)
    assert refused.exit_code != 0
    assert isinstance(refused.exception, RecipeError)
    assert cli("export-jobs", dataset, tmp_path / "neutral", "--static", "-j", 1).exit_code == 0
    assert (tmp_path / "neutral" / "README.txt").is_file()


def test_unfinished_datasets_are_refused(source: Source, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(source.dataset, copy)
    store: StoreType = Store.open(copy, mode="r+")
    store.write_transmitters(1, np.full((2, 3), np.nan))
    with pytest.raises(InputError, match="transmitters"):
        planned(Source(copy, source.template))
    store.remove(["tx", "tx_x", "tx_y", "tx_z"])
    with pytest.raises(InputError, match="place-transmitters"):
        planned(Source(copy, source.template))
    with pytest.raises(InputError, match="no rmtools store"):
        planned(Source(tmp_path, source.template))


def test_what_the_dataset_does_not_say_is_asked_for(source: Source, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(source.dataset, copy)
    store = Store.open(copy, mode="r+")
    store.remove(["pathloss"])
    with pytest.raises(RecipeError, match="--frequency"):
        planned(Source(copy, source.template))
    with pytest.raises(RecipeError, match="--receiver-height"):
        planned(Source(copy, source.template), frequency_mhz=5900.0)
    manifest = planned(Source(copy, source.template), frequency_mhz=5900.0, receiver_height_m=2.0)
    assert (manifest.frequency_mhz, manifest.receiver_height_m) == (5900.0, 2.0)


def test_antenna_patterns_are_not_dropped_silently(source: Source, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(source.dataset, copy)
    store = Store.open(copy, mode="r+")
    solver = store.array_attributes("pathloss")["solver"]
    store.create_pathloss({"solver": {**solver, "antenna": {"pattern": "kathrein.msi"}}})
    with pytest.raises(RecipeError, match="antenna pattern"):
        planned(Source(copy, source.template))
    manifest = planned(Source(copy, source.template), keep_antenna=True)
    export_jobs(Source(copy, source.template), tmp_path / "out", manifest)
    project = (tmp_path / "out" / manifest.jobs[0].folder / "project.net").read_bytes()
    assert project.count(b"TYPE SECTOR") == 2


@pytest.fixture(params=["helsinki", "london"])
def city(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """Dataset of a true city, the one of the demo and London, up to the transmitters."""
    extract = (
        helsinki_path()
        if request.param == "helsinki"
        else request.getfixturevalue("reference_data") / "osm" / "london_city.osm.pbf"
    )
    recipe = check_recipe(
        {
            "city": {"source": str(extract), "tiles": {"count": 4, "min_road_m": 20}},
            "traffic": {"trajectories": 2, "frames": 1, "vehicles": 10},
            "transmitters": {"count": 2},
        },
        "test",
    )
    run(tmp_path / "set", recipe, stages=["tracks", "transmitters"])
    return tmp_path / "set"


def test_true_cities_come_back_from_the_shapefiles(
    city: Path, source: Source, tmp_path: Path
) -> None:
    mine = Source(city, source.template)
    for static in (False, True):
        manifest = planned(mine, static=static)
        out = tmp_path / f"static {static}"
        export_jobs(mine, out, manifest)
        assert len(manifest.jobs) == (4 if static else 8)
        courtyards = 0
        for job in manifest.jobs:
            table = geopandas.read_file(out / job.folder / "buildings.shp")
            scene = mine.scene(job.scene)
            assert (table.total_bounds >= 0).all()
            assert (table.total_bounds <= scene.grid.size_m).all()
            assert not any(len(polygon.interiors) for polygon in table.geometry)
            assert table.geometry.is_valid.all()
            assert (table.geom_type == "Polygon").all()
            assert (len(table[table["KIND"] == "vehicle"]) > 0) is not static
            houses = table[table["KIND"] == "building"]
            for index, building in enumerate(scene.buildings):
                pieces = houses[houses["ID"] == index]
                courtyards += len(building.polygon.interiors)
                assert abs(pieces.area.sum() - building.polygon.area) < 1e-6
                joined = shapely.union_all(pieces.geometry.to_numpy())
                assert joined.symmetric_difference(building.polygon).area < 1e-6
                assert set(pieces["HEIGHT_M"]) == {building.height_m}
        assert courtyards > 0
