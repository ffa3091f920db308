"""Pieces of HTML. Every text that comes from data goes through :func:`text`."""

from __future__ import annotations

import json
import re
from html import escape
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence


MAX_TEXT, MAX_NAME = 10_000, 160
"""Characters of a single text and of a name; longer ones are cut."""

MAX_ROWS = 500
"""Of a table of values; more are counted."""

_MAX_DEPTH = 8

# Characters that no text needs but that can break a file or turn a line around: controls, halves
# of surrogate pairs, and the marks that override the direction of what follows.
_HARMFUL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


def plain(value: object, most: int = MAX_TEXT) -> str:
    r"""Text of a value, harmful characters spelt out (``\u202e``), cut after `most` characters."""
    shown = str(value)
    if len(shown) > most:
        shown = f"{shown[:most]}… ({len(shown):,} characters)"
    return _HARMFUL.sub(lambda found: f"\\u{ord(found[0]):04x}", shown)


def text(value: object, most: int = MAX_TEXT) -> str:
    """Text of a value for HTML, in an element or in quotes; nothing in it is markup."""
    return escape(plain(value, most))


def name(value: object) -> str:
    """A name from the data, which keeps its direction of writing to itself."""
    return f"<bdi>{text(value, MAX_NAME)}</bdi>"


def table(
    head: Sequence[str], rows: Iterable[Sequence[object]], *, numbers: Sequence[int] = ()
) -> str:
    """A table that scrolls sideways on narrow screens.

    Parameters
    ----------
    head
        Column titles.
    rows
        Cells; the first of each row is its heading.
    numbers
        Columns to align on the right.
    """

    def cell(column: int, value: object, tag: str, scope: str = "") -> str:
        kind = ' class="number"' if column in numbers else ""
        return f"<{tag}{scope}{kind}>{text(value)}</{tag}>"

    top = "".join(cell(c, title, "th", ' scope="col"') for c, title in enumerate(head))
    body = "".join(
        "<tr>"
        + "".join(
            cell(c, value, "td") if c else cell(c, value, "th", ' scope="row"')
            for c, value in enumerate(row)
        )
        + "</tr>"
        for row in rows
    )
    return (
        '<div class="scroll" tabindex="0" role="group" aria-label="Table">'
        f"<table><thead><tr>{top}</tr></thead><tbody>{body}</tbody></table></div>"
    )


def values_table(values: Mapping[str, Any]) -> str:
    """Names and values of a nested mapping, one row each; the last row counts those left out."""
    rows = flattened(values)
    if (more := len(rows) - MAX_ROWS) > 0:
        rows[MAX_ROWS:] = [("…", f"{more:,} more")]
    return table(("Key", "Value"), rows)


def flattened(values: Mapping[str, Any], prefix: str = "", depth: int = 0) -> list[tuple[str, str]]:
    """``{"a": {"b": 1}}`` as ``[("a.b", "1")]``, in the order given."""
    rows: list[tuple[str, str]] = []
    for key, value in values.items():
        name = f"{prefix}{key}"
        if isinstance(value, dict) and value and depth < _MAX_DEPTH:
            rows += flattened(value, f"{name}.", depth + 1)
        elif isinstance(value, str):
            rows.append((name, value))
        else:
            rows.append((name, _json(value)))
    return rows


def _json(value: object) -> str:
    try:
        return json.dumps(value, ensure_ascii=False, default=str)
    except RecursionError:
        return "(lists in lists, too deep to be shown)"


def details(summary: str, content: str, *, open_: bool = False) -> str:
    """A part that can be folded; `content` is HTML."""
    state = " open" if open_ else ""
    return f"<details{state}><summary>{text(summary)}</summary>{content}</details>"


def paragraph(words: str, kind: str = "") -> str:
    """A paragraph of plain text."""
    return f'<p class="{kind}">{text(words)}</p>' if kind else f"<p>{text(words)}</p>"


def figure(picture: str, caption: str) -> str:
    """A figure; `picture` is HTML, `caption` plain text."""
    return f"<figure>{picture}<figcaption>{text(caption)}</figcaption></figure>"


def counted(count: int, noun: str) -> str:
    """A count with its noun in singular or plural."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def share(part: float, whole: float) -> str:
    """A share in per cent, with enough digits to tell a little from nothing."""
    if not whole:
        return "–"
    per_cent = 100.0 * part / whole
    return "< 0.01 %" if 0 < per_cent < 0.01 else f"{per_cent:.3g} %"


def size(count: int) -> str:
    """Bytes in words."""
    return f"{scaled(count, 'kMGTP')}B" if count >= 1000 else f"{count} B"


def scaled(count: int, prefixes: str) -> str:
    """A count with three significant digits and the SI prefix that suits it.

    `prefixes` are consecutive ones, the first of them stands for thousands.
    """
    rounded = float(f"{count:.2e}")  # first, so that 999,600 is 1 M and not 1e+03 k
    power = next((p for p in range(len(prefixes), 1, -1) if rounded >= 1000.0**p), 1)
    return f"{rounded / 1000.0**power:g} {prefixes[power - 1]}"


def number(value: float | None, digits: int = 3) -> str:
    """A number with significant digits, or a dash for none."""
    return "–" if value is None else f"{value:.{digits}g}"
