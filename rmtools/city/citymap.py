"""A piece of a city in vector form, before it is cut into scenes."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

from shapely import STRtree

if TYPE_CHECKING:
    from rmtools.scene import Building, Provenance, Road

Bounds = tuple[float, float, float, float]
"""``(minx, miny, maxx, maxy)``."""


@dataclass(frozen=True)
class CityMap:
    """Buildings and drivable roads of one area, in projected metres.

    Every source of OpenStreetMap data ends here (:func:`rmtools.city.features.assemble`), and
    :mod:`rmtools.city.tiles` cuts scenes from it.

    Attributes
    ----------
    name
        Short lower-case name; scenes are called ``<name>_r02_c01``.
    crs
        UTM zone of the area's centre, such as ``"EPSG:32635"``.
    buildings, roads
        In that CRS, with the heights and widths the policy gave them.
    bounds
        The largest axis-aligned rectangle of the CRS that lies fully inside the data's area. A
        longitude-latitude box is a rotated trapezoid in UTM, so this is smaller than its bounds.
    provenance
        Source, its hash and date, licence.
    notes
        Counts from reading: skipped relations, dropped objects by reason, guessed heights.
    """

    name: str
    crs: str
    buildings: tuple[Building, ...]
    roads: tuple[Road, ...]
    bounds: Bounds
    provenance: Provenance
    notes: dict[str, int | float | str] = field(default_factory=dict)

    @cached_property
    def building_index(self) -> STRtree:
        """Spatial index over the footprints, in the order of `buildings`."""
        return STRtree([building.polygon for building in self.buildings])

    @cached_property
    def road_index(self) -> STRtree:
        """Spatial index over the roads, in the order of `roads`."""
        return STRtree([road.shape for road in self.roads])
