"""Datasets that were exported, and what WinProp should answer."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from fakes_results import Area

from rmtools.run.recipe import load_recipe
from rmtools.run.runner import run
from rmtools.store import Store
from rmtools.winprop.check import Options
from rmtools.winprop.ingest import ingest
from rmtools.winprop.manifest import JobManifest, Solver, write_jobs
from rmtools.winprop.plan import JobOptions, plan_jobs

if TYPE_CHECKING:
    from rmtools.winprop.ingest_report import IngestReport
    from rmtools.winprop.manifest import Expected

DEMO = Path(__file__).resolve().parent.parent / "pipelines" / "demo.yaml"
SMALL = [
    "name=small",
    "grid.n=32",
    "city.tiles.count=2",
    "city.tiles.min_road_m=20",
    "traffic.trajectories=2",
    "traffic.frames=2",
    "traffic.vehicles=2",
    "transmitters.count=2",
    "transmitters.clear_of_roads=false",
]
MAPS = 2 * 2 * 2 * 2


@dataclass(frozen=True)
class Case:
    """A dataset that was exported, and the one that was simulated instead."""

    dataset: Path
    jobs: Path
    manifest: JobManifest
    simulated: Store

    def truth(self, expected: Expected) -> np.ndarray:
        """Simulated path loss of an expected result."""
        job, scene = expected.job, self.manifest.scene(expected.job.scene).index
        if job.trajectory is None and self.simulated.has("pathloss_static"):
            return self.simulated.static_map(scene, expected.transmitter.index)
        maps = self.simulated.pathloss(scene, job.trajectory or 0, expected.transmitter.index)
        return maps[job.frame or 0]

    def area(self, expected: Expected, **changes: object) -> Area:
        """A good result of WinProp's, or one that differs in `changes`."""
        tx = expected.transmitter
        good = {
            "values": -self.truth(expected)[None],
            "name": tx.name,
            "location": (tx.x, tx.y, tx.z_m),
        }
        return Area(**{**good, **changes})  # type: ignore[arg-type]

    def put(self, expected: Expected, data: bytes, name: int = 0) -> Path:
        path = self.jobs / expected.paths[name]
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        return path

    def put_all(self) -> list[Expected]:
        found = list(self.manifest.expected())
        for expected in found:
            self.put(expected, self.area(expected).data())
        return found

    def ingest(self, fit: str = "exact", **more: object) -> IngestReport:
        return ingest(self.jobs, self.dataset, "winprop", Options(fit), **more)  # type: ignore[arg-type]

    def store(self) -> Store:
        return Store.open(self.dataset)


def make_datasets(root: Path) -> Path:
    """Make a dataset up to its transmitters, and the same one simulated."""
    recipe = load_recipe(DEMO, SMALL)
    run(root / "dataset", recipe, stages=["tracks", "transmitters"])
    shutil.copytree(root / "dataset", root / "simulated")
    run(root / "simulated", recipe, stages=["pathloss"])
    return root


def export(made: Path, folder: Path, solver: Solver = "winprop", **options: object) -> Case:
    """A copy of the dataset with an export of it (its manifest and nothing else)."""
    shutil.copytree(made / "dataset", folder / "dataset")
    planned = JobOptions(3500.0, 1.5, **options)  # type: ignore[arg-type]
    manifest = plan_jobs(folder / "dataset", solver, planned)
    write_jobs(folder / "jobs", manifest)
    simulated = Store.open(made / "simulated")
    return Case(folder / "dataset", folder / "jobs", manifest, simulated)


def assert_same_maps(store: Store, simulated: Store) -> None:
    for scene in range(2):
        for traj in range(2):
            np.testing.assert_array_equal(
                store.pathloss_unit(scene, traj), simulated.pathloss_unit(scene, traj)
            )
