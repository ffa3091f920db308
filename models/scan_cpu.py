"""The selective scan of :mod:`.ssm` on processors: compiled, float32, in threads.

Only the state before each block of 64 steps goes to memory; the way back computes the others
again, block by block, in the first-level cache. Work is shared out in fixed groups of channels, so
that the number of threads changes no bit of the result.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from rmtools.kernel import exact_kernel, sum_kernel

if TYPE_CHECKING:
    from collections.abc import Callable

    from rmtools.types import FloatArray

Inputs: TypeAlias = "tuple[FloatArray, FloatArray, FloatArray, FloatArray, FloatArray]"
"""u, delta (B, D, L), a (D, N), b, c (B, L, N); or their gradients."""
Task = tuple[int, int, int]
"""Sequence, its first channel, and the one after its last."""

BLOCK = 64
"""Steps between two states that are kept."""
GROUP = 32
"""Channels of one task."""
LOG2_E = np.float32(1.4426950408889634)
ZERO = np.float32(0)


@exact_kernel
def exp2(x: np.float32) -> np.float32:
    """2 to the power x, relative error below 3e-7; x is cut off at -126 and 127.

    Adding 1.5 * 2^23 rounds x to an integer in the last bits, from where it is shifted into the
    exponent. What is left, from -0.5 to 0.5, goes through the Taylor polynomial. Unlike the
    standard library's this becomes vector instructions.
    """
    x = np.float32(-126) if x < np.float32(-126) else x
    x = np.float32(127) if x > np.float32(127) else x
    shifted = x + np.float32(12582912)
    rest = x - (shifted - np.float32(12582912))
    power = np.float32(1.5403530e-4)
    power = power * rest + np.float32(1.3333558e-3)
    power = power * rest + np.float32(9.6181291e-3)
    power = power * rest + np.float32(5.5504109e-2)
    power = power * rest + np.float32(2.4022651e-1)
    power = power * rest + np.float32(6.9314718e-1)
    power = power * rest + np.float32(1)
    exponent = np.float32(shifted).view(np.int32) << 23
    return np.int32(exponent + np.float32(power).view(np.int32)).view(np.float32)


@sum_kernel
def scan_forward(inputs: Inputs, y: FloatArray, kept: FloatArray, task: Task) -> None:
    """Fill `y` (B, D, L) and `kept` (B, D, blocks, N) for the channels of a task."""
    u, delta, a, b, c = inputs
    row, first, last = task
    length, states = b.shape[1:]
    rate, h = np.empty(states, np.float32), np.empty(states, np.float32)
    for d in range(first, last):
        for n in range(states):
            rate[n] = a[d, n] * LOG2_E
            h[n] = ZERO
        for t in range(length):
            if t % BLOCK == 0:
                for n in range(states):
                    kept[row, d, t // BLOCK, n] = h[n]
            step = delta[row, d, t]
            inflow = step * u[row, d, t]
            total = ZERO
            for n in range(states):
                now = exp2(step * rate[n]) * h[n] + inflow * b[row, t, n]
                h[n] = now
                total += now * c[row, t, n]
            y[row, d, t] = total


@sum_kernel
def _states_again(
    u: FloatArray,
    delta: FloatArray,
    rate: FloatArray,
    b: FloatArray,
    h: FloatArray,
    decay: FloatArray,
    before: FloatArray,
) -> None:
    """From the state `h` before a block of steps its decays, and the states before each step.

    Fills decay (steps, N) and before (steps + 1, N), where the last one is the state after all.
    """
    steps, states = b.shape
    for k in range(steps):
        step = delta[k]
        inflow = step * u[k]
        for n in range(states):
            shrink = exp2(step * rate[n])
            decay[k, n] = shrink
            before[k, n] = h[n]
            h[n] = shrink * h[n] + inflow * b[k, n]
    for n in range(states):
        before[steps, n] = h[n]


@sum_kernel
def _state_gradients(
    gy: FloatArray, c: FloatArray, decay: FloatArray, g: FloatArray, carry: FloatArray
) -> None:
    """From C_t gy_t and E_t+1 g_t+1, which is `carry`, all g_t of a block, (steps, N)."""
    steps, states = c.shape
    # A loop that counts down is not vectorised; one that looks up its order is.
    for k in np.arange(steps - 1, -1, -1):
        slope = gy[k]
        for n in range(states):
            now = carry[n] + slope * c[k, n]
            g[k, n] = now
            carry[n] = now * decay[k, n]


@sum_kernel
def scan_backward(
    inputs: Inputs, kept: FloatArray, gy: FloatArray, gradients: Inputs, task: Task
) -> None:
    """Fill gu, gdelta (B, D, L); add to ga (B, D, N) and to gb, gc (tasks, L, N).

    With g_t the gradient of the state h_t and E_t = exp(delta_t A):

    g_t = C_t gy_t + E_t+1 g_t+1;  gC_t = sum_d gy_t h_t;  gB_t = sum_d delta_t u_t g_t;
    gu_t = delta_t sum_n g_t B_t;  gdelta_t = u_t sum_n g_t B_t + sum_n A g_t E_t h_t-1;
    gA = sum_t delta_t g_t E_t h_t-1.
    """
    u, delta, a, b, c = inputs
    gu, gdelta, ga, gb, gc = gradients
    row, first, last = task
    groups = (u.shape[1] + GROUP - 1) // GROUP
    mine = row * groups + first // GROUP
    states = a.shape[1]
    # Made one by one: parts of one array would be taken to overlap.
    h, rate = np.empty(states, np.float32), np.empty(states, np.float32)
    by_rate = np.empty(states, np.float32)
    decay, g = np.empty((BLOCK, states), np.float32), np.empty((BLOCK, states), np.float32)
    before = np.empty((BLOCK + 1, states), np.float32)
    carry = np.zeros((last - first, states), np.float32)
    for block in range(kept.shape[2] - 1, -1, -1):
        # Views, since loops whose indices start at 0 need no checks for negative ones; and short
        # loops, since one that writes to several arrays is not vectorised.
        part = slice(block * BLOCK, min((block + 1) * BLOCK, u.shape[2]))
        b_, c_, gb_, gc_ = b[row][part], c[row][part], gb[mine][part], gc[mine][part]
        for d in range(first, last):
            u_, delta_, gy_ = u[row, d][part], delta[row, d][part], gy[row, d][part]
            gu_, gdelta_ = gu[row, d][part], gdelta[row, d][part]
            for n in range(states):
                h[n] = kept[row, d, block, n]
                rate[n] = a[d, n] * LOG2_E
                by_rate[n] = ZERO
            _states_again(u_, delta_, rate, b_, h, decay, before)
            _state_gradients(gy_, c_, decay, g, carry[d - first])
            for k in range(len(u_)):
                for n in range(states):
                    gc_[k, n] += gy_[k] * before[k + 1, n]
            for k in range(len(u_)):
                inflow = delta_[k] * u_[k]
                total = ZERO
                for n in range(states):
                    gb_[k, n] += inflow * g[k, n]
                    total += g[k, n] * b_[k, n]
                gu_[k] = total * delta_[k]
                gdelta_[k] = total * u_[k]
            for k in range(len(u_)):
                total = ZERO
                for n in range(states):
                    by_exponent = g[k, n] * decay[k, n] * before[k, n]
                    total += by_exponent * a[d, n]
                    by_rate[n] += delta_[k] * by_exponent
                gdelta_[k] += total
            for n in range(states):
                ga[row, d, n] += by_rate[n]


def share_out(work: Callable[[Task], None], tasks: list[Task]) -> None:
    """Do all tasks in as many threads as torch uses."""
    threads = min(torch.get_num_threads(), len(tasks))
    if threads == 1:
        for task in tasks:
            work(task)
        return
    with ThreadPoolExecutor(threads) as pool:  # a lasting one would not survive a fork
        for _ in pool.map(work, tasks):
            pass


class CompiledScan(torch.autograd.Function):
    """The scan without its optional parts: (u, delta, a, b, c) to y.

    Shapes as in :data:`Inputs`, all contiguous float32 on the processor.
    """

    @staticmethod
    def forward(ctx: Any, u: Tensor, delta: Tensor, a: Tensor, b: Tensor, c: Tensor) -> Tensor:
        """Scan, keeping the inputs and one state for each block."""
        rows, channels, length = u.shape
        y = torch.empty_like(u)
        kept = u.new_empty(rows, channels, -(-length // BLOCK), a.shape[1])
        tasks = _tasks(rows, channels)
        inputs = _arrays(u, delta, a, b, c)
        y_, kept_ = _arrays(y, kept)
        share_out(lambda task: scan_forward(inputs, y_, kept_, task), tasks)
        ctx.save_for_backward(u, delta, a, b, c, kept)
        return y

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gy: Tensor) -> tuple[Tensor, ...]:
        """Scan the gradients, from the last step to the first."""
        u, delta, a, b, c, kept = ctx.saved_tensors
        rows, channels, length = u.shape
        tasks = _tasks(rows, channels)
        gu, gdelta = torch.empty_like(u), torch.empty_like(u)
        ga = a.new_zeros(rows, *a.shape)
        gb, gc = b.new_zeros(2, len(tasks), length, a.shape[1])
        inputs, gradients = _arrays(u, delta, a, b, c), _arrays(gu, gdelta, ga, gb, gc)
        kept_, gy_ = _arrays(kept, gy.contiguous())
        share_out(lambda task: scan_backward(inputs, kept_, gy_, gradients, task), tasks)
        gb, gc = (g.view(rows, -1, *g.shape[1:]).sum(1) for g in (gb, gc))
        return gu, gdelta, ga.sum(0), gb, gc


def _arrays(*tensors: Tensor) -> Any:
    return tuple(tensor.detach().numpy() for tensor in tensors)


def _tasks(rows: int, channels: int) -> list[Task]:
    starts = range(0, channels, GROUP)
    return [(row, d, min(d + GROUP, channels)) for row in range(rows) for d in starts]
