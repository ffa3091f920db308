"""Labels that are known before a search: those of the scene without vehicles."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from rmtools.kernel import hot_kernel
from rmtools.radio.dpm.labels import CLOSED, KEPT, KNOWN, LABEL, LEG_CUT, NONE, OPEN, SOURCE, TRIED
from rmtools.radio.dpm.visibility import ROOF

if TYPE_CHECKING:
    from rmtools.radio.dpm.space import Air, Source
    from rmtools.types import ByteArray, FloatArray, IntArray, LabelArray

CHECK_GIVER, START, TOUCHED = 2, 4, 8
"""Why a KNOWN label may not hold, beside LEG_CUT: a neighbour has no known
label. START excuses that: the transmitter is next to the pixel. TOUCHED: the node has been
searched for."""


class Knowledge(NamedTuple):
    """What is known before a search.

    Attributes
    ----------
    labels
        Final labels of the scene without vehicles.
    order
        KNOWN nodes in the order in which they became final in it.
    loss, parent
        Their labels once more, in this order.
    start
        Last bend of each node in it, shape (side * side,): what is asked most lies together.
    hop
        Cost of lifting its last leg over vehicles in dB, as in Lifts.
    watch
        LEG_CUT, CHECK_GIVER and START flags of KNOWN nodes, shape (side * side,).
    """

    labels: LabelArray
    order: IntArray
    loss: FloatArray
    parent: IntArray
    start: IntArray
    hop: FloatArray
    watch: ByteArray


NO_KNOWLEDGE = Knowledge(
    np.empty(0, LABEL),
    np.empty(0, np.int32),
    np.empty(0),
    np.empty(0, np.int32),
    np.empty(0, np.int32),
    np.empty(0),
    np.empty(0, np.uint8),
)


@hot_kernel
def neighbour(side: int, p: int, k: int) -> int:
    """The k-th of the eight neighbours of a node, row by row."""
    i = k + (k >= 4)
    return p + (i // 3 - 1) * side + i % 3 - 1


@hot_kernel
def same(label: Any, other: Any) -> bool:
    """Whether two labels tell of the same path."""
    return (
        label.parent == other.parent and label.loss == other.loss and label.length == other.length
    )


@hot_kernel
def restore(label: Any, other: Any) -> None:
    """Give a node back the label that it had."""
    label.loss, label.length, label.extra = other.loss, other.length, other.extra
    label.parent, label.classes = other.parent, other.classes


@hot_kernel
def reopen(side: int, labels: LabelArray, state: ByteArray, watch: ByteArray, p: int) -> None:
    """Forget the known label of a node."""
    if state[p] == KNOWN:
        labels[p].loss, labels[p].parent = np.inf, NONE
    state[p] = OPEN
    watch[p] |= TOUCHED
    watch_around(side, state, watch, p)


@hot_kernel
def watch_around(side: int, state: ByteArray, watch: ByteArray, p: int) -> None:
    """Tell the KNOWN neighbours of a node that it has no known label."""
    for k in range(8):
        q = neighbour(side, p, k)
        if state[q] == KNOWN or state[q] == TRIED:
            watch[q] |= CHECK_GIVER


@hot_kernel
def holds(
    air: Air,
    source: Source,
    labels: LabelArray,
    state: ByteArray,
    why: int,
    p: int,
    a: int,
) -> bool:
    """Whether the label that a node was known to have, with the bend `a`, is still right."""
    if why & LEG_CUT or (a != SOURCE and state[a] != KEPT):
        return False
    if not why & CHECK_GIVER or (why & START and a == SOURCE):
        return True
    side, label = air.raster.side, labels[p]
    for k in range(8):
        f = neighbour(side, p, k)
        if state[f] < CLOSED:
            continue
        b = labels[f].parent
        if f == a or b == a:
            return True
        if (
            b >= 0
            and labels[b].parent == a
            and (a != SOURCE or label.kind == ROOF or source.at[2] > label.z)
        ):
            return True
    return False
