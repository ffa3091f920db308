"""Tracks: what every vehicle of one trajectory does in every frame."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from rmtools.grid import Grid
    from rmtools.types import BoolArray, FloatArray, IntArray

FRAME_INTERVAL_S = 0.1
"""RadioMapMotion paper, section IV-B-1: 10 Hz V2X reporting."""

MAX_SPEED_MPS = 100.0
"""No vehicle of a dataset is faster; one that seems to be was set elsewhere, it did not drive."""


class State(IntEnum):
    """What a vehicle did to get into a frame."""

    ABSENT = -1
    SEEDED = 0
    MOVING = 1
    SLOWED = 2
    WAITING = 3
    BLOCKED = 4


@dataclass(frozen=True)
class VehicleSize:
    """Outline of a vehicle in metres; RadioMapSeer's cars are 4 m by 2 m and 1.5 m high."""

    length_m: float = 4.0
    width_m: float = 2.0
    height_m: float = 1.5


@dataclass(frozen=True)
class Tracks:
    """One trajectory: F frames of V vehicle slots.

    Attributes
    ----------
    x, y
        Centres in local metres, float64, shape (F, V); NaN where the slot's vehicle is absent:
        always for an unused slot, and while a vehicle that was made elsewhere is off the tile.
    heading_deg
        Direction of travel, counter-clockwise from east, in [-180, 180), shape (F, V).
    speed_mps
        Distance covered since the frame before divided by 0.1 s, shape (F, V); 0 in frame 0 and
        wherever a vehicle appears.
    state
        :class:`State` values, int8, shape (F, V).
    size
        The same for all vehicles.
    """

    x: FloatArray
    y: FloatArray
    heading_deg: FloatArray
    speed_mps: FloatArray
    state: IntArray
    size: VehicleSize

    @property
    def frames(self) -> int:
        """Number of frames F."""
        return int(self.x.shape[0])

    @property
    def present(self) -> BoolArray:
        """Slots that hold a vehicle in any frame, shape (V,)."""
        return np.any(~np.isnan(self.x), axis=0)

    def outlines(self, frame: int) -> FloatArray:
        """Corners of the vehicles present in a frame.

        Returns
        -------
        ndarray, shape (P, 4, 2)
            Counter-clockwise corners in local metres, in slot order.
        """
        here = ~np.isnan(self.x[frame])
        return outlines(
            self.x[frame, here], self.y[frame, here], self.heading_deg[frame, here], self.size
        )

    def mask(self, frame: int, grid: Grid) -> BoolArray:
        """Pixels whose centre lies in a vehicle, shape (n, n)."""
        x, y = np.meshgrid(grid.x_centres(), grid.y_centres())
        mask = np.zeros(grid.shape, bool)
        angle = np.deg2rad(self.heading_deg[frame])
        reach = 0.5 * np.hypot(self.size.length_m, self.size.width_m) + grid.resolution_m
        for v in np.flatnonzero(~np.isnan(self.x[frame])):
            cx, cy = self.x[frame, v], self.y[frame, v]
            (r0, c0), (r1, c1) = (
                grid.pixel(cx - reach, cy + reach),
                grid.pixel(cx + reach, cy - reach),
            )
            box = (slice(max(r0, 0), max(r1 + 1, 0)), slice(max(c0, 0), max(c1 + 1, 0)))
            dx, dy = x[box] - cx, y[box] - cy
            along = dx * np.cos(angle[v]) + dy * np.sin(angle[v])
            across = dy * np.cos(angle[v]) - dx * np.sin(angle[v])
            mask[box] |= (
                (along >= -self.size.length_m / 2)
                & (along < self.size.length_m / 2)
                & (across >= -self.size.width_m / 2)
                & (across < self.size.width_m / 2)
            )
        return mask


def outlines(
    x: FloatArray,
    y: FloatArray,
    heading_deg: FloatArray,
    size: VehicleSize,
) -> FloatArray:
    """Corners of oriented rectangles, counter-clockwise, shape (V, 4, 2)."""
    angle = np.deg2rad(heading_deg)
    forward = np.stack([np.cos(angle), np.sin(angle)], -1) * (size.length_m / 2)
    left = np.stack([-np.sin(angle), np.cos(angle)], -1) * (size.width_m / 2)
    centre = np.stack([x, y], -1)
    corners = [
        centre + forward - left,
        centre + forward + left,
        centre - forward + left,
        centre - forward - left,
    ]
    return np.stack(corners, axis=1)
