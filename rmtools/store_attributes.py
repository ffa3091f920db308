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
from rmtools.traffic.tracks import VehicleSize

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from rmtools.grid import Grid
    from rmtools.scene import Scene

_Number = Annotated[float, Field(ge=-1e15, le=1e15, allow_inf_nan=False)]
_Metres = Annotated[float, Field(ge=-1e9, le=1e9, allow_inf_nan=False)]
_Size = Annotated[float, Field(gt=0, le=1e6, allow_inf_nan=False)]


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
    easting_m: _Metres | None
    northing_m: _Metres | None
    sha256: str
    provenance: _Source
    notes: dict[str, _Number | str] = {}


class _Root(_Attributes):
    """Those of the group."""

    rmtools_version: str
    resolution_m: _Size
    row_order: str
    licence: list[str]
    attribution: list[str]
    scenes: list[_SceneEntry]


class _Vehicles(_Attributes):
    """Those of the vehicle masks: the size of all vehicles."""

    vehicle_length_m: _Size
    vehicle_width_m: _Size
    vehicle_height_m: _Size


class _PathLoss(_Attributes):
    """Those of path loss: the solver and all of its constants."""

    solver: dict[str, Any] = {}


_Model = TypeVar("_Model", bound=_Attributes)


def check_root(values: Mapping[str, Any], scenes: int | None, where: Path) -> None:
    """Refuse attributes of the group that lack something, or hold what makes no sense.

    Parameters
    ----------
    values
        The attributes.
    scenes
        How many scenes the arrays have; None where there are no arrays yet.
    where
        The store.

    Raises
    ------
    InputError
        Names the first attribute that is wrong.
    """
    listed = len(_checked(_Root, values, where).scenes)
    if scenes not in (None, listed):
        raise _wrong("scenes", f"{listed:,} entries for {scenes:,} scenes", where)


def solver_of(values: Mapping[str, Any], where: Path) -> dict[str, Any]:
    """The solver that attributes of path loss name, with its constants; empty when they do not."""
    return _checked(_PathLoss, values, where).solver


def vehicle_size_of(values: Mapping[str, Any], where: Path) -> VehicleSize:
    """The size that attributes of vehicle masks name."""
    found = _checked(_Vehicles, values, where)
    return VehicleSize(found.vehicle_length_m, found.vehicle_width_m, found.vehicle_height_m)


def _checked(model: type[_Model], values: Mapping[str, Any], where: Path) -> _Model:
    try:
        return model.model_validate(dict(values))
    except ValidationError as error:
        place, _, problem = first_problem(error).partition(": ")
        name, _, inner = place.partition(".")
        raise _wrong(name, f"{inner}: {problem}" if inner else problem, where) from error


def _wrong(name: str, problem: str, where: Path) -> InputError:
    return InputError(
        f"attribute {name}: {problem}.",
        where=where,
        remedy="It was not written by rmtools, or changed; download it or build the dataset again.",
    )


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


def solver_words(solver: Mapping[str, Any]) -> str:
    """A solver, its preset and the carrier in words, as far as they are known."""
    words = [f"{solver.get('solver', 'unnamed')}"]
    if solver.get("name"):
        words.append(f"preset {solver['name']}")
    if isinstance(solver.get("frequency_mhz"), int | float):
        words.append(f"{solver['frequency_mhz'] / 1000:g} GHz")
    return ", ".join(words)
