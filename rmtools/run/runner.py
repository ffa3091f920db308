"""Carrying out a recipe: what is up to date is kept, what is missing is made."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from rmtools.errors import RecipeError, from_os_error
from rmtools.files import remove_partials
from rmtools.remote import from_network_error, network_errors
from rmtools.run.executor import Executor
from rmtools.run.holding import working_in
from rmtools.run.ledger import Ledger
from rmtools.run.stages import STAGES, Stage, stage_keys
from rmtools.run.steps import one_unit
from rmtools.run.unit import UnitWork
from rmtools.run.workspace import Workspace
from rmtools.store_place import write_url

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from rmtools.run.executor import UnitExecutor
    from rmtools.run.progress import Progress
    from rmtools.run.recipe import Recipe


@dataclass(frozen=True)
class StageSummary:
    """What became of a stage in one run."""

    name: str
    units: int
    done_before: int

    @property
    def done_now(self) -> int:
        """Units finished in this run."""
        return self.units - self.done_before


def run(
    root: Path,
    recipe: Recipe,
    *,
    stages: Iterable[str] | None = None,
    workers: int = 1,
    executor: UnitExecutor | None = None,
    store_url: str | None = None,
    overwrite: bool = False,
    progress: Progress | None = None,
) -> list[StageSummary]:
    """Make a dataset, or the stages of it that are asked for.

    Parameters
    ----------
    root
        Dataset folder; made when missing.
    recipe
        What to make.
    stages
        Names of stages to bring up to date together with what they need; all when None.
    workers
        Number of processes. The result does not depend on it.
    executor
        What does the units of work instead of processes of this machine, such as a
        :class:`~rmtools.run.cluster.Cluster`. The result does not depend on it either.
    store_url
        Where a new dataset's store is to lie, if not in the folder; an address that fsspec knows.
    overwrite
        Remake stages that an earlier, different recipe finished in this folder. Without it such
        a difference is an error and nothing is touched.
    progress
        Told about every unit.

    Returns
    -------
    list of StageSummary
        In the order the stages ran.

    Raises
    ------
    BusyError
        Another run holds the folder.
    RecipeError
        The folder holds results of a different recipe and `overwrite` is off, or its store is
        not at `store_url`.
    StorageError
        The disk refuses to take data, or units could not be made; all others are finished.
    """
    try:
        with working_in(root) as token, executor or Executor(workers) as units:
            if store_url is not None:
                write_url(root, store_url)
            space = Workspace(root, recipe, token)
            return _run(space, _wanted(stages), units, overwrite=overwrite, progress=progress)
    except OSError as error:
        raise from_os_error(error) from error
    except network_errors() as error:
        raise from_network_error(error) from error


def _wanted(stages: Iterable[str] | None) -> list[Stage]:
    """The stages asked for and all they need, in running order."""
    if stages is None:
        return list(STAGES.values())
    wanted: set[str] = set()

    def add(name: str) -> None:
        wanted.add(name)
        for needed in STAGES[name].needs:
            add(needed)

    for name in stages:
        add(name)
    return [stage for stage in STAGES.values() if stage.name in wanted]


def _run(
    space: Workspace,
    wanted: list[Stage],
    executor: UnitExecutor,
    *,
    overwrite: bool,
    progress: Progress | None,
) -> list[StageSummary]:
    ledger = Ledger(space.root)
    keys = stage_keys(space)
    stale = [stage for stage in STAGES.values() if ledger.keys(stage.name) - {keys[stage.name]}]
    costly = [stage.label for stage in stale if not stage.cheap]
    if costly and not overwrite:
        raise RecipeError(
            f"the folder holds {costly[0]} made by something else ({space.differences()}).",
            where=space.root,
            remedy="Choose another output folder, or add --overwrite to remake what changed.",
        )
    for stage in wanted:
        if stage in stale or not ledger.keys(stage.name):
            stage.ready(space)
    for stage in stale:
        stage.check(space)
    remove_partials(space.root)
    for stage in reversed(stale):  # the last first, so that a kill leaves no orphan
        ledger.forget(stage.name)
        stage.clear(space)
    summaries = []
    for stage in wanted:
        summaries.append(_run_stage(stage, space, ledger, keys[stage.name], executor, progress))
        if not stage.needs:  # the folder is a dataset as soon as it has scenes
            space.record()
    return summaries


def _run_stage(
    stage: Stage,
    space: Workspace,
    ledger: Ledger,
    key: str,
    executor: UnitExecutor,
    progress: Progress | None,
) -> StageSummary:
    units = stage.units(space)
    done = ledger.done(stage.name, units, key)
    pending = [unit for unit in units if unit not in done]
    if pending:
        stage.begin(space, key)
    if progress is not None:
        progress.start(stage.label, len(units), len(units) - len(pending))

    def on_done(_: str, __: None) -> None:
        if progress is not None:
            progress.advance()

    root = str(space.root.absolute())  # workers may have another current folder
    if units == one_unit(space):  # may begin by clearing, so it must not be done twice at a time
        root, executor = str(space.root), Executor(1)
    work = UnitWork(root, space.recipe, stage.name, key, space.token or "")
    executor.run(work, pending, on_done)
    if pending and not isinstance(executor, Executor):
        remove_partials(space.root)  # of workers that were killed, while the run went on
    if progress is not None:
        progress.finish(stage.note(space))
    return StageSummary(stage.name, len(units), len(units) - len(pending))
