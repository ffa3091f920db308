"""`rmtools serve`: pages and maps of a dataset, as its store has them."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import zlib
from typing import TYPE_CHECKING

import numpy as np
import pytest
from fakes_store import make_store
from PIL import Image
from serving import ask, make_folder, serving

from rmtools.errors import RecipeError
from rmtools.serve import listen
from rmtools.serve.dataset import open_dataset
from rmtools.store import STORE_NAME
from rmtools.store_place import write_url
from rmtools.units import MOTION_SCALE

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from rmtools.serve.server import Server


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_folder(tmp_path_factory.mktemp("serve"))


@pytest.fixture(scope="module")
def server(folder: Path) -> Iterator[Server]:
    with serving(folder) as running:
        yield running


def test_it_binds_to_this_machine_only_unless_told(folder: Path) -> None:
    with listen(folder) as server:
        assert server.server_address[0] == "127.0.0.1"
        assert server.local
        assert server.url == f"http://127.0.0.1:{server.server_port}/"
        with pytest.raises(RecipeError, match="cannot listen there"):
            listen(folder, port=server.server_port)
    with listen(folder, "0.0.0.0") as server:  # noqa: S104 - what is tested
        assert not server.local


def test_a_stack_holds_the_grey_levels_of_the_store(server: Server, folder: Path) -> None:
    _, reader = open_dataset(folder)
    answer, content = ask(server, "/stack/1/0/1")
    assert answer.status == 200
    levels = np.frombuffer(zlib.decompress(content), np.uint8).reshape(3, 48, 48).copy()
    levels[0] = np.cumsum(levels[0], axis=0, dtype=np.uint8)
    levels = np.cumsum(levels, axis=0, dtype=np.uint8)
    np.testing.assert_array_equal(levels, MOTION_SCALE.encode(reader.store.pathloss(1, 0, 1)))


def test_facts_and_pictures_belong_to_the_scene(server: Server, folder: Path) -> None:
    _, reader = open_dataset(folder)
    facts = json.loads(ask(server, "/facts/1/0")[1])
    assert facts["name"] == "fake_001"
    assert facts["tx"] == [0, 1]
    np.testing.assert_allclose(facts["at"], reader.store.transmitters(1)[:, :2])
    assert [len(each) for each in facts["vehicles"]] == [2, 2, 2]
    answer, content = ask(server, "/map/0/0/0/2")
    assert answer.headers["Content-Type"] == "image/png"
    (folder.parent / "map.png").write_bytes(content)
    with Image.open(folder.parent / "map.png") as image:
        assert image.size == (48, 48)
    assert ask(server, "/thumbnail/1")[1][8:12] == b"WEBP"


def test_pages_turn_and_find(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make_store(tmp_path, n=16, scenes=5, traj=1, tx=1, frames=2)
    monkeypatch.setattr("rmtools.serve.pages.PER_PAGE", 2)
    with serving(tmp_path) as server:
        for query, first, count in (
            ("", 0, 2),
            ("?page=3", 4, 1),
            ("?page=99", 4, 1),
            ("?page=-1", 0, 2),
            ("?page=%F0%9F", 0, 2),
            ("?find=_003", 3, 1),
            ("?find=FAKE_003&page=2", 3, 1),
            ("?find=%00", None, 0),
        ):
            text = ask(server, f"/{query}")[1].decode()
            assert text.count('class="thumb"') == count, query
            assert first is None or f'href="/scene/{first}"' in text, query
        assert ask(server, "/?" + "&".join("a=1" for _ in range(50)))[0].status == 400


def test_a_store_at_a_url_is_served_too(folder: Path, tmp_path: Path) -> None:
    write_url(tmp_path, f"file://{folder / STORE_NAME}")
    with serving(folder) as here, serving(tmp_path) as there:
        for path in ("/stack/1/0/1", "/layers/0", "/facts/1/1", "/thumbnail/0", "/"):
            assert ask(there, path)[1] == ask(here, path)[1] or path == "/", path
            assert ask(there, path)[0].status == 200


def test_a_dataset_without_maps_is_shown(tmp_path: Path) -> None:
    made = make_store(tmp_path, n=16, scenes=1, traj=1, tx=1, frames=2)
    made.remove(["pathloss"])
    with serving(tmp_path) as server:
        for path in ("/", "/scene/0", "/thumbnail/0", "/layers/0", "/facts/0/0"):
            assert ask(server, path)[0].status == 200, path
        assert ask(server, "/stack/0/0/0")[0].status >= 400


def test_the_verb_says_where_and_ends_on_ctrl_c(folder: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "rmtools", "serve", folder, "--port", "0", "--json"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout
    url = json.loads(
        process.stdout.readline() + process.stdout.readline() + process.stdout.readline()
    )["url"]
    port = int(url.rstrip("/").rpartition(":")[2])
    with socket.create_connection(("127.0.0.1", port), timeout=20) as connection:
        connection.sendall(b"HEAD / HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert connection.recv(100).startswith(b"HTTP/1.1 200")
    process.send_signal(2)
    _, said = process.communicate(timeout=20)
    assert process.returncode == 0
    assert "Traceback" not in said
