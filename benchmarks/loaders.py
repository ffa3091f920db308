"""How fast training data is read: packed against PNG files and compressed npz.

    python benchmarks/loaders.py [--json FILE] [--sequences 200] [--folder DIR]

One run writes the same sequences of 15 frames of 256 x 256 as PNG files in the motion layout
(what the released loaders read), as one compressed npz a sequence, as HDF5 and packed, and reads
them in random order. The maps are true ones where $RMTOOLS_REFERENCE_DATA has any, else those of
the embedded solver on the demo, turned, mirrored and shifted. Everything is in the page cache, so
this measures decoding and copying, not the disk.

Frames a second of one process are given by its processor time, the best of several rounds (other
work on the machine hardly changes that), and by the clock; those of a DataLoader by the clock.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from PIL import Image
from torch.utils.data import DataLoader, Dataset

from rmtools.images import grey_png
from rmtools.layouts import SequenceForecast, collate, open_maps, pack
from rmtools.layouts.motion_format import loader_name

if TYPE_CHECKING:
    from collections.abc import Callable

REPOSITORY = Path(__file__).resolve().parents[1]
FRAMES, N, TX = 15, 256, 20
ROUNDS = 4
PNG_RATIO, LOADER_RATE = 50, 10_000
"""What the packed layout is meant to reach."""


def base_maps() -> tuple[np.ndarray, str]:
    """Grey maps to make sequences of, uint8 (count, 256, 256), and where they are from."""
    data = Path(os.environ.get("RMTOOLS_REFERENCE_DATA", REPOSITORY.parent / "shared" / "data"))
    found = sorted((data / "radiomapseer").glob("gain/DPM/*.png"))
    found += sorted((data / "radiomapseer").glob("dpm_unknown_ids/*.png"))
    if found:
        return np.stack([np.asarray(Image.open(path)) for path in found]), f"{len(found)} true maps"
    from rmtools.city.config import CityConfig
    from rmtools.city.sources import build_scenes
    from rmtools.grid import Grid
    from rmtools.radio.dpm.solver import DominantPathSolver
    from rmtools.radio.solver import Transmitter
    from rmtools.radio.transmitters import PlacementConfig, place_scene
    from rmtools.traffic.config import TrafficConfig
    from rmtools.units import MOTION_SCALE

    city = CityConfig.model_validate({"source": "demo", "tiles": {"count": 1}})
    (scene,), _ = build_scenes(city, Grid(), 0)
    solver = DominantPathSolver("radiomapmotion")
    prepared = solver.prepare(scene)
    places = place_scene(scene, PlacementConfig(count=8), 0, TrafficConfig())
    losses = [solver.solve(prepared, Transmitter(*place)) for place in places.tolist()]
    return MOTION_SCALE.encode(np.stack(losses)), "8 maps of the embedded solver"


def sequences(count: int) -> tuple[np.ndarray, str]:
    """Sequences to read, uint8 (count, 15, 256, 256)."""
    base, origin = base_maps()
    random = np.random.default_rng(0)
    made = np.empty((count, FRAMES, N, N), np.uint8)
    for sequence in made:
        still = np.rot90(base[random.integers(len(base))], random.integers(4))
        still = np.roll(still, random.integers(N, size=2), (0, 1))
        for frame, out in enumerate(sequence):
            out[:] = still
            row, col = random.integers(20, N - 60, 2)  # a shadow that moves, as vehicles cast
            patch = out[row : row + 40, col + frame : col + frame + 20]
            patch[:] = np.maximum(patch, 8) - 8
    return made, origin


def write(folder: Path, data: np.ndarray) -> None:
    """Write the sequences as PNG files, npz archives and a packed cache."""
    for index, sequence in enumerate(data):
        env, tx = divmod(index, TX)
        for frame, levels in enumerate(sequence):
            path = folder / "png" / loader_name(env, 0, tx, frame)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(grey_png(levels, {}))
        np.savez_compressed(folder / f"{index}.npz", gain=sequence)
    pack(open_maps(folder / "png"), folder / "packed")


def rate(read: Callable[[int], object], order: list[int], per: int) -> tuple[float, float]:
    """Frames a second of processor time and by the clock, the best of some rounds."""
    best = [0.0, 0.0]
    for _ in range(ROUNDS):
        cpu, clock = time.process_time(), time.perf_counter()
        for index in order:
            read(index)
        frames = per * len(order)
        spent = (time.process_time() - cpu, time.perf_counter() - clock)
        best = [max(b, frames / max(s, 1e-9)) for b, s in zip(best, spent, strict=True)]
    return best[0], best[1]


def one_process(folder: Path, count: int) -> dict[str, tuple[float, float]]:
    """Rates of every way to read whole sequences, and single frames, in random order."""
    order = np.random.default_rng(1).permutation(count).tolist()
    few = order[: max(10, count // 10)]
    frames = np.random.default_rng(2).integers(FRAMES, size=count).tolist()
    packed = open_maps(folder / "packed")
    kind = packed.the_kind()

    def png(index: int, frame: int) -> np.ndarray:
        env, tx = divmod(index, TX)
        return np.asarray(Image.open(folder / "png" / loader_name(env, 0, tx, frame)))

    def npz(index: int) -> np.ndarray:
        with np.load(folder / f"{index}.npz") as archive:
            return archive["gain"]

    def copied(index: int, span: slice) -> np.ndarray:
        env, tx = divmod(index, TX)
        return packed.grey(kind, env, 0, tx, span).copy()

    def batches(dtype: str) -> Callable[[int], object]:
        data = SequenceForecast(folder / "packed", dtype=dtype)
        return lambda index: data.__getitems__([index])

    return {
        "PNG, Pillow: sequence": rate(
            lambda i: np.stack([png(i, f) for f in range(FRAMES)]), few, FRAMES
        ),
        "PNG, Pillow: frame": rate(lambda i: png(i, frames[i]), order[: len(few) * 10], 1),
        "compressed npz: sequence": rate(npz, few, FRAMES),
        "packed: sequence": rate(lambda i: copied(i, slice(None)), order, FRAMES),
        "packed: frame": rate(lambda i: copied(i, slice(frames[i], frames[i] + 1)), order, 1),
        "packed, SequenceForecast uint8": rate(batches("uint8"), order, FRAMES),
        "packed, SequenceForecast float32": rate(batches("float32"), order, FRAMES),
    }


def loader_rate(data: Dataset[Any], count: int, batch: int, workers: int) -> float:
    """Frames a second that arrive from a DataLoader, the best of some epochs."""
    order = np.random.default_rng(3).permutation(count).tolist()
    loader = DataLoader(
        data,
        batch_size=batch,
        sampler=order,
        num_workers=workers,
        collate_fn=collate,
        persistent_workers=True,
        prefetch_factor=4,
    )
    best = 0.0
    for epoch in range(ROUNDS + 1):
        clock, frames = time.perf_counter(), 0
        for arrived in loader:
            whole = arrived.get("frames", arrived.get("target"))
            frames += len(whole) * FRAMES
        if epoch:  # in the first the workers start
            best = max(best, frames / (time.perf_counter() - clock))
    return best


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sequences", type=int, default=200)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--folder", type=Path, help="where to write; a temporary folder else")
    parser.add_argument("--json", type=Path, help="also write the figures here")
    chosen = parser.parse_args()
    torch.set_num_threads(1)
    count = chosen.sequences // TX * TX
    with tempfile.TemporaryDirectory(dir=chosen.folder) as name:
        folder = Path(name)
        data, origin = sequences(count)
        write(folder, data)
        del data
        single = one_process(folder, count)
        loaders = {
            "packed uint8": loader_rate(
                SequenceForecast(folder / "packed", dtype="uint8"),
                count,
                chosen.batch,
                chosen.workers,
            ),
            "packed float32": loader_rate(
                SequenceForecast(folder / "packed"), count, chosen.batch, chosen.workers
            ),
            "PNG float32": loader_rate(
                SequenceForecast(folder / "png"), max(TX, count // 5), chosen.batch, chosen.workers
            ),
        }
    print(f"{count} sequences of {FRAMES} frames from {origin}; {os.cpu_count()} cores,")
    print(f"load {os.getloadavg()[0]:.1f} (more than 0 at the start means others were working)\n")
    base = {"sequence": "PNG, Pillow: sequence", "frame": "PNG, Pillow: frame"}
    print("| one process | frames/s of processor time | by the clock | x PNG |")
    print("|---|---|---|---|")
    for label, (cpu, clock) in single.items():
        reference = single[base["frame" if label.endswith("frame") else "sequence"]][0]
        print(f"| {label} | {cpu:,.0f} | {clock:,.0f} | {cpu / reference:.1f} |")
    print(
        f"\n| DataLoader, {chosen.workers} workers, batches of {chosen.batch} | frames/s | x PNG |"
    )
    print("|---|---|---|")
    for label, value in loaders.items():
        print(f"| {label} | {value:,.0f} | {value / loaders['PNG float32']:.1f} |")
    ratio = single["packed: sequence"][0] / single["PNG, Pillow: sequence"][0]
    verdicts = {
        f"packed at least {PNG_RATIO} x PNG": ratio >= PNG_RATIO,
        f"DataLoader at least {LOADER_RATE:,} frames/s": loaders["packed uint8"] >= LOADER_RATE,
    }
    print()
    for what, reached in verdicts.items():
        print(f"{what}: {'reached' if reached else 'NOT reached'}")
    if chosen.json:
        figures = {"one_process": single, "dataloader": loaders, "origin": origin}
        chosen.json.write_text(json.dumps(figures, indent=1) + "\n")


if __name__ == "__main__":
    main()
