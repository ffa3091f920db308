"""Validation: whether the content of a dataset makes sense.

:func:`validate` looks at a store, a motion layout, a seer layout (also the published one, whole or
in parts), or a dataset folder with any of them and a split. It reads one sequence or map at a time,
goes on after every bad one, and names all of them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from rmtools.errors import InputError
from rmtools.findings import Finding, Report
from rmtools.layouts.motion_format import DESCRIPTION_NAME, LAYOUT_NAME
from rmtools.layouts.seer_format import LAYOUT_NAME as SEER_NAME
from rmtools.layouts.seer_reader import is_layout as is_seer
from rmtools.splits import SPLIT_NAME, check_manifest, read_manifest
from rmtools.store import STORE_NAME, Store
from rmtools.store_place import StorePlace
from rmtools.validation.motion import check_motion
from rmtools.validation.seer import check_seer
from rmtools.validation.store import check_store

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["Finding", "Report", "validate"]


def validate(path: Path) -> Report:
    """Check a dataset folder, a store, or a layout.

    Parameters
    ----------
    path
        A folder with ``store.zarr`` (and, when there, ``motion`` and ``split.json``, which are
        compared with the store, and ``seer``), a store, a folder with a motion layout's
        ``dataset.json``, or one with RadioMapSeer's folders or some of them.

    Returns
    -------
    Report
        ``report.ok`` is False when anything is wrong.

    Raises
    ------
    InputError
        `path` is none of these.
    """
    report = Report(path=str(path))
    seer = next((place for place in (path / SEER_NAME, path) if is_seer(place)), None)
    motion = next(
        (
            place
            for place in (path / LAYOUT_NAME, path)
            if place != seer and (place / DESCRIPTION_NAME).is_file()
        ),
        None,
    )
    has_store = StorePlace.is_at(path)
    if motion is None and seer is None and not has_store:
        raise InputError(
            "neither a dataset, nor a store, nor a layout.",
            where=path,
            remedy=f"Give a folder that holds {STORE_NAME}, {DESCRIPTION_NAME}, or gain/, png/, "
            "polygon/ and antenna/ as RadioMapSeer has them.",
        )
    store = _check_store(path, report) if has_store else None
    if motion is not None:
        check_motion(motion, report, store)
    elif (path / LAYOUT_NAME).is_dir():
        report.error(f"{LAYOUT_NAME}/{DESCRIPTION_NAME}", "it is missing")
    if seer is not None:
        check_seer(seer, report)
    if (path / SPLIT_NAME).is_file():
        _check_split(path / SPLIT_NAME, report, store)
    return report


def _check_store(path: Path, report: Report) -> Store | None:
    """The store after it was checked; None when there is nothing to compare with."""
    try:
        store = Store.open(path)
    except InputError as error:
        report.error(STORE_NAME, error.what)
        return None
    return store if check_store(store, report) else None


def _check_split(path: Path, report: Report, store: Store | None) -> None:
    report.count("splits")
    try:
        manifest = read_manifest(path)
    except InputError as error:
        report.error(SPLIT_NAME, error.what)
        return
    if store is None:
        report.warning(SPLIT_NAME, "there is no sound store to compare it with")
        return
    report.include(check_manifest(manifest, store), f"{SPLIT_NAME}: ")
