from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from rmtools.city.heights import HeightRules, building_height, parse_length, parse_levels


@pytest.mark.parametrize(
    ("text", "metres"),
    [
        ("12", 12.0),
        (" 12.5 ", 12.5),
        ("12,5", 12.5),
        ("12 m", 12.0),
        ("12m", 12.0),
        ("12 metres", 12.0),
        ("40'", 12.192),
        ("40 ft", 12.192),
        ("5'11\"", 1.8034),
        ("6' 6''", 1.9812),
        ("7;5", 7.0),
        ("5;7,5", 7.5),
        ("1000", 1000.0),
    ],
)
def test_lengths_that_mappers_write(text: str, metres: float) -> None:
    assert parse_length(text) == pytest.approx(metres)


@pytest.mark.parametrize(
    "text",
    [
        None,
        "",
        "0",
        "-3",
        "1001",
        "12-15",
        "~12",
        "twelve",
        "12 km",
        "1e3",
        "nan",
        "inf",
        "7;x",
        ";",
    ],
)
def test_doubtful_or_absurd_lengths_are_not_tagged(text: str | None) -> None:
    assert parse_length(text) is None


@pytest.mark.parametrize(
    ("text", "levels"),
    [("4", 4), ("4.5", 4.5), ("3;4", 4), ("0", None), ("-1", None), ("1000", None), ("4 m", None)],
)
def test_levels(text: str, levels: float | None) -> None:
    assert parse_levels(text) == levels


@given(st.text() | st.from_regex(r"[0-9.,;'\" mft+-]{0,12}", fullmatch=True))
def test_nothing_ever_raises_or_leaves_the_range(text: str) -> None:
    for parse, limit in ((parse_length, 1000), (parse_levels, 200)):
        value = parse(text)
        assert value is None or 0 < value <= limit
    tags = {"height": text, "building:levels": text, "roof:levels": text}
    height, _ = building_height(tags, HeightRules())
    assert 0 < height <= 1000


@given(st.floats(0.01, 1000).map(lambda value: round(value, 2)))
def test_a_number_is_read_as_itself_and_feet_are_0_3048_of_it(value: float) -> None:
    assert parse_length(f"{value}") == value
    assert parse_length(f"{value} ft") == pytest.approx(value * 0.3048)


def test_height_tag_beats_levels_beats_default() -> None:
    rules = HeightRules(default_m=11.0, metres_per_level=3.5)
    tags = {"height": "20", "building:levels": "4", "roof:levels": "1"}
    assert building_height(tags, rules) == (20.0, "tag")
    del tags["height"]
    assert building_height(tags, rules) == (17.5, "levels")
    tags["height"] = "tall"
    assert building_height(tags, rules) == (17.5, "levels")
    assert building_height({"roof:levels": "2"}, rules) == (11.0, "default")


def test_fixed_mode_ignores_the_tags_and_says_default() -> None:
    assert building_height({"height": "99"}, HeightRules(mode="fixed")) == (25.0, "default")


def test_rules_refuse_nonsense() -> None:
    with pytest.raises(ValidationError, match="default_m"):
        HeightRules(default_m=0)
    with pytest.raises(ValidationError, match="storey"):
        HeightRules.model_validate({"storey": 3})
