"""The server: HTTP by Python's own library, with bounds on everything that a client decides.

It answers GET and HEAD, one request a connection. A client has a few seconds for the head of its
request and for every piece of the answer; further connections than a fixed number are closed.
"""

from __future__ import annotations

import contextlib
import io
import ipaddress
import socket
import threading
import time
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socketserver import TCPServer
from typing import TYPE_CHECKING, Any

from rmtools.errors import RmtoolsError
from rmtools.serve.pages import Answer, error_page
from rmtools.serve.rules import Refused, check_host

if TYPE_CHECKING:
    from collections.abc import Collection
    from typing import BinaryIO

    from rmtools.serve.site import Site

MAX_CONNECTIONS = 64
HEAD_SECONDS, SEND_SECONDS = 10.0, 20.0
_PIECE = 1 << 16

HEADERS = {
    "Content-Security-Policy": "default-src 'none'; img-src 'self' data:; style-src 'self'; "
    "script-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'self'; "
    "frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cache-Control": "no-cache",
    "Connection": "close",
}
"""Sent with every answer."""


class _Timely(socket.SocketIO):
    """Reads from a socket until a deadline, however slowly the bytes come in."""

    def __init__(self, connection: socket.socket, seconds: float) -> None:
        super().__init__(connection, "r")
        self._connection = connection
        self._deadline = time.monotonic() + seconds

    def readinto(self, buffer: Any) -> int | None:
        left = self._deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError
        self._connection.settimeout(left)
        return super().readinto(buffer)


class Handler(BaseHTTPRequestHandler):
    """One connection."""

    server: Server
    protocol_version = "HTTP/1.1"
    server_version, sys_version = "rmtools", ""

    def setup(self) -> None:
        """Put the deadline on the head of the request."""
        super().setup()
        self.rfile = io.BufferedReader(_Timely(self.connection, self.server.head_seconds))

    def do_GET(self) -> None:
        """Answer a request."""
        answer: Answer | None = None
        try:
            check_host(self.headers.get_all("Host", []), self.server.names)
            answer = self.server.site.answer(self.path, self._range())
        except Refused as refused:
            answer = error_page(refused.status, refused.why)
        except RmtoolsError as error:
            answer = error_page(HTTPStatus.INTERNAL_SERVER_ERROR, f"{error.what} {error.remedy}")
        except Exception as error:  # noqa: BLE001 - broken data fails in any way; serve on
            why = f"This part of the dataset cannot be read ({type(error).__name__})."
            answer = error_page(HTTPStatus.INTERNAL_SERVER_ERROR, why)
        self._send(answer)

    do_HEAD = do_GET  # noqa: N815 - the name that the base class looks for

    def _range(self) -> str | None:
        """The range asked for; with a condition that we cannot judge, the whole file."""
        return None if self.headers.get("If-Range") else self.headers.get("Range")

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """Answer what is not a request that we know; called by the base class."""
        status = HTTPStatus(code)
        if status is HTTPStatus.NOT_IMPLEMENTED:
            status = HTTPStatus.METHOD_NOT_ALLOWED
            message = "This server only reads: GET and HEAD."
        self._send(error_page(status, message or explain or status.phrase))

    def _send(self, answer: Answer) -> None:
        """Write an answer; one to HEAD has no content."""
        self.connection.settimeout(self.server.send_seconds)
        self.request_version = self.protocol_version  # else answers to 0.9 have no headers
        self.send_response(answer.status)
        for name, value in {**HEADERS, **answer.headers}.items():
            self.send_header(name, value)
        if answer.status is HTTPStatus.METHOD_NOT_ALLOWED:
            self.send_header("Allow", "GET, HEAD")
        self.send_header("Content-Type", answer.kind)
        self.send_header("Content-Length", str(answer.length))
        self.end_headers()
        with answer.open() as content:
            if self.command != "HEAD":
                self._copy(content, answer.length)

    def _copy(self, content: BinaryIO, length: int) -> None:
        while length > 0 and (piece := content.read(min(_PIECE, length))):
            self.wfile.write(piece)
            length -= len(piece)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - of the base class
        """Say nothing: requests are no news on one's own machine."""


class Server(ThreadingHTTPServer):
    """Listens until :meth:`shutdown`.

    Parameters
    ----------
    address
        Host and port to listen at; port 0 takes a free one.
    site
        What is served.
    names
        Host names, besides ``localhost``, that requests may come for.
    """

    daemon_threads = True
    request_queue_size = MAX_CONNECTIONS
    head_seconds, send_seconds = HEAD_SECONDS, SEND_SECONDS

    def __init__(self, address: tuple[str, int], site: Site, names: Collection[str] = ()) -> None:
        self.site = site
        self.names = frozenset(name.lower() for name in names)
        self.address_family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
        self._free = threading.BoundedSemaphore(MAX_CONNECTIONS)
        super().__init__(address, Handler)

    def server_bind(self) -> None:
        """Bind without asking a name server who we are."""
        TCPServer.server_bind(self)
        self.server_name, self.server_port = str(self.server_address[0]), self.server_address[1]

    @property
    def url(self) -> str:
        """Address of the first page."""
        host = str(self.server_address[0])
        return f"http://{f'[{host}]' if ':' in host else host}:{self.server_port}/"

    @property
    def local(self) -> bool:
        """Whether only this machine can reach the server."""
        return ipaddress.ip_address(str(self.server_address[0])).is_loopback

    def run(self) -> None:
        """Answer until Ctrl-C."""
        with self, contextlib.suppress(KeyboardInterrupt):
            self.serve_forever()

    def process_request(self, request: Any, client_address: Any) -> None:
        """Answer in a thread of its own, or hang up when too many are at work."""
        if not self._free.acquire(blocking=False):
            self.shutdown_request(request)
            return
        try:
            super().process_request(request, client_address)
        except BaseException:
            self._free.release()
            raise

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        """Answer one connection."""
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._free.release()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Pass over clients that went away or were too slow."""
