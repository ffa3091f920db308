"""How close the embedded Dominant Path Model comes to true WinProp maps, per map and class."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from dpm_truth import (
    LEVEL_DB,
    Skipped,
    TrueMap,
    car_effect_errors_db,
    car_maps,
    errors_db,
    rmse,
    true_cars,
)
from rich.table import Table

from rmtools.errors import RmtoolsError

if TYPE_CHECKING:
    from pathlib import Path

    from rich.console import Console

    from rmtools.radio.dpm.solver import Detailed, DominantPathSolver
    from rmtools.types import BoolArray, ByteArray, FloatArray

Figures = dict[str, float]

CAR_PLACES = "line of sight", "elsewhere", "elsewhere, right without cars"
"""Pixels by the map without cars; the last where it is right within a level."""


class Comparison(NamedTuple):
    """A true map, our solution and the error in dB (NaN where either has no value)."""

    true: TrueMap
    found: Detailed
    errors: FloatArray


def compare(
    maps: list[TrueMap], solver: DominantPathSolver
) -> tuple[list[Comparison], list[Skipped]]:
    """Solve all maps; those that cannot be solved are named."""
    found, skipped = [], []
    prepared, of_scene = None, None
    for true in maps:
        try:
            if prepared is None or of_scene is not true.scene:
                prepared, of_scene = solver.prepare(true.scene), true.scene
            detailed = solver.solve_detailed(prepared, true.transmitter)
        except RmtoolsError as error:
            skipped.append(Skipped(true.name, str(error)))
            continue
        errors = errors_db(true.grey, detailed.pathloss_db)
        if np.isnan(errors).all():
            skipped.append(Skipped(true.name, "no street pixel has a level"))
            continue
        found.append(Comparison(true, detailed, errors))
    return found, skipped


def class_masks(classes: ByteArray) -> dict[str, BoolArray]:
    """Pixels of each class of the solution."""
    roof, bends = classes >= 128, (classes & 127).astype(int) - 1
    return {
        "all": classes > 0,
        "line of sight": classes == 1,
        "1 bend": (bends == 1) & ~roof,
        "2 bends": (bends == 2) & ~roof,
        "3+ bends": (bends >= 3) & ~roof,
        "over roof": roof,
    }


def figures(errors: FloatArray) -> Figures:
    """What is said about errors: `median_db`, `p90_db` and `p99_db` are of their absolute value."""
    known = errors[~np.isnan(errors)]
    if not known.size:
        return {"pixels": 0}
    absolute = np.abs(known)
    median, p90, p99 = np.quantile(absolute, (0.5, 0.9, 0.99))
    return {
        "pixels": int(known.size),
        "rmse_db": rmse(known),
        "bias_db": float(known.mean()),
        "median_db": float(median),
        "p90_db": float(p90),
        "p99_db": float(p99),
        "within_1_level": float(np.mean(absolute < 1.01 * LEVEL_DB)),
        "within_2_levels": float(np.mean(absolute < 2.01 * LEVEL_DB)),
    }


def entry(comparison: Comparison) -> dict[str, Any]:
    """One map as it stands in the JSON file."""
    true, found, errors = comparison
    masks = class_masks(found.classes)
    by_class = {name: figures(errors[mask]) for name, mask in masks.items()}
    return {
        "name": true.name,
        "walls": true.walls,
        **by_class.pop("all"),
        # levels on pixels that we hold for buildings, and none where we have a clear one
        "mask_differs": int(np.sum((true.grey > 0) & (found.classes == 0))),
        "classes": by_class,
    }


def means(entries: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Mean over the maps of the RMSE, for both kinds of walls and for each class."""
    rows = []
    for walls in ("polygons", "raster"):
        some = [e for e in entries if e["walls"] == walls and e["pixels"]]
        if not some:
            continue
        row = {"walls": walls, "maps": len(some), "rmse_db": np.mean([e["rmse_db"] for e in some])}
        for name in some[0]["classes"]:
            values = [e["classes"][name].get("rmse_db") for e in some]
            values = [value for value in values if value is not None]
            row[name] = float(np.mean(values)) if values else None
        rows.append(row | {"rmse_db": float(row["rmse_db"])})
    return rows


def pooled(comparisons: list[Comparison]) -> dict[str, dict[str, Figures]]:
    """Figures over all pixels of all maps, for both kinds of walls and for each class."""
    found: dict[str, dict[str, Figures]] = {}
    for walls in ("polygons", "raster"):
        some = [c for c in comparisons if c.true.walls == walls]
        masks = [class_masks(c.found.classes) for c in some]
        if some:
            found[walls] = {
                name: figures(
                    np.concatenate([c.errors[m[name]] for c, m in zip(some, masks, strict=True)])
                )
                for name in masks[0]
            }
    return found


def ignoring(effect: FloatArray) -> Figures:
    """The error of a solver that knows no cars."""
    return {} if np.isnan(effect).all() else {"ignoring_cars_db": rmse(effect)}


def cars(
    root: Path, comparisons: list[Comparison], solver: DominantPathSolver
) -> tuple[list[dict[str, Any]], list[Skipped]]:
    """How well the effect of cars is met, for every map that is there with and without."""
    entries, skipped = [], []
    by_name = {c.true.name: c for c in comparisons}
    for true, grey in car_maps(root, [c.true for c in comparisons], skipped):
        plain = by_name[true.name].found
        try:
            obstacles = true_cars(root, int(true.city))
            with_cars = solver.solve_detailed(
                solver.prepare(true.scene), true.transmitter, obstacles
            )
        except RmtoolsError as error:
            skipped.append(Skipped(f"{true.name} with cars", str(error)))
            continue
        error, effect, right = car_effect_errors_db(true, grey, plain, with_cars)
        lit = plain.classes == 1
        places = dict(zip(CAR_PLACES, (lit, ~lit, ~lit & right), strict=True))
        entries.append(
            {
                "name": true.name,
                "cars": len(obstacles.outlines),
                **{
                    where: figures(error[here]) | ignoring(effect[here])
                    for where, here in places.items()
                },
            }
        )
    return entries, skipped


# -- tables ------------------------------------------------------------------------------------


COLUMNS = ("rmse", "bias", "median", "p90", "p99")


def table(title: str, *columns: str, left: int = 1) -> Table:
    """Empty table; all columns but the first few are right-aligned."""
    new = Table(title=title, title_justify="left")
    for k, column in enumerate(columns):
        new.add_column(column, justify="left" if k < left else "right", no_wrap=True)
    return new


def _cells(values: Figures) -> list[str]:
    if not values["pixels"]:
        return ["-"] * 7
    return [
        *(f"{values[f'{name}_db']:.2f}" for name in COLUMNS),
        *(f"{values[f'within_{k}']:.1%}" for k in ("1_level", "2_levels")),
    ]


def show_accuracy(
    console: Console, entries: list[dict[str, Any]], over_all: dict[str, dict[str, Figures]]
) -> None:
    """Print the comparison with true maps."""
    heads = ("RMSE", "bias", "median", "p90", "p99", "<= 1 level", "<= 2 levels")
    classes = list(entries[0]["classes"])
    maps = table("True maps, dB", "map", "walls", *heads, *classes, left=2)
    for e in entries:
        per_class = [e["classes"][name].get("rmse_db") for name in classes]
        per_class_text = ["-" if value is None else f"{value:.2f}" for value in per_class]
        maps.add_row(e["name"], e["walls"], *_cells(e), *per_class_text)
    for mean in means(entries):
        per_class_text = ["-" if mean[n] is None else f"{mean[n]:.2f}" for n in classes]
        label = f"mean of {mean['maps']}"
        maps.add_row(label, mean["walls"], f"{mean['rmse_db']:.2f}", *[""] * 6, *per_class_text)
    console.print(maps)
    console.print("The columns on the right are the RMSE of each class.")

    by_class = table("By class, all pixels", "walls", "class", "share", *heads, left=2)
    for walls, rows in over_all.items():
        for name, values in rows.items():
            share = values["pixels"] / rows["all"]["pixels"]
            by_class.add_row(walls, name, f"{share:.1%}", *_cells(values))
    console.print(by_class)


def show_cars(console: Console, entries: list[dict[str, Any]]) -> None:
    """Print how well the effect of cars is met."""
    rows = table("Effect of cars, dB", "map", "where", "pixels", "RMSE", "<= 1 level", "ignoring")
    for e in entries:
        for where in CAR_PLACES:
            values = e[where]
            if values["pixels"]:
                rows.add_row(
                    e["name"],
                    where,
                    str(values["pixels"]),
                    f"{values['rmse_db']:.2f}",
                    f"{values['within_1_level']:.1%}",
                    f"{values['ignoring_cars_db']:.2f}",
                )
    console.print(rows)
