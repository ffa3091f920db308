"""The last legs of a scene's paths, and which of them vehicles cut."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from rmtools.kernel import hot_kernel
from rmtools.radio.dpm.known import LEG_CUT
from rmtools.radio.dpm.labels import SOURCE, place
from rmtools.radio.dpm.visibility import STREET, stops

if TYPE_CHECKING:
    from rmtools.radio.dpm.space import Air, Source
    from rmtools.radio.dpm.vehicles import Vehicles
    from rmtools.types import ByteArray, FloatArray, IntArray, LabelArray


class Legs(NamedTuple):
    """The last legs of all paths.

    Attributes
    ----------
    bends, first, ends
        Legs from ``bends[i]`` (SOURCE: the transmitter) end at the nodes
        ``ends[first[i]:first[i + 1]]``.
    places
        Where the ends are in pixels, shape (K, 2).
    box
        West, north, east and south end of what the legs of a bend span, in pixels, shape (B, 4).
    """

    bends: IntArray
    first: IntArray
    ends: IntArray
    places: FloatArray
    box: FloatArray


def sort_legs(source: Source, side: int, order: IntArray, parent: IntArray) -> Legs:
    """Sort the last legs of nodes by where they start.

    Parameters
    ----------
    source, side
        The transmitter, and the number of nodes per row.
    order, parent
        The nodes and their last bends, shape (K,).
    """
    slots = np.zeros(side * side + 1, np.int32)
    bends, first = np.empty((2, side * side + 2), np.int32)
    ends, places = np.empty(order.size, np.int32), np.empty((order.size, 2))
    count = _sort_legs(side, order, parent, slots, bends, first, ends, places)
    legs = Legs(bends[:count], first[: count + 1], ends, places, np.empty((count, 4)))
    _measure(source, side, legs)
    return legs


@hot_kernel
def _sort_legs(
    side: int,
    order: IntArray,
    parent: IntArray,
    slots: IntArray,
    bends: IntArray,
    first: IntArray,
    ends: IntArray,
    places: FloatArray,
) -> int:
    """Counting sort; `slots` are zero. Returns the number of bends."""
    for i in range(order.size):
        slots[parent[i] + 1] += 1
    count, total = 0, 0
    for a in range(slots.size):
        here = slots[a]
        if here > 0:
            bends[count], first[count], slots[a] = a - 1, total, total
            total += here
            count += 1
    first[count] = total
    for i in range(order.size):
        a, p = parent[i] + 1, order[i]
        k, row = slots[a], p // side
        ends[k] = p
        places[k, 0], places[k, 1] = p - row * side - 1.0, row - 1.0
        slots[a] += 1
    return count


@hot_kernel
def _measure(source: Source, side: int, legs: Legs) -> None:
    """Fill in the boxes."""
    bends, first, _, places, box = legs
    for i in range(bends.size):
        row = bends[i] // side
        west, north = bends[i] - row * side - 1.0, row - 1.0
        if bends[i] == SOURCE:
            west, north, _ = source.at
        east, south = west, north
        for k in range(first[i], first[i + 1]):
            west, east = min(west, places[k, 0]), max(east, places[k, 0])
            north, south = min(north, places[k, 1]), max(south, places[k, 1])
        box[i, 0], box[i, 1], box[i, 2], box[i, 3] = west, north, east, south


@hot_kernel
def mark_cut_legs(
    air: Air,
    source: Source,
    labels: LabelArray,
    legs: Legs,
    vehicles: Vehicles,
    watch: ByteArray,
) -> None:
    """Mark the nodes whose last leg a vehicle cuts."""
    bends, first, ends, places, box = legs
    sides, discs = vehicles.walls.edges, vehicles.discs
    for i in range(bends.size):
        start, start_kind = place(air.raster, labels, source.at, bends[i]), STREET
        if bends[i] != SOURCE:
            start_kind = int(labels[bends[i]].kind)
        au, av, az = start
        for d in range(discs.shape[0]):
            cu, cv, radius = discs[d, 0], discs[d, 1], discs[d, 2]
            if (
                cu + radius < box[i, 0]
                or cv + radius < box[i, 1]
                or cu - radius > box[i, 2]
                or cv - radius > box[i, 3]
            ):
                continue
            each = sides.shape[0] // discs.shape[0]
            eu, ev = cu - au, cv - av
            from_bend = eu * eu + ev * ev
            square = radius * radius
            top = sides[d * each, 8]
            for k in range(first[i], first[i + 1]):
                # does the leg meet the circle around the vehicle?
                du, dv = places[k, 0] - au, places[k, 1] - av
                length = du * du + dv * dv
                cross, dot = du * ev - dv * eu, du * eu + dv * ev
                if cross * cross > square * length:
                    continue
                if dot < 0.0 and from_bend > square:
                    continue
                if dot > length and from_bend - 2.0 * dot + length > square:
                    continue
                p = ends[k]
                if watch[p] & LEG_CUT or min(az, labels[p].z) > top:
                    continue
                at, kind = (places[k, 0], places[k, 1], labels[p].z), int(labels[p].kind)
                for e in range(d * each, (d + 1) * each):
                    if stops(sides, e, start, start_kind, at, kind, math.sqrt(length)):
                        watch[p] |= LEG_CUT
                        break
