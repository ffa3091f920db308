"""The errors rmtools raises on purpose, and the exit code each one ends the command line with.

Every message says what is wrong, where, and what to do next, in one paragraph. An exception of
any other type that reaches the command line is a bug of ours.
"""

from __future__ import annotations

import errno
from enum import IntEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from os import PathLike


class ExitCode(IntEnum):
    """Exit codes of the ``rmtools`` command; listed in docs/cli.md."""

    OK = 0
    BUG = 1
    USAGE = 2
    INPUT = 3
    RECIPE = 4
    MISSING = 5
    INVALID = 6
    STORAGE = 7
    BUSY = 8
    LEAK = 9
    ALTERED = 10
    INTERRUPTED = 130


class RmtoolsError(Exception):
    """Base of all errors that rmtools raises on purpose.

    Parameters
    ----------
    what
        What is wrong, as a sentence.
    where
        The file, folder, key or address it is about; put first in the message.
    remedy
        What the user can do next, as a sentence.
    """

    exit_code = ExitCode.BUG

    def __init__(
        self, what: str, *, where: str | PathLike[str] | None = None, remedy: str | None = None
    ) -> None:
        self.what, self.where, self.remedy = what, where, remedy
        message = what if where is None else f"{where}: {what}"
        super().__init__(message if remedy is None else f"{message} {remedy}")

    def __reduce__(self) -> tuple[object, ...]:
        """Survive the journey back from a worker process with all three parts."""
        return (_rebuild, (type(self), self.what, self.where, self.remedy))


def _rebuild(
    kind: type[RmtoolsError], what: str, where: str | None, remedy: str | None
) -> RmtoolsError:
    return kind(what, where=where, remedy=remedy)


class InputError(RmtoolsError):
    """A file or folder that was read is broken, empty or not what it claims to be."""

    exit_code = ExitCode.INPUT


class RecipeError(RmtoolsError):
    """A recipe or an option does not make sense."""

    exit_code = ExitCode.RECIPE


class MissingError(RmtoolsError):
    """Something outside is missing: the network, a package, a solver."""

    exit_code = ExitCode.MISSING


class InvalidDatasetError(RmtoolsError):
    """A dataset was read without trouble, but its content is wrong."""

    exit_code = ExitCode.INVALID


class LeakError(RmtoolsError):
    """The sets of a split have something in common that the split does not tell."""

    exit_code = ExitCode.LEAK


class StorageError(RmtoolsError):
    """The disk is full, read-only or otherwise refuses to take what is written."""

    exit_code = ExitCode.STORAGE


class BusyError(RmtoolsError):
    """Another rmtools process works on the same dataset."""

    exit_code = ExitCode.BUSY


def from_os_error(error: OSError) -> RmtoolsError:
    """Explain an operating-system error.

    Parameters
    ----------
    error
        The error as Python raised it, with its ``errno`` and ``filename``.

    Returns
    -------
    RmtoolsError
        A :class:`StorageError` when the disk refused to take data, else an :class:`InputError`.
    """
    where = error.filename if isinstance(error.filename, str) else None
    text = error.strerror or str(error)
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return StorageError(
            "the disk is full.",
            where=where,
            remedy="Nothing that was finished is lost: free some space and run the same command "
            "again, it continues where it stopped.",
        )
    if error.errno == errno.EFBIG:
        return StorageError(
            "a file grew larger than this disk, or a limit of this account, allows.",
            where=where,
            remedy="Nothing that was finished is lost: raise the limit (`ulimit -f`) or use "
            "another disk, and run the same command again.",
        )
    if error.errno == errno.EIO:
        return StorageError(
            "the disk or the network drive does not work (input/output error).",
            where=where,
            remedy="Nothing that was finished is lost: once it works again, the same command "
            "continues. `rmtools validate` looks at what is there.",
        )
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return StorageError(
            f"{text.lower()}.",
            where=where,
            remedy="Choose another output folder or change its permissions.",
        )
    return InputError(f"{text.lower()}.", where=where, remedy="Check the path and try again.")
