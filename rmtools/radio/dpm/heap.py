"""A binary heap of (loss, node) in two arrays, for the queue of the path search."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rmtools.kernel import kernel

if TYPE_CHECKING:
    from rmtools.types import FloatArray, IntArray


@kernel
def push(heap_loss: FloatArray, heap_node: IntArray, count: int, loss: float, node: int) -> int:
    """Add an entry; returns the new count. The arrays must have room."""
    i = count
    while i > 0:
        up = (i - 1) // 2
        if heap_loss[up] <= loss:
            break
        heap_loss[i], heap_node[i] = heap_loss[up], heap_node[up]
        i = up
    heap_loss[i], heap_node[i] = loss, node
    return count + 1


@kernel
def pop(heap_loss: FloatArray, heap_node: IntArray, count: int) -> int:
    """Remove the first entry, the one of the smallest loss; returns the new count."""
    count -= 1
    loss, node = heap_loss[count], heap_node[count]
    i = 0
    while True:
        down = 2 * i + 1
        if down >= count:
            break
        if down + 1 < count and heap_loss[down + 1] < heap_loss[down]:
            down += 1
        if heap_loss[down] >= loss:
            break
        heap_loss[i], heap_node[i] = heap_loss[down], heap_node[down]
        i = down
    heap_loss[i], heap_node[i] = loss, node
    return count
