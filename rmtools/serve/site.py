"""Which path gets which answer."""

from __future__ import annotations

import re
from http import HTTPStatus
from importlib.resources import files
from typing import TYPE_CHECKING
from urllib.parse import parse_qs

from rmtools.serve import pages, pictures
from rmtools.serve.pages import Answer, FileAnswer
from rmtools.serve.rules import Refused, file_below, parts_of, range_of

if TYPE_CHECKING:
    from pathlib import Path

    from rmtools.serve.dataset import BoundedReader
    from rmtools.units import GreyScale

_NUMBER = re.compile(r"\d{1,9}", re.ASCII)
_STATIC = {
    "report.css": ("rmtools.report", "text/css"),
    "ground.js": ("rmtools.report", "text/javascript"),
    "viewer.js": ("rmtools.report", "text/javascript"),
    "serve.js": ("rmtools.serve", "text/javascript"),
}


class Site:
    """All pages of a dataset.

    Parameters
    ----------
    root
        Folder of the dataset; nothing outside it is served.
    reader
        Its store.
    scale
        Grey scale of the maps.
    """

    def __init__(self, root: Path, reader: BoundedReader, scale: GreyScale) -> None:
        self._root, self._reader, self._scale = root, reader, scale
        self._book = pages.Book(root, reader, scale)

    def answer(self, target: str, range_header: str | None = None) -> Answer:
        """The answer to a request.

        Parameters
        ----------
        target
            Path and query as the client sent them.
        range_header
            Value of the ``Range`` header; it counts for files only.

        Raises
        ------
        Refused
            There is no such page.
        InputError
            The dataset is broken there.
        """
        parts, query = parts_of(target)
        match parts:
            case []:
                return self._book.contents(_query(query))
            case ["scene", s]:
                return self._book.scene(self._scene(s))
            case ["static", name] if name in _STATIC:
                package, kind = _STATIC[name]
                content = files(package).joinpath(name).read_bytes()
                return Answer(content, f"{kind}; charset=utf-8")
            case ["files", *names] if names:
                return self._file(names, range_header)
            case [kind, s, *rest]:
                return self._picture(kind, self._scene(s), [_number(each) for each in rest])
        raise Refused(HTTPStatus.NOT_FOUND, "There is no such page.")

    def _picture(self, kind: str, s: int, rest: list[int]) -> Answer:
        """What is made of the arrays of a scene."""
        match kind, rest:
            case "facts", [t]:
                return pictures.facts(self._reader, s, t)
            case "layers", []:
                return pictures.layers(self._reader, s)
            case "stack", [t, k]:
                return pictures.stack(self._reader, (s, t, k), self._scale)
            case "thumbnail", []:
                return pictures.thumbnail(self._reader, s, self._scale)
            case "map", [t, k, f]:
                return pictures.frame(self._reader, (s, t, k), f, self._scale)
        raise Refused(HTTPStatus.NOT_FOUND, "There is no such page.")

    def _file(self, names: list[str], range_header: str | None) -> Answer:
        """A file of the dataset or a part of one."""
        path = file_below(self._root, names)
        size = path.stat().st_size
        try:
            return FileAnswer(path, size, range_of(range_header, size))
        except Refused as refused:
            answer = pages.error_page(refused.status, refused.why)
            answer.headers["Content-Range"] = f"bytes */{size}"
            return answer

    def _scene(self, text: str) -> int:
        number = _number(text)
        if number >= self._reader.sizes.scene:
            raise Refused(HTTPStatus.NOT_FOUND, "The dataset has no such scene.")
        return number


def _number(text: str) -> int:
    if not _NUMBER.fullmatch(text):
        raise Refused(HTTPStatus.NOT_FOUND, "There is no such page.")
    return int(text)


def _query(query: str) -> dict[str, str]:
    """The last value of each key."""
    try:
        found = parse_qs(query, max_num_fields=10, errors="replace")
    except ValueError as error:
        raise Refused(HTTPStatus.BAD_REQUEST, "That is no query of this server.") from error
    return {key: values[-1] for key, values in found.items()}
