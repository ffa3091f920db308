"""Reading datasets in the RadioMapMotion layout: ours, and plain folders of published images."""

from __future__ import annotations

import csv
import io
import math
import re
from typing import TYPE_CHECKING

import numpy as np

from rmtools.errors import InputError
from rmtools.files import read_bytes
from rmtools.grid import Grid
from rmtools.images import png_size, read_grey_png
from rmtools.layouts import motion_format as fmt
from rmtools.layouts.npz import read_npz
from rmtools.radio.receivers import inside_buildings
from rmtools.traffic.tracks import State, Tracks, VehicleSize
from rmtools.units import MOTION_SCALE

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from rmtools.layouts.motion_format import MotionDescription
    from rmtools.types import BoolArray, ByteArray, FloatArray

_LINE_BYTES = 400
"""More than any line of our tables can have."""


class MotionLayout:
    """A folder in the RadioMapMotion layout, open for reading.

    Parameters
    ----------
    root
        The layout's folder or a dataset folder that has one called ``motion``. Without a
        ``dataset.json`` the sizes are taken from the folders and files of the first environment,
        and only images can be read: that is how the published dataset looks.

    Attributes
    ----------
    root
        The layout's folder.
    description
        Content of ``dataset.json``, None when there is none.
    sizes
        Number of scenes, trajectories, transmitters, frames and vehicle slots.
    grid
        Grid of all maps.
    """

    def __init__(self, root: Path) -> None:
        inner = root / fmt.LAYOUT_NAME
        self.root = inner if inner.is_dir() else root
        self.description: MotionDescription | None = None
        if (self.root / fmt.DESCRIPTION_NAME).exists():
            self.description = fmt.read_description(self.root)
            self.sizes = self.description.sizes
            self.grid = self.description.raster_grid()
            self._image = fmt.loader_name if self.description.names == "loader" else fmt.png_name
        else:
            self._discover()

    # -- maps --------------------------------------------------------------------------------

    def grey(self, scene: int, traj: int, tx: int, frame: int) -> ByteArray:
        """Grey levels of a frame's path gain, uint8, shape (n, n); 0 = not computed."""
        return read_grey_png(self.image_path(scene, traj, tx, frame), self.grid.shape)

    def sequence(self, scene: int, traj: int, tx: int) -> ByteArray:
        """Grey levels of a sequence, uint8, shape (frame, n, n)."""
        return np.stack([self.grey(scene, traj, tx, f) for f in range(self.sizes.frame)])

    def pathloss_db(self, scene: int, traj: int, tx: int, frame: int) -> FloatArray:
        """Path loss of a frame in dB, float32, shape (n, n), NaN where not computed.

        It comes from the npz where the layout has them. Otherwise it is decoded from the image:
        then it is good to half a grey level (0.187 dB) inside the range of the scale, and level
        0 is "not computed" inside buildings, or everywhere if no building image is there.
        """
        self._check(scene, traj, tx, frame)
        if (self.root / "npz").is_dir():
            return self._raster(self.root / fmt.npz_name(scene, traj, tx, frame), "pathloss_db")
        levels = self.grey(scene, traj, tx, frame)
        missing = levels == 0
        if self.environment_path(scene, fmt.BUILDINGS).exists():
            missing &= self.inside_buildings(scene)
        return np.where(missing, np.float32(np.nan), MOTION_SCALE.decode(levels))

    def image_path(self, scene: int, traj: int, tx: int, frame: int) -> Path:
        """Path of a frame's grey image."""
        self._check(scene, traj, tx, frame)
        return self.root / self._image(scene, traj, tx, frame)

    # -- what belongs to scenes and trajectories ---------------------------------------------

    def environment_path(self, scene: int, name: str) -> Path:
        """Path of a file about one environment."""
        self._check(scene)
        return self.root / fmt.environment_name(scene, name)

    def buildings(self, scene: int) -> BoolArray:
        """Building mask, shape (n, n)."""
        return self._mask(self.environment_path(scene, fmt.BUILDINGS))

    def roads(self, scene: int) -> BoolArray:
        """Drivable mask, shape (n, n)."""
        return self._mask(self.environment_path(scene, fmt.ROADS))

    def vehicles(self, scene: int, traj: int, frame: int) -> BoolArray:
        """Vehicle mask of a frame, shape (n, n)."""
        self._check(scene, traj, frame=frame)
        return self._mask(self.root / fmt.vehicles_name(scene, traj, frame))

    def building_height(self, scene: int) -> FloatArray:
        """Roof heights in metres, float32, shape (n, n), NaN outside buildings."""
        return self._raster(self.environment_path(scene, fmt.HEIGHT), "building_height_m")

    def inside_buildings(self, scene: int) -> BoolArray:
        """Pixels whose receiver is inside a building, shape (n, n): those with higher roofs.

        Without ``dataset.json``, which states the height of the receivers, or without roof
        heights, these are all building pixels.
        """
        buildings = self.buildings(scene)
        if self.description is None or not self.environment_path(scene, fmt.HEIGHT).exists():
            return buildings
        solver = self.description.solver.get("solver")
        return inside_buildings(buildings, self.building_height(scene), solver)

    def transmitters(self, scene: int) -> FloatArray:
        """Positions (x, y, z) of one scene's transmitters, shape (tx, 3), local metres."""
        path = self.environment_path(scene, fmt.TRANSMITTERS)
        rows = _table(path, fmt.TRANSMITTER_COLUMNS, self.sizes.tx)
        try:
            if [int(row[0]) for row in rows] != list(range(self.sizes.tx)):
                raise ValueError(f"expected the transmitters 0 to {self.sizes.tx - 1} in order")
            positions = np.array([[_number(value) for value in row[1:4]] for row in rows])
            if not self.grid.contains(positions[:, 0], positions[:, 1]).all():
                raise ValueError("a transmitter is outside the tile")
            pixels = self.grid.pixel(positions[:, 0], positions[:, 1])
            stated = [[int(value) for value in row[4:]] for row in rows]
            if not np.array_equal(np.transpose(pixels), stated):
                raise ValueError("row and col are not the pixel of x_m and y_m")
        except ValueError as error:
            raise _bad_table(path, error) from error
        return positions

    def tracks(self, scene: int, traj: int) -> Tracks:
        """Vehicle tracks of one trajectory."""
        self._check(scene, traj)
        path = self.root / fmt.tracks_name(scene, traj)
        shape = (self.sizes.frame, self.sizes.vehicle)
        rows = _table(path, fmt.TRACK_COLUMNS, shape[0] * shape[1])
        values = np.full((4, *shape), np.nan)
        state = np.full(shape, State.ABSENT, np.int8)
        try:
            for row in rows:
                at = (int(row[0]), int(row[2]))
                if min(at) < 0 or state[at] != State.ABSENT:
                    raise ValueError(f"negative or repeated index in {row}")
                values[:, *at] = [_number(value) for value in row[3:7]]
                state[at] = State[row[7].upper()]
            x, y, heading, speed = values
            if not self.grid.contains(x, y)[state != State.ABSENT].all():
                raise ValueError("a vehicle is outside the tile")
        except (ValueError, IndexError, KeyError) as error:
            raise _bad_table(path, error) from error
        return Tracks(x, y, heading, speed, state, self._vehicle_size())

    # -- inside ------------------------------------------------------------------------------

    def _raster(self, path: Path, key: str) -> FloatArray:
        raster = read_npz(path, self.grid.n**2 * 4).get(key)
        if raster is None or raster.shape != self.grid.shape or raster.dtype != np.float32:
            raise InputError(
                f"no float32 array {key} of shape {self.grid.shape} in it.",
                where=path,
                remedy="Write it again with `rmtools package`.",
            )
        return raster

    def _vehicle_size(self) -> VehicleSize:
        stated = self.description.vehicle if self.description else {}
        try:
            sides = [_number(stated[f"{side}_m"]) for side in ("length", "width", "height")]
            if not all(0 < side < self.grid.size_m for side in sides):
                raise ValueError(f"{sides} m")
        except (KeyError, TypeError, ValueError) as error:
            raise InputError(
                f"vehicle gives no size of the vehicles ({type(error).__name__}: {error}).",
                where=self.root / fmt.DESCRIPTION_NAME,
                remedy="Write it again with `rmtools package`.",
            ) from error
        return VehicleSize(*sides)

    def _mask(self, path: Path) -> BoolArray:
        return read_grey_png(path, self.grid.shape) > 127

    def _check(self, scene: int, traj: int = 0, tx: int = 0, frame: int = 0) -> None:
        sizes = self.sizes
        for name, index, size in (
            ("scene", scene, sizes.scene),
            ("traj", traj, sizes.traj),
            ("tx", tx, sizes.tx),
            ("frame", frame, sizes.frame),
        ):
            if not 0 <= index < size:
                msg = f"{name} {index} is not in 0...{size - 1}"
                raise IndexError(msg)

    def _discover(self) -> None:
        """Find the sizes of a dataset without description from its first environment."""
        trees = [self.root / "gain", self.root / "png", self.root]
        tree = next((t for t in trees if (t / "env_000").is_dir()), None)
        prefix = "" if tree is None or tree == self.root else f"{tree.name}/"
        first = self.root / f"{prefix}{fmt.sequence_folder(0, 0, 0)}"
        frames = sorted(first.glob("*.png"), key=lambda path: path.name)
        if tree is None or not frames:
            raise InputError(
                f"no {fmt.DESCRIPTION_NAME} and no images env_000/traj_00/tx_00/*.png.",
                where=self.root,
                remedy="Give the folder of a motion layout, or the one that holds gain/env_000.",
            )
        stem = "frame_{}" if frames[0].stem.startswith("frame_") else "{:02d}"

        def image(env: int, traj: int, tx: int, frame: int) -> str:
            return f"{prefix}{fmt.sequence_folder(env, traj, tx)}/{stem.format(frame)}.png"

        self._image = image
        self.sizes = fmt.MotionSizes(
            scene=_numbered(tree, "env"),
            traj=_numbered(tree / "env_000", "traj"),
            tx=_numbered(tree / "env_000" / "traj_00", "tx"),
            frame=len(frames),
            vehicle=0,
        )
        rows, columns = png_size(frames[0])
        if rows != columns or not 8 <= rows <= 8192:
            raise InputError(
                f"the image has {rows} x {columns} pixels, not a square of 8 to 8192.",
                where=frames[0],
                remedy="Give the folder of a motion layout.",
            )
        self.grid = Grid(rows)


def _numbered(folder: Path, word: str) -> int:
    """How many sub-folders ``word_000, word_001, ...`` there are without a gap."""
    pattern = re.compile(rf"{word}_(\d+)")
    found = {int(m[1]) for p in folder.iterdir() if (m := pattern.fullmatch(p.name))}
    return next(k for k in range(len(found) + 1) if k not in found)


def _number(value: str | float) -> float:
    """A finite number, whatever `float` would also take."""
    number = float(value)
    if not math.isfinite(number):
        raise ValueError(f"{value} is not a finite number")
    return number


def _table(path: Path, columns: Sequence[str], max_rows: int) -> list[list[str]]:
    """Read a CSV file that must have these columns and at most `max_rows` rows."""
    data = read_bytes(path, (max_rows + 2) * _LINE_BYTES)
    try:
        header, *rows = csv.reader(io.StringIO(data.decode()), strict=True)
        if tuple(header) != tuple(columns) or any(len(row) != len(columns) for row in rows):
            raise ValueError(f"expected the columns {','.join(columns)}")
        if len(rows) > max_rows:
            raise ValueError(f"expected at most {max_rows} rows")
    except (ValueError, csv.Error) as error:
        raise _bad_table(path, error) from error
    return rows


def _bad_table(path: Path, error: Exception) -> InputError:
    return InputError(
        f"not the table it should be ({type(error).__name__}: {error}).",
        where=path,
        remedy="The file is damaged; write it again with `rmtools package`.",
    )
