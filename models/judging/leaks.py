"""No benchmark on a split that leaks: the audit before anything else."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rmtools.audit import audit
from rmtools.errors import InputError, LeakError
from rmtools.splits.inventory import Inventory, SceneEntry, inventory_of
from rmtools.store import STORE_NAME

from .results import AuditUse

if TYPE_CHECKING:
    from pathlib import Path

    from rmtools.layouts.maps import MapSource
    from rmtools.splits.manifest import SplitManifest


def audited(split: SplitManifest, source: MapSource, *, allow: bool) -> AuditUse:
    """Audit a split with its dataset.

    Parameters
    ----------
    split
        The split.
    source
        The dataset. Of a packed cache or an HDF5 file the dataset around it is looked at, if it
        lies in the folder of one; else its building masks, and places on the ground are not
        known.
    allow
        Whether a split that leaks is allowed.

    Raises
    ------
    LeakError
        It leaks and that is not allowed.
    """
    report = audit(split, _inventory(source))
    leaks = [f"{level.level}: {level.finding}" for level in report.leaks]
    if split.leaky_reason and not leaks:
        leaks = [f"the split says so: {split.leaky_reason}"]
    if leaks and not allow:
        raise LeakError(
            f"the split leaks ({'; '.join(leaks)}), so its numbers would measure memory.",
            where=split.name,
            remedy="Make another with `rmtools split`, or mark all tables with --allow-leaky.",
        )
    skipped = [
        f"{level.level}: {level.finding}"
        for level in report.levels
        if level.verdict == "not checked" and level.level in ("ground", "copies")
    ]
    return AuditUse(leaks=leaks, not_checked=skipped)


def _inventory(source: MapSource) -> Inventory:
    """Scenes and places, as far as the dataset or the folder around it knows them."""
    around: tuple[Path, ...] = (source.path,)
    if (source.path.resolve().parent / STORE_NAME).is_dir():
        around = (source.path, source.path.resolve().parent)
    for path in around:
        try:
            found = inventory_of(path)
        except InputError:
            continue
        if set(source.scene_names) <= set(found.names):
            return found
    kinds = source.kinds.values()
    return Inventory(
        title=source.title,
        where=source.path,
        scenes=tuple(SceneEntry(name) for name in source.scene_names),
        trajectories=max(kind.traj for kind in kinds),
        transmitters=max(kind.tx for kind in kinds),
    )
