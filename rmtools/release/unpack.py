"""Restoring a layout from the tar files of a release.

A tar file comes from a stranger, so nothing in it decides what is written where. Names, places
and digests come from the index, whose names were checked; the tar file's own headers are only
compared with it. Links, devices, members that the index does not have or that overlap, and
anything hidden between them are refused before a byte is written.
"""

from __future__ import annotations

import tarfile
from typing import TYPE_CHECKING, BinaryIO

from rmtools.errors import InputError
from rmtools.files import replacing
from rmtools.release.checksums import digest, in_threads, open_plain
from rmtools.release.manifest import read_manifest
from rmtools.release.shards import BLOCK, FOLDER, TAIL_BYTES, padded, read_index

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from rmtools.release.manifest import ReleasedFile
    from rmtools.release.shards import Member, Shard

_REMEDY = "`rmtools verify` says what else of the release is damaged; fetch it again."


def unpack(
    root: Path, out: Path, *, threads: int = 1, on_file: Callable[[int], None] | None = None
) -> int:
    """Write the layouts that lie in the tar files of a release as they were in the dataset.

    What belongs to them and lies beside the tar files, their descriptions, is copied.

    Parameters
    ----------
    root
        A release of shards.
    out
        Folder to make or to go on with; files that are there already are kept.
    threads
        Tar files that are read at a time.
    on_file
        Told how many files a tar file gave.

    Returns
    -------
    int
        Files written.

    Raises
    ------
    InputError
        The release has no shards, or one of them is not what the index and the manifest say.
    """
    manifest = read_manifest(root)
    index = read_index(root, manifest)
    if index is None:
        raise InputError(
            "the release has no shards.", where=root, remedy="Its files can be read as they are."
        )
    known = {file.path: file for file in manifest.files}
    for shard in index.shards:
        if shard.path not in known or not shard.path.startswith(f"{FOLDER}/"):
            raise _wrong(root, shard, "the manifest does not have it")
    if root.resolve() == out.resolve() or root.resolve() in out.resolve().parents:
        raise InputError(
            "that is inside the release.", where=out, remedy="Choose a folder of its own."
        )

    def work(shard: Shard) -> int:
        with open_plain(root / shard.path) as tar:
            check_shard(tar, shard, root)
            return sum(_restore(tar, shard, k, root, out) for k in range(len(shard.members)))

    layouts = {member.path.split("/")[0] for shard in index.shards for member in shard.members}
    written = sum(
        _copy(root, out, file) for file in manifest.files if file.path.split("/")[0] in layouts
    )
    for _, count in in_threads(work, index.shards, threads):
        written += count
        if on_file is not None:
            on_file(count)
    return written


def _copy(root: Path, out: Path, file: ReleasedFile) -> int:
    """Copy one file of a layout that is in no tar file, unless it is there."""
    refuse_links(out, file.path)
    target = out / file.path
    if _is_there(target, file):
        return 0
    refuse_links(root, file.path)
    with replacing(target) as partial:
        with open_plain(root / file.path) as source, partial.open("xb") as handle:
            found = digest(source, file.size, handle.write)
        if found != (file.sha256, file.size):
            raise InputError(
                "the file is not the one of the manifest.", where=root / file.path, remedy=_REMEDY
            )
    return 1


def _is_there(target: Path, wanted: ReleasedFile | Member) -> bool:
    """Whether a file was written before."""
    if not target.is_file() or target.is_symlink():
        return False
    with open_plain(target) as there:
        return digest(there, wanted.size) == (wanted.sha256, wanted.size)


def check_shard(tar: BinaryIO, shard: Shard, root: Path) -> None:
    """Compare a tar file with the index, header by header; no content is read.

    Raises
    ------
    InputError
        They differ: another name, size or kind of member, more members, or hidden bytes.
    """
    end = 0
    for member in shard.members:
        if member.offset != end + BLOCK:
            raise _wrong(root, shard, f"{member.name!r} is not where the index says")
        tar.seek(end)
        try:
            found = tarfile.TarInfo.frombuf(tar.read(BLOCK), "utf-8", "strict")
        except (tarfile.HeaderError, UnicodeDecodeError) as error:
            raise _wrong(root, shard, f"{member.name!r} has no header ({error})") from error
        if found.type != tarfile.REGTYPE or found.linkname:
            raise _wrong(root, shard, f"{found.name!r} is a link, a folder or a device")
        if (found.name, found.size) != (member.name, member.size):
            raise _wrong(
                root, shard, f"it holds {found.name!r} of {found.size:,} bytes, not {member.name!r}"
            )
        end = member.offset + padded(member.size)
    tar.seek(end)
    most = TAIL_BYTES + tarfile.RECORDSIZE
    rest = tar.read(most + 1)
    if not 2 * BLOCK <= len(rest) <= most or any(rest):
        raise _wrong(root, shard, "it does not end where the index says")


def _restore(tar: BinaryIO, shard: Shard, number: int, root: Path, out: Path) -> int:
    """Write one file, unless it is there; returns how many were written."""
    member = shard.members[number]
    target = out / member.path
    refuse_links(out, member.path)
    if _is_there(target, member):
        return 0
    tar.seek(member.offset)
    with replacing(target) as partial, partial.open("wb") as handle:
        found, count = digest(_Slice(tar, member.size), member.size, handle.write)
        if (found, count) != (member.sha256, member.size):
            raise _wrong(root, shard, f"the content of {member.name!r} has another SHA-256")
    return 1


class _Slice:
    """The next bytes of a file, and no more."""

    def __init__(self, handle: BinaryIO, size: int) -> None:
        self._handle, self._left = handle, size

    def read(self, size: int) -> bytes:
        """At most `size` of the bytes that are left."""
        block = self._handle.read(min(size, self._left))
        self._left -= len(block)
        return block


def refuse_links(root: Path, name: str) -> None:
    """Refuse to write `name` through a folder that is a link.

    Raises
    ------
    InputError
        A folder on the way is a link.
    """
    folder = root
    for part in name.split("/")[:-1]:
        folder /= part
        if folder.is_symlink():
            raise InputError(
                "the folder is a link; nothing is written through it.",
                where=folder,
                remedy="Remove the link and try again.",
            )


def _wrong(root: Path, shard: Shard, what: str) -> InputError:
    return InputError(
        f"not the tar file of the index: {what}.", where=root / shard.path, remedy=_REMEDY
    )
