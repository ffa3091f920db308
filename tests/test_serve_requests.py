"""`rmtools serve`: only GET, only under the dataset, whatever a client asks for."""

from __future__ import annotations

import contextlib
import socket
import struct
import time
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from serving import SECRET, ask, make_folder, raw, serving, status

from rmtools.serve.rules import Refused, check_host, parts_of, range_of
from rmtools.serve.server import MAX_CONNECTIONS

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
