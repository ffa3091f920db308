"""Running units of work: in this process, or in several.

Units are independent and write their own files, so the number of workers changes nothing but
the time.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import sys
import threading
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import resource_tracker
from multiprocessing.connection import wait as wait_for
from typing import TYPE_CHECKING, Protocol, Self, TypeVar

from rmtools.errors import StorageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

T = TypeVar("T")


class UnitExecutor(Protocol):
    """What runs units of work: :class:`Executor`, or :class:`rmtools.run.cluster.Cluster`."""

    def __enter__(self) -> Self:
        """Begin."""

    def __exit__(self, *_: object) -> None:
        """End, whether all went well or not."""

    def run(
        self, work: Callable[[str], T], units: Sequence[str], on_done: Callable[[str, T], None]
    ) -> None:
        """Do `work` for every unit and report each result as it comes."""


class Executor:
    """Runs units in this process (1 worker) or in processes that are kept for the next stage.

    Use as a context manager.

    Parameters
    ----------
    workers
        Number of processes.
    """

    def __init__(self, workers: int) -> None:
        self.workers = workers
        self._pool: ProcessPoolExecutor | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._pool is not None:
            self._pool.shutdown(wait=True, cancel_futures=True)

    def run(
        self, work: Callable[[str], T], units: Sequence[str], on_done: Callable[[str, T], None]
    ) -> None:
        """Do `work` for every unit and report each result as it comes.

        Parameters
        ----------
        work
            A picklable function of the unit's name.
        units
            Names, started in this order.
        on_done
            Called in this process after each unit.

        Raises
        ------
        Exception
            The first error of any unit; units that are running are finished before.
        StorageError
            A worker died without an error, which is what running out of memory looks like.
        """
        if self.workers <= 1 or len(units) <= 1:
            for unit in units:
                on_done(unit, work(unit))
            return
        if self._pool is None:
            context = multiprocessing.get_context("spawn")
            self._pool = ProcessPoolExecutor(
                self.workers, mp_context=context, initializer=_begin_worker
            )
        with _without_interrupts():  # so that workers are born ignoring Ctrl-C
            running: dict[Future[T], str] = {self._pool.submit(work, unit): unit for unit in units}
        try:
            while running:
                done, _ = wait(running, return_when=FIRST_COMPLETED)
                for future in done:
                    on_done(running.pop(future), future.result())
        except BrokenProcessPool as error:
            raise StorageError(
                "a worker process was killed, most likely because memory ran out.",
                remedy="Run the same command again with fewer --workers; finished units are kept.",
            ) from error


@contextlib.contextmanager
def _without_interrupts() -> Iterator[None]:
    """Hold Ctrl-C back for a moment; new processes inherit that and keep it."""
    if sys.platform == "win32":
        yield
        return
    resource_tracker.ensure_running()  # starting it later would let signals through again
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _begin_worker() -> None:
    """Leave Ctrl-C to the main process, and end as soon as that is gone, however it went."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = multiprocessing.parent_process()
    if parent is None:
        return

    def watch() -> None:
        wait_for([parent.sentinel])
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
