"""The pages in HTML, in the look of the report, and answers in general."""

from __future__ import annotations

import io
from dataclasses import dataclass, field
from http import HTTPStatus
from importlib.resources import files
from string import Template
from typing import TYPE_CHECKING, Any, BinaryIO
from urllib.parse import urlencode

from rmtools.errors import InputError
from rmtools.files import read_json
from rmtools.report import ground, viewer
from rmtools.report.html import script_json
from rmtools.report.markup import MAX_NAME, counted, name, paragraph, text
from rmtools.report.sections import count_tiles
from rmtools.report.sets import SceneSets, scene_sets
from rmtools.serve.rules import Refused, file_below

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from rmtools.serve.dataset import BoundedReader
    from rmtools.units import GreyScale

PER_PAGE = 60
_SPLIT = "split.json"
_KNOWN = (_SPLIT, "audit.json", "validation.json", "recipe.yaml", "report.html")
_MAX_SPLIT_BYTES = 64 * 2**20


@dataclass
class Answer:
    """What a request gets."""

    content: bytes
    kind: str
    status: HTTPStatus = HTTPStatus.OK
    headers: dict[str, str] = field(default_factory=dict)

    @property
    def length(self) -> int:
        """Bytes of the content."""
        return len(self.content)

    def open(self) -> BinaryIO:
        """The content to be read."""
        return io.BytesIO(self.content)


class FileAnswer(Answer):
    """A file of the dataset or a part of one; never shown as a page, whatever it is."""

    def __init__(self, path: Path, size: int, part: tuple[int, int] | None) -> None:
        headers = {"Accept-Ranges": "bytes", "Content-Disposition": "attachment"}
        status = HTTPStatus.OK
        if part:
            headers["Content-Range"] = f"bytes {part[0]}-{part[1] - 1}/{size}"
            status = HTTPStatus.PARTIAL_CONTENT
        super().__init__(b"", "application/octet-stream", status, headers)
        self._path, (self._start, self._end) = path, part or (0, size)

    @property
    def length(self) -> int:
        """Bytes of the part."""
        return self._end - self._start

    def open(self) -> BinaryIO:
        """The file at the beginning of the part."""
        handle = self._path.open("rb")
        handle.seek(self._start)
        return handle


def error_page(status: HTTPStatus, why: str) -> Answer:
    """What was wrong, in the look of all pages."""
    title = f"{status.value} {status.phrase}"
    return _page(title, paragraph(why) + '<p><a href="/">All scenes</a></p>', status=status)


def _page(
    title: str,
    main: str,
    *,
    lead: str = "",
    scripts: Sequence[str] = (),
    data: Mapping[str, Any] | None = None,
    status: HTTPStatus = HTTPStatus.OK,
) -> Answer:
    """A page; `main` and `lead` are HTML, `title` is text."""
    values = script_json(data) if data is not None else ""
    loaded = "".join(f'<script src="/static/{script}"></script>' for script in scripts)
    block = f'<script type="application/json" id="data">{values}</script>' if values else ""
    template = files("rmtools.serve").joinpath("page.html").read_text(encoding="utf-8")
    written = Template(template).substitute(
        title=text(title, MAX_NAME), lead=lead, main=main, scripts=block + loaded
    )
    return Answer(written.encode(), "text/html; charset=utf-8", status)


class Book:
    """The pages of a dataset."""

    def __init__(self, root: Path, reader: BoundedReader, scale: GreyScale) -> None:
        self._root, self._reader, self._scale = root, reader, scale
        self._title = str(reader.attributes.get("title") or "Radio-map dataset")
        self._sets = self._read_sets()

    def _read_sets(self) -> SceneSets:
        """Sets of the split beside the store; none where there is none that can be read."""
        try:
            split = read_json(file_below(self._root, [_SPLIT]), _MAX_SPLIT_BYTES)
            return scene_sets(self._reader.names, split)
        except (Refused, InputError, AttributeError, TypeError):
            return SceneSets()

    def contents(self, query: Mapping[str, str]) -> Answer:
        """The first page: counts, map, and thumbnails of a part of the scenes."""
        reader, sets = self._reader, self._sets
        words, wanted = query.get("find", "")[:MAX_NAME], query.get("set", "")
        found = [
            s
            for s, each in enumerate(reader.names)
            if words.lower().strip() in each.lower()
            and (not wanted or not sets.of or str(sets.of[s]) == wanted)
        ]
        pages = max(-(-len(found) // PER_PAGE), 1)
        number = query.get("page", "1")
        page = min(max(int(number), 1), pages) if number.isdecimal() and len(number) < 9 else 1
        shown = found[(page - 1) * PER_PAGE : page * PER_PAGE]
        shelf = "".join(self._thumbnail(s) for s in shown)
        main = (
            f'<section aria-labelledby="scenes-title"><h2 id="scenes-title">Scenes</h2>'
            f"{self._finder(words, wanted)}"
            f'<p role="status">{counted(len(found), "scene")} found, page {page} of {pages}</p>'
            f'{sets.legend()}<ul class="shelf open">{shelf}</ul>'
            f"{_turn(page, pages, {'find': words, 'set': wanted})}</section>"
            f"{self._places()}{self._files()}"
        )
        lead = count_tiles(reader.store)
        return _page(self._title, main, lead=lead, scripts=("ground.js", "serve.js"))

    def _finder(self, words: str, wanted: str) -> str:
        return (
            '<form class="row" method="get" action="/" role="search"><label>Find a scene '
            f'<input type="search" name="find" value="{text(words)}"></label>'
            f"{self._sets.chooser('name', wanted)}"
            "<button>Find</button></form>"
        )

    def _thumbnail(self, s: int) -> str:
        label = self._sets.label(s)
        words = f"<small>{text(label, MAX_NAME)}</small>" if label else ""
        return (
            f'<li><a class="thumb" href="/scene/{s}"><img src="/thumbnail/{s}" alt="" width="96" '
            f'height="96" loading="lazy" decoding="async"><span class="swatch '
            f'{self._sets.colour(s)}"></span>{name(self._reader.names[s])}{words}</a></li>'
        )

    def _places(self) -> str:
        """The scenes at their places, where they are few enough to be told apart."""
        if len(self._reader.names) > ground.MAX_SCENES:
            return ""
        maps = "".join(
            ground.ground_html(
                place, self._reader.names, self._sets, self._reader.grid.size_m, number
            )
            for number, place in enumerate(ground.places(self._reader.store))
        )
        return (
            '<section aria-labelledby="places-title"><h2 id="places-title">Where the scenes lie'
            "</h2><p>The arrow keys go from scene to scene, a click or the enter key shows one.</p>"
            f'<div class="grounds">{maps}</div></section>'
        )

    def _files(self) -> str:
        """Links to the files that a dataset has beside its store."""
        there = [each for each in _KNOWN if self._has(each)]
        links = "".join(f'<li><a href="/files/{each}">{each}</a></li>' for each in there)
        return (
            '<section aria-labelledby="files-title"><h2 id="files-title">Files</h2>'
            "<p>All files of the dataset can be fetched below /files/, the store itself, too.</p>"
            f"<ul>{links}</ul></section>"
        )

    def _has(self, file: str) -> bool:
        try:
            file_below(self._root, [file])
        except Refused:
            return False
        return True

    def scene(self, s: int) -> Answer:
        """One scene with all its maps."""
        reader = self._reader
        stride = viewer.stride_for(reader.grid.n, viewer.MAX_SIDE)
        viewed = viewer.html(
            self._scale, reader.sizes.tx, reader.frames, reader.trajectories, heading="h2"
        )
        last = reader.sizes.scene - 1
        steps = "".join(
            f'<li><a href="/scene/{to}">{word}</a></li>'
            for to, word in ((s - 1, "previous scene"), (s + 1, "next scene"))
            if 0 <= to <= last
        )
        still = (
            f'<noscript><img src="/map/{s}/0/0/0" alt="Radio map of the first frame"></noscript>'
            if reader.trajectories
            else ""
        )
        label = self._sets.label(s)
        set_words = f": {text(label, MAX_NAME)}" if label else ""
        note = (
            paragraph(f"One pixel in {stride} × {stride} is shown.", "note") if stride > 1 else ""
        )
        main = f'<section aria-label="Maps">{still}{viewed}{note}</section>'
        lead = (
            f"<p>Scene {s} of {self._reader.sizes.scene:,}{set_words}</p>"
            f'<nav aria-label="Scenes"><ul><li><a href="/">all scenes</a></li>{steps}</ul></nav>'
        )
        data = {**viewer.settings(reader, self._scale, stride), "scene": s}
        return _page(
            self._title,
            main,
            lead=lead,
            scripts=("ground.js", "viewer.js", "serve.js"),
            data=data,
        )


def _turn(page: int, pages: int, query: Mapping[str, str]) -> str:
    """Links to the pages before and after."""
    links = "".join(
        f'<li><a href="/?{text(urlencode({**query, "page": to}))}">{word}</a></li>'
        for to, word in ((page - 1, "previous page"), (page + 1, "next page"))
        if 1 <= to <= pages
    )
    return f'<nav aria-label="Pages"><ul>{links}</ul></nav>' if links else ""
