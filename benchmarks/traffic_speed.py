"""How fast the vehicle engine is: against its readable reference and against SUMO.

    python benchmarks/traffic_speed.py [--json FILE] [--scenes 300]

Vehicle-steps per second of one core; a vehicle-step is one vehicle in one frame of 0.1 s. The
scenes are overlapping tiles of the demo extract and of those in $RMTOOLS_REFERENCE_DATA/osm where
there are any. SUMO runs in this process through libsumo, on a net that netconvert makes of the
streets of the demo extract (pyosmium turns its PBF into the XML that netconvert reads). The time of
both is that of the motion alone, with all vehicles in place, the best of several stretches of
15 frames; the ratio is against the best of SUMO's fleets. Last, the time from scenes to tracks,
with everything.
"""

from __future__ import annotations

import argparse
import contextlib
import itertools
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from rmtools.city.config import CityConfig
from rmtools.city.rasters import road_mask, touched_mask
from rmtools.city.sources import build_scenes
from rmtools.data import helsinki_path
from rmtools.errors import RecipeError
from rmtools.grid import Grid
from rmtools.seeds import generator
from rmtools.traffic.config import TrafficConfig
from rmtools.traffic.drivable import drivable_field
from rmtools.traffic.engine import (
    cells_of,
    desired_speeds,
    fleet_of,
    generate_scene,
    rules_of,
    simulate_batch,
)
from rmtools.traffic.motion import drive
from rmtools.traffic.seeding import seed as seed_vehicles

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from rmtools.scene import Scene
    from rmtools.traffic.drivable import DrivableField

REPOSITORY = Path(__file__).resolve().parents[1]
CONFIG = TrafficConfig()
TRAJECTORIES = 1500
FLEETS = (20, 50, 200, 1000)
STRETCHES, STEPS = 12, 15


def scenes_of(count: int) -> list[Scene]:
    """Up to `count` real scenes."""
    data = Path(os.environ.get("RMTOOLS_REFERENCE_DATA", REPOSITORY.parent / "shared" / "data"))
    sources = ["demo", *map(str, sorted((data / "osm").glob("*.osm.pbf")))]
    found: list[list[Scene]] = []
    for source in sources:
        tiles = {"stride_m": 64.0, "count": count}
        config = CityConfig.model_validate({"source": source, "tiles": tiles})
        with contextlib.suppress(RecipeError):  # some extracts are smaller than a tile
            found.append(build_scenes(config, Grid(), 0)[0])
    mixed = [scene for turn in itertools.zip_longest(*found) for scene in turn if scene]
    return mixed[:count]


def least(times: int, run: Callable[[], object]) -> float:
    """Least processor time of a call in seconds."""
    taken = []
    for _ in range(times):
        start = time.process_time()
        run()
        taken.append(time.process_time() - start)
    return min(taken)


def rngs_of(scene: Scene, config: TrafficConfig) -> list[np.random.Generator]:
    """Generators of all trajectories of a scene."""
    return [generator(0, "tracks", scene.name, t) for t in range(config.trajectories)]


def motion_rate(
    scenes: Sequence[Scene], fields: Sequence[DrivableField], config: TrafficConfig
) -> float:
    """Vehicle-steps per second of the compiled motion, all trajectories of a scene per call."""
    work, steps = [], 0
    for scene, field in zip(scenes, fields, strict=True):
        rngs = rngs_of(scene, config)
        poses = seed_vehicles(field, config, rngs)
        fleets = fleet_of(poses, np.stack([desired_speeds(config, rng) for rng in rngs]))
        steps += int((fleets["state"] >= 0).sum()) * (config.frames - 1)
        scenery = cells_of(field, config), field.obstacle, rules_of(config, field.grid)
        work.append((scenery, fleets))
    shape = config.trajectories, config.frames, config.vehicles
    record = (*np.empty((4, *shape)), np.empty(shape, np.int8))

    seconds = 0.0
    for scenery, fleets in work:
        tries = [fleets.copy() for _ in range(STRETCHES)]
        seconds += least(
            STRETCHES,
            lambda: drive(*scenery, tries.pop(), 0, record),  # noqa: B023 - called at once
        )
    return steps / seconds


def reference_rate(fields: Sequence[DrivableField]) -> float:
    """Vehicle-steps per second of the readable reference."""
    sys.path.insert(0, str(REPOSITORY / "tests"))
    import traffic_reference

    steps, taken = 0, 0.0
    for field in fields:
        fleet = traffic_reference.Traffic(field, CONFIG, np.random.default_rng(0))
        start = time.process_time()
        for _ in range(CONFIG.frames - 1):
            fleet.advance()
        taken += time.process_time() - start
        steps += int(fleet.present.sum()) * (CONFIG.frames - 1)
    return steps / taken


def sumo_net(folder: Path) -> Path:
    """SUMO's net of the streets of the demo extract."""
    import osmium
    import sumo

    xml, net = folder / "streets.osm", folder / "streets.net.xml"
    with osmium.SimpleWriter(str(xml)) as writer:
        for thing in osmium.FileProcessor(str(helsinki_path())):
            writer.add(thing)
    command = [Path(sumo.SUMO_HOME) / "bin" / "netconvert", "--osm-files", xml, "-o", net]
    options = ["--keep-edges.by-vclass", "passenger", "--geometry.remove", "--no-warnings"]
    subprocess.run([*command, *options], check=True, stdout=subprocess.DEVNULL)
    return net


def sumo_rate(net: Path, vehicles: int, *, positions: bool) -> float:
    """Vehicle-steps per second of SUMO, the best of several stretches."""
    import libsumo

    command = ["sumo", "-n", str(net), "--step-length", "0.1", "--no-step-log", "--no-warnings"]
    libsumo.start([*command, "--time-to-teleport", "-1", "--seed", "1"])
    draw = random.Random(1)  # noqa: S311 - not for secrets
    edges = [edge for edge in libsumo.edge.getIDList() if not edge.startswith(":")]
    placed = 0
    while placed < vehicles:
        route = libsumo.simulation.findRoute(draw.choice(edges), draw.choice(edges)).edges
        if len(route) > 8:  # long enough to stay for the time of the measurement
            libsumo.route.add(str(placed), route)
            libsumo.vehicle.add(str(placed), str(placed), departPos="random_free")
            placed += 1
    while libsumo.simulation.getTime() < 5:
        libsumo.simulationStep()
    best = 0.0
    for _ in range(STRETCHES):
        steps, start = 0, time.process_time()
        for _ in range(STEPS):
            libsumo.simulationStep()
            if positions:
                for name in libsumo.vehicle.getIDList():
                    libsumo.vehicle.getPosition(name)
                    libsumo.vehicle.getAngle(name)
        taken = time.process_time() - start
        steps = STEPS * libsumo.vehicle.getIDCount()
        best = max(best, steps / taken)
    libsumo.close()
    return best


def sumo_rates() -> dict[str, float]:
    """SUMO's rates by size of the fleet; empty without SUMO."""
    try:
        import libsumo  # noqa: F401 - only whether it is there
    except ImportError:
        print("SUMO is not here (pip install 'rmtools[bench]'): no comparison with it")
        return {}
    rates = {}
    with tempfile.TemporaryDirectory() as folder:
        net = sumo_net(Path(folder))
        for vehicles in FLEETS:
            for positions in (False, True):
                name = f"SUMO, {vehicles} vehicles" + (", positions read" if positions else "")
                rates[name] = sumo_rate(net, vehicles, positions=positions)
    return rates


def scene_times(scenes: Sequence[Scene]) -> dict[str, float]:
    """Seconds of one core from scenes to tracks, and of the parts."""
    parts = {"rasters": 0.0, "field": 0.0, "seeding": 0.0, "motion and the rest": 0.0}
    for scene in scenes:
        times = [time.process_time()]
        masks = road_mask(scene), touched_mask(scene)
        times.append(time.process_time())
        field = drivable_field(*masks, scene.grid, CONFIG)
        times.append(time.process_time())
        seed_vehicles(field, CONFIG, rngs_of(scene, CONFIG))
        times.append(time.process_time())
        simulate_batch([field], CONFIG, [rngs_of(scene, CONFIG)])
        times.append(time.process_time())
        taken = np.diff(times)
        taken[3] -= taken[2]  # seeds once more
        for name, value in zip(parts, taken, strict=True):
            parts[name] += float(value)
    return parts


def drive_all(scenes: Sequence[Scene]) -> int:
    """Drive all trajectories of some scenes; returns how many there were."""
    return sum(len(generate_scene(scene, CONFIG, 0)) for scene in scenes)


def wall_times(scenes: Sequence[Scene]) -> dict[int, float]:
    """Seconds of the clock for all scenes, by the number of processes."""
    found = {}
    for processes in (1, 2):
        shares = [scenes[k::processes] for k in range(processes)]
        with ProcessPoolExecutor(processes) as pool:
            list(pool.map(drive_all, [share[:1] for share in shares]))  # starts and loads
            start = time.perf_counter()
            list(pool.map(drive_all, shares))
            found[processes] = time.perf_counter() - start
    return found


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="Speed of the vehicle engine.")
    parser.add_argument("--json", type=Path, help="write the figures to this file, too")
    parser.add_argument("--scenes", type=int, default=300)
    options = parser.parse_args()

    scenes = scenes_of(options.scenes)
    fields = [
        drivable_field(road_mask(scene), touched_mask(scene), scene.grid, CONFIG)
        for scene in scenes
    ]
    print(f"{len(scenes)} scenes; vehicle-steps per second of one core:")
    long = CONFIG.model_copy(update={"frames": 150})
    many = CONFIG.model_copy(update={"vehicles": 200, "min_spacing_lengths": 1.0})
    rates = {
        "compiled": motion_rate(scenes, fields, CONFIG),
        "compiled, 150 frames": motion_rate(scenes[::10], fields[::10], long),
        "compiled, up to 200 vehicles": motion_rate(scenes[::10], fields[::10], many),
        "reference": reference_rate(fields[::30]),
    }
    sumo = sumo_rates()
    rates |= sumo
    for name, rate in rates.items():
        print(f"  {name:36} {rate:12,.0f}")
    ratios = {"reference": rates["compiled"] / rates["reference"]}
    if sumo:
        ratios["SUMO"] = rates["compiled"] / max(sumo.values())
    for name, ratio in ratios.items():
        print(f"compiled / {name}{' at its best' if name == 'SUMO' else ''}: {ratio:.1f}")

    drive_all(scenes[:1])
    total = least(2, lambda: drive_all(scenes)) * TRAJECTORIES / CONFIG.trajectories / len(scenes)
    parts = scene_times(scenes)
    print(f"{TRAJECTORIES} trajectories, one core: {total:.1f} s; share of")
    for name, taken in parts.items():
        print(f"  {name:20} {taken / sum(parts.values()):6.1%}")
    walls = wall_times(scenes)
    print(f"two processes instead of one: {walls[1] / walls[2]:.2f} times as fast")

    if options.json:
        figures = {
            "scenes": len(scenes),
            "vehicle_steps_per_s": rates,
            "ratios": ratios,
            "trajectories": TRAJECTORIES,
            "seconds": total,
            "seconds_of_parts": parts,
            "wall_seconds_by_processes": walls,
        }
        options.json.write_text(json.dumps(figures, indent=2) + "\n")


if __name__ == "__main__":
    main()
