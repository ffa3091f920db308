"""Running units of work on a Dask cluster, and getting every unit made whatever dies there.

Dask gives a unit whose worker died to another one. On top of that stands, in this file: a unit
that took several workers with it, ran out of memory or hung is set aside and tried once more after
all others; a scheduler that is gone is waited for, and what is not in the ledger by then is given
to it again. What is in the ledger is never lost, since workers write it themselves.
"""

from __future__ import annotations

import contextlib
import logging
import queue
import time
import uuid
from concurrent.futures import CancelledError
from functools import partial
from typing import TYPE_CHECKING, Any, Self, TypeVar

from rmtools.errors import MissingError, RmtoolsError, StorageError
from rmtools.run.attempt import UnitHungError, attempt

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

T = TypeVar("T")

LOCAL = "local"
"""The address that stands for a cluster on this machine, started for the run."""

FAILURES_IN_A_ROW = 10
_FIRST_PATIENCE_S = 30.0
_PATIENCE_S = 600.0
_LOOK_EVERY_S = 5.0
_ANSWER_S = 60.0


class _SchedulerLostError(Exception):
    """The scheduler does not answer, or is another one than the units were given to."""


class Cluster:
    """Runs units on the workers of a Dask scheduler; use as a context manager.

    Parameters
    ----------
    address
        Of the scheduler, such as ``tcp://10.0.0.1:8786``; or ``local``.
    workers
        Number of worker processes of a ``local`` cluster.
    limit_s
        How long a unit may take on a worker before it counts as hung; 0 for no limit.
    say
        Told in a sentence when the cluster is waited for.

    Raises
    ------
    MissingError
        Dask is not installed, or no scheduler answers.
    """

    def __init__(
        self,
        address: str,
        *,
        workers: int = 1,
        limit_s: float = 3600.0,
        say: Callable[[str], None] = lambda _: None,
    ) -> None:
        self.address, self._workers, self._limit_s, self._say = address, workers, limit_s, say
        self._own: Any = None  # distributed.LocalCluster
        self._client: Any = None  # distributed.Client
        self._scheduler_id = ""

    def __enter__(self) -> Self:
        try:
            import distributed
        except ImportError as error:
            raise MissingError(
                "a cluster needs Dask, which is not installed.",
                remedy="pip install 'rmtools[cluster]', also in the environment of the workers.",
            ) from error
        for name in ("distributed.client", "distributed.core"):  # what matters is said by us
            logging.getLogger(name).setLevel(logging.CRITICAL)
        if self.address == LOCAL:
            self._own = distributed.LocalCluster(
                n_workers=self._workers, threads_per_worker=1, dashboard_address=None
            )
        self._connect(_FIRST_PATIENCE_S)
        return self

    def __exit__(self, *_: object) -> None:
        self._disconnect()
        if self._own is not None:
            self._own.close()

    def run(
        self, work: Callable[[str], T], units: Sequence[str], on_done: Callable[[str, T], None]
    ) -> None:
        """Do `work` for every unit and report each result as it comes.

        Parameters
        ----------
        work
            A picklable function of the unit's name that may be called twice for the same unit.
        units
            Names.
        on_done
            Called in this process after each unit.

        Raises
        ------
        RmtoolsError
            Some units could not be made in two attempts while all others are finished; or so many
            failed in a row that it cannot be the units' fault. Its type is that of the first
            unit, by name, that raised one of ours.
        StorageError
            The same, where all of them died or hung.
        MissingError
            The scheduler is gone and did not come back.
        """
        from distributed import KilledWorker

        failed = self._round(work, units, on_done)
        killers = [unit for unit, error in failed.items() if isinstance(error, KilledWorker)]
        failed = self._round(work, [unit for unit in failed if unit not in killers], on_done)
        for unit in killers:  # each alone, so that none answers for what another one does
            failed |= self._round(work, [unit], on_done)
        if failed:
            raise _explain(failed, len(units))

    def _round(
        self, work: Callable[[str], T], units: Sequence[str], on_done: Callable[[str, T], None]
    ) -> dict[str, BaseException]:
        """Have every unit tried; what became of those that failed."""
        waiting = dict.fromkeys(units)
        failed: dict[str, BaseException] = {}
        while waiting:
            try:
                self._collect(work, waiting, failed, on_done)
            except _SchedulerLostError:
                self._say(f"the scheduler at {self.address} is gone; waiting for it")
                self._disconnect()
                self._connect(_PATIENCE_S)
        return failed

    def _collect(
        self,
        work: Callable[[str], T],
        waiting: dict[str, None],
        failed: dict[str, BaseException],
        on_done: Callable[[str, T], None],
    ) -> None:
        """Submit the waiting units, and take each out when it is done or failed."""
        finished: queue.SimpleQueue[Any] = queue.SimpleQueue()
        name, task = f"rmtools-{uuid.uuid4().hex}", partial(attempt, work, self._limit_s)
        with _lost_if_broken():
            if not self._client.nthreads():
                self._say(f"no worker at {self.address} yet; waiting for one")
            futures = {
                self._client.submit(task, unit, key=(name, unit), pure=False): unit
                for unit in waiting
            }
            for future in futures:
                future.add_done_callback(finished.put)
        in_a_row = 0
        while futures:
            with _lost_if_broken():
                try:
                    future = finished.get(timeout=_LOOK_EVERY_S)
                except queue.Empty:
                    self._look()
                    continue
                error = future.exception(timeout=_ANSWER_S)
                value: Any = None if error else future.result(timeout=_ANSWER_S)
            unit = futures.pop(future)
            del waiting[unit]
            if error is None:
                in_a_row = 0
                on_done(unit, value)
                continue
            failed[unit] = error
            in_a_row += 1
            if in_a_row >= FAILURES_IN_A_ROW:
                raise _explain(failed, len(failed) + len(waiting))

    def _look(self) -> None:
        """Make sure that the scheduler is there and still the same."""
        if self._client.scheduler is None or self._identity() != self._scheduler_id:
            raise _SchedulerLostError

    def _identity(self) -> str:
        """What no other scheduler is called, not even one at the same address."""
        identity = self._client.sync(self._client.scheduler.identity, callback_timeout=_ANSWER_S)
        return str(identity["id"])

    def _connect(self, patience_s: float) -> None:
        """Find the scheduler, which may be about to start."""
        import distributed
        from distributed.comm.addressing import get_address_host_port

        deadline = time.monotonic() + patience_s
        while True:
            try:
                if self._own is None:  # a client that fails on this complains when it is deleted
                    get_address_host_port(self.address)
                self._client = distributed.Client(
                    self._own or self.address, timeout=5, set_as_default=False
                )
                self._scheduler_id = self._identity()
            except (OSError, TimeoutError, ValueError) as error:
                self._disconnect()
                if isinstance(error, ValueError) or time.monotonic() > deadline:
                    raise MissingError(
                        f"no Dask scheduler answers there ({' '.join(str(error).split())}).",
                        where=self.address,
                        remedy="Start one with `dask scheduler`, and give its address; finished "
                        "units are kept, and the same command continues.",
                    ) from error
                time.sleep(0.5)
            else:
                return

    def _disconnect(self) -> None:
        """Let go of the client and of all it waits for."""
        client, self._client = self._client, None
        if client is not None:
            with contextlib.suppress(TimeoutError, OSError):  # there may be nobody to say it to
                client.close(timeout=2)


@contextlib.contextmanager
def _lost_if_broken() -> Iterator[None]:
    """Take every way in which a connection breaks for the loss of the scheduler."""
    try:
        yield
    except (OSError, TimeoutError, CancelledError) as error:
        raise _SchedulerLostError from error


def _explain(failed: dict[str, BaseException], units: int) -> BaseException:
    """One error for all units that could not be made."""
    failed = dict(sorted(failed.items()))
    reasons = {unit: _reason(error) for unit, error in failed.items()}
    if any(reason is None for reason in reasons.values()):
        return next(failed[unit] for unit, reason in reasons.items() if reason is None)
    shown = "; ".join(f"{unit}: {reason}" for unit, reason in list(reasons.items())[:5])
    more = f"; and {len(failed) - 5} more" if len(failed) > 5 else ""
    kind: type[RmtoolsError] = StorageError
    for error in reversed(failed.values()):
        if _import_error(error) is not None:
            kind = MissingError
        elif isinstance(error, RmtoolsError):
            kind = type(error)
    return kind(
        f"{len(failed)} of {units} units could not be made ({shown}{more}).",
        remedy="All others are kept; the same command tries these again. docs/scale.md says what "
        "to do about workers that die or hang.",
    )


def _reason(error: BaseException) -> str | None:
    """Why a unit failed, in words; None for a bug of ours."""
    from distributed import KilledWorker

    if isinstance(error, KilledWorker):
        return (
            f"{error.allowed_failures + 1} workers died over it, most likely because memory ran "
            f"out, the last being {error.last_worker.address}"
        )
    if isinstance(error, MemoryError):
        return "memory ran out"
    if (missing := _import_error(error)) is not None:
        return f"scheduler and workers do not have the packages of this process: {missing}"
    if isinstance(error, UnitHungError | RmtoolsError):
        return str(error)
    return None


def _import_error(error: BaseException) -> ImportError | None:
    """What a worker could not import, or the scheduler, which wraps the error."""
    found = error if isinstance(error, ImportError) else error.__cause__
    return found if isinstance(found, ImportError) else None
