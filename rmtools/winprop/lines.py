"""Editing single lines of ProMan's project files and leaving every other byte alone.

The files are in the Windows ANSI code page with CRLF, ``KEYWORD value`` a line, ``*`` for
comments. Blanks behind a keyword and at the end of a line are kept as they were found.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rmtools.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

ENCODING = "cp1252"
"""Of what is written; what was read is kept as bytes."""

_BYTES = "latin-1"  # every byte is one character and comes back as it was
_REMEDY = "Save a project of the same kind once more in ProMan, or export it from another version."


@dataclass
class ProjectLines:
    """The lines of one project file, each with its line end.

    Attributes
    ----------
    name
        Of the file, for messages.
    lines
        One character for each byte.
    """

    name: str
    lines: list[str]

    @classmethod
    def from_bytes(cls, name: str, data: bytes) -> ProjectLines:
        """Cut a file into lines.

        Raises
        ------
        InputError
            Not a text file in an ANSI code page.
        """
        marks = (b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff")
        if data.startswith(marks) or b"\0" in data or b"\1" in data:
            raise InputError(
                "the file is not ANSI text: it has a byte-order mark or control characters.",
                where=name,
                remedy="Give the project as ProMan saved it, not converted by an editor.",
            )
        # bytes, unlike str, are cut at CR and LF only
        return cls(name, [line.decode(_BYTES) for line in data.splitlines(keepends=True)])

    def to_bytes(self) -> bytes:
        """The file again."""
        return "".join(self.lines).encode(_BYTES)

    def part(self, start: int, stop: int) -> ProjectLines:
        """A copy of the lines `start` to `stop` - 1."""
        return ProjectLines(self.name, self.lines[start:stop])

    def find(self, keyword: str) -> list[int]:
        """Indices of the lines that begin with a keyword, in order."""
        starts = (keyword + " ", keyword + "\t")
        return [i for i, line in enumerate(self.lines) if line.startswith(starts)]

    def get(self, keyword: str) -> str:
        """The value of a keyword, without quotes.

        Raises
        ------
        InputError
            The keyword is missing or stands on several lines.
        """
        return self._match(self._only(keyword), keyword)[2].strip('"')

    def has(self, keyword: str) -> bool:
        """Whether any line begins with a keyword."""
        return bool(self.find(keyword))

    def set(self, keyword: str, value: str) -> None:
        """Replace the value of a keyword; the blanks around it stay.

        Raises
        ------
        InputError
            The keyword is missing or stands on several lines.
        """
        index = self._only(keyword)
        match = self._match(index, keyword)
        self.lines[index] = match[1] + to_ansi(value) + match[3]

    def set_if_there(self, keyword: str, value: str) -> None:
        """Like :meth:`set`, but a missing keyword is left missing."""
        if self.has(keyword):
            self.set(keyword, value)

    def drop(self, keywords: Iterable[str]) -> None:
        """Remove the lines of some keywords and the comments directly above each."""
        for keyword in keywords:
            for index in reversed(self.find(keyword)):
                first = index
                while first > 0 and self.lines[first - 1].startswith("*"):
                    first -= 1
                del self.lines[first : index + 1]

    def replace_text(self, old: str, new: str) -> None:
        """Replace a piece of text wherever it stands, in any case of letters."""
        if old:
            pattern = re.compile(re.escape(old), re.IGNORECASE)
            self.lines = [pattern.sub(lambda _: to_ansi(new), line) for line in self.lines]

    def absolute_paths(self) -> Iterator[str]:
        """Keywords of the lines that name a path on some machine."""
        for line in self.lines:
            if not line.startswith("*") and _ABSOLUTE.search(line):
                yield line.split('"')[0].strip()

    def _only(self, keyword: str) -> int:
        found = self.find(keyword)
        if len(found) != 1:
            lines = ", ".join(str(index + 1) for index in found[:5])
            what = f"stands on {len(found)} lines ({lines})" if found else "is missing"
            raise InputError(
                f"the keyword {keyword} {what}; exactly one line is needed.",
                where=self.name,
                remedy=_REMEDY,
            )
        return found[0]

    def _match(self, index: int, keyword: str) -> re.Match[str]:
        match = _pattern(keyword).match(self.lines[index])
        assert match is not None  # noqa: S101 - the index comes from find
        return match


_ABSOLUTE = re.compile(r'"(?:[A-Za-z]:[\\/]|\\\\)')


def to_ansi(text: str) -> str:
    """Text in the code page of the project files, one character for each byte.

    Raises
    ------
    InputError
        It has characters that the code page has not.
    """
    try:
        data = text.encode(ENCODING)
    except UnicodeEncodeError as error:
        raise InputError(
            f"{text!r} cannot be written in the Windows code page {ENCODING}.",
            remedy="Use a folder without such characters.",
        ) from error
    return data.decode(_BYTES)


def _pattern(keyword: str) -> re.Pattern[str]:
    """Keyword and blanks, value, blanks and line end."""
    return re.compile(rf"({re.escape(keyword)}[ \t]+)(.*?)([ \t]*\r?\n?)\Z")
