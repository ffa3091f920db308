"""Validation: whether the content of a dataset makes sense.

:func:`validate` looks at a store, a motion layout, a seer layout (also the published one, whole or
in parts), or a dataset folder with any of them and a split. It reads one sequence or map at a time,
goes on after every bad one, and names all of them. Scenes are checked independently of each other,
so processes can share the work, see :mod:`rmtools.validation.checks`.
"""

from __future__ import annotations

import uuid
from functools import partial
from typing import TYPE_CHECKING

from rmtools.findings import Finding, Report
from rmtools.validation.checks import checks_of
from rmtools.validation.parts import merge

if TYPE_CHECKING:
    from pathlib import Path

    from rmtools.run.executor import UnitExecutor
    from rmtools.validation.parts import Partial

__all__ = ["Finding", "Report", "validate"]


def validate(path: Path, executor: UnitExecutor | None = None) -> Report:
    """Check a dataset folder, a store, or a layout.

    Parameters
    ----------
    path
        A folder with ``store.zarr`` (and, when there, ``motion`` and ``split.json``, which are
        compared with the store, and ``seer``), a store, a folder with a motion layout's
        ``dataset.json``, or one with RadioMapSeer's folders or some of them.
    executor
        What checks the scenes, such as an open :class:`~rmtools.run.executor.Executor`; this
        process when None. The result does not depend on it.

    Returns
    -------
    Report
        ``report.ok`` is False when anything is wrong.

    Raises
    ------
    InputError
        `path` is none of these.
    """
    check = partial(_check, path, uuid.uuid4().hex)
    parts = checks_of(*check.args).parts
    if executor is None:
        return merge(path, map(check, parts))
    found: dict[str, Partial] = {}
    executor.run(check, parts, found.__setitem__)
    return merge(path, (found[part] for part in parts))


def _check(path: Path, run: str, part: str) -> Partial:
    """Check a part, in any process."""
    return checks_of(path, run).check(part)
