"""One attempt at a unit on a worker of a cluster, with a limit to the time it may take."""

from __future__ import annotations

import os
import threading
from concurrent.futures import Future
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")

_FAREWELL_S = 2.0


class UnitHungError(Exception):
    """A unit took longer than it may."""


def attempt(work: Callable[[str], T], limit_s: float, unit: str) -> T:
    """Do a unit of work, on a Dask worker.

    Parameters
    ----------
    work
        What to do.
    limit_s
        How long it may take; 0 for any time.
    unit
        Name of the unit.

    Raises
    ------
    UnitHungError
        It took longer. A thread cannot be stopped, so the worker's process ends two seconds
        later; its nanny starts a new one.
    """
    if not limit_s:
        return work(unit)
    result: Future[T] = Future()

    def target() -> None:
        try:
            result.set_result(work(unit))
        except BaseException as error:  # noqa: BLE001 - whatever it is, it is raised below
            result.set_exception(error)

    threading.Thread(target=target, daemon=True).start()
    try:
        return result.result(timeout=limit_s)
    except TimeoutError as error:
        if result.done():  # the work itself raised it
            raise
        _end_this_worker()
        raise UnitHungError(f"it took longer than {limit_s:g} s") from error


def _end_this_worker() -> None:
    """End this process soon, if it is one that is started again."""
    from distributed import get_worker

    if get_worker().nanny is not None:
        timer = threading.Timer(_FAREWELL_S, os._exit, [1])
        timer.daemon = True
        timer.start()
