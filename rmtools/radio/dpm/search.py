"""The path search: labels that spread over the pixel raster.

Every pixel keeps one label: the last bend of its path and what the path has cost up to there.
Pixels leave a queue in the order of their loss. A pixel hands its label on to its neighbours: they
take over the bend before the last if they see it, else the last bend, else the path bends at the
pixel. Building pixels take part at roof height. This is any-angle search in the manner of Theta*
(A. Nash, K. Daniel, S. Koenig, A. Felner, AAAI 2007) with the DPM equation as its cost. It is what
reproduces WinProp's maps; the best of *all* paths does not (docs/dpm.md).

The same loop solves a frame with vehicles from the labels of the scene without them
(:mod:`rmtools.radio.dpm.frames`): nodes whose label still holds are passed over in the order in
which they became final, and only the others are searched for.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from rmtools.kernel import hot_kernel
from rmtools.radio.dpm.equation import bend_loss_db, distance_loss_db, gain_db
from rmtools.radio.dpm.known import (
    CHECK_GIVER,
    NO_KNOWLEDGE,
    TOUCHED,
    Knowledge,
    holds,
    neighbour,
    reopen,
    restore,
    same,
    watch_around,
)
from rmtools.radio.dpm.labels import (
    BENDS,
    CLOSED,
    KEPT,
    KNOWN,
    LEG_CUT,
    NONE,
    OPEN,
    OVER_ROOF,
    SOURCE,
    TRIED,
    adjacent,
    new_states,
    place,
)
from rmtools.radio.dpm.legs import lift_leg
from rmtools.radio.dpm.queue import Queue, front, new_queue, push, remove
from rmtools.radio.dpm.space import Air, Source, distance, over_roofs, straight, turn
from rmtools.radio.dpm.vehicles import over_vehicles
from rmtools.radio.dpm.visibility import FREE, ROOF, STREET, Point, blocker, stops

if TYPE_CHECKING:
    from rmtools.radio.dpm.walls import Walls
    from rmtools.types import ByteArray, IntArray, LabelArray

AROUND_WALLS, THROUGH_WALLS = 0, 1


def path_search(air: Air, source: Source, labels: LabelArray) -> None:
    """Find the best label of every node.

    Parameters
    ----------
    air, source
        The scene.
    labels
        From :func:`~rmtools.radio.dpm.labels.new_labels`; filled in.
    """
    state, queue = new_states(air.raster.side), new_queue(labels.size)
    starts = light(air, source, labels)
    spread(air, source, labels, state, NO_KNOWLEDGE, starts, queue, AROUND_WALLS)
    fill_yards(air, source, labels, state, queue)


def light(air: Air, source: Source, labels: LabelArray) -> IntArray:
    """Label the pixels around the transmitter that it sees; but its own when it is walled in."""
    starts = np.empty(16, np.int32)
    return starts[: _light(air, source, labels, starts)]


def fill_yards(
    air: Air, source: Source, labels: LabelArray, state: ByteArray, queue: Queue
) -> IntArray:
    """Let paths through the walls of yards that none has entered, the last resort.

    Returns
    -------
    ndarray
        Nodes of these yards and around them.
    """
    is_open = state == OPEN
    if not is_open.any():
        return np.empty(0, np.int32)
    unreached = np.flatnonzero(is_open)
    step = np.array([-1, 0, 1])
    around = unreached[:, None, None] + air.raster.side * step[:, None] + step
    around = np.unique(around)
    starts = around[labels["loss"][around] < np.inf].astype(np.int32)
    state[starts] = OPEN
    spread(air, source, labels, state, NO_KNOWLEDGE, starts, queue, THROUGH_WALLS)
    return around


@hot_kernel
def _light(air: Air, source: Source, labels: LabelArray, starts: IntArray) -> int:
    """Fill in `starts`; returns how many there are."""
    raster, walls, vehicles, eq = air
    side = raster.side
    col0, row0 = math.floor(source.at[0]) + 1, math.floor(source.at[1]) + 1
    count = 0
    for own_only in (False, True):
        if count > 0:
            break
        for row in range(max(row0 - 1, 1), min(row0 + 3, side - 1)):
            for col in range(max(col0 - 1, 1), min(col0 + 3, side - 1)):
                q = row * side + col
                label = labels[q]
                at, kind = place(raster, labels, source.at, q), int(label.kind)
                if own_only:
                    lit = max(abs(at[0] - source.at[0]), abs(at[1] - source.at[1])) <= 0.5
                else:
                    lit = (
                        blocker(source.at, STREET, at, kind, walls) == FREE
                        and over_vehicles(vehicles, source.at, STREET, at, kind)[0] < 0.0
                    )
                if lit:
                    label.length = straight(source, at) * raster.resolution_m
                    label.extra = -gain_db(source.gain, source.at, at)
                    if kind == ROOF:
                        metres = over_roofs(side, labels, source.at, at) * raster.resolution_m
                        label.extra += eq.roof_db_per_m * metres
                    label.loss = distance_loss_db(eq, label.length, los=True) + label.extra
                    label.parent = SOURCE
                    label.classes = 1
                    starts[count] = q
                    count += 1
    return count


@hot_kernel
def spread(  # noqa: C901, PLR0912, PLR0915 - one loop; calls cost more than they explain
    air: Air,
    source: Source,
    labels: LabelArray,
    state: ByteArray,
    known: Knowledge,
    starts: IntArray,
    queue: Queue,
    mode: int,
) -> None:
    """Make the labels of all nodes final that a path reaches.

    Parameters
    ----------
    air, source
        The scene.
    labels, state
        Where the search starts; changed in place.
    known
        What the scene without vehicles tells.
    starts
        OPEN nodes that have a label.
    queue
        Empty, and so again afterwards.
    mode
        AROUND_WALLS, or THROUGH_WALLS to let paths bend through walls from one pixel to the next.
    """
    raster, walls, vehicles, eq = air
    side, resolution_m = raster
    before, order, known_loss, known_parent, known_start, hop, watch = known
    least = eq.bend_offset_db
    for i in range(starts.size):
        push(queue, labels, starts[i])
    final, following = 0, 0
    while True:
        # pass over the known nodes up to the front of the queue
        p = front(queue, labels)
        limit = labels[p].loss if p >= 0 else np.inf
        c = -1
        while following < order.size and (
            known_loss[following] < limit
            or state[order[following]] >= CLOSED
            or state[order[following]] == OPEN
            or (known_loss[following] == limit and order[following] < p)
        ):
            c, b = order[following], known_parent[following]
            following += 1
            if state[c] == TRIED or (
                state[c] == KNOWN and (watch[c] or (b != SOURCE and state[b] != KEPT))
            ):
                break
            if state[c] == KNOWN:
                state[c] = KEPT
            c = -1
        giving, kept = True, False
        if c >= 0:
            p = c
            kept = holds(air, source, labels, state, int(watch[p]), p, known_start[p])
            if kept and (state[p] == KNOWN or before[p].loss <= labels[p].loss):
                if state[p] == TRIED:
                    restore(labels[p], before[p])
                    remove(queue, p)
                state[p] = KEPT
                if not watch[p] & CHECK_GIVER:
                    continue
            elif kept:
                state[p] = OPEN  # something better has come up
                watch_around(side, state, watch, p)
                continue
            else:
                giving = False
                reopen(side, labels, state, watch, p)
        elif p >= 0:
            remove(queue, p)
            was, state[p] = state[p], CLOSED
            kept = before.size > 0 and same(labels[p], before[p])
            if kept:
                state[p] = KEPT
            elif was == TRIED:
                watch_around(side, state, watch, p)
            labels[p].rank = final
            final += 1
        else:
            break

        for k in range(8):
            f, q = p, neighbour(side, p, k)
            if giving:
                if state[q] >= CLOSED or (kept and state[q] == KNOWN):
                    continue
                if state[q] == KNOWN:
                    # does the known label reach it by now, other than through this node?
                    state[q] = TRIED
                    watch[q] |= TOUCHED
                    watch_around(side, state, watch, q)
                    why = int(watch[q]) | CHECK_GIVER
                    if holds(air, source, labels, state, why, q, known_start[q]):
                        push(queue, labels, q)
                    else:
                        labels[q].loss, labels[q].parent = np.inf, NONE
            else:
                f, q = q, f
                if state[f] < CLOSED:
                    continue
            label, giver = labels[q], labels[f]
            b = giver.parent
            g = labels[b].parent if b >= 0 else NONE
            at_kind = int(label.kind)
            # A bend never pays for a pixel that is no dearer than f, no path climbs a facade, and
            # none bends at the transmitter.
            bend_here = (
                giver.loss + least < label.loss
                and not (at_kind == ROOF and label.z > giver.z)
                and giver.length > 0.0
            )
            if (
                label.parent == b
                and not bend_here
                and (g == NONE or label.hidden_0 == g or label.hidden_1 == g)
            ):
                continue  # nothing new, as for most pairs
            at = place(raster, labels, source.at, q)
            for i in range(3):
                a = g if i == 0 else (b if i == 1 else f)
                if a == NONE or (i == 2 and (not bend_here or giver.loss + least >= label.loss)):
                    continue
                if label.parent == a:
                    continue
                forced = mode == THROUGH_WALLS and i == 2
                if (label.hidden_0 == a or label.hidden_1 == a) and not forced:
                    continue
                # Level line of sight comes from a neighbour that has it: on true maps a pixel
                # that sees the transmitter through a slit between others is not lit.
                if a == SOURCE and i == 0 and at_kind != ROOF and source.at[2] <= label.z:
                    continue

                start = place(raster, labels, source.at, a)
                start_kind = STREET if a == SOURCE else int(labels[a].kind)
                by = FREE
                # without vehicles the last leg was the same, and no wall stood in its way
                clear = (
                    known_start.size > 0
                    and known_start[q] == a
                    and not (at_kind == ROOF and adjacent(side, a, q))
                )
                if i < 2 and not clear:
                    by = _hint(walls, giver, a, start, start_kind, at, at_kind)
                if by != FREE:
                    label.hidden_1, label.stopped_by_1 = label.hidden_0, label.stopped_by_0
                    label.hidden_0, label.stopped_by_0 = a, by
                    continue
                if a == SOURCE:
                    new_length = straight(source, at) * resolution_m
                    new_extra = -gain_db(source.gain, start, at)
                    new_loss = distance_loss_db(eq, new_length, los=True) + new_extra
                else:
                    leg = distance(start, at)
                    new_length = labels[a].length + leg * resolution_m
                    new_loss = distance_loss_db(eq, new_length, los=False) + labels[a].extra
                    if new_loss + least >= label.loss:
                        continue
                    origin = place(raster, labels, source.at, labels[a].parent)
                    bend = bend_loss_db(eq, turn(origin, start, at, leg))
                    new_extra = labels[a].extra + bend
                    new_loss += bend
                if eq.roof_db_per_m > 0.0 and (
                    at_kind == ROOF or (a != SOURCE and labels[a].kind == ROOF)
                ):
                    metres = over_roofs(side, labels, start, at) * resolution_m
                    new_extra += eq.roof_db_per_m * metres
                    new_loss += eq.roof_db_per_m * metres
                if new_loss >= label.loss:
                    continue

                # A step onto or off a roof is always free.
                hops = 0
                step = a == f and (giver.kind == ROOF or at_kind == ROOF)
                if not (step or forced):
                    angle = math.inf
                    if clear:
                        cut = watch[q] & LEG_CUT != 0
                    else:
                        by = blocker(start, start_kind, at, at_kind, walls)
                        cut = False
                        if by == FREE:
                            share, angle = over_vehicles(vehicles, start, start_kind, at, at_kind)
                            cut = share >= 0.0
                    if cut:
                        # over the vehicles on a straight line
                        hops = 1
                        if clear:
                            over = lift_leg(air, source, labels, hop, a, q)
                        else:
                            over = bend_loss_db(eq, angle)
                        new_extra += over
                        new_loss += over
                        if a == SOURCE:
                            new_loss = distance_loss_db(eq, new_length, los=False) + new_extra
                    if by != FREE or new_loss >= label.loss:
                        label.hidden_1, label.stopped_by_1 = label.hidden_0, label.stopped_by_0
                        label.hidden_0, label.stopped_by_0 = a, by
                        continue

                label.loss, label.length, label.extra = new_loss, new_length, new_extra
                label.parent, label.classes = a, 1 + hops
                if a != SOURCE:
                    above = labels[a].classes
                    roof = OVER_ROOF if labels[a].kind == ROOF else above & OVER_ROOF
                    label.classes = min((above & BENDS) + 1 + hops, BENDS) | roof
                push(queue, labels, q)


@hot_kernel
def _hint(
    walls: Walls, giver: Any, a: int, start: Point, start_kind: int, at: Point, at_kind: int
) -> int:
    """The edge that hides a bend from a neighbour, if it hides it here as well."""
    e = FREE
    if giver.hidden_0 == a:
        e = giver.stopped_by_0
    elif giver.hidden_1 == a:
        e = giver.stopped_by_1
    if e != FREE:
        du, dv = at[0] - start[0], at[1] - start[1]
        if stops(walls.edges, e, start, start_kind, at, at_kind, math.sqrt(du * du + dv * dv)):
            return e
    return FREE
