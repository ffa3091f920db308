"""How close the embedded Dominant Path Model comes to true WinProp maps of RadioMapSeer.

    python benchmarks/dpm_accuracy.py [reference-data]

Prints, per map and per class of the prediction, the root mean square error in dB over pixels with
a true grey level above zero, and the time of a solve. Both sides are grey levels.
"""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

import numpy as np

from rmtools.city.seer import read_map, read_png, read_transmitters
from rmtools.radio.dpm.solver import DominantPathSolver
from rmtools.radio.solver import Transmitter
from rmtools.units import SEER_SCALE

TRANSMITTERS = (0, 1, 10, 11, 12, 13)
CLASSES = ("all", "line of sight", "1 bend", "2 bends", "3+ bends", "over roof")


def class_masks(classes: np.ndarray) -> list[np.ndarray]:
    """Masks of the rows of the table, from the classes of the solver."""
    roof, bends = classes >= 128, (classes & 127).astype(int) - 1
    return [
        classes > 0,
        classes == 1,
        (bends == 1) & ~roof,
        (bends == 2) & ~roof,
        (bends >= 3) & ~roof,
        roof,
    ]


def main() -> None:
    """Solve the six known maps and print the table."""
    default = Path(__file__).resolve().parents[2] / "shared" / "data"
    root = Path(
        sys.argv[1] if len(sys.argv) > 1 else os.environ.get("RMTOOLS_REFERENCE_DATA", default)
    )
    root /= "radiomapseer"
    solver = DominantPathSolver("radiomapseer")
    scene = read_map(root, 0)
    solver.prepare(scene)  # compiles
    start = time.perf_counter()
    prepared = solver.prepare(scene)
    prepare_ms = 1000 * (time.perf_counter() - start)
    positions = read_transmitters(root, 0)

    errors: list[list[np.ndarray]] = [[] for _ in CLASSES]
    rows, times = [], []
    print("RMSE in dB    " + "".join(f"{name:>15}" for name in CLASSES))
    for t in TRANSMITTERS:
        transmitter = Transmitter(*positions[t])
        solver.solve(prepared, transmitter)
        start = time.perf_counter()
        found = solver.solve_detailed(prepared, transmitter)
        times.append(1000 * (time.perf_counter() - start))
        truth = read_png(root / f"gain/DPM/0_{t}.png").astype(float)
        grey = SEER_SCALE.encode(found.pathloss_db).astype(float)
        row = []
        for k, mask in enumerate(class_masks(found.classes)):
            error = (grey - truth)[mask & (truth > 0)] * SEER_SCALE.step_db
            errors[k].append(error)
            row.append(float(np.sqrt(np.mean(error**2))) if error.size else np.nan)
        rows.append(row)
        print(f"0_{t:<12}" + "".join(f"{v:15.3f}" for v in row))
    print("mean of maps  " + "".join(f"{v:15.3f}" for v in np.nanmean(rows, axis=0)))
    pooled = [np.concatenate(e) for e in errors]
    print("all pixels    " + "".join(f"{np.sqrt(np.mean(e**2)):15.3f}" for e in pooled))
    print("share         " + "".join(f"{e.size / pooled[0].size:15.1%}" for e in pooled))
    within = [np.mean(np.abs(e) <= 1.01 * SEER_SCALE.step_db) for e in pooled]
    print("<= 1 grey     " + "".join(f"{v:15.1%}" for v in within))
    print("median        " + "".join(f"{np.median(np.abs(e)):15.3f}" for e in pooled))
    print(f"prepare {prepare_ms:.0f} ms, solve {np.median(times):.0f} ms (median)")


if __name__ == "__main__":
    main()
