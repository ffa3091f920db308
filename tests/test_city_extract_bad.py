"""Broken, cut-off and hostile files: always an explanation, never a smaller city."""

from __future__ import annotations

import bz2
import gzip
from typing import TYPE_CHECKING

import pytest
from osm_xml import Drawing

from rmtools.city.extract import check_file, read_extract
from rmtools.errors import InputError

if TYPE_CHECKING:
    from pathlib import Path


def good_xml() -> str:
    drawing = Drawing()
    for x in range(20, 380, 20):
        drawing.way([(x, 10), (x, 390)], highway="residential")
        drawing.way([(x + 2, 20), (x + 9, 20), (x + 9, 40), (x + 2, 20)], building="yes")
    return drawing.text()


def test_the_good_file_is_good(tmp_path: Path) -> None:
    (tmp_path / "a.osm").write_text(good_xml())
    assert len(read_extract(tmp_path / "a.osm").buildings) == 18


BOMB = (
    '<?xml version="1.0"?><!DOCTYPE osm [<!ENTITY a "aaaaaaaaaa">'
    + "".join(
        f'<!ENTITY {b} "{f"&{a};" * 10}">' for a, b in zip("abcdefgh", "bcdefghi", strict=True)
    )
    + ']><osm version="0.6"><node id="1" lat="1" lon="1"><tag k="x" v="&i;"/></node></osm>'
)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.osm", b"", "empty"),
        ("a.osm.pbf", b"", "empty"),
        ("a.osm.pbf", b"This is a text file.\n" * 100, "not readable"),
        ("a.osm.pbf", b"\0" * 1000, "not readable"),
        ("a.osm", b"hello", "not readable"),
        ("a.osm", b"<html><body>429 Too Many Requests</body></html>", "html"),
        ("a.osm", BOMB.encode(), "entities are not supported"),
        ("a.osm.gz", b"not compressed at all", "not readable"),
        ("a.osm.bz2", b"not compressed at all", "not readable"),
        ("a.osm", good_xml().encode()[:-2000], "not readable"),
        ("a.osm.gz", gzip.compress(good_xml().encode())[:-500], "not readable"),
        ("a.osm.bz2", bz2.compress(good_xml().encode())[:-500], "not readable"),
        ("a.osm", good_xml().replace('id="3"', 'id="three"').encode(), "three"),
        ("a.osm", b'<osm version="0.6"></osm>', "covers no area"),
        ("a.txt", b"x", "must end in"),
        ("a.pbf.zip", b"x", "must end in"),
    ],
)
def test_broken_files_are_explained(
    tmp_path: Path, name: str, content: bytes, message: str
) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match=message) as caught:
        read_extract(tmp_path / name)
    assert name in str(caught.value)
    assert caught.value.remedy
    assert "\n" not in str(caught.value)


def test_unsorted_file_is_told_to_sort(tmp_path: Path) -> None:
    drawing = Drawing()
    drawing.street()
    drawing.house()
    drawing.lines["way"].reverse()
    with pytest.raises(InputError, match="osmium sort"):
        read_extract(drawing.write(tmp_path / "a.osm"))


@pytest.mark.parametrize("marks", [('<node id="', '<nd ref="'), ('<relation id="',)])
def test_negative_ids_of_an_editor_are_not_taken_for_missing_objects(
    tmp_path: Path, marks: tuple[str, ...]
) -> None:
    drawing = Drawing()
    drawing.street()
    drawing.relation([(drawing.house(), "outer")], building="yes")
    text = drawing.text()
    for mark in marks:
        text = text.replace(mark, mark + "-")
    (tmp_path / "a.osm").write_text(text, encoding="utf-8")
    with pytest.raises(InputError, match=r"negative ids.*osmium renumber"):
        read_extract(tmp_path / "a.osm")


def test_missing_file_and_folder(tmp_path: Path) -> None:
    (tmp_path / "folder.osm").mkdir()
    for name in ("none.osm.pbf", "folder.osm"):
        with pytest.raises(InputError, match="no such file"):
            check_file(tmp_path / name)


def test_without_buildings_or_roads(tmp_path: Path) -> None:
    bare = Drawing()
    bare.street()
    with pytest.raises(InputError, match="no buildings"):
        read_extract(bare.write(tmp_path / "a.osm"))
    pathless = Drawing()
    pathless.house()
    pathless.way([(0, 0), (9, 9)], highway="footway")
    with pytest.raises(InputError, match="no drivable roads"):
        read_extract(pathless.write(tmp_path / "a.osm"))


def test_nodes_beyond_the_projection_are_counted(tmp_path: Path) -> None:
    drawing = Drawing()
    drawing.street()
    drawing.house()
    drawing.way([(1, 1), (2, 1), (2, 2), (1, 1)], building="yes")
    node = next(line for line in drawing.lines["node"] if f'id="{drawing.nodes[1, 1]}"' in line)
    drawing.lines["node"][drawing.lines["node"].index(node)] = (
        f'<node id="{drawing.nodes[1, 1]}" version="1" lat="0" lon="105"/>'
    )
    city = read_extract(drawing.write(tmp_path / "a.osm"))
    assert (len(city.buildings), city.notes["degenerate_geometries"]) == (1, 1)


def test_a_cut_off_pbf_is_never_a_smaller_city(tmp_path: Path, reference_data: Path) -> None:
    whole = (reference_data / "osm" / "london_city.osm.pbf").read_bytes()
    part = tmp_path / "london_city.osm.pbf"
    for share in (0.05, 0.3, 0.6, 0.9, 0.999):
        part.write_bytes(whole[: int(len(whole) * share)])
        with pytest.raises(InputError, match=r"london_city\.osm\.pbf"):
            read_extract(part)


def test_a_pbf_cut_off_between_two_blocks_is_noticed(tmp_path: Path, reference_data: Path) -> None:
    cuts = 0
    for extract in sorted((reference_data / "osm").glob("*.osm.pbf")):
        whole = extract.read_bytes()
        for end in block_ends(whole)[:-1]:
            part = tmp_path / extract.name
            part.write_bytes(whole[:end])
            with pytest.raises(InputError):
                read_extract(part)
            cuts += 1
    assert cuts > 20


def block_ends(data: bytes) -> list[int]:
    """Offsets at which the blocks of a PBF file end."""
    ends, at = [], 0
    while at < len(data):
        header = int.from_bytes(data[at : at + 4], "big")
        blob = _datasize(data[at + 4 : at + 4 + header])
        at += 4 + header + blob
        ends.append(at)
    return ends


def _datasize(header: bytes) -> int:
    """Field 3 of a BlobHeader message; the other fields are byte strings."""
    at, size = 0, 0
    while at < len(header):
        tag, at = header[at], at + 1
        value, shift = 0, 0
        while True:
            byte, at = header[at], at + 1
            value |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                break
        if tag & 7 == 2:
            at += value
        elif tag >> 3 == 3:
            size = value
    return size
