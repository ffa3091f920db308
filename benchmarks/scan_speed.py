"""How fast the selective scan is, beside a loop over time, in the same run.

``python benchmarks/scan_speed.py`` prints processor time of one thread (on CUDA: time) for the
scan alone and with gradients, the best of several rounds that take turns, the ratio to the loop,
and the most memory that was in use beyond what was before. The width is that of RadioMamba's first
stage. The loop's gradients need memory for all states; they are left out past a gigabyte.
"""

from __future__ import annotations

import argparse
import importlib.util
import threading
import time
from pathlib import Path
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
    for t in range(u.shape[-1]):
        decay = torch.exp(delta[:, :, t, None] * a)
        h = decay * h + (delta[:, :, t] * u[:, :, t])[..., None] * b[:, None, :, t]
        parts.append((h * c[:, None, :, t]).sum(-1))
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


def resident() -> int:
    """Bytes of this process in memory."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096


def peak_memory(work: Callable[[], object], device: str) -> float | None:
    """Most megabytes in use during the work beyond those before it."""
    if device == "cuda":
        torch.cuda.synchronize()
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        work()
        return (torch.cuda.max_memory_allocated() - before) / 2**20
    if not Path("/proc/self/statm").exists():
        return None
    before, most, over = resident(), 0, threading.Event()

    def watch() -> None:
        nonlocal most
        while not over.wait(0.001):
            most = max(most, resident())

    watcher = threading.Thread(target=watch)
    watcher.start()
    work()
    over.set()
    watcher.join()
    return max(0, most - before) / 2**20


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

            if not (name == "loop" and gradients and states * 12 > 2**30):
                work[name] = run
        memory = {name: peak_memory(run, device) for name, run in work.items()}
        best = dict.fromkeys(work, float("inf"))
        for _ in range(rounds):
            for name, run in work.items():
                best[name] = min(best[name], seconds(run, device))
        for name, time_ in best.items():
            ratio = f"{best['loop'] / time_:6.1f} x" if "loop" in best else "        "
            used = "" if memory[name] is None else f"{memory[name]:8.0f} MB"
            print(
                f"  {'forward + backward' if gradients else 'forward':20}{name:12}"
                f"{time_ * 1e3:10.1f} ms {ratio} {states / time_ / 1e6:8.0f} M states/s {used}"
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
