"""``SHA256SUMS``, for those without rmtools, and digests of many files at the disk's speed.

``sha256sum --check SHA256SUMS`` proves a release on any machine.
"""

from __future__ import annotations

import errno
import hashlib
import os
import stat
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, BinaryIO, Protocol, TypeVar

from rmtools.errors import InputError
from rmtools.files import read_bytes
from rmtools.release.manifest import MANIFEST_NAME, ReleaseManifest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

    from rmtools.release.manifest import ReleasedFile

BLOCK_BYTES = 2**20
_AHEAD = 32  # files that wait for each thread: bounds memory, never idles

Item = TypeVar("Item")
Result = TypeVar("Result")


def checksums_text(manifest: ReleaseManifest) -> str:
    """The file: a line for every file of the release, the manifest included, but itself."""
    sums = {file.path: file.sha256 for file in manifest.files}
    sums[MANIFEST_NAME] = hashlib.sha256(manifest.text().encode()).hexdigest()
    return "".join(f"{sums[name]}  {name}\n" for name in sorted(sums))


def read_listed(root: Path, file: ReleasedFile, max_bytes: int) -> bytes:
    """Content of a file of a release, if it is the one of the manifest.

    Raises
    ------
    InputError
        Missing, larger than allowed, a link, or another content.
    """
    path = root / file.path
    if path.is_symlink():
        raise InputError("it is a link.", where=path, remedy="Restore the file from another copy.")
    data = read_bytes(path, max_bytes)
    if hashlib.sha256(data).hexdigest() != file.sha256:
        raise InputError(
            "the file is not the one of the manifest: its content has another SHA-256.",
            where=path,
            remedy="`rmtools verify RELEASE --repair FROM` fetches it from another copy.",
        )
    return data


def digest_of_list(files: Iterable[tuple[str, str]]) -> str:
    """SHA-256 over digests and names, a line for each as in :func:`checksums_text`."""
    found = hashlib.sha256()
    for sha256, name in files:
        found.update(f"{sha256}  {name}\n".encode())
    return found.hexdigest()


class Readable(Protocol):
    """What can be read from."""

    def read(self, size: int, /) -> bytes:
        """At most `size` bytes, none at the end."""


def digest(
    source: Readable, limit: int, write: Callable[[bytes], object] | None = None
) -> tuple[str, int]:
    """SHA-256 and length of what is left in a file, which `write` is given as well.

    A file longer than `limit` is noticed, not read: its length is then ``limit + 1``, and nothing
    past `limit` is written.
    """
    found, count = hashlib.sha256(), 0
    while block := source.read(min(BLOCK_BYTES, limit - count + 1)):
        count += len(block)
        if count > limit:
            return found.hexdigest(), limit + 1
        found.update(block)
        if write is not None:
            write(block)
    return found.hexdigest(), count


def open_plain(path: Path) -> BinaryIO:
    """Open a plain file for reading; a link is not followed and a pipe not waited for.

    Raises
    ------
    OSError
        It cannot be opened, is a link, or is not a plain file.
    """
    flags = sum(getattr(os, name, 0) for name in ("O_NOFOLLOW", "O_NONBLOCK", "O_BINARY"))
    handle = os.fdopen(os.open(path, os.O_RDONLY | flags), "rb", buffering=0)
    if not stat.S_ISREG(os.fstat(handle.fileno()).st_mode):
        handle.close()
        raise OSError(errno.EINVAL, "not a plain file", str(path))
    return handle


def changed(path: Path) -> InputError:
    """The error to raise at a file that is not what was noted when it was made."""
    return InputError(
        "the file is not the one that was made there: its content has another SHA-256.",
        where=path,
        remedy="It was changed or the disk lost a bit. Delete it and run the recipe again.",
    )


def in_threads(
    work: Callable[[Item], Result], items: Iterable[Item], threads: int
) -> Iterator[tuple[Item, Result]]:
    """Results of `work` in the order of the items; hashing and disks leave Python's lock free."""
    if threads <= 1:
        yield from ((item, work(item)) for item in items)
        return
    with ThreadPoolExecutor(threads) as pool:
        waiting: deque[tuple[Item, object]] = deque()
        try:
            for item in items:
                waiting.append((item, future := pool.submit(work, item)))
                if len(waiting) > threads * _AHEAD:
                    first, future = waiting.popleft()  # type: ignore[assignment] # futures only
                    yield first, future.result()
            while waiting:
                first, future = waiting.popleft()  # type: ignore[assignment] # futures only
                yield first, future.result()
        finally:
            pool.shutdown(wait=True, cancel_futures=True)
