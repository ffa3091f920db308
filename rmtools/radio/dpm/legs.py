"""The last legs of a scene's paths, which of them vehicles cut, and what it costs to lift them."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from rmtools.kernel import hot_kernel
from rmtools.radio.dpm.equation import bend_loss_db, distance_loss_db
from rmtools.radio.dpm.labels import LEG_CUT, SOURCE, place
from rmtools.radio.dpm.vehicles import over_vehicles
from rmtools.radio.dpm.visibility import STREET, Point, stops

if TYPE_CHECKING:
    from rmtools.radio.dpm.space import Air, Source
    from rmtools.types import ByteArray, FloatArray, IntArray, LabelArray


ROUNDING_PX = 1e-9
"""Far more than the rounding of a product of coordinates."""


class Lifts(NamedTuple):
    """The paths of a scene, lifted over the vehicles that cut their legs.

    Attributes
    ----------
    watch
        LEG_CUT flags of the nodes, among others, shape (side * side,).
    hop
        Cost of lifting the last leg of a node in dB, 0 where that is not known yet; of cut legs.
    bends
        Bends over vehicles on the whole path, -1 where that is not known yet.
    over, loss
        Cost of these bends, and loss of the lifted path, in dB, where `bends` is known.
    nodes
        Room for a list of nodes.
    """

    watch: ByteArray
    hop: FloatArray
    bends: IntArray
    over: FloatArray
    loss: FloatArray
    nodes: IntArray


def new_lifts(count: int) -> Lifts:
    """Room for some nodes; made once, because new memory is slow."""
    hop, over, loss = (np.empty(count) for _ in range(3))
    watch, nodes = np.empty(count, np.uint8), np.empty(count, np.int32)
    return Lifts(watch, hop, np.empty(count, np.int16), over, loss, nodes)


class Legs(NamedTuple):
    """The last legs of all paths.

    Attributes
    ----------
    starts
        Where legs start: nodes, or SOURCE; shape (B,).
    box
        West, north, east and south end of the legs that start there, in pixels, shape (B, 4).
    start
        Where the leg of each node starts, shape (side * side,).
    """

    starts: IntArray
    box: FloatArray
    start: IntArray


def find_legs(source: Source, side: int, labels: LabelArray) -> Legs:
    """The last legs of the paths to all nodes that have one."""
    start = np.ascontiguousarray(labels["parent"])
    number = np.full(labels.size + 1, -1, np.int32)
    starts, box = np.empty(labels.size + 1, np.int32), np.empty((labels.size + 1, 4))
    count = _find_legs(source, side, start, number, starts, box)
    return Legs(starts[:count], box[:count], start)


@hot_kernel
def _find_legs(
    source: Source, side: int, start: IntArray, number: IntArray, starts: IntArray, box: FloatArray
) -> int:
    """Fill in `starts` and `box`; returns how many there are."""
    count = 0
    for p in range(start.size):
        a = start[p]
        if a < SOURCE:
            continue
        i = number[a + 1]
        if i < 0:
            i = number[a + 1] = count
            starts[i] = a
            row = a // side
            u, v = a - row * side - 1.0, row - 1.0
            if a == SOURCE:
                u, v, _ = source.at
            box[i, 0], box[i, 1], box[i, 2], box[i, 3] = u, v, u, v
            count += 1
        row = p // side
        u, v = p - row * side - 1.0, row - 1.0
        box[i, 0], box[i, 2] = min(box[i, 0], u), max(box[i, 2], u)
        box[i, 1], box[i, 3] = min(box[i, 1], v), max(box[i, 3], v)
    return count


@hot_kernel
def mark_cut_legs(
    air: Air,
    source: Source,
    labels: LabelArray,
    legs: Legs,
    lifts: Lifts,
) -> None:
    """Mark the nodes whose last leg a vehicle cuts."""
    side, box, watch, hop = air.raster.side, legs.box, lifts.watch, lifts.hop
    sides, discs = air.vehicles.walls.edges, air.vehicles.discs
    for i in range(legs.starts.size):
        a = legs.starts[i]
        start, start_kind = place(air.raster, labels, source.at, a), STREET
        if a != SOURCE:
            start_kind = int(labels[a].kind)
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
            first, last = d * each, (d + 1) * each
            top = sides[first, 8]
            shadow = _shadow(start, cu, cv, radius)
            for row in range(math.ceil(box[i, 1]), math.floor(box[i, 3]) + 1):
                west, east = _in_row(shadow, float(row), box[i, 0], box[i, 2])
                for col in range(west, east + 1):
                    p = (row + 1) * side + col + 1
                    if legs.start[p] != a or watch[p] & LEG_CUT:
                        continue
                    at, kind = (float(col), float(row), labels[p].z), int(labels[p].kind)
                    if min(start[2], at[2]) > top:
                        continue
                    length = math.hypot(at[0] - start[0], at[1] - start[1])
                    for e in range(first, last):
                        if stops(sides, e, start, start_kind, at, kind, length):
                            watch[p] |= LEG_CUT
                            hop[p] = 0.0
                            break


@hot_kernel
def lift(
    air: Air, source: Source, labels: LabelArray, legs: Legs, lifts: Lifts, nodes: IntArray
) -> None:
    """Lift the paths to some nodes over the vehicles.

    Parameters
    ----------
    air, source
        The scene with vehicles.
    labels, legs
        Labels of the scene without them, and the last legs.
    lifts
        With the cut legs marked; filled in.
    nodes
        The nodes.
    """
    start, bends = legs.start, lifts.bends
    for i in range(nodes.size):
        while bends[nodes[i]] < 0:
            p = nodes[i]
            while start[p] >= 0 and bends[start[p]] < 0:
                p = start[p]
            a = start[p]
            bends[p] = bends[a] if a >= 0 else 0
            lifts.over[p] = lifts.over[a] if a >= 0 else 0.0
            lifts.loss[p] = labels[p].loss
            if lifts.watch[p] & LEG_CUT:
                bends[p] += 1
                lifts.over[p] += lift_leg(air, source, labels, lifts.hop, a, p)
                if a == SOURCE:
                    length = labels[p].length
                    lifts.loss[p] -= distance_loss_db(air.eq, length, los=True)
                    lifts.loss[p] += distance_loss_db(air.eq, length, los=False)
            lifts.loss[p] += lifts.over[p]


@hot_kernel
def lift_leg(
    air: Air, source: Source, labels: LabelArray, hop: FloatArray, a: int, p: int
) -> float:
    """Cost of lifting the last leg of a node over the vehicles, in dB; remembered in `hop`."""
    if hop[p] == 0.0:
        start = place(air.raster, labels, source.at, a)
        at = place(air.raster, labels, source.at, p)
        start_kind = STREET if a == SOURCE else int(labels[a].kind)
        _, angle = over_vehicles(air.vehicles, start, start_kind, at, int(labels[p].kind))
        hop[p] = bend_loss_db(air.eq, angle)
    return hop[p]


class _Shadow(NamedTuple):
    """What a circle hides from a point in the plane, in pixels.

    It lies between two tangents and not before the circle: in three half-planes
    ``normal_u * u + normal_v * v >= least``.
    """

    normal_u: tuple[float, float, float]
    normal_v: tuple[float, float, float]
    least: tuple[float, float, float]


@hot_kernel
def _shadow(start: Point, cu: float, cv: float, radius: float) -> _Shadow:
    """The shadow of a circle; everything when the point is inside of it."""
    du, dv = cu - start[0], cv - start[1]
    away = math.sqrt(du * du + dv * dv)
    if away <= radius:
        return _Shadow((0.0, 0.0, 0.0), (0.0, 0.0, 0.0), (-1.0, -1.0, -1.0))
    du, dv = du / away, dv / away
    sine = radius / away
    cosine = math.sqrt(1.0 - sine * sine)
    nu = (du, du * sine - dv * cosine, du * sine + dv * cosine)
    nv = (dv, dv * sine + du * cosine, dv * sine - du * cosine)
    at = (
        nu[0] * start[0] + nv[0] * start[1] + away - radius,
        nu[1] * start[0] + nv[1] * start[1],
        nu[2] * start[0] + nv[2] * start[1],
    )
    return _Shadow(nu, nv, at)


@hot_kernel
def _in_row(shadow: _Shadow, v: float, west: float, east: float) -> tuple[int, int]:
    """First and last column of the shadow in a row, between two others; never too few."""
    for k in range(3):
        nu = shadow.normal_u[k]
        rest = shadow.least[k] - shadow.normal_v[k] * v - ROUNDING_PX
        if nu > 0.0:
            west = max(west, rest / nu)
        elif nu < 0.0:
            east = min(east, rest / nu)
        elif rest > 0.0:
            return 0, -1
    return math.ceil(west), math.floor(east)
