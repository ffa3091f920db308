"""Colour tables for radio maps, made in OKLab so that equal steps in dB look equally large.

OKLab: B. Ottosson, "A perceptual color space for image processing" (2020). The tables are
computed once from a few anchors; there is no plotting library behind them.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from rmtools.types import ByteArray, FloatArray

LEVELS = 256

# (lightness, chroma, hue in degrees): from the deepest shadow to right at the transmitter.
# Lightness rises evenly, so that the map also reads in grey print and to colour-blind eyes.
_GAIN_ANCHORS = (
    (0.250, 0.085, 279.0),
    (0.315, 0.120, 281.0),
    (0.380, 0.150, 287.0),
    (0.445, 0.170, 299.0),
    (0.510, 0.185, 318.0),
    (0.575, 0.190, 341.0),
    (0.640, 0.180, 5.0),
    (0.705, 0.165, 27.0),
    (0.770, 0.150, 49.0),
    (0.835, 0.140, 69.0),
    (0.900, 0.125, 88.0),
    (0.965, 0.080, 102.0),
)

# Less loss (blue) through no change (nearly white) to more loss (red).
_CHANGE_ANCHORS = (
    (0.380, 0.130, 258.0),
    (0.520, 0.145, 252.0),
    (0.680, 0.110, 245.0),
    (0.840, 0.055, 240.0),
    (0.970, 0.000, 240.0),
    (0.840, 0.060, 45.0),
    (0.680, 0.130, 38.0),
    (0.520, 0.170, 30.0),
    (0.380, 0.140, 25.0),
)

# Linear sRGB <-> LMS <-> OKLab, from the source above.
_LMS_FROM_RGB = np.array(
    [
        [0.4122214708, 0.5363325363, 0.0514459929],
        [0.2119034982, 0.6806995451, 0.1073969566],
        [0.0883024619, 0.2817188376, 0.6299787005],
    ]
)
_LAB_FROM_LMS = np.array(
    [
        [0.2104542553, 0.7936177850, -0.0040720468],
        [1.9779984951, -2.4285922050, 0.4505937099],
        [0.0259040371, 0.7827717662, -0.8086757660],
    ]
)
_LMS_FROM_LAB = np.linalg.inv(_LAB_FROM_LMS)
_RGB_FROM_LMS = np.linalg.inv(_LMS_FROM_RGB)


def oklab_from_srgb(rgb: ByteArray) -> FloatArray:
    """OKLab coordinates of 8-bit sRGB colours, shape (..., 3) to (..., 3)."""
    unit = np.asarray(rgb, np.float64) / 255.0
    linear = np.where(unit <= 0.04045, unit / 12.92, ((unit + 0.055) / 1.055) ** 2.4)
    return np.cbrt(linear @ _LMS_FROM_RGB.T) @ _LAB_FROM_LMS.T


def srgb_from_oklab(lab: FloatArray) -> ByteArray:
    """8-bit sRGB of OKLab colours, shape (..., 3) to (..., 3); clipped to what a screen shows."""
    linear = np.clip((lab @ _LMS_FROM_LAB.T) ** 3 @ _RGB_FROM_LMS.T, 0.0, 1.0)
    unit = np.where(linear <= 0.0031308, linear * 12.92, 1.055 * linear ** (1 / 2.4) - 0.055)
    return np.rint(unit * 255.0).astype(np.uint8)


def _table(anchors: tuple[tuple[float, float, float], ...], *, even: bool) -> ByteArray:
    """Interpolate anchors in OKLab; `even` spaces the levels by the distance along the curve."""
    lightness, chroma, hue = np.array(anchors).T
    angle = np.deg2rad(hue)
    lab = np.stack([lightness, chroma * np.cos(angle), chroma * np.sin(angle)], axis=-1)
    position = np.linspace(0.0, 1.0, len(anchors))
    fine = np.linspace(0.0, 1.0, 4096)
    curve = np.stack([np.interp(fine, position, column) for column in lab.T], axis=-1)
    if even:
        steps = np.linalg.norm(np.diff(curve, axis=0), axis=-1)
        fine = np.concatenate([[0.0], np.cumsum(steps)]) / steps.sum()
    levels = np.linspace(0.0, 1.0, LEVELS)
    return srgb_from_oklab(
        np.stack([np.interp(levels, fine, column) for column in curve.T], axis=-1)
    )


@cache
def gain_table() -> ByteArray:
    """Colours of the 256 grey levels of a radio map, shape (256, 3); level 255 is strongest.

    Neighbouring levels are equally far apart in OKLab and lightness only rises.
    """
    table = _table(_GAIN_ANCHORS, even=True)
    table.setflags(write=False)
    return table


@cache
def change_table() -> ByteArray:
    """Colours of a change of path loss, shape (256, 3): blue less loss, red more loss.

    The neutral colour lies between level 127 and level 128.
    """
    table = _table(_CHANGE_ANCHORS, even=False)
    table.setflags(write=False)
    return table


def hex_colour(rgb: ByteArray) -> str:
    """A colour as ``#rrggbb``."""
    return "#" + bytes(rgb).hex()
