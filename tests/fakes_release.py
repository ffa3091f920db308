"""A small finished dataset, and releases of it, for the tests about releases."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING, Any

from rmtools.files import walk_files
from rmtools.release.about import About
from rmtools.release.plan import Wishes
from rmtools.release.release import make_release, plan_release
from rmtools.run.recipe import load_recipe
from rmtools.run.runner import run
from rmtools.run.workspace import RECIPE_NAME

if TYPE_CHECKING:
    from pathlib import Path

    from rmtools.release.manifest import ReleaseManifest
    from rmtools.release.plan import Plan

SETTINGS = [
    "name=tiny-release",
    "grid.n=32",
    "city.tiles.count=4",
    "city.tiles.min_road_m=10",
    "city.tiles.min_spacing_m=32",
    "traffic.trajectories=2",
    "traffic.frames=3",
    "traffic.vehicles=2",
    "transmitters.count=2",
    "transmitters.height_m=4",
    "transmitters.clear_of_roads=false",
    "transmitters.min_wall_m=0",
]
MAPS = 4 * 2 * 2 * 3


def make_dataset(root: Path, pipelines: Path) -> Path:
    """Make the dataset, once for all processes of pytest."""
    from filelock import FileLock

    with FileLock(f"{root}.lock"):
        if not (root / "report.html").is_file():
            run(root, load_recipe(pipelines / "demo.yaml", SETTINGS), workers=1)
    return root


def copy_dataset(source: Path, target: Path) -> Path:
    """A dataset of one's own to break."""
    return shutil.copytree(source, target)


def release(dataset: Path, out: Path, version: str = "1.0.0", **wishes: Any) -> ReleaseManifest:
    """Release a dataset on a fixed day."""
    about = wishes.pop("about", About())
    wanted = Wishes(version=version, date="2026-01-02", about=about, **wishes)
    plan = plan_release(dataset, load_recipe(dataset / RECIPE_NAME), wanted)
    return make_release(plan, out).manifest


def files_of(root: Path) -> dict[str, bytes]:
    """Content of every file below a folder."""
    return {path.relative_to(root).as_posix(): path.read_bytes() for path in walk_files(root)}


def plan_of(dataset: Path, **wishes: Any) -> Plan:
    """The plan of a release."""
    recipe = load_recipe(dataset / "recipe.yaml")
    return plan_release(dataset, recipe, Wishes("1.0.0", "2026-01-02", About(), **wishes))
