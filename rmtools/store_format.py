"""Every array of the store: dimensions, type, unit, and how it is cut into files.

docs/store.md says the same in words.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from rmtools.traffic.tracks import State

if TYPE_CHECKING:
    from rmtools.types import FloatArray

FORMAT = 1

PATHLOSS_QUANTUM_DB = 2.0**-7
"""Path losses are stored in steps of 1/128 dB: finer than WinProp prints, and it compresses."""

NAN = float("nan")

MAX_LENGTHS = {
    "scene": 1_000_000,
    "traj": 10_000,
    "tx": 10_000,
    "frame": 100_000,
    "vehicle": 1_000_000,
    "y": 8192,
    "x": 8192,
}
MAX_MAPS = 2**24
"""Maps of one kind, 37 times those of RadioMapMotion."""

MAX_CHUNK_BYTES = 2**31
MAX_UNIT_BYTES = 2**32
"""Of what is read at once: a unit of work, or a table of all scenes."""


@dataclass(frozen=True)
class ArraySpec:
    """One array.

    Attributes
    ----------
    name, dims, dtype, fill, attrs
        As in the Zarr metadata.
    split
        How many leading dimensions are cut into single indices, one file for each; 0 keeps the
        array in one file.
    chunked
        How many leading dimensions are cut into single indices within a file (a shard); by
        default as many as `split`.
    """

    name: str
    dims: tuple[str, ...]
    dtype: str
    fill: float | int
    attrs: dict[str, Any] = field(default_factory=dict)
    split: int = 0
    chunked: int | None = None

    def blocks(self, shape: tuple[int, ...], single: int) -> tuple[int, ...]:
        """Block shape with the first `single` dimensions cut to one index."""
        return tuple(1 if axis < single else max(length, 1) for axis, length in enumerate(shape))


def _coordinate(name: str, dtype: str, **attrs: Any) -> ArraySpec:
    return ArraySpec(name, (name,), dtype, 0, attrs)


def flags(long_name: str, *meanings: str) -> dict[str, Any]:
    """CF attributes of a small set of integer values."""
    return {
        "long_name": long_name,
        "flag_values": list(range(len(meanings))),
        "flag_meanings": " ".join(meanings),
    }


_CORNER = "metres {} of the tile's south-west corner"
_STATES = [state for state in State if state is not State.ABSENT]
_TRACK = ("scene", "traj", "frame", "vehicle")

STATIC = (
    _coordinate("scene", "int32", long_name="scene index"),
    _coordinate(
        "x", "float64", units="m", axis="X", long_name=_CORNER.format("east") + ", pixel centres"
    ),
    _coordinate(
        "y", "float64", units="m", axis="Y", long_name=_CORNER.format("north") + ", pixel centres"
    ),
    ArraySpec(
        "buildings", ("scene", "y", "x"), "uint8", 0, flags("building", "free", "building"), 1
    ),
    ArraySpec(
        "building_height",
        ("scene", "y", "x"),
        "float32",
        NAN,
        {"long_name": "height of the roof above the street", "units": "m"},
        1,
    ),
    ArraySpec(
        "roads", ("scene", "y", "x"), "uint8", 0, flags("drivable area", "no", "drivable"), 1
    ),
    *(
        ArraySpec(
            f"scene_{name}",
            ("scene",),
            "float64",
            NAN,
            {"long_name": f"{name} of the tile's south-west corner in its CRS", "units": "m"},
        )
        for name in ("easting", "northing")
    ),
)
"""Made with the store."""

TRACKS = (
    _coordinate("traj", "int32", long_name="trajectory index"),
    _coordinate("frame", "int32", long_name="frame index"),
    _coordinate("vehicle", "int32", long_name="vehicle slot"),
    ArraySpec(
        "time",
        ("frame",),
        "float64",
        0.0,
        {"long_name": "time since the first frame", "units": "s"},
    ),
    *(
        ArraySpec(
            f"track_{name}", _TRACK, "float64", NAN, {"long_name": text, "units": unit}, split=2
        )
        for name, unit, text in (
            ("x", "m", "vehicle centre, " + _CORNER.format("east")),
            ("y", "m", "vehicle centre, " + _CORNER.format("north")),
            ("heading", "degree", "direction of travel, counter-clockwise from east"),
            ("speed", "m s-1", "distance since the frame before, per second"),
        )
    ),
    ArraySpec(
        "track_state",
        _TRACK,
        "int8",
        int(State.ABSENT),
        {
            "long_name": "what the vehicle did to get into the frame, -1 while it is absent",
            "flag_values": [int(state) for state in _STATES],
            "flag_meanings": " ".join(state.name.lower() for state in _STATES),
        },
        split=2,
    ),
    ArraySpec(
        "vehicles",
        ("scene", "traj", "frame", "y", "x"),
        "uint8",
        0,
        flags("vehicle mask", "free", "vehicle"),
        split=2,
    ),
)
"""Made when vehicles begin to move."""

TRANSMITTERS = (
    _coordinate("tx", "int32", long_name="transmitter index"),
    *(
        ArraySpec(
            f"tx_{axis}",
            ("scene", "tx"),
            "float64",
            NAN,
            {"long_name": f"transmitter, {text}", "units": "m"},
            split=1,
        )
        for axis, text in (
            ("x", _CORNER.format("east")),
            ("y", _CORNER.format("north")),
            ("z", "height above the street"),
        )
    ),
)
"""Made when transmitters are placed."""

_LOSS = {
    "units": "dB",
    "sign": "positive loss; gain = -path loss",
    "missing": "NaN where not computed (inside buildings)",
    "quantum_db": PATHLOSS_QUANTUM_DB,
}

PATHLOSS = (
    ArraySpec(
        "pathloss",
        ("scene", "traj", "tx", "frame", "y", "x"),
        "float32",
        NAN,
        {"long_name": "path loss", **_LOSS, "coordinates": "time"},
        split=2,
        chunked=3,
    ),
)
"""Made when the radio maps are computed; a file is one unit of work, a chunk one sequence."""

STATIC_MAPS = (
    ArraySpec(
        "pathloss_static",
        ("scene", "tx", "y", "x"),
        "float32",
        NAN,
        {"long_name": "path loss without vehicles", **_LOSS},
        split=1,
        chunked=2,
    ),
)
"""Made with the radio maps when they are wanted; a file is one scene, a chunk one map."""

MAPS_NAME = re.compile(r"pathloss(_static)?(?:_(?P<simulator>(?!static$)[a-z][a-z0-9]*))?")
"""Names of arrays of path loss."""


def of_simulator(spec: ArraySpec, simulator: str | None) -> ArraySpec:
    """The array that a further simulator's maps stand in, such as ``pathloss_static_irt2``."""
    return spec if simulator is None else replace(spec, name=f"{spec.name}_{simulator}")


def spec_of(name: str) -> ArraySpec | None:
    """What the format says about an array of this name; None when it knows none."""
    known = {spec.name: spec for spec in (*STATIC, *TRACKS, *TRANSMITTERS)}
    if name in known:
        return known[name]
    if match := MAPS_NAME.fullmatch(name):
        return of_simulator((STATIC_MAPS if match[1] else PATHLOSS)[0], match["simulator"])
    return None


def in_steps(pathloss_db: FloatArray) -> FloatArray:
    """Path loss in the steps it is stored in, float32."""
    steps = np.round(np.asarray(pathloss_db, np.float32) / PATHLOSS_QUANTUM_DB)
    return (steps * PATHLOSS_QUANTUM_DB).astype(np.float32)
