"""Let the real SUMO drive through a demo scene: ``python tests/data/sumo/make.py`` from the root.

Writes the excerpts beside this file. Needs the wheel ``eclipse-sumo``; the tests that run SUMO
live use the same functions.
"""

from __future__ import annotations

import gzip
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import osmium

from rmtools.city.sources import build_scenes
from rmtools.data import helsinki_path
from rmtools.run.recipe import Recipe, load_recipe
from rmtools.traffic.fcd import read_net_location

if TYPE_CHECKING:
    from rmtools.scene import Scene

ROOT = Path(__file__).resolve().parents[3]
HERE = Path(__file__).resolve().parent
SCENE = "helsinki_r01_c01"
BEGIN_S, END_S = 120.0, 126.0
MARGIN_M = 30.0
SEED = "1"


def demo_recipe() -> Recipe:
    """The recipe of ``rmtools run demo``."""
    return load_recipe(ROOT / "pipelines" / "demo.yaml")


def demo_scene() -> Scene:
    """The scene of the demo that the excerpts are about."""
    recipe = demo_recipe()
    scenes, _ = build_scenes(recipe.city, recipe.grid.build(), recipe.seed)
    return next(scene for scene in scenes if scene.name == SCENE)


def make_net(folder: Path) -> Path:
    """Make a SUMO net of the streets of the demo extract, and random trips on it."""
    import sumo

    streets, net = folder / "streets.osm", folder / "streets.net.xml"
    with osmium.SimpleWriter(str(streets)) as writer:
        for item in osmium.FileProcessor(str(helsinki_path())):
            if item.is_node():
                writer.add_node(item)
            elif item.is_way() and "highway" in item.tags:
                writer.add_way(item)
    command = ["netconvert", "--osm-files", streets, "-o", net, "--no-turnarounds"]
    _run(folder, *command, "--keep-edges.by-vclass", "passenger", "--junctions.join")
    trips = Path(sumo.SUMO_HOME) / "tools" / "randomTrips.py"
    command = [sys.executable, trips, "-n", net, "-o", folder / "trips.xml", "--seed", SEED]
    _run(folder, *command, "-e", "120", "-p", "0.8", "--fringe-factor", "5")
    return net


def drive(folder: Path, name: str, *options: str, step_s: float = 0.1) -> Path:
    """Run SUMO on what :func:`make_net` left in a folder; returns the FCD file."""
    out = folder / name
    command = ["sumo", "-n", folder / "streets.net.xml", "-r", folder / "trips.xml"]
    command += ["--seed", SEED, "--step-length", str(step_s), "--end", str(END_S + step_s)]
    command += ["--ignore-route-errors", "--time-to-teleport", "-1", "--no-step-log"]
    command += ["--device.fcd.begin", str(BEGIN_S), "--fcd-output", out]
    _run(folder, *command, "--precision", "4", "--precision.geo", "9", *options)
    return out


def _run(folder: Path, *command: str | Path) -> None:
    """Run a program in a folder: randomTrips.py leaves files where it runs."""
    arguments = [str(part) for part in command]
    subprocess.run(arguments, check=True, capture_output=True, cwd=folder)


def near_scene(fcd: Path, net: Path, scene: Scene) -> list[set[str]]:
    """Vehicles near a scene in each time step of a file in net coordinates."""
    location = read_net_location(net)
    west = (scene.frame.easting_m or 0.0) + location.offset[0]
    south = (scene.frame.northing_m or 0.0) + location.offset[1]
    reach = scene.grid.size_m + MARGIN_M
    steps: list[set[str]] = []
    for line in fcd.read_text().splitlines():
        if "<timestep" in line:
            steps.append(set())
        elif found := _VEHICLE.search(line):
            x, y = float(found[2]) - west, float(found[3]) - south
            if -MARGIN_M < x < reach and -MARGIN_M < y < reach:
                steps[-1].add(found[1])
    return steps


_VEHICLE = re.compile(r'<vehicle id="([^"]*)" x="([^"]*)" y="([^"]*)"')


def excerpt(fcd: Path, near: list[set[str]]) -> bytes:
    """The file without its comments and without the vehicles that are far away."""
    text = re.sub(r"<!--.*?-->\s*", "", fcd.read_text(), flags=re.DOTALL)
    kept, step = [], -1
    for line in text.splitlines():
        step += "<timestep" in line
        found = _VEHICLE.search(line)
        if found is None or found[1] in near[step]:
            kept.append(line)
    return gzip.compress("\n".join([*kept, ""]).encode(), 9, mtime=0)


def main() -> None:
    """Write the excerpts."""
    scene = demo_scene()
    folder = Path(tempfile.mkdtemp())
    try:
        net = make_net(folder)
        plain = drive(folder, "net.xml")
        geographic = drive(folder, "geo.xml", "--fcd-output.geo")
        near = near_scene(plain, net, scene)
        (HERE / "net.fcd.xml.gz").write_bytes(excerpt(plain, near))
        (HERE / "geo.fcd.xml.gz").write_bytes(excerpt(geographic, near))
        (location,) = re.findall(r"<location [^>]*/>", net.read_text())
        (HERE / "location.net.xml").write_text(f"<net>\n    {location}\n</net>\n")
    finally:
        shutil.rmtree(folder)


if __name__ == "__main__":
    main()
