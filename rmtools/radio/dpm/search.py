"""The path search: labels that spread over the pixel raster.

Every pixel keeps one label: the last bend of its path and what the path has cost up to there.
Pixels leave a queue in the order of their loss. A pixel hands its label on to its neighbours: they
take over the bend before the last if they see it, else the last bend, else the path bends at the
pixel. Building pixels take part at roof height. This is any-angle search in the manner of Theta*
(A. Nash, K. Daniel, S. Koenig, A. Felner, AAAI 2007) with the DPM equation as its cost. It is what
reproduces WinProp's maps; the best of *all* paths does not (docs/dpm.md).
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from rmtools.kernel import kernel
from rmtools.radio.dpm.equation import Equation, bend_loss_db, distance_loss_db
from rmtools.radio.dpm.heap import pop, push
from rmtools.radio.dpm.visibility import ROOF, STREET, VEHICLE, Point, sees

if TYPE_CHECKING:
    from rmtools.radio.dpm.walls import Walls
    from rmtools.types import ByteArray, FloatArray, IntArray

OVER_ROOF = 128
"""Flag in the class of a pixel: its path has a bend on a roof."""

BENDS = 127
"""The other bits: 1 plus the number of bends."""

NONE, SOURCE = -2, -1

VEHICLE_EPSILON_PX = 1e-3
"""A bend lies this far above the vehicle, so that the path goes on over its neighbours."""

ROOF_STEP_PX = 0.5
"""WinProp's roof loss comes in steps of half a metre."""


class Nodes(NamedTuple):
    """The pixels as nodes of the search.

    Attributes
    ----------
    n, resolution_m
        The grid.
    z
        Height in pixels, shape (n * n,).
    kind
        STREET, ROOF or VEHICLE, shape (n * n,).
    """

    n: int
    resolution_m: float
    z: FloatArray
    kind: ByteArray


class Source(NamedTuple):
    """The transmitter in pixels; ``sideways`` turns RadioMapSeer's near-field rule on."""

    at: Point
    sideways: bool


class Labels(NamedTuple):
    """What the search knows of each pixel, all of shape (n * n,).

    Attributes
    ----------
    loss
        dB; infinite without a path.
    length
        Metres from the transmitter to the pixel.
    bends
        dB of bends and roofs.
    parent
        Pixel of the last bend, or SOURCE, or NONE.
    classes
        As in the solver.
    """

    loss: FloatArray
    length: FloatArray
    bends: FloatArray
    parent: IntArray
    classes: ByteArray


@kernel
def path_search(  # noqa: C901, PLR0912, PLR0915 - one loop; calls cost more than they explain
    nodes: Nodes, walls: Walls, vehicles: Walls, source: Source, eq: Equation
) -> Labels:
    """Best label of every pixel.

    Parameters
    ----------
    nodes
        The pixels.
    walls, vehicles
        What stands in the way.
    source
        The transmitter.
    eq
        Constants.
    """
    n, z, kind, size = nodes.n, nodes.z, nodes.kind, nodes.n * nodes.n
    loss = np.full(size, np.inf)
    length = np.zeros(size)
    bends = np.zeros(size)
    parent = np.full(size, NONE, np.int64)
    classes = np.zeros(size, np.uint8)
    closed = np.zeros(size, np.bool_)
    hidden = np.full((size, 2), NONE, np.int64)  # the last two bends that a pixel did not see
    heap_loss, heap_node, count = np.empty(size), np.empty(size, np.int64), 0

    # the pixels around the transmitter that it sees; none but its own when it is walled in
    col0, row0 = math.floor(source.at[0]), math.floor(source.at[1])
    for own_only in (False, True):
        if count > 0:
            break
        for row in range(max(row0 - 1, 0), min(row0 + 3, n)):
            for col in range(max(col0 - 1, 0), min(col0 + 3, n)):
                q = row * n + col
                at, at_kind = (float(col), float(row), z[q]), int(kind[q])
                if own_only:
                    lit = max(abs(at[0] - source.at[0]), abs(at[1] - source.at[1])) <= 0.5
                else:
                    lit = sees(source.at, STREET, at, at_kind, walls) and sees(
                        source.at, STREET, at, at_kind, vehicles
                    )
                if lit:
                    length[q] = _straight(source, at) * nodes.resolution_m
                    loss[q] = distance_loss_db(eq, length[q], los=True)
                    parent[q] = SOURCE
                    classes[q] = 1
                    count = push(heap_loss, heap_node, count, loss[q], q)

    through_walls = False  # the last resort for yards that no path enters
    while count > 0 or not through_walls:
        if count == 0:
            through_walls = True
            for q in range(size):
                if closed[q] and _beside_unreached(n, loss, q):
                    closed[q] = False
                    count = push(heap_loss, heap_node, count, loss[q], q)
            continue
        p = heap_node[0]
        count = pop(heap_loss, heap_node, count)
        if closed[p]:
            continue
        closed[p] = True
        b = parent[p]
        g = parent[b] if b >= 0 else NONE
        for row in range(max(p // n - 1, 0), min(p // n + 2, n)):
            for col in range(max(p % n - 1, 0), min(p % n + 2, n)):
                q = row * n + col
                if closed[q]:
                    continue
                at, at_kind = (float(col), float(row), z[q]), int(kind[q])
                for a in (g, b, p):
                    if a == NONE or parent[q] == a:
                        continue
                    # A bend never pays for a pixel that is no dearer than p, no path climbs a
                    # facade, and none bends at the transmitter.
                    if a == p and (
                        loss[p] + eq.bend_offset_db >= loss[q]
                        or (at_kind == ROOF and z[q] > z[p])
                        or length[p] == 0.0
                    ):
                        continue
                    # Level line of sight comes from a neighbour that has it: on true maps a pixel
                    # that sees the transmitter through a slit between others is not lit.
                    if a == SOURCE and a == g and at_kind != ROOF and source.at[2] <= z[q]:
                        continue
                    forced = through_walls and a == p
                    if (hidden[q, 0] == a or hidden[q, 1] == a) and not forced:
                        continue

                    start = _point(n, z, source.at, a)
                    if a == SOURCE:
                        new_length = _straight(source, at) * nodes.resolution_m
                        new_bends = 0.0
                        new_loss = distance_loss_db(eq, new_length, los=True)
                    else:
                        new_length = length[a] + _distance(start, at) * nodes.resolution_m
                        new_loss = distance_loss_db(eq, new_length, los=False) + bends[a]
                        if new_loss + eq.bend_offset_db >= loss[q]:
                            continue
                        bend = bend_loss_db(
                            eq, _angle(_point(n, z, source.at, parent[a]), start, at)
                        )
                        new_bends = bends[a] + bend
                        new_loss += bend
                    if eq.roof_db_per_m > 0.0 and (
                        at_kind == ROOF or (a != SOURCE and kind[a] == ROOF)
                    ):
                        metres = _over_roofs(n, kind, start, at) * nodes.resolution_m
                        new_bends += eq.roof_db_per_m * metres
                        new_loss += eq.roof_db_per_m * metres
                    if new_loss >= loss[q]:
                        continue

                    # A step onto or off a roof is always free, and so is one over a vehicle.
                    step = a == p and not (kind[p] == STREET and at_kind == STREET)
                    if not (forced or step):
                        start_kind = STREET if a == SOURCE else int(kind[a])
                        if start_kind == VEHICLE:
                            start = (start[0], start[1], start[2] + VEHICLE_EPSILON_PX)
                        if not (
                            sees(start, start_kind, at, at_kind, walls)
                            and (a == p or sees(start, start_kind, at, at_kind, vehicles))
                        ):
                            hidden[q, 1] = hidden[q, 0]
                            hidden[q, 0] = a
                            continue

                    loss[q], length[q], bends[q], parent[q] = new_loss, new_length, new_bends, a
                    classes[q] = 1
                    if a != SOURCE:
                        roof = OVER_ROOF if kind[a] == ROOF else classes[a] & OVER_ROOF
                        classes[q] = min((classes[a] & BENDS) + 1, BENDS) | roof
                    if count == heap_node.size:
                        heap_loss = np.concatenate((heap_loss, np.empty(size)))
                        heap_node = np.concatenate((heap_node, np.empty(size, np.int64)))
                    count = push(heap_loss, heap_node, count, new_loss, q)
    return Labels(loss, length, bends, parent, classes)


@kernel
def _point(n: int, z: FloatArray, source: Point, a: int) -> Point:
    """Place of a bend, or of the transmitter."""
    if a == SOURCE:
        return source
    return float(a % n), float(a // n), z[a]


@kernel
def _distance(a: Point, b: Point) -> float:
    du, dv, dz = b[0] - a[0], b[1] - a[1], b[2] - a[2]
    return math.sqrt(du * du + dv * dv + dz * dz)


@kernel
def _straight(source: Source, q: Point) -> float:
    """Distance from the transmitter in pixels, with RadioMapSeer's near-field rule."""
    du, dv = abs(q[0] - source.at[0]), abs(q[1] - source.at[1])
    distance = _distance(source.at, q)
    if not source.sideways or (du == 0.0 and dv == 0.0):
        return distance
    if du == 0.0 or dv == 0.0:
        return math.sqrt(distance * distance + 1.0)
    return math.sqrt(distance * distance + 2.0) if du == dv else distance


@kernel
def _angle(a: Point, b: Point, c: Point) -> float:
    """Angle by which the path a, b, c turns at b, in radians; 0 if a leg has no length."""
    lengths = _distance(a, b) * _distance(b, c)
    if lengths <= 0.0:
        return 0.0
    dot = (
        (b[0] - a[0]) * (c[0] - b[0])
        + (b[1] - a[1]) * (c[1] - b[1])
        + (b[2] - a[2]) * (c[2] - b[2])
    )
    return math.acos(min(max(dot / lengths, -1.0), 1.0))


@kernel
def _beside_unreached(n: int, loss: FloatArray, p: int) -> bool:
    """Whether one of the eight neighbours of a pixel has no path yet."""
    for row in range(max(p // n - 1, 0), min(p // n + 2, n)):
        for col in range(max(p % n - 1, 0), min(p % n + 2, n)):
            if loss[row * n + col] == np.inf:
                return True
    return False


@kernel
def _over_roofs(n: int, kind: ByteArray, a: Point, b: Point) -> float:
    """Pixels of a leg that lie over buildings."""
    du, dv = b[0] - a[0], b[1] - a[1]
    steps = math.ceil(math.sqrt(du * du + dv * dv) / ROOF_STEP_PX)
    hits = 0
    for i in range(steps):
        t = (i + 0.5) / steps
        col, row = math.floor(a[0] + t * du + 0.5), math.floor(a[1] + t * dv + 0.5)
        if 0 <= row < n and 0 <= col < n and kind[row * n + col] == ROOF:
            hits += 1
    return hits * ROOF_STEP_PX
