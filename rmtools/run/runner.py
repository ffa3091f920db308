"""Carrying out a recipe: what is up to date is kept, what is missing is made."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from filelock import FileLock, Timeout

from rmtools.errors import BusyError, RecipeError, from_os_error
from rmtools.files import refuse_links_out, remove_partials
from rmtools.run.executor import Executor
from rmtools.run.ledger import Ledger
from rmtools.run.stages import STAGES, Stage, stage_keys
from rmtools.run.workspace import Workspace

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from rmtools.run.progress import Progress
    from rmtools.run.recipe import Recipe

LOCK_NAME = ".rmtools/lock"


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
        The folder holds results of a different recipe and `overwrite` is off.
    """
    try:
        with working_in(root):
            return _run(
                root,
                recipe,
                _wanted(stages),
                workers=workers,
                overwrite=overwrite,
                progress=progress,
            )
    except OSError as error:
        raise from_os_error(error) from error


@contextlib.contextmanager
def working_in(root: Path) -> Iterator[None]:
    """Keep other runs out of a dataset folder, which is made when missing.

    Raises
    ------
    BusyError
        Another run holds the folder.
    InputError
        A link in it leads out of it.
    """
    root.mkdir(parents=True, exist_ok=True)
    refuse_links_out(root)  # before the lock, which would empty a file behind a link
    lock = FileLock(root / LOCK_NAME)
    (root / LOCK_NAME).parent.mkdir(exist_ok=True)
    try:
        held = lock.acquire(timeout=0)
    except Timeout as error:
        raise BusyError(
            "another rmtools run works in this folder.",
            where=root,
            remedy="Wait until it ends or choose another output folder.",
        ) from error
    with held:
        yield


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
    root: Path,
    recipe: Recipe,
    wanted: list[Stage],
    *,
    workers: int,
    overwrite: bool,
    progress: Progress | None,
) -> list[StageSummary]:
    ledger, space = Ledger(root), Workspace(root, recipe)
    keys = stage_keys(space)
    stale = [stage for stage in STAGES.values() if ledger.keys(stage.name) - {keys[stage.name]}]
    costly = [stage.label for stage in stale if not stage.cheap]
    if costly and not overwrite:
        raise RecipeError(
            f"the folder holds {costly[0]} made by something else ({space.differences()}).",
            where=root,
            remedy="Choose another output folder, or add --overwrite to remake what changed.",
        )
    for stage in wanted:
        if stage in stale or not ledger.keys(stage.name):
            stage.ready(space)
    for stage in stale:
        stage.check(space)
    remove_partials(root)
    for stage in reversed(stale):  # the last first, so that a kill leaves no orphan
        ledger.forget(stage.name)
        stage.clear(space)
    summaries = []
    with Executor(workers) as executor:
        for stage in wanted:
            key = keys[stage.name]
            summaries.append(_run_stage(stage, space, ledger, key, executor, progress))
            if not stage.needs:  # the folder is a dataset as soon as it has scenes
                space.record()
    return summaries


def _run_stage(
    stage: Stage,
    space: Workspace,
    ledger: Ledger,
    key: str,
    executor: Executor,
    progress: Progress | None,
) -> StageSummary:
    units = stage.units(space)
    pending = [unit for unit in units if not ledger.is_done(stage.name, unit, key)]
    if pending:
        stage.begin(space, key)
    if progress is not None:
        progress.start(stage.label, len(units), len(units) - len(pending))

    def on_done(_: str, __: None) -> None:
        if progress is not None:
            progress.advance()

    work = partial(do_unit, str(space.root), space.recipe, stage.name, key)
    executor.run(work, pending, on_done)
    if progress is not None:
        progress.finish(stage.note(space))
    return StageSummary(stage.name, len(units), len(units) - len(pending))


def do_unit(root: str, recipe: Recipe, stage_name: str, key: str, unit: str) -> None:
    """Do one unit of work and enter it into the ledger; runs in any process."""
    space = Workspace(Path(root), recipe)
    try:
        files = STAGES[stage_name].work(space, unit)
        Ledger(space.root).finish(stage_name, unit, key, files)
    except OSError as error:
        raise from_os_error(error) from error
