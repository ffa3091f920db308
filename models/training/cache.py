"""Where the maps are read from: as they are, or a packed cache of them that is made once."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

from filelock import FileLock

from rmtools.errors import InputError, StorageError
from rmtools.layouts.maps import open_maps
from rmtools.layouts.packed import pack
from rmtools.layouts.packed_reader import PackedMaps

from .identity import identify

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from rmtools.layouts.maps import MapSource

    from .record import DatasetIdentity


def cached(
    source: MapSource, kind: str, folder: Path, say: Callable[[str], None] = lambda _: None
) -> tuple[MapSource, DatasetIdentity]:
    """Give a packed cache of a dataset, which alone is fast in random order.

    A dataset that is packed already is used as it is, and so is a packed layout inside its
    folder that holds the same maps. Otherwise one is made once, named after the content of the
    dataset, so that another version of it gets another one.

    Parameters
    ----------
    source, kind
        The dataset and the family of maps.
    folder
        Where to make ``cache-<digest>``; the trainings of a folder share it.
    say
        Told what is done.

    Returns
    -------
    MapSource
        The cache.
    DatasetIdentity
        Of the dataset.

    Raises
    ------
    StorageError
        There is no room for it.
    """
    identity = identify(source, kind)
    if source.layout == "packed":
        return source, identity
    inside = source.path / "packed"
    if PackedMaps.recognises(inside):
        packed = PackedMaps(inside)
        if kind in packed.kinds and _same(packed, kind, identity):
            say(f"reading {inside}")
            return packed, identity
    target = folder / f"cache-{identity.content_sha256[:12]}"
    folder.mkdir(parents=True, exist_ok=True)
    with FileLock(f"{target}.lock"):
        if PackedMaps.recognises(target):
            say(f"reading the cache {target}")
            return open_maps(target), identity
        about = source.kinds[kind]
        per_scene = about.traj * (about.tx + about.vehicles) * about.frame + 6
        size = len(source.scene_names) * per_scene * source.grid.n**2
        if size > (free := shutil.disk_usage(folder).free):
            raise StorageError(
                f"a cache of the maps needs {size / 1e9:.1f} GB, {free / 1e9:.1f} GB are free.",
                where=folder,
                remedy="Choose another place with --cache, or read the dataset as it is with "
                "--no-cache (slower).",
            )
        say(f"packing {source.path} into {target} ({size / 1e6:,.1f} MB, once)")
        pack(source, target, kinds=[kind])
    made = open_maps(target)
    if not _same(made, kind, identity):
        raise InputError("the cache does not hold what the dataset does.", where=target)
    return made, identity


def _same(packed: MapSource, kind: str, identity: DatasetIdentity) -> bool:
    return identify(packed, kind).content_sha256 == identity.content_sha256
