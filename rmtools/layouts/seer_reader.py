"""Reading datasets in the RadioMapSeer layout: ours, the published one, and parts of either."""

from __future__ import annotations

import os
import re
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from rmtools.city.rasters import footprint_mask
from rmtools.city.seer import N, footprints_of, read_map, read_pairs, read_rings, read_segments
from rmtools.errors import InputError
from rmtools.grid import Grid
from rmtools.images import read_grey_png
from rmtools.layouts import seer_format as fmt
from rmtools.units import SEER_SCALE

if TYPE_CHECKING:
    from pathlib import Path

    from rmtools.city.seer import Ring, Segment
    from rmtools.scene import Scene
    from rmtools.types import BoolArray, ByteArray, FloatArray, IntArray

_MAP_FILE = re.compile(r"(0|[1-9]\d{0,8})\.(?:png|json)")
_GAIN_FILE = re.compile(r"(0|[1-9]\d{0,8})_(0|[1-9]\d{0,3})\.png")


class SeerLayout:
    """A folder in the RadioMapSeer layout, open for reading.

    Nothing but ids is read ahead, and nothing is required: a part of the dataset is as good as all
    of it, and what is asked for and not there raises an :class:`~rmtools.errors.InputError` that
    names the file.

    Parameters
    ----------
    root
        The folder that holds ``gain/``, ``png/``, ``polygon/`` and ``antenna/``, or a dataset
        folder that has one called ``seer``.

    Attributes
    ----------
    root
        The layout's folder.
    grid
        Grid of all maps: 256 by 256 pixels of 1 m.

    Raises
    ------
    InputError
        There is nothing in RadioMapSeer layout at `root`.
    """

    def __init__(self, root: Path) -> None:
        self.root = find_layout(root)
        self.grid = Grid(N, 1.0)
        self._last_inside: tuple[int, BoolArray | None] | None = None
        self._gains: dict[str, dict[int, list[int]]] = {}

    # -- what is there -----------------------------------------------------------------------

    @cached_property
    def maps(self) -> list[int]:
        """Ids of the maps of which anything is there, ascending."""
        folders = ("antenna", "polygon/*", "polygon/*/*", "png/*", "png/*/*")
        found = {
            int(match[1])
            for pattern in folders
            for folder in self.root.glob(f"{pattern}/")
            for name in _names(folder)
            if (match := _MAP_FILE.fullmatch(name))
        }
        return sorted(found.union(*(self._gain_files(s) for s in self.simulators)))

    @cached_property
    def simulators(self) -> list[str]:
        """Simulators with a folder of gain maps, in the order of the format."""
        return [name for name in fmt.SIMULATORS if (self.root / "gain" / name).is_dir()]

    def transmitters(self, simulator: str, map_id: int) -> list[int]:
        """Transmitters whose gain map is there, ascending."""
        return self._gain_files(simulator).get(map_id, [])

    # -- gain --------------------------------------------------------------------------------

    def grey(self, simulator: str, map_id: int, tx: int) -> ByteArray:
        """Grey levels of the path gain, uint8, shape (256, 256)."""
        return self._image(fmt.gain_name(simulator, map_id, tx))

    def pathloss_db(self, simulator: str, map_id: int, tx: int) -> FloatArray:
        """Path loss in dB, positive, float32, shape (256, 256), NaN inside buildings.

        Good to half a grey level, 0.194 dB. Level 0 in the street means "147 dB or more" and is
        given as 147. Which zeros are buildings the polygons say; without polygons every zero is
        NaN.
        """
        levels = self.grey(simulator, map_id, tx)
        missing = levels == 0
        inside = self.inside_buildings(map_id)
        if inside is not None:
            missing &= inside
        return np.where(missing, np.float32(np.nan), SEER_SCALE.decode(levels))

    def inside_buildings(self, map_id: int) -> BoolArray | None:
        """Pixels whose gain is not computed, shape (256, 256), None without polygons.

        These are the pixels whose centre lies in a polygon. The building image is drawn half a
        pixel away: on the published map 0 it differs in 2.4 % of the pixels.
        """
        if self._last_inside is None or self._last_inside[0] != map_id:
            inside = None
            if (self.root / fmt.polygons_name(map_id)).is_file():
                inside = footprint_mask(footprints_of(self.polygons(map_id)), self.grid)
            self._last_inside = (map_id, inside)
        return self._last_inside[1]

    # -- images ------------------------------------------------------------------------------

    def buildings(self, map_id: int, missing: int | None = None, version: int = 1) -> BoolArray:
        """Building image, bool, shape (256, 256).

        Parameters
        ----------
        map_id
            The map.
        missing
            With 1 to 4, the image from which so many buildings are missing; None for all.
        version
            Which of its versions, 1 to 6.
        """
        return self._mask(fmt.buildings_name(map_id, missing, version))

    def removed(self, map_id: int, missing: int, version: int = 1) -> BoolArray:
        """Image of the buildings that are missing, as in :meth:`buildings`."""
        return self._mask(fmt.removed_name(map_id, missing, version))

    def roads(self, map_id: int) -> BoolArray:
        """Road image, bool, shape (256, 256): centre lines, one pixel wide."""
        return self._mask(fmt.roads_name(map_id))

    def cars(self, map_id: int) -> BoolArray:
        """Car image, bool, shape (256, 256)."""
        return self._mask(fmt.cars_name(map_id))

    def antenna_image(self, map_id: int, tx: int) -> BoolArray:
        """Image of a transmitter, bool, shape (256, 256)."""
        return self._mask(fmt.antenna_image_name(map_id, tx))

    # -- geometry ----------------------------------------------------------------------------

    def antennas(self, map_id: int) -> IntArray:
        """Transmitters (x, y) as in the file, 0-based and y north, shape (tx, 2)."""
        return np.array(read_pairs(self.root / fmt.antennas_name(map_id)))

    def transmitter_pixels(self, map_id: int) -> IntArray:
        """Pixels (row, col) of the transmitters, shape (tx, 2)."""
        return fmt.antenna_pixels(self.antennas(map_id))

    def polygons(self, map_id: int, missing: int | None = None, version: int = 1) -> list[Ring]:
        """Rings of the buildings in the polygon frame; parameters as of :meth:`buildings`."""
        return read_rings(self.root / fmt.polygons_name(map_id, missing, version))

    def removed_polygons(self, map_id: int, missing: int, version: int = 1) -> list[Ring]:
        """Rings of the buildings that are missing."""
        return read_rings(self.root / fmt.removed_polygons_name(map_id, missing, version))

    def car_rings(self, map_id: int) -> list[Ring]:
        """Rings of the cars in the polygon frame.

        Raises
        ------
        InputError
            Also if the file does not begin with all buildings, behind which the cars stand.
        """
        path = self.root / fmt.cars_polygons_name(map_id)
        both, buildings = read_rings(path), self.polygons(map_id)
        if both[: len(buildings)] != buildings:
            raise InputError(
                f"the file does not begin with the {len(buildings)} buildings of the map, so its "
                "cars cannot be told apart.",
                where=path,
                remedy="The file is damaged or belongs to another map; download it, or write it, "
                "again.",
            )
        return both[len(buildings) :]

    def road_segments(self, map_id: int) -> list[Segment]:
        """Start and end of the roads' centre lines in the polygon frame."""
        return read_segments(self.root / fmt.roads_polygons_name(map_id))

    def scene(self, map_id: int) -> Scene:
        """The map as a scene, see :func:`rmtools.city.seer.read_map`."""
        return read_map(self.root, map_id)

    # -- inside ------------------------------------------------------------------------------

    def _gain_files(self, simulator: str) -> dict[int, list[int]]:
        """Transmitters of every map in one folder of gain maps."""
        if simulator not in self._gains:
            found: dict[int, list[int]] = {}
            for name in _names(self.root / "gain" / simulator):
                if match := _GAIN_FILE.fullmatch(name):
                    found.setdefault(int(match[1]), []).append(int(match[2]))
            self._gains[simulator] = {map_id: sorted(txs) for map_id, txs in found.items()}
        return self._gains[simulator]

    def _image(self, name: str) -> ByteArray:
        return read_grey_png(self.root / name, self.grid.shape)

    def _mask(self, name: str) -> BoolArray:
        return self._image(name) > 127


def _names(folder: Path) -> list[str]:
    """Names in a folder; a full one has 56,080, for which paths would take their time."""
    return os.listdir(folder) if folder.is_dir() else []  # noqa: PTH208 - names are all we need


def is_layout(folder: Path) -> bool:
    """Whether there is anything in RadioMapSeer layout in a folder."""
    signs = ["antenna", "polygon", "png/buildings_complete", fmt.TABLE_NAME]
    signs += [f"gain/{simulator}" for simulator in fmt.SIMULATORS]
    return any((folder / sign).exists() for sign in signs)


def find_layout(root: Path) -> Path:
    """The layout's folder: `root` or its folder ``seer``.

    Raises
    ------
    InputError
        Neither is one.
    """
    for folder in (root / fmt.LAYOUT_NAME, root):
        if is_layout(folder):
            return folder
    raise InputError(
        "nothing in RadioMapSeer layout here.",
        where=root,
        remedy="Give the folder that holds gain/, png/, polygon/ and antenna/.",
    )
