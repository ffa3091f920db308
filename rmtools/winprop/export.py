"""Writing the jobs of a dataset: one folder for each, complete or not there at all."""

from __future__ import annotations

import os
import shutil
import stat
import tempfile
from collections import defaultdict
from dataclasses import dataclass
from functools import lru_cache, partial
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from filelock import FileLock, Timeout

from rmtools.errors import BusyError, RecipeError
from rmtools.files import (
    PARTIAL_SUFFIX,
    walk_files,
    write_bytes,
    write_json,
    write_text,
)
from rmtools.radio.solver import NO_OBSTACLES, Obstacles
from rmtools.run.executor import Executor
from rmtools.scene import Scene
from rmtools.store import SCENES_NAME, Store
from rmtools.winprop.database import oda_text, prisms, write_shapefile
from rmtools.winprop.lines import ENCODING
from rmtools.winprop.manifest import (
    JOBS_NAME,
    Job,
    JobManifest,
    JobScene,
    read_jobs,
    write_jobs,
)
from rmtools.winprop.plan import JobOptions, plan_jobs
from rmtools.winprop.project import DATABASE_NAME, ProjectSettings, Template

if TYPE_CHECKING:
    from collections.abc import Callable

    from rmtools.run.progress import Progress

LIST_NAME = "jobs.txt"
EXPECTED_NAME = "expected.txt"
VEHICLES_NAME = "vehicles.geojson"
_LOCK_NAME = ".lock"
_FOLDER = "\x01"  # stands for the job's folder until that is known; no text file has it


class Exported(NamedTuple):
    """What an export holds, or would hold; `done_before` of its jobs were there already."""

    jobs: int
    files: int
    bytes: int
    done_before: int


@dataclass(frozen=True)
class Source:
    """What jobs are made from.

    Attributes
    ----------
    dataset
        Dataset folder.
    template
        Project to clone; None for other solvers than WinProp.
    place
        Folder where the jobs will lie on the machine that solves them; empty for names without a
        folder in the projects.
    """

    dataset: Path
    template: Template | None = None
    place: str = ""

    def scene(self, name: str) -> Scene:
        """Vector form of a scene."""
        return Scene.read(self.dataset / SCENES_NAME / f"{name}.json")

    def obstacles(self, scene: int, trajectory: int | None) -> Callable[[Job], Obstacles]:
        """The vehicles of every job of a trajectory."""
        if trajectory is None:
            return lambda _: NO_OBSTACLES
        tracks = Store.open(self.dataset).tracks(scene, trajectory)
        return lambda job: Obstacles(tracks.outlines(job.frame or 0), tracks.size.height_m)

    def folder(self, job: Job) -> str:
        """The job's folder on the machine that solves it, with a separator at its end."""
        if not self.place:
            return ""
        mark = "\\" if "\\" in self.place or self.place[1:2] == ":" else "/"
        return mark.join([self.place.rstrip("/\\"), *job.folder.split("/"), ""])


def plan(source: Source, options: JobOptions) -> JobManifest:
    """The manifest of all jobs: for WinProp with a template, else for any solver.

    Raises
    ------
    InputError, RecipeError
        See :func:`rmtools.winprop.plan.plan_jobs` and :meth:`Template.clone`.
    """
    if source.template is None:
        return plan_jobs(source.dataset, "neutral", options)
    manifest = plan_jobs(source.dataset, "winprop", options, source.template.describe())
    folder = source.folder(manifest.jobs[0])
    clone = source.template.clone(
        project_settings(manifest), manifest.scenes[0].transmitters, folder
    )
    notes = tuple(source.template.notes(clone, folder))
    return manifest.model_copy(update={"place": source.place, "notes": notes})


def export_jobs(
    source: Source,
    out: Path,
    manifest: JobManifest,
    *,
    workers: int = 1,
    progress: Progress | None = None,
) -> Exported:
    """Write all jobs that are not there yet.

    Parameters
    ----------
    source
        Dataset and template.
    out
        Folder of the jobs; made when missing.
    manifest
        Which jobs, see :func:`plan`.
    workers
        Number of processes. The result does not depend on it.
    progress
        Told about every job.

    Raises
    ------
    RecipeError
        The folder holds other jobs.
    BusyError
        Another export works in the folder.
    """
    out.mkdir(parents=True, exist_ok=True)
    try:
        held = FileLock(out / _LOCK_NAME).acquire(timeout=0)
    except Timeout as error:
        raise BusyError(
            "another export works in this folder.",
            where=out,
            remedy="Wait until it ends or choose another folder.",
        ) from error
    with held:
        _check_folder(out, manifest)
        _write_root(source, out, manifest)
        units = dict.fromkeys(_unit(job) for job in manifest.jobs)
        before = sum(_is_done(out, job) for job in manifest.jobs)
        if progress is not None:
            progress.start("jobs", len(manifest.jobs), before)

        def on_done(_: str, made: int) -> None:
            if progress is not None:
                progress.advance(made)

        with Executor(workers) as executor:
            executor.run(partial(write_unit, source, out), list(units), on_done)
        if progress is not None:
            progress.finish()
        return Exported(len(manifest.jobs), *_count(out), before)


def estimate(source: Source, out: Path, manifest: JobManifest) -> Exported:
    """What :func:`export_jobs` would write, judged by the first job of every scene."""
    jobs_of: dict[str, list[Job]] = defaultdict(list)
    for job in manifest.jobs:
        jobs_of[job.scene].append(job)
    before = sum(_is_done(out, job) for job in manifest.jobs)
    with tempfile.TemporaryDirectory() as folder:
        trial = Path(folder)
        _write_root(source, trial, manifest)
        count, size = _count(trial)
        for jobs in jobs_of.values():
            _write_jobs_of(source, trial, manifest, jobs[:1])
            each = _count(trial / jobs[0].folder)
            count, size = count + len(jobs) * each[0], size + len(jobs) * each[1]
    return Exported(len(manifest.jobs), count, size, before)


def write_unit(source: Source, out: Path, unit: str) -> int:
    """Write the missing jobs of one scene and trajectory; return how many they were."""
    manifest, units = _planned(out)
    missing = [job for job in units[unit] if not _is_done(out, job)]
    if missing:
        _write_jobs_of(source, out, manifest, missing)
    return len(missing)


def _write_jobs_of(source: Source, out: Path, manifest: JobManifest, jobs: list[Job]) -> None:
    """Write jobs of one scene and trajectory; each gets its name when everything is in it."""
    about = manifest.scene(jobs[0].scene)
    scene = source.scene(about.name)
    obstacles = source.obstacles(about.index, jobs[0].trajectory)
    shared = _shared_files(source, manifest, about)
    for job in jobs:
        target = out / job.folder
        folder = target.with_name(target.name + PARTIAL_SUFFIX)
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        write_jobs(folder, manifest.only(job))
        if source.template is None:
            write_json(folder / VEHICLES_NAME, _vehicles(obstacles(job)))
        else:
            found = prisms(scene, obstacles(job))
            write_shapefile(folder / f"{DATABASE_NAME}.shp", found)
            text = oda_text(found, scene.grid.size_m)
            (folder / f"{DATABASE_NAME}_experimental.oda").write_bytes(text.encode())
        place = source.folder(job).encode(ENCODING)
        for name, data in shared.items():
            (folder / name).write_bytes(data.replace(_FOLDER.encode(), place))
        for path in walk_files(folder):
            with path.open("rb") as handle:
                os.fsync(handle.fileno())
        folder.rename(target)


def _shared_files(source: Source, manifest: JobManifest, scene: JobScene) -> dict[str, bytes]:
    """Files that the jobs of a scene have in common, but for the folder they name."""
    if source.template is None:
        return {}
    clone = source.template.clone(project_settings(manifest), scene.transmitters, _FOLDER)
    expected = "".join(f"{tx.files[0]}\n" for tx in scene.transmitters)
    return {**clone, EXPECTED_NAME: expected.encode()}


def project_settings(manifest: JobManifest) -> ProjectSettings:
    """What the clones of a template get from the manifest."""
    return ProjectSettings(
        size_m=manifest.grid.grid.size_m,
        resolution_m=manifest.grid.resolution_m,
        receiver_height_m=manifest.receiver_height_m,
        frequency_mhz=manifest.frequency_mhz,
        power_dbm=manifest.power_dbm,
        keep_antenna=manifest.antenna == "template",
    )


def _write_root(source: Source, out: Path, manifest: JobManifest) -> None:
    """What stands beside the jobs: manifest, list and run scripts, or scenes and instructions."""
    write_jobs(out, manifest)
    texts = files("rmtools.winprop")
    if source.template is None:
        for scene in manifest.scenes:
            source.scene(scene.name).write(out / "scenes" / f"{scene.name}.geojson")
        write_bytes(out / "README.txt", texts.joinpath("neutral.txt").read_bytes())
        return
    write_text(out / LIST_NAME, "".join(f"{job.folder}\n" for job in manifest.jobs))
    for name, end in (("run.sh", "\n"), ("run.cmd", "\r\n")):
        text = texts.joinpath(name).read_text("ascii")
        text = text.replace("@DATABASE@", source.template.database)
        write_bytes(out / name, text.replace("\n", end).encode("ascii"))
    script = out / "run.sh"
    script.chmod(script.stat().st_mode | stat.S_IXUSR | stat.S_IXGRP | stat.S_IXOTH)


def _vehicles(obstacles: Obstacles) -> dict[str, object]:
    """Vehicles as GeoJSON in local metres."""
    return {
        "type": "FeatureCollection",
        "features": [
            {
                "type": "Feature",
                "geometry": {"type": "Polygon", "coordinates": [[*corners, corners[0]]]},
                "properties": {"layer": "vehicle", "height_m": obstacles.height_m},
            }
            for corners in obstacles.outlines.tolist()
        ],
    }


def _check_folder(out: Path, manifest: JobManifest) -> None:
    """Only an export that was interrupted is gone on with."""
    if (out / JOBS_NAME).is_file() and read_jobs(out) != manifest:
        raise RecipeError(
            "the folder holds other jobs: of another dataset, template or frequency, or of an "
            "earlier state of this dataset.",
            where=out,
            remedy="Choose another folder, or remove this one if its results are not needed.",
        )


@lru_cache(maxsize=1)
def _planned(out: Path) -> tuple[JobManifest, dict[str, list[Job]]]:
    """The manifest in `out` and its jobs by unit; read once in every process."""
    manifest = read_jobs(out)
    units: dict[str, list[Job]] = defaultdict(list)
    for job in manifest.jobs:
        units[_unit(job)].append(job)
    return manifest, units


def _unit(job: Job) -> str:
    """Jobs of one scene and trajectory are written by one worker."""
    return f"{job.scene}/{job.trajectory}"


def _is_done(out: Path, job: Job) -> bool:
    return (out / job.folder / JOBS_NAME).is_file()


def _count(folder: Path) -> tuple[int, int]:
    """Files below a folder and their bytes."""
    found = [path for path in walk_files(folder) if path.name != _LOCK_NAME]
    return len(found), sum(path.stat().st_size for path in found)
