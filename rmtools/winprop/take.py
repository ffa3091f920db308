"""Taking the results of one scene and trajectory into the store."""

from __future__ import annotations

from collections import Counter, defaultdict
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from rmtools.errors import InputError, RmtoolsError, from_os_error
from rmtools.run.ledger import LEDGER_FOLDER, Ledger
from rmtools.run.steps import indices
from rmtools.run.workspace import Workspace
from rmtools.traffic.tracks import State
from rmtools.winprop.check import Options, take_result
from rmtools.winprop.ingest_report import (
    IngestProblem,
    ProblemKind,
    UnitReport,
    write_unit_report,
)
from rmtools.winprop.manifest import Job, JobManifest, JobTransmitter, read_jobs

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rmtools.run.recipe import Recipe
    from rmtools.store import Store

STAGE = "pathloss"


class _Asked(NamedTuple):
    """One result of a unit: where it is looked for, and which of the unit's maps it is."""

    job: Job
    transmitter: JobTransmitter
    places: list[int]
    folder: Path


def check_dataset(manifest: JobManifest, store: Store, where: Path) -> None:
    """Make sure that a dataset is still what jobs were made of.

    Raises
    ------
    InputError
        Other scenes, sizes, pixels, vehicles or transmitters.
    """
    from rmtools.splits.manifest import dataset_digest
    from rmtools.winprop.plan import tracks_digest

    wrong = ""
    if (manifest.grid.n, manifest.grid.resolution_m) != (store.grid.n, store.grid.resolution_m):
        wrong = "pixels"
    elif manifest.dataset_sha256 != dataset_digest(store):
        wrong = "scenes or sizes"
    sizes = store.sizes
    for job in manifest.jobs:
        if job.trajectory is None or job.frame is None:
            continue
        if job.trajectory >= sizes.traj or job.frame >= sizes.frame:
            wrong = wrong or "trajectories or frames"
    for scene in manifest.scenes:
        if wrong:
            break
        if scene.index >= store.sizes.scene or store.scene_names[scene.index] != scene.name:
            wrong = f"scene {scene.name!r}"
            break
        asked = [(tx.index, tx.x, tx.y, tx.z_m) for tx in scene.transmitters]
        known = [(k, *xyz) for k, xyz in enumerate(store.transmitters(scene.index).tolist())]
        if asked != known:
            wrong = f"transmitters in scene {scene.name!r}"
        elif scene.tracks_sha256 not in (None, tracks_digest(store, scene.index)):
            wrong = f"vehicles in scene {scene.name!r}"
    if wrong:
        raise InputError(
            f"the jobs were made of a dataset with other {wrong}.",
            where=where,
            remedy="Give the dataset they were exported from, or export it again.",
        )


def take_unit(
    root: str, recipe: Recipe, jobs: str, key: str, options: Options, unit: str
) -> UnitReport:
    """Take all results of a unit that are there; runs in any process.

    Parameters
    ----------
    root, recipe
        The dataset.
    jobs
        Folder of the export.
    key
        Of the ledger.
    options
        What is accepted.
    unit
        Name of the unit.

    Returns
    -------
    UnitReport
        Also kept in the dataset. The unit is in the ledger if nothing is missing.
    """
    space = Workspace(Path(root), recipe)
    try:
        report = _take(space, Path(jobs), key, options, unit)
        write_unit_report(space.root, report)
    except OSError as error:
        raise from_os_error(error) from error
    return report


def _take(space: Workspace, jobs: Path, key: str, options: Options, unit: str) -> UnitReport:
    s, *trajectory = indices(unit)
    store, manifest = space.store, _planned(jobs, _state(space))[0]
    n, static, each = store.grid.n, has_static(space, unit), maps_each(space, unit)
    inside = store.inside_buildings(s)
    maps = np.full((store.sizes.tx, each, n, n), np.nan, np.float32)
    filled = np.zeros((store.sizes.tx, each), bool)
    problems: list[IngestProblem] = []
    notes: Counter[str] = Counter()
    for asked in _asked(space, jobs, unit):
        tx, file = asked.transmitter, asked.folder / asked.transmitter.files[0]
        kind: ProblemKind = "refused"
        try:
            found = _find(asked)
            if found is None:
                kind = "missing"
                raise InputError("no such file.", remedy="Run the job.")
            file = found
            taken = take_result(file, manifest, tx, inside, options)
        except RmtoolsError as error:
            what = error.what if error.remedy is None else f"{error.what} {error.remedy}"
            problems.append(_problem(kind, asked, file, jobs, what))
            continue
        maps[tx.index, asked.places] = taken.pathloss_db
        filled[tx.index, asked.places] = True
        notes.update(taken.notes)
    written = []
    if static and filled[:, 0].any():
        store.write_static_maps(s, maps[:, 0])
        written += space.store_files("pathloss_static", s)
    for t in trajectory:
        if filled[:, int(static) :].any():
            store.write_pathloss(s, t, maps[:, int(static) :])
            written += space.store_files("pathloss", s, t)
    if filled.all():
        Ledger(space.root).finish(STAGE, unit, key, written)
    elif not problems:
        problems.append(_not_asked(unit))
    return UnitReport(
        unit=unit,
        expected=filled.size,
        taken=int(filled.sum()),
        problems=tuple(problems),
        notes=dict(notes),
    )


def has_static(space: Workspace, unit: str) -> bool:
    """Whether the maps without vehicles come with a unit: as when solving, with the first one."""
    _, *trajectory = indices(unit)
    return space.recipe.solver.static_maps and not any(trajectory)


def maps_each(space: Workspace, unit: str) -> int:
    """Maps that a unit has for each transmitter: the one without vehicles, then the frames."""
    _, *trajectory = indices(unit)
    return int(has_static(space, unit)) + len(trajectory) * space.store.sizes.frame


def changed_results(space: Workspace, jobs: Path, unit: str) -> list[IngestProblem]:
    """Results of a finished unit that were written again after they were taken.

    As ``make`` does it, by the times of the files: their content is not read again.
    """
    taken = (space.root / LEDGER_FOLDER / STAGE / f"{unit}.json").stat().st_mtime_ns
    what = "written again after it was taken. Use --overwrite to take it again."
    return [
        _problem("changed", asked, found, jobs, what)
        for asked in _asked(space, jobs, unit)
        if (found := _find(asked)) is not None and found.stat().st_mtime_ns > taken
    ]


@lru_cache(maxsize=1)
def _planned(jobs: Path, _: str) -> tuple[JobManifest, dict[tuple[str, int | None], list[Job]]]:
    """The manifest and its jobs by scene and trajectory; read once in every process and state."""
    manifest = read_jobs(jobs)
    units: dict[tuple[str, int | None], list[Job]] = defaultdict(list)
    for job in manifest.jobs:
        units[job.scene, job.trajectory].append(job)
    return manifest, units


def _state(space: Workspace) -> str:
    """Digest of the manifest that the recipe is for."""
    return str(space.recipe.solver.overrides["jobs_sha256"])


def _asked(space: Workspace, jobs: Path, unit: str) -> Iterator[_Asked]:
    """All results that a unit can be filled with.

    A job without vehicles answers for every frame of a trajectory that has none.
    """
    s, *trajectory = indices(unit)
    store, first = space.store, int(has_static(space, unit))
    manifest, units = _planned(jobs, _state(space))
    scene = next((scene for scene in manifest.scenes if scene.index == s), None)
    if scene is None:
        return
    without = [0] if first else []  # places that a job without vehicles answers for
    found = []
    for t in trajectory:
        moving = units[scene.name, t]
        found += [(job, [first + (job.frame or 0)]) for job in moving]
        if not moving and (store.tracks(s, t).state == State.ABSENT).all():
            without += range(first, first + store.sizes.frame)
    found += [(job, without) for job in units[scene.name, None] if without]
    for job, places in found:
        folder = jobs / job.folder / manifest.results
        for tx in scene.transmitters:
            yield _Asked(job, tx, places, folder)


def _find(asked: _Asked) -> Path | None:
    """The file of a result: under one of its names, else in a folder of its antenna."""
    for name in asked.transmitter.files:
        if (path := asked.folder / name).is_file():
            return path
    deeper = (path for name in asked.transmitter.files for path in asked.folder.glob(f"*/{name}"))
    return min(deeper, default=None)


def _problem(kind: ProblemKind, asked: _Asked, file: Path, jobs: Path, what: str) -> IngestProblem:
    return IngestProblem(
        kind=kind,
        job=asked.job.id,
        transmitter=asked.transmitter.name,
        file=file.relative_to(jobs).as_posix(),
        what=what,
    )


def _not_asked(unit: str) -> IngestProblem:
    """No job answers for some maps of a unit."""
    return IngestProblem(
        kind="missing",
        job="",
        transmitter="",
        file="jobs.json",
        what=f"no job for all maps of scene and trajectory {unit}; one without vehicles does not "
        "answer for frames that have some. Export the dataset again.",
    )
