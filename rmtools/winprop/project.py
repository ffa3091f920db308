"""Cloning a ProMan project: the user's own four files, with exactly the lines changed that must.

A project is four text files of one name. The ``.net`` holds area, heights, sites, antennas and
outputs; the ``.nup`` names the building database and the propagation model; ``.wpi`` and
``.mic`` hold further settings and are copied.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

from rmtools.errors import InputError
from rmtools.files import read_bytes
from rmtools.winprop.lines import ProjectLines
from rmtools.winprop.manifest import RESULTS_NAME, JobTransmitter, TemplateFile

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

SUFFIXES = (".net", ".nup", ".wpi", ".mic")
PROJECT_NAME = "project"
DATABASE_NAME = "buildings"
MAX_TEMPLATE_BYTES = 64 * 2**20

_URBAN_DPM = "5"
_IRT_DATABASE = "3"
_PATTERN_KEYWORDS = (
    "PATTERN_VERTICAL",
    "PATTERN_TYPE",
    "ANTENNA_GAIN_VERTICAL",
    "HORIZONTAL",
    "VERTICAL",
    "ELECTRICAL_DOWNTILT",
)
_SITE_GAP = ("*" * 71, "", "", "*" * 71)
_ANTENNA_GAP = (
    "",
    "*" * 79,
    "***** Basestation / Antenna / Cell    No   2 " + "*" * 34,
    "*" * 79,
)
"""What ProMan writes between two sites and two antennas, for templates that have only one."""


@dataclass(frozen=True)
class ProjectSettings:
    """What a clone has that its template has not; the same for all jobs of a dataset.

    Attributes
    ----------
    size_m
        Side of the area, whose south-west corner is the origin.
    resolution_m, receiver_height_m
        Pixels of the results and their height above the street.
    frequency_mhz, power_dbm
        Of every transmitter.
    keep_antenna
        Leave antenna type and pattern as in the template; otherwise isotropic with 0 dBi.
    """

    size_m: float
    resolution_m: float
    receiver_height_m: float
    frequency_mhz: float
    power_dbm: float
    keep_antenna: bool = False


@dataclass(frozen=True)
class Template:
    """A project to clone: its name and the bytes of its four files by suffix."""

    name: str
    files: dict[str, bytes]

    @property
    def database(self) -> str:
        """File name of the building database that its clones open."""
        nup = ProjectLines.from_bytes(self.name + ".nup", self.files[".nup"])
        irt = nup.has("DATABASE_MODE") and nup.get("DATABASE_MODE") == _IRT_DATABASE
        return DATABASE_NAME + (".oib" if irt else ".odb")

    def describe(self) -> tuple[TemplateFile, ...]:
        """Names and digests of the files."""
        return tuple(
            TemplateFile(name=self.name + suffix, sha256=hashlib.sha256(data).hexdigest())
            for suffix, data in self.files.items()
        )

    def clone(
        self, settings: ProjectSettings, transmitters: Sequence[JobTransmitter], folder: str = ""
    ) -> dict[str, bytes]:
        """The four files of a job.

        Parameters
        ----------
        settings
            What is the same for all jobs.
        transmitters
            Each becomes a site with one antenna.
        folder
            Where the job will lie on the machine that solves it, with a separator at its end;
            empty for names without a folder.

        Returns
        -------
        dict
            Contents by file name.

        Raises
        ------
        InputError
            The template lacks a keyword, or has it several times.
        """
        clones = {
            suffix: ProjectLines.from_bytes(self.name + suffix, data)
            for suffix, data in self.files.items()
        }
        net, nup = clones[".net"], clones[".nup"]
        before = net.get("PROJECT_FILE")
        _edit_head(net, settings, folder, self.database)
        _edit_transmitters(net, settings, transmitters)
        nup.set("DATABASE_FILE", f'"{DATABASE_NAME}"')  # WinProp puts the project's folder first
        for suffix in SUFFIXES[1:]:
            clones[suffix].replace_text(before, folder + PROJECT_NAME)
        return {PROJECT_NAME + suffix: lines.to_bytes() for suffix, lines in clones.items()}

    def notes(self, clone: dict[str, bytes], folder: str = "") -> list[str]:
        """What a person should know before running clones of this template."""
        nup = ProjectLines.from_bytes(self.name + ".nup", self.files[".nup"])
        notes = []
        if nup.has("PREDICTION_MODEL_ID") and nup.get("PREDICTION_MODEL_ID") != _URBAN_DPM:
            notes.append("the template's model is not the urban Dominant Path Model")
        if self.database.endswith(".oib"):
            notes.append(f"the template wants a preprocessed {self.database} in every job")
        left: dict[str, None] = {}
        for name, data in clone.items():
            lines = ProjectLines.from_bytes(name, data)
            if folder:
                lines.replace_text(folder, "")
            left |= dict.fromkeys(f"{name} {keyword}" for keyword in lines.absolute_paths())
        if left:
            names = ", ".join(list(left)[:5])
            notes.append(f"{len(left)} lines of the template name files of one machine: {names}")
        return notes


def read_template(path: Path) -> Template:
    """Read the project `path`: its name without a suffix, or any of its four files.

    Raises
    ------
    InputError
        One of the four files is missing.
    """
    stem = path.stem if path.suffix.lower() in SUFFIXES else path.name
    there = {file.name.lower(): file for file in path.parent.glob("*")}
    wanted = {suffix: (stem + suffix).lower() for suffix in SUFFIXES}
    if missing := [stem + suffix for suffix, name in wanted.items() if name not in there]:
        raise InputError(
            f"{missing[0]} is missing; a project is the four files "
            f"{', '.join(stem + suffix for suffix in SUFFIXES)}.",
            where=path.parent,
            remedy="Save an urban project with one site in ProMan and give its path.",
        )
    return Template(
        stem,
        {suffix: read_bytes(there[name], MAX_TEMPLATE_BYTES) for suffix, name in wanted.items()},
    )


def _edit_head(net: ProjectLines, settings: ProjectSettings, folder: str, database: str) -> None:
    """Everything in the ``.net`` but sites and antennas."""
    if net.get("SCENARIO_URBAN") != "y":
        raise InputError(
            "SCENARIO_URBAN is not y; the template is not an urban project.",
            where=net.name,
            remedy="Save an urban project in ProMan and give that.",
        )
    area = " ".join(_metres(value) for value in (0.0, 0.0, settings.size_m, settings.size_m))
    net.set("PROJECT_FILE", f'"{folder}{PROJECT_NAME}"')
    net.set("OUTPUT_PROPAGATION_FILES", f'"{RESULTS_NAME}"')
    net.set("COORDINATES_AREA", area)
    net.set("HEIGHT", f"{settings.receiver_height_m:.5f}")
    net.set("RESOLUTION", _metres(settings.resolution_m))
    net.set("ASCII_OUTPUT_PROP", "y")
    net.set("PATH_LOSS", "y")
    net.set_if_there("SEPARATION_DIRECTORY", "n")
    net.set_if_there("COMPUTATION_MODE", "0")
    net.set_if_there("TIME_VARIANT TIME_VARIANT_MODE", "0")
    for default in ("ANTENNA 0", "ANTENNA -1"):
        net.set_if_there(f"{default} PREDICTION_AREA COORDINATES_AREA", area)
    if net.has("CLUTTER_DATABASE_TRAFFIC"):
        _, dot, suffix = net.get("CLUTTER_DATABASE_TRAFFIC").rpartition(".")
        if dot and suffix.lower() in ("odb", "oib"):  # the buildings themselves, as ProMan does
            net.set("CLUTTER_DATABASE_TRAFFIC", f'"{folder}{database}"')


def _edit_transmitters(
    net: ProjectLines, settings: ProjectSettings, transmitters: Sequence[JobTransmitter]
) -> None:
    """One site and one antenna for every transmitter, made from the template's first."""
    net.set_if_there("COUNTER_SITE", str(len(transmitters) + 1))
    net.set_if_there("COUNTER_TRX", str(len(transmitters) + 1))

    def site(block: ProjectLines, number: int, tx: JobTransmitter) -> None:
        block.set(f"SITE {number} SITE_NAME", f'"{tx.name}"')
        block.set(f"SITE {number} SITE_LOCATION", f"{_metres(tx.x)} {_metres(tx.y)} {_metres(0)}")
        block.set_if_there(f"SITE {number} COUNTER_TRX", "1")

    def antenna(block: ProjectLines, number: int, tx: JobTransmitter) -> None:
        key = f"ANTENNA {number} "
        position = f"{_metres(tx.x)}, {_metres(tx.y)}, {_metres(tx.z_m)}"
        block.set(key + "POSITION", position)
        block.set(key + "NAME", f'"{tx.name}"')
        block.set(key + "SITE_NUMBER", str(number))
        block.set(key + "POWER", f"{settings.power_dbm:.5f}")
        block.set(key + "UNIT", "DBM")
        block.set(key + "FREQUENCY", f"{settings.frequency_mhz:.2f}")
        block.set_if_there(key + "POWER_MODE", "0")
        block.set_if_there(key + "DISABLED", "n")
        block.set_if_there(key + "MODIFIED", "y y")
        block.set_if_there(key + "PREDICTION_AREA_INDIVIDUAL", "n")
        if not settings.keep_antenna:
            block.drop(key + keyword for keyword in _PATTERN_KEYWORDS)
            block.set(key + "TYPE", "ISO")
            block.set_if_there(key + "ANTENNA_GAIN", "0.000")

    for kind, edit, gap in (("SITE", site, _SITE_GAP), ("ANTENNA", antenna, _ANTENNA_GAP)):
        first, stop, prototype, between = _blocks(net, kind, gap)
        made: list[str] = []
        for number, tx in enumerate(transmitters, start=1):
            block = ProjectLines(net.name, [_numbered(line, kind, number) for line in prototype])
            edit(block, number, tx)
            if number > 1:
                made += [_numbered(line, kind, number) for line in between]
            made += block.lines
        net.lines[first:stop] = made


def _blocks(
    net: ProjectLines, kind: str, gap: Sequence[str]
) -> tuple[int, int, list[str], list[str]]:
    """Where all sites or antennas stand, the first of them, and what stands between two."""
    numbered = re.compile(rf"{kind} (\d+)[ \t]")
    spans: dict[int, tuple[int, int]] = {}
    for index, line in enumerate(net.lines):
        if (match := numbered.match(line)) and (number := int(match[1])) > 0:
            spans[number] = (spans.get(number, (index,))[0], index + 1)
    if not spans:
        raise InputError(
            f"the keyword {kind} 1 is missing: the template has no {kind.lower()}.",
            where=net.name,
            remedy="Save a project with one site and one antenna in ProMan and give that.",
        )
    order = sorted(spans.values())
    first, stop = order[0][0], order[-1][1]
    foreign = [
        line.split()[0]
        for line in net.lines[first:stop]
        if line.strip() and not line.startswith("*") and not numbered.match(line)
    ]
    if foreign or any(end > begin for (_, end), (begin, _) in pairwise(order)):
        raise InputError(
            f"the {kind} blocks are not one after the other"
            + (f": {foreign[0]} stands among them." if foreign else "."),
            where=net.name,
            remedy="Save a project with one site and one antenna in ProMan and give that.",
        )
    between = (
        net.lines[order[0][1] : order[1][0]] if len(order) > 1 else [line + "\r\n" for line in gap]
    )
    return first, stop, net.lines[slice(*order[0])], between


def _numbered(line: str, kind: str, number: int) -> str:
    """A line of a block with another number, in its keyword or in ProMan's headline."""
    line = re.sub(rf"^{kind} \d+(?=[ \t])", f"{kind} {number}", line)
    return re.sub(r"^(\*.* No)( +\d+)(?= \*)", lambda m: f"{m[1]}{number:>{len(m[2])}}", line)


def _metres(value: float) -> str:
    return f"{value:.10f}"
