"""Whether a split manifest fits a dataset and keeps its sets apart."""

from __future__ import annotations

from itertools import combinations
from typing import TYPE_CHECKING

from rmtools.findings import Report
from rmtools.splits.inventory import inventory_of_store
from rmtools.splits.manifest import dataset_digest
from rmtools.splits.places import near

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rmtools.splits.manifest import SplitManifest, SplitSet
    from rmtools.splits.places import Place
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
    overlapping, touching = _meetings(manifest, squares)
    if overlapping:
        add = report.warning if manifest.leaky else report.error
        add("ground", f"squares of different sets overlap: {_figures(overlapping)}")
    if touching:
        report.warning("ground", f"squares of different sets touch: {_figures(touching)}")


def _meetings(
    manifest: SplitManifest, squares: Sequence[Place]
) -> tuple[dict[str, list[str]], dict[str, list[str]]]:
    """Pairs of scenes that overlap and pairs that touch, by the pair of groups they are in.

    Sets that share scenes are one group: what their squares do adds nothing to that.
    """
    group_of = {
        scene: group
        for group, names in _groups(manifest).items()
        for name in names
        for scene in manifest.sets[name].scenes
    }
    overlapping: dict[str, list[str]] = {}
    touching: dict[str, list[str]] = {}
    found = near(squares, 0.0)
    for a, b, gap in zip(found.first, found.second, found.distance_m, strict=True):
        names = sorted((squares[a].name, squares[b].name))
        groups = sorted({group_of[name] for name in names if name in group_of})
        if len(groups) == 2:
            meetings = overlapping if gap < 0 else touching
            meetings.setdefault("/".join(groups), []).append(" and ".join(names))
    return overlapping, touching


def _groups(manifest: SplitManifest) -> dict[str, list[str]]:
    """Sets that share scenes, directly or through others, as ``"train+val": ["train", "val"]``."""
    groups = [[name] for name in manifest.sets]
    for pair in combinations(manifest.sets, 2):
        if set(manifest.sets[pair[0]].scenes) & set(manifest.sets[pair[1]].scenes):
            joined = [group for group in groups if set(pair) & set(group)]
            groups = [group for group in groups if group not in joined]
            groups.append([name for group in joined for name in group])
    return {"+".join(sorted(group)): group for group in groups}


def _figures(meetings: dict[str, list[str]]) -> str:
    """How many pairs of scenes meet, for each pair of groups, with an example."""
    return ", ".join(
        f"{groups} {len(pairs)} (such as {min(pairs)})" for groups, pairs in meetings.items()
    )
