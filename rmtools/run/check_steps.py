"""The stages that validate a dataset, see :mod:`rmtools.run.steps`.

The parts of a validation are units, whose results lie beside the ledger; then the results are put
together.
"""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

from rmtools.files import write_json
from rmtools.run.workspace import CHECKS_FOLDER, VALIDATION_NAME

if TYPE_CHECKING:
    from pathlib import Path

    from rmtools.run.workspace import Workspace
    from rmtools.validation.checks import Checks


def check_units(space: Workspace) -> list[str]:
    """The parts of the validation."""
    return _checks(space).parts


def check_part(space: Workspace, unit: str) -> list[Path]:
    """Check one part, and write what was found."""
    path = _path(space, unit)
    write_json(path, _checks(space).check(unit).model_dump(mode="json"))
    return [path]


def clear_checks(space: Workspace) -> None:
    """Remove what was found in the parts."""
    shutil.rmtree(space.root / CHECKS_FOLDER, ignore_errors=True)


def write_findings(space: Workspace, _: str) -> list[Path]:
    """Write what was found in all parts."""
    from rmtools.validation.parts import Partial, merge

    partials = (Partial.read(_path(space, part)) for part in _checks(space).parts)
    path = space.root / VALIDATION_NAME
    write_json(path, merge(space.root, partials).model_dump(mode="json"))
    return [path]


def _path(space: Workspace, part: str) -> Path:
    return space.root / CHECKS_FOLDER / f"{part}.json"


def _checks(space: Workspace) -> Checks:
    """The checks of the dataset; a process keeps them for the units of a run."""
    from rmtools.validation.checks import Checks, checks_of

    return checks_of(space.root, space.token) if space.token else Checks(space.root)
