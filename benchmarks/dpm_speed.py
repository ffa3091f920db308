"""How fast the embedded Dominant Path Model is, on one core and over processes.

Times are processor time, the best of several runs, after one that compiles.
"""

from __future__ import annotations

import sys
import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from dpm_accuracy import table
from dpm_workload import Work, best_ms, made_city

from rmtools.errors import RmtoolsError
from rmtools.radio.dpm.solver import DominantPathSolver
from rmtools.radio.solver import Transmitter

if TYPE_CHECKING:
    from collections.abc import Callable

    from rich.console import Console

SOLVER = DominantPathSolver("radiomapseer")
BEST_OF = 9
SIZES = (128, 256, 384, 512, 768, 1024)
COUNTS = (9, 25, 64, 144, 256, 400)
REFERENCE_SIZES = (64, 128)
PROCESSES = (1, 2)
PROCESS_SCENES = 12
WINPROP_S = 1.0
"""Order of the seconds per map of WinProp's DPM on an Intel i7-8750H that the paper on RadioUNet
(Levie, Yapar, Kutyniok, Caire, 2021) gives; quoted, not measured."""

Row = dict[str, Any]


def one_scene(work: Work) -> list[Row]:
    """Milliseconds of preparing, solving and of frames, for each transmitter."""
    rows = []
    prepared = SOLVER.prepare(work.scene)
    prepare_ms = best_ms(BEST_OF, lambda: SOLVER.prepare(work.scene))
    for transmitter in work.transmitters:
        row: Row = {
            "scene": work.scene.name,
            "buildings": len(work.scene.buildings),
            "prepare_ms": prepare_ms,
            "static_ms": best_ms(BEST_OF, lambda: SOLVER.solve(prepared, transmitter)),  # noqa: B023 - called at once
        }
        if work.frames:
            row |= _frames(work, prepared, transmitter)
        rows.append(row)
    return rows


def _frames(work: Work, prepared: Any, transmitter: Transmitter) -> Row:
    """Rate of frames, and how they compare with solving each from scratch."""

    def solve(frames: list[Any]) -> Any:
        return next(iter(SOLVER.solve_sequences(prepared, [transmitter], frames)))

    maps = solve(work.frames)
    whole_ms = best_ms(BEST_OF, lambda: solve(work.frames))
    # the first frame comes with the scene without vehicles
    first_ms = best_ms(BEST_OF, lambda: solve(work.frames[:1]))
    full = np.stack([SOLVER.solve(prepared, transmitter, f) for f in work.frames])
    difference = np.abs(maps - full)[:, ~prepared.mask]
    count = len(work.frames)
    return {
        "frames": count,
        "frame_ms": max(whole_ms - first_ms, 1e-3) / (count - 1),
        "sequence_frames_per_s": 1000 * count / whole_ms,
        "differ": float(np.mean(difference > 0)),
        "differ_1_db": float(np.mean(difference > 1)),
        "largest_db": float(difference.max()),
    }


def against_size() -> list[Row]:
    """Cost against the size of the map, at one density of buildings."""
    return [_made(n, round(60 * (n / 256) ** 2)) for n in SIZES]


def against_buildings() -> list[Row]:
    """Cost against the number of buildings, 256 by 256 pixels."""
    return [_made(256, count) for count in COUNTS]


def _made(n: int, buildings: int) -> Row:
    scene = made_city(n, buildings)
    transmitter = Transmitter(n / 2 + 0.5, n / 2 + 0.5)
    prepared = SOLVER.prepare(scene)
    return {
        "n": n,
        "buildings": len(scene.buildings),
        "prepare_ms": best_ms(2, lambda: SOLVER.prepare(scene)),
        "static_ms": best_ms(3, lambda: SOLVER.solve(prepared, transmitter)),
    }


def against_reference() -> list[Row]:
    """Compiled against the plain search of tests/dpm_reference.py, on made cities."""
    sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))
    from dpm_reference import Search

    rows = []
    for n in REFERENCE_SIZES:
        scene = made_city(n, round(60 * (n / 256) ** 2))
        transmitter = Transmitter(n / 2 + 0.5, n / 2 + 0.5)
        prepared = SOLVER.prepare(scene)
        found = SOLVER.solve(prepared, transmitter)
        plain: list[Search] = []
        plain_ms = best_ms(
            1,
            lambda: plain.append(Search(SOLVER.preset, scene, transmitter)),  # noqa: B023 - called at once
        )
        compiled_ms = best_ms(20, lambda: SOLVER.solve(prepared, transmitter))  # noqa: B023 - called at once
        rows.append(
            {
                "n": n,
                "plain_ms": plain_ms,
                "compiled_ms": compiled_ms,
                "ratio": plain_ms / compiled_ms,
                "largest_difference_db": float(np.nanmax(np.abs(plain[0].pathloss_db() - found))),
            }
        )
    return rows


def against_sionna() -> Row:
    """The demo's first scene, also by the ray tracer with few rays; says why it cannot."""
    from sionna_irt import demo_scene, time_per_map

    scene, transmitter = demo_scene()
    dpm = time_per_map(scene, transmitter, "radiomapseer", "dpm", runs=BEST_OF)
    row: Row = {"scene": scene.name, "dpm_s": dpm.seconds, "winprop_s_quoted": WINPROP_S}
    try:
        timed = time_per_map(scene, transmitter, "irt2-like", rays=1_000)
    except (RmtoolsError, ImportError) as error:
        return row | {"skipped": str(error)}
    return row | {
        "rays": 1_000,
        "sionna_s": timed.seconds,
        "ratio": timed.seconds / dpm.seconds,
        "blind_share": timed.blind_share,
    }


def solve_all(works: list[Work]) -> int:
    """Solve static maps of some scenes; returns how many."""
    count = 0
    for work in works:
        prepared = SOLVER.prepare(work.scene)
        for transmitter in work.transmitters:
            for _ in range(2):
                SOLVER.solve(prepared, transmitter)
                count += 1
    return count


def count_down(start: int) -> int:
    """Work that needs no memory: how much of a second core there is."""
    while start:
        start -= 1
    return 1


def over_processes(works: list[Work]) -> Row:
    """Maps per second of the clock by the number of processes, and the same of bare counting.

    The best of three. Cores that share caches or belong to somebody else, too, do less than twice
    the work; the counting tells how much less.
    """
    tasks: dict[str, tuple[Callable[[Any], int], list[Any]]] = {
        "maps": (solve_all, [[work] for work in works[:PROCESS_SCENES]]),
        "counting": (count_down, [5_000_000] * 6),
    }
    rates: dict[str, dict[int, float]] = {}
    for name, (run, parts) in tasks.items():
        rates[name] = {}
        for processes in PROCESSES:
            with ProcessPoolExecutor(processes, mp_context=get_context("spawn")) as pool:
                list(pool.map(run, parts[:1] * processes))  # starts and loads
                best = 0.0
                for _ in range(3):
                    start = time.perf_counter()
                    done = sum(pool.map(run, parts))
                    best = max(best, done / (time.perf_counter() - start))
            rates[name][processes] = best
    speedups = {name: by_processes[2] / by_processes[1] for name, by_processes in rates.items()}
    return {
        "maps_per_s": rates["maps"],
        "speedup": speedups["maps"],
        "speedup_of_counting": speedups["counting"],
    }


# -- tables ------------------------------------------------------------------------------------


def spread(values: list[float]) -> dict[str, float]:
    """Median and the range of the middle 80 %."""
    low, middle, high = np.quantile(values, (0.1, 0.5, 0.9))
    return {"median": float(middle), "p10": float(low), "p90": float(high), "max": max(values)}


def summary(rows: list[Row]) -> dict[str, dict[str, float]]:
    """What the scenes have in common."""
    names = {
        "prepare_ms": lambda r: r["prepare_ms"],
        "static_ms": lambda r: r["static_ms"],
        "frame_ms": lambda r: r["frame_ms"],
        "frames_per_s": lambda r: 1000 / r["frame_ms"],
        "sequence_frames_per_s": lambda r: r["sequence_frames_per_s"],
        "differ": lambda r: r["differ"],
        "differ_1_db": lambda r: r["differ_1_db"],
        "largest_db": lambda r: r["largest_db"],
    }
    found = {}
    for name, value in names.items():
        needs = "frame_ms" if name == "frames_per_s" else name
        values = [float(value(row)) for row in rows if needs in row]
        if values:
            found[name] = spread(values)
    return found


LABELS = {
    "prepare_ms": "prepare a scene, ms",
    "static_ms": "static map, ms",
    "frame_ms": "one more frame, ms",
    "frames_per_s": "frames per second, the scene already solved",
    "sequence_frames_per_s": "frames per second of a whole sequence",
    "differ": "pixels of frames unlike a full solve",
    "differ_1_db": "the same by more than 1 dB",
    "largest_db": "largest difference, dB",
}


def show_scenes(console: Console, rows: list[Row]) -> None:
    """Print times per scene and over all."""
    heads = ("prepare ms", "static ms", "frame ms", "frames/s", "differ", "> 1 dB", "largest dB")
    each = table("One core, 256 x 256", "scene", "buildings", *heads)
    for r in rows:
        cells = [r["scene"], str(r["buildings"]), f"{r['prepare_ms']:.1f}", f"{r['static_ms']:.1f}"]
        if "frames" in r:
            cells += [f"{r['frame_ms']:.2f}", f"{r['sequence_frames_per_s']:.0f}"]
            cells += [f"{r['differ']:.4%}", f"{r['differ_1_db']:.4%}", f"{r['largest_db']:.2f}"]
        each.add_row(*cells)
    console.print(each)
    console.print("frames/s: of a whole sequence, with the scene it starts from.")
    over_all = table("Over all scenes and transmitters", "", "median", "p10", "p90", "max")
    for name, values in summary(rows).items():
        form = "{:.4%}" if name.startswith("differ") else "{:.2f}"
        over_all.add_row(LABELS[name], *(form.format(v) for v in values.values()))
    console.print(over_all)


def show_cost(console: Console, title: str, rows: list[Row]) -> None:
    """Print cost against size or against the number of buildings."""
    cost = table(title, "pixels", "buildings", "prepare ms", "static ms", "us per pixel", left=0)
    for r in rows:
        micro = 1000 * r["static_ms"] / r["n"] ** 2
        figures = f"{r['prepare_ms']:.1f}", f"{r['static_ms']:.1f}", f"{micro:.2f}"
        cost.add_row(f"{r['n']} x {r['n']}", str(r["buildings"]), *figures)
    console.print(cost)


def show_reference(console: Console, rows: list[Row]) -> None:
    """Print the comparison with the plain reference."""
    heads = ("plain Python ms", "compiled ms", "ratio", "largest difference dB")
    ratios = table("Against a plain reference", "pixels", *heads, left=0)
    for r in rows:
        ratios.add_row(
            f"{r['n']} x {r['n']}",
            f"{r['plain_ms']:.0f}",
            f"{r['compiled_ms']:.2f}",
            f"{r['ratio']:.0f}",
            f"{r['largest_difference_db']:.1e}",
        )
    console.print(ratios)


def show_sionna(console: Console, row: Row) -> None:
    """Print the comparison with the ray tracer."""
    if "skipped" in row:
        console.print(f"Sionna RT left out: {row['skipped']}")
    else:
        console.print(
            f"{row['scene']}: DPM {1000 * row['dpm_s']:.0f} ms, Sionna RT with {row['rays']} rays "
            f"per transmitter {row['sionna_s']:.1f} s on all cores, {row['ratio']:.0f} times as "
            f"long (and {row['blind_share']:.0%} of the street without a path)."
        )
    console.print(
        f"WinProp's DPM takes about {row['winprop_s_quoted']:.0f} s per map by the RadioUNet paper "
        f"(quoted, not measured): {row['winprop_s_quoted'] / row['dpm_s']:.0f} times as long."
    )


def show_processes(console: Console, row: Row) -> None:
    """Print how the work scales."""
    for processes, rate in row["maps_per_s"].items():
        console.print(f"{processes} process(es): {rate:.1f} maps per second of the clock")
    console.print(
        f"two processes do {row['speedup']:.2f} times the work of one; "
        f"of bare counting {row['speedup_of_counting']:.2f} times"
    )
