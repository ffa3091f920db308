"""The second solver: what must hold without the package, and its maps where it is installed."""

from __future__ import annotations

import builtins
import sys
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import shapely
from dpm_scenes import bend_angle_deg, cars, random_city, scene
from fakes_store import make_store
from fakes_validation import edit, put
from shapely.geometry import Polygon, box

from rmtools.errors import ExitCode, InputError, MissingError, RecipeError
from rmtools.findings import Report
from rmtools.radio.antenna import Antenna
from rmtools.radio.config import SolverConfig
from rmtools.radio.sionna import SionnaSolver, load_sionna
from rmtools.radio.sionna_presets import MATERIAL_GHZ, PRESETS, RayPreset, resolve
from rmtools.radio.solver import NO_OBSTACLES, Obstacles, Transmitter
from rmtools.run.recipe import load_recipe
from rmtools.store import Store
from rmtools.units import MOTION_SCALE, SPEED_OF_LIGHT_M_PER_S
from rmtools.validation import validate

if TYPE_CHECKING:
    from pathlib import Path

    from rmtools.scene import Scene
    from rmtools.types import FloatArray

BLIND_DB = 250.0
TINY = [
    "name=tiny",
    "city.source=demo",
    "grid.n=48",
    "city.tiles.count=1",
    "city.tiles.min_road_m=20",
    "traffic.trajectories=1",
    "traffic.frames=2",
    "traffic.vehicles=2",
    "transmitters.count=1",
    "transmitters.clear_of_roads=false",
    "solver.name=sionna",
    "solver.preset=irt2-like",
    "solver.overrides.rays=300",
    "report=false",
]


def tiny(tmp_path: Path, *more: str) -> Any:
    path = tmp_path / "tiny.yaml"
    path.write_text("{}")
    return load_recipe(path, [*TINY, *more])


# -- without the package -----------------------------------------------------------------------


def test_the_recipe_chooses_solver_and_preset(tmp_path: Path) -> None:
    described = tiny(tmp_path, "solver.overrides.frequency_mhz=3500").solver.describe()
    assert described["solver"] == "sionna"
    assert (described["name"], described["frequency_mhz"]) == ("irt2-like", 3500.0)
    assert set(described) == {"solver", *RayPreset.model_fields}


def test_presets_are_named_after_their_interactions() -> None:
    assert {name: p.max_interactions for name, p in PRESETS.items()} == {
        "irt2-like": 2,
        "irt4-like": 4,
    }


@pytest.mark.parametrize(
    ("preset", "overrides", "message"),
    [
        ("radiomapmotion", {}, "Choose one of irt2-like, irt4-like"),
        ("irt2-like", {"depth": 3}, "depth"),
        ("irt2-like", {"rays": 0}, "rays"),
        ("irt2-like", {"frequency_mhz": float("nan")}, "frequency_mhz"),
        ("irt2-like", {"building_material": "cheese"}, "building_material"),
        (
            "irt2-like",
            {"ground_material": "wet_ground", "frequency_mhz": 28000},
            "wet_ground from 1 to 10 GHz, not for 28 GHz",
        ),
    ],
)
def test_unknown_presets_and_parameters(
    preset: str, overrides: dict[str, Any], message: str
) -> None:
    with pytest.raises(RecipeError, match=message):
        SolverConfig(name="sionna", preset=preset, overrides=overrides).describe()


def test_without_the_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "drjit", None)
    with pytest.raises(MissingError, match=r"pip install 'rmtools\[sionna\]'") as caught:
        SolverConfig(name="sionna", preset="irt2-like").build()
    assert caught.value.exit_code == ExitCode.MISSING == 5


def test_without_llvm(monkeypatch: pytest.MonkeyPatch) -> None:
    original = builtins.__import__

    def no_llvm(name: str, *args: Any, **kwargs: Any) -> Any:
        if name in ("drjit", "mitsuba", "sionna.rt"):
            raise ImportError('the LLVM shared library ("libLLVM.so") could not be found!')
        return original(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", no_llvm)
    with pytest.raises(MissingError, match=r"none was found.*libllvm19.*DRJIT_LIBLLVM_PATH"):
        load_sionna()


@pytest.mark.parametrize(
    ("variant", "llvm", "refused"),
    [
        ("llvm_ad_mono_polarized", 15, "version 15 was found"),
        ("llvm_ad_mono_polarized", 19, None),
        ("cuda_ad_mono_polarized", 0, None),
    ],
)
def test_an_llvm_that_would_abort_the_process_is_refused(
    monkeypatch: pytest.MonkeyPatch, variant: str, llvm: int, refused: str | None
) -> None:
    rt = SimpleNamespace()
    detail = SimpleNamespace(llvm_version=lambda: (llvm, 0, 6))
    for name, module in {
        "drjit": SimpleNamespace(detail=detail),
        "mitsuba": SimpleNamespace(variant=lambda: variant),
        "sionna": SimpleNamespace(rt=rt),
        "sionna.rt": rt,
    }.items():
        monkeypatch.setitem(sys.modules, name, module)
    if refused is None:
        assert load_sionna() is rt
    else:
        with pytest.raises(MissingError, match=refused):
            load_sionna()


def test_a_run_without_the_package_stops_before_it_makes_anything(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    from rmtools.run.runner import run

    monkeypatch.setitem(sys.modules, "drjit", None)
    with pytest.raises(MissingError):
        run(tmp_path / "out", tiny(tmp_path), workers=1)
    assert not (tmp_path / "out" / "store.zarr").exists()


def test_blind_pixels_are_the_weakest_level_and_counted(tmp_path: Path) -> None:
    assert MOTION_SCALE.encode(BLIND_DB) == 0
    path = make_store(tmp_path, scenes=1).path
    free = np.argwhere(~Store.open(path).buildings(0))[:3]
    for row, col in free:
        edit(path, "pathloss", lambda a, at=(0, 0, 0, 0, row, col): put(a, at, BLIND_DB))
    assert blind_findings(path) == [], "a solver that marks nothing has no blind pixels"
    solver = {"solver": "sionna", "frequency_mhz": 3500.0, "blind_db": BLIND_DB}
    Store.open(path, "r+")._group["pathloss"].attrs["solver"] = solver
    (found,) = blind_findings(path)
    assert found.startswith("3 of ")
    assert validate(path).ok


def blind_findings(path: Path) -> list[str]:
    return [f.what for f in validate(path).findings if "blind" in f.what]


def test_powers_that_are_added_may_exceed_one_path_in_free_space(tmp_path: Path) -> None:
    path = make_store(tmp_path, scenes=1).path
    row, col = np.argwhere(~Store.open(path).buildings(0))[3]
    edit(path, "pathloss", lambda a: put(a, (0, 0, 0, 0, row, col), 50.0))
    assert not validate(path).ok
    solver = {"solver": "sionna", "frequency_mhz": 3500.0, "combining": "power"}
    Store.open(path, "r+")._group["pathloss"].attrs["solver"] = solver
    assert validate(path).ok


# -- with it -----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def rt() -> Any:
    try:
        return load_sionna()
    except MissingError as error:
        pytest.skip(str(error))


def solved(
    where: Scene,
    transmitter: Transmitter,
    obstacles: Obstacles = NO_OBSTACLES,
    **overrides: Any,
) -> FloatArray:
    solver = SionnaSolver("irt2-like", **{"rays": 1000, **overrides})
    return solver.solve(solver.prepare(where), transmitter, obstacles)


def distances(where: Scene, transmitter: Transmitter, z: float = 1.5) -> FloatArray:
    x, y = np.meshgrid(where.grid.x_centres(), where.grid.y_centres())
    flat = np.hypot(x - transmitter.x, y - transmitter.y)
    return np.hypot(flat, z - transmitter.z_m)


def friis_db(distance: FloatArray, frequency_mhz: float = 5900.0) -> FloatArray:
    wavelength = SPEED_OF_LIGHT_M_PER_S / (frequency_mhz * 1e6)
    return 20 * np.log10(4 * np.pi * distance / wavelength)


@pytest.mark.parametrize(("height", "resolution"), [(1.5, 1.0), (20.0, 2.0)])
def test_free_space(rt: Any, height: float, resolution: float) -> None:
    empty = scene(n=24, resolution_m=resolution)
    transmitter = Transmitter(5.5 * resolution, 17.5 * resolution, height)
    found = solved(empty, transmitter, frequency_mhz=3500)
    distance = np.maximum(distances(empty, transmitter), resolution / 2)
    assert found.dtype == np.float32
    assert found == pytest.approx(friis_db(distance, 3500), abs=1e-3)


def test_the_ground_adds_the_power_of_its_reflection(rt: Any) -> None:
    empty, transmitter = scene(n=24), Transmitter(2.5, 3.5, 4.0)
    found = solved(empty, transmitter, ground_material="concrete")
    direct, reflected = distances(empty, transmitter), distances(empty, transmitter, -1.5)
    ghz = 5.9  # ITU-R P.2040: concrete, and the half space's coefficient for vertical waves
    epsilon = 5.24 - 17.98j * 0.0462 * ghz**0.7822 / ghz
    sine = (1.5 + 4.0) / reflected
    root = np.sqrt(epsilon - (1 - sine**2))
    coefficient = np.abs((epsilon * sine - root) / (epsilon * sine + root))
    # Both antennas are dipole-like in polarisation only: the pattern is isotropic.
    gain = direct**-2.0 + (coefficient / reflected) ** 2
    expected = friis_db(np.ones_like(gain)) - 10 * np.log10(gain)
    assert found == pytest.approx(expected, abs=0.02)


@pytest.mark.parametrize("seed", [1, 2])
def test_line_of_sight_is_what_geometry_says(rt: Any, seed: int) -> None:
    city = random_city(seed, n=64, count=6)
    where, transmitter = scene(*city, n=64), Transmitter(32.5, 31.5)
    found = solved(where, transmitter, max_interactions=0)
    houses = shapely.union_all([polygon for polygon, _ in city])
    x, y = np.meshgrid(where.grid.x_centres(), where.grid.y_centres())
    ends = np.stack([x, y], axis=-1)
    starts = np.broadcast_to([transmitter.x, transmitter.y], ends.shape)
    lines = shapely.linestrings(np.stack([starts, ends], axis=-2))
    inside = shapely.intersects(houses, shapely.points(x, y))
    blocked = shapely.intersects(houses.buffer(-0.01), lines)
    free = ~shapely.intersects(houses.buffer(0.01), lines)
    assert free.sum() > 1000
    assert (blocked & ~inside).sum() > 300
    assert found[free] == pytest.approx(
        friis_db(np.maximum(distances(where, transmitter), 0.5))[free], abs=1e-3
    )
    assert (found[blocked & ~inside] == BLIND_DB).all()
    assert np.isnan(found[shapely.contains_xy(houses, x, y)]).all()


def test_a_wall_in_the_north_shadows_the_north(rt: Any) -> None:
    where = scene((box(8, 24, 32, 28), 15.0), n=40)
    found = solved(where, Transmitter(20.5, 12.5))
    assert np.isnan(found[12:16, 8:32]).all()
    assert np.isnan(found).sum() == 4 * 24
    behind, before = found[4, 20], found[39 - 4, 20]
    assert behind > before + 30
    assert solved(where, Transmitter(20.5, 12.5), diffraction=False)[8, 38] == BLIND_DB
    # What gets behind the wall bends around its ends; just beyond the edge of the shadow a wedge
    # is a knife edge (ITU-R P.526, equation 31).
    start = np.array([20.5, 12.5, 1.5])
    for corner_x, col in ((8, 0), (8, 1), (32, 38), (32, 37)):
        corner, end = np.array([corner_x, 24, 1.5]), np.array([col + 0.5, 31.5, 1.5])
        d1, d2 = np.linalg.norm(corner - start), np.linalg.norm(end - corner)
        turn = np.radians(bend_angle_deg(start, corner, end))
        wavelength = SPEED_OF_LIGHT_M_PER_S / 5.9e9
        v = turn * np.sqrt(2 / wavelength / (1 / d1 + 1 / d2)) - 0.1
        knife_db = 6.9 + 20 * np.log10(np.hypot(v, 1) + v)
        excess_db = found[8, col] - friis_db(np.linalg.norm(end - start))
        assert excess_db == pytest.approx(knife_db, abs=1.0)


def test_reflection_in_a_metal_wall_is_a_mirror(rt: Any) -> None:
    where, transmitter = scene((box(4, 30, 36, 34), 15.0), n=40), Transmitter(20.5, 10.5)
    found = solved(where, transmitter, building_material="metal", diffraction=False)
    x, y = np.meshgrid(where.grid.x_centres(), where.grid.y_centres())
    image = np.hypot(x - 20.5, y - (60 - 10.5))
    gain = np.maximum(distances(where, transmitter), 0.5) ** -2.0 + image**-2.0
    expected = friis_db(np.ones_like(gain)) - 10 * np.log10(gain)
    street = (y < 29) & (np.abs(x - 20.5) < 12)
    assert found[street] == pytest.approx(expected[street], abs=0.01)


def test_nothing_leaves_a_courtyard(rt: Any) -> None:
    ring = Polygon(box(8, 8, 32, 32).exterior, [box(14, 14, 26, 26).exterior])
    found = solved(scene((ring, 15.0), n=40), Transmitter(20.5, 20.5))
    court = np.zeros(found.shape, bool)
    court[14:26, 14:26] = True
    outside = ~np.isnan(found) & ~court
    assert np.isnan(found).sum() == 24**2 - 12**2
    assert (found[court] < 90).all()
    assert (found[outside] == BLIND_DB).all()


def test_vehicles_shadow_and_are_computed(rt: Any) -> None:
    where, transmitter = scene(n=40), Transmitter(20.5, 10.5)
    frame = cars((17, 20, 24, 22))
    free = solved(where, transmitter)
    found = solved(where, transmitter, frame)
    x, y = np.meshgrid(where.grid.x_centres(), where.grid.y_centres())
    behind = (y > 23) & (np.abs(x - 20.5) < 1.5)
    on_it = shapely.contains_xy(box(17, 20, 24, 22), x, y)
    assert (found[behind] > free[behind] + 20).all()
    assert (np.abs(found - free)[on_it] < 1).all(), "their antennas are on the roof"
    assert not np.isnan(found).any()
    above = Transmitter(20.5, 10.5, 6.0)
    high = solved(where, above, frame, receiver_height_m=6.0)
    free = solved(where, above, receiver_height_m=6.0)
    assert (high < free + 0.01).all(), "nothing is shadowed above the vehicle"
    assert 2 < (free - high).max() < 3.02, "but its roof is a mirror"


def test_the_same_input_gives_the_same_map(rt: Any) -> None:
    where = scene(*random_city(3, n=64, count=6), n=64)
    maps = [solved(where, Transmitter(32.5, 31.5)).tobytes() for _ in range(2)]
    assert maps[0] == maps[1]


def test_more_rays_and_interactions_leave_fewer_pixels_blind(rt: Any) -> None:
    where, transmitter = scene(*random_city(4, n=64, count=8), n=64), Transmitter(32.5, 31.5)
    blind = [
        (solved(where, transmitter, rays=rays, max_interactions=order) == BLIND_DB).mean()
        for rays, order in ((1000, 0), (1000, 2), (4000, 2))
    ]
    assert blind[0] > blind[1] > 0
    assert blind[1] >= blind[2]


@pytest.mark.parametrize(
    ("transmitter", "obstacles", "message"),
    [
        (Transmitter(50.0, 5.0), NO_OBSTACLES, "not on the tile"),
        (Transmitter(20.0, 26.0), NO_OBSTACLES, "inside building 0"),
        (Transmitter(5.5, 5.5), cars((4, 4, 8, 6)), "inside vehicle 0"),
        (Transmitter(5.5, 5.5), Obstacles(np.zeros((1, 3, 2))), "shape"),
    ],
)
def test_impossible_places(
    rt: Any, transmitter: Transmitter, obstacles: Obstacles, message: str
) -> None:
    where = scene((box(8, 24, 32, 28), 15.0), n=40)
    with pytest.raises(InputError, match=message):
        solved(where, transmitter, obstacles)


def test_broken_buildings(rt: Any) -> None:
    with pytest.raises(InputError, match="building 0 has an invalid"):
        SionnaSolver().prepare(scene((box(1, 1, 5, 5), -3.0), n=16))


def test_materials_are_those_of_the_package(rt: Any) -> None:
    from sionna.rt.radio_materials.itu import ITU_MATERIALS_PROPERTIES

    for name, span in MATERIAL_GHZ.items():
        assert span == next(iter(ITU_MATERIALS_PROPERTIES[name])), name
    preset = resolve("irt2-like", {"ground_material": "medium_dry_ground"})
    assert preset.ground_material == "medium_dry_ground"


def test_a_dataset_by_the_second_solver(rt: Any, tmp_path: Path) -> None:
    from rmtools.run.runner import run

    root = tmp_path / "out"
    run(root, tiny(tmp_path), workers=1)
    store = Store.open(root)
    assert store.array_attributes("pathloss")["solver"]["solver"] == "sionna"
    loss = store.pathloss(0, 0, 0)
    assert (np.isnan(loss) == store.buildings(0)).all()
    blind = int((loss == BLIND_DB).sum())
    report = Report.read(root / "validation.json")
    assert report.ok
    assert 0 < blind < (~np.isnan(loss)).sum()
    assert any(f.what.startswith(f"{blind} of ") for f in report.findings)


def test_receivers_above_a_roof_are_computed(rt: Any) -> None:
    hall, tower = box(20, 20, 30, 30), box(40, 40, 50, 50)
    solver = SionnaSolver("irt2-like", receiver_height_m=20.0, rays=10_000)
    loss = solver.solve(
        solver.prepare(scene((hall, 10.0), (tower, 30.0))), Transmitter(10.5, 10.5, 15.0)
    )
    assert np.isfinite(loss[63 - 25, 25])
    assert np.isnan(loss[63 - 45, 45])
    assert np.isnan(loss).sum() == 100


def test_antenna_patterns_are_refused(rt: Any) -> None:
    pattern = Antenna("sector", 15.0, np.zeros(360), np.zeros(360))
    solver = SionnaSolver()
    prepared = solver.prepare(scene(n=16))
    with pytest.raises(InputError, match="antenna sector: the solver 'sionna' takes no antenna"):
        solver.solve(prepared, Transmitter(8.5, 8.5, antenna=pattern))
