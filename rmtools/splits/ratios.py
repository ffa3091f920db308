"""Shares of a whole: how many scenes each set gets, and which groups of scenes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from rmtools.errors import RecipeError
from rmtools.seeds import generator

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

RATIOS = {"train": 0.7, "val": 0.1, "test": 0.2}


def sound_ratios(ratios: Mapping[str, float]) -> bool:
    """Whether ratios are two or more positive, finite shares."""
    return len(ratios) >= 2 and all(0 < share < np.inf for share in ratios.values())


def check_ratios(ratios: Mapping[str, float], things: int, what: str) -> None:
    """Refuse ratios that make no sense or ask for more sets than there are things to share out.

    Raises
    ------
    RecipeError
        `what` says what the things are, such as ``"scenes"``.
    """
    if not sound_ratios(ratios):
        raise RecipeError(
            f"the ratios {dict(ratios)} are not two or more positive shares.",
            remedy="Give something like train=0.7, val=0.1, test=0.2.",
        )
    if things < len(ratios):
        raise RecipeError(
            f"{things} {what} cannot be cut into {len(ratios)} sets: one would be empty.",
            remedy=f"Use at least one of the {what} per set, fewer sets, or another kind of split.",
        )


def counts(shares: Sequence[float], things: int) -> list[int]:
    """Sizes of sets of equal things: rounded shares that add up to `things`, at least one each."""
    bounds = np.rint(np.cumsum(shares) / sum(shares) * things).astype(int)
    sizes = np.diff(bounds, prepend=0)
    while sizes.min() == 0:
        sizes[sizes.argmax()] -= 1
        sizes[sizes.argmin()] += 1
    return [int(size) for size in sizes]


def share_out(sizes: Sequence[int], shares: Sequence[float], seed: int) -> list[int]:
    """Give whole groups to sets so that the sets' sizes come near their shares.

    Groups go, the largest first and groups of one size in an order drawn from the seed, each to
    the set that lacks most. Then a set without a group takes the smallest group of the set that
    has most groups. So every set gets a group, and none exceeds its share by a whole group or
    more.

    Parameters
    ----------
    sizes
        Scenes of every group; at least as many groups as sets.
    shares
        Shares of the sets, in any unit.
    seed
        Of the order.

    Returns
    -------
    list of int
        The set of every group, by its place in `shares`.
    """
    wanted = np.asarray(shares, float) / sum(shares) * sum(sizes)
    given = np.zeros(len(shares))
    chosen = np.zeros(len(sizes), int)
    order = generator(seed, "share out groups").permutation(len(sizes)).tolist()
    for group in sorted(order, key=lambda g: -sizes[g]):
        chosen[group] = np.argmax(wanted - given)
        given[chosen[group]] += sizes[group]
    for empty in range(len(shares)):
        if empty not in chosen:
            rich = np.bincount(chosen, minlength=len(shares)).argmax()
            group = min((g for g in order if chosen[g] == rich), key=lambda g: sizes[g])
            chosen[group] = empty
    return [int(each) for each in chosen]
