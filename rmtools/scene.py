"""A scene: one environment in vector form, in local metres, with its provenance.

On disk a scene is a GeoJSON FeatureCollection in local metric coordinates (x east, y north,
origin at the tile's south-west corner) with one extra member ``rmtools`` that holds everything
else; ``schemas/scene.schema.json`` describes it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

import shapely
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from shapely.geometry import LineString, Polygon, mapping, shape

from rmtools.errors import InputError
from rmtools.files import read_json, sha256_json, write_json
from rmtools.grid import Grid
from rmtools.names import SafeName

if TYPE_CHECKING:
    from pathlib import Path

HeightSource = Literal["tag", "levels", "default", "dataset"]
WidthSource = Literal["tag", "lanes", "class", "dataset", "area"]

COORDINATE_DECIMALS = 3
"""Scene coordinates are kept to the millimetre."""

MAX_SCENE_BYTES = 64 * 2**20


@dataclass(frozen=True)
class Building:
    """A vertical prism with a flat roof.

    Attributes
    ----------
    polygon
        Footprint in local metres; interior rings are courtyards.
    height_m
        Height of the roof above the street.
    height_source
        Where the height came from: an OSM height tag, the number of levels, the default of the
        policy, or the dataset itself.
    """

    polygon: Polygon
    height_m: float
    height_source: HeightSource


@dataclass(frozen=True)
class Road:
    """A drivable road or square.

    Attributes
    ----------
    shape
        Centre line, or the outline of a square (``width_source == "area"``), in local metres.
    width_m
        Full width; 0 for a square.
    width_source
        An OSM width tag, lanes times lane width, the class default, or the dataset itself.
    kind
        OSM ``highway`` class, or ``"road"`` when the source has no classes.
    """

    shape: LineString | Polygon
    width_m: float
    width_source: WidthSource
    kind: str


class Provenance(BaseModel):
    """Where a scene came from; travels with it into every file made from it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    source: str = Field(description="File name or query the scene was read from")
    reader: Literal["osm-extract", "osm-place", "radiomapseer"]
    sha256: str = Field(description="SHA-256 of the source (file, response or scene files)")
    date: str | None = Field(
        description="Date of the data (ISO 8601), null when the source has none"
    )
    licence: str = Field(description="SPDX id or name of the licence of the source data")
    attribution: str = Field(description="Attribution that must accompany anything made of it")


class Frame(BaseModel):
    """The raster frame of a scene and its place on the ground."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    n: int = Field(ge=8, le=8192, description="Pixels per side")
    resolution_m: float = Field(gt=0, description="Side of a pixel in metres")
    crs: str | None = Field(
        default=None, description="Projected CRS of the origin, such as EPSG:32635"
    )
    easting_m: float | None = Field(default=None, description="Easting of the south-west corner")
    northing_m: float | None = Field(default=None, description="Northing of the south-west corner")


class SceneMember(BaseModel):
    """The ``rmtools`` member of a scene file."""

    model_config = ConfigDict(extra="forbid")

    kind: Literal["scene"] = "scene"
    format: Literal[1] = 1
    name: SafeName
    frame: Frame
    provenance: Provenance
    notes: dict[str, int | float | str] = Field(
        default_factory=dict, description="Counts from reading: guessed heights, skipped objects"
    )


@dataclass(frozen=True)
class Scene:
    """One environment.

    Attributes
    ----------
    name
        Unique within a dataset, such as ``"helsinki_r02_c01"``.
    frame
        Raster frame and place on the ground.
    buildings
        Clipped to the tile.
    roads
        Squares clipped to the tile, centre lines to the tile and half their width beyond it, so
        that the surface inside the tile is complete.
    provenance
        Source, its hash and date, licence.
    notes
        Counts from reading the source.
    """

    name: str
    frame: Frame
    buildings: tuple[Building, ...]
    roads: tuple[Road, ...]
    provenance: Provenance
    notes: dict[str, int | float | str] = field(default_factory=dict)

    @property
    def grid(self) -> Grid:
        """The raster grid."""
        return Grid(self.frame.n, self.frame.resolution_m)

    def to_dict(self) -> dict[str, Any]:
        """The scene as a GeoJSON FeatureCollection."""
        features = [
            {
                "type": "Feature",
                "geometry": _rounded(building.polygon),
                "properties": {
                    "layer": "building",
                    "height_m": round(building.height_m, COORDINATE_DECIMALS),
                    "height_source": building.height_source,
                },
            }
            for building in self.buildings
        ]
        features += [
            {
                "type": "Feature",
                "geometry": _rounded(road.shape),
                "properties": {
                    "layer": "road",
                    "width_m": round(road.width_m, COORDINATE_DECIMALS),
                    "width_source": road.width_source,
                    "kind": road.kind,
                },
            }
            for road in self.roads
        ]
        member = SceneMember(
            name=self.name, frame=self.frame, provenance=self.provenance, notes=self.notes
        )
        return {
            "type": "FeatureCollection",
            "rmtools": member.model_dump(mode="json"),
            "features": features,
        }

    @classmethod
    def from_dict(cls, data: Any, where: str | Path = "scene") -> Scene:
        """Read a scene back from its GeoJSON form.

        Raises
        ------
        InputError
            Something is missing or out of range; the message says which member or feature.
        """
        try:
            member = SceneMember.model_validate(data["rmtools"])
            buildings: list[Building] = []
            roads: list[Road] = []
            for feature in data["features"]:
                properties = feature["properties"]
                geometry: Any = shape(feature["geometry"])
                if properties["layer"] == "building":
                    buildings.append(
                        Building(
                            geometry, float(properties["height_m"]), properties["height_source"]
                        )
                    )
                else:
                    roads.append(
                        Road(
                            geometry,
                            float(properties["width_m"]),
                            properties["width_source"],
                            str(properties["kind"]),
                        )
                    )
        except (ValidationError, KeyError, TypeError, ValueError, shapely.errors.ShapelyError) as e:
            raise InputError(
                f"not a scene file ({type(e).__name__}: {e}).",
                where=where,
                remedy="Build the scenes again with `rmtools build-scenes`.",
            ) from e
        return cls(
            member.name,
            member.frame,
            tuple(buildings),
            tuple(roads),
            member.provenance,
            member.notes,
        )

    def digest(self) -> str:
        """SHA-256 of the scene's canonical text."""
        return sha256_json(self.to_dict())

    def write(self, path: Path) -> None:
        """Write the scene as GeoJSON."""
        write_json(path, self.to_dict())

    @classmethod
    def read(cls, path: Path) -> Scene:
        """Read a scene written by :meth:`write`."""
        return cls.from_dict(read_json(path, MAX_SCENE_BYTES), path)


def _rounded(geometry: LineString | Polygon) -> dict[str, Any]:
    """GeoJSON geometry with coordinates to the millimetre."""

    def coordinates(value: Any) -> Any:
        if isinstance(value, float | int):
            return round(float(value), COORDINATE_DECIMALS)
        return [coordinates(part) for part in value]

    plain = mapping(geometry)
    return {"type": plain["type"], "coordinates": coordinates(plain["coordinates"])}
