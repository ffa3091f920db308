"""New splits that never cut a group: cities, blocks, components, whole scenes, trajectories.

A group goes to one set as a whole. Which groups belong together is decided before anything is
drawn, so no choice of ratios or seed can tear one apart.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from rmtools.errors import RecipeError
from rmtools.seeds import generator
from rmtools.splits.manifest import SplitSet, make_manifest
from rmtools.splits.places import (
    check_buffer,
    conflicts,
    distance_notes,
    in_the_way,
    require_places,
)
from rmtools.splits.ratios import RATIOS, check_ratios, counts, share_out

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from rmtools.splits.inventory import Inventory
    from rmtools.splits.manifest import SplitKind, SplitManifest
    from rmtools.splits.places import Place

BLOCK_M = 1024.0
"""Side of a block: four tiles of 256 m."""


def random_split(
    inventory: Inventory, *, ratios: Mapping[str, float] = RATIOS, seed: int = 0
) -> SplitManifest:
    """Give whole scenes to sets at random, without regard to where they lie.

    Every trajectory and transmitter of a scene stays in its set. The sizes are the rounded
    shares, at least one scene each. When squares of different sets overlap on the ground the
    split calls itself leaky.

    Raises
    ------
    RecipeError
        The ratios make no sense, or there are fewer scenes than sets.
    """
    scenes = len(inventory.scenes)
    check_ratios(ratios, scenes, "scenes")
    order = generator(seed, "random split").permutation(scenes)
    chosen = np.empty(scenes, int)
    chosen[order] = np.repeat(range(len(ratios)), counts(list(ratios.values()), scenes))
    return _manifest(
        inventory,
        "random",
        chosen.tolist(),
        ratios,
        seed,
        f"Whole scenes at random, {_words(ratios)}; their place on the ground does not matter.",
    )


def city_split(
    inventory: Inventory,
    *,
    ratios: Mapping[str, float] = RATIOS,
    seed: int = 0,
    buffer_m: float = 0.0,
) -> SplitManifest:
    """Give whole cities to sets.

    A city is a source that scenes were cut from: an extract, a place or a box. Cities with
    scenes that overlap on the ground or lie nearer to each other than `buffer_m` (two extracts
    of one town) count as one. For sizes see :func:`rmtools.splits.ratios.share_out`.

    Raises
    ------
    RecipeError
        The city of a scene is not known, there are fewer cities than sets, or the ratios make no
        sense.
    """
    check_buffer(buffer_m)
    unknown = [scene.name for scene in inventory.scenes if scene.city is None]
    if unknown:
        raise RecipeError(
            f"the city of {len(unknown)} scenes is not known, the first is {unknown[0]!r}.",
            where=inventory.where,
            remedy="RadioMapSeer does not say which map is of which city; take --kind random, or "
            "build scenes from OpenStreetMap.",
        )
    first: dict[str | None, int] = {}
    same = [(first.setdefault(s.city, i), i) for i, s in enumerate(inventory.scenes)]
    labels = _components(len(same), [*same, *_close(inventory, buffer_m)])
    chosen = _share_out(labels, ratios, seed, "cities")
    by_set = [
        sorted({str(s.city) for s, c in zip(inventory.scenes, chosen, strict=True) if c == rank})
        for rank in range(len(ratios))
    ]
    return _manifest(
        inventory,
        "city",
        chosen,
        ratios,
        seed,
        f"Whole cities, {_words(ratios)} as near as whole cities allow; a city is a source of "
        f"scenes, and cities that overlap or lie nearer than {buffer_m:g} m count as one.",
        notes=[
            f"{name}: {', '.join(cities)}." for name, cities in zip(ratios, by_set, strict=True)
        ],
    )


def component_split(
    inventory: Inventory,
    *,
    ratios: Mapping[str, float] = RATIOS,
    seed: int = 0,
    buffer_m: float = 0.0,
) -> SplitManifest:
    """Give whole components to sets: scenes that overlap or are near each other stay together.

    Scenes whose squares overlap on the ground, or are nearer to each other than `buffer_m`, are
    linked; scenes linked through others belong to one component. No scene is left out, and
    squares of different sets are at least `buffer_m` apart. For sizes see
    :func:`rmtools.splits.ratios.share_out`.

    Raises
    ------
    RecipeError
        A scene has no place, there are fewer components than sets, or the ratios make no sense.
    """
    check_buffer(buffer_m)
    require_places(inventory.names, inventory.places, inventory.where)
    labels = _components(len(inventory.scenes), _close(inventory, buffer_m))
    groups = len(set(labels))
    return _manifest(
        inventory,
        "component",
        _share_out(labels, ratios, seed, "components"),
        ratios,
        seed,
        f"Whole components, {_words(ratios)} as near as whole components allow; scenes that "
        f"overlap or lie nearer than {buffer_m:g} m, directly or through others, are one.",
        notes=[f"{groups} components, the largest of {np.bincount(labels).max()} scenes."],
    )


def block_split(
    inventory: Inventory,
    *,
    ratios: Mapping[str, float] = RATIOS,
    seed: int = 0,
    buffer_m: float = 0.0,
    block_m: float = BLOCK_M,
) -> SplitManifest:
    """Give square blocks of the ground to sets, each with all scenes whose centre is in it.

    The blocks of a CRS form a grid at an offset drawn from the seed. A scene whose square
    overlaps that of another set, or is nearer to it than `buffer_m`, is left out; of two such
    scenes the one in the set named first in `ratios` goes. For sizes (before scenes are left
    out) see :func:`rmtools.splits.ratios.share_out`.

    Raises
    ------
    RecipeError
        A scene has no place, there are fewer blocks than sets, no scene is left in a set, or the
        ratios, the buffer or the block make no sense.
    """
    check_buffer(buffer_m)
    squares = inventory.places
    require_places(inventory.names, squares, inventory.where)
    labels = blocks(squares, block_m, seed)
    chosen = _share_out(labels, ratios, seed, "blocks")
    dropped = in_the_way(chosen, squares, buffer_m)
    return _manifest(
        inventory,
        "block",
        chosen,
        ratios,
        seed,
        f"Whole blocks of {block_m:g} m, {_words(ratios)} as near as whole blocks allow; squares "
        f"of different sets do not overlap and are at least {buffer_m:g} m apart, scenes in the "
        "way are left out, those of the earlier set first.",
        dropped=dropped,
        notes=[f"{len(set(labels))} blocks, {len(dropped)} of {len(squares)} scenes left out."],
    )


def blocks(squares: Sequence[Place], block_m: float, seed: int) -> list[int]:
    """Number of the block that the centre of every square lies in, see :func:`block_split`."""
    if not 0 < block_m < np.inf:
        raise RecipeError(f"blocks of {block_m:g} m make no sense.", remedy="Give a length.")
    seen: dict[tuple[str, int, int], int] = {}
    labels = []
    for place in squares:
        offset = generator(seed, "block split", str(place.crs)).uniform(0.0, block_m, 2)
        centre = np.array([place.easting_m, place.northing_m]) + place.size_m / 2
        column, row = np.floor((centre - offset) / block_m).astype(int).tolist()
        labels.append(seen.setdefault((str(place.crs), column, row), len(seen)))
    return labels


def trajectory_split(
    inventory: Inventory, *, ratios: Mapping[str, float] = RATIOS, seed: int = 0
) -> SplitManifest:
    """Give trajectories to sets: every set has all scenes, none has a trajectory of another.

    All transmitters of a trajectory stay in its set. It measures how a model does with other
    traffic in streets it knows, so it calls itself leaky.

    Raises
    ------
    RecipeError
        The ratios make no sense, or there are fewer trajectories than sets.
    """
    number = inventory.trajectories
    check_ratios(ratios, number, "trajectories")
    order = generator(seed, "trajectory split").permutation(number)
    ends = np.cumsum(counts(list(ratios.values()), number))
    sets = {}
    for name, part in zip(ratios, np.split(order, ends[:-1]), strict=True):
        sequences = len(inventory.names) * len(part) * max(1, inventory.transmitters)
        sets[name] = SplitSet(
            scenes=inventory.names, trajectories=sorted(part.tolist()), sequences=sequences
        )
    return make_manifest(
        sets,
        name="trajectory",
        method="trajectory",
        description=f"Trajectories of every scene at random, {_words(ratios)}; the same indices "
        "in every scene.",
        seed=seed,
        dataset=inventory.title,
        dataset_sha256=inventory.sha256,
        leaky=True,
        leaky_reason="all sets share all scenes: streets, buildings and transmitters of the test "
        "are known from training",
    )


def _manifest(
    inventory: Inventory,
    kind: SplitKind,
    chosen: Sequence[int],
    ratios: Mapping[str, float],
    seed: int,
    description: str,
    *,
    dropped: Iterable[int] = (),
    notes: Sequence[str] = (),
) -> SplitManifest:
    """The manifest of whole scenes in sets; `chosen` is the set of every scene by its number."""
    dropped, names = set(dropped), inventory.names
    members = {
        name: [names[i] for i, c in enumerate(chosen) if c == rank and i not in dropped]
        for rank, name in enumerate(ratios)
    }
    if empty := [name for name, scenes in members.items() if not scenes]:
        raise RecipeError(
            f"no scene is left for the set {empty[0]!r} ({len(names)} scenes, {len(dropped)} left "
            "out for the buffer).",
            where=inventory.where,
            remedy="Use a smaller buffer, other ratios, another seed or more scenes.",
        )
    sets = {name: inventory.whole(scenes) for name, scenes in members.items()}
    crossing = [
        (names[a], names[b])
        for a, b in _close(inventory, 0.0)
        if chosen[a] != chosen[b] and not {a, b} & dropped
    ]
    reason = (
        f"{len(crossing)} pairs of scenes of different sets overlap on the ground, such as "
        f"{' and '.join(crossing[0])}"
        if crossing
        else None
    )
    remarks = [*notes, *distance_notes(inventory.places, sets)]
    if placeless := len(names) - len(inventory.places):
        remarks.append(f"{placeless} scenes have no place: whether sets overlap is not known.")
    return make_manifest(
        sets,
        name=kind,
        method=kind,
        description=description,
        seed=seed,
        dataset=inventory.title,
        dataset_sha256=inventory.sha256,
        left_out=[names[i] for i in sorted(dropped)],
        leaky=reason is not None,
        leaky_reason=reason,
        notes=remarks,
    )


def _close(inventory: Inventory, buffer_m: float) -> list[tuple[int, int]]:
    """Pairs of scenes, by their numbers, that overlap or are nearer than `buffer_m`."""
    known = [i for i, scene in enumerate(inventory.scenes) if scene.place is not None]
    return [(known[a], known[b]) for a, b in conflicts(inventory.places, buffer_m)]


def _components(number: int, links: Sequence[tuple[int, int]]) -> list[int]:
    """Label things linked directly or through others alike, labels from 0 in order."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    first, second = np.array(links, int).reshape(-1, 2).T
    graph = coo_array((np.ones(len(first), bool), (first, second)), shape=(number, number))
    labels: list[int] = connected_components(graph, directed=False)[1].tolist()
    return labels


def _share_out(
    labels: Sequence[int], ratios: Mapping[str, float], seed: int, what: str
) -> list[int]:
    """The set of every scene, by its place in `ratios`, from the group of every scene."""
    sizes = np.bincount(np.asarray(labels, int)).tolist()
    check_ratios(ratios, len(sizes), what)
    of_group = share_out(sizes, list(ratios.values()), seed)
    return [of_group[label] for label in labels]


def _words(ratios: Mapping[str, float]) -> str:
    return ", ".join(f"{name} {share:g}" for name, share in ratios.items())
