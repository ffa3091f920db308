"""What the optional ray tracer costs, what it does not reach, and how far it is from true IRT maps.

    python benchmarks/sionna_irt.py [reference-data]

Prints, per preset and number of rays, the wall time of one map of the demo's first scene beside
the embedded Dominant Path Model and the share of blind pixels; with reference data also the root
mean square error in dB against the true IRT2 and IRT4 map of RadioMapSeer's map 0, transmitter 0.
"""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np

from rmtools.radio.config import SolverConfig
from rmtools.radio.solver import Transmitter
from rmtools.units import SEER_SCALE

if TYPE_CHECKING:
    from rmtools.scene import Scene
    from rmtools.types import FloatArray

CASES: tuple[tuple[str, dict[str, Any]], ...] = (
    ("irt2-like", {"rays": 1_000}),
    ("irt2-like", {"rays": 3_000}),
    ("irt2-like", {}),
    ("irt2-like", {"diffraction": False}),
    ("irt2-like", {"ground_material": "concrete"}),
    ("irt4-like", {}),
)


class Timed(NamedTuple):
    """One map, the seconds it took (without preparing the scene) and its share of blind pixels."""

    pathloss_db: FloatArray
    seconds: float
    blind_share: float


def time_per_map(
    scene: Scene,
    transmitter: Transmitter,
    preset: str,
    solver: Literal["dpm", "sionna"] = "sionna",
    runs: int = 1,
    **overrides: Any,
) -> Timed:
    """Solve one map `runs` times; the best time counts, and compiling does not.

    Parameters
    ----------
    scene, transmitter
        What is solved.
    preset, solver, overrides
        As in a recipe's section ``solver``.

    Returns
    -------
    Timed
        ``blind_share`` is the share of the pixels outside buildings; 0 for the DPM.
    """
    config = SolverConfig(name=solver, preset=preset, overrides=overrides)
    few = {"rays": 100} if solver == "sionna" else {}
    first = SolverConfig(name=solver, preset=preset, overrides={**overrides, **few}).build()
    first.solve(first.prepare(scene), transmitter)
    built = config.build()
    prepared = built.prepare(scene)
    times = []
    for _ in range(runs):
        start = time.perf_counter()
        pathloss_db = built.solve(prepared, transmitter)
        times.append(time.perf_counter() - start)
    outdoor = pathloss_db[~np.isnan(pathloss_db)]
    blind_db = config.describe().get("blind_db", np.inf)
    return Timed(pathloss_db, min(times), float(np.mean(outdoor >= blind_db)))


def demo_scene() -> tuple[Scene, Transmitter]:
    """First scene and transmitter of the demo."""
    from rmtools.city.config import CityConfig
    from rmtools.city.sources import build_scenes
    from rmtools.grid import Grid
    from rmtools.radio.transmitters import PlacementConfig, place_scene
    from rmtools.traffic.config import TrafficConfig

    scenes, _ = build_scenes(CityConfig(), Grid(256, 1.0), 1)
    positions = place_scene(scenes[0], PlacementConfig(count=1), 1, TrafficConfig())
    return scenes[0], Transmitter(*positions[0].tolist())


def compare(found: FloatArray, truth: FloatArray, blind_db: float) -> str:
    """RMSE and mean error where both have a level above zero, and what the others are."""
    outdoor = ~np.isnan(found)
    level = SEER_SCALE.encode(found).astype(float)
    both = outdoor & (level > 0) & (truth > 0)
    error = (level - truth)[both] * SEER_SCALE.step_db
    blind = found[outdoor & (truth > 0)] >= blind_db
    return (
        f"{np.sqrt(np.mean(error**2)):8.2f} {error.mean():+8.2f} {both.sum() / outdoor.sum():8.1%}"
        f" {blind.mean():12.1%}"
    )


def main() -> None:
    """Print both tables."""
    default = Path(__file__).resolve().parents[2] / "shared" / "data"
    root = Path(
        sys.argv[1] if len(sys.argv) > 1 else os.environ.get("RMTOOLS_REFERENCE_DATA", default)
    )
    scene, transmitter = demo_scene()
    dpm = time_per_map(scene, transmitter, "radiomapseer", "dpm", runs=5)
    print(f"{scene.name}, {os.cpu_count()} cores; DPM {1000 * dpm.seconds:.0f} ms per map")
    for preset, overrides in CASES:
        timed = time_per_map(scene, transmitter, preset, **overrides)
        print(
            f"{preset} {overrides or ''}: {timed.seconds:.1f} s, "
            f"{timed.seconds / dpm.seconds:.0f} x DPM, blind {timed.blind_share:.1%}",
            flush=True,
        )
    root /= "radiomapseer"
    if not root.is_dir():
        print(f"no reference data at {root}")
        return
    from rmtools.city.seer import read_map, read_png, read_transmitters

    scene, transmitter = read_map(root, 0), Transmitter(*read_transmitters(root, 0)[0])
    print("map 0, transmitter 0; dB where both are above the weakest level (share of the street)")
    print("                                   RMSE     mean    share   blind, truth is not")
    for truth in ("IRT2", "IRT4"):
        image = read_png(root / f"gain/{truth}/0_0.png").astype(float)
        dpm = time_per_map(scene, transmitter, "radiomapseer", "dpm")
        print(f"{truth}  {'DPM':<22}", compare(dpm.pathloss_db, image, np.inf))
        preset = f"{truth.lower()}-like"
        for rays in (3_000, 10_000):
            timed = time_per_map(scene, transmitter, preset, rays=rays)
            print(f"{truth}  {preset} {rays:<12}", compare(timed.pathloss_db, image, 250.0))


if __name__ == "__main__":
    main()
