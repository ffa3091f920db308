"""What a recipe would make, without making it."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rmtools.run.recipe import Recipe


def plan(recipe: Recipe) -> dict[str, int]:
    """Count what a recipe would make; reads the city, writes nothing.

    Returns
    -------
    dict
        Numbers of scenes, sequences, radio maps and layout files, and the size of the path loss
        before compression in bytes.
    """
    from rmtools.city.sources import build_scenes

    recipe.solver.describe()  # refuses unknown presets and constants
    scenes, _ = build_scenes(recipe.city, recipe.grid.build(), recipe.seed)
    units = len(scenes) * recipe.traffic.trajectories
    sequences = units * recipe.transmitters.count
    moving = sequences * recipe.traffic.frames
    static = len(scenes) * recipe.transmitters.count if recipe.solver.static_maps else 0
    maps = moving + static
    layout = recipe.layouts.motion
    return {
        "scenes": len(scenes),
        "units": units,
        "sequences": sequences,
        "maps": maps,
        "motion_maps": 0 if layout is None else moving,
        "pathloss_bytes_uncompressed": maps * recipe.grid.n**2 * 4,
    }
