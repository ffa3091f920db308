"""Layouts as tar files, named and ordered as WebDataset wants them, with an index.

``shards/motion-train-000000.tar`` holds samples: files with the same name up to the first dot,
one after the other. A frame of a sequence is such a sample, with its image and its path loss::

    env_000/traj_00/tx_00/00.gain.png
    env_000/traj_00/tx_00/00.pathloss.npz

``shards/index.json`` says where in which tar file each file of the layout lies, so that one can
be read without the rest, and :mod:`rmtools.release.unpack` restores the layout as it was.
"""

from __future__ import annotations

import json
import re
import tarfile
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from rmtools.errors import InputError, RecipeError
from rmtools.files import MAX_JSON_BYTES, first_problem, replacing
from rmtools.release.checksums import changed, digest, open_plain, read_listed
from rmtools.release.item_lines import BETWEEN, MAX_BYTES, read_items
from rmtools.release.manifest import MAX_FILE_BYTES, MAX_FILES, LayerName, Sha256
from rmtools.release.names import SafeName, check_together

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

    from rmtools.release.contents import SourceFile
    from rmtools.release.manifest import ReleaseManifest

FOLDER = "shards"
INDEX_NAME = f"{FOLDER}/index.json"
ENVIRONMENT = "environment"
"""What shards are called that belong to no set: buildings, vehicles, transmitters."""

BLOCK = tarfile.BLOCKSIZE

TAIL_BYTES = 2**16 + tarfile.RECORDSIZE
"""Least zeros at the end. Tar asks for two blocks; but who looks for the end of a zip file in the
last 64 KiB, as Python's zipfile and with it mlcroissant do, finds that of the last npz."""

_SEQUENCE = re.compile(
    r"motion/(?P<tree>png|gain|npz)/(?P<folder>env_(?P<env>\d+)/traj_(?P<traj>\d+)/tx_(?P<tx>\d+))"
    r"/(?:frame_)?(?P<frame>\d+)\.(?:png|npz)"
)
_VEHICLES = re.compile(r"motion/vehicles/(?P<folder>env_\d+/traj_\d+)/(?P<frame>\d+)\.png")
_ENVIRONMENT = re.compile(r"motion/environment/(?P<rest>[^.]+)/(?P<name>[^/]+)")
_GAIN = re.compile(r"seer/gain/(?P<folder>[A-Za-z0-9]+)/(?P<map>\d+)_(?P<tx>\d+)\.png")
_ENDINGS = {"png": "gain.png", "gain": "frame.png", "npz": "pathloss.npz"}


_HEAD, _TAIL = '{"format": 1, "kind": "shards", "shards": [\n', "\n]}\n"
MAX_MEMBERS = 100_000
"""Files in a tar file, so that its line of the index can be read again."""


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Member(_Model):
    """One file in a tar file."""

    name: SafeName = Field(description="In the tar file")
    path: SafeName = Field(description="In the layout")
    offset: int = Field(ge=BLOCK, le=MAX_FILE_BYTES, description="Of its first byte in the tar")
    size: int = Field(ge=0, le=MAX_FILE_BYTES)
    sha256: Sha256
    layer: LayerName


class Shard(_Model):
    """One tar file."""

    path: SafeName = Field(description="Relative to the release")
    set: str = Field(description="Set of the split, or 'environment'")
    samples: int = Field(ge=1)
    members: list[Member] = Field(min_length=1, max_length=MAX_MEMBERS)


class ShardIndex(_Model):
    """``shards/index.json``."""

    kind: Literal["shards"] = "shards"
    format: Literal[1] = 1
    shards: list[Shard]

    @model_validator(mode="after")
    def _consistent(self) -> ShardIndex:
        check_together(shard.path for shard in self.shards)
        check_together(member.path for shard in self.shards for member in shard.members)
        for shard in self.shards:
            check_together(member.name for member in shard.members)
        return self

    def text(self) -> str:
        """The file, one line for each tar file."""
        lines = BETWEEN.join(
            json.dumps(shard.model_dump(mode="json"), sort_keys=True, ensure_ascii=False)
            for shard in self.shards
        )
        return f"{_HEAD}{lines}{_TAIL}"


@dataclass(frozen=True)
class ShardPlan:
    """A tar file that is to be written: names in it with the files of the layout, in order."""

    path: str
    set: str
    files: list[tuple[str, SourceFile]]

    @property
    def size(self) -> int:
        """Its bytes."""
        content = sum(BLOCK + padded(file.size) for _, file in self.files)
        record = tarfile.RECORDSIZE
        return -(-(content + TAIL_BYTES) // record) * record


def read_index(root: Path, manifest: ReleaseManifest) -> ShardIndex | None:
    """Index of the shards of a release; None where it has none.

    Raises
    ------
    InputError
        Not the index of the manifest, or a name in it leads out of the release.
    """
    listed = next((file for file in manifest.files if file.path == INDEX_NAME), None)
    if listed is None:
        return None
    data = read_listed(root, listed, MAX_BYTES)
    head, tail = _HEAD.encode(), _TAIL.encode()
    try:
        if not (data.startswith(head) and data.endswith(tail)):
            raise ValueError("it does not begin and end as such a file does")
        lines = data[len(head) : -len(tail)]
        return ShardIndex(shards=read_items(lines, Shard, MAX_FILES, MAX_JSON_BYTES))
    except ValueError as error:
        problem = first_problem(error) if isinstance(error, ValidationError) else error
        raise InputError(
            f"not an index of shards ({problem}).",
            where=root / INDEX_NAME,
            remedy="`rmtools verify` says what else is damaged.",
        ) from error


def plan_shards(
    files: Iterable[SourceFile], set_of: Callable[[str, int, int, int], str], max_bytes: int
) -> list[ShardPlan]:
    """Decide which file goes into which tar file.

    Parameters
    ----------
    files
        Files of the layouts to pack.
    set_of
        Set of a sequence by its layout, number of its scene, trajectory and transmitter.
    max_bytes
        A tar file ends before it would grow larger, or hold more than :data:`MAX_MEMBERS` files;
        a single sample may be larger.
    """
    groups: dict[tuple[str, str], dict[str, list[tuple[str, SourceFile]]]] = {}
    for file in files:
        set_name, name = place(file.path, set_of)
        folder, _, last = name.rpartition("/")
        sample = f"{folder}/{last.split('.')[0]}"
        group = (file.path.split("/")[0], set_name)
        groups.setdefault(group, {}).setdefault(sample, []).append((name, file))
    return [plan for group in sorted(groups) for plan in _cut(group, groups[group], max_bytes)]


def _cut(
    group: tuple[str, str], samples: dict[str, list[tuple[str, SourceFile]]], max_bytes: int
) -> Iterator[ShardPlan]:
    """Tar files of one group, samples in the order of their names."""
    waiting: list[tuple[str, SourceFile]] = []
    number = total = 0

    def plan() -> ShardPlan:
        path = f"{FOLDER}/{'-'.join(group)}-{number:06d}.tar"
        return ShardPlan(path=path, set=group[1], files=waiting)

    for sample in sorted(samples):
        files = sorted(samples[sample], key=lambda item: item[0])
        size = sum(BLOCK + padded(file.size) for _, file in files)
        if waiting and (total + size > max_bytes or len(waiting) + len(files) > MAX_MEMBERS):
            yield plan()
            number, total, waiting = number + 1, 0, []
        waiting += files
        total += size
    yield plan()


def place(path: str, set_of: Callable[[str, int, int, int], str]) -> tuple[str, str]:
    """Set and name in the tar file of a file of a layout."""
    if match := _SEQUENCE.fullmatch(path):
        numbers = [int(match[key]) for key in ("env", "traj", "tx")]
        frame, ending = int(match["frame"]), _ENDINGS[match["tree"]]
        return set_of("motion", *numbers), f"{match['folder']}/{frame:02d}.{ending}"
    if match := _GAIN.fullmatch(path):
        scene, tx = int(match["map"]), int(match["tx"])
        return set_of("seer", scene, 0, tx), f"{scene}_{tx}.{match['folder']}.png"
    if match := _VEHICLES.fullmatch(path):
        return ENVIRONMENT, f"{match['folder']}/{match['frame']}.vehicles.png"
    if match := _ENVIRONMENT.fullmatch(path):
        return ENVIRONMENT, f"{match['rest']}.{match['name']}"
    return ENVIRONMENT, path.split("/", 1)[1]


def padded(size: int) -> int:
    """Bytes that content takes up in a tar file."""
    return -(-size // BLOCK) * BLOCK


# -- writing -------------------------------------------------------------------------------------


def write_shard(target: Path, plan: ShardPlan, root: Path) -> Shard:
    """Write one tar file; the same files give the same bytes.

    Parameters
    ----------
    target
        Where it is made, under a temporary name until it is complete.
    plan
        What goes into it.
    root
        The dataset.

    Raises
    ------
    InputError
        A file is not what the dataset's ledger says.
    """
    members = []
    with replacing(target) as partial, partial.open("wb") as out:
        for name, file in plan.files:
            out.write(_header(name, file.size))
            offset = out.tell()
            with open_plain(root / file.path) as source:
                found, count = digest(source, file.size, out.write)
            if (found, count) != (file.sha256, file.size):
                raise changed(root / file.path)
            out.write(bytes(padded(file.size) - file.size))
            members.append(
                Member(
                    name=name,
                    path=file.path,
                    offset=offset,
                    size=file.size,
                    sha256=file.sha256,
                    layer=file.layer,
                )
            )
        out.write(bytes(plan.size - out.tell()))
    samples = len({member.name.rpartition("/")[0] + _key(member.name) for member in members})
    return Shard(path=plan.path, set=plan.set, samples=samples, members=members)


def _key(name: str) -> str:
    return "/" + name.rpartition("/")[2].split(".")[0]


def _header(name: str, size: int) -> bytes:
    """Header of a plain file in the oldest form that all tar programs read."""
    info = tarfile.TarInfo(name)
    info.size, info.mode = size, 0o644
    try:
        return info.tobuf(tarfile.USTAR_FORMAT)
    except ValueError as error:
        raise RecipeError(
            f"{name!r} ({size:,} bytes) does not fit into a tar file ({error}).",
            where=f"{FOLDER}/",
            remedy="Release this dataset without --shards.",
        ) from error
