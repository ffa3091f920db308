"""The folder in which a release is made, beside the one that it will be.

It holds the files as they get ready (``release``), what was noted on the way (``state``), and the
lock. Nothing else is ever in it, so nothing else is ever removed from it.
"""

from __future__ import annotations

import contextlib
import shutil
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from rmtools.errors import InputError, RecipeError
from rmtools.files import PARTIAL_SUFFIX, read_json, remove_partials, write_json
from rmtools.run.holding import LOCK_NAME

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

PAYLOAD, STATE, KEY_NAME = "release", "state", "key.json"
_OWN = (PAYLOAD, STATE, PurePosixPath(LOCK_NAME).parts[0])


def unfinished(out: Path) -> Path:
    """Where the release at `out` is made."""
    return out.with_name(out.name + PARTIAL_SUFFIX)


def begun(partial: Path) -> Mapping[str, object]:
    """What was noted of a release when it was begun; nothing where it was not."""
    try:
        found = read_json(partial / STATE / KEY_NAME)
    except InputError:
        return {}
    return found if isinstance(found, dict) else {}


def begin(partial: Path, key: str, date: str) -> None:
    """Keep what an interrupted run of the same release left, and nothing else."""
    path = partial / STATE / KEY_NAME
    wanted = {"key": key, "date": date}
    if begun(partial) != wanted:
        for name in (PAYLOAD, STATE):
            shutil.rmtree(partial / name, ignore_errors=True)
        write_json(path, wanted)
    (partial / PAYLOAD).mkdir(exist_ok=True)
    remove_partials(partial)


def require_own(partial: Path) -> None:
    """Refuse to work in, and later to remove, what is not an unfinished release.

    Raises
    ------
    RecipeError
        There is something else.
    """
    if not partial.exists() and not partial.is_symlink():
        return
    if (
        partial.is_symlink()
        or not partial.is_dir()
        or {path.name for path in partial.iterdir()} - set(_OWN)
        or ((partial / PAYLOAD).exists() and not (partial / STATE).is_dir())
    ):
        raise RecipeError(
            "there is something that is no unfinished release; it would be in the way.",
            where=partial,
            remedy="Choose another folder for the release, or move that away.",
        )


def discard(partial: Path) -> None:
    """Remove what is left of an unfinished release, and nothing else."""
    for name in _OWN:
        shutil.rmtree(partial / name, ignore_errors=True)
    with contextlib.suppress(OSError):
        partial.rmdir()
