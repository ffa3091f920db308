"""The benchmark of the solver finds true maps, survives odd files and writes what it says."""

from __future__ import annotations

import io
import json
import math
import shutil
import zlib
from typing import TYPE_CHECKING

import dpm
import numpy as np
import pytest
import throughput_encoders as encoders
from dpm_accuracy import figures
from dpm_leave_one_out import PRESET, candidates, shipped
from dpm_truth import LEVEL_DB, true_maps
from dpm_workload import made_city
from numcodecs import blosc
from PIL import Image
from shapely import affinity
from shapely.geometry import box
from throughput import Measured

from rmtools.radio.dpm.solver import DominantPathSolver
from rmtools.radio.solver import Transmitter
from rmtools.units import SEER_SCALE

if TYPE_CHECKING:
    from pathlib import Path

PIXEL = (130, 100)  # column and row from the south, as RadioMapSeer lists antennas


@pytest.fixture(scope="module")
def fake(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Map 7 with polygons and two antennas, its first map also of unknown origin; and odd files."""
    from rmtools.city.seer import read_map

    root = tmp_path_factory.mktemp("data") / "radiomapseer"
    for folder in ("polygon/buildings_complete", "antenna", "gain/DPM", "dpm_unknown_ids"):
        (root / folder).mkdir(parents=True)
    turned = affinity.rotate(box(60, 60, 90, 80), 20)
    rings = [[[20, 30], [60, 30], [60, 50], [20, 50]], [[140, 150], [200, 150], [200, 180]]]
    rings.append([[float(x), float(y)] for x, y in turned.exterior.coords])
    (root / "polygon/buildings_complete/7.json").write_text(json.dumps(rings))
    (root / "antenna/7.json").write_text(json.dumps([PIXEL, [40, 120]]))
    solver = DominantPathSolver("radiomapseer")
    prepared = solver.prepare(read_map(root, 7))
    for number, (x, y) in enumerate((PIXEL, (40, 120))):
        loss = solver.solve(prepared, Transmitter(x + 0.5, y + 0.5))
        Image.fromarray(SEER_SCALE.encode(loss)).save(root / f"gain/DPM/7_{number}.png")
    shutil.copy(root / "gain/DPM/7_0.png", root / "dpm_unknown_ids/someone.png")
    shutil.copy(root / "gain/DPM/7_0.png", root / "gain/DPM/7_2.png")  # no such antenna
    (root / "gain/DPM/8_0.png").write_bytes(b"no image")
    (root / "gain/DPM/notes.txt").write_text("hello")
    (root / "gain/DPM/strange.png").write_text("hello")
    Image.fromarray(np.zeros((256, 256), np.uint8)).save(root / "dpm_unknown_ids/black.png")
    Image.fromarray(np.zeros((64, 64, 3), np.uint8)).save(root / "dpm_unknown_ids/colour.png")
    return root


def test_maps_are_found_and_odd_files_are_named(fake: Path) -> None:
    maps, skipped = true_maps(fake)
    assert [(m.name, m.city, m.walls) for m in maps] == [
        ("7_0", "7", "polygons"),
        ("7_1", "7", "polygons"),
        ("someone", "someone", "raster"),
    ]
    assert maps[0].transmitter == maps[2].transmitter == Transmitter(130.5, 100.5)
    assert [s.file for s in skipped] == [
        "gain/DPM/notes.txt",
        "gain/DPM/strange.png",
        "gain/DPM/7_2.png",
        "gain/DPM/8_0.png",
        "dpm_unknown_ids/black.png",
        "dpm_unknown_ids/colour.png",
    ]
    assert all(s.reason for s in skipped)


def test_a_map_without_polygons_and_antennas_is_a_raster_one(fake: Path, tmp_path: Path) -> None:
    (tmp_path / "gain/DPM").mkdir(parents=True)
    shutil.copy(fake / "gain/DPM/7_1.png", tmp_path / "gain/DPM/19_3.png")
    (true,) = true_maps(tmp_path)[0]
    assert (true.name, true.city, true.walls) == ("19_3", "19", "raster")
    assert true.transmitter == Transmitter(40.5, 120.5)


def test_json_of_maps(fake: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Against maps of its own the solver is exact with polygons, and near with vectorised walls."""
    out = tmp_path / "out.json"
    dpm.main([str(fake.parent), "--json", str(out), "--only", "accuracy,cars"])
    found = json.loads(out.read_text())
    assert [(m["name"], m["walls"]) for m in found["maps"]] == [
        ("7_0", "polygons"),
        ("7_1", "polygons"),
        ("someone", "raster"),
    ]
    assert [m["rmse_db"] for m in found["maps"][:2]] == [0, 0]
    assert 0 <= found["maps"][2]["rmse_db"] < 2
    assert found["means"][0]["rmse_db"] == 0
    assert found["maps"][0]["classes"]["line of sight"]["pixels"] > 1000
    assert len(found["skipped"]) == 6
    printed = capsys.readouterr().out
    assert "someone" in printed
    assert "skipped gain/DPM/8_0.png" in printed


def test_no_data_is_no_error(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    dpm.main([str(tmp_path), "--only", "accuracy,leave-one-out,cars"])
    assert "no true maps" in capsys.readouterr().out


def test_figures_of_errors() -> None:
    errors = np.array([0.0, LEVEL_DB, -LEVEL_DB, 2 * LEVEL_DB, 3 * LEVEL_DB, np.nan])
    found = figures(errors)
    assert found["pixels"] == 5
    assert found["rmse_db"] == pytest.approx(LEVEL_DB * math.sqrt(3))
    assert found["bias_db"] == pytest.approx(LEVEL_DB)
    assert found["median_db"] == pytest.approx(LEVEL_DB)
    assert (found["within_1_level"], found["within_2_levels"]) == (0.6, 0.8)
    assert figures(np.array([np.nan])) == {"pixels": 0}


def test_the_shipped_constants_are_a_candidate() -> None:
    assert all(getattr(PRESET, k) == v for k, v in candidates()[shipped()].items())


def test_made_cities_are_alike_at_every_size() -> None:
    shares = [
        sum(b.polygon.area for b in made_city(n, count).buildings) / n**2
        for n, count in ((128, 16), (256, 64), (256, 256))
    ]
    assert np.ptp(shares) < 0.06


def test_every_way_to_pack_a_map_gives_the_map_back() -> None:
    """Otherwise the comparison of throughput would compare nothing."""
    levels = np.random.default_rng(1).integers(0, 9, (40, 30), dtype=np.uint8)
    for name, way in encoders.png_ways().items():
        with Image.open(io.BytesIO(way(levels))) as image:
            assert np.array_equal(np.asarray(image), levels), name
    for name, deflate in encoders.deflaters(zlib_header=False).items():
        assert zlib.decompress(deflate(levels.tobytes()), -15) == levels.tobytes(), name
    loss = levels.astype(np.float32)
    for name, way in encoders.store_ways().items():
        assert blosc.decompress(way(loss)) == loss.tobytes(), name


def test_projections_share_what_can_be_shared() -> None:
    """Two processes that take half the time: sixteen cores take a sixteenth, the rest stays."""
    measured = Measured(
        recipe="x",
        maps=10,
        scenes=2,
        full_maps=3600,
        seconds={"radio maps": 8.0, "motion layout": 2.0, "findings": 1.0, "report": 5.0},
        seconds_of_two={"radio maps": 4.0, "motion layout": 1.0, "findings": 1.0, "report": 5.0},
        bytes_per_map={"store.zarr": 1.0},
        checksum_ms_per_map=0.0,
        fsync_ms_per_map=0.0,
    )
    assert measured.efficiency() == 1.0
    assert measured.projected_hours(1) == pytest.approx((1.0, 0.1))
    assert measured.projected_hours(16) == pytest.approx((1 / 16, 0.1))
