"""Frames of a sequence: what vehicles change in the map of a transmitter.

The scene without vehicles is solved once. In a frame most labels still hold. They are passed over
in the order in which they became final, which costs next to nothing, and only these nodes are
searched for:

* nodes whose last leg a vehicle cuts;
* nodes whose last bend is one of these;
* nodes to which no neighbour hands the label any more;
* nodes to which one of these hands a better label.

Every frame starts from the scene without vehicles, never from another frame. What the search finds
is not the last word: a vehicle never helps, and a path may keep its bends and be lifted over the
vehicles on it (:func:`settle`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from rmtools.radio.dpm.known import NO_KNOWLEDGE, START, TOUCHED, Knowledge
from rmtools.radio.dpm.labels import KNOWN, copy_labels, in_order, new_states
from rmtools.radio.dpm.legs import LIFTED, Legs, find_legs, lift, mark_cut_legs
from rmtools.radio.dpm.queue import Queue, new_queue
from rmtools.radio.dpm.search import AROUND_WALLS, fill_yards, light, spread

if TYPE_CHECKING:
    from rmtools.radio.dpm.space import Air, Source
    from rmtools.radio.dpm.vehicles import Vehicles
    from rmtools.types import BoolArray, ByteArray, FloatArray, IntArray, LabelArray

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
    legs
        Their last legs.
    plain
        Loss of all nodes without vehicles, closed yards too, shape (side * side,).
    """

    labels: LabelArray
    state: ByteArray
    order: IntArray
    loss: FloatArray
    parent: IntArray
    starts: IntArray
    legs: Legs
    plain: FloatArray


def solve_base(air: Air, source: Source, labels: LabelArray) -> Base:
    """Solve a scene without vehicles; `labels` are filled in."""
    state, queue = new_states(air.raster.side), new_queue(labels.size)
    starts = light(air, source, labels)
    spread(air, source, labels, state, NO_KNOWLEDGE, starts, queue, AROUND_WALLS)
    order, known, known_state = in_order(labels), copy_labels(labels), state.copy()
    known_state[order] = KNOWN
    fill_yards(air, source, labels, state, queue)
    loss, parent = known["loss"][order], known["parent"][order]
    legs = find_legs(source, air.raster.side, known)
    plain = np.ascontiguousarray(labels["loss"])
    return Base(known, known_state, order, loss, parent, starts, legs, plain)


class Lifts(NamedTuple):
    """What vehicles do to the paths of the scene without them.

    Attributes
    ----------
    watch
        LEG_CUT and START flags of the nodes, shape (side * side,).
    lifted
        The paths lifted over the vehicles, see :data:`~rmtools.radio.dpm.legs.LIFTED`.
    """

    watch: ByteArray
    lifted: LabelArray


def lift_paths(air: Air, source: Source, base: Base) -> Lifts:
    """Lift the paths of the scene without vehicles over those of a frame."""
    watch, lifted = np.zeros(base.plain.size, np.uint8), np.zeros(base.plain.size, LIFTED)
    watch[base.starts] = START
    if air.vehicles.discs.size:
        mark_cut_legs(air, source, base.labels, base.legs, watch)
        lift(air, source, base.labels, base.order, watch, lifted)
    return Lifts(watch, lifted)


def settle(
    base: Base, lifts: Lifts, found: FloatArray, nodes: IntArray
) -> tuple[FloatArray, BoolArray]:
    """Loss of some nodes with vehicles, and for which of them it is that of the lifted path.

    What the search found is not less than the loss without vehicles, because a vehicle never
    helps, and not more than that of the path without vehicles lifted over them.

    Parameters
    ----------
    base, lifts
        The scene without vehicles, and its paths lifted over them.
    found
        What the search found for the nodes, in dB.
    nodes
        The nodes.
    """
    plain, lifted = base.plain[nodes], lifts.lifted[nodes]
    most = np.where(lifted["bends"] > 0, lifted["loss"], plain)
    most[base.labels["loss"][nodes] == np.inf] = np.inf  # closed yards
    return np.clip(found, plain, most), found > most


def solve_frame(
    air: Air, source: Source, base: Base, labels: LabelArray, queue: Queue
) -> tuple[IntArray, FloatArray]:
    """Solve a frame: what a search from scratch finds, see docs/dpm.md for the exceptions.

    Parameters
    ----------
    air
        The scene with vehicles, none of them at the transmitter (:func:`at_transmitter`).
    source
        The transmitter.
    base
        The scene without vehicles.
    labels
        Those of `base`; changed in place.
    queue
        Empty, and so again afterwards.

    Returns
    -------
    nodes, loss
        Nodes whose label may have changed, and their loss in dB. Give them back the labels of
        `base` before the next frame.
    """
    state, lifts = base.state.copy(), lift_paths(air, source, base)
    nobody = np.empty(0, np.int32)
    watch, start = lifts.watch, base.legs.start
    known = Knowledge(base.labels, base.order, base.loss, base.parent, start, watch)
    spread(air, source, labels, state, known, nobody, queue, AROUND_WALLS)
    touched = np.flatnonzero(watch & TOUCHED)
    changed = np.concatenate([touched, fill_yards(air, source, labels, state, queue)])
    return changed, settle(base, lifts, labels["loss"][changed], changed)[0]


def at_transmitter(source: Source, vehicles: Vehicles) -> bool:
    """Whether a vehicle changes where the search starts: such a frame is solved from scratch."""
    discs = vehicles.discs
    gap = np.hypot(discs[:, 0] - source.at[0], discs[:, 1] - source.at[1]) - discs[:, 2]
    return bool((gap < NEAR_PX).any())
