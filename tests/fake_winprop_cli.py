"""A stand-in for WinPropCLI: reads an exported project and its shapefile, solves with our DPM.

``fake_winprop_cli.py -F project.net -P --results-pro FOLDER --multi-threading N
--disable-project-update`` writes ``NAME Path Loss.txt`` for every antenna, in the ASCII format of
WinProp's area results: tab-separated header, x outer and y inner, N.C. inside buildings, path
loss as negative decibels.

RMTOOLS_FAKE_PRESET names the DPM preset (radiomapmotion). RMTOOLS_FAKE_LOG is a file to which
every start appends a line. RMTOOLS_FAKE_DIE_AFTER=k writes k results, then half of one, and ends
with an error.
"""

from __future__ import annotations

import argparse
import os
import re
import sys
from pathlib import Path

import geopandas
import numpy as np
import shapely

from rmtools.grid import Grid
from rmtools.radio.dpm.solver import DominantPathSolver
from rmtools.radio.solver import Obstacles, Transmitter
from rmtools.scene import Building, Frame, Provenance, Scene


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("-F", dest="project", type=Path, required=True)
    parser.add_argument("-P", dest="propagation", action="store_true", required=True)
    parser.add_argument("--results-pro", type=Path, required=True)
    parser.add_argument("--multi-threading", type=int)
    parser.add_argument("--disable-project-update", action="store_true")
    arguments = parser.parse_args()
    if log := os.environ.get("RMTOOLS_FAKE_LOG"):
        with Path(log).open("a") as handle:
            handle.write(f"{arguments.project}\n")
    text = arguments.project.read_bytes().decode("cp1252")
    _require(text, "SCENARIO_URBAN", "y")
    _require(text, "ASCII_OUTPUT_PROP", "y")
    _require(text, "PATH_LOSS", "y")
    west, south, east, north = map(float, _value(text, "COORDINATES_AREA").split())
    resolution, height_m = float(_value(text, "RESOLUTION")), float(_value(text, "HEIGHT"))
    if (west, south) != (0, 0) or east != north:
        sys.exit("the area does not begin at the origin or is not a square")
    nup = arguments.project.with_suffix(".nup").read_bytes().decode("cp1252")
    database = arguments.project.parent / _value(nup, "DATABASE_FILE").strip('"')
    if not database.with_suffix(".odb").is_file():
        sys.exit(f"cannot open {database}.odb")

    grid = Grid(round(east / resolution), resolution)
    scene, obstacles = read_database(database.with_suffix(".shp"), grid)
    antennas = sorted({int(k) for k in re.findall(r"(?m)^ANTENNA (\d+) ", text)} - {0})
    die_after = int(os.environ.get("RMTOOLS_FAKE_DIE_AFTER", len(antennas)))
    preset = os.environ.get("RMTOOLS_FAKE_PRESET", "radiomapmotion")
    for done, number in enumerate(antennas):
        key = f"ANTENNA {number} "
        name = _value(text, key + "NAME").strip('"')
        x, y, z = map(float, _value(text, key + "POSITION").split(","))
        frequency = float(_value(text, key + "FREQUENCY"))
        _require(text, key + "UNIT", "DBM")
        solver = DominantPathSolver(preset, frequency_mhz=frequency, receiver_height_m=height_m)
        pathloss_db = solver.solve(solver.prepare(scene), Transmitter(x, y, z), obstacles)
        result = ascii_result(
            pathloss_db,
            grid,
            name=name,
            location=(x, y, z),
            frequency_mhz=frequency,
            power_dbm=float(_value(text, key + "POWER")),
            height_m=height_m,
        )
        path = arguments.results_pro / f"{name} Path Loss.txt"
        if done == die_after:
            path.write_bytes(result[: len(result) // 2])
            return 1
        path.write_bytes(result)
    return 0


def ascii_result(
    pathloss_db: np.ndarray,
    grid: Grid,
    *,
    name: str,
    location: tuple[float, float, float],
    frequency_mhz: float,
    power_dbm: float,
    height_m: float,
) -> bytes:
    """A path loss map as WinProp's ASCII area result: three columns, x outer, y inner."""
    place = " ".join(f"{value:.3f}" for value in location)
    header = [
        "VERSION\t2022-00000",
        "DATE\t2026-01-01, 00:00:00 (+0000)",
        f"ANTENNA 1\tNAME\t{name}",
        f"ANTENNA 1\tLOCATION\t{place}",
        f"ANTENNA 1\tFREQUENCY\t{frequency_mhz:.3f}",
        f"ANTENNA 1\tPOWER\t{power_dbm:.3f} dBm Output",
        "ANTENNA 1\tANTENNATYPE\tISO",
        "LOWER_LEFT\t0.00000000 0.00000000",
        f"UPPER_RIGHT\t{grid.size_m:.8f} {grid.size_m:.8f}",
        f"HEIGHT\t{height_m:.3f}",
        "TIME_STEP\t0.000",
        f"RESOLUTION\t{grid.resolution_m:.8f}",
        "",
        "BEGIN_DATA",
    ]
    rows = [
        f"{x:.3f} {y:.3f} " + ("N.C." if np.isnan(loss) else f"{-loss:.4f}")
        for col, x in enumerate(grid.x_centres().tolist())
        for y, loss in zip(grid.y_centres()[::-1], pathloss_db[::-1, col], strict=True)
    ]
    return "\r\n".join([*header, *rows, "END_DATA", ""]).encode("ascii")


def read_database(path: Path, grid: Grid) -> tuple[Scene, Obstacles]:
    """Scene and vehicles in a shapefile; pieces of one house are joined again."""
    table = geopandas.read_file(path)
    houses = table[table["KIND"] == "building"]
    buildings = [
        Building(part, float(pieces["HEIGHT_M"].iloc[0]), "dataset")
        for _, pieces in houses.groupby("ID")
        for part in shapely.get_parts(shapely.union_all(pieces.geometry.to_numpy()))
    ]
    cars = table[table["KIND"] == "vehicle"]
    corners = [
        shapely.get_coordinates(shapely.minimum_rotated_rectangle(car).exterior.normalize())[:4]
        if len(car.exterior.coords) != 5
        else np.array(car.exterior.coords)[:0:-1]  # shapefiles are clockwise
        for car in cars.geometry
    ]
    nothing = Provenance(
        source="shapefile",
        reader="radiomapseer",
        sha256="0" * 64,
        date=None,
        licence="none",
        attribution="none",
    )
    frame = Frame(n=grid.n, resolution_m=grid.resolution_m)
    scene = Scene("job", frame, tuple(buildings), (), nothing)
    if not corners:
        return scene, Obstacles()
    return scene, Obstacles(np.array(corners), float(cars["HEIGHT_M"].iloc[0]))


def _value(text: str, keyword: str) -> str:
    found = re.findall(rf"(?m)^{re.escape(keyword)}[ \t]+(.*?)[ \t]*\r?$", text)
    if len(found) != 1:
        sys.exit(f"{keyword} stands {len(found)} times in the project")
    return found[0]


def _require(text: str, keyword: str, value: str) -> None:
    if _value(text, keyword) != value:
        sys.exit(f"{keyword} is {_value(text, keyword)}, not {value}")


if __name__ == "__main__":
    sys.exit(main())
