"""How compiled functions are compiled, and where their machine code is kept.

Numba keeps machine code per file and does not notice when a function that it inlined from
another file has changed. Therefore the code is kept in a folder named after a digest of all files
beside the function's own: after any change, by an update or an editor, everything is compiled
afresh. So a compiled function may call only compiled functions of its own package.
"""

from __future__ import annotations

import functools
import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar, cast

import numba

if TYPE_CHECKING:
    from collections.abc import Callable

F = TypeVar("F", bound="Callable[..., object]")


@functools.cache
def _cache_folder(package: Path) -> Path:
    """Folder of the machine code for the present state of a package."""
    digest = hashlib.sha256()
    for path in sorted(package.glob("*.py")):
        digest.update(path.read_bytes())
    return package / "__pycache__" / f"kernels-{digest.hexdigest()[:16]}"


def kernel(function: F) -> F:
    """Compile to machine code, cached on disk, without the GIL.

    No ``fastmath``: the same input gives the same bits in every process. Where the package's own
    folder cannot be written, Numba falls back to the user's cache folder.
    """
    return _compiled(function)


def hot_kernel(function: F) -> F:
    """The same for functions that make no arrays but work on those that they are given.

    Numba then need not count who refers to an array, which took half the time of the path search.
    A hot kernel calls hot kernels only.
    """
    return _compiled(function, _nrt=False)


def inlined_kernel(function: F) -> F:
    """A hot kernel that becomes a part of its callers, for small ones called without end."""
    return _compiled(function, _nrt=False, inline="always")


def sum_kernel(function: F) -> F:
    """The same where sums may be taken in any order and products fused into them.

    Only so are sums vectorised. Processors of other kinds may give other last bits.
    """
    return _compiled(function, fastmath={"reassoc", "contract", "nsz"})


def exact_kernel(function: F) -> F:
    """The same for a function of numbers that sum kernels call and whose sums keep their order."""
    return _compiled(function, fastmath={"contract"})


def _compiled(function: F, **options: object) -> F:
    before = numba.config.CACHE_DIR
    package = Path(function.__code__.co_filename).resolve().parent
    numba.config.CACHE_DIR = str(_cache_folder(package))
    try:
        compile_ = numba.njit(cache=True, nogil=True, error_model="numpy", **options)
        return cast("F", compile_(function))
    finally:
        numba.config.CACHE_DIR = before
