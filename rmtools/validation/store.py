"""Checking what a store says of itself: attributes, shapes, descriptions."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from rmtools.errors import InputError
from rmtools.store_format import (
    PATHLOSS,
    STATIC,
    STATIC_MAPS,
    TRACKS,
    TRANSMITTERS,
    of_simulator,
)
from rmtools.traffic.tracks import FRAME_INTERVAL_S, MAX_SPEED_MPS
from rmtools.validation.pathloss import positive

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from rmtools.findings import Report
    from rmtools.grid import Grid
    from rmtools.store import Sizes, Store
    from rmtools.store_format import ArraySpec

STEP_FACTOR = 1.5
"""A vehicle may not move farther per frame than this times its fastest nominal step."""

NOMINAL_SPEED_MPS = 10.0
"""RadioMapMotion paper: 1 m per frame; used where the store does not state its own."""

MAX_BLOCK_BYTES = 2 * 2**30
UNREADABLE = (
    *(OSError, ValueError, RuntimeError, KeyError, IndexError, TypeError, EOFError),
    InputError,
)
"""What zarr, its codecs and the guard before them raise at damaged metadata and chunks."""

_NOT_THERE = object()
_T = TypeVar("_T")


@dataclass(frozen=True)
class StoreFacts:
    """What the check of a scene needs to know of the whole store.

    Attributes
    ----------
    store
        Open for reading; attributes and shapes are sound.
    sizes, grid, solver
        The store's.
    maps
        Attributes of each array of path loss.
    drawn
        Whether the vehicle masks came with the tracks.
    imported
        Whether the tracks were made elsewhere.
    longest_step_m
        The farthest that a vehicle may move per frame.
    """

    store: Store
    sizes: Sizes
    grid: Grid
    solver: object
    maps: Mapping[str, Mapping[str, object]]
    drawn: bool
    imported: bool
    longest_step_m: float


def check_root(store: Store, report: Report) -> StoreFacts | None:
    """Check attributes, shapes and descriptions of a store.

    Parameters
    ----------
    store
        Open for reading.
    report
        Findings are added to it.

    Returns
    -------
    StoreFacts or None
        What was read; None when it is so wrong that nothing else can be compared with it.
    """
    return _RootChecker(store, report).run()


def read_or_report(report: Report, where: str, read: Callable[[], _T]) -> _T | None:
    """Read something from a store; report it when it cannot be read."""
    try:
        return read()
    except UNREADABLE as error:
        said = error.what if isinstance(error, InputError) else error
        report.error(where, f"cannot be read ({type(error).__name__}: {said})"[:300])
        return None


def _wanted(store: Store) -> dict[str, tuple[ArraySpec, ...]]:
    """The arrays that a store should have by the verb that writes them.

    A dataset without trajectories has maps without vehicles and no tracks.
    """
    moving = any(store.has(spec.name) for spec in (*TRACKS, *PATHLOSS))
    still = not moving and store.has("pathloss_static")
    known = (
        of_simulator(spec, simulator)
        for spec in (*PATHLOSS, *STATIC_MAPS)
        for simulator in (None, *store.simulators)
    )
    return {
        "build-scenes": STATIC,
        "generate-trajectories": () if still else TRACKS,
        "place-transmitters": TRANSMITTERS,
        "simulate": tuple(spec for spec in known if store.has(spec.name)) or PATHLOSS,
    }


def imported(traffic: object) -> bool:
    """Whether a description of traffic says that the tracks were made elsewhere.

    What those do on their own streets (overlap, drive through a passage under a building, come
    and go) is a property of the input, not a fault of the dataset.
    """
    return isinstance(traffic, dict) and bool(traffic.get("tracks"))


class _RootChecker:
    """State of the check of a store as a whole."""

    def __init__(self, store: Store, report: Report) -> None:
        self.store, self.report = store, report
        self.sizes: Sizes
        self.grid: Grid

    def run(self) -> StoreFacts | None:
        """Attributes, shapes, descriptions; None when going on makes no sense."""
        sizes = self._try("store", lambda: self.store.sizes)
        grid = self._try("store", lambda: self.store.grid)
        if sizes is None or grid is None:
            return None
        self.sizes, self.grid = sizes, grid
        attrs = self.store.attributes  # sound, since the grid was read from them
        for key in ("licence", "attribution"):
            if not attrs[key] or not all(attrs[key]):
                self.report.error("store", f"attribute {key} is empty")
        listed = self.store.scene_names
        if not 0 < len(listed) == len(set(listed)):
            self.report.error(
                "store",
                f"attribute scenes has {len(listed)} entries with {len(set(listed))} different "
                "names",
            )
            return None
        return self._read_descriptions() if self._check_arrays() else None

    def _check_arrays(self) -> bool:
        """Whether every array is there, and is what the format says."""
        group = self.store.place.open_group(writable=False)
        sizes = self.sizes
        lengths = {**dataclasses.asdict(sizes), "y": sizes.pixels, "x": sizes.pixels}
        good = True
        for name, length in dataclasses.asdict(sizes).items():
            if not length and self.store.has(name) and name != "vehicle":
                self.report.error(name, "the dimension is empty")
                good = False
        wanted = self._try("store", partial(_wanted, self.store))
        for verb, specs in (wanted or {}).items():
            for spec in specs:
                array: Any = self._try(spec.name, partial(group.get, spec.name, _NOT_THERE))
                shape = tuple(lengths[dim] for dim in spec.dims)
                if array is None:
                    good = False
                elif array is _NOT_THERE:
                    self.report.error(spec.name, f"not there; run `rmtools {verb}`")
                    good = False
                elif (found := getattr(array, "shape", None)) != shape or array.dtype != spec.dtype:
                    self.report.error(
                        spec.name,
                        f"shape {found}, expected {shape} of {spec.dtype} from its dimensions",
                    )
                    good = False
                elif math.prod(array.chunks) * array.dtype.itemsize > MAX_BLOCK_BYTES:
                    self.report.error(spec.name, f"chunks {array.chunks} are too large to be read")
                    good = False
                else:
                    for key, value in spec.attrs.items():
                        if array.attrs.get(key) != value:
                            self.report.error(spec.name, f"attribute {key} is not {value!r}")
        return good and wanted is not None

    def _read_descriptions(self) -> StoreFacts | None:
        """What later checks need to know from attributes; None when it is not there."""
        solver = self._try("pathloss", lambda: self.store.solver)
        if solver is None:
            return None
        maps = {name: self.store.array_attributes(name) for name in self.store.map_arrays}
        for name, attributes in maps.items():
            if positive(attributes.get("solver"), "frequency_mhz") is None:
                self.report.warning(
                    name,
                    "attribute solver has no positive frequency_mhz: "
                    "the free-space limit is not checked",
                )
        moving = self.store.has("vehicles")
        vehicles = self.store.array_attributes("vehicles") if moving else {}
        traffic = vehicles.get("traffic")
        speed = positive(traffic, "speed_mps") or NOMINAL_SPEED_MPS
        spread = positive(traffic, "speed_spread") or 0.0
        longest_step_m = STEP_FACTOR * speed * (1.0 + spread) * FRAME_INTERVAL_S
        if imported(traffic):
            longest_step_m = MAX_SPEED_MPS * FRAME_INTERVAL_S
        sides = ("vehicle_length_m", "vehicle_width_m", "vehicle_height_m")
        missing = [side for side in sides if moving and positive(vehicles, side) is None]
        for side in missing:
            self.report.error("vehicles", f"attribute {side} is not a positive number")
        if missing:
            return None
        return StoreFacts(
            store=self.store,
            sizes=self.sizes,
            grid=self.grid,
            solver=solver,
            maps=maps,
            drawn="imported_from" in vehicles,
            imported=imported(traffic),
            longest_step_m=longest_step_m,
        )

    def _try(self, where: str, read: Callable[[], _T]) -> _T | None:
        return read_or_report(self.report, where, read)
