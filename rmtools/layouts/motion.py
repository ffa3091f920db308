"""The RadioMapMotion layout: the store as a folder of PNG and npz files.

One unit of work (a scene and a trajectory) is written at a time and different units may be
written by different processes. The layout is described in docs/layouts.md and, in every dataset,
in its ``dataset.json``; :class:`MotionLayout` reads it back.
"""

from __future__ import annotations

import csv
import io
import os
from typing import TYPE_CHECKING, get_args

import numpy as np

from rmtools.errors import InputError, RecipeError
from rmtools.files import replacing, write_bytes, write_json, write_text
from rmtools.images import grey_png
from rmtools.layouts import motion_format as fmt
from rmtools.layouts.motion_format import MotionDescription, Names
from rmtools.layouts.motion_reader import MotionLayout
from rmtools.layouts.npz import npz_bytes
from rmtools.traffic.tracks import State
from rmtools.units import MOTION_SCALE

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from numpy.typing import ArrayLike

    from rmtools.grid import Grid
    from rmtools.store import Store
    from rmtools.traffic.tracks import Tracks
    from rmtools.types import BoolArray, FloatArray

__all__ = [
    "MotionDescription",
    "MotionLayout",
    "Names",
    "grid_receivers",
    "write_description",
    "write_layout",
    "write_scene",
    "write_unit",
]

EDGE_TOLERANCE = 0.01
"""How far beyond the tile's edge, in pixels, a receiver may lie and still count as on it."""

_ROUNDING_DECIMALS = 6
"""Receiver coordinates are rounded to a millionth of a pixel before the ceiling is taken."""


def grid_receivers(x: ArrayLike, y: ArrayLike, value: ArrayLike, grid: Grid) -> FloatArray:
    """Place scattered receivers on the grid by the paper's rule.

    RadioMapMotion paper, equation 4: ``i = ceil(x) - 1`` and ``j = ceil(y) - 1`` in pixels, here
    with ``col = i`` and ``row = n - 1 - j`` because y points north. A receiver on the border of
    two pixels therefore belongs to the lower one; one on the tile's west or south edge (where the
    rule gives -1) and one a hair beyond any edge belong to the pixel at that edge.

    Parameters
    ----------
    x, y
        Local metres, shape (R,).
    value
        Any quantity, shape (R,); NaN receivers are left out.
    grid
        The raster.

    Returns
    -------
    ndarray of float64, shape (n, n)
        NaN where no receiver fell. Of several receivers in a pixel the one nearest to its centre
        counts, of equally near ones the first.

    Raises
    ------
    InputError
        A receiver lies more than 0.01 pixels outside the tile or has no finite position.
    """
    x, y, value = (np.asarray(a, np.float64).ravel() for a in (x, y, value))
    across = np.round(x / grid.resolution_m, _ROUNDING_DECIMALS)
    up = np.round(y / grid.resolution_m, _ROUNDING_DECIMALS)
    low, high = -EDGE_TOLERANCE, grid.n + EDGE_TOLERANCE
    inside = (across >= low) & (across <= high) & (up >= low) & (up <= high)
    if not inside.all():
        first = int(np.flatnonzero(~inside)[0])
        raise InputError(
            f"{np.count_nonzero(~inside)} of {len(x)} receivers lie outside the tile of "
            f"{grid.size_m:g} m, the first at x = {x[first]:g}, y = {y[first]:g} m.",
            remedy="Cut the result to the tile, or shift it to the tile's south-west corner.",
        )
    i = np.clip(np.ceil(across) - 1, 0, grid.n - 1).astype(np.intp)
    j = np.clip(np.ceil(up) - 1, 0, grid.n - 1).astype(np.intp)
    pixel = (grid.n - 1 - j) * grid.n + i
    distance = np.round((across - i - 0.5) ** 2 + (up - j - 0.5) ** 2, _ROUNDING_DECIMALS)
    known = np.flatnonzero(~np.isnan(value))
    order = known[np.lexsort((known, distance[known], pixel[known]))]
    filled, first_of_pixel = np.unique(pixel[order], return_index=True)
    raster = np.full(grid.n * grid.n, np.nan)
    raster[filled] = value[order[first_of_pixel]]
    return raster.reshape(grid.shape)


def write_description(store: Store, root: Path, *, names: Names = "paper") -> list[str]:
    """Write ``dataset.json``; returns its path relative to `root`."""
    description = fmt.describe(store, _checked(names))
    write_json(root / fmt.DESCRIPTION_NAME, description.model_dump(mode="json"))
    return [fmt.DESCRIPTION_NAME]


def write_scene(store: Store, root: Path, scene: int) -> list[str]:
    """Write what belongs to a scene as a whole: building and road images, heights, transmitters.

    Returns
    -------
    list of str
        POSIX paths of the files, relative to `root`.

    Raises
    ------
    InputError
        The transmitters of the scene were not written.
    """
    grid = store.grid
    height: dict[str, ArrayLike] = {
        "building_height_m": store.building_height(scene).astype(np.float32),
        "unit": "m",
        "missing": "NaN = no building",
        "row_order": fmt.ROW_ORDER,
        "resolution_m": grid.resolution_m,
    }
    rows: list[tuple[object, ...]] = []
    positions = store.transmitters(scene)
    if not np.isfinite(positions).all():
        raise _unwritten(store, "transmitters", scene, "place-transmitters")
    for tx, (x, y, z) in enumerate(positions.tolist()):
        row, col = grid.pixel(x, y)
        rows.append((tx, x, y, z, int(row), int(col)))
    contents = {
        fmt.BUILDINGS: _mask_png(store.buildings(scene), fmt.BUILDING_MASK, grid),
        fmt.ROADS: _mask_png(store.roads(scene), fmt.ROAD_MASK, grid),
        fmt.HEIGHT: npz_bytes(height),
        fmt.TRANSMITTERS: _csv(fmt.TRANSMITTER_COLUMNS, rows).encode(),
    }
    written = []
    for name, data in contents.items():
        written.append(fmt.environment_name(scene, name))
        write_bytes(root / written[-1], data)
    return written


def write_unit(
    store: Store, root: Path, scene: int, traj: int, *, names: Names = "paper"
) -> list[str]:
    """Write one unit of work: images and npz of all its sequences, vehicle masks and tracks.

    Parameters
    ----------
    store
        A store whose path loss is written for this unit.
    root
        Folder of the layout, by custom ``motion`` beside the store.
    scene, traj
        Indices of the unit.
    names
        ``"paper"`` writes ``png/.../00.png``, ``"loader"`` what the released loader reads,
        ``gain/.../frame_0.png``, ``"both"`` one file under both names (a hard link where the
        file system can, else a copy).

    Returns
    -------
    list of str
        POSIX paths of the files, relative to `root`, in the order written.

    Raises
    ------
    InputError
        The path loss of a sequence was not written.
    """
    _checked(names)
    written: list[str] = []
    text = fmt.gain_text(store.grid.resolution_m)
    metadata = fmt.npz_metadata(
        scene=store.scene_names[scene],
        env=scene,
        traj=traj,
        resolution_m=store.grid.resolution_m,
        licence=store.attributes["licence"],
        attribution=store.attributes["attribution"],
    )
    positions = store.transmitters(scene).tolist()
    for tx in range(store.sizes.tx):
        metadata.update(zip(("tx_x_m", "tx_y_m", "tx_z_m"), positions[tx], strict=True))
        sequence = store.pathloss(scene, traj, tx)
        if np.isnan(sequence).all():
            what = f"path loss of trajectory {traj}, transmitter {tx}"
            raise _unwritten(store, what, scene, "simulate")
        for frame, loss in enumerate(sequence):
            at = (scene, traj, tx, frame)
            png = {
                "paper": [fmt.png_name(*at)],
                "loader": [fmt.loader_name(*at)],
                "both": [fmt.png_name(*at), fmt.loader_name(*at)],
            }[names]
            written += _write_twins(root, png, grey_png(MOTION_SCALE.encode(loss), text))
            metadata.update(tx=tx, frame=frame, time_s=fmt.frame_time_s(frame))
            written.append(fmt.npz_name(*at))
            write_bytes(root / written[-1], npz_bytes({"pathloss_db": loss, **metadata}))
    return written + _write_vehicles(store, root, scene, traj)


def write_layout(store: Store, root: Path, *, names: Names = "paper") -> list[str]:
    """Write a whole dataset in one process; returns the paths relative to `root`."""
    written = write_description(store, root, names=names)
    for scene in range(store.sizes.scene):
        written += write_scene(store, root, scene)
        for traj in range(store.sizes.traj):
            written += write_unit(store, root, scene, traj, names=names)
    return written


def tracks_csv(tracks: Tracks) -> str:
    """The vehicles of a trajectory as a table, one line per frame and vehicle present."""
    rows: list[tuple[object, ...]] = [
        (
            frame,
            fmt.frame_time_s(frame),
            int(vehicle),
            *(
                float(field[frame, vehicle])
                for field in (tracks.x, tracks.y, tracks.heading_deg, tracks.speed_mps)
            ),
            State(int(tracks.state[frame, vehicle])).name.lower(),
        )
        for frame in range(tracks.frames)
        for vehicle in np.flatnonzero(~np.isnan(tracks.x[frame]))
    ]
    return _csv(fmt.TRACK_COLUMNS, rows)


def _write_vehicles(store: Store, root: Path, scene: int, traj: int) -> list[str]:
    written = [fmt.tracks_name(scene, traj)]
    write_text(root / written[0], tracks_csv(store.tracks(scene, traj)))
    for frame, mask in enumerate(store.vehicle_masks(scene, traj)):
        written.append(fmt.vehicles_name(scene, traj, frame))
        write_bytes(root / written[-1], _mask_png(mask, fmt.VEHICLE_MASK, store.grid))
    return written


def _write_twins(root: Path, names: list[str], data: bytes) -> list[str]:
    """Write a file, and the same file again under the other names."""
    first = root / names[0]
    write_bytes(first, data)
    for name in names[1:]:
        with replacing(root / name) as partial:
            partial.unlink(missing_ok=True)
            try:
                os.link(first, partial)
            except OSError:  # the file system has no hard links
                partial.write_bytes(data)
    return names


def _mask_png(mask: BoolArray, quantity: str, grid: Grid) -> bytes:
    text = fmt.mask_text(quantity, grid.resolution_m)
    return grey_png(np.where(mask, 255, 0).astype(np.uint8), text)


def _csv(columns: Iterable[str], rows: Iterable[Iterable[object]]) -> str:
    """Comma-separated text; floats are written so that they read back exactly."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows(rows)
    return buffer.getvalue()


def _unwritten(store: Store, what: str, scene: int, verb: str) -> InputError:
    return InputError(
        f"scene {store.scene_names[scene]!r} has no {what} yet.",
        where=store.path,
        remedy=f"Run `rmtools {verb}` first.",
    )


def _checked(names: Names) -> Names:
    if names not in get_args(Names):
        raise RecipeError(
            f"there are no file names called {names!r}.",
            remedy=f"Choose one of {', '.join(get_args(Names))}.",
        )
    return names
