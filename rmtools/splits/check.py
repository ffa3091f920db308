"""Whether a split manifest fits a dataset and keeps its sets apart."""

from __future__ import annotations

from itertools import combinations
from typing import TYPE_CHECKING

from rmtools.findings import Report
from rmtools.splits.inventory import inventory_of_store
from rmtools.splits.manifest import dataset_digest
from rmtools.splits.separation import meetings

if TYPE_CHECKING:
    from rmtools.splits.manifest import SplitManifest, SplitSet
    from rmtools.splits.separation import Meeting
    from rmtools.store import Store


def check_manifest(manifest: SplitManifest, store: Store) -> Report:
    """Check a manifest against the store it is for.

    Errors: a scene, trajectory or transmitter that is not there, a wrong number of sequences, a
    sequence in two sets, scenes shared by sets, and squares of different sets that overlap on
    the ground. A split that calls itself leaky gets one warning for the scenes that its sets
    share and one for overlaps. Warnings too: squares of different sets that touch, scenes
    without a place, and a manifest made for another version of the dataset.
    """
    report = Report(path=manifest.name)
    if manifest.dataset_sha256 not in (None, dataset_digest(store)):
        report.warning("dataset_sha256", "the manifest was made for another version of the dataset")
    known = set(store.scene_names)
    for name, members in manifest.sets.items():
        report.count("sets")
        report.count("sequences", members.sequences)
        _check_members(report, name, members, store, known)
    for (name_a, a), (name_b, b) in combinations(manifest.sets.items(), 2):
        if a.shares_sequences(b):
            report.error(f"{name_a}/{name_b}", "sequences are in both sets")
    _check_separation(report, manifest, store)
    return report


def _check_members(
    report: Report, name: str, members: SplitSet, store: Store, known: set[str]
) -> None:
    sizes = store.sizes
    if unknown := [scene for scene in members.scenes if scene not in known]:
        report.error(
            name,
            f"{len(unknown)} of its scenes are not in the dataset, the first is {unknown[0]!r}",
        )
    count = len(members.scenes)
    for word, chosen, size in (
        ("trajectory", members.trajectories, max(sizes.traj, 1)),  # 1: maps without vehicles
        ("transmitter", members.transmitters, sizes.tx),
    ):
        indices = list(range(size)) if chosen is None else chosen
        count *= len(indices)
        if len(set(indices)) != len(indices):
            report.error(f"{name}: {word}", "an index is named twice")
        if beyond := [index for index in indices if index >= size]:
            report.error(
                f"{name}: {word} {beyond[0]}", f"the dataset has only {size}, counted from 0"
            )
    if count != members.sequences:
        report.error(name, f"{members.sequences} sequences stated, {count} counted")


def _check_separation(report: Report, manifest: SplitManifest, store: Store) -> None:
    """Scenes in several sets, and squares of different sets that meet on the ground."""
    shared = manifest.shared_scenes()
    if manifest.leaky:
        figures = ", ".join(f"{pair} {len(scenes)}" for pair, scenes in shared.items())
        report.warning(
            manifest.name,
            f"the split leaks: {manifest.leaky_reason}"
            + (f"; scenes in two sets: {figures}" if shared else ""),
        )
    else:
        for pair, scenes in shared.items():
            report.error(pair, f"{len(scenes)} scenes are in both sets, the first is {scenes[0]!r}")
    squares = inventory_of_store(store).places
    if lost := len(store.scene_names) - len(squares):
        report.warning(
            "scenes", f"{lost} scenes have no place on the ground; they may overlap other sets"
        )
    met = meetings(manifest, squares)
    if overlapping := _figures([each for each in met if each.overlap]):
        add = report.warning if manifest.leaky else report.error
        add("ground", f"squares of different sets overlap: {overlapping}")
    if touching := _figures([each for each in met if not each.overlap]):
        report.warning("ground", f"squares of different sets touch: {touching}")


def _figures(met: list[Meeting]) -> str:
    """How many pairs of scenes meet, for every two kinds of sets, with an example."""
    pairs: dict[str, list[str]] = {}
    for each in met:
        pairs.setdefault(each.sets, []).append(f"{each.first} and {each.second}")
    return ", ".join(
        f"{sets} {len(pairs[sets])} (such as {min(pairs[sets])})" for sets in sorted(pairs)
    )
