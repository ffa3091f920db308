"""One run at a time: who holds a dataset folder.

On one machine a lock is enough. Workers of a cluster outlive the run that started them, so every
run also has a token of its own in the folder while it lasts, and a unit is only written while that
is there: work that comes late, for a run that is gone, changes nothing.
"""

from __future__ import annotations

import contextlib
import uuid
from typing import TYPE_CHECKING

from filelock import FileLock, Timeout

from rmtools.errors import BusyError
from rmtools.files import refuse_links_out, write_text

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

LOCK_NAME = ".rmtools/lock"
RUN_NAME = ".rmtools/run"


@contextlib.contextmanager
def working_in(root: Path) -> Iterator[str]:
    """Keep other runs out of a dataset folder, which is made when missing.

    Yields
    ------
    str
        The token of this run.

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
        token = uuid.uuid4().hex
        write_text(root / RUN_NAME, token)
        try:
            yield token
        finally:
            (root / RUN_NAME).unlink(missing_ok=True)


def require_held(root: Path, token: str) -> None:
    """Make sure that a run's token is still the one in the folder.

    Raises
    ------
    BusyError
        The run has ended, or this machine sees another folder under its name.
    """
    path = root / RUN_NAME
    try:
        present = path.read_text()
    except FileNotFoundError as error:
        raise BusyError(
            "the run that this work is for has ended, or its folder is not seen from here.",
            where=root,
            remedy="All workers need the folder under the same path, on a shared file system.",
        ) from error
    if present != token:
        raise BusyError(
            "a later run has taken this folder; what was made for the earlier one is dropped.",
            where=root,
            remedy="Look whether two runs use one output folder.",
        )
