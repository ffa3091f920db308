"""A dataset that is made in a second or two, and its digests wherever its store lies."""

from __future__ import annotations

from pathlib import Path

from chaos import digests

from rmtools.run.recipe import Recipe, load_recipe

DEMO = Path(__file__).resolve().parent.parent / "pipelines" / "demo.yaml"
SMALL = [
    "name=small",
    "grid.n=32",
    "city.tiles.count=3",
    "city.tiles.min_road_m=20",
    "solver.static_maps=false",
    "traffic.trajectories=1",
    "traffic.frames=2",
    "traffic.vehicles=2",
    "transmitters.count=2",
    "transmitters.clear_of_roads=false",
    "split.kind=random",
]

__all__ = ["DEMO", "SMALL", "digests", "small"]


def small(*more: str) -> Recipe:
    """Three scenes of 32 pixels, one trajectory of two frames, two transmitters: 12 maps."""
    return load_recipe(DEMO, [*SMALL, *more])
