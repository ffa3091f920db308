"""Which names of files a manifest or an index may hold: those that stay below their folder.

A manifest comes from a stranger. A name that could point outside the release, that two file
systems read differently or that cannot exist beside another is refused before any file is
touched.
"""

from __future__ import annotations

import re
import unicodedata
from typing import TYPE_CHECKING, Annotated

from pydantic import AfterValidator

if TYPE_CHECKING:
    from collections.abc import Iterable

MAX_NAME_BYTES = 1024
_MAX_PART_BYTES = 255
_FORBIDDEN = re.compile(r'[\x00-\x1f\x7f\\:*?"<>|\u202a-\u202e\u2066-\u2069]')
"""Control characters, what Windows forbids or reads as a separator, and turns of direction."""

_DEVICES = re.compile(r"(con|prn|aux|nul|com[0-9]|lpt[0-9])(\..*)?", re.IGNORECASE)


def check_name(name: str) -> str:
    """Return a name that is safe below any folder of any system.

    Raises
    ------
    ValueError
        It is absolute, climbs with ``..``, or is not the same name everywhere.
    """
    if reason := _unsafe(name):
        raise ValueError(f"{name[:100]!r} {reason}")
    return name


def _unsafe(name: str) -> str | None:
    """Why a name is not safe, None where it is."""
    try:
        size = len(name.encode())
    except UnicodeEncodeError:
        return "is not Unicode text"
    parts = name.split("/")
    longest = max(len(part.encode()) for part in parts)
    if not 0 < size <= MAX_NAME_BYTES or longest > _MAX_PART_BYTES:
        return "is empty or too long for a file name"
    if name.startswith("/") or any(part in ("", ".", "..") for part in parts):
        return "does not stay below its folder"
    if _FORBIDDEN.search(name) or any(part != part.strip() or part[-1] == "." for part in parts):
        return "has characters that some systems read differently"
    if any(_DEVICES.fullmatch(part) for part in parts):
        return "is a device on some systems"
    if unicodedata.normalize("NFC", name) != name:
        return "is not in Unicode normal form C"
    return None


SafeName = Annotated[str, AfterValidator(check_name)]
"""A name relative to its folder, with forward slashes."""


def check_together(names: Iterable[str]) -> None:
    """Check that names can exist beside each other, also where case does not count.

    Raises
    ------
    ValueError
        A name stands twice, two differ in case only, or one is a folder of another.
    """
    files: dict[str, str] = {}
    folders: dict[str, str] = {}
    for name in names:
        folded = name.casefold()
        if folded in files:
            same = files[folded] == name
            raise ValueError(
                f"{name!r} stands twice" if same else f"{name!r} and {files[folded]!r} clash"
            )
        files[folded] = name
        parent = name
        while "/" in parent:
            parent = parent.rsplit("/", 1)[0]
            known = folders.setdefault(parent.casefold(), parent)
            if known != parent:
                raise ValueError(f"the folders {parent!r} and {known!r} clash")
    for folded, name in files.items():
        if folded in folders:
            raise ValueError(f"{name!r} is both a file and a folder")
