"""What the files of a release must be when both of its lists are damaged.

``manifest.json`` and ``SHA256SUMS`` say the same of every file, a line each. When a bit flipped in
both, or one was cut off, most lines of at least one are as they were: they are put together, and
only what neither knows cannot be proven.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from pydantic import ValidationError

from rmtools.errors import InputError
from rmtools.files import read_bytes
from rmtools.release.checksums import digest, open_plain
from rmtools.release.item_lines import MAX_BYTES
from rmtools.release.manifest import (
    CHECKSUMS_NAME,
    MANIFEST_NAME,
    MAX_FILE_BYTES,
    MAX_FILES,
    MAX_LINE_BYTES,
    ReleasedFile,
)
from rmtools.release.names import check_name, check_together

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_SUM = re.compile(rb"([0-9a-f]{64})  (.+)")


class Salvaged(NamedTuple):
    """What is left of both lists.

    Attributes
    ----------
    files
        Size, where it is known, and digest of every file by name.
    sums_damaged
        Whether ``SHA256SUMS`` is known to be damaged; the manifest is, or nobody would ask.
    """

    files: dict[str, tuple[int | None, str]]
    sums_damaged: bool


def salvage(root: Path) -> Salvaged:
    """Put together what is left of both lists of a release.

    Where they contradict each other, the file itself says which one is right.

    Raises
    ------
    ValueError
        They name files that cannot be beside each other.
    """
    first = {file.path: file for file in _of_manifest(root)}
    second, damaged = _of_sums(root)
    own = second.pop(MANIFEST_NAME, None)
    _drop_wrong_names(root, first, second)
    found: dict[str, tuple[int | None, str]] = {}
    for path in sorted(first.keys() | second.keys()):
        file, sha256 = first.get(path), second.get(path)
        if file is None or sha256 not in (None, file.sha256):
            if file is not None and _is(root / path, file):
                sha256 = None
            elif sha256 is not None:
                found[path] = (None, sha256)
                continue
        if file is not None:
            damaged |= sha256 is None
            found[path] = (_size(root / path, file), file.sha256)
    if own is not None:
        found[MANIFEST_NAME] = (None, own)
    check_together([*found, CHECKSUMS_NAME])
    return Salvaged(found, damaged or own is None)


def _drop_wrong_names(root: Path, first: dict[str, ReleasedFile], second: dict[str, str]) -> None:
    """Of two names for one digest, each in one list alone, drop the one that is not there."""
    alone = {first[path].sha256: path for path in first.keys() - second.keys()}
    for path in sorted(second.keys() - first.keys()):
        other = alone.get(second[path])
        if other is None:
            continue
        if (root / other).is_file():
            del second[path]
        else:
            del first[other]


def _size(path: Path, file: ReleasedFile) -> int | None:
    """Size of a file, unless it is the number that was damaged."""
    there = path.is_file() and path.stat().st_size != file.size
    return None if there and _is(path, file) else file.size


def _is(path: Path, file: ReleasedFile) -> bool:
    """Whether a file has the content, if not the size, that was noted."""
    try:
        with open_plain(path) as handle:
            return digest(handle, MAX_FILE_BYTES)[0] == file.sha256
    except OSError:
        return False


def _lines(path: Path) -> list[bytes]:
    """Lines of a damaged file, few enough to be looked at."""
    if path.is_symlink():
        return []
    try:
        data = read_bytes(path, MAX_BYTES)
    except (InputError, OSError):
        return []
    return data.split(b"\n") if data.count(b"\n") <= 2 * MAX_FILES else []


def _of_manifest(root: Path) -> Iterator[ReleasedFile]:
    for line in _lines(root / MANIFEST_NAME):
        if line.startswith(b"{") and len(line) <= MAX_LINE_BYTES:
            try:
                yield ReleasedFile.model_validate_json(line.removesuffix(b","))
            except ValidationError:
                continue


def _of_sums(root: Path) -> tuple[dict[str, str], bool]:
    """Digests by name, and whether a line is damaged."""
    found, damaged = {}, False
    lines = _lines(root / CHECKSUMS_NAME)
    for line in lines[:-1]:
        match = _SUM.fullmatch(line)
        try:
            name = check_name(match[2].decode()) if match else ""
        except ValueError:
            name = ""
        if match and name and name not in found:
            found[name] = match[1].decode()
        else:
            damaged = True
    return found, damaged or lines[-1:] != [b""] or list(found) != sorted(found)
