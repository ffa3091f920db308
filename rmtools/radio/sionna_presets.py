"""The parameters of the second solver, Sionna RT, and the named sets of them.

``docs/sionna.md`` says what they mean and how far the results are from other solvers'.
"""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, model_validator

from rmtools.radio.presets import NamedPreset, change

Material = Literal[
    "concrete", "brick", "glass", "marble", "wood", "metal", "medium_dry_ground", "wet_ground"
]

MATERIAL_GHZ: dict[str, tuple[float, float]] = {
    "concrete": (1.0, 100.0),
    "brick": (1.0, 40.0),
    "glass": (0.1, 100.0),
    "marble": (1.0, 60.0),
    "wood": (0.001, 100.0),
    "metal": (1.0, 100.0),
    "medium_dry_ground": (1.0, 10.0),
    "wet_ground": (1.0, 10.0),
}
"""Frequencies for which ITU-R P.2040 gives the constants of a material."""


class RayPreset(NamedPreset):
    """Every parameter of the ray tracer; frozen, and unknown names are refused."""

    frequency_mhz: float = Field(
        default=5900.0, ge=100, le=100_000, description="Carrier frequency"
    )
    max_interactions: int = Field(
        ge=0, le=8, description="Reflections and diffractions of one path, at most"
    )
    diffraction: bool = Field(default=True, description="At edges, at most once in a path")
    rays: int = Field(
        default=10_000,
        ge=100,
        le=10_000_000,
        description="Rays sent out to find the walls of paths; the time grows with it",
    )
    building_material: Material = Field(default="concrete", description="As in ITU-R P.2040")
    vehicle_material: Material = Field(default="metal", description="As in ITU-R P.2040")
    ground_material: Material | None = Field(
        default=None, description="As in ITU-R P.2040; null: no ground, nothing is reflected there"
    )
    thickness_m: float = Field(
        default=10.0,
        gt=0,
        le=100,
        description="Of all walls; a thick one reflects at its outer side only",
    )
    receiver_height_m: float = Field(
        default=1.5, gt=0, le=1000, description="Height of the radio map"
    )
    combining: Literal["power"] = Field(
        default="power", description="Powers of the paths are added, without their phases"
    )
    blind_db: float = Field(
        default=250.0,
        ge=150,
        le=499,
        description="Path loss written where no path was found, and the largest written at all",
    )
    seed: int = Field(default=1, ge=0, lt=2**31, description="Of the rays' random choices")

    @model_validator(mode="after")
    def _materials_known(self) -> RayPreset:
        for material in (self.building_material, self.vehicle_material, self.ground_material):
            if material is None:
                continue
            low, high = MATERIAL_GHZ[material]
            if not low <= self.frequency_mhz / 1000 <= high:
                raise ValueError(
                    f"ITU-R P.2040 has constants of {material} from {low:g} to {high:g} GHz, "
                    f"not for {self.frequency_mhz / 1000:g} GHz"
                )
        return self


PRESETS: dict[str, RayPreset] = {
    preset.name: preset
    for preset in (
        RayPreset(
            name="irt2-like",
            evidence="two interactions, as in the IRT2 maps of RadioMapSeer; nothing is fitted",
            max_interactions=2,
        ),
        RayPreset(
            name="irt4-like",
            evidence="four interactions, as in the IRT4 maps of RadioMapSeer; nothing is fitted",
            max_interactions=4,
        ),
    )
}


def resolve(preset: RayPreset | str, overrides: dict[str, Any]) -> RayPreset:
    """Preset by name, with some of its parameters replaced.

    Raises
    ------
    RecipeError
        Unknown preset or parameter, or a value out of range.
    """
    return change(PRESETS, preset, overrides, "Sionna")
