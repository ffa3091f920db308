"""The scenes at their true places: one map for each city, coloured by the sets of the split."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from rmtools.report.markup import MAX_NAME, counted, plain, text
from rmtools.report.pictures import nice_ticks

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rmtools.report.sets import SceneSets
    from rmtools.store import Store

CITY_GAP_M = 10_000.0
"""Scenes that are farther apart than this, with none between them, lie in different cities."""

MAX_SCENES = 5000
"""Scenes on all maps together."""

_WIDTH, _HEIGHT = 640.0, 480.0
_LARGEST_TILE = 96.0
_SMALLEST_TILE = 3.0


@dataclass(frozen=True)
class Place:
    """The scenes of one city.

    Attributes
    ----------
    title
        The sources it was read from, and the coordinate system.
    scenes
        Indices of the scenes.
    corners
        South-west corners: easting and northing in metres, shape (scene, 2).
    """

    title: str
    scenes: list[int]
    corners: np.ndarray


def places(store: Store) -> list[Place]:
    """The scenes city by city, the largest first; those without coordinates last, in a grid."""
    listed = store.attributes["scenes"][:MAX_SCENES]
    systems: dict[str, list[int]] = defaultdict(list)
    lost = []
    for s, scene in enumerate(listed):
        if scene["crs"] and None not in (scene["easting_m"], scene["northing_m"]):
            systems[scene["crs"]].append(s)
        else:
            lost.append(s)
    found = []
    for crs, scenes in systems.items():
        corners = np.array(
            [(listed[s]["easting_m"], listed[s]["northing_m"]) for s in scenes], float
        )
        for city in cities(corners):
            inside = [scenes[i] for i in city]
            sources = sorted({listed[s]["provenance"]["source"] for s in inside})
            named = ", ".join(sources[:3]) + (" …" if len(sources) > 3 else "")
            found.append(Place(f"{named} ({crs})", inside, corners[city]))
    found.sort(key=lambda place: -len(place.scenes))
    if lost:
        columns = int(np.ceil(np.sqrt(len(lost) * _WIDTH / _HEIGHT)))
        row, column = np.divmod(np.arange(len(lost)), columns)
        corners = np.stack([column, -row], axis=-1) * store.grid.size_m
        found.append(Place("no place on the ground is known, in order", lost, corners))
    return found


def cities(corners: np.ndarray) -> list[list[int]]:
    """Points that hang together, by cells of :data:`CITY_GAP_M` that touch.

    Parameters
    ----------
    corners
        Shape (points, 2), metres.

    Returns
    -------
    list of list of int
        Indices of the points of each city, ascending; the cities by their first point.
    """
    cells: dict[tuple[int, int], list[int]] = defaultdict(list)
    for i, (x, y) in enumerate(np.floor(corners / CITY_GAP_M).astype(int).tolist()):
        cells[x, y].append(i)
    found = []
    while cells:
        start = next(iter(cells))
        city, waiting = cells.pop(start), [start]
        while waiting:
            x, y = waiting.pop()
            for near in ((x + dx, y + dy) for dx in (-1, 0, 1) for dy in (-1, 0, 1)):
                if near in cells:
                    city += cells.pop(near)
                    waiting.append(near)
        found.append(sorted(city))
    return found


def ground_html(
    place: Place, names: Sequence[str], sets: SceneSets, side_m: float, number: int
) -> str:
    """A map of one city, north up, as a list to choose a scene from.

    Parameters
    ----------
    place
        The city.
    names, sets
        Of all scenes of the store.
    side_m
        Side of a tile.
    number
        Of the map in the page, for ids.
    """
    extent = np.ptp(place.corners, axis=0) + side_m
    per_metre = min(*(np.array([_WIDTH, _HEIGHT]) / extent), _LARGEST_TILE / side_m)
    tile = max(side_m * per_metre - 1.0, _SMALLEST_TILE)
    west, south = place.corners.min(axis=0)
    tiles = []
    for s, (x, y) in zip(place.scenes, place.corners.tolist(), strict=True):
        left = (x - west) * per_metre + 1
        top = (extent[1] - (y - south) - side_m) * per_metre + 1
        words = text(": ".join(filter(None, (plain(names[s], MAX_NAME), sets.label(s)))))
        tiles.append(
            f'<rect role="option" id="tile-{s}" data-scene="{s}" aria-selected="false" '
            f'aria-label="{words}" class="tile {sets.colour(s)}" x="{left:.1f}" y="{top:.1f}" '
            f'width="{tile:.1f}" height="{tile:.1f}"><title>{words}</title></rect>'
        )
    width, height = np.ceil(extent * per_metre + 2 + _SMALLEST_TILE).astype(int).tolist()
    bar_m = nice_ticks(0.0, float(extent[0]) * 0.5, 4)[-1]
    bar = bar_m * per_metre
    svg = (
        f'<svg class="chart" role="none" viewBox="0 0 {width} {height + 30}" '
        f'width="{width}" height="{height + 30}">{"".join(tiles)}'
        f'<path class="axis" d="M1,{height + 6}v6h{bar:.1f}v-6"/>'
        f'<text aria-hidden="true" x="1" y="{height + 26}">{_distance(bar_m)}, north is up</text>'
        "</svg>"
    )
    caption = f"{text(place.title, MAX_NAME)}: {counted(len(place.scenes), 'scene')}"
    return (
        f'<figure><div class="ground" role="listbox" tabindex="0" aria-label="{caption}" '
        f'id="ground-{number}">{svg}</div><figcaption>{caption}</figcaption></figure>'
    )


def _distance(metres: float) -> str:
    return f"{metres / 1000:g} km" if metres >= 1000 else f"{metres:g} m"
