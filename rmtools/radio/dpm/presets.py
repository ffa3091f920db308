"""The constants of the Dominant Path Model and the named sets of them.

The field ``evidence`` of each set says what it rests on; ``docs/dpm.md`` has the measurements.
"""

from __future__ import annotations

import math
from typing import Any, Literal

from pydantic import Field, model_validator

from rmtools.radio.presets import NamedPreset, change
from rmtools.units import SPEED_OF_LIGHT_M_PER_S, free_space_loss_1m_db


class Preset(NamedPreset):
    """Every constant of the model; frozen, and unknown names are refused."""

    frequency_mhz: float = Field(ge=100, le=100_000, description="Carrier frequency")
    p_los: float = Field(ge=1, le=10, description="Exponent with line of sight")
    p_olos: float = Field(ge=1, le=10, description="Exponent without line of sight")
    p_los_after: float | None = Field(
        default=None, ge=1, le=10, description="The same beyond the breakpoint; null: unchanged"
    )
    p_olos_after: float | None = Field(
        default=None, ge=1, le=10, description="The same beyond the breakpoint; null: unchanged"
    )
    breakpoint_factor: float = Field(
        default=4 * math.pi, gt=0, description="Breakpoint = factor * h_t * h_r / wavelength"
    )
    bend_offset_db: float = Field(ge=0, le=30, description="Loss of a bend of 0 degrees")
    bend_max_db: float = Field(ge=0, le=30, description="Largest loss of one bend")
    bend_break_deg: float = Field(
        default=70.0, gt=0, le=180, description="Angle from which the largest loss applies"
    )
    roof_db_per_m: float = Field(
        default=0.0, ge=0, le=10, description="Extra loss per metre of an over-roof leg"
    )
    roof_offset_m: float = Field(
        description="Height of over-roof bends above the roof (negative: below)"
    )
    vehicle_clearance_m: float = Field(
        default=0.5, ge=0, le=20, description="Height of bends over vehicles above their roofs"
    )
    receiver_height_m: float = Field(default=1.5, gt=0, description="Height of the radio map")
    near_field: Literal["plain", "grid"] = Field(
        default="plain",
        description="'grid': one pixel sideways on the eight main directions of a transmitter "
        "that stands on a pixel centre",
    )
    min_distance_m: float = Field(default=1.0, gt=0, description="Floor of the path length")

    @model_validator(mode="after")
    def _ordered(self) -> Preset:
        if self.bend_max_db < self.bend_offset_db:
            raise ValueError("bend_max_db must not be below bend_offset_db")
        return self

    @property
    def loss_1m_db(self) -> float:
        """Free-space loss over one metre in dB."""
        return free_space_loss_1m_db(self.frequency_mhz)

    def breakpoint_m(self, transmitter_height_m: float) -> float:
        """Breakpoint distance in metres, ``factor * h_t * h_r / wavelength``."""
        wavelength = SPEED_OF_LIGHT_M_PER_S / (self.frequency_mhz * 1e6)
        return self.breakpoint_factor * transmitter_height_m * self.receiver_height_m / wavelength

    def bend_height_m(self, building_height_m: float) -> float:
        """Height at which paths cross a building, in metres above the street.

        A negative offset takes away at most half of what rises above the receiver, so that a
        building higher than the receiver always stands in its way; the offset itself is known for
        25 m roofs only.
        """
        rise = building_height_m - self.receiver_height_m
        if rise <= 0:
            return building_height_m
        return max(building_height_m + self.roof_offset_m, self.receiver_height_m + rise / 2)


PRESETS: dict[str, Preset] = {
    preset.name: preset
    for preset in (
        Preset(
            name="radiomapseer",
            evidence="fitted on true RadioMapSeer DPM maps (WinProp, 25 m roofs)",
            frequency_mhz=5900.0,
            p_los=2.5,
            p_olos=2.8,
            bend_offset_db=2.2,
            bend_max_db=13.0,
            roof_offset_m=-2.9,
            near_field="grid",
        ),
        Preset(
            name="winprop2021",
            evidence="fitted on WinProp API 2021 output with its default parameters; bend_max_db "
            "follows from the slope",
            frequency_mhz=2000.0,
            p_los=2.3,
            p_olos=2.5,
            bend_offset_db=2.2,
            bend_max_db=11.0,
            roof_db_per_m=0.05,
            roof_offset_m=1.0,
        ),
        Preset(
            name="radiomapmotion",
            evidence="inference: the paper gives carrier and heights only; the other constants "
            "are those of radiomapseer, and its clip limit of -39.5 dB rules out a 1 m floor",
            frequency_mhz=3500.0,
            p_los=2.5,
            p_olos=2.8,
            bend_offset_db=2.2,
            bend_max_db=13.0,
            roof_offset_m=-2.9,
            min_distance_m=0.7,
        ),
    )
}


def resolve(preset: Preset | str, overrides: dict[str, Any]) -> Preset:
    """Preset by name, with some of its constants replaced.

    Raises
    ------
    RecipeError
        Unknown preset or constant, or a value out of range.
    """
    return change(PRESETS, preset, overrides, "DPM")
