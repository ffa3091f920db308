"""What counts as a building and as a drivable road: one table, first matching row wins.

docs/osm-policy.md is this table as text (:func:`to_markdown`); a test keeps it current.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from rmtools.city.heights import HeightRules, parse_length, parse_levels

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from rmtools.scene import WidthSource

    Tags = Mapping[str, str]

Outcome = Literal["keep", "drop", "part", "square"]
"""``part``: kept only outside every building outline; ``square``: kept as an area."""

LANE_WIDTH_M = 3.25
MIN_WIDTH_M = 1.5
MAX_WIDTH_M = 60.0
MAX_LANES = 16

CLASS_WIDTH_M = {
    "motorway": 11.0,
    "trunk": 10.0,
    "primary": 9.5,
    "secondary": 8.0,
    "tertiary": 7.0,
    "unclassified": 6.0,
    "residential": 6.0,
    "road": 6.0,
    "motorway_link": 5.0,
    "trunk_link": 5.0,
    "primary_link": 5.0,
    "secondary_link": 5.0,
    "tertiary_link": 5.0,
    "living_street": 5.0,
    "service": 4.0,
}
"""Drivable ``highway`` classes and the carriageway width of a way without width or lanes."""


@dataclass(frozen=True)
class When:
    """A condition on tags together with its wording, so that neither can change alone."""

    text: str
    test: Callable[[Tags], bool]

    def __or__(self, other: When) -> When:
        return When(
            f"{self.text} or {other.text}", lambda tags: self.test(tags) or other.test(tags)
        )


@dataclass(frozen=True)
class Row:
    """One row of the policy table.

    Attributes
    ----------
    name
        Short name; objects dropped by the row are counted under it.
    when
        What it matches.
    outcome
        What happens to an object that matches.
    reason
        Why.
    """

    name: str
    when: When
    outcome: Outcome
    reason: str


def _is(key: str, *values: str) -> When:
    return When(f"`{key}` = {' / '.join(values)}", lambda tags: tags.get(key) in values)


def _is_not(key: str, *values: str) -> When:
    return When(
        f"`{key}` set, but not {' / '.join(values)}",
        lambda tags: key in tags and tags[key] not in values,
    )


def _kind(*values: str) -> When:
    return When(
        f"`building` (of a part `building:part`) = {' / '.join(values)}",
        lambda tags: building_kind(tags) in values,
    )


def _access(*values: str) -> When:
    keys = ("motorcar", "motor_vehicle", "vehicle", "access")

    def closed(tags: Tags) -> bool:
        return next((tags[key] for key in keys if key in tags), None) in values

    names = ", ".join(f"`{key}`" for key in keys)
    return When(f"the first one set of {names} = {' / '.join(values)}", closed)


_RAISED = When(
    "`min_height` or `building:min_level` above 0",
    lambda tags: (
        parse_length(tags.get("min_height")) is not None
        or parse_levels(tags.get("building:min_level")) is not None
    ),
)
_PART_ONLY = When(
    "`building:part` without `building`",
    lambda tags: tags.get("building", "no") == "no" and tags.get("building:part", "no") != "no",
)
_BASEMENT = When(
    "`level` naming only storeys below 0",
    lambda tags: (
        re.fullmatch(r"\s*-[0-9.]+(\s*;\s*-[0-9.]+)*\s*", tags.get("level", "")) is not None
    ),
)
_BELOW = When("`layer` below 0", lambda tags: tags.get("layer", "").startswith("-"))
_ANY = When("anything else", lambda _: True)
_NOT_DRIVABLE = When(
    f"`highway` none of {', '.join(CLASS_WIDTH_M)}",
    lambda tags: tags.get("highway") not in CLASS_WIDTH_M,
)

BUILDING_ROWS = (
    Row("not_a_building", _kind("no"), "drop", "The mapper says that there is none."),
    Row(
        "underground",
        _is("location", "underground") | _is_not("tunnel", "no", "building_passage") | _BASEMENT,
        "drop",
        "Below the street: the halls and corridors of an underground station, a car park.",
    ),
    Row(
        "indoor",
        _is_not("indoor", "no") | _is("location", "indoor"),
        "drop",
        "A room or hall inside a building.",
    ),
    Row(
        "roof",
        _kind("roof", "carport", "canopy") | _is("wall", "no"),
        "drop",
        "No walls: vehicles drive and radio waves pass beneath.",
    ),
    Row(
        "unfinished",
        _kind("construction", "proposed", "ruins", "collapsed", "demolished", "razed"),
        "drop",
        "No walls of known height stand there.",
    ),
    Row("raised", _RAISED, "drop", "Starts above the street: a bridge or an overhang, not a wall."),
    Row(
        "part",
        _PART_ONLY,
        "part",
        "A part describes the shape of a building whose outline is mapped too; in a flat mask it "
        "adds nothing. Where no outline is mapped, the part is the building.",
    ),
    Row(
        "below_layer",
        _BELOW,
        "keep",
        "`layer` is a drawing order relative to what crosses, not a depth.",
    ),
    Row("building", _ANY, "keep", "A footprint with walls. Interior rings stay open courtyards."),
)

ROAD_ROWS = (
    Row("not_drivable", _NOT_DRIVABLE, "drop", "Not for motor vehicles, or not built yet."),
    Row(
        "tunnel",
        _is_not("tunnel", "no", "building_passage") | _is("location", "underground") | _BASEMENT,
        "drop",
        "Vehicles in a tunnel are out of reach of the outdoor radio map.",
    ),
    Row("indoor", _is_not("indoor", "no"), "drop", "Inside a building."),
    Row(
        "closed",
        _access("no", "private", "agricultural", "forestry", "emergency", "military", "psv", "bus"),
        "drop",
        "Closed to ordinary traffic.",
    ),
    Row(
        "private_service",
        _is(
            "service",
            "driveway",
            "parking_aisle",
            "parking",
            "drive-through",
            "emergency_access",
            "bus",
        ),
        "drop",
        "Yards and car parks: no through traffic.",
    ),
    Row("square", _is("area", "yes"), "square", "The way is the outline of a paved area."),
    Row(
        "passage",
        _is("tunnel", "building_passage") | _is_not("covered", "no"),
        "keep",
        "Runs under a building. It stays in the road network; in rasters the building wins.",
    ),
    Row("road", _ANY, "keep", "A street."),
)


@dataclass(frozen=True)
class BuildingDecision:
    """What the policy says about one building: the row that matched, and its outcome."""

    row: str
    outcome: Outcome


@dataclass(frozen=True)
class RoadDecision:
    """What the policy says about one road; width 0 for a square and for a dropped road."""

    row: str
    outcome: Outcome
    width_m: float = 0.0
    width_source: WidthSource = "area"


def is_building(tags: Tags) -> bool:
    """Whether an object is tagged as a building or a part of one, be it ``"no"``."""
    return "building" in tags or "building:part" in tags


def building_kind(tags: Tags) -> str:
    """Value of ``building``, or of ``building:part`` otherwise; ``"no"`` without both."""
    kind = tags.get("building", "no")
    return kind if kind != "no" else tags.get("building:part", "no")


def classify_building(tags: Tags) -> BuildingDecision:
    """Look a building up in the policy table.

    Parameters
    ----------
    tags
        Tags of an area with ``building`` or ``building:part``.
    """
    row = _first(BUILDING_ROWS, tags)
    return BuildingDecision(row.name, row.outcome)


def classify_road(tags: Tags) -> RoadDecision:
    """Look a road up in the policy table and give it a width.

    The width is the ``width`` tag when it lies between 1.5 and 60 m, else the number of lanes
    times 3.25 m, else the default of its class.

    Parameters
    ----------
    tags
        Tags of a way with ``highway``.
    """
    row = _first(ROAD_ROWS, tags)
    if row.outcome != "keep":
        return RoadDecision(row.name, row.outcome)
    width = parse_length(tags.get("width"))
    if width is not None and MIN_WIDTH_M <= width <= MAX_WIDTH_M:
        return RoadDecision(row.name, row.outcome, width, "tag")
    lanes = parse_levels(tags.get("lanes"))
    if lanes is not None and 1 <= lanes <= MAX_LANES:
        return RoadDecision(row.name, row.outcome, lanes * LANE_WIDTH_M, "lanes")
    return RoadDecision(row.name, row.outcome, CLASS_WIDTH_M[tags["highway"]], "class")


def to_markdown() -> str:
    """The policy as a Markdown page."""
    heights = HeightRules()
    lines = [
        "# What counts as a building and as a road",
        "",
        "Generated from `rmtools/city/policy.py`. In each table the first matching row decides; "
        "dropped objects are counted per row in the notes of every scene.",
        "",
        "## Buildings",
        "",
        *_table(BUILDING_ROWS),
        "",
        "A building way that is the outer ring of a building relation is dropped, because it would "
        "refill the relation's courtyards. A way that is an inner ring and tagged as a building is "
        "a house in the courtyard and stays. A relation of which members are missing in the file, "
        "or whose rings make no area, is skipped and counted.",
        "",
        "Heights come from `height`, `building:height` or `est_height`; else from "
        f"`building:levels` plus `roof:levels`, times {heights.metres_per_level:g} m; else from "
        f"the default of {heights.default_m:g} m, the median of what is tagged in nine inner "
        "cities. Both are parameters, one fixed height for all can be had instead, and every "
        "building remembers where its height came from.",
        "",
        "## Roads",
        "",
        *_table(ROAD_ROWS),
        "",
        f"The width is the `width` tag when it is between {MIN_WIDTH_M:g} and {MAX_WIDTH_M:g} m, "
        f"else `lanes` times {LANE_WIDTH_M:g} m, else the default of the class:",
        "",
        "| `highway` | width |",
        "|---|---|",
        *(f"| {kind} | {width:g} m |" for kind, width in CLASS_WIDTH_M.items()),
    ]
    return "\n".join(lines) + "\n"


def _first(rows: tuple[Row, ...], tags: Tags) -> Row:
    return next(row for row in rows if row.when.test(tags))


def _table(rows: tuple[Row, ...]) -> list[str]:
    words = {
        "keep": "keep",
        "drop": "drop",
        "part": "keep only outside every outline",
        "square": "keep as an area",
    }
    head = ["| row | matches | decision | reason |", "|---|---|---|---|"]
    return head + [
        f"| {row.name} | {row.when.text} | {words[row.outcome]} | {row.reason} |" for row in rows
    ]
