"""The outside solver: jobs for WinProp or any other program, and the way back of its results.

:func:`read_result` reads one result file of WinProp.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rmtools.winprop.results import read_result as read_result

__all__ = ["read_result"]


def __getattr__(name: str) -> object:
    """Load the compiled reader when it is asked for."""
    if name != "read_result":
        raise AttributeError(name)
    from rmtools.winprop.results import read_result

    return read_result
