"""Files of tracks that are broken, hostile or not what they seem: named, with what to do."""

from __future__ import annotations

import contextlib
import gzip
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from test_traffic_imports import PLAIN_NET, empty_scene, fcd, local_net, read_local, read_table

from rmtools.errors import InputError, RecipeError, RmtoolsError
from rmtools.traffic import track_files, xml_stream
from rmtools.traffic.config import TrackFiles, TrafficConfig
from rmtools.traffic.fcd import read_fcd, read_net_location
from rmtools.traffic.imports import MAX_GAP_S, identify_files, import_tracks
from rmtools.traffic.tracks import MAX_SPEED_MPS

SUMO = Path(__file__).resolve().parent / "data" / "sumo"
A = {"a": (110.0, -20.0, 90.0)}
HEAD = "frame,vehicle,x_m,y_m,heading_deg"


def one_frame(**more: Any) -> dict[str, Any]:
    return {"frames": 1, "vehicles": 2, **more}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", r"line 1: not XML: no element found"),
        ("time,id\n0,a\n", r"line 1: not XML"),
        ("<net/>", r"its root is <net>, not <fcd-export>"),
        ("<fcd-export/>", r"no time step in it"),
        (fcd((0.0, A))[:-14], r"line 5: not XML: no element found.*cut off"),
        ("<!DOCTYPE fcd-export>" + fcd((0.0, A))[38:], r"line 1: it has a document type"),
        ("<fcd-export>" + "<a>" * 40, r"more than 32 deep"),
        (fcd((0.0, A)).replace("0.0", "00:00:01"), r"line 3: time '00:00:01' .*human-readable"),
        (fcd((0.0, A)).replace(' time="0.0"', ""), r"line 3: time None"),
        (fcd((1.0, A), (1.0, A)), r"line 6: time 1 does not come after 1"),
        (fcd((1.0, A), (0.5, A)), r"line 6: time 0.5 does not come after 1"),
        (fcd((0.0, A)).replace("110.0", "nan"), r"line 4: a vehicle whose .* is not finite"),
        (fcd((0.0, A)).replace("110.0", "1e999"), r"line 4: a vehicle whose .* is not finite"),
        (
            fcd((0.0, A)).replace("110.0", "x"),
            r"line 4: a vehicle whose x, y or angle is no number",
        ),
        (fcd((0.0, A)).replace(' angle="90.0"', ""), r"a vehicle without 'angle'.*attributes"),
        (fcd((0.0, A)).replace('id="a"', ""), r"a vehicle without 'id'"),
        (
            fcd((0.0, A)).replace(
                "</timestep>", '<vehicle id="a" x="1" y="1" angle="0"/></timestep>'
            ),
            r"line 5: vehicle 'a' stands twice in time step 0",
        ),
    ],
)
def test_bad_fcd_is_named_with_its_line(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(InputError, match=message) as caught:
        read_local(tmp_path, text, **one_frame(frames=3))
    assert str(caught.value).startswith(str(tmp_path / "a.fcd.xml"))
    assert caught.value.remedy


def test_entities_are_refused_before_anything_expands(tmp_path: Path) -> None:
    lines = [
        '<!ENTITY a "ha">',
        *(f'<!ENTITY {y} "{f"&{x};" * 99}">' for x, y in ("ab", "bc", "cd")),
    ]
    bomb = f"<!DOCTYPE fcd-export [{''.join(lines)}]>\n<fcd-export>&d;</fcd-export>"
    stolen = '<!DOCTYPE f [<!ENTITY e SYSTEM "file:///etc/passwd">]><fcd-export>&e;</fcd-export>'
    for text in (bomb, stolen):
        with pytest.raises(InputError, match="document type"):
            read_local(tmp_path, text, **one_frame())
    net = tmp_path / "bomb.net.xml"
    net.write_text(bomb.replace("fcd-export", "net"))
    with pytest.raises(InputError, match="document type"):
        read_net_location(net)


@pytest.mark.parametrize("inside", ['<vehicle id="{}"/>', "<!--{}-->", "<{}/>", "<?x {}?>"])
def test_a_token_without_end_does_not_fill_the_memory(tmp_path: Path, inside: str) -> None:
    path = tmp_path / "a.xml.gz"
    with gzip.open(path, "wb", compresslevel=1) as out:
        before, _, after = inside.partition("{}")
        out.write(f'<fcd-export><timestep time="0">{before}'.encode())
        for _ in range(64):
            out.write(b"x" * 2**20)
        out.write(f"{after}</timestep></fcd-export>".encode())
    tracemalloc.start()
    with pytest.raises(InputError, match="longer than 1,048,576 bytes"):
        list(read_fcd(path))
    assert tracemalloc.get_traced_memory()[1] < 16 * 2**20
    tracemalloc.stop()


def test_damaged_packing_and_endless_files_are_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = (SUMO / "net.fcd.xml.gz").read_bytes()
    path = tmp_path / "a.xml.gz"
    for data in (whole[:-2000], b"no gzip", whole[:5000] + b"\0" * 50 + whole[5050:]):
        path.write_bytes(data)
        with pytest.raises(InputError, match=r"a\.xml\.gz"):
            list(read_fcd(path))
    monkeypatch.setattr(track_files, "MAX_TRACK_BYTES", 50_000)
    with pytest.raises(InputError, match=r"more than 50,000 bytes \(unpacked\)"):
        list(read_fcd(SUMO / "net.fcd.xml.gz"))
    rows = "".join(f"0,vehicle-{k},1,1,0\n" for k in range(6000))
    with pytest.raises(InputError, match="more than 50,000 bytes"):
        read_table(tmp_path, f"{HEAD}\n{rows}")


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), cut=st.booleans())
def test_whatever_is_broken_in_a_true_file_it_is_read_or_explained(
    tmp_path_factory: pytest.TempPathFactory, *, seed: int, cut: bool
) -> None:
    rng = np.random.default_rng(seed)
    data = bytearray(gzip.decompress((SUMO / "geo.fcd.xml.gz").read_bytes())[:20_000])
    if cut:
        data = data[: rng.integers(len(data))]
    for at in rng.integers(len(data), size=3) if data else ():
        data[at] ^= 1 << rng.integers(8)
    path = tmp_path_factory.mktemp("fuzz") / "a.xml"
    path.write_bytes(bytes(data))
    tracks = TrackFiles(files=str(path))
    config = TrafficConfig(frames=2, trajectories=1, vehicles=40, tracks=tracks)
    with contextlib.suppress(RmtoolsError):  # anything else would be a traceback
        import_tracks(empty_scene("EPSG:32635", 1024), 0, config)


# -- places and times ----------------------------------------------------------------------------


def test_degrees_and_metres_are_told_apart(tmp_path: Path) -> None:
    scene = empty_scene("EPSG:32635")
    utm = 'origBoundary="24,60,25,61" projParameter="+proj=utm +zone=35 +datum=WGS84"'
    (tmp_path / "utm.net.xml").write_text(PLAIN_NET.format(utm))

    def read(text: str, **source: Any) -> None:
        (tmp_path / "a.xml").write_text(text)
        tracks = TrackFiles(files=str(tmp_path / "a.xml"), **source)
        import_tracks(scene, 0, TrafficConfig(tracks=tracks, **one_frame(trajectories=1)))

    net = str(tmp_path / "utm.net.xml")
    metres, degrees = (fcd((0.0, {"a": at})) for at in ((385_100.0, 1.0, 0.0), (24.9, 60.1, 0.0)))
    with pytest.raises(InputError, match=r"line 4: x = 385100, y = 1 are no longitude"):
        read(metres)
    with pytest.raises(InputError, match="are longitude and latitude, not coordinates of the net"):
        read(degrees, net=net)
    with pytest.raises(InputError, match=r"nearest vehicle is 6,6\d\d km from the tile of s"):
        read(metres, net=net)
    with pytest.raises(InputError, match=r"nearest vehicle is [0-9,]+ km from the tile"):
        read(fcd((0.0, {"a": (13.4, 52.5, 0.0)})))
    with pytest.raises(RecipeError, match="is no coordinate reference system"):
        read(metres, crs="EPSG:99999999")
    with pytest.raises(RecipeError, match="not a projected CRS"):
        read(metres, crs="EPSG:4258")
    with pytest.raises(RecipeError, match=r"scene has the CRS EPSG:32635, the tracks have no proj"):
        read(metres, net=local_net(tmp_path))
    scene = empty_scene()
    with pytest.raises(RecipeError, match="the scene has no place on the ground"):
        read(degrees)


@pytest.mark.parametrize(
    ("text", "more", "message"),
    [
        (fcd((3.0, A)), {"frames": 2}, r"covers 3 to 3 s; trajectory 0 .* needs 3 to 3\.1 s"),
        (fcd((3.0, A)), {"begin_s": 2.0}, r"covers 3 to 3 s; trajectory 0 .* needs 2 to 2"),
        (
            fcd(*((k / 10, A) for k in range(30))),
            {"frames": 15, "trajectories": 3},
            r"covers 0 to 2\.9 s; trajectory 2 .* needs 3 to 4\.4 s",
        ),
        (
            fcd((0.0, A), (1.5, A)),
            {"frames": 3},
            r"line 7: vehicle 'a' is known at 0 s and next at",
        ),
        (
            fcd((0.0, A), (1.5, A), (1.6, A)),
            {"begin_s": 1.4},
            "line 7: vehicle 'a' is known at 0 s and next at 1.5 s",
        ),
        (
            fcd((0.0, A), (0.1, {"a": (125.0, -20.0, 90.0)})),
            {"frames": 2},
            r"line 7: vehicle 'a' moves 15\.0 m in 0\.1 s",
        ),
    ],
)
def test_gaps_jumps_and_short_files_are_refused(
    tmp_path: Path, text: str, more: dict[str, Any], message: str
) -> None:
    with pytest.raises(InputError, match=message):
        read_local(tmp_path, text, **one_frame(**more))


def test_a_bad_net_is_named(tmp_path: Path) -> None:
    path = tmp_path / "x.net.xml"
    for text, message in (
        ("<net><edge/></net>", "no <location>"),
        ('<net><location netOffset="1,2,3"/></net>', "line 1: <location> cannot be used"),
        (PLAIN_NET.format('origBoundary="0,0,nan,1" projParameter="!"'), "cannot be used"),
    ):
        path.write_text(text)
        with pytest.raises(InputError, match=message):
            read_net_location(path)
    with pytest.raises(InputError, match="no such net"):
        identify_files(TrackFiles(files=str(SUMO / "geo.fcd.xml.gz"), net=str(tmp_path / "no.xml")))
    with pytest.raises(InputError, match="no file of tracks there"):
        identify_files(TrackFiles(files=str(tmp_path / "{scene}.csv")))


# -- tables --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "the file is empty"),
        ("vehicle,x_m,y_m\n", r"line 1: no column frame \(or time_s\), heading_deg\..*speed_mps"),
        (f"{HEAD},frame\n", "line 1: a column stands twice"),
        (f"{HEAD}\n0,a,1,1\n", "line 2: 4 cells, not 5"),
        (f"{HEAD}\n0,a,1,1,0\n\n", "line 3: 0 cells, not 5"),
        (f"{HEAD}\n0,a,nan,1,0\n", r"line 2: x_m is 'nan', not a finite number\. Leave the line"),
        (f"{HEAD}\n0,a,1,inf,0\n", "line 2: y_m is 'inf'"),
        (f"{HEAD}\n0,a,1,1,east\n", "line 2: heading_deg is 'east'"),
        (f"{HEAD}\n0.5,a,1,1,0\n", r"line 2: frame 0\.5 is no whole number"),
        (f"{HEAD}\n-1,a,1,1,0\n", "line 2: frame -1 is no whole number"),
        (f"{HEAD}\n0,,1,1,0\n", "line 2: vehicle is empty"),
        (f"{HEAD}\n1,a,1,1,0\n0,a,1,1,0\n", r"line 3: time 0 s comes after 0\.1 s.*Sort"),
        (f"{HEAD}\n0,a,1,1,0\n0,a,1,1,0\n", "line 3: vehicle 'a' stands twice at 0 s"),
        (f"{HEAD},state\n0,a,1,1,0,parked\n", "line 2: unknown state 'parked'.*seeded, moving"),
        (f"{HEAD},state\n0,a,1,1,0,absent\n", "line 2: unknown state 'absent'"),
        (f"{HEAD},time_s\n3,a,1,1,0,0.4\n", r"line 2: frame 3 is 0\.3 s, time_s says 0\.4"),
        (f"{HEAD},speed_mps\n0,a,1,1,0,0\n1,a,2,1,0,3\n", "line 3: speed_mps is 3, its way .* 10"),
        (f'{HEAD}\n0,"a,1,1,0\n', "not CSV"),
        (f"{HEAD}\n0,{'a' * 5000},1,1,0\n", "line 2: longer than 4096 bytes"),
        (f"{HEAD}\n0,a,400000,6670000,0\n", r"nearest vehicle is 6,670 km from the tile"),
        (f"{HEAD}\n0,a,1,1,0\n1,a,20,1,0\n", "line 3: vehicle 'a' moves 19.0 m"),
    ],
)
def test_bad_tables_are_named_with_their_line(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(InputError, match=message) as caught:
        read_table(tmp_path, text)
    assert caught.value.remedy
    assert str(caught.value).startswith(str(tmp_path / "t.csv"))


def test_a_table_that_is_no_text_is_named(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_bytes(HEAD.encode() + b"\n0,\xff,1,1,0\n")
    config = TrafficConfig(tracks=TrackFiles(files=str(tmp_path / "t.csv")))
    with pytest.raises(InputError, match="line 2: not UTF-8"):
        import_tracks(empty_scene(), 0, config)


def test_a_table_that_ends_before_a_trajectory_begins_is_too_short(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"covers 0 to 0 s; trajectory 1"):
        read_table(tmp_path, f"{HEAD}\n0,a,1,1,0\n", trajectories=2)
    with pytest.raises(RecipeError, match=r"begin_s.*0\.25 s is no whole frame"):
        read_table(tmp_path, f"{HEAD}\n0,a,1,1,0\n5,a,1,1,0\n", begin_s=0.25)


# -- the recipe ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ({"files": "a.json"}, "ends neither in .xml nor in .csv"),
        ({"files": "a_{city}.csv"}, "no other braces"),
        ({"files": "a_{scene.__class__}.csv"}, "no other braces"),
        ({"files": "a_{scene:03d}.csv"}, "has no width"),
        ({"files": "a.csv", "net": "b.net.xml"}, "net and crs are for fcd"),
        ({"files": "a.xml", "net": "b.net.xml", "crs": "EPSG:32635"}, "not both"),
        ({"files": "{trajectory}.xml", "every_s": 2}, "every_s is for one file"),
        ({"files": "a.xml", "begin_s": float("nan")}, "finite"),
        ({}, "Field required"),
    ],
)
def test_settings_that_make_no_sense_are_refused(setting: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        TrackFiles(**setting)


def test_the_bounds_are_what_the_page_says() -> None:
    page = (SUMO.parents[2] / "docs" / "traffic.md").read_text()
    assert xml_stream.MAX_TOKEN_BYTES == 2**20
    assert f"more than {MAX_GAP_S:g} s apart" in page
    assert f"{MAX_SPEED_MPS:g} m/s" in page
