"""The ledger: which units of work are finished, and what they wrote.

A unit is finished when its entry has been renamed into place. The entry names the key of the
work (everything its result depends on) and the size and SHA-256 of every file it wrote, all of
which were flushed to disk before. A run that was killed anywhere therefore sees either the
finished unit or none.
"""

from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from rmtools.errors import InputError
from rmtools.files import read_json, sha256_file, write_json

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

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
        """Entry of a unit; None when there is none that can be read."""
        path = self._path(stage, unit)
        if not path.is_file():
            return None
        try:
            return LedgerEntry.model_validate(read_json(path))
        except (InputError, ValidationError):
            return None

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
        entry = self.read(stage, unit)
        if entry is None or entry.key != key:
            return False
        try:
            return all((self.root / f.path).stat().st_size == f.size for f in entry.files)
        except OSError:
            return False

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
        written = []
        for path in sorted(files):
            with path.open("rb") as handle:
                os.fsync(handle.fileno())
            written.append(
                WrittenFile(
                    path=path.relative_to(self.root).as_posix(),
                    size=path.stat().st_size,
                    sha256=sha256_file(path),
                )
            )
        entry = LedgerEntry(stage=stage, unit=unit, key=key, files=tuple(written))
        write_json(self._path(stage, unit), entry.model_dump(mode="json"))
        return entry

    def forget(self, stage: str) -> None:
        """Remove all entries of a stage, before its results are removed or replaced."""
        shutil.rmtree(self.root / LEDGER_FOLDER / stage, ignore_errors=True)
