"""Reading and writing files so that a kill, a full disk or a broken input harms nothing.

Everything is written to ``<name>.<random>.partial`` beside its target, flushed to disk and renamed;
everything read is bounded in size.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import uuid
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from pydantic import BaseModel, ValidationError

from rmtools.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

PARTIAL_SUFFIX = ".partial"
MAX_JSON_BYTES = 64 * 2**20

_BLOCK_BYTES = 2**16

Model = TypeVar("Model", bound=BaseModel)


@contextlib.contextmanager
def replacing(target: Path) -> Iterator[Path]:
    """Give a temporary name to write to; on success flush it and rename it to `target`.

    Parameters
    ----------
    target
        The file to be created or replaced; its folder is made when missing.

    Yields
    ------
    Path
        The temporary name in the same folder. It is removed when the body raises.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = target.with_name(f"{target.name}.{uuid.uuid4().hex[:16]}{PARTIAL_SUFFIX}")
    try:
        yield partial
        with partial.open("rb") as handle:
            os.fsync(handle.fileno())
        partial.replace(target)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise


def write_bytes(target: Path, data: bytes) -> None:
    """Write a whole file atomically."""
    with replacing(target) as partial:
        partial.write_bytes(data)


def write_text(target: Path, text: str) -> None:
    """Write a whole UTF-8 file atomically."""
    write_bytes(target, text.encode())


def to_json(value: Any) -> str:
    """JSON text with sorted keys and a closing newline: the same value, the same bytes."""
    return json.dumps(value, indent=1, sort_keys=True, ensure_ascii=False, allow_nan=False) + "\n"


def write_json(target: Path, value: Any) -> None:
    """Write a value as JSON atomically, see :func:`to_json`."""
    write_text(target, to_json(value))


def read_bytes(path: Path, max_bytes: int) -> bytes:
    """Read a file that is at most `max_bytes` long.

    Raises
    ------
    InputError
        The file is missing, not a file, or larger than allowed.
    """
    if not path.is_file():
        raise InputError(
            "no such file.", where=path, remedy="Check the path, or run the step that writes it."
        )
    with path.open("rb") as handle:
        size = os.fstat(handle.fileno()).st_size
        parts = [handle.read(size + 1)] if size <= max_bytes else []
        # a file of /proc says that it has 0 bytes
        while parts and parts[-1] and sum(map(len, parts)) <= max_bytes:
            parts.append(handle.read(_BLOCK_BYTES))
        data = b"".join(parts)
    if max(size, len(data)) > max_bytes:
        raise InputError(
            f"the file has {max(size, len(data)):,} bytes, more than the {max_bytes:,} such a "
            "file can need.",
            where=path,
            remedy="It is probably not what its name says; replace it.",
        )
    return data


def read_json(path: Path, max_bytes: int = MAX_JSON_BYTES) -> Any:
    """Read a JSON file.

    Raises
    ------
    InputError
        The file is missing, too large, or not JSON; the message names line and column.
    """
    data = read_bytes(path, max_bytes)
    try:
        return json.loads(data)
    except (ValueError, RecursionError) as error:
        raise InputError(
            f"not readable as JSON ({error}).",
            where=path,
            remedy="The file is damaged; restore it or run the step that writes it again.",
        ) from error


def read_model(path: Path, model: type[Model], what: str, remedy: str) -> Model:
    """Read a JSON file that one of our models describes.

    Parameters
    ----------
    path
        The file.
    model
        Its model.
    what
        What the file should be, such as ``"a split manifest"``.
    remedy
        What to do when it is not.

    Raises
    ------
    InputError
        Missing, too large, not JSON, or a member is missing or wrong.
    """
    try:
        return model.model_validate(read_json(path))
    except ValidationError as error:
        raise InputError(
            f"not {what} ({first_problem(error)}).", where=path, remedy=remedy
        ) from error


def first_problem(error: ValidationError) -> str:
    """The first thing that pydantic found wrong, in one line: place and message."""
    first = error.errors(include_url=False)[0]
    place = ".".join(str(part) for part in first["loc"])
    return f"{place}: {first['msg']}" if place else first["msg"]


def sha256_file(path: Path) -> str:
    """SHA-256 of a file in hexadecimal."""
    with path.open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()


def sha256_json(value: Any) -> str:
    """SHA-256 of a value's canonical JSON text, see :func:`to_json`."""
    return hashlib.sha256(to_json(value).encode()).hexdigest()


def walk_files(root: Path) -> list[Path]:
    """All files below `root`, sorted by their relative POSIX path; links are not followed."""
    found = [
        Path(folder) / name
        for folder, _, names in os.walk(root, followlinks=False)
        for name in names
    ]
    return sorted(found, key=lambda path: path.relative_to(root).as_posix())


def refuse_links_out(root: Path) -> None:
    """Make sure that nothing written below a folder lands elsewhere.

    Parameters
    ----------
    root
        A folder, which may be a link itself.

    Raises
    ------
    InputError
        A file or folder in it is a link that leads out of it.
    """
    inside = os.path.realpath(root)
    for folder, folders, names in os.walk(root, followlinks=False):
        for name in (*folders, *names):
            path = os.path.join(folder, name)  # noqa: PTH118 - a layout has half a million files
            if not os.path.islink(path):  # noqa: PTH114
                continue
            real = os.path.realpath(path)
            if real != inside and not real.startswith(inside + os.sep):
                raise InputError(
                    "a link leads out of the dataset.",
                    where=path,
                    remedy="Put the file or folder itself there, or mount the disk there: what "
                    "rmtools writes or removes must not touch anything else.",
                )


def sha256_tree(root: Path) -> str:
    r"""One SHA-256 for a folder: over the sorted lines ``<sha256>  <relative path>``.

    The same figure comes from ``(cd ROOT && find . -type f -printf '%P\n' | LC_ALL=C sort |
    xargs sha256sum) | sha256sum``.
    """
    return sha256_files(root, (p.relative_to(root).as_posix() for p in walk_files(root)))


def sha256_files(root: Path, names: Iterable[str]) -> str:
    """Like :func:`sha256_tree`, for the named files below `root` only."""
    lines = (f"{sha256_file(root / name)}  {name}\n" for name in sorted(names))
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def remove_partials(root: Path) -> int:
    """Delete what a killed run left half-written below `root`; return how many files."""
    partials = [path for path in walk_files(root) if path.name.endswith(PARTIAL_SUFFIX)]
    for path in partials:
        path.unlink(missing_ok=True)
    return len(partials)
