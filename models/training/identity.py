"""Which dataset is it: a digest that is the same for every layout of the same maps."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import numpy as np

from rmtools.errors import InputError
from rmtools.files import to_json
from rmtools.layouts.maps import LayerMissingError
from rmtools.layouts.sources import StoreMaps
from rmtools.splits.manifest import dataset_digest

from .record import DatasetIdentity

if TYPE_CHECKING:
    from rmtools.layouts.maps import MapSource

MAPS = 16
"""So many maps go into the digest; all would take as long as reading the dataset."""


def identify(source: MapSource, kind: str) -> DatasetIdentity:
    """Identify a family of maps.

    Parameters
    ----------
    source
        A dataset in any layout.
    kind
        One of its kinds.

    Returns
    -------
    DatasetIdentity
        Its ``content_sha256`` is over names and sizes, all building masks where there are any,
        and the first map of up to 16 scenes, evenly spread, as grey levels. A store, the layouts
        made of it and their packed caches have the same one; other buildings, another solver or
        another grey scale give another one.
    """
    about = source.kinds[kind]
    names = source.scene_names
    sizes = {
        "scenes": names,
        "traj": about.traj,
        "tx": about.tx,
        "frame": about.frame,
        "n": source.grid.n,
        "resolution_m": source.grid.resolution_m,
        "scale": source.scale.name,
    }
    digest = hashlib.sha256(to_json(sizes).encode())
    try:
        for scene in range(len(names)):
            digest.update(np.packbits(source.buildings(scene)).tobytes())
    except LayerMissingError:
        digest.update(b"no buildings")
    for scene in np.unique(np.linspace(0, len(names) - 1, MAPS).astype(int)).tolist():
        try:
            digest.update(source.grey(kind, scene, 0, 0, slice(0, 1)).tobytes())
        except InputError:  # parts of a dataset can be trained on
            digest.update(b"no such map")
    return DatasetIdentity(
        title=source.title,
        layout=source.layout,
        kind=kind,
        scenes=len(names),
        n=source.grid.n,
        scale=source.scale.name,
        store_sha256=dataset_digest(source.store) if isinstance(source, StoreMaps) else None,
        content_sha256=digest.hexdigest(),
    )
