"""Units for the workers of a test's Dask cluster: the name of a unit says what becomes of it."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

from rmtools.errors import InputError


def work(unit: str) -> str:
    """Do what the unit's name says; give it twice."""
    kind = unit.partition("-")[0]
    if kind == "die":
        os.kill(os.getpid(), signal.SIGKILL)
    if kind == "once":
        mark = Path(os.environ["RMTOOLS_TEST_FOLDER"]) / unit
        if not mark.exists():
            mark.touch()
            os.kill(os.getpid(), signal.SIGKILL)
    if kind == "hang":
        time.sleep(3600)
    if kind == "memory":
        raise MemoryError
    if kind == "bad":
        raise InputError("it is broken.", where="file.json")
    if kind == "bug":
        raise ZeroDivisionError(unit)
    return unit * 2
