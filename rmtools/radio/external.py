"""What is known about path loss that was solved outside of rmtools and taken back.

There is nothing to solve with: the description names where the radio maps came from, so that
everything made of them can say it.
"""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from rmtools.radio.presets import NamedPreset, change

Fit = Literal["exact", "crop", "resample"]
"""How results whose grid differs from the job's are brought onto it; exact: not at all."""


class External(NamedPreset):
    """Origin of radio maps; frozen, and unknown names are refused."""

    frequency_mhz: float = Field(default=3500.0, gt=0, description="Carrier frequency of the jobs")
    receiver_height_m: float = Field(default=1.5, gt=0, description="Height of the radio map")
    power_dbm: float = Field(default=0.0, description="Output power of every transmitter")
    antennas: Literal["isotropic", "template"] = Field(
        default="isotropic", description="Isotropic, or as in the project the jobs were cloned from"
    )
    jobs_sha256: str = Field(
        default="0" * 64, pattern="^[0-9a-f]{64}$", description="SHA-256 of the job manifest"
    )


PRESETS = {
    "jobs": External(name="jobs", evidence="results of exported jobs, checked against the jobs")
}


def resolve(preset: str, overrides: dict[str, Any]) -> External:
    """Preset by name with the facts of one export.

    Raises
    ------
    RecipeError
        Unknown preset or fact, or a value out of range.
    """
    return change(PRESETS, preset, overrides, "external")
