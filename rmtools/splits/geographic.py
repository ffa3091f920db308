"""Whole scenes to sets by where they lie on the ground, with an optional buffer between sets."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from rmtools.errors import RecipeError
from rmtools.seeds import generator
from rmtools.splits.inventory import inventory_of_store
from rmtools.splits.manifest import SplitManifest, SplitSet, make_manifest
from rmtools.splits.places import check_buffer, distance_notes, in_the_way, require_places
from rmtools.splits.ratios import RATIOS, check_ratios, counts

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from rmtools.splits.inventory import Inventory
    from rmtools.splits.places import Place
    from rmtools.store import Store


def geographic_split(
    squares: Sequence[Place],
    trajectories: int,
    transmitters: int,
    *,
    dataset: str,
    dataset_sha256: str | None = None,
    ratios: Mapping[str, float] = RATIOS,
    seed: int = 0,
    buffer_m: float = 0.0,
) -> SplitManifest:
    """Cut the ground into one strip per set and assign whole scenes.

    The scenes of each CRS are lined up along a direction drawn from the seed, the CRSs one after
    the other in an order drawn from the seed, and the line is cut at the ratios. Strips have
    short borders, so a buffer costs few scenes; the first set lies between the second and the
    others, so train keeps val and test apart. A scene whose square overlaps that of another
    set, or is nearer to it than `buffer_m`, is left out; of two such scenes the one in the set
    named first in `ratios` goes, so that with train, val, test the test set stays whole. Scenes
    in different CRSs are taken to be far apart.

    Parameters
    ----------
    squares
        Where the scenes lie; every trajectory and transmitter of a scene stays in its set.
    trajectories, transmitters
        How many each scene has, for the number of sequences.
    dataset, dataset_sha256
        Title and digest of the dataset, for the record.
    ratios
        Sets with their shares of the scenes; every set gets at least one.
    seed
        Of the directions and the order.
    buffer_m
        Smallest distance between squares of different sets, in metres.

    Raises
    ------
    RecipeError
        The ratios make no sense, or a set has no scene (left).
    """
    check_ratios(ratios, len(squares), "scenes")
    check_buffer(buffer_m)
    rank = np.zeros(len(squares), int)  # of the set of every scene, by its place in `ratios`
    along = _along_the_line(len(ratios))
    shares = list(ratios.values())
    rank[_line_up(squares, seed)] = np.repeat(
        along, counts([shares[i] for i in along], len(squares))
    )
    dropped = in_the_way(rank.tolist(), squares, buffer_m)
    sets = {}
    for position, name in enumerate(ratios):
        chosen = [
            place.name
            for i, place in enumerate(squares)
            if rank[i] == position and i not in dropped
        ]
        if not chosen:
            raise RecipeError(
                f"no scene is left for the set {name!r} ({len(squares)} scenes, "
                f"{len(dropped)} left out for the buffer of {buffer_m:g} m).",
                remedy="Use a smaller buffer, other ratios, another seed or more scenes.",
            )
        sets[name] = SplitSet(scenes=chosen, sequences=len(chosen) * trajectories * transmitters)
    return make_manifest(
        sets,
        name="geographic",
        method="geographic",
        description=(
            "Whole scenes in strips: lined up along a direction drawn from the seed and cut into "
            + ", ".join(f"{name} {share:g}" for name, share in ratios.items())
            + f"; squares of different sets do not overlap and are at least {buffer_m:g} m "
            "apart, scenes in the way are left out, those of the earlier set first."
        ),
        seed=seed,
        dataset=dataset,
        dataset_sha256=dataset_sha256,
        left_out=[squares[i].name for i in sorted(dropped)],
        leaky=False,
        notes=[
            f"{len(dropped)} of {len(squares)} scenes left out.",
            *distance_notes(squares, sets),
        ],
    )


def split_inventory(
    inventory: Inventory,
    *,
    ratios: Mapping[str, float] = RATIOS,
    seed: int = 0,
    buffer_m: float = 0.0,
) -> SplitManifest:
    """Split a dataset geographically, see :func:`geographic_split`."""
    squares = inventory.places
    require_places(inventory.names, squares, inventory.where)
    return geographic_split(
        squares,
        max(1, inventory.trajectories),
        max(1, inventory.transmitters),
        dataset=inventory.title,
        dataset_sha256=inventory.sha256,
        ratios=ratios,
        seed=seed,
        buffer_m=buffer_m,
    )


def split_store(
    store: Store,
    *,
    ratios: Mapping[str, float] = RATIOS,
    seed: int = 0,
    buffer_m: float = 0.0,
) -> SplitManifest:
    """Split a store geographically, see :func:`geographic_split`."""
    found = inventory_of_store(store)
    return split_inventory(found, ratios=ratios, seed=seed, buffer_m=buffer_m)


def _along_the_line(sets: int) -> list[int]:
    """Order of the strips: the first set between the second and the rest."""
    return [1, 0, *range(2, sets)]


def _line_up(squares: Sequence[Place], seed: int) -> list[int]:
    """Order of all scenes along the line that is cut."""
    groups = sorted({str(place.crs) for place in squares})
    line: list[int] = []
    for group in generator(seed, "geographic split").permutation(len(groups)):
        angle = generator(seed, "geographic split", groups[group]).uniform(0.0, 2.0 * np.pi)
        members = [i for i, place in enumerate(squares) if str(place.crs) == groups[group]]
        line += sorted(
            members,
            key=lambda i: (
                round(
                    squares[i].easting_m * float(np.cos(angle))
                    + squares[i].northing_m * float(np.sin(angle)),
                    3,
                ),
                squares[i].name,
            ),
        )
    return line
