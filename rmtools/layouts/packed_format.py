"""``packed.json``: what the arrays of a packed cache are."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from rmtools.layouts.maps import ScaleName
from rmtools.layouts.motion_format import ROW_ORDER
from rmtools.names import SafeName

LAYOUT_NAME = "packed"
DESCRIPTION_NAME = "packed.json"

BUILDINGS, HEIGHT, ROADS = "buildings", "building_height", "roads"
VEHICLES, TRANSMITTERS = "vehicles", "transmitter_pixels"
"""Arrays beside the maps; a source that lacks a layer makes a cache without it."""

IMAGE_DIMS = ("scene", "y", "x")
TRANSMITTER_DIMS = ("scene", "tx", "row_col")
MASK_DIMS = ("scene", "traj", "frame", "y", "x")
MAP_DIMS = ("scene", "traj", "tx", "frame", "y", "x")

Values = Literal["uint8", "float16", "float32"]
Sha256 = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]

MEANING = {
    "uint8": "grey levels of the path gain on the scale; 0 = not computed or below the scale",
    "float16": "path loss in dB, positive, rounded to float16; NaN = not computed",
    "float32": "path loss in dB, positive; NaN = not computed",
}
"""What a value of a map is."""


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class PackedKind(_Part):
    """One family of maps; its array has the dimensions scene, traj, tx, frame, y, x."""

    traj: int = Field(ge=1, le=10_000)
    tx: int = Field(ge=1, le=10_000)
    frame: int = Field(ge=1, le=100_000)
    vehicles: bool = Field(description="Whether vehicles stood in the way")


class PackedScale(_Part):
    """The grey scale of the dataset."""

    name: ScaleName
    gain_min_db: float
    gain_max_db: float
    formula: str


class PackedArray(_Part):
    """One ``.npy`` file."""

    file: str = Field(pattern=r"^[A-Za-z0-9_]{1,80}\.npy$")
    dims: list[str]
    shape: list[Annotated[int, Field(ge=1)]] = Field(max_length=6)
    dtype: Literal["uint8", "float16", "float32", "int32"]
    meaning: str
    size: int = Field(ge=1, description="Bytes of the file")
    sha256: Sha256


class PackedDescription(_Part):
    """Everything one needs to read a packed cache."""

    kind: Literal["packed"] = "packed"
    format: Literal[1] = 1
    title: str
    rmtools_version: str
    source: str = Field(description="Layout it was made from")
    n: int = Field(ge=8, le=8192, description="Pixels per side")
    resolution_m: float = Field(gt=0, allow_inf_nan=False, description="Side of a pixel in metres")
    row_order: str = ROW_ORDER
    values: Values = Field(description="What the maps hold")
    scale: PackedScale
    scenes: list[SafeName] = Field(min_length=1, max_length=1_000_000, description="Names in order")
    kinds: dict[str, PackedKind] = Field(min_length=1)
    arrays: dict[str, PackedArray]
    licence: list[str]
    attribution: list[str]
