"""Sums that do not depend on the order of what is added, and what the metrics are made of."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from rmtools.types import FloatArray

_UNIT_BITS = 1074
"""Every finite double is a whole multiple of 2**-1074."""


class ExactSum:
    """A sum of doubles without any rounding: a whole number of the smallest units of a double.

    Two sums of the same numbers are equal whatever their order and grouping; only the last step,
    reading the value, rounds once. Any number of maps takes some 140 bytes.
    """

    __slots__ = ("units",)

    def __init__(self, units: int = 0) -> None:
        self.units = units

    def add(self, value: float, times: int = 1) -> None:
        """Add a finite number, `times` over."""
        numerator, denominator = value.as_integer_ratio()  # the denominator is a power of two
        self.units += times * (numerator << (_UNIT_BITS + 1 - denominator.bit_length()))

    def include(self, other: ExactSum) -> None:
        """Add another sum."""
        self.units += other.units

    def divided_by(self, count: int) -> float:
        """The sum over a count, rounded once."""
        return self.units / (count << _UNIT_BITS)

    def over(self, other: ExactSum) -> float:
        """The ratio of two sums, rounded once."""
        return self.units / other.units


@dataclass
class Totals:
    """What pixel-wise metrics need to know of any number of maps.

    Attributes
    ----------
    images, pixels
        How many were added.
    squared_error, squared_truth, absolute_error
        Sums over all pixels.
    low, high
        Smallest and largest value of the truth.
    """

    images: int = 0
    pixels: int = 0
    squared_error: ExactSum = field(default_factory=ExactSum)
    squared_truth: ExactSum = field(default_factory=ExactSum)
    absolute_error: ExactSum = field(default_factory=ExactSum)
    low: float = math.inf
    high: float = -math.inf

    @classmethod
    def of(cls, pred: FloatArray, truth: FloatArray) -> Totals:
        """Totals of one map, given as float64 arrays of equal shape with at least one pixel.

        Within a map NumPy adds in double precision; the same map gives the same bits.
        """
        totals = cls(images=1, pixels=truth.size, low=float(truth.min()), high=float(truth.max()))
        error = pred - truth
        totals.absolute_error.add(float(np.abs(error).sum()))
        np.multiply(error, error, out=error)
        totals.squared_error.add(float(error.sum()))
        np.multiply(truth, truth, out=error)
        totals.squared_truth.add(float(error.sum()))
        return totals

    def include(self, other: Totals) -> None:
        """Add the totals of other maps."""
        self.images += other.images
        self.pixels += other.pixels
        self.squared_error.include(other.squared_error)
        self.squared_truth.include(other.squared_truth)
        self.absolute_error.include(other.absolute_error)
        self.low, self.high = min(self.low, other.low), max(self.high, other.high)

    # -- metrics; NaN without pixels ---------------------------------------------------------

    def mse(self) -> float:
        """Mean squared error."""
        return self.squared_error.divided_by(self.pixels) if self.pixels else math.nan

    def rmse(self) -> float:
        """Root of the mean squared error."""
        return math.sqrt(self.mse())

    def mae(self) -> float:
        """Mean absolute error."""
        return self.absolute_error.divided_by(self.pixels) if self.pixels else math.nan

    def nmse(self) -> float:
        """Squared error over squared truth; where the truth is zero, 0 or infinite."""
        if not self.pixels:
            return math.nan
        if self.squared_truth.units == 0:
            return math.inf if self.squared_error.units else 0.0
        return self.squared_error.over(self.squared_truth)

    def root_nmse(self) -> float:
        """Root of the NMSE, which some papers call RMSE."""
        return math.sqrt(self.nmse())

    def psnr(self, *, peak_of_truth: bool = False) -> float:
        """Peak signal-to-noise ratio in dB; infinite without error.

        The peak is 1, or the range of the truth (1 where that is flat).
        """
        mse = self.mse()
        if mse == 0:
            return math.inf
        peak = self.high - self.low if peak_of_truth and self.high > self.low else 1.0
        return 20 * math.log10(peak) - 10 * math.log10(mse)


@dataclass
class Mean:
    """A weighted mean of numbers, some of which may be infinite."""

    sum: ExactSum = field(default_factory=ExactSum)
    weight: int = 0
    infinite: int = 0

    def add(self, value: float, weight: int = 1) -> None:
        """Add a number that is not NaN."""
        if math.isinf(value):
            self.infinite += weight
        else:
            self.sum.add(value, weight)
            self.weight += weight

    def include(self, other: Mean) -> None:
        """Add the numbers of another mean."""
        self.sum.include(other.sum)
        self.weight += other.weight
        self.infinite += other.infinite

    def value(self, *, skip_infinite: bool = False) -> float:
        """The mean: NaN of nothing, infinite with an infinite number unless those are skipped."""
        if self.infinite and not skip_infinite:
            return math.inf
        return self.sum.divided_by(self.weight) if self.weight else math.nan
