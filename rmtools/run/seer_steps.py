"""The stage that writes the RadioMapSeer layout, see :mod:`rmtools.run.steps`."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

from rmtools.errors import RecipeError
from rmtools.layouts.seer_format import LAYOUT_NAME
from rmtools.run.steps import indices, scene_units

if TYPE_CHECKING:
    from pathlib import Path

    from rmtools.run.workspace import Workspace


def seer_units(space: Workspace) -> list[str]:
    """Scenes, then the description; none without the layout."""
    return [] if space.recipe.layouts.seer is None else [*scene_units(space), "description"]


def require_static_maps(space: Workspace) -> None:
    """Refuse the layout of a dataset that cannot have it.

    Raises
    ------
    RecipeError
        There are no maps without vehicles, or the grid is not RadioMapSeer's.
    """
    recipe = space.recipe
    if recipe.layouts.seer is None:
        return
    if not recipe.solver.static_maps:
        raise RecipeError(
            "the RadioMapSeer layout needs maps without vehicles, and solver.static_maps is off.",
            remedy="Add --set solver.static_maps=true; radio maps made without it are remade with "
            "--overwrite.",
        )
    if (recipe.grid.n, recipe.grid.resolution_m) != (256, 1.0):
        raise RecipeError(
            f"the RadioMapSeer layout has 256 x 256 pixels of 1 m, this recipe {recipe.grid.n} of "
            f"{recipe.grid.resolution_m:g} m.",
            remedy="Use grid.n 256 and grid.resolution_m 1.",
        )


def clear_seer(space: Workspace) -> None:
    """Remove the layout."""
    shutil.rmtree(space.root / LAYOUT_NAME, ignore_errors=True)


def write_seer(space: Workspace, unit: str) -> list[Path]:
    """Write one map, or what describes all of them."""
    from rmtools.layouts import seer_writer

    config = space.recipe.layouts.seer
    if config is None:
        return []
    root, halve = space.root / LAYOUT_NAME, config.halve_vehicle_effect
    if unit == "description":
        names = seer_writer.write_description(space.store, space.scene, root, halve=halve)
    else:
        (s,) = indices(unit)
        names = seer_writer.write_scene(space.store, space.scene(s), root, s, halve=halve)
    return [root / name for name in names]
