"""Pictures of the paths behind a radio map: where they bend, and what kind each pixel has."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from PIL import Image, ImageDraw

from rmtools.errors import InputError, RecipeError
from rmtools.report import pictures
from rmtools.units import MOTION_SCALE

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rmtools.radio.dpm.solver import Detailed
    from rmtools.store import Store
    from rmtools.traffic.tracks import Tracks
    from rmtools.types import BoolArray, ByteArray, FloatArray

Pixel = tuple[int, int]


class Kind(NamedTuple):
    """A kind of path: its name and its colour."""

    name: str
    colour: pictures.Colour


KINDS = (
    Kind("line of sight", (250, 250, 245)),
    Kind("1 bend", (120, 220, 255)),
    Kind("2 bends", (52, 168, 230)),
    Kind("3 or more", (26, 96, 176)),
    Kind("over roofs", (70, 205, 110)),
)
"""Told by their colours, which differ from those of the maps."""

BENDS = ("bend on the street", "bend on a roof", "bend on a vehicle")
STREET, ROOF, VEHICLE = range(3)
_ACROSS = 7
"""Receivers along a side, as far as there is a street."""


@dataclass(frozen=True)
class Path:
    """The way to one receiver.

    Attributes
    ----------
    points
        Transmitter, bends and receiver, shape (2 + bends, 3): local metres and height.
    bends
        STREET, ROOF or VEHICLE for each bend.
    kind
        Index into :data:`KINDS`.
    """

    points: FloatArray
    bends: tuple[int, ...]
    kind: int


def kinds(classes: ByteArray) -> ByteArray:
    """Index into :data:`KINDS` of every class of the solver; 255 where nothing was computed."""
    bends = classes & 127
    kind = np.where(classes >= 128, 4, np.minimum(bends, 4) - 1)
    return np.where(bends == 0, 255, kind).astype(np.uint8)


def spread_receivers(free: BoolArray) -> list[Pixel]:
    """Pixels all over the map, at most 49: of each cell the free one nearest to its middle."""
    edges = np.linspace(0, len(free), _ACROSS + 1).astype(int)
    found = []
    for top, bottom in pairwise(edges):
        for left, right in pairwise(edges):
            rows, cols = np.nonzero(free[top:bottom, left:right])
            if rows.size:
                away = np.hypot(rows - (bottom - top - 1) / 2, cols - (right - left - 1) / 2)
                best = int(np.argmin(away))
                found.append((int(top + rows[best]), int(left + cols[best])))
    return found


def find_paths(
    solved: Detailed,
    store: Store,
    index: tuple[int, int, int, int],
    to: Sequence[Pixel] | None = None,
) -> list[Path]:
    """Paths to chosen pixels.

    Parameters
    ----------
    solved
        The map solved again, see :func:`rmtools.run.again.solve_again`.
    store
        Its dataset.
    index
        Scene, trajectory, transmitter and frame.
    to
        Rows and columns; by default some that are spread over the streets.

    Raises
    ------
    InputError
        A pixel is not on the map, or is inside a building.
    """
    s = index[0]
    inside, n = solved.classes == 0, store.grid.n
    paths = []
    for row, col in spread_receivers(~(inside | store.buildings(s))) if to is None else to:
        if not (0 <= row < n and 0 <= col < n):
            raise _no_path(store, row, col, f"not on the map, which has {n} by {n}")
        if inside[row, col]:
            raise _no_path(store, row, col, "inside a building, where no path ends")
        points = solved.path(row, col)
        at = store.grid.pixel(points[1:-1, 0], points[1:-1, 1])
        lifted = points[1:-1, 2] > points[-1, 2] + 1e-6  # above the street, and on no roof
        on = np.where(inside[at], ROOF, np.where(lifted, VEHICLE, STREET))
        kind = int(kinds(solved.classes[row : row + 1, col])[0])
        paths.append(Path(points, tuple(on.tolist()), kind))
    return paths


def draw_paths(
    solved: Detailed,
    paths: Sequence[Path],
    store: Store,
    index: tuple[int, int, int, int],
    *,
    factor: int,
    by_class: bool = False,
) -> Image.Image:
    """The map with paths over it.

    Parameters
    ----------
    solved, store, index
        As in :func:`find_paths`.
    paths
        What to draw; may be empty.
    factor
        Screen pixels per raster pixel.
    by_class
        Colour the pixels by the kind of their path instead of the path loss.

    Returns
    -------
    Image
        Square, without caption and legend.
    """
    s, t, k, f = index
    ground = pictures.paint_map(solved.pathloss_db, store.buildings(s), MOTION_SCALE)
    if by_class:
        kind = kinds(solved.classes)
        for i, (_, colour) in enumerate(KINDS):
            ground[kind == i] = colour
    sketch = pictures.Sketch(ground, store.grid, factor)
    tracks: Tracks = store.tracks(s, t)
    fill, edge = pictures.VEHICLE_ON_MAP, pictures.PAPER
    if by_class:  # much of the ground is white
        fill, edge = (*pictures.INK, 90), pictures.INK
    sketch.vehicles(tracks.outlines(f), fill, edge)
    for path in paths:
        sketch.way(path.points[:, :2], KINDS[path.kind].colour)
    for path in paths:
        for point, kind_of_bend in zip(path.points[1:-1], path.bends, strict=True):
            sketch.mark(point[0], point[1], kind_of_bend)
        x, y = path.points[-1, :2]
        sketch.dot(x, y, KINDS[path.kind].colour)
    x, y = store.transmitters(s)[k, :2]
    sketch.transmitter(x, y)
    return sketch.image()


def preview_paths(
    solved: Detailed,
    store: Store,
    index: tuple[int, int, int, int],
    to: Sequence[Pixel] | None = None,
    *,
    factor: int | None = None,
    by_class: bool = False,
) -> Image.Image:
    """Picture of a map with paths, caption and legend; parameters as in :func:`draw_paths`."""
    from rmtools.report.preview import caption, enlargement

    paths = find_paths(solved, store, index, to)
    picture = draw_paths(
        solved, paths, store, index, factor=enlargement(store, factor), by_class=by_class
    )
    scale = None if by_class else MOTION_SCALE
    sheet = pictures.frame_picture(picture, caption(store, *index), store.grid, scale)
    return _with_legend(sheet, picture.width, paths)


def difference_text(solved: Detailed, store: Store, index: tuple[int, int, int, int]) -> str:
    """That the frame was solved again, and how well it agrees with the stored map."""
    s, t, k, f = index
    away = np.abs(solved.pathloss_db - store.frame_map(s, t, k, f))
    same = float(np.mean(away[~np.isnan(away)] <= 0.01))
    return (
        "frame solved again for its paths, with the constants and vehicles in the store: "
        f"{same:.2%} of the pixels have the stored path loss within 0.01 dB"
    )


def parse_pixel(text: str) -> Pixel:
    """Row and column written as ``ROW,COL``.

    Raises
    ------
    RecipeError
        It is something else.
    """
    try:
        row, col = (int(part) for part in text.split(","))
    except ValueError as error:
        raise RecipeError(
            f"{text!r} is no pixel.", remedy="Write row and column, such as 120,64; row 0 is north."
        ) from error
    return row, col


def _with_legend(sheet: Image.Image, side: int, paths: Sequence[Path]) -> Image.Image:
    """Two more lines below a picture: kinds of paths with their number, kinds of bends."""
    unit = max(side / 512, 0.5)
    line, gap = round(24 * unit), round(18 * unit)
    lettering = pictures.font(round(12 * unit))
    longer = Image.new("RGB", (sheet.width, sheet.height + 2 * line + gap // 2), pictures.PAPER)
    longer.paste(sheet, (0, 0))
    draw = ImageDraw.Draw(longer)
    counts = np.bincount([path.kind for path in paths], minlength=len(KINDS)).tolist()
    x, y = float(gap), sheet.height + line / 2
    for (name, colour), count in zip(KINDS, counts, strict=True):
        box = (x, y - 3 * unit, x + 16 * unit, y + 3 * unit)
        draw.rectangle(box, fill=colour, outline=pictures.INK, width=max(round(unit), 1))
        text = f"{name} ({count})" if paths else name
        x = _write(draw, (x + 20 * unit, y), text, lettering) + 9 * unit
    x, y = float(gap), y + line
    for kind, name in enumerate(BENDS if paths else ()):
        pictures.draw_mark(draw, (x + 5 * unit, y), kind, 4.5 * unit)
        x = _write(draw, (x + 14 * unit, y), name, lettering) + 12 * unit
    return longer


def _write(
    draw: ImageDraw.ImageDraw, at: tuple[float, float], text: str, lettering: pictures.Font
) -> float:
    """Write a text; returns where it ends."""
    draw.text(at, text, fill=pictures.INK, font=lettering, anchor="lm")
    return at[0] + float(draw.textlength(text, font=lettering))


def _no_path(store: Store, row: int, col: int, why: str) -> InputError:
    return InputError(
        f"pixel {row},{col} is {why}.",
        where=store.path,
        remedy="Choose another row and column; both count from 0 in the north-west.",
    )
