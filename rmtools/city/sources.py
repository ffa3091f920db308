"""From the sources named in a recipe to scenes.

A source is a local extract, a place or box to download, a folder in RadioMapSeer layout, or the
extract that comes with rmtools.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict, Field

from rmtools.city.tiles import TileChoice, choose_tiles, cut_scene
from rmtools.errors import InputError, RecipeError
from rmtools.files import sha256_file, sha256_json

if TYPE_CHECKING:
    from rmtools.city.citymap import CityMap
    from rmtools.city.config import CityConfig
    from rmtools.grid import Grid
    from rmtools.scene import Scene

DEMO, PLACE, BBOX, SEER = "demo", "place:", "bbox:", "seer:"


class SourceReport(BaseModel):
    """What became of one source; all of them together are ``tiles.json``."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    source: str = Field(description="File name, query or folder name")
    scenes: list[str] = Field(description="Names of the scenes made from it")
    notes: dict[str, int | float | str] = Field(
        default_factory=dict, description="Counts from reading it"
    )
    tiles: TileChoice | None = Field(
        default=None, description="Which tiles were taken and why not the rest; null for maps"
    )


def extract_path(source: str) -> Path | None:
    """File of a source that is a local extract; None for downloads and RadioMapSeer folders."""
    from rmtools.data import helsinki_path

    if source == DEMO:
        return helsinki_path()
    return None if source.startswith((PLACE, BBOX, SEER)) else Path(source)


def identify(source: str, maps: list[int] | None) -> dict[str, Any]:
    """What a source is, independent of where it lies: for keys and provenance.

    Downloads are identified by their query; the hash of the response goes into the provenance.

    Raises
    ------
    InputError
        A local source does not exist.
    """
    path = extract_path(source)
    if path is not None:
        if not path.is_file():
            raise InputError(
                "a folder, not an extract." if path.is_dir() else "no such extract.",
                where=path,
                remedy="Check the path; a place is written place:NAME, a box "
                "bbox:WEST,SOUTH,EAST,NORTH, a RadioMapSeer folder seer:FOLDER.",
            )
        return {"extract": path.name, "sha256": sha256_file(path)}
    if source.startswith(SEER):
        from rmtools.city.seer import list_maps, map_files

        folder = Path(source.removeprefix(SEER))
        ids = list_maps(folder) if maps is None else maps
        files = [path for i in ids for path in map_files(folder, i)]
        return {"seer": sha256_json([[path.name, sha256_file(path)] for path in files]), "ids": ids}
    return {"query": source}


def read_city(source: str, config: CityConfig) -> CityMap:
    """Read or download the city of one source."""
    path = extract_path(source)
    if path is not None:
        from rmtools.city.extract import read_extract

        return read_extract(path, config.heights)
    from rmtools.city.place import read_bbox, read_place

    cache = None if config.cache is None else Path(config.cache)
    if source.startswith(PLACE):
        query = source.removeprefix(PLACE)
        return read_place(query, heights=config.heights, cache=cache, contact=config.contact)
    box = _parse_bbox(source)
    return read_bbox(box, heights=config.heights, cache=cache, contact=config.contact)


def _parse_bbox(source: str) -> tuple[float, float, float, float]:
    """Numbers of ``bbox:west,south,east,north``."""
    try:
        west, south, east, north = (float(part) for part in source.removeprefix(BBOX).split(","))
    except ValueError as error:
        raise RecipeError(
            f"{source!r} does not hold four numbers.",
            where="city.source",
            remedy="Write bbox:WEST,SOUTH,EAST,NORTH in degrees.",
        ) from error
    return west, south, east, north


def build_scenes(
    config: CityConfig, grid: Grid, seed: int
) -> tuple[list[Scene], list[SourceReport]]:
    """Scenes of all sources.

    Parameters
    ----------
    config
        Sources, heights and tile rules.
    grid
        Raster grid of every scene; 256 pixels of 1 m for RadioMapSeer folders.
    seed
        The recipe's seed; matters only when tiles are shuffled.

    Returns
    -------
    scenes
        In the order of the sources and of their tiles.
    reports
        One for each source.

    Raises
    ------
    RecipeError
        No tile of any source passes the rules, or two scenes would have the same name.
    """
    scenes: list[Scene] = []
    reports: list[SourceReport] = []
    for source in config.sources:
        if source.startswith(SEER):
            folder = Path(source.removeprefix(SEER))
            found = _seer_scenes(folder, config, grid)
            report = SourceReport(source=folder.name, scenes=[scene.name for scene in found])
        else:
            city = read_city(source, config)
            choice = choose_tiles(city, grid, config.tiles, seed)
            found = [cut_scene(city, tile, grid) for tile in choice.accepted]
            report = SourceReport(
                source=city.provenance.source,
                scenes=[scene.name for scene in found],
                notes=city.notes,
                tiles=choice,
            )
        scenes += found
        reports.append(report)
    if not scenes:
        reasons = {t.reason for report in reports if report.tiles for t in report.tiles.rejected}
        raise RecipeError(
            f"no tile of {', '.join(report.source for report in reports)} passes the rules "
            f"({'; '.join(sorted(reasons)[:4]) or 'the area holds no full tile'}).",
            where="city.tiles",
            remedy="Relax city.tiles (stride_m, margin_m, building share, min_road_m), choose a "
            "smaller grid, or give a larger extract.",
        )
    names = Counter(scene.name for scene in scenes)
    twice = [name for name, times in names.items() if times > 1]
    if twice:
        raise RecipeError(
            f"{len(twice)} scene names occur more than once, the first is {twice[0]}.",
            where="city.source",
            remedy="Give every source and map once, and extracts different file names.",
        )
    return scenes, reports


def _seer_scenes(folder: Path, config: CityConfig, grid: Grid) -> list[Scene]:
    """Scenes of a RadioMapSeer folder."""
    from rmtools.city.seer import list_maps, read_map

    if (grid.n, grid.resolution_m) != (256, 1.0):
        raise RecipeError(
            f"RadioMapSeer maps have 256 pixels of 1 m, the recipe asks for {grid.n} of "
            f"{grid.resolution_m} m.",
            where="grid",
            remedy="Leave the grid at its default for RadioMapSeer folders.",
        )
    ids = list_maps(folder) if config.maps is None else config.maps
    return [
        read_map(folder, i, height_m=config.heights.fixed_m, road_width_m=config.road_width_m)
        for i in ids
    ]
