"""Whether the solver's constants fit cities that they were not fitted on.

A few constants are fitted anew by a coarse search on all cities but one, and the one left out tells
how good the result is. All maps of a city are left out together. If the constants held for single
cities only, the new ones would differ from fold to fold and the city left out would be worse than
with the constants that are shipped.
"""

from __future__ import annotations

import itertools
import os
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from typing import TYPE_CHECKING, Any

import numpy as np
from dpm_accuracy import table
from dpm_truth import TrueMap, errors_db, rmse

from rmtools.radio.dpm.presets import PRESETS
from rmtools.radio.dpm.solver import DominantPathSolver

if TYPE_CHECKING:
    from rich.console import Console

    from rmtools.types import FloatArray

PRESET = PRESETS["radiomapseer"]
STEPS: dict[str, tuple[float, ...]] = {
    "roof_offset_m": (-0.8, 0.0, 0.8, 1.6),  # height at which paths cross buildings
    "p_olos": (-0.05, 0.0, 0.05),  # exponent without line of sight
    "bend_offset_db": (-0.4, 0.0, 0.4),  # loss of the smallest bend
    "bend_max_db": (-1.5, 0.0, 1.5),  # loss of the largest bend
}
"""What is fitted, and how far on either side of the shipped value it is tried."""

Constants = dict[str, float]


def candidates() -> list[Constants]:
    """All combinations; the shipped constants are one of them."""
    values = [
        [round(getattr(PRESET, name) + step, 3) for step in steps] for name, steps in STEPS.items()
    ]
    return [dict(zip(STEPS, chosen, strict=True)) for chosen in itertools.product(*values)]


def shipped() -> int:
    """Which candidate the shipped constants are."""
    return next(
        k
        for k, constants in enumerate(candidates())
        if all(constants[name] == getattr(PRESET, name) for name in STEPS)
    )


def errors_of_city(maps: list[TrueMap]) -> FloatArray:
    """RMSE of each map of a city with all candidates, shape (maps, candidates)."""
    table_of_errors = np.empty((len(maps), len(candidates())))
    crossing, prepared = None, None
    for k, constants in enumerate(candidates()):
        solver = DominantPathSolver(PRESET, **constants)
        if prepared is None or constants["roof_offset_m"] != crossing:
            crossing, prepared = constants["roof_offset_m"], solver.prepare(maps[0].scene)
        for i, true in enumerate(maps):
            found = solver.solve(prepared, true.transmitter)
            table_of_errors[i, k] = rmse(errors_db(true.grey, found))
    return table_of_errors


def leave_one_out(maps: list[TrueMap]) -> list[dict[str, Any]]:
    """One row per city: its RMSE with constants from the other cities, and with the shipped ones.

    In a fit every city counts the same, however many maps of it there are.
    """
    cities: dict[str, list[TrueMap]] = {}
    for true in maps:
        cities.setdefault(true.city, []).append(true)
    if len(cities) < 2:
        return []
    with ProcessPoolExecutor(os.cpu_count(), mp_context=get_context("spawn")) as pool:
        by_city = list(pool.map(errors_of_city, cities.values()))
    means = np.array([errors.mean(axis=0) for errors in by_city])  # (cities, candidates)
    rows = []
    for i, (name, some) in enumerate(cities.items()):
        best = int(np.delete(means, i, axis=0).mean(axis=0).argmin())
        rows.append(
            {
                "left_out": name,
                "maps": len(some),
                "constants": candidates()[best],
                "refitted_db": float(means[i, best]),
                "shipped_db": float(means[i, shipped()]),
                "own_best_db": float(means[i].min()),
            }
        )
    return rows


def show_leave_one_out(console: Console, rows: list[dict[str, Any]]) -> None:
    """Print the table."""
    if not rows:
        console.print("Leave one city out: needs maps of two cities.")
        return
    heads = ("refitted dB", "shipped dB", "best for itself dB")
    folds = table("RMSE on the city left out", "left out", "maps", *STEPS, *heads)
    for r in rows:
        figures = (f"{r[name]:.2f}" for name in ("refitted_db", "shipped_db", "own_best_db"))
        constants = (f"{value:g}" for value in r["constants"].values())
        folds.add_row(r["left_out"], str(r["maps"]), *constants, *figures)
    names = ("refitted_db", "shipped_db", "own_best_db")
    averages = (f"{np.mean([r[name] for r in rows]):.3f}" for name in names)
    folds.add_row("mean", "", *[""] * len(STEPS), *averages)
    console.print(folds)
    text = ", ".join(f"{name} {getattr(PRESET, name):g}" for name in STEPS)
    console.print(f"Shipped: {text}.")
