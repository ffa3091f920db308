"""Whether a result is the answer to its job, and its path loss as the store wants it."""

from __future__ import annotations

import math
from collections import Counter
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from rmtools.errors import InputError
from rmtools.winprop.fit import on_grid

if TYPE_CHECKING:
    from pathlib import Path

    from rmtools.radio.external import Fit
    from rmtools.types import BoolArray, FloatArray
    from rmtools.winprop.manifest import JobManifest, JobTransmitter
    from rmtools.winprop.results import Result

PLACE_TOLERANCE_M = 0.01
FREQUENCY_TOLERANCE_MHZ = 0.01
POWER_TOLERANCE_DB = 0.01
"""What WinProp rounds to when it writes a header."""


class Options(NamedTuple):
    """What is accepted.

    Attributes
    ----------
    fit
        What to do with a result on another grid.
    max_gaps
        Largest share of the pixels off buildings that may be not computed.
    """

    fit: Fit = "exact"
    max_gaps: float = 0.05


class Taken(NamedTuple):
    """A result as it goes into the store, and what was noticed about it, with numbers."""

    pathloss_db: FloatArray
    notes: Counter[str]


def take_result(
    path: Path,
    manifest: JobManifest,
    transmitter: JobTransmitter,
    inside: BoolArray,
    options: Options,
) -> Taken:
    """Read a result and check it against its job.

    Parameters
    ----------
    path
        The result file.
    manifest, transmitter
        What was asked.
    inside
        Pixels inside buildings, shape (n, n): they become NaN whatever the file says.
    options
        What is accepted.

    Returns
    -------
    Taken
        Path loss in dB, float32, shape (n, n), positive.

    Raises
    ------
    InputError
        The file cannot be read, or it is not the answer to the job.
    """
    notes: Counter[str] = Counter()
    if manifest.solver == "winprop":
        values = _winprop(path, manifest, transmitter, options.fit, notes)
    else:
        from rmtools.winprop.neutral import read_neutral

        values = read_neutral(path, manifest.grid)
    gaps = np.isnan(values)
    share = float(gaps[~inside].mean()) if not inside.all() else 0.0
    if share > options.max_gaps:
        raise InputError(
            f"{share:.1%} of the pixels off buildings are not computed.",
            remedy="Look into the log of the job and run it again; --max-gaps accepts more.",
        )
    if (values < 0).any():
        raise InputError(
            f"a path loss of {np.nanmin(values):g} dB; is the transmitted power right?",
            remedy="Compare the header with the job.",
        )
    if missing := int(np.count_nonzero(gaps & ~inside)):
        notes["pixels off buildings that are not computed (NaN in the store)"] = missing
    if surplus := int(np.count_nonzero(~gaps & inside)):
        notes["pixels inside buildings with a value (left out)"] = surplus
    return Taken(np.where(inside, np.float32(np.nan), values), notes)


def _winprop(
    path: Path,
    manifest: JobManifest,
    transmitter: JobTransmitter,
    fit: Fit,
    notes: Counter[str],
) -> FloatArray:
    from rmtools.winprop.results import read_result

    result = read_result(path)
    if result.kind != "area" or result.header.steps != 1:
        raise InputError(
            f"a result for {result.header.steps} time steps or heights, or along a trajectory; "
            "one for an area was expected.",
            remedy="Run the job with its own project file.",
        )
    if wrong := _differences(result, manifest, transmitter, notes):
        raise InputError(
            f"not the answer to this job: {'; '.join(wrong)}.",
            remedy="Put the right file there, or run the job again.",
        )
    values, sign = result.pathloss_db()
    notes[f"files with {result.quantity} as {sign} in {result.unit}"] = 1
    notes[f"files of WinProp {result.header.version or 'without a version'}"] = 1
    fitted, done = on_grid(values[0], result.grid, manifest.grid, fit)
    if done != "exact":
        notes[f"files brought onto the grid of the job: {done}"] = 1
    return fitted


def _differences(
    result: Result, manifest: JobManifest, transmitter: JobTransmitter, notes: Counter[str]
) -> list[str]:
    """How the header differs from the job, in words; what it does not say is noted."""
    header, tx = result.header, transmitter
    place = (tx.x, tx.y, tx.z_m)
    wrong = []
    if header.antenna is not None and header.antenna != tx.name:
        wrong.append(f"antenna {header.antenna!r}, not {tx.name!r}")
    if header.location is not None and math.dist(header.location, place) > PLACE_TOLERANCE_M:
        wrong.append(f"antenna at {_place(header.location)}, not {_place(place)}")
    height = result.heights_m[0] if result.heights_m else None
    for what, found, wanted, tolerance, unit in (
        (
            "frequency",
            header.frequency_mhz,
            manifest.frequency_mhz,
            FREQUENCY_TOLERANCE_MHZ,
            "MHz",
        ),
        ("height", height, manifest.receiver_height_m, PLACE_TOLERANCE_M, "m"),
        ("power", header.power_dbm, manifest.power_dbm, POWER_TOLERANCE_DB, "dBm"),
    ):
        if found is None:
            notes[f"files that do not say their {what}"] = 1
        elif abs(found - wanted) > tolerance:
            wrong.append(f"{what} {found:g} {unit}, not {wanted:g} {unit}")
    if header.location is None:
        notes["files that do not say where their antenna is"] = 1
    isotropic = manifest.antenna == "isotropic"
    if isotropic and header.antenna_type not in (None, "ISO"):
        wrong.append(f"antenna type {header.antenna_type!r}, not 'ISO'")
    return wrong


def _place(point: tuple[float, float, float]) -> str:
    return "({:g}, {:g}, {:g})".format(*point)
