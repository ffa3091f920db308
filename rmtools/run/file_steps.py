"""The stages that write the HDF5 and the packed layout, see :mod:`rmtools.run.steps`."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

from rmtools.layouts.hdf5 import FILE_NAME
from rmtools.layouts.packed_format import LAYOUT_NAME as PACKED_NAME
from rmtools.run.steps import one_unit

if TYPE_CHECKING:
    from pathlib import Path

    from rmtools.run.workspace import Workspace


def hdf5_units(space: Workspace) -> list[str]:
    """The file; none without the layout."""
    return [] if space.recipe.layouts.hdf5 is None else one_unit(space)


def write_hdf5(space: Workspace, _: str) -> list[Path]:
    """Write the file."""
    from rmtools.layouts.hdf5 import write_hdf5

    return [space.root / name for name in write_hdf5(space.store, space.root / FILE_NAME)]


def clear_hdf5(space: Workspace) -> None:
    """Remove the file."""
    (space.root / FILE_NAME).unlink(missing_ok=True)


def packed_units(space: Workspace) -> list[str]:
    """The cache; none without the layout."""
    return [] if space.recipe.layouts.packed is None else one_unit(space)


def write_packed(space: Workspace, _: str) -> list[Path]:
    """Write the cache."""
    from rmtools.layouts.packed import pack
    from rmtools.layouts.sources import StoreMaps

    config, out = space.recipe.layouts.packed, space.root / PACKED_NAME
    if config is None:
        return []
    source = StoreMaps(space.store.path, config.scale)
    return [out / name for name in pack(source, out, values=config.values)]


def clear_packed(space: Workspace) -> None:
    """Remove the cache."""
    shutil.rmtree(space.root / PACKED_NAME, ignore_errors=True)
