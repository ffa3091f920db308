"""How much of a map its transmitter sees, and what the path loss is there and in shadow."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from rmtools.metrics.surroundings import visible_from
from rmtools.report.statistics import Histogram

if TYPE_CHECKING:
    from rmtools.report.reader import Reader
    from rmtools.types import FloatArray

MAX_MAPS = 120
"""Maps looked at; a map of 256 x 256 pixels takes some 25 ms."""


def _losses() -> Histogram:
    return Histogram.empty(0.0, 250.0, 125)


@dataclass
class Sight:
    """Line of sight over the plan of the buildings; vehicles do not count.

    Attributes
    ----------
    shares
        Of each map looked at, the share of the pixels outside buildings that the transmitter
        sees.
    seen, shadow
        Path loss of the first frame there, in dB.
    """

    shares: list[float] = field(default_factory=list)
    seen: Histogram = field(default_factory=_losses)
    shadow: Histogram = field(default_factory=_losses)
    _looked_at: set[tuple[int, int]] = field(default_factory=set)

    def add(self, reader: Reader, index: tuple[int, int], pathloss_db: FloatArray) -> None:
        """Take in the map of a scene and a transmitter, shape (n, n); each counts once."""
        if len(self.shares) >= MAX_MAPS or index in self._looked_at:
            return
        self._looked_at.add(index)
        s, k = index
        place = reader.positions(s)[k]
        if place is None or not reader.grid.contains(*place) or np.isnan(pathloss_db).all():
            return
        inside = reader.inside_buildings(s)
        row, col = reader.grid.pixel(*place)
        seen = visible_from(inside, int(row), int(col))
        shadow = ~inside & ~seen
        outside = int((~inside).sum())
        if not outside:
            return
        self.shares.append(float(seen.sum() / outside))
        for histogram, part in ((self.seen, seen), (self.shadow, shadow)):
            losses = pathloss_db[part]
            histogram.add(losses[np.isfinite(losses)])

    @property
    def mean_share(self) -> float | None:
        """Mean of the shares; None without maps."""
        return float(np.mean(self.shares)) if self.shares else None
