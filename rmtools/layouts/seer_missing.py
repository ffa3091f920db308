"""Which buildings are missing from the variants of a map that lack one to four of them.

In each of the six versions buildings go one after the other: what is gone when one is missing is
gone, too, when two are, as on RadioMapSeer's map 0. A dataset that was read from RadioMapSeer's
files keeps the choice it came with.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from rmtools.layouts import seer_format as fmt
from rmtools.layouts.seer_format import MISSING_COUNTS, VERSIONS
from rmtools.layouts.seer_rasters import ring_masks
from rmtools.seeds import generator

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from rmtools.layouts.seer_geometry import IntRing
    from rmtools.layouts.seer_reader import SeerLayout
    from rmtools.types import BoolArray

Variant = tuple[int, int]
"""How many buildings are missing, and the version."""

VARIANTS: tuple[Variant, ...] = tuple((k, v) for k in MISSING_COUNTS for v in VERSIONS)


def choose_missing(
    name: str, rings: int, seed: int, known: Mapping[Variant, Sequence[int]] | None = None
) -> dict[Variant, list[int]]:
    """Which rings are missing from every variant.

    Parameters
    ----------
    name
        Of the scene; it is mixed into the seed.
    rings
        How many rings the map has. Of a map with fewer than four all are missing in the end.
    seed
        The dataset's.
    known
        Variants that are settled. The others follow from them: rings are added to those missing
        in the same version.

    Returns
    -------
    dict
        Indices of rings of all 24 variants, in the order in which they go.
    """
    chosen = {variant: list(indices) for variant, indices in (known or {}).items()}
    for version in VERSIONS:
        order = generator(seed, "missing buildings", name, version).permutation(rings).tolist()
        gone: list[int] = []
        for count in MISSING_COUNTS:
            if (count, version) not in chosen:
                more = [index for index in order if index not in gone]
                chosen[count, version] = gone + more[: max(count - len(gone), 0)]
            gone = chosen[count, version]
    return {variant: chosen[variant] for variant in VARIANTS}


def find_missing(
    layout: SeerLayout, map_id: int, rings: Sequence[IntRing]
) -> dict[Variant, list[int]]:
    """Which rings are missing from the variants that a folder holds.

    The files with the removed rings say it; where there are none, the images from which they are
    missing: a ring is gone when a pixel of it is. Variants without either, or whose image no
    choice of rings explains, are left out.
    """
    masks = ring_masks(rings)
    found: dict[Variant, list[int]] = {}
    for count, version in VARIANTS:
        gone = _by_polygons(layout, map_id, (count, version), rings)
        if gone is None:
            before = found.get((count - 1, version), [])
            gone = _by_image(layout, map_id, (count, version), masks)
            gone = gone and sorted(gone, key=lambda i: (i not in before, i))
        if gone is not None:
            found[count, version] = gone
    return found


def _by_polygons(
    layout: SeerLayout, map_id: int, variant: Variant, rings: Sequence[IntRing]
) -> list[int] | None:
    if not (layout.root / fmt.removed_polygons_name(map_id, *variant)).is_file():
        return None
    removed = layout.removed_polygons(map_id, *variant)
    wanted = [[(int(x), int(y)) for x, y in ring] for ring in removed]
    return [rings.index(ring) for ring in wanted] if all(r in rings for r in wanted) else None


def _by_image(
    layout: SeerLayout, map_id: int, variant: Variant, masks: BoolArray
) -> list[int] | None:
    if not (layout.root / fmt.buildings_name(map_id, *variant)).is_file():
        return None
    image = layout.buildings(map_id, *variant)
    gone = (masks & ~image).any(axis=(1, 2))
    explained = np.array_equal(masks[~gone].any(axis=0), image)
    return np.flatnonzero(gone).tolist() if explained else None
