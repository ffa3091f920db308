"""``manifest.json``: every file of a release with its size and SHA-256, and what they are.

It is written last, so that a release with a manifest is complete. Its member ``sha256`` is the
digest of the whole: it covers all that the manifest says, and so every byte of every file.
"""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from rmtools.errors import InputError
from rmtools.files import MAX_JSON_BYTES, first_problem, read_bytes, to_json
from rmtools.release.facts import Facts
from rmtools.release.item_lines import BETWEEN, MAX_BYTES, read_items
from rmtools.release.names import MAX_NAME_BYTES, SafeName, check_together

if TYPE_CHECKING:
    from pathlib import Path

MANIFEST_NAME = "manifest.json"
CHECKSUMS_NAME = "SHA256SUMS"

MAX_FILES = 5_000_000
_ZEROS = "0" * 64
# the list on the outermost level; deeper ones stand further to the right
_NO_FILES = '\n "files": []'
_FILES_BEGIN, _FILES_END = '\n "files": [\n', "\n ]"
MAX_LINE_BYTES = MAX_NAME_BYTES + 500
MAX_FILE_BYTES = 2**50

VERSION_PATTERN = r"^(0|[1-9][0-9]{0,5})\.(0|[1-9][0-9]{0,5})\.(0|[1-9][0-9]{0,5})$"
Version = Annotated[str, Field(pattern=VERSION_PATTERN)]
Sha256 = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
LayerName = Literal["documents", "split", "scenes", "environment", "maps", "mixed"]


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class ReleasedFile(_Model):
    """One file."""

    path: SafeName = Field(description="Relative to the release, with forward slashes")
    size: int = Field(ge=0, le=MAX_FILE_BYTES, description="Bytes")
    sha256: Sha256
    layer: LayerName


class Layer(_Model):
    """Files of one kind and one licence."""

    description: str
    licence: list[str] = Field(min_length=1, description="SPDX ids or names; all of them apply")
    attribution: list[str] = Field(description="What must stand beside any use")
    files: int = Field(ge=0)
    bytes: int = Field(ge=0)


class ReleaseManifest(_Model):
    """A release: what it is, under which terms, and every file of it but two.

    This file and ``SHA256SUMS``, which follows from it, are not listed.
    """

    kind: Literal["release"] = "release"
    format: Literal[1] = 1
    name: str = Field(min_length=1, max_length=100)
    version: Version
    date: str = Field(pattern=r"^\d{4}-\d{2}-\d{2}$", description="Day of the release, ISO 8601")
    rmtools_version: str
    inputs_sha256: Sha256 = Field(description="Digest of all that the release was made of")
    layouts: list[str] = Field(description="Layouts of the maps that it holds")
    sharded: bool = Field(description="Whether the layouts lie in tar files below shards/")
    licence: list[str] = Field(min_length=1, description="Licences of all layers")
    attribution: list[str] = Field(min_length=1, description="What must stand beside any use")
    citation: str = Field(description="How to cite it")
    facts: Facts
    layers: dict[LayerName, Layer]
    files: tuple[ReleasedFile, ...] = Field(max_length=MAX_FILES)
    sha256: Sha256 = Field(description="SHA-256 of this file with zeros in this place")

    @model_validator(mode="after")
    def _consistent(self) -> ReleaseManifest:
        names = [file.path for file in self.files]
        check_together([*names, MANIFEST_NAME, CHECKSUMS_NAME])
        if names != sorted(names):
            raise ValueError("the files are not sorted by name")
        return self

    def digest(self) -> str:
        """What :attr:`sha256` must be."""
        return hashlib.sha256(self._text(_ZEROS).encode()).hexdigest()

    def text(self) -> str:
        """The file, one line for each released file: the only text for this manifest."""
        return self._text(self.sha256)

    def _text(self, sha256: str) -> str:
        head = self.model_dump(mode="json", exclude={"files", "sha256"})
        lines = BETWEEN.join(
            json.dumps(dict(file), sort_keys=True, ensure_ascii=False) for file in self.files
        )
        text = to_json({**head, "files": [], "sha256": sha256})
        return text.replace(_NO_FILES, f"{_FILES_BEGIN}{lines}{_FILES_END}", 1) if lines else text


class BrokenManifestError(InputError):
    """A manifest is missing, or is not what was written."""


def make_manifest(**members: Any) -> ReleaseManifest:
    """Build a manifest and its digest."""
    plain = ReleaseManifest(**members, sha256=_ZEROS)
    return plain.model_copy(update={"sha256": plain.digest()})


def read_manifest(root: Path) -> ReleaseManifest:
    """Read the manifest of a release, or the manifest file itself, and check its digest.

    Raises
    ------
    BrokenManifestError
        Missing, not JSON, a member missing or wrong, a name that leads out of the release, or a
        single byte that was changed after it was written.
    """
    path = root / MANIFEST_NAME if root.is_dir() else root
    remedy = (
        "Give the folder of a release; where the file is damaged, "
        "`rmtools verify RELEASE --repair FROM` fetches it from another copy."
    )
    if path.is_symlink() or not path.is_file():
        raise BrokenManifestError("no manifest of a release.", where=path, remedy=remedy)
    try:
        data = read_bytes(path, MAX_BYTES)
        manifest = _parse(data)
    except ValidationError as error:
        problem = first_problem(error)
    except InputError as error:
        problem = error.what.rstrip(".")
    except (ValueError, RecursionError) as error:
        problem = str(error)
    else:
        if manifest.sha256 == manifest.digest() and manifest.text().encode() == data:
            return manifest
        problem = "it was changed after it was written"
    raise BrokenManifestError(
        f"not the manifest of a release ({problem}).", where=path, remedy=remedy
    )


def _parse(data: bytes) -> ReleaseManifest:
    """A manifest from its text: the files line by line, the rest as JSON."""
    before, _, rest = data.partition(_FILES_BEGIN.encode())
    lines, _, after = rest.partition(_FILES_END.encode())
    try:
        files = read_items(lines, ReleasedFile, MAX_FILES, MAX_LINE_BYTES)
    except ValueError as error:
        raise ValueError(f"files.{error}") from error
    head = before + _NO_FILES.encode() + after if files else data
    if len(head) > MAX_JSON_BYTES:
        raise ValueError(f"{len(head):,} bytes beside the files")
    value = json.loads(head)
    if files and isinstance(value, dict):
        value["files"] = tuple(files)
    return ReleaseManifest.model_validate(value)
