"""Which file layouts are written from the store, as a section of the recipe."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

from rmtools.layouts.maps import ScaleName
from rmtools.layouts.motion_format import Names
from rmtools.layouts.packed_format import Values


class MotionConfig(BaseModel):
    """The RadioMapMotion layout."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    names: Names = Field(
        default="paper",
        description="File names: as the paper describes (00.png), as the released loader reads "
        "(gain/.../frame_0.png), or both",
    )


class SeerConfig(BaseModel):
    """The RadioMapSeer layout."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    halve_vehicle_effect: bool = Field(
        default=True,
        description="Halve what vehicles cost in the maps with cars, as RadioMapSeer's authors did",
    )


class Hdf5Config(BaseModel):
    """The HDF5 layout; there is nothing to choose."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class PackedConfig(BaseModel):
    """The packed training cache."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    values: Values = Field(
        default="uint8",
        description="Grey levels (uint8, what published models train on) or path loss in dB",
    )
    scale: ScaleName = Field(default="radiomapmotion", description="Scale of the grey levels")


class LayoutsConfig(BaseModel):
    """Which file layouts are written from the store."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    motion: MotionConfig | None = Field(
        default_factory=MotionConfig, description="RadioMapMotion's trees; null for none"
    )
    seer: SeerConfig | None = Field(
        default=None,
        description="RadioMapSeer's tree; needs solver.static_maps; null for none, {} for the "
        "defaults",
    )
    hdf5: Hdf5Config | None = Field(
        default=None, description="One HDF5 file, dataset.h5; null for none, {} for it"
    )
    packed: PackedConfig | None = Field(
        default=None,
        description="A training cache that is mapped into memory; null for none, {} for the "
        "defaults",
    )
