"""Taking the results of exported jobs back into their dataset.

The dataset ends as ``rmtools simulate`` would leave it: the same arrays, the same entries in the
ledger, and a description of the path loss that says who solved it. Units (a scene and a
trajectory) whose results are all good are finished; of the others the good results are in the
store as well, but they are tried again the next time.
"""

from __future__ import annotations

import json
from functools import partial
from typing import TYPE_CHECKING

from rmtools.errors import RecipeError, from_os_error
from rmtools.files import sha256_file, write_json
from rmtools.run.executor import Executor
from rmtools.run.holding import working_in
from rmtools.run.ledger import Ledger
from rmtools.run.recipe import load_recipe
from rmtools.run.runner import run
from rmtools.run.stages import STAGES, stage_keys
from rmtools.run.steps import make_pathloss, pathloss_units
from rmtools.run.workspace import RECIPE_NAME, Workspace
from rmtools.store import Store
from rmtools.winprop.check import Options
from rmtools.winprop.ingest_report import (
    INGEST_NAME,
    IngestProblem,
    IngestReport,
    UnitReport,
    read_unit_report,
)
from rmtools.winprop.manifest import JOBS_NAME, JobManifest, Solver, read_jobs
from rmtools.winprop.take import STAGE, changed_results, check_dataset, maps_each, take_unit

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from rmtools.run.progress import Progress
    from rmtools.run.recipe import Recipe


def ingest(
    jobs: Path,
    dataset: Path,
    solver: Solver = "winprop",
    options: Options | None = None,
    *,
    workers: int = 1,
    overwrite: bool = False,
    progress: Progress | None = None,
) -> IngestReport:
    """Take all results that are there into the store.

    Parameters
    ----------
    jobs
        Folder of the export, with the results in it.
    dataset
        Folder of the dataset the jobs were made from.
    solver
        Who was asked.
    options
        What is accepted besides exact answers.
    workers
        Number of processes. The result does not depend on it.
    overwrite
        Replace path loss of another solver or export, and take results again that were changed.
    progress
        Told about every unit.

    Returns
    -------
    IngestReport
        Also written into the dataset as ``ingest.json``.

    Raises
    ------
    InputError
        There is no manifest, or the dataset is not the one (or not in the state) it was made of.
    RecipeError
        The dataset has radio maps from elsewhere and `overwrite` is off.
    BusyError
        Another run holds the dataset.
    """
    options = options or Options()
    manifest, digest = _manifest(jobs, solver)
    check_dataset(manifest, Store.open(dataset), jobs)
    recipe = _recipe(dataset, manifest, digest)
    # what the maps depend on must be there and of this recipe; other maps go, or are in the way
    run(dataset, recipe, stages=STAGES[STAGE].needs, workers=workers, overwrite=overwrite)
    space = Workspace(dataset, recipe)
    take = partial(take_unit, str(dataset), recipe, str(jobs), stage_keys(space)[STAGE], options)
    try:
        with working_in(dataset):
            units = _ingest(
                space, jobs, take, workers=workers, overwrite=overwrite, progress=progress
            )
            report = IngestReport.of(solver, digest, units)
            write_json(dataset / INGEST_NAME, report.model_dump(mode="json"))
            about = {"solver": solver, "jobs_sha256": digest, "notes": report.notes}
            space.store.update_attributes({"ingest": about})
            return report
    except OSError as error:
        raise from_os_error(error) from error


def _manifest(jobs: Path, solver: Solver) -> tuple[JobManifest, str]:
    """The manifest and its digest."""
    manifest = read_jobs(jobs)
    if manifest.solver != solver:
        verb = "ingest-winprop" if manifest.solver == "winprop" else "ingest"
        raise RecipeError(
            f"the jobs are for the solver {manifest.solver!r}.",
            where=jobs,
            remedy=f"Use `rmtools {verb}`.",
        )
    return manifest, sha256_file(jobs / JOBS_NAME)


def _recipe(dataset: Path, manifest: JobManifest, digest: str) -> Recipe:
    """The dataset's recipe with the outside solver in it."""
    before = load_recipe(dataset / RECIPE_NAME)
    solver = {
        "name": manifest.solver,
        "static_maps": before.solver.static_maps or not before.traffic.trajectories,
        "preset": "jobs",
        "overrides": {
            "frequency_mhz": manifest.frequency_mhz,
            "receiver_height_m": manifest.receiver_height_m,
            "power_dbm": manifest.power_dbm,
            "antennas": manifest.antenna,
            "jobs_sha256": digest,
        },
    }
    return load_recipe(dataset / RECIPE_NAME, [f"solver={json.dumps(solver)}"])


def _ingest(
    space: Workspace,
    jobs: Path,
    take: Callable[[str], UnitReport],
    *,
    workers: int,
    overwrite: bool,
    progress: Progress | None,
) -> list[UnitReport]:
    """Take the units that are pending; reports of all of them."""
    ledger, key = Ledger(space.root), stage_keys(space)[STAGE]
    units = pathloss_units(space)
    done = {unit for unit in units if ledger.is_done(STAGE, unit, key)}
    changed = {unit: found for unit in done if (found := changed_results(space, jobs, unit))}
    if changed and overwrite:
        _clear_later(space, ledger)
        done -= set(changed)
    pending = [unit for unit in units if unit not in done]
    reports = {unit: _kept(space, unit, changed.get(unit, ())) for unit in done}
    if pending:
        make_pathloss(space, key)
    if progress is not None:
        progress.start(STAGES[STAGE].label, len(units), len(done))

    def on_done(unit: str, report: UnitReport) -> None:
        reports[unit] = report
        if progress is not None:
            progress.advance()

    with Executor(workers) as executor:
        executor.run(take, pending, on_done)
    if progress is not None:
        progress.finish()
    return [reports[unit] for unit in units]


def _kept(space: Workspace, unit: str, changed: Sequence[IngestProblem]) -> UnitReport:
    """Report of a unit that was finished before."""
    maps = space.store.sizes.tx * maps_each(space, unit)
    report = read_unit_report(space.root, unit) or UnitReport(unit=unit, expected=maps, taken=maps)
    return report.model_copy(update={"problems": tuple(changed)})


def _clear_later(space: Workspace, ledger: Ledger) -> None:
    """Remove what was made of maps that are going to be replaced."""
    later = [STAGE]
    for stage in STAGES.values():
        if set(stage.needs) & set(later):
            later.append(stage.name)
    for name in reversed(later[1:]):
        ledger.forget(name)
        STAGES[name].clear(space)
