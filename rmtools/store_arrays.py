"""Making the arrays of a store: which are made, in which pieces, and how they are packed."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from rmtools.store_format import ArraySpec

MAX_BLOCK_BYTES = 2**26
"""Of what Blosc packs together: all of a chunk, unless it is very large."""


def make_arrays(
    group: Any,
    specs: Iterable[ArraySpec],
    sizes: Mapping[str, int],
    attributes: Mapping[str, Mapping[str, Any]] | None = None,
) -> None:
    """Create arrays; one that exists with the same shape and attributes keeps its data.

    Parameters
    ----------
    group
        The Zarr group.
    specs
        What to make.
    sizes
        Length of each dimension.
    attributes
        By the name of an array, attributes besides those of the format.
    """
    for spec in specs:
        shape = tuple(sizes[dim] for dim in spec.dims)
        attrs = {**spec.attrs, **(attributes or {}).get(spec.name, {})}
        if not _is_made(group, spec.name, shape, attrs):
            _create(group, spec, shape, attrs)
        if spec.dims == (spec.name,) and spec.dtype == "int32":
            # also where the array is there: a run may have been killed before this
            group[spec.name][:] = np.arange(shape[0], dtype=np.int32)


def _is_made(group: Any, name: str, shape: tuple[int, ...], attrs: dict[str, Any]) -> bool:
    """Whether there is an array of this name, shape and attributes."""
    if name not in group:
        return False
    present = group[name]
    return bool(present.shape == shape and dict(present.attrs) == attrs)


def _create(group: Any, spec: ArraySpec, shape: tuple[int, ...], attrs: dict[str, Any]) -> None:
    """Create an empty array in place of one that may be there."""
    from zarr.codecs import BloscCodec

    chunked = spec.split if spec.chunked is None else spec.chunked
    chunks = spec.blocks(shape, chunked)
    itemsize = np.dtype(spec.dtype).itemsize
    # one block for all frames of a sequence, which are nearly the same: an eleventh of the
    # bytes, and faster (docs/throughput.md)
    compressor = BloscCodec(
        cname="zstd",
        clevel=3,
        shuffle="shuffle" if itemsize > 1 else "bitshuffle",
        blocksize=min(math.prod(chunks) * itemsize, MAX_BLOCK_BYTES),
    )
    group.create_array(
        spec.name,
        shape=shape,
        dtype=spec.dtype,
        chunks=chunks,
        shards=None if chunked == spec.split else spec.blocks(shape, spec.split),
        fill_value=spec.fill,
        compressors=[compressor],
        dimension_names=spec.dims,
        attributes=attrs,
        overwrite=True,
    )
