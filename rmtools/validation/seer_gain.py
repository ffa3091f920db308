"""Checking RadioMapSeer's gain maps against buildings, transmitters, DPM's law and each other."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from rmtools.city.seer import TRANSMITTER_HEIGHT_M, N, read_map
from rmtools.errors import RmtoolsError
from rmtools.layouts import seer_format as fmt
from rmtools.units import SEER_SCALE
from rmtools.validation import seer_deviations as known

if TYPE_CHECKING:
    from collections.abc import Callable

    from rmtools.findings import Report
    from rmtools.types import BoolArray, ByteArray, IntArray
    from rmtools.validation.seer_deviations import Deviations
    from rmtools.validation.seer_tree import Tree

LAW_AT_1M_DB = 47.857
"""Free space over one metre at 5.9 GHz; DPM adds 25 dB per decade of distance."""

LAW_DB_PER_DECADE = 25.0


class MapFacts(NamedTuple):
    """What is known of a map when its gain is checked, each None when it is not there.

    Attributes
    ----------
    map_id
        Its number.
    inside
        Pixels whose centre lies in a polygon, shape (256, 256).
    image
        Its building image, shape (256, 256).
    pixels
        Pixels (row, col) of its transmitters.
    """

    map_id: int
    inside: BoolArray | None
    image: BoolArray | None
    pixels: list[tuple[int, int]] | None


def line_of_sight_levels(row: int, col: int) -> IntArray:
    """Grey levels of DPM's law around a transmitter, shape (256, 256)."""
    rows, cols = np.indices((N, N))
    distance = np.maximum(np.hypot(rows - row, cols - col), 1.0)
    return SEER_SCALE.encode(LAW_AT_1M_DB + LAW_DB_PER_DECADE * np.log10(distance)).astype(int)


class GainChecker:
    """Checks the gain maps of one map after another.

    Parameters
    ----------
    tree
        Which files there are.
    report, deviations
        Where findings go.
    image
        Reads an image and reports it when it is bad.
    ours
        Whether rmtools wrote the tree from a store.
    """

    def __init__(
        self,
        tree: Tree,
        report: Report,
        deviations: Deviations,
        image: Callable[[str], ByteArray | None],
        *,
        ours: bool,
    ) -> None:
        self.tree, self.report, self.deviations, self.image = tree, report, deviations, image
        self.in_building = known.ROUNDED_WALLS if ours else known.GAIN_IN_BUILDING
        self.ours = ours

    def check_map(self, facts: MapFacts) -> None:
        """All gain maps of a map: by transmitter, those without cars before those with cars."""
        there = {
            simulator: self.tree.transmitters(f"gain/{simulator}", facts.map_id)
            for simulator in fmt.SIMULATORS
        }
        for k, tx in enumerate(sorted(set().union(*there.values()))):
            if facts.pixels is not None and tx >= len(facts.pixels):
                for simulator, txs in there.items():
                    if tx in txs:
                        name = fmt.gain_name(simulator, facts.map_id, tx)
                        what = f"the map has only {len(facts.pixels)} transmitters"
                        self.report.error(name, what)
                continue
            levels: dict[str, ByteArray] = {}
            for simulator in (s for s, txs in there.items() if tx in txs):
                grey = self.image(fmt.gain_name(simulator, facts.map_id, tx))
                if grey is not None:
                    levels[simulator] = grey
                    self._check(simulator, tx, grey, facts)
            for simulator in filter(fmt.has_cars, levels):
                without = levels.get(fmt.without_cars(simulator))
                if without is not None:
                    self._compare(simulator, tx, levels[simulator], without, facts)
            if k == 0 and "DPM" in levels:
                self._check_law(tx, levels["DPM"], facts)

    def _check(self, simulator: str, tx: int, grey: ByteArray, facts: MapFacts) -> None:
        """One gain map by itself."""
        name = fmt.gain_name(simulator, facts.map_id, tx)
        free = None
        if facts.inside is not None:
            free = ~facts.inside
            wrong = int((grey[facts.inside] > 0).sum())
            upside_down = (grey[::-1][facts.inside] > 0).sum() <= wrong / 10
            hint = "it is upside down" if upside_down else "is it of another map?"
            self.deviations.add(name, self.in_building, wrong, N * N, hint)
        elif facts.image is not None:
            # Without polygons: half a pixel is within one pixel from the rim of the image.
            core = _core(facts.image)
            wrong = int((grey[core] > 0).sum())
            hint = "is it of another map?"
            self.deviations.add(name, self.in_building, wrong, N * N, hint)
            free = _core(~facts.image)
        if free is not None:
            zeros = int((grey[free] == 0).sum())
            kind = known.ZEROS[fmt.without_cars(simulator)]
            self.deviations.add(name, kind, zeros, int(free.sum()))
        pixel = None if facts.pixels is None else facts.pixels[tx]
        if fmt.without_cars(simulator) == "DPM":
            self._check_maximum(name, grey, pixel)
        elif pixel is not None and grey[pixel] == 0:
            self.report.error(name, f"the transmitter's pixel {pixel} (row, col) is 0")

    def _check_maximum(self, name: str, grey: ByteArray, pixel: tuple[int, int] | None) -> None:
        """DPM is strongest at the transmitter, and only there."""
        top = int(grey.max())
        places = np.argwhere(grey == top).tolist()
        found = f"{len(places)} pixels have the highest level, {top}"
        if len(places) != 1:
            self.report.error(name, f"{found}, expected one, at the transmitter")
            return
        if pixel is not None and tuple(places[0]) != pixel:
            self.report.error(
                name,
                f"the strongest pixel is {tuple(places[0])}, the transmitter is at {pixel} "
                "(row, col)",
            )
            return
        if top != 255:
            self.report.warning(
                name,
                f"the transmitter's pixel has level {top}, not 255: another scale, frequency or "
                "antenna than RadioMapSeer's",
            )
        above = int((grey.astype(int) - line_of_sight_levels(*places[0]) > 1).sum())
        hint = "another grey scale, exponent or frequency than RadioMapSeer's?"
        self.deviations.add(name, known.ABOVE_LAW, above, N * N, hint)

    def _compare(
        self, simulator: str, tx: int, with_cars: ByteArray, without: ByteArray, facts: MapFacts
    ) -> None:
        """Cars only take away."""
        name = fmt.gain_name(simulator, facts.map_id, tx)
        stronger = with_cars > without
        if fmt.without_cars(simulator) == "DPM":
            self.report.error_at(name, stronger, "are stronger with cars than without")
        else:
            self.deviations.add(name, known.CARS_ADD, int(stronger.sum()), N * N)

    def _check_law(self, tx: int, grey: ByteArray, facts: MapFacts) -> None:
        """Compare a DPM map with the law where our own DPM has line of sight."""
        if facts.inside is None or facts.pixels is None or facts.inside[facts.pixels[tx]]:
            return
        name = fmt.gain_name("DPM", facts.map_id, tx)
        row, col = facts.pixels[tx]
        try:
            seen = _in_sight(self.tree, facts.map_id, row, col)
        except RmtoolsError:  # a bad file; it is reported under its own name
            return
        off = np.abs(grey.astype(int) - line_of_sight_levels(row, col)) > 1
        wrong, of = int((off & seen).sum()), int(seen.sum())
        hint = "another grey scale, exponent or frequency than RadioMapSeer's?"
        self.deviations.add(name, known.SIGHT_LAW, wrong, of, hint)


def _in_sight(tree: Tree, map_id: int, row: int, col: int) -> BoolArray:
    """Pixels that see the transmitter, shape (256, 256)."""
    from rmtools.radio.dpm.solver import DominantPathSolver
    from rmtools.radio.solver import Transmitter

    solver = DominantPathSolver("radiomapseer")
    prepared = solver.prepare(read_map(tree.root, map_id))
    x, y = prepared.grid.centre(row, col)
    found = solver.solve_detailed(prepared, Transmitter(float(x), float(y), TRANSMITTER_HEIGHT_M))
    return np.asarray(found.classes == 1)


def _core(mask: BoolArray) -> BoolArray:
    """The mask without its rim of one pixel."""
    from scipy.ndimage import binary_erosion

    return np.asarray(binary_erosion(mask, np.ones((3, 3)), border_value=1))
