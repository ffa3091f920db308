"""Clones of a ProMan project: exactly the lines that must change do, and every other byte stays."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from fakes_winprop import BASE, make_template

from rmtools.errors import InputError
from rmtools.winprop.lines import ProjectLines
from rmtools.winprop.manifest import JobTransmitter
from rmtools.winprop.project import ProjectSettings, Template, read_template

if TYPE_CHECKING:
    from pathlib import Path

SETTINGS = ProjectSettings(
    size_m=256.0,
    resolution_m=1.0,
    receiver_height_m=1.5,
    frequency_mhz=3500.0,
    power_dbm=23.0,
)
TRANSMITTERS = [
    JobTransmitter(index=i, name=f"tx{i}", x=10.5 + i, y=20.25, z_m=1.5, files=("none",))
    for i in range(3)
]
HEAD = {
    "PROJECT_FILE": '"project"',
    "OUTPUT_PROPAGATION_FILES": '"results"',
    "SEPARATION_DIRECTORY": "n",
    "ASCII_OUTPUT_PROP": "y",
    "PATH_LOSS": "y",
    "COORDINATES_AREA": "0.0000000000 0.0000000000 256.0000000000 256.0000000000",
    "HEIGHT": "1.50000",
    "RESOLUTION": "1.0000000000",
    "COMPUTATION_MODE": "0",
    "ANTENNA 0 PREDICTION_AREA COORDINATES_AREA": "0.0000000000 0.0000000000 256.0000000000 "
    "256.0000000000",
    "ANTENNA -1 PREDICTION_AREA COORDINATES_AREA": "0.0000000000 0.0000000000 256.0000000000 "
    "256.0000000000",
    "COUNTER_SITE": "4",
    "COUNTER_TRX": "4",
}
"""What a clone with three transmitters may differ in, sites and antennas apart."""

BLOCK = re.compile(rb"(SITE|ANTENNA) [1-9]\d* ")
DROPPED = (
    "PATTERN_VERTICAL",
    "PATTERN_TYPE",
    "ANTENNA_GAIN_VERTICAL",
    "HORIZONTAL",
    "VERTICAL",
    "ELECTRICAL_DOWNTILT",
)


@pytest.fixture
def template(tmp_path: Path) -> Template:
    return read_template(make_template(tmp_path))


@pytest.fixture(params=["made up", "true"])
def either(request: pytest.FixtureRequest, template: Template) -> Template:
    """The made-up project, and the same with the true ``.net`` of a campus."""
    if request.param == "made up":
        return template
    path = request.getfixturevalue("reference_data") / "winprop" / "proman_network_planning.net"
    if not path.is_file():
        pytest.skip(f"no true ProMan project at {path}")
    return replace(template, files={**template.files, ".net": path.read_bytes()})


def key_value(line: bytes) -> tuple[str, str]:
    text = line.decode("cp1252").rstrip()
    for keyword in sorted([*HEAD, "CLUTTER_DATABASE_TRAFFIC"], key=len, reverse=True):
        if text.startswith(f"{keyword} "):
            return keyword, text.removeprefix(keyword).strip()
    return text, ""


def outside_blocks(data: bytes) -> list[bytes]:
    """Lines before the sites, between sites and antennas, and behind the antennas."""
    lines = data.splitlines(keepends=True)
    sites = [i for i, line in enumerate(lines) if re.match(rb"SITE [1-9]", line)]
    antennas = [i for i, line in enumerate(lines) if re.match(rb"ANTENNA [1-9]", line)]
    return lines[: sites[0]] + lines[sites[-1] + 1 : antennas[0]] + lines[antennas[-1] + 1 :]


def blocks(data: bytes, kind: str, number: int) -> list[bytes]:
    """Lines from the first to the last of one site or antenna."""
    lines = data.splitlines(keepends=True)
    mine = [i for i, line in enumerate(lines) if line.startswith(f"{kind} {number} ".encode())]
    return lines[mine[0] : mine[-1] + 1]


def test_untouched_lines_survive_byte_for_byte(either: Template) -> None:
    clone = either.clone(SETTINGS, TRANSMITTERS)["project.net"]
    before, after = outside_blocks(either.files[".net"]), outside_blocks(clone)
    assert len(before) == len(after)
    seen = set()
    for old, new in zip(before, after, strict=True):
        keyword, value = key_value(new)
        if keyword in HEAD:
            seen.add(keyword)
            assert value == HEAD[keyword]
            # blanks behind the keyword and at the end of the line are as they were
            blanks = re.match(re.escape(keyword.encode()) + rb"[ \t]+", old)
            assert blanks is not None
            assert new.startswith(blanks[0])
            assert new[len(new.rstrip()) :] == old[len(old.rstrip()) :]
        elif keyword == "CLUTTER_DATABASE_TRAFFIC":
            assert value == '"buildings.odb"'
        else:
            assert new == old
    assert seen == set(HEAD)


def test_antennas_differ_in_what_they_must_only(either: Template) -> None:
    clone = either.clone(SETTINGS, TRANSMITTERS)["project.net"]
    old = blocks(either.files[".net"], "ANTENNA", 1)
    kept, dropped = [], 0
    for line in old:
        if any(line.startswith(f"ANTENNA 1 {name} ".encode()) for name in DROPPED):
            dropped += 1
            while kept and kept[-1].startswith(b"*"):
                kept.pop()
        else:
            kept.append(line)
    assert dropped >= 4
    for number, tx in enumerate(TRANSMITTERS, start=1):
        expected = {
            "POSITION": f"{tx.x:.10f}, {tx.y:.10f}, 1.5000000000",
            "NAME": f'"{tx.name}"',
            "SITE_NUMBER": str(number),
            "TYPE": "ISO",
            "POWER": "23.00000",
            "UNIT": "DBM",
            "POWER_MODE": "0",
            "FREQUENCY": "3500.00",
            "MODIFIED": "y y",
        }
        new = blocks(clone, "ANTENNA", number)
        assert len(new) == len(kept)
        for a, b in zip(kept, new, strict=True):
            renumbered = re.sub(rb"^ANTENNA 1 ", f"ANTENNA {number} ".encode(), a)
            words = renumbered.decode("cp1252").split()
            if words and words[0] == "ANTENNA" and words[2] in expected:
                prefix = f"ANTENNA {number} {words[2]} {expected.pop(words[2])}".encode()
                assert b.startswith(prefix)
                assert b[len(prefix) :] == a[len(a.rstrip()) :]
            else:
                assert b == renumbered
        assert not expected


def test_one_site_and_one_antenna_for_every_transmitter(either: Template) -> None:
    clone = either.clone(SETTINGS, TRANSMITTERS)["project.net"]
    for kind in ("SITE", "ANTENNA"):
        numbers = re.findall(rf"(?m)^{kind} (\d+) ".encode(), clone)
        assert sorted({int(number) for number in numbers} - {0}) == [1, 2, 3]
    headlines = re.findall(rb"(?m)^\*\*\*\*\* Basestation .* No( +\d+) \*+\r$", clone)
    assert headlines == [b"   1", b"   2", b"   3"]
    for number, tx in enumerate(TRANSMITTERS, start=1):
        place = f"SITE {number} SITE_LOCATION {tx.x:.10f} {tx.y:.10f} 0.0000000000\r\n"
        assert place.encode() in clone
    assert b"\n" not in clone.replace(b"\r\n", b"")


def test_a_template_with_one_site_gives_the_same_as_one_with_two(tmp_path: Path) -> None:
    one = read_template(make_template(tmp_path / "one", sites=1))
    two = read_template(make_template(tmp_path / "two", sites=2))

    def keywords(template: Template) -> list[bytes]:
        lines = template.clone(SETTINGS, TRANSMITTERS)["project.net"].splitlines()
        return [line for line in lines if line and not line.startswith(b"*")]

    assert keywords(one) == keywords(two)


def test_the_other_files_change_in_database_and_own_name_only(template: Template) -> None:
    clone = template.clone(SETTINGS, TRANSMITTERS)
    nup = re.sub(rb'DATABASE_FILE ".*"', b'DATABASE_FILE "buildings"', template.files[".nup"])
    assert clone["project.nup"] == nup
    name = BASE.encode("cp1252")
    assert clone["project.wpi"] == template.files[".wpi"].replace(name, b"project")
    assert clone["project.mic"] == b'LAST_FILE "project"\r\n'  # it stood there in capitals
    assert template.notes(clone) == []


def test_names_with_a_folder_are_for_the_machine_that_solves(template: Template) -> None:
    folder = "C:\\Arbeit\\Größe\\jobs\\s0\\"
    clone = template.clone(SETTINGS, TRANSMITTERS, folder)
    assert f'PROJECT_FILE "{folder}project"\r\n'.encode("cp1252") in clone["project.net"]
    assert (
        f'C_DATABASE_TRAFFIC "{folder}buildings.odb"'[2:].encode("cp1252") in clone["project.net"]
    )
    assert b'DATABASE_FILE "buildings"' in clone["project.nup"]
    assert template.notes(clone, folder) == []
    with pytest.raises(InputError, match="cp1252"):
        template.clone(SETTINGS, TRANSMITTERS, "C:\\仕事\\")


def test_the_antenna_of_the_template_can_be_kept(template: Template) -> None:
    clone = template.clone(replace(SETTINGS, keep_antenna=True), TRANSMITTERS)
    assert clone["project.net"].count(b"TYPE SECTOR") == 3
    notes = template.notes(clone)
    assert len(notes) == 1
    assert "project.net ANTENNA 1 PATTERN_VERTICAL" in notes[0]


@pytest.mark.parametrize(
    ("suffix", "keyword"),
    [
        (".net", keyword)
        for keyword in (
            "OUTPUT_PROPAGATION_FILES",
            "PROJECT_FILE",
            "ASCII_OUTPUT_PROP",
            "COORDINATES_AREA",
            "HEIGHT",
            "RESOLUTION",
            "PATH_LOSS",
            "SCENARIO_URBAN",
            "SITE 1 SITE_NAME",
            "SITE 1 SITE_LOCATION",
            "ANTENNA 1 POSITION",
            "ANTENNA 1 NAME",
            "ANTENNA 1 SITE_NUMBER",
            "ANTENNA 1 TYPE",
            "ANTENNA 1 POWER",
            "ANTENNA 1 UNIT",
            "ANTENNA 1 FREQUENCY",
        )
    ]
    + [(".nup", "DATABASE_FILE")],
)
def test_a_missing_or_doubled_keyword_is_named(
    template: Template, suffix: str, keyword: str
) -> None:
    lines = template.files[suffix].splitlines(keepends=True)
    mine = [line for line in lines if line.startswith(f"{keyword} ".encode())]
    assert len(mine) == 1
    for change, says in (([], "is missing"), ([*mine, *mine], "stands on 2 lines")):
        at = lines.index(mine[0])
        data = b"".join([*lines[:at], *change, *lines[at + 1 :]])
        broken = replace(template, files={**template.files, suffix: data})
        with pytest.raises(InputError, match=f"Urban_DPM{suffix}: the keyword .*{says}") as caught:
            broken.clone(SETTINGS, TRANSMITTERS)
        # a clone numbers its own antennas, so the message may name another one
        assert keyword.rsplit(maxsplit=1)[-1] in str(caught.value)


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        (b"SCENARIO_URBAN y", b"SCENARIO_URBAN n", "not an urban project"),
        (b"SITE ", b"SIGHT ", "has no site"),
        (b"ANTENNA 2 MODIFIED", b"CABLE 1\r\nANTENNA 2 MODIFIED", "CABLE stands among them"),
        (b"POWER y", b"\0", "not ANSI"),
    ],
)
def test_templates_of_other_kinds_are_refused(
    template: Template, old: bytes, new: bytes, says: str
) -> None:
    data = template.files[".net"].replace(old, new)
    assert data != template.files[".net"]
    with pytest.raises(InputError, match=says):
        replace(template, files={**template.files, ".net": data}).clone(SETTINGS, TRANSMITTERS)


@pytest.mark.parametrize("suffix", [".net", ".nup", ".wpi", ".mic"])
def test_all_four_files_are_needed_and_any_names_the_project(tmp_path: Path, suffix: str) -> None:
    path = make_template(tmp_path)
    assert read_template(path.with_name(path.name + suffix)) == read_template(path)
    lost = path.with_name(path.name + suffix)
    lost.rename(path.with_name(path.name + suffix.upper()))
    assert read_template(path).files[suffix]  # Windows does not care about capitals
    path.with_name(path.name + suffix.upper()).unlink()
    with pytest.raises(InputError, match=f"Urban_DPM{suffix} is missing"):
        read_template(path)


def test_a_preprocessed_database_and_another_model_are_noted(template: Template) -> None:
    nup = template.files[".nup"].replace(b"DATABASE_MODE 1", b"DATABASE_MODE 3")
    nup = nup.replace(b"MODEL_ID 5", b"MODEL_ID 1")
    other = replace(template, files={**template.files, ".nup": nup})
    assert other.database == "buildings.oib"
    notes = other.notes(other.clone(SETTINGS, TRANSMITTERS))
    assert any("Dominant Path" in note for note in notes)
    assert any("buildings.oib" in note for note in notes)


def test_every_byte_comes_back() -> None:
    data = bytes(set(range(2, 256))) + b"\r\nA 1\x85\x0b\x0c\r\nlast"
    assert ProjectLines.from_bytes("x", data).to_bytes() == data
