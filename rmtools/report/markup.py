"""Pieces of HTML. Every text that comes from data goes through :func:`html.escape` here."""

from __future__ import annotations

import json
from html import escape
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence


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
        return f"<{tag}{scope}{kind}>{escape(str(value))}</{tag}>"

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
        '<div class="scroll" tabindex="0" role="region" aria-label="Table">'
        f"<table><thead><tr>{top}</tr></thead><tbody>{body}</tbody></table></div>"
    )


def values_table(values: Mapping[str, Any]) -> str:
    """Names and values of a nested mapping, one row each."""
    return table(("Key", "Value"), flattened(values))


def flattened(values: Mapping[str, Any], prefix: str = "") -> list[tuple[str, str]]:
    """``{"a": {"b": 1}}`` as ``[("a.b", "1")]``, in the order given."""
    rows: list[tuple[str, str]] = []
    for key, value in values.items():
        name = f"{prefix}{key}"
        if isinstance(value, dict) and value:
            rows += flattened(value, f"{name}.")
        elif isinstance(value, str):
            rows.append((name, value))
        else:
            rows.append((name, json.dumps(value, ensure_ascii=False, default=str)))
    return rows


def details(summary: str, content: str, *, open_: bool = False) -> str:
    """A part that can be folded; `content` is HTML."""
    state = " open" if open_ else ""
    return f"<details{state}><summary>{escape(summary)}</summary>{content}</details>"


def paragraph(text: str, kind: str = "") -> str:
    """A paragraph of plain text."""
    return f'<p class="{kind}">{escape(text)}</p>' if kind else f"<p>{escape(text)}</p>"


def figure(picture: str, caption: str) -> str:
    """A figure; `picture` is HTML, `caption` plain text."""
    return f"<figure>{picture}<figcaption>{escape(caption)}</figcaption></figure>"


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
