"""The index of a release: one table for every set, one row for every radio map.

``index/train.csv`` and its neighbours name each map's files, scene, trajectory, transmitter and
frame. They are the split of a release in the form that anyone can read: a set is a file.
"""

from __future__ import annotations

import csv
import io
import re
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from rmtools.errors import InputError
from rmtools.layouts import motion_format as motion
from rmtools.layouts import seer_format as seer
from rmtools.release.facts import UNASSIGNED

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

    from rmtools.splits.manifest import SplitManifest
    from rmtools.store import Store
    from rmtools.types import FloatArray

FOLDER = "index"
_SET_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.+-]{0,99}")


class MapRow(NamedTuple):
    """One radio map.

    Attributes
    ----------
    kind
        What it is: ``motion``, a folder such as ``seer/DPM``, or an array of the store.
    scene, scene_index, trajectory, transmitter, frame
        Which it is; the names and indices of split manifests and of the layouts' files.
    tx_x_m, tx_y_m, tx_z_m, tx_row, tx_col
        The transmitter: metres from the tile's south-west corner and above the street, and its
        pixel.
    image, pathloss
        Its files, relative to the release; empty where the layout has none. In a release of
        shards they are the names in the tar files.
    """

    kind: str
    scene: str
    scene_index: int
    trajectory: int
    transmitter: int
    frame: int
    tx_x_m: float
    tx_y_m: float
    tx_z_m: float
    tx_row: int
    tx_col: int
    image: str
    pathloss: str

    @property
    def identity(self) -> tuple[str, str, int, int, int]:
        """What the map is, whatever its files are called."""
        return (self.kind, self.scene, self.trajectory, self.transmitter, self.frame)


def map_rows(
    store: Store,
    layouts: Sequence[str],
    split: SplitManifest | None,
    files: Collection[str],
) -> dict[str, list[MapRow]]:
    """All radio maps of a release by set.

    Parameters
    ----------
    store
        The dataset.
    layouts
        Released layouts. Those made of images say what the maps are; without them the arrays do.
    split
        Its split; without one all maps are in the set :data:`~rmtools.release.facts.UNASSIGNED`.
    files
        Names of all released files.

    Returns
    -------
    dict
        Sets in the order of the split, and UNASSIGNED last where there are such maps.
    """
    known = files if isinstance(files, (set, frozenset, dict)) else set(files)
    found: dict[str, list[MapRow]] = {name: [] for name in (split.sets if split else ())}
    sequence, names = None, list[str]()
    for row in _rows(store, layouts, known):
        if sequence != (row.scene, row.trajectory, row.transmitter):  # once for all its frames
            sequence = (row.scene, row.trajectory, row.transmitter)
            names = sets_of(split, *sequence)
        for name in names:
            found.setdefault(name, []).append(row)
    return found


def sets_of(
    split: SplitManifest | None, scene: str, trajectory: int | None, transmitter: int | None
) -> list[str]:
    """Sets that a sequence is in; UNASSIGNED where it is in none."""
    if split is None:
        return [UNASSIGNED]
    inside = [
        name
        for name, members in split.sets.items()
        if scene in members.scenes
        and (members.trajectories is None or trajectory in members.trajectories)
        and (members.transmitters is None or transmitter in members.transmitters)
    ]
    return inside or [UNASSIGNED]


def _rows(store: Store, layouts: Sequence[str], files: Collection[str]) -> Iterator[MapRow]:
    for scene, name in enumerate(store.scene_names):
        places = _places(store, scene)
        if "motion" in layouts:
            yield from _motion_rows(store, scene, name, places, files)
        if "seer" in layouts:
            yield from _seer_rows(store, scene, name, places, files)
        if not {"motion", "seer"} & set(layouts):
            for array in store.map_arrays:
                trajectories, _, frames = _leading(store, array)
                for t in range(trajectories):
                    for k, place in places.items():
                        for f in range(frames):
                            yield MapRow(array, name, scene, t, k, f, *place, "", "")


def _leading(store: Store, array: str) -> tuple[int, ...]:
    """Trajectories, transmitters and frames of an array of path loss."""
    shape: tuple[int, ...] = store.array(array).shape[1:-2]
    return shape if len(shape) == 3 else (1, *shape, 1)


Place = tuple[float, float, float, int, int]


def _places(store: Store, scene: int) -> dict[int, Place]:
    """Position and pixel of each transmitter of a scene; imported scenes may lack some."""
    positions: FloatArray = store.transmitters(scene)
    present = np.flatnonzero(np.isfinite(positions).all(axis=1))
    rows, cols = store.grid.pixel(positions[present, 0], positions[present, 1])
    return {
        int(k): (*(float(v) for v in positions[k]), int(row), int(col))  # type: ignore[misc]
        for k, row, col in zip(present, rows, cols, strict=True)
    }


def _motion_rows(
    store: Store, scene: int, name: str, places: dict[int, Place], files: Collection[str]
) -> Iterator[MapRow]:
    for t in range(store.sizes.traj):
        for k, place in places.items():
            for f in range(store.sizes.frame):
                index = (scene, t, k, f)
                image = _first(files, motion.png_name(*index), motion.loader_name(*index))
                loss = _first(files, motion.npz_name(*index))
                yield MapRow("motion", name, scene, t, k, f, *place, image, loss)


def _first(files: Collection[str], *names: str) -> str:
    below = (f"{motion.LAYOUT_NAME}/{name}" for name in names)
    return next((name for name in below if name in files), "")


def _seer_rows(
    store: Store, scene: int, name: str, places: dict[int, Place], files: Collection[str]
) -> Iterator[MapRow]:
    from rmtools.layouts.seer_description import gain_folders, map_ids

    number = map_ids(store)[scene]
    for folder in gain_folders(store):
        for k, place in places.items():
            image = f"{seer.LAYOUT_NAME}/{seer.gain_name(folder, number, k)}"
            if image in files:
                yield MapRow(f"seer/{folder}", name, scene, 0, k, 0, *place, image, "")


# -- the tables ----------------------------------------------------------------------------------


def table_name(set_name: str) -> str:
    """File of a set.

    Raises
    ------
    InputError
        The name of the set cannot be one of a file.
    """
    if not _SET_NAME.fullmatch(set_name):
        raise InputError(
            f"the set {set_name!r} cannot have a file of its name.",
            where="split.json",
            remedy="Call sets by letters, digits, and _ + . - only.",
        )
    return f"{FOLDER}/{set_name}.csv"


def table_text(rows: Iterable[MapRow], names: Mapping[str, str]) -> str:
    """A table as CSV; `names` are other names of the files, as in the shards."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(MapRow._fields)
    for row in rows:
        renamed = [names.get(name, name) for name in (row.image, row.pathloss)]
        writer.writerow([*row[:-2], *renamed])
    return buffer.getvalue()


def read_table(data: bytes, where: str) -> Iterator[tuple[str, str, int, int, int]]:
    """Identities of the maps of a table, see :attr:`MapRow.identity`.

    Raises
    ------
    InputError
        It is not such a table.
    """
    try:
        for row in csv.DictReader(io.StringIO(data.decode()), strict=True):
            numbers = (int(row[key]) for key in ("trajectory", "transmitter", "frame"))
            yield (row["kind"], row["scene"], *numbers)  # type: ignore[misc] # three of them
    except (csv.Error, KeyError, TypeError, ValueError) as error:
        raise InputError(
            f"not an index of radio maps ({error}).",
            where=where,
            remedy="`rmtools verify` says what else of that release is damaged.",
        ) from error


def set_of_table(path: str) -> str:
    """Set that a table belongs to."""
    return PurePosixPath(path).name.removesuffix(".csv")
