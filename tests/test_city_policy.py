from __future__ import annotations

from pathlib import Path

import pytest

from rmtools.city.policy import (
    BUILDING_ROWS,
    CLASS_WIDTH_M,
    ROAD_ROWS,
    classify_building,
    classify_road,
    to_markdown,
)

PAGE = Path(__file__).resolve().parent.parent / "docs" / "osm-policy.md"


def tags(text: str) -> dict[str, str]:
    """Tags of ``"key=value key=value"``."""
    return dict(pair.split("=", 1) for pair in text.split())


@pytest.mark.parametrize(
    ("text", "row", "outcome"),
    [
        ("building=yes", "building", "keep"),
        ("building=no", "not_a_building", "drop"),
        ("building=no building:part=yes", "part", "part"),
        ("building=roof", "roof", "drop"),
        ("building=carport", "roof", "drop"),
        ("building:part=canopy", "roof", "drop"),
        ("building=yes wall=no", "roof", "drop"),
        ("building=construction", "unfinished", "drop"),
        ("building=ruins", "unfinished", "drop"),
        ("building=yes min_height=3", "raised", "drop"),
        ("building=yes min_height=0", "building", "keep"),
        ("building=yes building:min_level=1", "raised", "drop"),
        ("building=yes location=underground", "underground", "drop"),
        ("building:part=yes level=-1;-2", "underground", "drop"),
        ("building:part=yes level=0;-1", "part", "part"),
        ("building:part=yes indoor=hall", "indoor", "drop"),
        ("building=yes indoor=no", "building", "keep"),
        ("building=yes layer=-1", "below_layer", "keep"),
        ("building=yes building:part=yes", "building", "keep"),
        ("building:part=yes", "part", "part"),
        ("building:part=no", "not_a_building", "drop"),
    ],
)
def test_buildings(text: str, row: str, outcome: str) -> None:
    decision = classify_building(tags(text))
    assert (decision.row, decision.outcome) == (row, outcome)


@pytest.mark.parametrize(
    ("text", "row", "outcome"),
    [
        ("highway=residential", "road", "keep"),
        ("highway=footway", "not_drivable", "drop"),
        ("highway=pedestrian area=yes", "not_drivable", "drop"),
        ("highway=construction", "not_drivable", "drop"),
        ("highway=primary tunnel=yes", "tunnel", "drop"),
        ("highway=primary tunnel=no", "road", "keep"),
        ("highway=service tunnel=building_passage", "passage", "keep"),
        ("highway=service covered=yes", "passage", "keep"),
        ("highway=service covered=no", "road", "keep"),
        ("highway=service indoor=yes", "indoor", "drop"),
        ("highway=service access=private", "closed", "drop"),
        ("highway=service access=no motor_vehicle=yes", "road", "keep"),
        ("highway=service access=yes motor_vehicle=no", "closed", "drop"),
        ("highway=service access=destination", "road", "keep"),
        ("highway=service service=parking_aisle", "private_service", "drop"),
        ("highway=service service=alley", "road", "keep"),
        ("highway=service area=yes", "square", "square"),
        ("highway=motorway_link", "road", "keep"),
    ],
)
def test_roads(text: str, row: str, outcome: str) -> None:
    decision = classify_road(tags(text))
    assert (decision.row, decision.outcome) == (row, outcome)


@pytest.mark.parametrize(
    ("text", "width", "source"),
    [
        ("highway=primary", CLASS_WIDTH_M["primary"], "class"),
        ("highway=primary lanes=3", 9.75, "lanes"),
        ("highway=primary lanes=3 width=12,5", 12.5, "tag"),
        ("highway=primary lanes=2 width=400", 6.5, "lanes"),
        ("highway=primary lanes=99 width=0.5", CLASS_WIDTH_M["primary"], "class"),
        ("highway=service area=yes width=7", 0.0, "area"),
    ],
)
def test_widths(text: str, width: float, source: str) -> None:
    decision = classify_road(tags(text))
    assert (decision.width_m, decision.width_source) == (width, source)


@pytest.mark.parametrize("rows", [BUILDING_ROWS, ROAD_ROWS])
def test_every_tag_set_meets_a_row_and_row_names_are_unique(rows: tuple) -> None:
    assert rows[-1].when.test({})
    assert len({row.name for row in rows}) == len(rows)


def test_the_page_is_current() -> None:
    assert PAGE.read_text(encoding="utf-8") == to_markdown(), (
        "run: python -c 'from rmtools.city.policy import to_markdown as f; print(f(), end=\"\")' "
        "> docs/osm-policy.md"
    )
