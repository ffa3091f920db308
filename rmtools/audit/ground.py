"""Squares of different sets on the ground."""

from __future__ import annotations

from collections import defaultdict
from itertools import combinations
from typing import TYPE_CHECKING

import numpy as np
import shapely

from rmtools.audit.model import Level, Pair, found, not_checked, passed
from rmtools.splits.separation import kept_apart, meetings, memberships

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rmtools.splits.manifest import SplitManifest
    from rmtools.splits.places import Place


def check_ground(manifest: SplitManifest, places: Sequence[Place], buffer_m: float) -> Level:
    """Look for squares of different sets that overlap or are nearer than a buffer.

    Squares that touch, without a buffer, are no leak but a warning: a wall at the border is in
    neither, the street it stands in is in both.
    """
    sets_of = memberships(manifest)
    if not places:
        return not_checked("ground", "no scene has a place on the ground; copies are looked for")
    known = f"{len(places)} of {len(sets_of)} scenes have a place"
    met = meetings(manifest, places, buffer_m)
    near = [each for each in met if each.overlap or each.distance_m < buffer_m]
    met = near or [each for each in met if not each.distance_m]
    smallest = _smallest_distance(manifest, places)
    if not met:
        apart = "" if smallest is None else f", the nearest are {smallest:.0f} m apart"
        return passed("ground", known + apart, smallest)
    pairs = [
        Pair(
            sets=each.sets,
            first=each.first,
            second=each.second,
            distance_m=round(each.distance_m, 3),
            what=f"{each.overlap:.1%} of a square in common"
            if each.overlap
            else f"squares {each.distance_m:.0f} m apart",
        )
        for each in met
    ]
    overlapping = sum(each.overlap > 0 for each in met)
    words = [
        f"{count} pairs {text}"
        for count, text in (
            (overlapping, "overlap"),
            (len(near) - overlapping, f"are nearer than {buffer_m:g} m"),
            (0 if near else len(met), "touch"),
        )
        if count
    ]
    scenes = {name for pair in met for name in (pair.first, pair.second)}
    return found(
        "ground",
        f"{known}; {', '.join(words)}",
        pairs,
        verdict="leak" if near else "warning",
        risk="high" if overlapping else "medium" if near else "low",
        share=len(scenes) / len(sets_of),
    ).model_copy(update={"smallest_m": smallest})


def _smallest_distance(manifest: SplitManifest, places: Sequence[Place]) -> float | None:
    """Between squares of scenes that the split keeps apart; None without two in one CRS."""
    sets_of = memberships(manifest)
    groups = defaultdict(list)
    for place in places:
        groups[sets_of[place.name], str(place.crs)].append(place.square)
    gaps = [
        shapely.STRtree(groups[b])
        .query_nearest(np.array(groups[a]), return_distance=True, all_matches=False)[1]
        .min()
        for a, b in combinations(groups, 2)
        if a[1] == b[1] and kept_apart(a[0], b[0])
    ]
    return round(float(min(gaps)), 3) if gaps else None


def distance_m(a: Place | None, b: Place | None) -> float | None:
    """Between two squares; None where a place is not known or they have different CRSs."""
    if a is None or b is None or a.crs != b.crs:
        return None
    return round(float(a.square.distance(b.square)), 3)
