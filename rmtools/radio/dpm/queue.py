"""The queue of the path search: pixels in the order of their loss.

Losses fall into buckets so narrow that one holds a few pixels only, each a doubly linked list.
The cheapest pixel is looked for in the first bucket that is not empty. Equal losses leave in the
order of the pixels' numbers, so the order depends on nothing but the losses.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from rmtools.kernel import hot_kernel

if TYPE_CHECKING:
    from rmtools.types import IntArray, LabelArray

SPAN_DB = 400.0
"""From the first bucket to the last, which holds what lies beyond as well."""

PER_BUCKET = 3
"""Pixels that pass through a bucket if 100 dB of losses were evenly spread."""

FIRST, FRONT = 0, 1
BUCKET, AFTER, BEFORE = range(3)


class Queue(NamedTuple):
    """State of a queue.

    Attributes
    ----------
    per_db
        Buckets per dB.
    at
        A bucket before which all are empty, and the cheapest pixel (-1: not known).
    head
        First pixel of each bucket, -1 when empty.
    filled
        Pixels in each run of 64 buckets, so that empty ones are skipped at once.
    links
        Of each pixel: its bucket, -1 when it is not in the queue; the pixels after and before it
        in the bucket, -1 at the ends. Shape (size, 3).
    """

    per_db: float
    at: IntArray
    head: IntArray
    filled: IntArray
    links: IntArray


def new_queue(size: int) -> Queue:
    """Empty queue for nodes numbered from 0 to ``size - 1``."""
    per_db = size / (100.0 * PER_BUCKET)
    buckets = int(SPAN_DB * per_db) + 1
    return Queue(
        per_db,
        np.array([buckets, -1], np.int32),
        np.full(buckets, -1, np.int32),
        np.zeros((buckets >> 6) + 1, np.int32),
        np.full((size, 3), -1, np.int32),
    )


@hot_kernel
def push(queue: Queue, labels: LabelArray, p: int) -> None:
    """Add a pixel, or move it to where its loss has got to."""
    at, head, links = queue.at, queue.head, queue.links
    if links[p, BUCKET] >= 0:
        _unlink(queue, p)
    loss = labels[p].loss
    k = min(max(int(loss * queue.per_db), 0), head.size - 1)
    old = head[k]
    head[k] = p
    queue.filled[k >> 6] += 1
    links[p, BUCKET], links[p, AFTER], links[p, BEFORE] = k, old, -1
    if old >= 0:
        links[old, BEFORE] = p
    at[FIRST] = min(at[FIRST], k)
    front = at[FRONT]
    if front >= 0 and (loss < labels[front].loss or (loss == labels[front].loss and p < front)):
        at[FRONT] = p


@hot_kernel
def front(queue: Queue, labels: LabelArray) -> int:
    """The cheapest pixel; -1 when the queue is empty."""
    at, head, links = queue.at, queue.head, queue.links
    if at[FRONT] >= 0:
        return at[FRONT]
    k = at[FIRST]
    while k < head.size and head[k] < 0:
        k = k + 1 if queue.filled[k >> 6] else ((k >> 6) + 1) << 6
    at[FIRST] = k = min(k, head.size)
    if k == head.size:
        return -1
    best = head[k]
    loss = labels[best].loss
    p = links[best, AFTER]
    while p >= 0:
        if labels[p].loss < loss or (labels[p].loss == loss and p < best):
            best, loss = p, labels[p].loss
        p = links[p, AFTER]
    at[FRONT] = best
    return best


@hot_kernel
def remove(queue: Queue, p: int) -> None:
    """Take a pixel out, if it is in."""
    if queue.links[p, BUCKET] < 0:
        return
    _unlink(queue, p)
    queue.links[p, BUCKET] = -1
    if queue.at[FRONT] == p:
        queue.at[FRONT] = -1


@hot_kernel
def _unlink(queue: Queue, p: int) -> None:
    links = queue.links
    bucket, after, before = links[p, BUCKET], links[p, AFTER], links[p, BEFORE]
    queue.filled[bucket >> 6] -= 1
    if before >= 0:
        links[before, AFTER] = after
    else:
        queue.head[bucket] = after
    if after >= 0:
        links[after, BEFORE] = before
