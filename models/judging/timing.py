"""How long a prediction takes, and how much memory.

On CUDA time is taken by events on the stream, on a CPU by ``time.perf_counter``, after a warm-up;
the median is reported. A model that computes on the CPU anyway (Kriging) is timed the same way.
"""

from __future__ import annotations

import ctypes
import functools
import platform
import time
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, NamedTuple

import torch

from rmtools.layouts.tensors import move

from .predictions import autocast
from .results import Timing

if TYPE_CHECKING:
    from collections.abc import Callable

    from ..interface import Batch, RadioModel
    from .predictions import Precision

GAIN = 1.05
"""A batch twice as large must give so many more maps a second, or the search ends."""

_CLEAR_PEAK = Path("/proc/self/clear_refs")
_STATUS = Path("/proc/self/status")


class Budget(NamedTuple):
    """How much time measuring may take.

    Attributes
    ----------
    seconds
        For one batch size, after the warm-up; at least `least` predictions are timed. A batch of
        which one takes longer is the last.
    least, most
        Number of predictions timed.
    warm_up
        Predictions before, at least one.
    largest
        Batch at which the search ends.
    """

    seconds: float = 2.0
    least: int = 3
    most: int = 50
    warm_up: int = 3
    largest: int = 256


def measure(
    model: RadioModel,
    batches: Callable[[int], Batch],
    *,
    device: str | torch.device = "cpu",
    precision: Precision = "32-true",
    compiled: bool = False,
    budget: Budget | None = None,
) -> Timing:
    """Time the predictions of a model.

    Parameters
    ----------
    model
        Is moved to the device and left in evaluation mode.
    batches
        Gives a batch of any size, on any device; it is moved before the clock starts.
    device, precision
        See :func:`~rmtools.models.judging.predictions.predict`.
    compiled
        Time ``torch.compile(model.predict)``. Compiling happens in the warm-up.
    budget
        How long to measure.
    """
    budget = budget or Budget()
    place = torch.device(device)
    model.to(place).eval()
    predict = torch.compile(model.predict) if compiled else model.predict

    def run(batch: Batch) -> None:
        with torch.no_grad(), autocast(place, precision):
            predict(batch)

    one = move(batches(1), place)
    memory_mb, memory_is = _memory(model, functools.partial(run, one), place)
    alone = _times(functools.partial(run, one), place, budget)
    best, best_ms = 1, median(alone)
    size = 2
    while size <= budget.largest:
        try:
            batch = move(batches(size), place)
            spent = median(_times(functools.partial(run, batch), place, budget)) / size
        except torch.cuda.OutOfMemoryError:
            torch.cuda.empty_cache()
            break
        enough = spent * GAIN > best_ms or spent * size > 1000.0 * budget.seconds
        if spent < best_ms:
            best, best_ms = size, spent
        if enough:
            break
        size *= 2
    target = one["target"]
    return Timing(
        device=device_name(place),
        threads=None if place.type == "cuda" else torch.get_num_threads(),
        clock="CUDA events" if place.type == "cuda" else "perf_counter",
        precision=precision,
        compiled=compiled,
        size=target.shape[-1],
        frames=target.shape[1] if target.ndim == 5 else 1,
        ms=median(alone),
        ms_least=min(alone),
        repeats=len(alone),
        best_batch=best,
        ms_in_best_batch=best_ms,
        memory_mb=memory_mb,
        memory_is=memory_is,
    )


def _times(run: Callable[[], None], device: torch.device, budget: Budget) -> list[float]:
    """Milliseconds of some runs, after a warm-up."""
    clock = _on_cuda if device.type == "cuda" else _on_cpu
    warm = clock(run)
    for _ in range(budget.warm_up - 1 if warm < 1000.0 * budget.seconds else 0):
        warm = clock(run)
    wanted = 1000.0 * budget.seconds / max(warm, 1e-3)
    count = int(min(max(wanted, budget.least), budget.most))
    return [clock(run) for _ in range(count)]


def _on_cpu(run: Callable[[], None]) -> float:
    begin = time.perf_counter()
    run()
    return 1000.0 * (time.perf_counter() - begin)


def _on_cuda(run: Callable[[], None]) -> float:
    begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))  # type: ignore[no-untyped-call]  # torch's
    begin.record()
    run()
    end.record()
    end.synchronize()
    return float(begin.elapsed_time(end))


# -- memory --------------------------------------------------------------------------------------


def _memory(
    model: RadioModel, run: Callable[[], None], device: torch.device
) -> tuple[float | None, str]:
    """Peak memory of a prediction in 10^6 bytes, and what that is."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
        torch.cuda.reset_peak_memory_stats(device)
        run()
        torch.cuda.synchronize(device)
        peak = torch.cuda.max_memory_allocated(device) / 1e6
        return peak, "torch.cuda.max_memory_allocated: weights, input and what is in between"
    before = _resident_kib("VmRSS") if _forget_peak() else None
    run()
    after = _resident_kib("VmHWM")
    if before is None or after is None:
        return None, "not measured: this system does not tell the peak of resident memory"
    weights = sum(t.numel() * t.element_size() for t in (*model.parameters(), *model.buffers()))
    grown = max(after - before, 0) * 1024
    return (weights + grown) / 1e6, "weights, and what resident memory grew by at its peak"


def _forget_peak() -> bool:
    """Give back what was freed, and have Linux start anew with the peak of resident memory."""
    try:
        ctypes.CDLL(None).malloc_trim(0)  # else old memory is used again and nothing grows
        _CLEAR_PEAK.write_text("5")
    except (OSError, AttributeError):
        return False
    return True


def _resident_kib(name: str) -> int | None:
    """A line of ``/proc/self/status`` in KiB; None where there is none."""
    try:
        lines = _STATUS.read_text().splitlines()
    except OSError:
        return None
    found = [line.split()[1] for line in lines if line.startswith(f"{name}:")]
    return int(found[0]) if found else None


def device_name(device: torch.device) -> str:
    """What a device is called."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()
