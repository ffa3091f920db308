"""The RadioMapMotion split, scaled to any number of scenes and trajectories.

RadioMapMotion paper and released code agree on 300 environments, 5 trajectories and 20
transmitters: train is environments 0-249 with trajectories 0-2, validation trajectory 3, "seen"
test trajectory 4, "unseen" test environments 250-299 with all trajectories.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from rmtools.errors import RecipeError
from rmtools.splits.inventory import inventory_of_store
from rmtools.splits.manifest import SplitManifest, SplitSet, make_manifest

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rmtools.splits.inventory import Inventory
    from rmtools.store import Store

PUBLISHED_SIZES = (300, 5)
"""Scenes, and trajectories of a scene, in RadioMapMotion."""

TRAIN, VAL, TEST_SEEN, TEST_UNSEEN = "train", "val", "test_seen", "test_unseen"


def trajectory_sets(trajectories: int) -> dict[str, list[int]]:
    """Trajectories of the seen scenes: 3 : 1 : 1, in order.

    Validation and seen test get a fifth of the trajectories each, rounded to the nearest (halves
    up) and at least one; training gets the rest. With two trajectories there is no validation
    set, with one there is training only.
    """
    if trajectories == 1:
        return {TRAIN: [0]}
    if trajectories == 2:
        return {TRAIN: [0], TEST_SEEN: [1]}
    each = max(1, (2 * trajectories + 5) // 10)
    first_val, first_test = trajectories - 2 * each, trajectories - each
    return {
        TRAIN: list(range(first_val)),
        VAL: list(range(first_val, first_test)),
        TEST_SEEN: list(range(first_test, trajectories)),
    }


def unseen_count(scenes: int) -> int:
    """Scenes kept for the unseen test: a sixth, rounded to the nearest (halves up), at least 1.

    A single scene is kept for training.
    """
    return max(1, (scenes + 3) // 6) if scenes > 1 else 0


def radiomapmotion_split(
    scenes: Sequence[str],
    trajectories: int,
    transmitters: int,
    *,
    dataset: str,
    dataset_sha256: str | None = None,
) -> SplitManifest:
    """Split by the paper's rule.

    Parameters
    ----------
    scenes
        Names in the dataset's order; the last sixth becomes the unseen test set.
    trajectories, transmitters
        How many each scene has.
    dataset, dataset_sha256
        Title and digest of the dataset, for the record.

    Raises
    ------
    RecipeError
        No scene, no trajectory or no transmitter.
    """
    if not scenes or trajectories < 1 or transmitters < 1:
        raise RecipeError(
            f"{len(scenes)} scenes, {trajectories} trajectories and {transmitters} transmitters "
            "cannot be split.",
            remedy="Use at least one scene, one trajectory and one transmitter.",
        )
    unseen = unseen_count(len(scenes))
    seen = list(scenes[: len(scenes) - unseen])
    by_set = trajectory_sets(trajectories)
    sets = {
        name: SplitSet(
            scenes=seen, trajectories=chosen, sequences=len(seen) * len(chosen) * transmitters
        )
        for name, chosen in by_set.items()
    }
    if unseen:
        sets[TEST_UNSEEN] = SplitSet(
            scenes=list(scenes[-unseen:]),
            trajectories=list(range(trajectories)),
            sequences=unseen * trajectories * transmitters,
        )
    sharing = [name for name in (TEST_SEEN, VAL) if name in sets]
    missing = [name for name in (TEST_SEEN, VAL) if name not in sets]
    notes = []
    if (len(scenes), trajectories) != PUBLISHED_SIZES:
        notes.append(
            f"The published rule at another size: seen scenes {len(seen)} (RadioMapMotion 250), "
            f"unseen scenes {unseen} (50), trajectories of each {trajectories} (5)."
        )
    notes.append(
        "Scenes that lie side by side in one city are different scenes here; `rmtools validate` "
        "reports sets that touch."
    )
    if not unseen:
        notes.append("A single scene leaves no set test_unseen: nothing measures other scenes.")
    if missing:
        notes.append(f"So few trajectories leave no set {' and no set '.join(missing)}.")
    notes.append(
        "There is no validation set: a model chosen by a test set spoils that test."
        if VAL in missing
        else "There is no scene-disjoint validation set: model choice sees the seen scenes."
    )
    return make_manifest(
        sets,
        name="radiomapmotion",
        method="radiomapmotion",
        description=(
            "RadioMapMotion rule: the last sixth of the scenes (rounded to the nearest, halves "
            "up, at least one) is test_unseen with all trajectories; the others are seen scenes "
            "whose trajectories go 3:1:1 in order to train, val and test_seen (val and "
            "test_seen a fifth each, rounded the same way, at least one; of two trajectories "
            "one each goes to train and test_seen, a single one to train)."
        ),
        dataset=dataset,
        dataset_sha256=dataset_sha256,
        leaky=bool(sharing),
        leaky_reason=(
            f"{' and '.join(sharing)} share{'s' * (len(sharing) == 1)} scenes with "
            f"train; {'only test_unseen' if unseen else 'no set'} is scene-disjoint"
            if sharing
            else None
        ),
        notes=notes,
    )


def split_inventory(inventory: Inventory) -> SplitManifest:
    """Split a dataset by the paper's rule."""
    return radiomapmotion_split(
        inventory.names,
        inventory.trajectories,
        inventory.transmitters,
        dataset=inventory.title,
        dataset_sha256=inventory.sha256,
    )


def split_store(store: Store) -> SplitManifest:
    """Split a store by the paper's rule."""
    return split_inventory(inventory_of_store(store))
