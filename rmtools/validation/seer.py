"""Checking a folder in the RadioMapSeer layout, file by file, going on after every bad one.

The published dataset passes, and any part of it. Each file is read once; every finding names the
file it is about, relative to the layout. What is known to deviate is reported with its reason,
see :mod:`rmtools.validation.seer_deviations`.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, TypeVar

import numpy as np

from rmtools.city.rasters import footprint_mask
from rmtools.city.seer import N, footprints_of, read_pairs, read_rings, read_segments
from rmtools.errors import InputError
from rmtools.grid import Grid
from rmtools.images import read_grey_png
from rmtools.layouts import seer_format as fmt
from rmtools.layouts import seer_rasters
from rmtools.layouts.seer_description import read_description
from rmtools.validation import seer_deviations as known
from rmtools.validation.seer_deviations import Deviations
from rmtools.validation.seer_gain import GainChecker, MapFacts
from rmtools.validation.seer_tree import Tree

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from rmtools.city.seer import Ring
    from rmtools.findings import Report
    from rmtools.types import BoolArray, ByteArray
    from rmtools.validation.seer_deviations import Tolerated

_T = TypeVar("_T")


def open_seer(root: Path, report: Report) -> tuple[Tree, bool]:
    """Check names, table and description of a layout.

    Parameters
    ----------
    root
        Folder that holds ``gain/``, ``png/``, ``polygon/`` and ``antenna/``, or some of them.
    report
        Findings are added to it.

    Returns
    -------
    tree
        Which files there are.
    ours
        Whether rmtools wrote them, which is when there is a description.
    """
    tree = Tree(root, report)
    try:
        ours = read_description(root) is not None
    except InputError as error:
        report.error(fmt.DESCRIPTION_NAME, error.what)
        ours = True
    tree.check_table()
    return tree, ours


def check_map(tree: Tree, map_id: int, report: Report, *, ours: bool) -> list[Tolerated]:
    """Check all files of one map.

    Parameters
    ----------
    tree, ours
        The layout, see :func:`open_seer`.
    map_id
        Number of the map.
    report
        Findings are added to it.

    Returns
    -------
    list of Tolerated
        The known deviations that were found.
    """
    report.count("maps")
    checker = _MapChecker(tree, report, ours=ours)
    checker.check(map_id)
    return checker.deviations.tolerated


class _MapChecker:
    """State of the check of one map."""

    def __init__(self, tree: Tree, report: Report, *, ours: bool) -> None:
        self.tree, self.root, self.report = tree, tree.root, report
        self.grid = Grid(N, 1.0)
        self.deviations = Deviations(report)
        self.gains = GainChecker(tree, report, self.deviations, self.image, ours=ours)

    def check(self, map_id: int) -> None:
        """Check buildings, roads, cars, transmitters and gain."""
        rings = self._rings(fmt.polygons_name(map_id))
        image = self._mask(fmt.buildings_name(map_id))
        inside = masks = None
        if rings is not None:
            inside = footprint_mask(footprints_of(rings), self.grid)
            masks = seer_rasters.ring_masks(rings)
            if image is not None:
                self._check_building_image(map_id, image, np.any(masks, axis=0), inside)
        self._check_variants(map_id, rings, masks, image)
        self._check_roads(map_id, image)
        self._check_cars(map_id, rings, image)
        pixels = self._check_antennas(map_id, inside, image)
        self.gains.check_map(MapFacts(map_id, inside, image, pixels))

    # -- buildings ---------------------------------------------------------------------------

    def _check_building_image(
        self, map_id: int, image: BoolArray, drawn: BoolArray, inside: BoolArray
    ) -> None:
        name = fmt.buildings_name(map_id)
        different = int((image != drawn).sum())
        hint = misreading(image, drawn, inside) if different else ""
        self.deviations.add(name, known.BUILDING_IMAGE, different, N * N, hint)
        if different <= known.BUILDING_IMAGE.allowed * N * N:
            apart = int((image != inside).sum())
            self.deviations.add(name, known.IMAGE_AND_GAIN, apart, N * N)

    def _check_variants(
        self,
        map_id: int,
        rings: list[Ring] | None,
        masks: BoolArray | None,
        image: BoolArray | None,
    ) -> None:
        """Maps from which one to four buildings are missing."""
        for missing in fmt.MISSING_COUNTS:
            for version in fmt.VERSIONS:
                variant = (map_id, missing, version)
                gone = self._check_removed(variant, rings)
                for name, drawn_rings in (
                    (fmt.buildings_name(*variant), False),
                    (fmt.removed_name(*variant), True),
                ):
                    part = self._mask(name)
                    if part is None:
                        continue
                    if image is not None:
                        what = "are building, but not in the image of all buildings"
                        self.report.error_at(name, part & ~image, what)
                    if masks is not None and gone is not None:
                        chosen = gone if drawn_rings else ~gone
                        different = int((part != masks[chosen].any(axis=0)).sum())
                        self.deviations.add(name, known.BUILDING_IMAGE, different, N * N)
                    elif masks is not None and not drawn_rings:
                        self._count_missing(name, part, masks, missing)

    def _check_removed(
        self, variant: tuple[int, int, int], rings: list[Ring] | None
    ) -> BoolArray | None:
        """Which rings of the map a variant lacks, None when the polygons do not say."""
        missing = variant[1]
        names = fmt.polygons_name(*variant), fmt.removed_polygons_name(*variant)
        left, removed = (self._rings(name) for name in names)
        if removed is not None and len(removed) != missing:
            what = f"{len(removed)} buildings are removed, expected {missing}"
            self.report.error(names[1], what)
        if rings is None or (left is None and removed is None):
            return None
        whole = Counter(map(_key, rings))
        for name, some in zip(names, (left, removed), strict=True):
            if some is not None and (alien := Counter(map(_key, some)) - whole):
                what = f"{alien.total()} of its buildings are not those of the map"
                self.report.error(name, what)
                return None
        if left is not None and removed is not None and len(left) + len(removed) != len(rings):
            what = f"{len(left)} buildings are left and {len(removed)} removed of {len(rings)}"
            self.report.error(names[0], what)
            return None
        taken = Counter(map(_key, removed)) if removed is not None else whole
        if removed is None and left is not None:
            taken = whole - Counter(map(_key, left))
        gone = np.zeros(len(rings), bool)
        for k, ring in enumerate(rings):
            if taken[_key(ring)]:
                taken[_key(ring)] -= 1
                gone[k] = True
        return gone

    def _count_missing(self, name: str, part: BoolArray, masks: BoolArray, missing: int) -> None:
        """Find from an image alone which buildings are missing."""
        visible = masks.any(axis=(1, 2))
        gone = visible & ~(masks & part).any(axis=(1, 2))
        different = int((part != masks[~gone].any(axis=0)).sum())
        self.deviations.add(name, known.BUILDING_IMAGE, different, N * N)
        if gone.sum() > missing or (visible.all() and not gone.any()):
            self.report.error(name, f"{gone.sum()} buildings are missing, expected {missing}")

    # -- roads and cars ----------------------------------------------------------------------

    def _check_roads(self, map_id: int, buildings: BoolArray | None) -> None:
        name = fmt.roads_name(map_id)
        source = fmt.roads_polygons_name(map_id)
        segments = self._read(source, read_segments)
        image = self._mask(name)
        if segments is not None:
            self._check_whole_numbers(source, [list(segment) for segment in segments])
        if image is None:
            return
        if segments is not None:
            drawn = seer_rasters.road_mask(segments)
            different = int((image != drawn).sum())
            self.deviations.add(name, known.ROAD_IMAGE, different, int(drawn.sum()))
        if buildings is not None:
            on_buildings = int((image & buildings).sum())
            self.deviations.add(name, known.ROAD_ON_BUILDING, on_buildings, int(image.sum()))

    def _check_cars(
        self, map_id: int, rings: list[Ring] | None, buildings: BoolArray | None
    ) -> None:
        name = fmt.cars_name(map_id)
        source = fmt.cars_polygons_name(map_id)
        both, image = self._rings(source), self._mask(name)
        cars = None
        if both is not None and rings is not None:
            if both[: len(rings)] == rings:
                cars = both[len(rings) :]
            else:
                what = f"it does not begin with the {len(rings)} buildings of the map"
                self.report.error(source, what)
        for car in cars or []:
            if len({*car}) != 4:
                self.report.error(source, f"a car has {len({*car})} corners, expected 4")
                break
        if image is None:
            return
        if cars is not None:
            drawn = seer_rasters.car_mask(cars)
            different = int((image != drawn).sum())
            self.deviations.add(name, known.CAR_IMAGE, different, int(drawn.sum()))
        if buildings is not None:
            on_buildings = int((image & buildings).sum())
            self.deviations.add(name, known.CAR_ON_BUILDING, on_buildings, int(image.sum()))

    # -- transmitters ------------------------------------------------------------------------

    def _check_antennas(
        self, map_id: int, inside: BoolArray | None, image: BoolArray | None
    ) -> list[tuple[int, int]] | None:
        """Pixels (row, col) of the transmitters, None when they are not known."""
        name = fmt.antennas_name(map_id)
        pairs = self._read(name, read_pairs)
        drawn = self.tree.transmitters("png/antennas", map_id)
        pixels = None if pairs is None else fmt.antenna_pixels(np.array(pairs))
        if pixels is not None:
            rows, cols = pixels.T
            if len({*map(tuple, pixels.tolist())}) < len(pixels):
                self.report.warning(name, "transmitters share a place")
            if inside is not None and (bad := np.flatnonzero(inside[rows, cols])).size:
                moved = inside[np.minimum(rows + 1, N - 1), np.maximum(cols - 1, 0)]
                hint = "" if moved.any() else "; read as 1-based none does: is the file 1-based?"
                self.report.error(
                    name,
                    f"{bad.size} transmitters stand in buildings, the first is {bad[0]}{hint}",
                )
            elif image is not None:
                on_image = int(image[rows, cols].sum())
                self.deviations.add(name, known.TRANSMITTER_ON_IMAGE, on_image, len(pixels))
        for tx in drawn:
            self._check_antenna_image(fmt.antenna_image_name(map_id, tx), pixels, tx)
        return None if pixels is None else [(int(row), int(col)) for row, col in pixels]

    def _check_antenna_image(self, name: str, pixels: np.ndarray | None, tx: int) -> None:
        image = self._mask(name)
        if image is None:
            return
        lit = np.argwhere(image).tolist()
        if pixels is not None and tx >= len(pixels):
            self.report.error(name, f"the map has only {len(pixels)} transmitters")
        elif len(lit) != 1 or (pixels is not None and lit != [pixels[tx].tolist()]):
            expected = "" if pixels is None else f" at {tuple(pixels[tx].tolist())}"
            found = f"{len(lit)} pixels, the first at {tuple(lit[0])}" if lit else "none"
            self.report.error(name, f"expected one white pixel{expected} (row, col), found {found}")

    # -- reading -----------------------------------------------------------------------------

    def image(self, name: str) -> ByteArray | None:
        """Grey levels of a file, None when it is not there or bad, which is reported."""
        levels = self._read(name, lambda path: read_grey_png(path, (N, N)))
        if levels is not None:
            self.report.count("images")
        return levels

    def _mask(self, name: str) -> BoolArray | None:
        levels = self.image(name)
        if levels is None:
            return None
        between = (levels != 0) & (levels != 255)
        if between.any():
            hint = " (white is 255, not 1)" if levels.max() == 1 else ""
            self.report.error_at(name, between, f"are neither 0 nor 255{hint}")
        return levels >= min(128, max(int(levels.max()), 1))

    def _rings(self, name: str) -> list[Ring] | None:
        rings = self._read(name, read_rings)
        if rings is None:
            return None
        self._check_whole_numbers(name, rings)
        if opened := sum(ring[0] != ring[-1] for ring in rings):
            self.report.warning(name, f"{opened} rings do not end where they begin")
        return rings

    def _check_whole_numbers(self, name: str, lines: Iterable[Ring]) -> None:
        if odd := sum(value % 1 != 0 for line in lines for point in line for value in point):
            self.report.error(name, f"{odd} coordinates are not whole numbers")

    def _read(self, name: str, read: Callable[[Path], _T]) -> _T | None:
        """Read a file if it is there; report it when it is bad."""
        if not self.tree.has(name):
            return None
        try:
            value = read(self.root / name)
        except InputError as error:
            self.report.error(name, error.what)
            return None
        if name.endswith(".json"):
            self.report.count("JSON files")
        return value


def misreading(image: BoolArray, drawn: BoolArray, inside: BoolArray) -> str:
    """The known misreading of the conventions that explains a building image, or nothing."""
    candidates = {
        "black and white are exchanged": ~drawn,
        "it is upside down": drawn[::-1],
        "x and y are exchanged": drawn[::-1].T[::-1],
        "it is drawn like a gain map, half a pixel away": inside,
        "the polygons were taken as 0-based": np.roll(drawn, (-1, 1), (0, 1)),
    }
    least = max(4, int(0.1 * (image != drawn).sum()))
    for text, candidate in candidates.items():
        if np.count_nonzero(image != candidate) <= least:
            return text
    return ""


def _key(ring: Ring) -> tuple[tuple[float, float], ...]:
    return tuple(ring)
