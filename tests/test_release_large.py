"""Lists of half a million files are read item by item, within limits."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from fakes_release import plan_of, release
from pydantic import BaseModel

from rmtools.errors import InputError
from rmtools.release import manifest, shards
from rmtools.release import salvage as salvaging
from rmtools.release.item_lines import read_items
from rmtools.release.manifest import BrokenManifestError, read_manifest
from rmtools.release.salvage import salvage
from rmtools.release.shards import read_index
from rmtools.release.verify import verify

if TYPE_CHECKING:
    from pathlib import Path

    from rmtools.release.manifest import ReleaseManifest

pytestmark = pytest.mark.usefixtures("no_sync")


class Item(BaseModel):
    """What stands in a line."""

    a: int


@pytest.fixture(scope="module")
def sharded(release_dataset: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A release of tar files; nobody writes to it."""
    out = tmp_path_factory.mktemp("sharded") / "r"
    release(release_dataset, out, sharded=True, shard_bytes=100_000)
    return out


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (b'{"a": 1},\n{"a": 2},\n{"a": 3},\n{"a": 4}', "more than 3"),
        (b'{"a": 1},\n{"a": ' + b"1" * 100 + b"}", "^1: 107 bytes"),
        (b'{"a": 1},\n{"a": "x"}', "^1: a: "),
        (b'{"a": 1},', "^0: Invalid JSON"),
        (b"[" * 50, "^0: Invalid JSON"),
        (b"\xff", "^0: Invalid JSON"),
    ],
)
def test_a_wrong_line_is_named(data: bytes, problem: str) -> None:
    assert read_items(b"", Item, 3, 100) == []
    assert read_items(b'{"a": 1},\n{"a": 2}', Item, 3, 100) == [Item(a=1), Item(a=2)]
    with pytest.raises(ValueError, match=problem):
        read_items(data, Item, 3, 100)


def test_lists_may_be_longer_than_any_other_json_file(
    release_dataset: Path, sharded: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    release(release_dataset, tmp_path / "r")
    heads = [head_bytes(read_manifest(root)) for root in (tmp_path / "r", sharded)]
    assert (tmp_path / "r/manifest.json").stat().st_size > 2 * max(heads)
    monkeypatch.setattr(manifest, "MAX_JSON_BYTES", max(heads))
    assert verify(tmp_path / "r").ok
    longest = max(map(len, (sharded / "shards/index.json").read_text().splitlines()))
    assert longest < (sharded / "shards/index.json").stat().st_size / 2
    monkeypatch.setattr(shards, "MAX_JSON_BYTES", longest)
    assert read_index(sharded, read_manifest(sharded)) is not None
    monkeypatch.setattr(shards, "MAX_JSON_BYTES", longest - 2)
    with pytest.raises(InputError, match="bytes in one line"):
        read_index(sharded, read_manifest(sharded))
    monkeypatch.setattr(manifest, "MAX_JSON_BYTES", min(heads) - 1)
    with pytest.raises(BrokenManifestError, match="bytes beside the files"):
        read_manifest(sharded)


def head_bytes(found: ReleaseManifest) -> int:
    """Bytes of a manifest without its files."""
    return len(found.model_copy(update={"files": ()}).text().encode())


def test_there_are_limits_to_the_number_of_files(
    sharded: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    count = len(read_manifest(sharded).files)
    assert len(salvage(sharded).files) == count + 1  # the manifest is in it
    monkeypatch.setattr(salvaging, "MAX_FILES", count // 3)
    assert salvage(sharded).files == {}
    monkeypatch.setattr(manifest, "MAX_FILES", count - 1)
    with pytest.raises(BrokenManifestError, match="more than"):
        read_manifest(sharded)


def test_a_tar_file_ends_before_its_line_of_the_index_is_too_long(
    release_dataset: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shards, "MAX_MEMBERS", 7)
    found = plan_of(release_dataset, sharded=True).shards
    assert all(len(shard.files) <= 7 for shard in found)
    packed = [file.path for shard in found for _, file in shard.files]
    files = [file.path for file in plan_of(release_dataset).files]
    assert sorted(packed) == sorted(filter(_in_tar, files))
    homes: dict[str, set[str]] = {}
    for shard in found:
        for name, _ in shard.files:
            folder, _, last = name.rpartition("/")
            homes.setdefault(f"{folder}/{last.split('.')[0]}", set()).add(shard.path)
    assert all(len(paths) == 1 for paths in homes.values())  # no sample is cut in two


def _in_tar(path: str) -> bool:
    return path.startswith("motion/") and path != "motion/dataset.json"


def test_an_index_that_is_not_that_of_the_manifest_is_not_read(
    release_dataset: Path, tmp_path: Path
) -> None:
    release(release_dataset, tmp_path / "r", sharded=True)
    path = tmp_path / "r/shards/index.json"
    path.write_bytes(path.read_bytes().replace(b'"samples": 1', b'"samples": 2', 1)[:-1] + b" ")
    with pytest.raises(InputError, match="SHA-256"):
        read_index(tmp_path / "r", read_manifest(tmp_path / "r"))


def test_any_name_can_stand_in_the_sums(tmp_path: Path) -> None:
    names = ["a\u0085b", "a\u2028b", "a b", "ä"]
    (tmp_path / "SHA256SUMS").write_text("".join(f"{'0' * 64}  {name}\n" for name in names))
    assert list(salvage(tmp_path).files) == sorted(names)
