"""Which squares of a city become scenes, and cutting them out.

Tiles lie on a regular grid anchored at the north-west corner of the area that the data fully
covers, less a margin; rows count southwards, columns eastwards. Every tile that is not taken is
listed with the reason.
"""

from __future__ import annotations

import math
from collections import Counter
from typing import TYPE_CHECKING, Literal

import shapely
from pydantic import BaseModel, ConfigDict, Field, model_validator
from shapely.affinity import translate
from shapely.geometry import LineString, Polygon

from rmtools.city.areas import polygons_of
from rmtools.city.rasters import building_mask
from rmtools.errors import InputError
from rmtools.scene import COORDINATE_DECIMALS, Building, Frame, Road, Scene
from rmtools.seeds import generator

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rmtools.city.citymap import Bounds, CityMap
    from rmtools.grid import Grid

_MILLIMETRE = 10.0**-COORDINATE_DECIMALS

MAX_TILES = 1_000_000
"""65,000 square kilometres of scenes side by side, more than any city has."""

Cause = Literal["outside", "not_needed", "spacing", "building_share", "road_length"]


class TileRules(BaseModel):
    """Which tiles of a city become scenes."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    stride_m: float | None = Field(
        default=None,
        ge=1,
        description="Distance between neighbouring tiles; null: their size, so none overlap",
    )
    margin_m: float = Field(
        default=20.0,
        ge=0,
        description="Distance kept from the edge of the data, where objects may be cut off",
    )
    min_spacing_m: float | None = Field(
        default=None, gt=0, description="Smallest distance between the centres of two scenes"
    )
    min_building_share: float = Field(
        default=0.10, ge=0, le=1, description="Smallest share of building pixels"
    )
    max_building_share: float = Field(
        default=0.60, ge=0, le=1, description="Largest share of building pixels"
    )
    min_road_m: float = Field(
        default=200.0, ge=0, description="Smallest length of drivable centre lines in metres"
    )
    count: int | None = Field(
        default=None, ge=1, description="Scenes wanted of each source; null: all"
    )
    order: Literal["scan", "shuffle"] = Field(
        default="scan",
        description="scan: row by row from the north-west; shuffle: in an order drawn by the seed",
    )

    @model_validator(mode="after")
    def _ordered(self) -> TileRules:
        if self.min_building_share > self.max_building_share:
            raise ValueError("min_building_share must not be above max_building_share")
        return self


class Tile(BaseModel):
    """A scene's square in the city."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(description="Name of the scene")
    row: int = Field(ge=0, description="Counted from the north")
    col: int = Field(ge=0, description="Counted from the west")
    easting_m: float = Field(description="Easting of the south-west corner")
    northing_m: float = Field(description="Northing of the south-west corner")


class AcceptedTile(Tile):
    """A tile that becomes a scene."""

    building_share: float = Field(description="Share of building pixels")
    road_m: float = Field(description="Length of drivable centre lines in metres")


class RejectedTile(Tile):
    """A tile that does not become a scene."""

    cause: Cause = Field(description="The rule that decided")
    reason: str = Field(description="The rule with its figures")


class TileChoice(BaseModel):
    """What was chosen and why not the rest; written to tiles.json."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    city: str
    crs: str
    size_m: float = Field(description="Side of a tile in metres")
    seed: int
    rules: TileRules
    accepted: list[AcceptedTile] = Field(description="In the order they were chosen")
    rejected: list[RejectedTile] = Field(description="In the order they were looked at")

    def causes(self) -> dict[str, int]:
        """How many tiles each rule rejected."""
        return dict(sorted(Counter(tile.cause for tile in self.rejected).items()))


def choose_tiles(city: CityMap, grid: Grid, rules: TileRules, seed: int) -> TileChoice:
    """Look at every tile of the city's grid and take those that fit the rules.

    Parameters
    ----------
    city
        The city.
    grid
        Raster grid of a scene; its size is the size of a tile.
    rules
        What a scene must have.
    seed
        Decides the order when the rules say ``"shuffle"``.

    Returns
    -------
    TileChoice
        Deterministic; may have no accepted tile, then `causes` says why.
    """
    tiles = list(_lattice(city, grid, rules))
    if rules.order == "shuffle":
        tiles = [tiles[k] for k in generator(seed, "tiles", city.name).permutation(len(tiles))]
    accepted: list[AcceptedTile] = []
    rejected: list[RejectedTile] = []
    for tile in tiles:
        verdict = _before_cutting(city, tile, grid, rules, accepted)
        if verdict is None:
            scene = cut_scene(city, tile, grid)
            share = float(building_mask(scene).mean())
            road_m = road_length_m(scene)
            verdict = _after_cutting(share, road_m, rules)
        if verdict is None:
            accepted.append(
                AcceptedTile(
                    **tile.model_dump(), building_share=round(share, 4), road_m=round(road_m, 1)
                )
            )
        else:
            cause, reason = verdict
            rejected.append(RejectedTile(**tile.model_dump(), cause=cause, reason=reason))
    return TileChoice(
        city=city.name,
        crs=city.crs,
        size_m=grid.size_m,
        seed=seed,
        rules=rules,
        accepted=accepted,
        rejected=rejected,
    )


def cut_scene(city: CityMap, tile: Tile, grid: Grid) -> Scene:
    """Cut one tile out of a city.

    Parameters
    ----------
    city
        The city.
    tile
        Where to cut.
    grid
        Raster grid of the scene.

    Returns
    -------
    Scene
        In local metres rounded to the millimetre; all polygons are valid. Buildings and squares
        are clipped to the tile. Centre lines go on for half their width beyond it, so that the
        surface within the tile is the same as in the city, whatever runs along or across an edge.
        A building or road that is cut into pieces becomes several.
    """
    west, south = tile.easting_m, tile.northing_m
    square = (west, south, west + grid.size_m, south + grid.size_m)
    reach_m = max((road.width_m for road in city.roads), default=0.0) / 2
    buildings = tuple(
        Building(polygon, building.height_m, building.height_source)
        for building in (city.buildings[k] for k in _near(city.building_index, square))
        for polygon in _cut_polygon(building.polygon, square)
    )
    roads = tuple(
        Road(piece, road.width_m, road.width_source, road.kind)
        for road in (city.roads[k] for k in _near(city.road_index, _grown(square, reach_m)))
        for piece in _cut_road(road, square)
    )
    notes: dict[str, int | float | str] = {"buildings": len(buildings), "roads": len(roads)}
    notes |= Counter(f"heights_from_{building.height_source}" for building in buildings)
    notes |= Counter(f"widths_from_{road.width_source}" for road in roads)
    notes |= {f"city_{key}": value for key, value in city.notes.items()}
    frame = Frame(
        n=grid.n,
        resolution_m=grid.resolution_m,
        crs=city.crs,
        easting_m=west,
        northing_m=south,
    )
    return Scene(tile.name, frame, buildings, roads, city.provenance, notes)


def road_length_m(scene: Scene) -> float:
    """Length of the drivable centre lines within a scene's tile in metres; squares have none."""
    size_m = scene.grid.size_m
    lines = [road.shape for road in scene.roads if road.width_source != "area"]
    return float(shapely.length(shapely.clip_by_rect(lines, 0, 0, size_m, size_m)).sum())


def _lattice(city: CityMap, grid: Grid, rules: TileRules) -> Iterator[Tile]:
    """All tiles that overlap the usable area, row by row, on whole metres."""
    minx, miny, maxx, maxy = _usable(city, rules)
    stride, size = rules.stride_m or grid.size_m, grid.size_m
    west, north = math.ceil(minx), math.floor(maxy)
    rows = max(math.ceil((north - miny) / stride), 0)
    cols = max(math.ceil((maxx - west) / stride), 0)
    if rows * cols > MAX_TILES:
        raise InputError(
            f"an area of {(maxx - minx) / 1000:,.0f} by {(maxy - miny) / 1000:,.0f} km has "
            f"{rows * cols:,} tiles; at most {MAX_TILES:,} are looked at.",
            where=city.provenance.source,
            remedy="Cut the extract with a smaller bounding box, or raise city.tiles.stride_m.",
        )
    for row in range(rows):
        for col in range(cols):
            yield Tile(
                name=f"{city.name}_r{row:02d}_c{col:02d}",
                row=row,
                col=col,
                easting_m=west + col * stride,
                northing_m=north - row * stride - size,
            )


def _usable(city: CityMap, rules: TileRules) -> Bounds:
    return _grown(city.bounds, -rules.margin_m)


def _before_cutting(
    city: CityMap, tile: Tile, grid: Grid, rules: TileRules, accepted: list[AcceptedTile]
) -> tuple[Cause, str] | None:
    _, miny, maxx, _ = _usable(city, rules)
    beyond = max(tile.easting_m + grid.size_m - maxx, miny - tile.northing_m)
    if beyond > 0:
        return "outside", f"outside the data less its margin by {beyond:.0f} m"
    if rules.count is not None and len(accepted) >= rules.count:
        return "not_needed", f"not needed: {len(accepted)} scenes chosen"
    spacing = rules.min_spacing_m or 0.0
    for other in accepted:
        apart = math.hypot(tile.easting_m - other.easting_m, tile.northing_m - other.northing_m)
        if apart < spacing:
            return "spacing", f"{apart:.0f} m from {other.name} < {spacing:g} m"
    return None


def _after_cutting(share: float, road_m: float, rules: TileRules) -> tuple[Cause, str] | None:
    if share < rules.min_building_share:
        return "building_share", f"building share {share:.3f} < {rules.min_building_share:g}"
    if share > rules.max_building_share:
        return "building_share", f"building share {share:.3f} > {rules.max_building_share:g}"
    if road_m < rules.min_road_m:
        return "road_length", f"drivable roads {road_m:.0f} m < {rules.min_road_m:g} m"
    return None


def _grown(bounds: Bounds, margin_m: float) -> Bounds:
    """Bounds with a margin added on every side."""
    minx, miny, maxx, maxy = bounds
    return minx - margin_m, miny - margin_m, maxx + margin_m, maxy + margin_m


def _near(index: shapely.STRtree, square: Bounds) -> list[int]:
    """Items that meet a square, in their original order."""
    return sorted(int(k) for k in index.query(shapely.box(*square), predicate="intersects"))


def _cut_polygon(polygon: Polygon, square: Bounds) -> list[Polygon]:
    """Clip to the tile and move to local metres on the millimetre grid; the pieces are valid."""
    clipped = translate(polygon.intersection(shapely.box(*square)), -square[0], -square[1])
    return polygons_of(shapely.set_precision(clipped, _MILLIMETRE))


def _cut_road(road: Road, square: Bounds) -> list[LineString | Polygon]:
    """Clip a square to the tile and a centre line to where its surface can reach the tile."""
    if isinstance(road.shape, Polygon):
        return list(_cut_polygon(road.shape, square))
    # Unlike an intersection, clipping leaves a line that crosses itself in one piece.
    clipped = shapely.clip_by_rect(road.shape, *_grown(square, road.width_m / 2))
    clipped = translate(clipped, -square[0], -square[1])
    rounded = shapely.set_precision(clipped, _MILLIMETRE, mode="pointwise")
    return [line for line in shapely.get_parts(rounded) if line.length > 0]
