"""A server of a dataset in a thread, for as long as a test needs it, and ways to ask it."""

from __future__ import annotations

import contextlib
import os
import socket
import threading
from http.client import HTTPConnection, HTTPResponse
from typing import TYPE_CHECKING

from fakes_store import make_store

from rmtools.serve import listen

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from rmtools.serve.server import Server

SECRET = b"nothing that a dataset holds"


@contextlib.contextmanager
def serving(dataset: Path) -> Iterator[Server]:
    """Serve a dataset at a free port of this machine."""
    server = listen(dataset)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def make_folder(root: Path) -> Path:
    """A dataset with some files, a secret beside it, and links that lead to the secret."""
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
