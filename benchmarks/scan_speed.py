"""How fast the selective scan is, beside a loop over time, in the same run.

``python benchmarks/scan_speed.py`` prints processor time of one thread (on CUDA: time) for the
scan alone and with gradients, the best of several rounds that take turns, the ratio to the loop,
and the memory: on a processor that of tensors kept for the gradients, on CUDA the peak. The width
is that of RadioMamba's first stage. The loop's gradients need memory for all states; they are left
out past two gigabytes.
"""

from __future__ import annotations

import argparse
import importlib.util
import time
from typing import TYPE_CHECKING

import torch
from rmtools.models.ssm import selective_scan

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor

    Scan = Callable[..., Tensor]


def loop(u: Tensor, delta: Tensor, a: Tensor, b: Tensor, c: Tensor) -> Tensor:
    """The recurrence as it is written, differentiated by torch."""
    h = u.new_zeros(u.shape[0], *a.shape)
    parts = []
    steps = zip(*(x.unbind(-1) for x in (u, delta, b, c)), strict=True)
    for u_, delta_, b_, c_ in steps:
        decay = torch.exp(delta_[..., None] * a)
        h = decay * h + (delta_ * u_)[..., None] * b_[:, None]
        parts.append((h * c_[:, None]).sum(-1))
    return torch.stack(parts, -1)


def make_inputs(
    rows: int, channels: int, length: int, states: int, device: str
) -> tuple[Tensor, ...]:
    """Numbers as in a fresh Mamba layer."""
    torch.manual_seed(0)
    u = torch.randn(rows, channels, length)
    delta = torch.nn.functional.softplus(torch.randn(rows, channels, length) - 4)
    a = -torch.arange(1.0, states + 1).repeat(channels, 1)
    b, c = torch.randn(2, rows, states, length)
    return tuple(x.to(device).requires_grad_() for x in (u, delta, a, b, c))


def memory(work: Callable[[], object], device: str) -> float:
    """Megabytes: the peak on CUDA, on a processor what is kept for the gradients.

    (The peak of a process says little, as it keeps what it has freed.)
    """
    if device == "cuda":
        torch.cuda.synchronize()
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        work()
        return (torch.cuda.max_memory_allocated() - before) / 2**20
    kept: dict[int, Tensor] = {}

    def keep(x: Tensor) -> Tensor:
        kept[x.untyped_storage().data_ptr()] = x
        return x

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda x: x):
        work()
    return sum(x.untyped_storage().nbytes() for x in kept.values()) / 2**20


def seconds(work: Callable[[], object], device: str) -> float:
    """Processor time; on CUDA the time until it is done."""
    if device == "cuda":
        torch.cuda.synchronize()
        start = time.perf_counter()
        work()
        torch.cuda.synchronize()
        return time.perf_counter() - start
    start = time.process_time()
    work()
    return time.process_time() - start


def ways(device: str) -> dict[str, Scan]:
    """What is timed."""
    found: dict[str, Scan] = {
        "loop": loop,
        "torch": lambda *x: selective_scan(*x, way="torch"),
    }
    if device == "cpu":
        found["compiled"] = lambda *x: selective_scan(*x, way="compiled")
    elif importlib.util.find_spec("mamba_ssm"):
        found["mamba_ssm"] = lambda *x: selective_scan(*x, way="mamba_ssm")
    return found


def measure(inputs: tuple[Tensor, ...], device: str, rounds: int) -> None:
    """Print one line for each way, without and with gradients."""
    rows, channels, length = inputs[0].shape
    states = rows * channels * length * inputs[2].shape[1]
    print(f"\n{rows} x {channels} channels, {length} steps, {states / 1e6:.0f} M states")
    for gradients in (False, True):
        work: dict[str, Callable[[], object]] = {}
        for name, scan in ways(device).items():

            def run(scan: Scan = scan) -> object:
                with torch.set_grad_enabled(gradients):  # noqa: B023 - run in this round only
                    y = scan(*inputs)
                return torch.autograd.grad(y.sum(), inputs) if gradients else y  # noqa: B023

            if not (name == "loop" and gradients and states * 16 > 2**31):
                work[name] = run
        used = {name: memory(run, device) for name, run in work.items()}
        best = dict.fromkeys(work, float("inf"))
        for _ in range(rounds):
            for name, run in work.items():
                best[name] = min(best[name], seconds(run, device))
        for name, time_ in best.items():
            ratio = f"{best['loop'] / time_:6.1f} x" if "loop" in best else "        "
            print(
                f"  {'forward + backward' if gradients else 'forward':20}{name:12}"
                f"{time_ * 1e3:10.1f} ms {ratio} {states / time_ / 1e6:8.0f} M states/s "
                f"{used[name]:7.0f} MB"
            )


def main() -> None:
    """Measure several lengths."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--device", default="cpu", choices=["cpu", "cuda"])
    parser.add_argument("--rows", type=int, default=2, help="sequences in the batch")
    parser.add_argument("--states", type=int, default=32)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--lengths", type=int, nargs="+", default=[256, 1024, 4096])
    given = parser.parse_args()
    torch.set_num_threads(1)
    for length in given.lengths:
        inputs = make_inputs(given.rows, 96, length, given.states, given.device)
        measure(inputs, given.device, given.rounds)


if __name__ == "__main__":
    main()
