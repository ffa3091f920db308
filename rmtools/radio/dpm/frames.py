"""Frames of a sequence: what vehicles change in the map of a transmitter.

The scene without vehicles is solved once. In a frame most labels still hold. They are passed over
in the order in which they became final, which costs next to nothing, and only these nodes are
searched for:

* nodes whose last leg a vehicle cuts;
* nodes whose last bend is one of these;
* nodes to which no neighbour hands the label any more;
* nodes to which one of these hands a better label.

Every frame starts from the scene without vehicles, never from another frame.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from rmtools.kernel import hot_kernel
from rmtools.radio.dpm.known import LEG_CUT, NO_KNOWLEDGE, START, TOUCHED, Knowledge
from rmtools.radio.dpm.labels import KNOWN, SOURCE, copy_labels, new_states, place
from rmtools.radio.dpm.queue import Queue, new_queue
from rmtools.radio.dpm.search import AROUND_WALLS, fill_yards, light, spread
from rmtools.radio.dpm.visibility import STREET, stops

if TYPE_CHECKING:
    from rmtools.radio.dpm.space import Air, Source
    from rmtools.radio.dpm.vehicles import Vehicles
    from rmtools.types import ByteArray, FloatArray, IntArray, LabelArray

NEAR_PX = 4.0
"""Vehicles closer to the transmitter than this change where the search starts; such a frame is
solved from scratch."""


class Base(NamedTuple):
    """A scene without vehicles, solved for one transmitter.

    Attributes
    ----------
    labels, state
        What a frame starts from: final labels as KNOWN ones; closed yards have none.
    order, loss, parent
        KNOWN nodes in the order in which they became final, and their labels.
    starts
        Nodes around the transmitter with which the search started.
    bends, first, children
        Nodes whose last bend is ``bends[i]`` (SOURCE: the transmitter) are
        ``children[first[i]:first[i + 1]]``.
    places
        Where the children are in pixels, shape (K, 2).
    box
        West, north, east and south end of what they and their bend span, in pixels, shape (B, 4).
    """

    labels: LabelArray
    state: ByteArray
    order: IntArray
    loss: FloatArray
    parent: IntArray
    starts: IntArray
    bends: IntArray
    first: IntArray
    children: IntArray
    places: FloatArray
    box: FloatArray


def solve_base(air: Air, source: Source, labels: LabelArray) -> Base:
    """Solve a scene without vehicles; `labels` are filled in."""
    state, queue = new_states(air.raster.side), new_queue(labels.size)
    starts = light(air, source, labels)
    spread(air, source, labels, state, NO_KNOWLEDGE, starts, queue, AROUND_WALLS)
    reached = np.flatnonzero(labels["loss"] < np.inf)
    order = np.empty(reached.size, np.int32)
    order[labels["rank"][reached]] = reached
    known, known_state = copy_labels(labels), state.copy()
    known_state[order] = KNOWN
    fill_yards(air, source, labels, state, queue)

    loss, parent = known["loss"][order], known["parent"][order]
    children = order[np.argsort(parent, kind="stable")]
    bends, first = np.unique(known["parent"][children], return_index=True)
    side = air.raster.side
    places = np.column_stack([children % side, children // side]) - 1.0
    at = np.column_stack([bends % side, bends // side]) - 1.0
    at[bends == SOURCE] = source.at[:2]
    box = np.hstack(
        [
            np.minimum(np.minimum.reduceat(places, first), at),
            np.maximum(np.maximum.reduceat(places, first), at),
        ]
    )
    first = np.append(first, children.size)
    known_order = order, loss, parent
    return Base(known, known_state, *known_order, starts, bends, first, children, places, box)


def solve_frame(
    air: Air, source: Source, base: Base, vehicles: Vehicles, labels: LabelArray, queue: Queue
) -> IntArray:
    """Solve a frame: what a search from scratch finds, see docs/dpm.md for the exceptions.

    Parameters
    ----------
    air
        The scene with the walls of the vehicles.
    source
        The transmitter.
    base
        The scene without vehicles.
    vehicles
        All vehicles, none of them at the transmitter (:func:`at_transmitter`).
    labels
        Those of `base`; changed in place.
    queue
        Empty, and so again afterwards.

    Returns
    -------
    ndarray
        Nodes whose label may have changed; give them back those of `base` before the next frame.
    """
    state = base.state.copy()
    watch = np.zeros(labels.size, np.uint8)
    watch[base.starts] = START
    if vehicles.discs.size:
        _mark_legs(air, source, labels, base, vehicles.discs, watch)
    nobody = np.empty(0, np.int32)
    known = Knowledge(base.labels, base.order, base.loss, base.parent, watch)
    spread(air, source, labels, state, known, nobody, queue, AROUND_WALLS)
    touched = np.flatnonzero(watch & TOUCHED)
    return np.concatenate([touched, fill_yards(air, source, labels, state, queue)])


def at_transmitter(source: Source, vehicles: Vehicles) -> bool:
    """Whether a vehicle changes where the search starts: such a frame is solved from scratch."""
    discs = vehicles.discs
    gap = np.hypot(discs[:, 0] - source.at[0], discs[:, 1] - source.at[1]) - discs[:, 2]
    return bool((gap < NEAR_PX).any())


@hot_kernel
def _mark_legs(
    air: Air, source: Source, labels: LabelArray, base: Base, discs: FloatArray, watch: ByteArray
) -> None:
    """Mark the nodes whose last leg a vehicle cuts."""
    bends, first, children, places, box = base[6:]
    sides = air.vehicles.edges
    each = sides.shape[0] // discs.shape[0]
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
                c = children[k]
                if watch[c] & LEG_CUT or min(az, labels[c].z) > top:
                    continue
                at, kind = (places[k, 0], places[k, 1], labels[c].z), int(labels[c].kind)
                for e in range(d * each, (d + 1) * each):
                    if stops(sides, e, start, start_kind, at, kind, math.sqrt(length)):
                        watch[c] |= LEG_CUT
                        break
