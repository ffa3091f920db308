"""Elements of an XML file one after the other, whatever the file is.

Memory is bounded: nothing is kept of what was read. A document type is refused, and with it
entities of any kind: nothing expands and nothing else is opened.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple
from xml.parsers import expat

from rmtools.errors import InputError
from rmtools.traffic.track_files import TrackStream

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

CHUNK_BYTES = 2**16
MAX_TOKEN_BYTES = 2**20
"""Longest tag, comment or text; the parser holds one of them in memory."""

MAX_DEPTH = 32


class Element(NamedTuple):
    """The start of an element: its name, attributes, line, and how many elements it is inside."""

    name: str
    attributes: dict[str, str]
    line: int
    depth: int


def elements(path: Path, root: str) -> Iterator[Element]:
    """Start tags of an XML file in order.

    Parameters
    ----------
    path
        An XML file, packed when its name ends in ``.gz``.
    root
        Name that the outermost element must have.

    Raises
    ------
    InputError
        Not well-formed, cut off, with a document type, another root, elements more than
        :data:`MAX_DEPTH` deep, or a tag of more than :data:`MAX_TOKEN_BYTES`.
    """
    found: list[Element] = []
    depth = 0
    parser = expat.ParserCreate()
    parser.buffer_text = True

    def start(name: str, attributes: dict[str, str]) -> None:
        nonlocal depth
        if depth == 0 and name != root:
            _refuse(f"its root is <{name}>, not <{root}>")
        if depth >= MAX_DEPTH:
            _refuse(f"elements stand more than {MAX_DEPTH} deep in each other")
        found.append(Element(name, attributes, parser.CurrentLineNumber, depth))
        depth += 1

    def end(_: str) -> None:
        nonlocal depth
        depth -= 1

    def doctype(*_: object) -> None:
        _refuse("it has a document type (<!DOCTYPE), which track files never need")

    parser.StartElementHandler, parser.EndElementHandler = start, end
    parser.StartDoctypeDeclHandler = doctype
    total = 0
    with TrackStream(path) as stream:
        while True:
            chunk = stream.read(CHUNK_BYTES)
            total += len(chunk)
            try:
                parser.Parse(chunk, not chunk)
                if total - max(parser.CurrentByteIndex, 0) > MAX_TOKEN_BYTES:
                    _refuse(f"a tag or text is longer than {MAX_TOKEN_BYTES:,} bytes")
            except (expat.ExpatError, _RefusedError) as error:
                what = str(error) if isinstance(error, _RefusedError) else f"not XML: {error}"
                raise InputError(
                    f"{what}.",
                    where=f"{path}, line {parser.CurrentLineNumber}",
                    remedy="The file is damaged, was cut off or is something else; write it again.",
                ) from error
            yield from found
            found.clear()
            if not chunk:
                return


class _RefusedError(ValueError):
    """Well-formed, but not what we read."""


def _refuse(what: str) -> None:
    raise _RefusedError(what)
