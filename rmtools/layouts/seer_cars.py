"""Vehicles where RadioMapSeer has cars: from rings of whole-number corners, or from an image."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import shapely

from rmtools.city.seer import N
from rmtools.layouts.seer_format import metres_of_points
from rmtools.traffic.tracks import State, Tracks, outlines

if TYPE_CHECKING:
    from rmtools.traffic.tracks import VehicleSize
    from rmtools.types import BoolArray

_HEADING_STEP_DEG = 0.25

_MAX_CARS_IN_A_ROW = 12
"""Of more cars than these that touch each other nobody can tell where one ends."""

CarRing = list[tuple[float, float]]


def tracks_of_cars(rings: list[list[tuple[float, float]]], size: VehicleSize) -> Tracks:
    """One frame of vehicles that stand where rings of four corners are.

    Of all places and headings (in steps of a quarter degree) that is taken whose corners come
    nearest to those of the ring: least largest difference in x and y. A car whose corners were
    rounded is so found within half a metre, and its corners round to the same ring. Which end is
    the front nobody knows: headings are from -90 up to, but not including, 90 degrees.
    """
    poses = np.array([_car_pose(ring, size) for ring in rings]).reshape(-1, 3)
    x, y, heading = poses.T[:, None]
    state = np.full(x.shape, State.SEEDED, np.int8)
    return Tracks(x, y, heading, np.zeros(x.shape), state, size)


def _car_pose(ring: list[tuple[float, float]], size: VehicleSize) -> tuple[float, float, float]:
    corners = np.asarray(ring, float)
    if len(corners) > 1 and np.array_equal(corners[0], corners[-1]):
        corners = corners[:-1]
    metres = metres_of_points(corners)
    headings = np.arange(-180.0, 180.0, _HEADING_STEP_DEG)
    nothing = np.zeros_like(headings)
    shape = outlines(nothing, nothing, headings, size)
    if len(metres) != 4:  # cut off by the edge of the tile: its box must do
        (west, south), (east, north) = metres.min(axis=0), metres.max(axis=0)
        metres = np.array([(west, south), (east, south), (east, north), (west, north)])
    if not shapely.is_ccw(shapely.linearrings(metres)):
        metres = metres[::-1]
    offset = np.stack([np.roll(metres, k, axis=0) for k in (0, 1)])[:, None] - shape
    middle = (offset.max(axis=2) + offset.min(axis=2)) / 2  # (turn, heading, axis)
    worst = (offset.max(axis=2) - offset.min(axis=2)).max(axis=-1)
    turn, best = np.unravel_index(np.argmin(np.round(worst, 9)), worst.shape)
    x, y = middle[turn, best]
    return float(x), float(y), float((headings[best] + 90.0) % 180.0 - 90.0)


def cars_of_image(mask: BoolArray, size: VehicleSize) -> tuple[list[CarRing], int]:
    """Rings of the upright cars that an image shows.

    Parameters
    ----------
    mask
        Car image, shape (256, 256).
    size
        Of every car, rounded to whole metres here.

    Returns
    -------
    rings
        In the polygon frame. Cars that touch are told apart by their size.
    lost
        Pixels that belong to no such car: to cars that stand oblique or are cut off by the edge.
    """
    from scipy.ndimage import find_objects, label

    long, wide = round(size.length_m), round(size.width_m)
    blobs, _ = label(mask)
    rings: list[CarRing] = []
    lost = 0
    for number, box in enumerate(find_objects(blobs), start=1):
        blob = blobs[box] == number
        tiles = _tiles(blob, ((long, wide), (wide, long)))
        lost += 0 if tiles else int(blob.sum())
        for row, col, height, width in tiles or []:
            west, north = box[1].start + col, N - box[0].start - row
            rings.append(_rectangle(west, north, width, height))
    return rings, lost


def car_image_of_mask(mask: BoolArray) -> BoolArray:
    """Car image of a vehicle mask of the store, shape (256, 256).

    The image is drawn one pixel to the east and north of the store's mask, which goes by pixel
    centres as the gain does, see :mod:`rmtools.layouts.seer_format`.
    """
    image = np.zeros_like(mask)
    image[:-1, 1:] = mask[1:, :-1]
    return image


def mask_of_car_image(image: BoolArray) -> BoolArray:
    """The reverse of :func:`car_image_of_mask`."""
    mask = np.zeros_like(image)
    mask[1:, :-1] = image[:-1, 1:]
    return mask


def _rectangle(west: int, north: int, width: int, height: int) -> CarRing:
    east, south = west + width, north - height
    return [(west, south), (east, south), (east, north), (west, north), (west, south)]


def _tiles(
    blob: BoolArray, shapes: tuple[tuple[int, int], ...]
) -> list[tuple[int, int, int, int]] | None:
    """Rectangles (row, col, height, width) that fill a blob exactly; None when there are none."""
    if not blob.any():
        return []
    area = shapes[0][0] * shapes[0][1]
    if blob.sum() % area or blob.sum() > area * _MAX_CARS_IN_A_ROW:
        return None
    row, col = (int(k) for k in np.argwhere(blob)[0])
    for height, width in shapes:
        part = (slice(row, row + height), slice(col, col + width))
        if blob[part].shape == (height, width) and blob[part].all():
            rest = blob.copy()
            rest[part] = False
            others = _tiles(rest, shapes)
            if others is not None:
                return [(row, col, height, width), *others]
    return None
