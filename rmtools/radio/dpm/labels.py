"""What the path search knows: the pixels as nodes, and the label of each of them.

Arrays have one entry per pixel of the grid and of a border one pixel wide around it, which spares
the search a test at every step: node ``(row + 1) * side + col + 1`` with ``side = n + 2``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from rmtools.kernel import hot_kernel

if TYPE_CHECKING:
    from rmtools.radio.dpm.visibility import Point
    from rmtools.types import ByteArray, FloatArray, IntArray, LabelArray

OVER_ROOF = 128
"""Flag in the class of a pixel: its path has a bend on a roof."""

BENDS = 127
"""The other bits: 1 plus the number of bends."""

NONE, SOURCE = -2, -1
"""Instead of the node of a bend: there is no path; the path starts here."""

OPEN, KNOWN, TRIED, CLOSED, KEPT = range(5)
"""States of a node: not final yet; the same, but it had a label in the scene without vehicles
that may still hold; the same, and meanwhile it has been offered another one; final; final with the
label of the scene without vehicles."""

LEG_CUT = 1
"""Flag of a node: a vehicle stands on its last leg."""

LABEL = np.dtype(
    [
        ("loss", "f8"),  # dB; infinite without a path
        ("length", "f8"),  # metres from the transmitter
        ("extra", "f8"),  # dB of bends and roofs, less the gain of the antenna
        ("z", "f8"),  # height of the node in pixels
        ("parent", "i4"),  # node of the last bend, or SOURCE, or NONE
        ("hidden_0", "i4"),  # the last two bends that the node did not see
        ("hidden_1", "i4"),
        ("stopped_by_0", "i4"),  # edges of the walls that hid them, or FREE
        ("stopped_by_1", "i4"),
        ("rank", "i4"),  # how many nodes became final before
        ("kind", "u1"),  # STREET or ROOF
        ("classes", "u1"),  # as in the solver
    ],
    align=True,
)
"""A node and its label. All of it lies together because the search is as fast as memory is."""

CACHE_LINE = 64
"""Bytes; as long as a label."""


class Raster(NamedTuple):
    """Nodes per row (two more than pixels), and the side of a pixel in metres."""

    side: int
    resolution_m: float


def new_labels(z_px: FloatArray, kind: ByteArray) -> LabelArray:
    """Nodes that have no label yet.

    Parameters
    ----------
    z_px, kind
        Height in pixels and kind of the pixels, shape (n, n).
    """
    side = z_px.shape[0] + 2
    labels = _empty_labels(side * side)
    labels[:] = np.zeros((), LABEL)
    labels["loss"] = np.inf
    for name in ("parent", "hidden_0", "hidden_1"):
        labels[name] = NONE
    inner = labels.reshape(side, side)[1:-1, 1:-1]
    inner["z"], inner["kind"] = z_px, kind
    return labels


def _empty_labels(count: int) -> LabelArray:
    """Room for labels, each in a cache line of its own; NumPy lets them lie across two."""
    room = np.empty((count + 1) * CACHE_LINE, np.uint8)
    skip = -room.ctypes.data % CACHE_LINE
    return room[skip : skip + count * CACHE_LINE].view(LABEL)


def new_states(side: int) -> ByteArray:
    """States before a search: all nodes are OPEN but the border, which is CLOSED."""
    state = np.full((side, side), CLOSED, np.uint8)
    state[1:-1, 1:-1] = OPEN
    return state.ravel()


def copy_labels(
    labels: LabelArray, to: LabelArray | None = None, nodes: IntArray | None = None
) -> LabelArray:
    """Copy labels, into an array of the same size if one is given, all of them or some.

    NumPy copies structured arrays field by field; as plain bytes it takes a tenth of the time.
    """
    if to is None:
        to = _empty_labels(labels.size)
    rows, source = (array.view(np.uint64).reshape(labels.size, -1) for array in (to, labels))
    if nodes is None:
        rows[:] = source
    else:
        rows[nodes] = source[nodes]
    return to


def in_order(labels: LabelArray) -> IntArray:
    """Nodes that have a path, in the order in which they became final."""
    order = np.empty(labels.size, np.int32)
    return order[: _in_order(labels, order)]


@hot_kernel
def _in_order(labels: LabelArray, order: IntArray) -> int:
    count = 0
    for p in range(labels.size):
        if labels[p].loss < np.inf:
            order[labels[p].rank] = p
            count += 1
    return count


@hot_kernel
def place(raster: Raster, labels: LabelArray, source: Point, a: int) -> Point:
    """Place of a bend, or of the transmitter."""
    if a == SOURCE:
        return source
    row = a // raster.side
    return a - row * raster.side - 1.0, row - 1.0, labels[a].z


@hot_kernel
def adjacent(side: int, a: int, b: int) -> bool:
    """Whether two nodes are neighbours."""
    step = abs(a - b)
    return step == 1 or abs(step - side) <= 1
