"""What the attributes of a store say about the dataset, checked before anybody relies on them.

docs/store.md says the same in words. Further attributes may stand beside these.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from rmtools.errors import InputError
from rmtools.files import first_problem
from rmtools.names import SafeName
from rmtools.store_format import FORMAT

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from rmtools.grid import Grid
    from rmtools.scene import Scene

Number = Annotated[float, Field(ge=-1e15, le=1e15, allow_inf_nan=False)]
Metres = Annotated[float, Field(ge=-1e9, le=1e9, allow_inf_nan=False)]
Size = Annotated[float, Field(gt=0, le=1e6, allow_inf_nan=False)]


class _Attributes(BaseModel):
    """JSON values as they are: no text is taken for a number."""

    model_config = ConfigDict(strict=True)


class _Source(_Attributes):
    source: str
    reader: str
    sha256: str
    date: str | None
    licence: str
    attribution: str


class _SceneEntry(_Attributes):
    name: SafeName
    crs: str | None
    easting_m: Metres | None
    northing_m: Metres | None
    sha256: str
    provenance: _Source
    notes: dict[str, Number | str] = {}


class RootAttributes(_Attributes):
    """Those of the group."""

    rmtools_version: str
    resolution_m: Size
    row_order: str
    licence: list[str]
    attribution: list[str]
    scenes: list[_SceneEntry]


class VehicleAttributes(_Attributes):
    """Those of the vehicle masks: the size of all vehicles."""

    vehicle_length_m: Size
    vehicle_width_m: Size
    vehicle_height_m: Size


class SolverAttributes(_Attributes):
    """Those of path loss: the solver and all of its constants."""

    solver: dict[str, Any] = {}


_Model = TypeVar("_Model", bound=_Attributes)


def check_attributes(model: type[_Model], values: Mapping[str, Any], where: str | Path) -> _Model:
    """Attributes as a model.

    Parameters
    ----------
    model
        What they should be.
    values
        What was found.
    where
        Store or array that they belong to.

    Raises
    ------
    InputError
        One is missing or something else than it should be.
    """
    try:
        return model.model_validate(dict(values))
    except ValidationError as error:
        place, _, problem = first_problem(error).partition(": ")
        name, _, inner = place.partition(".")
        raise InputError(
            f"attribute {name}: {f'{inner}: ' if inner else ''}{problem}.",
            where=where,
            remedy="It was not written by rmtools, or changed; download it or build the dataset "
            "again.",
        ) from error


def root_attributes(grid: Grid, scenes: Sequence[Scene]) -> dict[str, Any]:
    """Attributes of the group: conventions, licence, and what every scene is."""
    from rmtools import __version__

    return {
        "Conventions": "CF-1.11",
        "rmtools_format": FORMAT,
        "rmtools_version": __version__,
        "resolution_m": grid.resolution_m,
        "row_order": "row 0 is north; x east, y north, origin at the tile's south-west corner",
        "licence": sorted({scene.provenance.licence for scene in scenes}),
        "attribution": sorted({scene.provenance.attribution for scene in scenes}),
        "scenes": [
            {
                "name": scene.name,
                "crs": scene.frame.crs,
                "easting_m": scene.frame.easting_m,
                "northing_m": scene.frame.northing_m,
                "sha256": scene.digest(),
                "provenance": scene.provenance.model_dump(mode="json"),
                "notes": scene.notes,
            }
            for scene in scenes
        ],
    }
