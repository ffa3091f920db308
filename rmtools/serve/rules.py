"""What a request may ask for: which hosts, which paths, which range of a file.

These are plain functions over text, so that every rule can be tested without a socket.
"""

from __future__ import annotations

import ipaddress
import re
import stat
from http import HTTPStatus
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

if TYPE_CHECKING:
    from collections.abc import Collection
    from pathlib import Path

_RANGE = re.compile(r"bytes=(\d{0,18})-(\d{0,18})", re.ASCII)
_PORT = re.compile(r":\d{1,5}", re.ASCII)


class Refused(Exception):  # noqa: N818 - an answer, not a failure
    """A request that gets another answer than what it asked for.

    Attributes
    ----------
    status
        Status of the answer.
    why
        What the page says, as a sentence.
    """

    def __init__(self, status: HTTPStatus, why: str) -> None:
        super().__init__(why)
        self.status, self.why = status, why


def check_host(hosts: list[str], names: Collection[str]) -> None:
    """Refuse a request that was made for another host.

    A page on the web can point its own name at this machine (DNS rebinding) and would then read
    the dataset through the visitor's browser. The browser still sends the name, so a request is
    answered only when it came for a number, for ``localhost`` or for a name that was allowed.

    Parameters
    ----------
    hosts
        All ``Host`` headers of the request.
    names
        Names allowed besides ``localhost``, in lower case.
    """
    if len(hosts) != 1:
        raise Refused(HTTPStatus.BAD_REQUEST, "A request names its host once.")
    host = hosts[0].strip().lower()
    if host.startswith("["):
        name, bracket, port = host[1:].partition("]")
        known = bool(bracket) and (not port or _PORT.fullmatch(port) is not None)
        if known and _is_address(name):
            return
    else:
        name, colon, port = host.partition(":")
        if not colon or _PORT.fullmatch(colon + port):
            name = name.removesuffix(".")
            if name == "localhost" or name in names or _is_address(name):
                return
    raise Refused(
        HTTPStatus.MISDIRECTED_REQUEST,
        "This server does not go by that name. Use localhost or a number, or start it with --name.",
    )


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def parts_of(target: str) -> tuple[list[str], str]:
    """Decoded parts of the path of a request, and its query.

    Raises
    ------
    Refused
        The path is no plain path: of another server, not UTF-8, with empty or hidden parts, or
        with parts that lead elsewhere.
    """
    try:
        if not target.startswith("/") or target.startswith("//"):
            raise ValueError
        split = urlsplit(target)
        parts = [unquote(part, errors="strict") for part in split.path[1:].split("/")]
    except ValueError as error:
        raise Refused(HTTPStatus.BAD_REQUEST, "That is no path of this server.") from error
    if parts == [""]:
        return [], split.query
    for part in parts:
        if not part or part.startswith(".") or not part.isprintable() or set(part) & set("/\\"):
            raise Refused(HTTPStatus.NOT_FOUND, "There is no such page.")
    return parts, split.query


def file_below(root: Path, parts: list[str]) -> Path:
    """A plain file below a folder, which no link leads to.

    Parameters
    ----------
    root
        The folder, without links in its own path.
    parts
        Names as :func:`parts_of` lets them pass.

    Raises
    ------
    Refused
        There is no such file, or a part of its path is a link.
    """
    path = root.joinpath(*parts)
    try:
        if path.resolve(strict=True) == path and stat.S_ISREG(path.lstat().st_mode):
            return path
    except (OSError, ValueError):
        pass
    raise Refused(HTTPStatus.NOT_FOUND, "There is no such file in the dataset.")


def range_of(header: str | None, size: int) -> tuple[int, int] | None:
    """First byte and end of the range that a request asks for, or None for the whole file.

    A header that is not understood, and one of several ranges, is passed over, as RFC 9110
    allows.

    Raises
    ------
    Refused
        The range begins past the end.
    """
    found = _RANGE.fullmatch(header.strip()) if header else None
    if found is None or found.groups() == ("", ""):
        return None
    first, last = found.groups()
    if not first:
        start, end = max(size - int(last), 0), size
    else:
        start = int(first)
        end = min(int(last) + 1, size) if last else size
        if last and int(last) < start:
            return None
    if start >= size or start >= end:
        raise Refused(HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE, "The file ends before that.")
    return start, end
