"""A store at a URL: the same bytes, the same ledger, and clear words when it cannot be had."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import numpy as np
import pytest
from chaos import BUCKET, S3_ENVIRONMENT, s3_server
from fakes_runs import digests, small

from rmtools.errors import InputError, MissingError, RecipeError
from rmtools.remote import RemoteFolder
from rmtools.run.runner import run
from rmtools.store import STORE_NAME, Store
from rmtools.store_place import URL_NAME, StorePlace, read_url, write_url

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytest.importorskip("fsspec")


ONE = small("city.tiles.count=1")


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A dataset with its store in the folder."""
    root = tmp_path_factory.mktemp("here")
    run(root, ONE, stages=["pathloss"])
    return root


@pytest.fixture(scope="module")
def s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Address of a bucket on an S3 server of this machine."""
    pytest.importorskip("s3fs")
    pytest.importorskip("moto.server")
    with pytest.MonkeyPatch.context() as patch:
        for key, value in S3_ENVIRONMENT.items():
            patch.setenv(key, value)
        with s3_server(tmp_path_factory.mktemp("s3") / "log") as address:
            patch.setenv("AWS_ENDPOINT_URL", address)
            yield f"s3://{BUCKET}"


def test_a_dataset_on_s3_has_the_bytes_of_one_in_a_folder(
    here: Path, s3: str, tmp_path: Path
) -> None:
    root, url = tmp_path / "there", f"{s3}/small/{STORE_NAME}"
    run(root, ONE, stages=["pathloss"], store_url=url)
    assert not (root / STORE_NAME).exists()
    assert (root / URL_NAME).read_text().strip() == url
    assert digests(root) == digests(here)
    there = Store.open(root)
    assert np.array_equal(
        there.pathloss(0, 0, 1), Store.open(here).pathloss(0, 0, 1), equal_nan=True
    )
    assert there.maps == 4

    # the folder remembers where the store is
    assert {summary.done_now for summary in run(root, ONE, stages=["pathloss"])} == {0}
    remote = RemoteFolder(url)
    remote._fs.rm(f"{BUCKET}/small/{STORE_NAME}/pathloss/c/0/0/0/0/0/0")
    again = {summary.name: summary.done_now for summary in run(root, ONE, stages=["pathloss"])}
    assert again == {"scenes": 0, "tracks": 0, "transmitters": 0, "pathloss": 1}
    assert digests(root) == digests(here)


def test_a_bucket_that_is_not_there(s3: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="bucket does not exist"):
        run(tmp_path, small(), store_url="s3://no-such-bucket/x/store.zarr")


def test_an_s3_server_that_does_not_answer(s3: str, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "rmtools", "run", "demo", "--out", str(tmp_path / "x")]
    done = subprocess.run(
        [*command, "--store", "s3://bucket/x/store.zarr"],
        env={**os.environ, "AWS_ENDPOINT_URL": "http://127.0.0.1:1", "AWS_MAX_ATTEMPTS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == MissingError.exit_code, done.stderr
    assert "AWS_ENDPOINT_URL" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_store_at_any_other_url(here: Path, tmp_path: Path) -> None:
    root, url = tmp_path / "ds", f"file://{tmp_path}/elsewhere/store"
    run(root, ONE, stages=["pathloss"], store_url=url)
    expected, found = digests_of_store(here), digests_of_store(root)
    assert found == expected
    assert StorePlace.of(root).total_bytes() == StorePlace.of(here).total_bytes()
    run(root, small("seed=2"), stages=["scenes"], overwrite=True)
    assert "pathloss" not in Store.open(root).array_names  # nothing of the old store is left


def digests_of_store(root: Path) -> dict[str, str]:
    place = StorePlace.of(root)
    if place.remote is None:
        place = StorePlace(place.path, RemoteFolder(f"file://{place.path}"))
    assert place.remote is not None
    return {name: place.remote.describe(name)[1] for name in place.remote.sizes()}


def test_the_place_of_a_store_is_chosen_once(here: Path, tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match=r"store already \(store\.zarr\)"):
        write_url(here, "s3://bucket/x/store.zarr")
    write_url(tmp_path, "s3://bucket/x/store.zarr")
    write_url(tmp_path, "s3://bucket/x/store.zarr")
    with pytest.raises(RecipeError, match="store already"):
        write_url(tmp_path, "s3://bucket/x/other.zarr")
    assert str(read_url(tmp_path)) == "s3://bucket/x/store.zarr"


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("bucket/store.zarr", "no address"),
        ("s3://a b/store.zarr", "no address"),
        ("", "no address"),
        ("s3://bucket/", "a whole bucket"),
        ("s3://key:secret@bucket/store.zarr", "password"),
    ],
)
def test_what_is_no_address(tmp_path: Path, url: str, why: str) -> None:
    with pytest.raises(RecipeError, match=why) as raised:
        write_url(tmp_path, url)
    assert "secret" not in str(raised.value)
    (tmp_path / URL_NAME).write_text(url)
    with pytest.raises(InputError, match=why):
        Store.open(tmp_path)


def test_a_wrong_address_deletes_nothing(tmp_path: Path) -> None:
    """Neither by mistake nor because a dataset from a stranger says so."""
    precious = tmp_path / "home" / "thesis.tex"
    precious.parent.mkdir()
    precious.write_text("text")
    with pytest.raises(RecipeError, match=r"something else already, thesis\.tex"):
        run(tmp_path / "ds", small(), store_url=f"file://{precious.parent}")
    assert precious.read_text() == "text"


def test_an_unknown_kind_of_address(tmp_path: Path) -> None:
    (tmp_path / URL_NAME).write_text("gopher9://x/y/store.zarr")
    with pytest.raises(RecipeError, match="gopher9"):
        Store.open(tmp_path)


def test_a_missing_package_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "fsspec", None)
    with pytest.raises(MissingError, match=r"rmtools\[s3\]"):
        RemoteFolder("s3://bucket/x/store.zarr").sizes()
