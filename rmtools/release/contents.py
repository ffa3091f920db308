"""Which files of a finished dataset go into a release.

Every file comes with the digest that the dataset's ledger noted when it was made, so a release
cannot pick up a byte that changed since.
"""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, get_args

from rmtools.errors import InputError, RecipeError
from rmtools.files import sha256_file
from rmtools.layouts import motion_format as motion
from rmtools.layouts import seer_format as seer
from rmtools.layouts.hdf5 import FILE_NAME as HDF5_NAME
from rmtools.layouts.packed_format import LAYOUT_NAME as PACKED_NAME
from rmtools.release.names import check_name, check_together
from rmtools.run.ledger import Ledger
from rmtools.run.stages import STAGES
from rmtools.run.workspace import REPORT_NAME
from rmtools.splits.manifest import SPLIT_NAME
from rmtools.store import SCENES_NAME, STORE_NAME
from rmtools.store_place import read_url

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from rmtools.release.manifest import LayerName
    from rmtools.run.ledger import WrittenFile
    from rmtools.run.workspace import Workspace

Layout = Literal["motion", "seer", "hdf5", "packed", "store"]
LAYOUTS: tuple[Layout, ...] = get_args(Layout)
SHARDED: tuple[Layout, ...] = ("motion", "seer")
"""Layouts of many small files, which can be put into tar files."""

_PLACES: dict[str, str] = {
    "motion": motion.LAYOUT_NAME,
    "seer": seer.LAYOUT_NAME,
    "hdf5": HDF5_NAME,
    "packed": PACKED_NAME,
    "store": STORE_NAME,
}
_STAGES = {name: name for name in LAYOUTS} | {"store": "pathloss"}
_MAP_TREES = {motion.LAYOUT_NAME: ("png", "gain", "npz"), seer.LAYOUT_NAME: ("gain",)}
_DOCUMENTS = (motion.DESCRIPTION_NAME, seer.DESCRIPTION_NAME, seer.TABLE_NAME)


@dataclass(frozen=True)
class SourceFile:
    """A file of the dataset that goes into a release as it is.

    Attributes
    ----------
    path
        Name in the release, and relative to the dataset.
    size, sha256
        As the ledger says.
    layer
        What it is.
    """

    path: str
    size: int
    sha256: str
    layer: LayerName


def finished_layouts(space: Workspace) -> list[Layout]:
    """Layouts that are complete in a dataset, the store included."""
    ledger = Ledger(space.root)
    return [name for name in LAYOUTS if not _unfinished(space, ledger, _STAGES[name])]


def choose_layouts(space: Workspace, wanted: Sequence[str] | None) -> list[Layout]:
    """The layouts to release: those asked for, or all that are made for others to read.

    Raises
    ------
    RecipeError
        One is not known or not finished.
    """
    finished = finished_layouts(space)
    if not wanted:
        found = [name for name in finished if name not in ("packed", "store")]
        wanted = found or [name for name in finished if name == "store"] or ["motion"]
    for name in wanted:
        if name not in LAYOUTS:
            raise RecipeError(
                f"there is no layout {name!r}.", remedy=f"Choose among {', '.join(LAYOUTS)}."
            )
        if name not in finished:
            verb = "simulate" if name == "store" else f"package --layout {name}"
            raise RecipeError(
                f"the layout {name!r} is not finished there.",
                where=space.root,
                remedy=f"Run `rmtools {verb}` on the dataset first.",
            )
        if name == "store" and (url := read_url(space.root)) is not None:
            raise RecipeError(
                f"the store is at {url}; a release is made of files in a folder.",
                where="--layout store",
                remedy="docs/scale.md says how to bring it into the folder, or choose --layout "
                "motion.",
            )
    return [name for name in LAYOUTS if name in wanted]


def _unfinished(space: Workspace, ledger: Ledger, stage: str) -> bool:
    """Whether a stage has no units, units that are not done, or units done in different ways."""
    units = STAGES[stage].units(space)
    entries = [ledger.read(stage, unit) for unit in units]
    return not units or None in entries or len({entry.key for entry in entries if entry}) != 1


def collect(space: Workspace, layouts: Sequence[Layout]) -> list[SourceFile]:
    """All files that are released as they are, sorted by name.

    Raises
    ------
    InputError
        One is missing, has another size than the ledger says, is not a plain file, or was not
        made by rmtools.
    """
    ledger = Ledger(space.root)
    known = {
        file.path: file
        for stage in STAGES
        for entry in ledger.entries(stage)
        for file in entry.files
    }
    places = [SCENES_NAME, SPLIT_NAME, REPORT_NAME, *(_PLACES[name] for name in layouts)]
    found = [file for place in places for file in _below(space.root, place, known)]
    present = {file.path for file in found}
    lost = [name for name in known.keys() - present if name.split("/")[0] in places]
    if lost:
        raise InputError(
            f"the file is gone ({len(lost)} are).",
            where=space.root / sorted(lost)[0],
            remedy="Run the recipe again: `rmtools run` makes what is missing.",
        )
    check_together(file.path for file in found)
    return sorted(found, key=lambda file: file.path)


def _below(root: Path, place: str, known: dict[str, WrittenFile]) -> Iterator[SourceFile]:
    """Files at or below one place of a dataset."""
    for path in plain_files(root, place):
        name = path.relative_to(root).as_posix()
        check_name(name)
        size, noted = path.stat().st_size, known.get(name)
        if noted is not None and noted.size != size:
            raise InputError(
                f"the file has {size:,} bytes, it was made with {noted.size:,}.",
                where=path,
                remedy="It was changed or cut off. Delete it and run the recipe again.",
            )
        if noted is None and place != STORE_NAME:
            raise InputError(
                "the file was not made by rmtools.",
                where=path,
                remedy="Move it out of the dataset; a release holds what the recipe makes.",
            )
        sha256 = sha256_file(path) if noted is None else noted.sha256
        yield SourceFile(name, size, sha256, layer_of(name))


def plain_files(root: Path, place: str) -> Iterator[Path]:
    """Plain files at or below `root / place`.

    Raises
    ------
    InputError
        There is a link or a device among them.
    """
    waiting = [root / place]
    while waiting:
        path = waiting.pop()
        try:
            mode = path.lstat().st_mode
        except FileNotFoundError:
            continue
        if stat.S_ISDIR(mode):
            with os.scandir(path) as entries:
                waiting += [path / entry.name for entry in entries]
        elif stat.S_ISREG(mode):
            yield path
        else:
            raise InputError(
                "it is a link or a device, not a file.",
                where=path,
                remedy="Replace it by the file itself; links are not released.",
            )


def layer_of(name: str) -> LayerName:
    """What a file of a dataset is."""
    place, _, rest = name.partition("/")
    tree = rest.split("/")[0]
    if name == SPLIT_NAME:
        return "split"
    if place in (HDF5_NAME, PACKED_NAME):
        return "mixed"
    if place == SCENES_NAME:
        return "scenes"
    if place in _MAP_TREES:
        if rest in _DOCUMENTS:
            return "documents"
        return "maps" if tree in _MAP_TREES[place] else "environment"
    if place == STORE_NAME:
        return "maps" if tree.startswith("pathloss") else "environment"
    return "documents"
