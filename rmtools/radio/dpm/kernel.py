"""How the functions of this package are compiled, and where the machine code is kept.

Numba keeps machine code per file and does not notice when a function that it inlined from
another file has changed. Therefore the code is kept in a folder named after a digest of all files
of this package: after any change, by an update or an editor, everything is compiled afresh.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar, cast

import numba

if TYPE_CHECKING:
    from collections.abc import Callable

F = TypeVar("F", bound="Callable[..., object]")

_HERE = Path(__file__).resolve().parent


def _cache_folder() -> Path:
    """Folder of the machine code for the present state of this package."""
    digest = hashlib.sha256()
    for path in sorted(_HERE.glob("*.py")):
        digest.update(path.read_bytes())
    return _HERE / "__pycache__" / f"kernels-{digest.hexdigest()[:16]}"


_CACHE = _cache_folder()


def kernel(function: F) -> F:
    """Compile to machine code, cached on disk, without the GIL.

    No ``fastmath``: the same input gives the same bits in every process. Where the package's own
    folder cannot be written, Numba falls back to the user's cache folder.
    """
    before = numba.config.CACHE_DIR
    numba.config.CACHE_DIR = str(_CACHE)
    try:
        return cast("F", numba.njit(cache=True, nogil=True, error_model="numpy")(function))
    finally:
        numba.config.CACHE_DIR = before
