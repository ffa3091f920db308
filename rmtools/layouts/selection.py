"""Which maps of a dataset belong to a set of a split."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from rmtools.errors import InputError

if TYPE_CHECKING:
    from rmtools.layouts.maps import MapSource
    from rmtools.splits.manifest import SplitManifest
    from rmtools.types import IntArray


def select(
    source: MapSource, kind: str, split: SplitManifest | None = None, subset: str | None = None
) -> IntArray:
    """Indices (scene, trajectory, transmitter) of all sequences of a set, int64, shape (N, 3).

    Parameters
    ----------
    source, kind
        The maps.
    split, subset
        A manifest and the name of one of its sets; neither for everything. Names are looked up,
        their order is kept.

    Raises
    ------
    InputError
        The manifest has no such set, names what the dataset has not, or separates sets only by
        trajectories, which maps without vehicles have not.
    """
    about = source.kinds[kind]
    if split is None and subset is None:
        return _product(range(len(source.scene_names)), range(about.traj), range(about.tx))
    if split is None or subset is None or subset not in split.sets:
        raise InputError(
            f"the split has no set {subset!r}."
            if split is not None
            else f"the set {subset!r} is asked for without a split.",
            where=source.path if split is None else split.name,
            remedy="Give a manifest and the name of one of its sets"
            + (f": {', '.join(split.sets)}." if split is not None else "."),
        )
    members = split.sets[subset]
    trajectories = members.trajectories
    if not about.vehicles and trajectories is not None:
        if any(subset in pair.split("/") for pair in split.shared_scenes()):
            raise InputError(
                f"{subset!r} differs from another set only by its trajectories, and the maps "
                f"{kind!r} have no vehicles: the same maps would be in both.",
                where=split.name,
                remedy="Use a split by scenes, or maps with vehicles.",
            )
        trajectories = None
    chosen = (
        trajectories or range(about.traj),
        range(about.tx) if members.transmitters is None else members.transmitters,
    )
    for what, indices, size in zip(("trajectory", "transmitter"), chosen, about[:2], strict=True):
        if max(indices) >= size:
            raise InputError(
                f"the set {subset!r} names {what} {max(indices)}; the maps {kind!r} have {size}, "
                "counted from 0.",
                where=source.path,
                remedy="Use the split made for this dataset, or make one with `rmtools split`.",
            )
    return _product(source.scene_indices(members.scenes), *chosen)


def _product(*axes: object) -> IntArray:
    grids = np.meshgrid(*(np.asarray(axis, np.int64) for axis in axes), indexing="ij")
    return np.stack([grid.ravel() for grid in grids], axis=-1)
