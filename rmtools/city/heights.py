"""Lengths and levels as mappers write them, and the height a building gets from them.

OpenStreetMap documents metres with a decimal point as the default and feet and inches with marks
(https://wiki.openstreetmap.org/wiki/Key:height). In the wild there are also "12 m", "12,5" and
"7;5". What cannot be read with certainty, or is absurd, counts as not tagged.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Literal

from pydantic import BaseModel, ConfigDict, Field

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from rmtools.scene import HeightSource

FOOT_M = 0.3048
INCH_M = 0.0254
MAX_LENGTH_M = 1000.0
MAX_LEVELS = 200.0

_NUMBER = r"[0-9]{1,6}(?:[.,][0-9]{1,6})?"
_METRES = re.compile(rf"({_NUMBER})\s*(?:m|metres?|meters?)?")
_FEET = re.compile(
    rf"({_NUMBER})\s*(?:'|′|ft|feet|foot)(?:\s*({_NUMBER})\s*(?:\"|″|''|in|inch|inches))?"
)
_LEVELS = re.compile(_NUMBER)

_HEIGHT_KEYS = ("height", "building:height", "est_height")


class HeightRules(BaseModel):
    """How buildings get their heights."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    mode: Literal["osm", "fixed"] = Field(
        default="osm",
        description="osm: height tag, else levels, else the default; fixed: one height for all",
    )
    default_m: float = Field(
        default=15.0,
        gt=0,
        le=MAX_LENGTH_M,
        description="Height of a building without a usable height or levels tag",
    )
    fixed_m: float = Field(
        default=25.0,
        gt=0,
        le=MAX_LENGTH_M,
        description="Height of every building in mode 'fixed'; RadioMapSeer uses 25 m",
    )
    metres_per_level: float = Field(
        default=3.0, gt=0, le=20.0, description="Height of one storey, roof storeys included"
    )


def parse_length(text: str | None) -> float | None:
    """Length in metres of a tag value.

    Parameters
    ----------
    text
        Such as ``12``, ``12,5``, ``12 m``, ``40'``, ``5'11"`` or ``40 ft``. Of several values
        (``7;5``) the largest counts: the tallest wall decides what a radio wave meets.

    Returns
    -------
    float or None
        Above 0 and at most 1000 m; None when the text is missing, unreadable or absurd.
    """
    return _largest(text, _length, MAX_LENGTH_M)


def parse_levels(text: str | None) -> float | None:
    """Number of storeys of a tag value, such as ``"4"``, ``"4.5"`` or ``"3;4"`` (the largest).

    Returns
    -------
    float or None
        Above 0 and at most 200; None when the text is missing, unreadable or absurd.
    """
    return _largest(text, _level_count, MAX_LEVELS)


def building_height(tags: Mapping[str, str], rules: HeightRules) -> tuple[float, HeightSource]:
    """Height of a building and where it came from.

    The height tag wins; else ``building:levels`` plus ``roof:levels`` (which OpenStreetMap does
    not count among the former) times the height of a storey; else the default of the rules.

    Returns
    -------
    height_m
        Above 0 and at most 1000 m.
    source
        ``"tag"``, ``"levels"`` or ``"default"``; a fixed height is a default.
    """
    if rules.mode == "fixed":
        return rules.fixed_m, "default"
    for key in _HEIGHT_KEYS:
        height = parse_length(tags.get(key))
        if height is not None:
            return height, "tag"
    levels = parse_levels(tags.get("building:levels"))
    if levels is not None:
        levels += parse_levels(tags.get("roof:levels")) or 0.0
        return min(levels * rules.metres_per_level, MAX_LENGTH_M), "levels"
    return rules.default_m, "default"


def _largest(text: str | None, parse: Callable[[str], float | None], limit: float) -> float | None:
    if text is None:
        return None
    values = [parse(part.strip().lower()) for part in text.split(";") if part.strip()]
    known = [value for value in values if value is not None]
    # One unreadable part makes the whole value doubtful.
    if not known or len(known) < len(values):
        return None
    largest = max(known)
    return largest if 0 < largest <= limit else None


def _length(text: str) -> float | None:
    if match := _METRES.fullmatch(text):
        return _number(match[1])
    if match := _FEET.fullmatch(text):
        inches = _number(match[2]) if match[2] else 0.0
        return _number(match[1]) * FOOT_M + inches * INCH_M
    return None


def _level_count(text: str) -> float | None:
    return _number(text) if _LEVELS.fullmatch(text) else None


def _number(text: str) -> float:
    return float(text.replace(",", "."))
