"""Where the scenes of a dataset come from, as a section of the recipe."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from rmtools.city.heights import HeightRules
from rmtools.city.tiles import TileRules


class CityConfig(BaseModel):
    """Where scenes come from."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    source: str | Annotated[list[str], Field(min_length=1)] = Field(
        default="demo",
        description="A local extract (.osm.pbf, .osm, .osm.gz, .osm.bz2), 'place:NAME', "
        "'bbox:WEST,SOUTH,EAST,NORTH', 'seer:FOLDER' (RadioMapSeer layout), 'demo' (the Helsinki "
        "extract that comes with rmtools), or a list of these",
    )
    heights: HeightRules = Field(default_factory=HeightRules, description="Heights of buildings")
    tiles: TileRules = Field(
        default_factory=TileRules, description="Which squares of each source become scenes"
    )
    maps: Annotated[list[int], Field(min_length=1)] | None = Field(
        default=None, description="Map ids to take from a RadioMapSeer folder; all when null"
    )
    road_width_m: float = Field(
        default=10.0,
        gt=0,
        le=60,
        description="Road width for RadioMapSeer maps, which give none; 10 m fits the cars on them",
    )
    cache: str | None = Field(
        default=None, description="Folder for downloaded responses; the user's cache when null"
    )
    contact: str | None = Field(
        default=None,
        description="Address or URL sent along with downloads, so that the servers' operators "
        "can reach you",
    )

    @property
    def sources(self) -> list[str]:
        """The sources as a list."""
        return [self.source] if isinstance(self.source, str) else list(self.source)
