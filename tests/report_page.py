"""A written report taken apart, for tests."""

from __future__ import annotations

import base64
import json
import zlib
from html.parser import HTMLParser
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from pathlib import Path


class Page(HTMLParser):
    """Tags with their attributes, and the text of scripts and styles."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.raw: dict[str, list[str]] = {"script": [], "style": []}
        self.words: list[str] = []
        self._inside: str | None = None
        self.text = path.read_text()
        self.feed(self.text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag in self.raw:
            self._inside = tag
            self.raw[tag].append("")

    def handle_endtag(self, tag: str) -> None:
        self._inside = None if tag == self._inside else self._inside

    def handle_data(self, data: str) -> None:
        if self._inside:
            self.raw[self._inside][-1] += data
        else:
            self.words.append(data)

    @property
    def plain(self) -> str:
        return " ".join(" ".join(self.words).split())

    def script(self, key: str) -> Any:
        """JSON of the script element with an id."""
        ids = [attrs.get("id") for tag, attrs in self.tags if tag == "script"]
        return json.loads(self.raw["script"][ids.index(key)])

    @property
    def data(self) -> dict[str, Any]:
        return self.script("data")

    @property
    def packs(self) -> dict[int, dict[str, Any]]:
        """What is embedded of each scene."""
        return {int(s): self.script(f"scene-{s}") for s in self.data["names"]}

    @property
    def program(self) -> str:
        """The one script that is carried out."""
        return next(text for text in self.raw["script"] if not text.startswith("{"))


def unpacked(text: str, side: int) -> np.ndarray:
    """The levels of a stack, shape (frame, side, side), undone step by step."""
    levels = np.frombuffer(zlib.decompress(base64.b64decode(text)), np.uint8)
    levels = levels.reshape(-1, side, side).copy()
    for row in range(1, side):
        levels[0, row] += levels[0, row - 1]
    for frame in range(1, len(levels)):
        levels[frame] += levels[frame - 1]
    return levels
