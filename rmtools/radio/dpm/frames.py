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

from rmtools.kernel import hot_kernel
from rmtools.radio.dpm.known import NO_KNOWLEDGE, START, TOUCHED, Knowledge
from rmtools.radio.dpm.labels import KNOWN, copy_labels, in_order, new_states, place
from rmtools.radio.dpm.legs import Legs, Lifts, find_legs, lift, mark_cut_legs
from rmtools.radio.dpm.queue import Queue, new_queue
from rmtools.radio.dpm.search import AROUND_WALLS, fill_yards, light, spread
from rmtools.radio.dpm.vehicles import over_vehicles
from rmtools.radio.dpm.visibility import STREET

if TYPE_CHECKING:
    from rmtools.radio.dpm.space import Air, Source
    from rmtools.types import BoolArray, ByteArray, FloatArray, IntArray, LabelArray


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


def cut_legs(air: Air, source: Source, base: Base, lifts: Lifts) -> None:
    """Forget earlier vehicles, and mark the legs that those of a frame cut."""
    lifts.watch[:], lifts.bends[:] = 0, -1
    lifts.watch[base.starts] = START
    if air.vehicles.discs.size:
        mark_cut_legs(air, source, base.labels, base.legs, lifts)


def settle(
    air: Air, source: Source, base: Base, lifts: Lifts, found: FloatArray, nodes: IntArray
) -> tuple[FloatArray, BoolArray]:
    """Loss of some nodes with vehicles, and for which of them it is that of the lifted path.

    What the search found is not less than the loss without vehicles, because a vehicle never
    helps, and not more than that of the path without vehicles lifted over them.

    Parameters
    ----------
    air, source
        The scene with vehicles.
    base, lifts
        The scene without them, and from :func:`cut_legs`.
    found
        What the search found for the nodes, in dB.
    nodes
        The nodes.
    """
    lift(air, source, base.labels, base.legs, lifts, nodes)
    plain, most = base.plain[nodes], lifts.loss[nodes]  # infinite in closed yards
    return np.clip(found, plain, most), found > most


def solve_frame(
    air: Air, source: Source, base: Base, lifts: Lifts, labels: LabelArray, queue: Queue
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
    lifts
        Room for its paths lifted over the vehicles.
    labels
        Those of `base`, and so again afterwards.
    queue
        Empty, and so again afterwards.

    Returns
    -------
    nodes, loss
        Nodes whose path may have changed, and their loss in dB.
    """
    state = base.state.copy()
    cut_legs(air, source, base, lifts)
    nobody = np.empty(0, np.int32)
    watch, legs = lifts.watch, (base.legs.start, lifts.hop)
    known = Knowledge(base.labels, base.order, base.loss, base.parent, *legs, watch)
    spread(air, source, labels, state, known, nobody, queue, AROUND_WALLS)
    touched = lifts.nodes[: _touched(watch, lifts.nodes)]
    nodes = np.concatenate([touched, fill_yards(air, source, labels, state, queue)])
    found = np.empty(nodes.size)
    _take_back(labels, base.labels, nodes, found)
    return nodes, settle(air, source, base, lifts, found, nodes)[0]


@hot_kernel
def _touched(watch: ByteArray, nodes: IntArray) -> int:
    """Fill in the nodes that were searched for; returns how many there are."""
    count = 0
    for p in range(watch.size):
        nodes[count] = p
        count += (watch[p] & TOUCHED) != 0
    return count


@hot_kernel
def _take_back(labels: LabelArray, before: LabelArray, nodes: IntArray, found: FloatArray) -> None:
    """Take the losses of some nodes, and give these back the labels that they had before."""
    for i in range(nodes.size):
        found[i] = labels[nodes[i]].loss
    for i in range(nodes.size):
        labels[nodes[i]] = before[nodes[i]]


@hot_kernel
def at_transmitter(air: Air, source: Source, labels: LabelArray, starts: IntArray) -> bool:
    """Whether a vehicle hides nodes with which the search starts from the transmitter.

    Such a frame is solved from scratch.
    """
    for p in starts:
        at = place(air.raster, labels, source.at, p)
        if over_vehicles(air.vehicles, source.at, STREET, at, int(labels[p].kind))[0] >= 0.0:
            return True
    return False
