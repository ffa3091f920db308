"""`rmtools serve`: only GET, only under the dataset, whatever a client or a dataset tries."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import socket
import struct
import subprocess
import sys
import time
import zlib
from http.client import HTTPConnection, HTTPResponse
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from fakes_store import make_store
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from serving import serving

from rmtools.errors import InputError, RecipeError
from rmtools.serve import listen
from rmtools.serve.dataset import open_dataset
from rmtools.serve.rules import Refused, check_host, parts_of, range_of
from rmtools.serve.server import MAX_CONNECTIONS
from rmtools.store import STORE_NAME
from rmtools.units import MOTION_SCALE

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from rmtools.serve.server import Server

SECRET = b"nothing that a dataset holds"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A dataset with some files, a secret beside it, and links that lead to the secret."""
    root = tmp_path_factory.mktemp("serve")
    dataset = root / "dataset"
    make_store(dataset, scenes=2, frames=3)
    (root / "secret").write_bytes(SECRET)
    (dataset / "letters").write_bytes(bytes(range(256)) * 4)
    (dataset / ".hidden").write_bytes(SECRET)
    (dataset / "report.html").write_text("<script>alert(1)</script>")
    (dataset / "link").symlink_to(root / "secret")
    (dataset / "inner").symlink_to(dataset / "letters")
    (dataset / "away").symlink_to(root)
    os.mkfifo(dataset / "pipe")
    return dataset


@pytest.fixture(scope="module")
def server(folder: Path) -> Iterator[Server]:
    with serving(folder) as running:
        yield running


def raw(server: Server, request: bytes) -> bytes:
    """Everything that comes back for some bytes."""
    with socket.create_connection(server.server_address[:2], timeout=20) as connection:
        connection.sendall(request)
        connection.shutdown(socket.SHUT_WR)
        received = b""
        while piece := connection.recv(1 << 16):
            received += piece
    return received


def ask(
    server: Server, path: str, method: str = "GET", **headers: str
) -> tuple[HTTPResponse, bytes]:
    connection = HTTPConnection(*server.server_address[:2], timeout=20)
    connection.putrequest(method, path, skip_host="Host" in headers, skip_accept_encoding=True)
    for name, value in headers.items():
        connection.putheader(name.replace("_", "-"), value)
    connection.endheaders()
    answer = connection.getresponse()
    content = answer.read()
    connection.close()
    return answer, content


def status(received: bytes) -> int:
    return int(received.split(b" ", 2)[1])


# -- what is served --------------------------------------------------------------------------


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


def test_a_dataset_without_maps_is_shown(tmp_path: Path) -> None:
    made = make_store(tmp_path, n=16, scenes=1, traj=1, tx=1, frames=2)
    made.remove(["pathloss"])
    with serving(tmp_path) as server:
        for path in ("/", "/scene/0", "/thumbnail/0", "/layers/0", "/facts/0/0"):
            assert ask(server, path)[0].status == 200, path
        assert ask(server, "/stack/0/0/0")[0].status >= 400


# -- methods, hosts, headers -----------------------------------------------------------------


@pytest.mark.parametrize(
    "method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "CONNECT", "PROPFIND", "get"]
)
def test_only_get_and_head_are_answered(server: Server, method: str) -> None:
    received = raw(server, f"{method} / HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
    assert status(received) == 405
    assert b"Allow: GET, HEAD" in received


def test_head_is_get_without_content(server: Server) -> None:
    for path in ("/", "/scene/1", "/files/letters", "/nothing"):
        got, content = ask(server, path)
        head, nothing = ask(server, path, "HEAD")
        assert head.status == got.status
        assert int(head.headers["Content-Length"]) == len(content) > 0
        assert nothing == b""


def test_every_answer_forbids_what_pages_do_not_need(server: Server) -> None:
    for path in ("/", "/scene/0", "/nothing", "/files/letters", "/static/report.css"):
        headers = ask(server, path)[0].headers
        policy = headers["Content-Security-Policy"]
        assert policy.startswith("default-src 'none'; ")
        assert "unsafe" not in policy
        assert "frame-ancestors 'none'" in policy
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["Cross-Origin-Resource-Policy"] == "same-origin"
        assert "Access-Control-Allow-Origin" not in headers
    assert b"<script>" not in ask(server, "/")[1]


@pytest.mark.parametrize(
    ("host", "wanted"),
    [
        ("localhost", 200),
        ("LOCALHOST:81", 200),
        ("localhost.", 200),
        ("127.0.0.1:8000", 200),
        ("[::1]:8000", 200),
        ("192.168.1.7", 200),
        ("evil.example", 421),
        ("localhost.evil.example", 421),
        ("evil.example:8000", 421),
        ("127.0.0.1.evil.example", 421),
        ("localhost:8000@evil.example", 421),
        ("localhost:", 421),
        ("[::1", 421),
        ("", 421),
    ],
)
def test_a_name_that_points_here_reads_nothing(server: Server, host: str, wanted: int) -> None:
    assert ask(server, "/", Host=host)[0].status == wanted


def test_hosts_are_named_once_and_more_names_can_be_allowed(server: Server) -> None:
    assert status(raw(server, b"GET / HTTP/1.1\r\n\r\n")) == 400
    twice = b"GET / HTTP/1.1\r\nHost: localhost\r\nHost: evil.example\r\n\r\n"
    assert status(raw(server, twice)) == 400
    check_host(["radio.lan:80"], {"radio.lan"})


@pytest.mark.parametrize(
    "request_",
    [
        b"",
        b"\r\n",
        b"GET\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"GET / HTTP/1.1 x\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(200),
        b"GET / HTTP/1.1\r\nHost localhost\r\n\r\n",
        b"GET /" + b"a" * 70_000 + b" HTTP/1.1\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: localhost\r\nX: " + b"a" * 70_000 + b"\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: localhost\r\n" + b"X: y\r\n" * 500 + b"\r\n",
        b"GET http://evil.example/ HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: localhost\r\nContent-Length: -5\r\n\r\n",
        b"GET /files/letters HTTP/1.0\r\nHost: localhost\r\nRange: bytes=\xff\r\n\r\n",
    ],
)
def test_broken_requests_get_an_answer_and_no_harm_is_done(server: Server, request_: bytes) -> None:
    received = raw(server, request_)
    assert received == b"" or status(received) in {200, 400, 414, 431, 505}
    assert b"Traceback" not in received
    assert ask(server, "/")[0].status == 200


@settings(deadline=None, max_examples=60)
@given(st.binary(max_size=200))
def test_no_bytes_end_the_server(server: Server, junk: bytes) -> None:
    raw(server, junk)
    received = raw(server, b"GET /" + junk + b" HTTP/1.1\r\nHost: localhost\r\n\r\n")
    assert received == b"" or not received.startswith(b"HTTP") or status(received) < 500
    assert SECRET not in received


# -- paths -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "path",
    [
        "/files/../secret",
        "/files/%2e%2e/secret",
        "/files/..%2fsecret",
        "/files/%2e%2e%2fsecret",
        "/files/..%5csecret",
        "/files/....//secret",
        "/files//etc/passwd",
        "/files/%2fetc%2fpasswd",
        "/files/letters/../../secret",
        "/files/letters%00.txt",
        "/files/link",
        "/files/away/secret",
        "/files/away",
        "/files/inner",
        "/files/.hidden",
        "/files/pipe",
        "/files/",
        "/files",
        "/files/store.zarr",
        "/files/letters/",
        "/files/" + "a" * 5000,
        "/files/%E2%80%AE",
        "/static/../secret",
        "/static/pages.py",
        "/scene/-1",
        "/scene/2",
        "/scene/99999999999999999999",
        "/scene/%D9%A1",
        "/scene/0/0",
        "/stack/0/0",
        "/stack/0/9/0",
        "/stack/0/0/9",
        "/stack/0/0/0/0",
        "/facts/0/7",
        "/nothing",
    ],
)
def test_what_is_not_a_page_is_not_found(server: Server, path: str) -> None:
    answer, content = ask(server, path)
    assert answer.status == 404
    assert SECRET not in content


@pytest.mark.parametrize(
    "target", [b"//evil.example/", b"/%ff", b"/files/%c3%28", b"*", b"letters", b"http://[", b"//["]
)
def test_what_is_not_a_path_is_refused(server: Server, target: bytes) -> None:
    received = raw(server, b"GET " + target + b" HTTP/1.1\r\nHost: localhost\r\n\r\n")
    assert status(received) in {400, 404}


@given(st.text(max_size=40))
def test_parts_of_a_path_never_lead_elsewhere(text: str) -> None:
    try:
        parts, _ = parts_of("/" + text)
    except Refused:
        return
    for part in parts:
        assert part not in {"", ".", ".."}
        assert not set(part) & {"/", "\\", "\0"}


def test_a_file_is_given_to_keep_and_never_to_show(server: Server, folder: Path) -> None:
    answer, content = ask(server, "/files/report.html")
    assert content == (folder / "report.html").read_bytes()
    assert answer.headers["Content-Type"] == "application/octet-stream"
    assert answer.headers["Content-Disposition"] == "attachment"
    assert ask(server, "/files/store.zarr/zarr.json")[0].status == 200


# -- ranges ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("header", "first", "end"),
    [
        ("bytes=0-0", 0, 1),
        ("bytes=10-19", 10, 20),
        ("bytes=1000-", 1000, 1024),
        ("bytes=-24", 1000, 1024),
        ("bytes=-9999", 0, 1024),
        ("bytes=0-99999999", 0, 1024),
    ],
)
def test_a_range_is_that_part_of_the_file(
    server: Server, folder: Path, header: str, first: int, end: int
) -> None:
    answer, content = ask(server, "/files/letters", Range=header)
    assert answer.status == 206
    assert content == (folder / "letters").read_bytes()[first:end]
    assert answer.headers["Content-Range"] == f"bytes {first}-{end - 1}/1024"


@pytest.mark.parametrize(
    "header",
    [
        "bytes=",
        "bytes=-",
        "bytes=a-b",
        "bytes=5",
        "bytes=9-3",
        "bytes=0-1,5-9",
        "lines=0-1",
        "bytes=--5",
        "bytes=" + "9" * 5000 + "-",
        "bytes=٣-٤".encode().decode("latin-1"),
    ],
)
def test_a_range_that_is_not_understood_gives_the_whole_file(server: Server, header: str) -> None:
    answer, content = ask(server, "/files/letters", Range=header)
    assert (answer.status, len(content)) == (200, 1024)


def test_a_range_past_the_end_and_one_with_a_condition(server: Server) -> None:
    answer, _ = ask(server, "/files/letters", Range="bytes=1024-")
    assert answer.status == 416
    assert answer.headers["Content-Range"] == "bytes */1024"
    assert ask(server, "/files/letters", Range="bytes=-0")[0].status == 416
    answer, content = ask(server, "/files/letters", Range="bytes=0-1", If_Range='"x"')
    assert (answer.status, len(content)) == (200, 1024)


@given(st.text(alphabet="bytes=-0123456789, ", max_size=30), st.integers(0, 3000))
def test_a_range_lies_in_the_file(header: str, size: int) -> None:
    try:
        found = range_of(header, size)
    except Refused:
        return
    assert found is None or 0 <= found[0] < found[1] <= size


# -- slow and many clients -------------------------------------------------------------------


def test_slow_clients_are_hung_up_on_and_many_do_not_block_others(folder: Path) -> None:
    with serving(folder) as server:
        server.head_seconds = 0.5
        slow = [
            socket.create_connection(server.server_address[:2], timeout=20)
            for _ in range(MAX_CONNECTIONS + 5)
        ]
        for connection in slow:
            connection.sendall(b"GET / HTTP/1.1\r\nHost: loc")
        for connection in slow:  # whether it was one too many or too slow, the end is the same
            with contextlib.suppress(ConnectionResetError):
                assert connection.recv(100) == b""
            connection.close()
        assert ask(server, "/")[0].status == 200


def test_a_client_that_leaves_or_never_reads_does_no_harm(folder: Path) -> None:
    (folder / "large").write_bytes(bytes(20_000_000))
    with serving(folder) as server:
        server.send_seconds = 0.3
        request = b"GET /files/large HTTP/1.1\r\nHost: localhost\r\n\r\n"
        silent = socket.create_connection(server.server_address[:2], timeout=20)
        silent.sendall(request)
        gone = socket.create_connection(server.server_address[:2], timeout=20)
        gone.sendall(request)
        gone.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        gone.close()
        assert len(ask(server, "/files/large")[1]) == 20_000_000
        time.sleep(1.5)  # longer than the server waits for somebody who does not read
        received = 0
        with contextlib.suppress(ConnectionResetError):
            while piece := silent.recv(1 << 20):
                received += len(piece)
        assert received < 20_000_000
        silent.close()
    (folder / "large").unlink()


# -- datasets that lie -----------------------------------------------------------------------


def changed(folder: Path, array: str, **values: Any) -> None:
    """Change the metadata of an array."""
    path = folder / STORE_NAME / array / "zarr.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **values}))


@pytest.fixture
def victim(folder: Path, tmp_path: Path) -> Path:
    """A copy of the dataset's store to do harm to."""
    shutil.copytree(folder / STORE_NAME, tmp_path / "data" / STORE_NAME)
    (tmp_path / "secret").write_bytes(SECRET)
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


def test_absurd_shapes_take_no_memory(victim: Path) -> None:
    huge = [2, 2, 2, 3, 10**7, 10**7]
    changed(victim, "pathloss", shape=huge)
    changed(victim, "roads", shape=[2, 10**9, 10**9])
    changed(victim, "tx_x", shape=[2, 10**9])
    with serving(victim) as server:
        for path in ("/stack/0/0/0", "/layers/0", "/thumbnail/0", "/facts/0/0"):
            answer, content = ask(server, path)
            assert answer.status == 500, path
            assert len(content) < 5000
        assert ask(server, "/")[0].status == 200


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
        assert b"claims to hold 2,147,483,647 bytes" in content
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
    with serving(victim) as server:
        assert ask(server, "/layers/0")[0].status == 500


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
