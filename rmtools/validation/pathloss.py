"""Checking radio maps: what path loss can be, wherever it was computed."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
from pydantic import BaseModel, ConfigDict

from rmtools.store_format import PATHLOSS_QUANTUM_DB
from rmtools.units import free_space_loss_1m_db

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rmtools.findings import Level, Report
    from rmtools.grid import Grid
    from rmtools.types import BoolArray, FloatArray

MAX_PATHLOSS_DB = 500.0
"""No link budget reaches half of it; a larger value is a mistake, such as a mark for "no data"."""

SINGLE_PATH_MARGIN_DB = 0.1
MULTI_PATH_MARGIN_DB = 6.1
"""Two equal paths in phase double the field, 6 dB; a single path cannot beat free space."""

NEAR_TX_PIXELS = 2.0
"""The strongest pixel of a map lies at most this far from the transmitter."""


def least_pathloss_db(grid: Grid, x: float, y: float, frequency_mhz: float) -> FloatArray:
    """Loss that no single path can fall below, shape (n, n).

    Free space (ITU-R P.525) by the horizontal distance to the pixel centre. Below one metre the
    dominant path models' steeper law (exponent 2.5) is followed down to half a pixel, because
    that is what RadioMapMotion's upper clip limit of -39.5 dB shows.
    """
    px, py = np.meshgrid(grid.x_centres(), grid.y_centres())
    distance = np.maximum(np.hypot(px - x, py - y), 0.5 * grid.resolution_m)
    slope = np.where(distance >= 1.0, 20.0, 25.0)
    return free_space_loss_1m_db(frequency_mhz) + slope * np.log10(distance)


def largest_gain_dbi(solver: object) -> float | None:
    """Largest gain of the antennas that a solver's description states; None without a pattern."""
    antenna = solver.get("antenna") if isinstance(solver, dict) else None
    gain = antenna.get("max_gain_dbi") if isinstance(antenna, dict) else None
    return float(gain) if isinstance(gain, int | float) and math.isfinite(gain) else None


def positive(values: object, key: str) -> float | None:
    """The positive finite number that a mapping has under `key`, None when it has none."""
    value = values.get(key) if isinstance(values, dict) else None
    return float(value) if isinstance(value, int | float) and 0 < value < math.inf else None


class BlindPixels(BaseModel):
    """Pixels that a solver could not reach, of those that it computed.

    Attributes
    ----------
    blind, outdoor
        Their number, and that of all pixels off buildings.
    blind_db
        What the solver wrote for them.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    blind: int
    outdoor: int
    blind_db: float

    def plus(self, other: BlindPixels) -> BlindPixels:
        """Those of more maps of the same array."""
        return BlindPixels(
            blind=self.blind + other.blind,
            outdoor=self.outdoor + other.outdoor,
            blind_db=self.blind_db,
        )

    def tell(self, name: str, report: Report) -> None:
        """Say how many they are in the array `name`, if any."""
        if self.blind:
            report.warning(
                name,
                f"{self.blind} of {self.outdoor} pixels off buildings "
                f"({self.blind / self.outdoor:.1%}) are blind: the solver found no path and wrote "
                f"its blind_db, {self.blind_db:g} dB",
            )


class MapChecker:
    """Checks the maps of one array of path loss.

    Parameters
    ----------
    attributes
        Of the array. Those of maps that were not computed by rmtools hold ``imported_from``:
        where such maps break a rule it is a property of the input and gets a warning.
    grid
        Of the maps.
    report
        Findings are added to it.
    """

    def __init__(self, attributes: Mapping[str, object], grid: Grid, report: Report) -> None:
        self.grid, self.report = grid, report
        self._outdoor = self._blind = 0
        solver = attributes.get("solver")
        self.gain_dbi = largest_gain_dbi(solver)
        self.blind_db = positive(solver, "blind_db")
        self.adds_powers = isinstance(solver, dict) and solver.get("combining") == "power"
        self.imported = "imported_from" in attributes
        self.level: Level = "warning" if self.imported else "error"
        self.frequency_mhz = positive(solver, "frequency_mhz")

    @property
    def blind(self) -> BlindPixels | None:
        """What was counted so far; None where the solver does not mark blind pixels."""
        if self.blind_db is None:
            return None
        return BlindPixels(blind=self._blind, outdoor=self._outdoor, blind_db=self.blind_db)

    def check(
        self,
        where: str,
        loss: FloatArray,
        position: FloatArray,
        inside: BoolArray,
        masks: BoolArray | None = None,
        *,
        static: bool = False,
    ) -> None:
        """Check the maps of one transmitter.

        Parameters
        ----------
        where
            Scene, trajectory and transmitter, for the report.
        loss
            Path loss in dB, shape (frame, n, n).
        position
            The transmitter, (x, y, z) in local metres.
        inside
            Pixels that are not computed, shape (n, n).
        masks
            Vehicles, shape (frame, n, n).
        static
            Whether this is the one map without vehicles, which has no number.
        """
        gain_dbi = 0.0 if self.gain_dbi is None else self.gain_dbi
        missing = np.isnan(loss)
        if missing.all():
            if not self.imported:  # which may lack some transmitters
                self.report.error(where, "path loss was not written")
            return
        tx_x, tx_y, _ = position.tolist()
        px, py = np.meshgrid(self.grid.x_centres(), self.grid.y_centres())
        distance = np.hypot(px - tx_x, py - tx_y) / self.grid.resolution_m
        near = distance <= NEAR_TX_PIXELS
        least = None
        if self.frequency_mhz is not None and np.isfinite(position).all():
            least = least_pathloss_db(self.grid, tx_x, tx_y, self.frequency_mhz) - gain_dbi
        for frame, values in enumerate(loss):
            here = f"{where}{'' if static else f', frame {frame}'}: path loss"
            self.report.found_at(
                self.level,
                here,
                missing[frame] != inside,
                "are NaN off buildings, or a number in one",
            )
            if missing[frame].all():
                continue
            low = 0.0 - max(gain_dbi, 0.0)
            wild = ~missing[frame] & ~((values >= low) & (values <= MAX_PATHLOSS_DB))
            self.report.error_at(here, wild, f"are not between {low:g} and {MAX_PATHLOSS_DB:g} dB")
            if self.blind_db is not None:
                self._outdoor += int((~missing[frame]).sum())
                self._blind += int((values >= self.blind_db).sum())
            if least is not None and not self.adds_powers:  # added powers have no such limit
                gain = least - values
                self.report.found_at(
                    self.level,
                    here,
                    ~wild & (gain > MULTI_PATH_MARGIN_DB),
                    "lose less than two free-space paths together could",
                )
                if (over := (gain > SINGLE_PATH_MARGIN_DB) & (gain <= MULTI_PATH_MARGIN_DB)).any():
                    self.report.warning(
                        here,
                        f"{np.count_nonzero(over)} pixels lose less than one path in free space",
                    )
            covered = masks is not None and (masks[frame] & (distance <= NEAR_TX_PIXELS + 2)).any()
            around = values[near & ~missing[frame]]
            limit = np.nanmin(values) + PATHLOSS_QUANTUM_DB
            aimed = self.gain_dbi is not None  # a beam may be strongest anywhere
            anywhere = aimed or self.imported
            if not (covered or anywhere) and around.size and around.min() > limit:
                self.report.error(here, "the strongest pixel is not at the transmitter")
