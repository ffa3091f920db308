"""Mending a release from another copy of it: fetched, compared, and only then moved into place."""

from __future__ import annotations

import contextlib
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rmtools.errors import InputError, MissingError, StorageError
from rmtools.files import replacing
from rmtools.release.checksums import digest, in_threads, open_plain
from rmtools.release.manifest import CHECKSUMS_NAME, MANIFEST_NAME, MAX_FILE_BYTES
from rmtools.release.unpack import refuse_links
from rmtools.release.verify import Expected, expected_files

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from rmtools.release.verify import VerifyReport

_MENDABLE = ("missing", "truncated", "altered", "unreadable", "not a file")


def repair(
    root: Path,
    source: str,
    report: VerifyReport,
    *,
    threads: int = 1,
    on_file: Callable[[int], None] | None = None,
) -> tuple[list[str], dict[str, str]]:
    """Fetch every file that is missing or broken.

    What is too much is left where it is: it may be somebody's.

    Parameters
    ----------
    root
        The release.
    source
        Another copy of it: a folder, or any URL that fsspec knows, such as ``s3://`` or
        ``https://``. It need not be whole, and nothing of it is believed.
    report
        What :func:`~rmtools.release.verify.verify` found.
    threads
        Files that are fetched at a time.
    on_file
        Called with the number of files done.

    Returns
    -------
    mended
        Names of the files that are sound now.
    failed
        Why each other file could not be mended, by name.

    Raises
    ------
    StorageError
        The files do not fit onto the disk.
    MissingError
        The URL needs a package that is not installed.
    """
    broken = {f.path for f in report.findings if f.problem in _MENDABLE}
    files = [file for file in expected_files(root)[0] if file.path in broken]
    needed, free = sum(file.size or 0 for file in files), shutil.disk_usage(root).free
    if needed > free:
        raise StorageError(
            f"what is broken has {needed:,} bytes, the disk {free:,} left.",
            where=root,
            remedy="Free some space, or move the release to a larger disk.",
        )
    opener = _opener(source)
    mended: list[str] = []
    unknown = broken - {file.path for file in files}
    failed: dict[str, str] = dict.fromkeys(unknown, "nothing says what it should be")
    for file, problem in in_threads(lambda f: _mend(root, f, opener), files, threads):
        if problem is None:
            mended.append(file.path)
        else:
            failed[file.path] = problem
        if on_file is not None:
            on_file(1)
    if MANIFEST_NAME in mended and CHECKSUMS_NAME in failed:  # which follows from the manifest
        sums = next(file for file in expected_files(root)[0] if file.path == CHECKSUMS_NAME)
        if _mend(root, sums, opener) is None:
            del failed[CHECKSUMS_NAME]
            mended.append(CHECKSUMS_NAME)
    return mended, failed


def _mend(root: Path, file: Expected, opener: Callable[[str], Any]) -> str | None:
    """Fetch one file; returns what went wrong, None where it is sound now."""
    target, limit = root / file.path, MAX_FILE_BYTES if file.size is None else file.size
    try:
        refuse_links(root, file.path)
        with opener(file.path) as handle, replacing(target) as partial:
            with partial.open("xb") as out:
                found, count = digest(handle, limit, out.write)
            if found != file.sha256 or file.size not in (None, count):
                raise InputError("the other copy has another content, too.")
    except InputError as error:
        return error.what
    except OSError as error:
        return f"{error.strerror or error}"
    return None


def _opener(source: str) -> Callable[[str], Any]:
    """How files of another copy are opened: a context manager that gives a binary file."""
    if "://" not in source:
        folder = Path(source)
        if not folder.is_dir():
            raise InputError(
                "no such folder.", where=source, remedy="Give another copy of the release."
            )

        @contextlib.contextmanager
        def local(path: str) -> Iterator[Any]:
            refuse_links(folder, path)
            with open_plain(folder / path) as handle:
                yield handle

        return local
    try:
        from fsspec.core import url_to_fs

        system, base = url_to_fs(source)
    except ImportError as error:
        raise MissingError(
            f"such an address needs a package that is not installed ({error}).",
            where=source,
            remedy="Install it, such as `pip install fsspec s3fs`, or copy the files to a folder.",
        ) from error
    except ValueError as error:
        raise InputError(
            f"not a URL that can be read ({error}).", where=source, remedy="Check the address."
        ) from error

    def remote(path: str) -> Any:
        return system.open(f"{base.rstrip('/')}/{path}", "rb")

    return remote
