"""How well one raster agrees with another that is shifted over it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from rmtools.types import BoolArray


@dataclass(frozen=True)
class Alignment:
    """How one raster was laid over another, and how well they agree there.

    Attributes
    ----------
    agreement
        Correlation of the two rasters where they overlap (phi coefficient): 1 for equal, 0 for
        unrelated ones.
    overlap
        Share of the raster on which they overlap, 0...1.
    row, col
        Shift of the second raster in pixels, down and to the right.
    """

    agreement: float
    overlap: float
    row: int
    col: int


def common(a: BoolArray, b: BoolArray, row: int, col: int) -> tuple[BoolArray, BoolArray]:
    """The parts of two rasters of shape (n, n) that lie on each other when `b` is shifted."""
    n = len(a)
    return (
        a[max(0, row) : max(0, n + min(0, row)), max(0, col) : max(0, n + min(0, col))],
        b[max(0, -row) : max(0, n - max(0, row)), max(0, -col) : max(0, n - max(0, col))],
    )


def align(a: BoolArray, b: BoolArray, row: int, col: int, reach: int = 0) -> Alignment:
    """Best agreement of two rasters of shape (n, n).

    All shifts of `b` that are at most `reach` from (row, col) are tried; of equally good ones
    the first counts. Where one raster is empty or full in the common part, they do not agree.
    """
    best = Alignment(-math.inf, 0.0, row, col)
    for y in range(row - reach, row + reach + 1):
        for x in range(col - reach, col + reach + 1):
            part_a, part_b = common(a, b, y, x)
            agreement = phi(part_a, part_b)
            if agreement > best.agreement:
                best = Alignment(agreement, part_a.size / a.size, y, x)
    return best


def phi(a: BoolArray, b: BoolArray) -> float:
    """Phi coefficient of two masks of one shape: their correlation; 0 where one is constant."""
    both = int(np.count_nonzero(a & b))
    in_a, in_b, pixels = int(np.count_nonzero(a)), int(np.count_nonzero(b)), a.size
    spread = in_a * (pixels - in_a) * in_b * (pixels - in_b)
    return (pixels * both - in_a * in_b) / spread**0.5 if spread else 0.0


def walls(raster: BoolArray) -> int:
    """Length of the walls in a raster in pixels: how often building and street are neighbours."""
    return int(np.count_nonzero(raster[1:] ^ raster[:-1])) + int(
        np.count_nonzero(raster[:, 1:] ^ raster[:, :-1])
    )
