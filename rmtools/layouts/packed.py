"""The packed layout: a training cache of plain ``.npy`` files that are mapped into memory.

Every family of maps is one array (scene, traj, tx, frame, y, x); static layers, vehicle masks and
transmitter pixels stand beside it. ``numpy.load(..., mmap_mode="r")`` reads them without rmtools,
and all processes of a machine share the same pages.
"""

from __future__ import annotations

import hashlib
import io
import os
import shutil
from concurrent.futures import ThreadPoolExecutor
from itertools import product
from typing import TYPE_CHECKING, Any

import numpy as np

from rmtools.errors import RecipeError
from rmtools.files import PARTIAL_SUFFIX, write_json
from rmtools.layouts.maps import LayerMissingError
from rmtools.layouts.packed_format import (
    BUILDINGS,
    DESCRIPTION_NAME,
    HEIGHT,
    IMAGE_DIMS,
    MAP_DIMS,
    MASK_DIMS,
    MEANING,
    ROADS,
    TRANSMITTER_DIMS,
    TRANSMITTERS,
    VEHICLES,
    PackedArray,
    PackedDescription,
    PackedKind,
    PackedScale,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from rmtools.layouts.maps import Kind, MapSource
    from rmtools.layouts.packed_format import Values

_MASK = "0 = no, 1 = yes"
_WORKERS = 4

Array = np.ndarray[Any, Any]


def pack(
    source: MapSource,
    out: Path,
    *,
    values: Values = "uint8",
    kinds: Sequence[str] | None = None,
    transmitters: int | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> list[str]:
    """Write a packed cache.

    It is written to ``<out>.partial`` and renamed when complete, so a killed run leaves nothing
    that looks finished; the next one starts anew. It takes about as long as reading the source.

    Parameters
    ----------
    source
        Any dataset, see :func:`~rmtools.layouts.maps.open_maps`.
    out
        Folder to make; a packed cache there is replaced, anything else is left alone.
    values
        ``"uint8"`` keeps grey levels of the source's scale, which is what the published models
        train on; ``"float32"`` keeps path loss in dB, ``"float16"`` rounds it (to 1/16 dB
        between 64 and 128 dB).
    kinds
        Families of maps to take; None for all.
    transmitters
        How many transmitters of each scene to take, the first ones; None for all.
    progress
        Called with the number of scenes done and their total.

    Returns
    -------
    list of str
        Names of the files in `out`.

    Raises
    ------
    RecipeError
        `values` or `kinds` are unknown, or something else lies at `out`.
    InputError
        A map cannot be read; it is named.
    """
    from rmtools import __version__

    chosen = {name: source.kinds[source.the_kind(name)] for name in kinds or source.kinds}
    if transmitters is not None:
        chosen = {n: k._replace(tx=min(k.tx, max(transmitters, 1))) for n, k in chosen.items()}
    if values not in MEANING or not chosen or not source.scene_names:
        raise RecipeError(
            f"{len(chosen)} kinds of {len(source.scene_names)} scenes as {values!r} cannot be "
            "packed.",
            where=source.path,
            remedy=f"Values are one of {', '.join(MEANING)}; there must be a map.",
        )
    if out.exists() and not (out / DESCRIPTION_NAME).is_file() and any(out.iterdir()):
        raise RecipeError(
            "the folder holds something else than a packed cache.",
            where=out,
            remedy="Choose another name, or empty it.",
        )
    partial = out.with_name(out.name + PARTIAL_SUFFIX)
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    scenes, total = range(len(source.scene_names)), len(source.scene_names) * len(chosen)
    arrays = {
        name: _write(partial / f"{name}.npy", dims, meaning, (read(s) for s in scenes), len(scenes))
        for name, dims, meaning, read in _layers(source, chosen)
    }
    with ThreadPoolExecutor(min(_WORKERS, os.cpu_count() or 1)) as pool:
        for number, (name, kind) in enumerate(chosen.items()):
            blocks = _reporting(
                (_maps(source, name, kind, s, values, pool) for s in scenes),
                number * len(scenes),
                total,
                progress,
            )
            arrays[name] = _write(
                partial / f"{name}.npy", MAP_DIMS, MEANING[values], blocks, len(scenes)
            )
    scale = source.scale
    description = PackedDescription(
        title=source.title,
        rmtools_version=__version__,
        source=source.layout,
        n=source.grid.n,
        resolution_m=source.grid.resolution_m,
        values=values,
        scale=PackedScale(
            name=scale.name,  # type: ignore[arg-type]  # checked by pydantic
            gain_min_db=scale.gain_min_db,
            gain_max_db=scale.gain_max_db,
            formula=str(scale.describe()["formula"]),
        ),
        scenes=source.scene_names,
        kinds={name: PackedKind(**kind._asdict()) for name, kind in chosen.items()},
        arrays=arrays,
        licence=source.licence,
        attribution=source.attribution,
    )
    write_json(partial / DESCRIPTION_NAME, description.model_dump(mode="json"))
    if out.exists():
        shutil.rmtree(out)
    partial.rename(out)
    return [*(array.file for array in arrays.values()), DESCRIPTION_NAME]


def _layers(
    source: MapSource, kinds: dict[str, Kind]
) -> Iterator[tuple[str, tuple[str, ...], str, Callable[[int], Array]]]:
    """Name, dimensions, meaning and reader of each layer beside the maps that the source has."""
    images = {
        BUILDINGS: (source.buildings, np.uint8, _MASK),
        ROADS: (source.roads, np.uint8, _MASK),
        HEIGHT: (source.building_height, np.float32, "roof height in metres, NaN = no building"),
    }
    for name, (read, dtype, meaning) in images.items():
        if _has(read, 0):
            yield name, IMAGE_DIMS, meaning, lambda s, r=read, t=dtype: np.asarray(r(s)).astype(t)  # type: ignore[misc]
    if _has(source.transmitter_pixels, 0):
        count = max(kind.tx for kind in kinds.values())
        yield (
            TRANSMITTERS,
            TRANSMITTER_DIMS,
            "row and column of the pixel",
            lambda s: source.transmitter_pixels(s)[:count].astype(np.int32),
        )
    moving = {(kind.traj, kind.frame) for kind in kinds.values() if kind.vehicles}
    if len(moving) == 1 and _has(source.vehicles, 0, 0):
        ((trajectories, _),) = moving
        yield (
            VEHICLES,
            MASK_DIMS,
            _MASK,
            lambda s: np.stack([source.vehicles(s, t) for t in range(trajectories)]).astype(
                np.uint8
            ),
        )


def _has(read: Callable[..., object], *index: int) -> bool:
    """Whether a source has a layer, told from the first of its scenes."""
    try:
        read(*index)
    except LayerMissingError:
        return False
    return True


def _maps(
    source: MapSource,
    name: str,
    kind: Kind,
    scene: int,
    values: Values,
    pool: ThreadPoolExecutor,
) -> Array:
    """All maps of a scene, shape (traj, tx, frame, n, n); threads read and convert them."""
    read = source.grey if values == "uint8" else source.pathloss_db

    def sequence(at: tuple[int, int]) -> Array:
        return read(name, scene, *at).astype(values, copy=False)

    found = list(pool.map(sequence, product(range(kind.traj), range(kind.tx))))
    return np.stack(found).reshape(kind.traj, kind.tx, *found[0].shape)


def _reporting(
    blocks: Iterator[Array], done: int, total: int, progress: Callable[[int, int], None] | None
) -> Iterator[Array]:
    for number, block in enumerate(blocks, start=done + 1):
        yield block
        if progress is not None:
            progress(number, total)


def _write(
    path: Path, dims: tuple[str, ...], meaning: str, blocks: Iterator[Array], count: int
) -> PackedArray:
    """Write an array block by block along its first dimension, and take its digest on the way."""
    digest = hashlib.sha256()
    with path.open("wb") as handle:
        for number, block in enumerate(blocks):
            if number == 0:
                shape, dtype = (count, *block.shape), block.dtype
                header = _header(shape, dtype)
                handle.write(header)
                digest.update(header)
            if block.shape != shape[1:] or block.dtype != dtype:
                msg = f"scene {number}: {block.dtype} {block.shape}, not {dtype} {shape[1:]}"
                raise AssertionError(msg)
            data = np.ascontiguousarray(block).data
            handle.write(data)
            digest.update(data)
        handle.flush()
        os.fsync(handle.fileno())
    return PackedArray(
        file=path.name,
        dims=list(dims),
        shape=list(shape),
        dtype=dtype.name,
        meaning=meaning,
        size=path.stat().st_size,
        sha256=digest.hexdigest(),
    )


def _header(shape: tuple[int, ...], dtype: np.dtype[Any]) -> bytes:
    """First bytes of a ``.npy`` file."""
    buffer = io.BytesIO()
    fields = {"descr": dtype.str, "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(buffer, fields)
    return buffer.getvalue()
