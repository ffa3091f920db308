"""`rmtools serve` over datasets that lie: nothing outside is read, and nothing too large."""

from __future__ import annotations

import json
import shutil
import struct
from typing import TYPE_CHECKING, Any

import pytest
from serving import ask, make_folder, serving

from rmtools.errors import InputError
from rmtools.serve.dataset import open_dataset
from rmtools.store import STORE_NAME

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_folder(tmp_path_factory.mktemp("serve"))


def changed(folder: Path, array: str, **values: Any) -> None:
    """Change the metadata of an array."""
    path = folder / STORE_NAME / array / "zarr.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **values}))


@pytest.fixture
def victim(folder: Path, tmp_path: Path) -> Path:
    """A copy of the dataset's store to do harm to."""
    shutil.copytree(folder / STORE_NAME, tmp_path / "data" / STORE_NAME)
    return tmp_path / "data"


@pytest.mark.parametrize("what", ["shard", "folder"])
def test_a_link_in_the_store_is_not_followed(victim: Path, what: str) -> None:
    store = victim / STORE_NAME
    target = {
        "shard": store / "pathloss/c/0/0/0/0/0/0",
        "folder": store / "pathloss/c",
    }[what]
    outside = victim.parent / "outside"
    target.rename(outside)
    target.symlink_to(outside)
    with serving(victim) as server:
        answer, content = ask(server, "/stack/0/0/0")
        assert answer.status == 500
        assert b"is a link" in content
        assert ask(server, "/layers/0")[0].status == 200


def test_links_at_the_head_of_a_store_are_refused(victim: Path, tmp_path: Path) -> None:
    (tmp_path / "linked").mkdir()
    (tmp_path / "linked" / STORE_NAME).symlink_to(victim / STORE_NAME)
    with pytest.raises(InputError, match="leads out of the dataset"):
        open_dataset(tmp_path / "linked")
    assert open_dataset(victim / STORE_NAME)[1].sizes.scene == 2
    metadata = victim / STORE_NAME / "zarr.json"
    metadata.rename(tmp_path / "elsewhere")
    metadata.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(InputError, match="is a link"):
        open_dataset(victim)


@pytest.mark.parametrize(
    ("array", "shape"),
    [
        ("pathloss", [2, 2, 2, 3, 10**7, 10**7]),
        ("roads", [2, 10**9, 10**9]),
        ("tx_x", [2, 10**9]),
    ],
)
def test_absurd_shapes_take_no_memory(victim: Path, array: str, shape: list[int]) -> None:
    changed(victim, array, shape=shape)
    with pytest.raises(InputError, match=f"the array '{array}' is none that rmtools can read"):
        open_dataset(victim)


def test_what_a_store_may_hold_can_be_too_much_for_a_request(
    victim: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rmtools.serve.dataset.MAX_BLOCK_BYTES", 3 * 48 * 48 * 4 - 1)
    monkeypatch.setattr("rmtools.serve.dataset.MAX_TABLE_BYTES", 15)
    with serving(victim) as server:
        assert ask(server, "/layers/0")[0].status == 200
        for path in ("/stack/0/0/0", "/facts/0/0"):
            answer, content = ask(server, path)
            assert answer.status == 500, path
            assert b"too large to be shown" in content


@pytest.mark.parametrize(
    ("array", "values"),
    [
        ("x", {"shape": [10**12]}),
        ("frame", {"shape": [10**12]}),
        ("tx", {"shape": [10**12]}),
        ("scene", {"shape": [10**12]}),
        ("x", {"zarr_format": 17}),
    ],
)
def test_sizes_that_make_no_sense_are_refused(
    victim: Path, array: str, values: dict[str, Any]
) -> None:
    changed(victim, array, **values)
    with pytest.raises(InputError):
        open_dataset(victim)


@pytest.mark.parametrize(
    "attributes",
    [{"scenes": None}, {"scenes": [1, 2]}, {"scenes": [{"name": 1}] * 2}, {"rmtools_format": 99}],
)
def test_attributes_that_make_no_sense_are_refused(
    victim: Path, attributes: dict[str, Any]
) -> None:
    path = victim / STORE_NAME / "zarr.json"
    text = json.loads(path.read_text())
    text["attributes"] |= attributes
    path.write_text(json.dumps(text))
    with pytest.raises(InputError):
        open_dataset(victim)


def test_blocks_that_claim_too_much_or_are_damaged_are_not_unpacked(victim: Path) -> None:
    block = victim / STORE_NAME / "roads/c/0/0/0"
    data = bytearray(block.read_bytes())
    data[4:8] = struct.pack("<I", 2**31 - 1)
    block.write_bytes(data)
    (victim / STORE_NAME / "buildings/c/1/0/0").write_bytes(b"\x02\x01 not a block at all")
    shard = victim / STORE_NAME / "pathloss/c/1/0/0/0/0/0"
    shard.write_bytes(shard.read_bytes()[:-7])
    with serving(victim) as server:
        answer, content = ask(server, "/layers/0")
        assert answer.status == 500
        assert b"does not unpack to the size" in content
        for path in ("/layers/1", "/stack/1/0/0"):
            answer, content = ask(server, path)
            assert answer.status == 500
            assert b"Traceback" not in content
        assert ask(server, "/stack/0/0/0")[0].status == 200


@pytest.mark.parametrize("name", ["gzip", "zstd", "vlen-utf8"])
def test_other_codecs_are_not_run(victim: Path, name: str) -> None:
    codecs: list[dict[str, Any]] = [{"name": "bytes"}]
    codecs.append({"name": name, "configuration": {"level": 1}})
    if name == "vlen-utf8":
        codecs = [{"name": name}]
        changed(victim, "roads", data_type="string", fill_value="")
    changed(victim, "roads", codecs=codecs)
    with pytest.raises(InputError, match="the array 'roads' is none that rmtools can read"):
        open_dataset(victim)
