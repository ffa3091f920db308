"""Where the transmitters of a scene stand."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from rmtools.errors import RecipeError
from rmtools.seeds import generator
from rmtools.traffic.config import TrafficConfig
from rmtools.traffic.drivable import drivable_area, square_distance

if TYPE_CHECKING:
    from rmtools.grid import Grid
    from rmtools.scene import Scene
    from rmtools.types import BoolArray, FloatArray


class PlacementConfig(BaseModel):
    """How the transmitters of a scene are placed; defaults see docs/traffic.md."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    count: int = Field(default=20, ge=1, le=10_000, description="Transmitters per scene")
    height_m: float = Field(default=1.5, gt=0, description="Height above the street in metres")
    margin_m: float | None = Field(
        default=None,
        ge=0,
        description="Least distance to the edge of the tile in metres; null: 53/256 of its side, "
        "which leaves RadioMapSeer's central box of 150 m in a tile of 256 m",
    )
    min_spacing_m: float = Field(
        default=5.0, ge=0, description="Least distance between two transmitters in metres"
    )
    min_wall_m: float = Field(
        default=1.0, ge=0, description="Least distance to pixels touched by a building, in metres"
    )
    clear_of_roads: bool = Field(
        default=True, description="Keep transmitters where no vehicle can drive over them"
    )
    courtyards: bool = Field(
        default=False,
        description="Also use places from which no road can be reached without crossing a building",
    )
    position: Literal["centre", "corner"] = Field(
        default="centre", description="Place transmitters on pixel centres or on pixel corners"
    )


MARGIN_SHARE = 53 / 256
"""Default margin as a share of the tile's side: RadioMapSeer's transmitters span 53 to 202 m."""


def place(
    obstacle: BoolArray,
    drivable: BoolArray,
    grid: Grid,
    config: PlacementConfig,
    rng: np.random.Generator,
    *,
    vehicle_reach_m: float,
    where: str = "scene",
) -> FloatArray:
    """Random transmitter positions.

    The centres (or corners) of pixels are visited in random order. One is taken when it

    - keeps `margin_m` from all four edges of the tile,
    - is not on a pixel that a building touches and keeps `min_wall_m` from all of these,
    - is farther than `vehicle_reach_m` from every pixel where the centre of a vehicle may be, so
      that none can drive over it (unless `clear_of_roads` is off),
    - is not in a closed courtyard (unless `courtyards` is on, or there are no roads at all), and
    - keeps `min_spacing_m` from all that were taken before.

    All distances are to whole pixel squares.

    Parameters
    ----------
    obstacle
        Every pixel that a building touches, shape (n, n).
    drivable
        Pixels where the centre of a vehicle may be, shape (n, n).
    grid
        Frame of both.
    config
        The rules.
    rng
        Decides the order.
    vehicle_reach_m
        Half the diagonal of a vehicle.
    where
        Name of the scene, for the message.

    Returns
    -------
    ndarray, shape (K, 3)
        x, y and height in metres.

    Raises
    ------
    RecipeError
        The scene has no room for ``config.count`` transmitters.
    """
    pixels = slice(1, None, 2) if config.position == "centre" else slice(0, None, 2)
    r = grid.resolution_m
    wall_m = square_distance(obstacle)[pixels, pixels] * r
    free = (wall_m > 0) & (wall_m >= config.min_wall_m)
    if not config.courtyards and drivable.any():
        free &= square_distance(_street_side(obstacle, drivable))[pixels, pixels] == 0
    near_road = np.zeros_like(free)
    if config.clear_of_roads:
        near_road = square_distance(drivable)[pixels, pixels] * r <= vehicle_reach_m
    rows, cols = np.nonzero(free & ~near_road)
    half = 0.5 if config.position == "centre" else 0.0
    x, y = (cols + half) * r, grid.size_m - (rows + half) * r
    margin_m = MARGIN_SHARE * grid.size_m if config.margin_m is None else config.margin_m
    inside = np.minimum.reduce([x, y, grid.size_m - x, grid.size_m - y]) >= margin_m
    inside &= grid.contains(x, y)
    x, y = x[inside], y[inside]
    order = rng.permutation(x.size)
    x, y = x[order], y[order]
    far = np.ones(x.size, bool)
    chosen: list[tuple[float, float, float]] = []
    for i in range(x.size):
        if len(chosen) == config.count:
            break
        if far[i]:
            chosen.append((float(x[i]), float(y[i]), config.height_m))
            far &= (x - x[i]) ** 2 + (y - y[i]) ** 2 >= config.min_spacing_m**2
            far[i] = False
    if len(chosen) < config.count:
        raise RecipeError(
            f"there is room for {len(chosen)} of {config.count} transmitters.",
            where=where,
            remedy=_remedy(config, room=bool(x.size), unbuilt=bool(free.any())),
        )
    return np.array(chosen)


def _street_side(obstacle: BoolArray, drivable: BoolArray) -> BoolArray:
    """Pixels connected to the drivable ones without crossing a building, shape (n, n)."""
    from scipy.ndimage import label

    parts, _ = label(~obstacle)
    return np.isin(parts, np.setdiff1d(parts[drivable], [0]))


def place_scene(
    scene: Scene, config: PlacementConfig, seed: int, traffic: TrafficConfig | None = None
) -> FloatArray:
    """Transmitter positions of a scene, the same for all its trajectories.

    Parameters
    ----------
    scene
        Its buildings and roads decide where there is room.
    config
        The rules, see :func:`place`.
    seed
        The recipe's seed; the scene's name is mixed in.
    traffic
        Size of the vehicles; the default sizes when not given.

    Returns
    -------
    ndarray, shape (K, 3)
        x, y and height in metres.

    Raises
    ------
    RecipeError
        The scene has no room for that many.
    """
    from rmtools.city.rasters import road_mask, touched_mask

    size = (traffic or TrafficConfig()).size
    obstacle = touched_mask(scene)
    return place(
        obstacle,
        drivable_area(road_mask(scene), obstacle, scene.grid, size.width_m / 2),
        scene.grid,
        config,
        generator(seed, "transmitters", scene.name),
        vehicle_reach_m=float(np.hypot(size.length_m, size.width_m)) / 2,
        where=scene.name,
    )


def _remedy(config: PlacementConfig, *, room: bool, unbuilt: bool) -> str:
    """Which options to relax."""
    if room:
        return (
            "Lower min_spacing_m or count, or relax margin_m, min_wall_m, clear_of_roads or "
            "courtyards."
        )
    if not unbuilt:
        return "Everything is built up: lower min_wall_m, or leave the scene out."
    options = ["margin_m"] + ["clear_of_roads"] * config.clear_of_roads
    options += ["courtyards"] * (not config.courtyards)
    return f"Relax {' or '.join(options)}: they leave no place at all."
