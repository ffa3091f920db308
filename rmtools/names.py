"""Names that come with a dataset and become parts of paths."""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import Annotated

from pydantic import AfterValidator

MAX_NAME = 200


def check_name(name: str) -> str:
    """Refuse a name that could lead out of the folder it is put into.

    Parameters
    ----------
    name
        Such as that of a scene, of which files are called after.

    Returns
    -------
    str
        The name.

    Raises
    ------
    ValueError
        It is empty, absolute, longer than :data:`MAX_NAME` characters, or has a part ``..``, a
        backslash, a control character or half of a surrogate pair, which no file can be called.
    """
    path = PurePosixPath(name)
    if not name or len(name) > MAX_NAME:
        raise ValueError(f"a name of {len(name)} characters, allowed are 1 to {MAX_NAME}")
    if path.is_absolute() or ".." in path.parts or "\\" in name or name[1:2] == ":":
        raise ValueError(f"the name {name!r} leads out of its folder")
    if any(ord(character) < 32 or "\ud800" <= character <= "\udfff" for character in name):
        raise ValueError(f"the name {name!r} holds control characters")
    return name


SafeName = Annotated[str, AfterValidator(check_name)]
"""Type of such a name in our models."""
