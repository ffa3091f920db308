"""dB to grey and back, and the words for what a pixel means.

Inside rmtools a radio map is **path loss, a positive number of dB** (``pathloss_db``). The image
layouts store grey levels of the **gain**, which is minus the loss.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from rmtools.types import ByteArray, FloatArray

SPEED_OF_LIGHT_M_PER_S = 299_792_458.0
"""Exact by the definition of the metre."""


@dataclass(frozen=True)
class GreyScale:
    """A linear map from gain in dB to the 256 levels of an 8-bit image.

    Attributes
    ----------
    name
        The dataset family that uses it.
    gain_min_db, gain_max_db
        Gains of level 0 and level 255; values outside are clipped.
    rounding
        ``"floor"`` (RadioMapMotion, eq. 6) or ``"nearest"`` (RadioMapSeer).
    """

    name: str
    gain_min_db: float
    gain_max_db: float
    rounding: Literal["floor", "nearest"]

    @property
    def span_db(self) -> float:
        """What 255 grey levels are in dB."""
        return self.gain_max_db - self.gain_min_db

    @property
    def step_db(self) -> float:
        """Width of one grey level in dB."""
        return self.span_db / 255.0

    def encode(self, pathloss_db: ArrayLike) -> ByteArray:
        """Grey levels of path losses.

        Parameters
        ----------
        pathloss_db
            Path loss in dB, any shape; NaN (not computed) becomes level 0.

        Returns
        -------
        ndarray of uint8
            Levels of the same shape.
        """
        unit = self.normalise(pathloss_db)
        level = np.floor(unit * 255.0) if self.rounding == "floor" else np.rint(unit * 255.0)
        return level.astype(np.uint8)

    def normalise(self, pathloss_db: ArrayLike) -> FloatArray:
        """Gains as fractions of the scale, float64 in [0, 1], not rounded; NaN becomes 0."""
        gain = -np.asarray(pathloss_db, np.float64)
        clipped = np.clip(gain, self.gain_min_db, self.gain_max_db)
        unit = (clipped - self.gain_min_db) / self.span_db
        return np.where(np.isnan(unit), 0.0, unit)

    def decode(self, level: ArrayLike) -> FloatArray:
        """Path loss in dB in the middle of each level's range.

        Level 0 is decoded like any other; whether it means "not computed" only the building
        mask can say.
        """
        middle = np.asarray(level, np.float64)
        if self.rounding == "floor":
            middle = np.where(middle < 255, middle + 0.5, middle)
        return (-(self.gain_min_db + middle * self.step_db)).astype(np.float32)

    def describe(self) -> dict[str, str | float]:
        """The scale in the words that are written into every file that uses it."""
        operator = "floor" if self.rounding == "floor" else "round"
        return {
            "scale": self.name,
            "quantity": "path gain",
            "unit": "dB",
            "sign": "gain = -path loss",
            "gain_min_db": self.gain_min_db,
            "gain_max_db": self.gain_max_db,
            "formula": f"level = {operator}(255 * (clip(gain) - ({self.gain_min_db})) / "
            f"{self.span_db:g})",
            "level_zero": "not computed (inside a building) or gain at the lower clip limit",
        }


MOTION_SCALE = GreyScale("radiomapmotion", -135.0, -39.5, "floor")
"""RadioMapMotion paper, equations 5 and 6."""

SEER_SCALE = GreyScale("radiomapseer", -147.0, -47.84, "nearest")
"""RadioUNet paper (arXiv 1911.09002), appendix on the dataset; rounding measured on true maps."""

SCALES = {scale.name: scale for scale in (MOTION_SCALE, SEER_SCALE)}
"""By name, as it stands in the files that use them."""


def free_space_loss_1m_db(frequency_mhz: float) -> float:
    """Free-space loss over one metre, ``32.44 + 20 log10(f / MHz) - 60`` in dB (ITU-R P.525)."""
    return float(32.44 + 20.0 * np.log10(frequency_mhz) - 60.0)
