"""A sound dataset to be broken, and what validation says of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import zarr
from fakes_store import make_store

from rmtools.layouts.motion import write_layout
from rmtools.splits import SPLIT_NAME, write_manifest
from rmtools.splits.motion import split_store
from rmtools.validation import validate

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

N = 32


def make_dataset(root: Path) -> Path:
    """A complete dataset folder: store, layout under both names, split."""
    store = make_store(root, n=N, scenes=2, traj=2, tx=2, frames=5)
    write_layout(store, root / "motion", names="both")
    write_manifest(root / SPLIT_NAME, split_store(store))
    return root


def errors(path: Path) -> list[str]:
    """Errors of a validation, as one text each."""
    report = validate(path)
    found = [f"{f.where}: {f.what}" for f in report.findings if f.level == "error"]
    assert len(found) == report.errors
    assert report.ok == (not found)
    return found


def edit(store: Path, name: str, change: Callable[[Any], object]) -> None:
    """Change an array of a store in place."""
    change(zarr.open_group(store, mode="r+", use_consolidated=False)[name])


def put(array: Any, index: Any, value: Any) -> None:
    array[index] = value
