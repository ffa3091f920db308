"""The ledger: which units of work are finished, and what they wrote.

A unit is finished when its entry has been renamed into place. The entry names the key of the
work (everything its result depends on) and the size and SHA-256 of every file it wrote, all of
which were flushed to disk before (or have reached the store's URL). A run that was killed anywhere
therefore sees either the finished unit or none.
"""

from __future__ import annotations

import os
import shutil
from functools import cached_property, partial
from typing import TYPE_CHECKING, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from rmtools.errors import InputError
from rmtools.files import read_json, sha256_file, write_json
from rmtools.store_place import NAME as STORE_NAME
from rmtools.store_place import read_url

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from pathlib import Path

    from rmtools.remote import RemoteFolder

LEDGER_FOLDER = ".rmtools/ledger"


class WrittenFile(BaseModel):
    """One file of a finished unit."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    path: str = Field(description="Relative to the dataset folder, with forward slashes")
    size: int = Field(ge=0, description="Bytes")
    sha256: str = Field(pattern="^[0-9a-f]{64}$")


class LedgerEntry(BaseModel):
    """A finished unit of work."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    format: Literal[1] = 1
    stage: str = Field(description="Name of the stage, such as simulate")
    unit: str = Field(description="Name of the unit within the stage, such as 003_01")
    key: str = Field(description="SHA-256 of everything the result depends on")
    files: tuple[WrittenFile, ...]


class Ledger:
    """The finished units of one dataset folder."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def _path(self, stage: str, unit: str) -> Path:
        return self.root / LEDGER_FOLDER / stage / f"{unit}.json"

    def read(self, stage: str, unit: str) -> LedgerEntry | None:
        """Entry of a unit; None when there is none that can be read and is about this unit."""
        path = self._path(stage, unit)
        if not path.is_file():
            return None
        try:
            entry = LedgerEntry.model_validate(read_json(path))
        except (InputError, ValidationError):
            return None
        return entry if (entry.stage, entry.unit) == (stage, unit) else None

    def entries(self, stage: str) -> list[LedgerEntry]:
        """All readable entries of a stage, sorted by unit."""
        folder = self.root / LEDGER_FOLDER / stage
        names = sorted(path.stem for path in folder.glob("*.json"))
        found = (self.read(stage, name) for name in names)
        return [entry for entry in found if entry is not None]

    def is_done(self, stage: str, unit: str, key: str) -> bool:
        """Whether a unit is finished under `key` and its files still have their sizes.

        Content is not re-read here; ``rmtools validate`` looks inside.
        """
        return self._is_whole(self.read(stage, unit), key, self._size)

    def done(self, stage: str, units: Iterable[str], key: str) -> set[str]:
        """Those of `units` that are done; a store at a URL is asked once for all of them."""
        entries = {unit: self.read(stage, unit) for unit in units}
        size = self._size
        if self._remote is not None and any(entry and entry.files for entry in entries.values()):
            size = partial(self._size_in, self._remote.sizes())
        return {unit for unit, entry in entries.items() if self._is_whole(entry, key, size)}

    @staticmethod
    def _is_whole(entry: LedgerEntry | None, key: str, size: Callable[[str], int | None]) -> bool:
        """Whether an entry has the key and all of its files have their sizes."""
        if entry is None or entry.key != key:
            return False
        return all(size(file.path) == file.size for file in entry.files)

    @cached_property
    def _remote(self) -> RemoteFolder | None:
        """Where the store lies when it is not in the folder."""
        return read_url(self.root)

    def _in_remote(self, name: str) -> str | None:
        """Name within the store at a URL of a file that lies there; None for any other."""
        inner = name.removeprefix(f"{STORE_NAME}/")
        return None if self._remote is None or inner == name else inner

    def _size(self, name: str) -> int | None:
        """Bytes of a file of the dataset; None when it is not there."""
        if self._remote is not None and (inner := self._in_remote(name)):
            return self._remote.size(inner)
        try:
            return (self.root / name).stat().st_size
        except OSError:
            return None

    def _size_in(self, listing: Mapping[str, int], name: str) -> int | None:
        """Bytes of a file where the store at a URL was listed."""
        inner = self._in_remote(name)
        return self._size(name) if inner is None else listing.get(inner)

    def keys(self, stage: str) -> set[str]:
        """Keys under which units of a stage were finished."""
        return {entry.key for entry in self.entries(stage)}

    def finish(self, stage: str, unit: str, key: str, files: Iterable[Path]) -> LedgerEntry:
        """Record a unit as finished.

        Parameters
        ----------
        stage, unit, key
            What was done.
        files
            Everything it wrote, below the dataset folder.
        """
        written = [self._written(path) for path in sorted(files)]
        entry = LedgerEntry(stage=stage, unit=unit, key=key, files=tuple(written))
        write_json(self._path(stage, unit), entry.model_dump(mode="json"))
        return entry

    def _written(self, path: Path) -> WrittenFile:
        """Flush a file to disk and describe it; one at a URL is there when it has been sent."""
        name = path.relative_to(self.root).as_posix()
        if self._remote is not None and (inner := self._in_remote(name)):
            size, sha256 = self._remote.describe(inner)
            return WrittenFile(path=name, size=size, sha256=sha256)
        with path.open("rb") as handle:
            os.fsync(handle.fileno())
        return WrittenFile(path=name, size=path.stat().st_size, sha256=sha256_file(path))

    def forget(self, stage: str) -> None:
        """Remove all entries of a stage, before its results are removed or replaced."""
        shutil.rmtree(self.root / LEDGER_FOLDER / stage, ignore_errors=True)
