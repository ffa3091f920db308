"""The DPM equation: what one path costs in dB.

With l the length of the path in metres, f the carrier in MHz and a_i the bend angles,

    L = 32.44 + 20 log10 f - 60 + 10 p log10 l + sum of bend losses (+ roof term)

p is one exponent with line of sight and another without, each with a second value beyond the
breakpoint. Source: G. Woelfle, R. Wahl, P. Wertz, P. Wildbolz, F. Landstorfer, "Dominant path
prediction model for urban scenarios", IST Mobile Summit 2005; the wave-guiding term of that paper
is left out because none shows in WinProp's output (docs/dpm.md).
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

from rmtools.kernel import hot_kernel

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rmtools.radio.dpm.presets import Preset
    from rmtools.radio.dpm.visibility import Point
    from rmtools.types import FloatArray


LN_10 = math.log(10.0)
"""The natural logarithm is several times as fast as the decadic one."""


class Equation(NamedTuple):
    """The constants in the form the compiled code wants."""

    loss_1m_db: float
    los: float  # dB per decade
    olos: float
    los_after: float
    olos_after: float
    breakpoint_m: float
    bend_offset_db: float
    bend_max_db: float
    bend_break_rad: float
    roof_db_per_m: float
    min_distance_m: float

    @classmethod
    def of(cls, preset: Preset, transmitter_height_m: float) -> Equation:
        """Constants of a preset for a transmitter at a height."""

        def slope(after: float | None, before: float) -> float:
            return 10.0 * (before if after is None else after)

        return cls(
            preset.loss_1m_db,
            10.0 * preset.p_los,
            10.0 * preset.p_olos,
            slope(preset.p_los_after, preset.p_los),
            slope(preset.p_olos_after, preset.p_olos),
            preset.breakpoint_m(transmitter_height_m),
            preset.bend_offset_db,
            preset.bend_max_db,
            math.radians(preset.bend_break_deg),
            preset.roof_db_per_m,
            preset.min_distance_m,
        )


@hot_kernel
def distance_loss_db(eq: Equation, length_m: float, los: bool) -> float:  # noqa: FBT001 - compiled
    """Loss over a path of some length, bends left out."""
    before = eq.los if los else eq.olos
    length = max(length_m, eq.min_distance_m)
    if length <= eq.breakpoint_m:
        return eq.loss_1m_db + before * (math.log(length) / LN_10)
    after = eq.los_after if los else eq.olos_after
    return (
        eq.loss_1m_db
        + (before * math.log(eq.breakpoint_m) + after * math.log(length / eq.breakpoint_m)) / LN_10
    )


@hot_kernel
def bend_loss_db(eq: Equation, angle_rad: float) -> float:
    """Loss of one bend: linear in the angle up to the break, then constant."""
    share = min(angle_rad, eq.bend_break_rad) / eq.bend_break_rad
    return eq.bend_offset_db + (eq.bend_max_db - eq.bend_offset_db) * share


@hot_kernel
def gain_db(gain: FloatArray, source: Point, to: Point) -> float:
    """Gain of an antenna towards a point in dB.

    Parameters
    ----------
    gain
        dB, shape (360, 181): azimuth in degrees clockwise from north, elevation from -90 to 90
        degrees. Values in between are interpolated. Empty: isotropic, 0 dB.
    source, to
        Antenna and point in pixels, see :mod:`rmtools.radio.dpm.walls`.
    """
    if gain.size == 0:
        return 0.0
    east, north, up = to[0] - source[0], source[1] - to[1], to[2] - source[2]
    plan = math.sqrt(east * east + north * north)
    azimuth = math.degrees(math.atan2(east, north)) % 360.0
    elevation = math.degrees(math.atan2(up, plan)) + 90.0
    i, j = min(int(azimuth), 359), min(int(elevation), 179)
    s, t = azimuth - i, elevation - j
    k = (i + 1) % 360
    return (1.0 - s) * ((1.0 - t) * gain[i, j] + t * gain[i, j + 1]) + s * (
        (1.0 - t) * gain[k, j] + t * gain[k, j + 1]
    )


def path_loss_db(
    preset: Preset,
    length_m: float,
    bends_deg: Sequence[float] = (),
    *,
    transmitter_height_m: float = 1.5,
    roof_m: float = 0.0,
) -> float:
    """Loss of one given path in dB.

    Parameters
    ----------
    preset
        Constants.
    length_m
        Length of the whole path in metres.
    bends_deg
        Angles of its bends in degrees; none means line of sight.
    transmitter_height_m
        Decides the breakpoint.
    roof_m
        Metres of the path over roofs.
    """
    eq = Equation.of(preset, transmitter_height_m)
    bends = sum(bend_loss_db(eq, math.radians(angle)) for angle in bends_deg)
    return distance_loss_db(eq, length_m, not bends_deg) + bends + eq.roof_db_per_m * roof_m
