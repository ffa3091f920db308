"""Which files a tree in RadioMapSeer layout has, misses, or should not have."""

from __future__ import annotations

import csv
import io
import os
import re
from typing import TYPE_CHECKING

from rmtools.errors import InputError
from rmtools.files import read_bytes
from rmtools.layouts import seer_format as fmt

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from rmtools.findings import Report

MAX_TABLE_BYTES = 64 * 2**20
_MAP, _TRANSMITTER = r"(0|[1-9]\d{0,8})", r"(0|[1-9]\d{0,3})"
_OURS = {fmt.DESCRIPTION_NAME}


def _folder(name: str) -> str:
    return name.rpartition("/")[0]


def map_folders() -> list[str]:
    """Folders with one file per map."""
    variants = [(missing, version) for missing in fmt.MISSING_COUNTS for version in fmt.VERSIONS]
    of_map = (
        *(fmt.antennas_name, fmt.polygons_name, fmt.cars_polygons_name, fmt.roads_polygons_name),
        *(fmt.buildings_name, fmt.cars_name, fmt.roads_name),
    )
    of_variant = (
        *(fmt.polygons_name, fmt.removed_polygons_name),
        *(fmt.buildings_name, fmt.removed_name),
    )
    return [_folder(name(0)) for name in of_map] + [
        _folder(name(0, *variant)) for name in of_variant for variant in variants
    ]


def transmitter_folders() -> list[str]:
    """Folders with one file per map and transmitter."""
    gains = [_folder(fmt.gain_name(simulator, 0, 0)) for simulator in fmt.SIMULATORS]
    return [*gains, _folder(fmt.antenna_image_name(0, 0))]


class Tree:
    """Names of all files of a tree, read once.

    Parameters
    ----------
    root
        The layout's folder.
    report
        Gets a warning for what does not belong to the layout, and for folders that are missing.

    Attributes
    ----------
    of_map
        Maps with a file in each folder that has one per map.
    of_transmitter
        Maps and transmitters with a file in each folder that has one per transmitter.
    """

    def __init__(self, root: Path, report: Report) -> None:
        self.root, self.report = root, report
        self.of_map: dict[str, set[int]] = {}
        self.of_transmitter: dict[str, dict[int, list[int]]] = {}
        folders = [*map_folders(), *transmitter_folders()]
        self._check_names(folders)
        for folder in map_folders():
            matches = self._files(folder, rf"{_MAP}\.{_suffix(folder)}")
            self.of_map[folder] = {int(match[1]) for match in matches}
        for folder in transmitter_folders():
            found: dict[int, list[int]] = {}
            for match in self._files(folder, rf"{_MAP}_{_TRANSMITTER}\.{_suffix(folder)}"):
                found.setdefault(int(match[1]), []).append(int(match[2]))
            self.of_transmitter[folder] = {m: sorted(txs) for m, txs in sorted(found.items())}
        missing = [folder for folder in folders if not (root / folder).is_dir()]
        if missing:
            short = dict.fromkeys(re.sub(r"\d/\d$", "1-4/1-6", folder) for folder in missing)
            report.warning(
                ".",
                f"{len(missing)} of {len(folders)} folders of the layout are not there: "
                + ", ".join(short),
            )

    @property
    def maps(self) -> list[int]:
        """Maps of which anything is there, ascending."""
        everywhere = [*self.of_map.values(), *map(set, self.of_transmitter.values())]
        return sorted(set().union(*everywhere))

    def has(self, name: str) -> bool:
        """Whether a file is there."""
        return (self.root / name).is_file()

    def transmitters(self, folder: str, map_id: int) -> list[int]:
        """Transmitters of a map with a file in a folder."""
        return self.of_transmitter[folder].get(map_id, [])

    def check_table(self) -> None:
        """Check ``dataset.csv``, and that the files that it promises are there.

        Without it the tree is a part of a dataset, of which no file is required.
        """
        if not self.has(fmt.TABLE_NAME):
            self.report.warning(
                fmt.TABLE_NAME,
                "it is missing: this is a part of a dataset, and only what is there was checked",
            )
            return
        try:
            maps, transmitters = self._read_table()
        except InputError as error:
            self.report.error(fmt.TABLE_NAME, error.what)
            return
        if len(maps) not in (fmt.MAPS - 1, fmt.MAPS) or transmitters != fmt.TRANSMITTERS:
            self.report.warning(
                fmt.TABLE_NAME,
                f"{len(maps)} maps with {transmitters} transmitters each; published loaders "
                f"expect the maps 1 to {fmt.MAPS - 1} and {fmt.TRANSMITTERS} transmitters",
            )
        for folder, found in self.of_map.items():
            if found:
                absent = [f"{m}.{_suffix(folder)}" for m in maps if m not in found]
                self._missing(folder, absent)
                self._unlisted(folder, found - set(maps))
        for folder, of_map in self.of_transmitter.items():
            if of_map:
                simulator = folder.rpartition("/")[2]
                count = min(fmt.SIMULATORS.get(simulator, transmitters), transmitters)
                for m in maps:
                    missing = sorted(set(range(count)) - set(of_map.get(m, [])))
                    self._missing(folder, [f"{m}_{tx}.png" for tx in missing])
                self._unlisted(folder, of_map.keys() - set(maps))

    def _read_table(self) -> tuple[list[int], int]:
        """Maps and number of transmitters."""
        data = read_bytes(self.root / fmt.TABLE_NAME, MAX_TABLE_BYTES)
        try:
            header, *rows = csv.reader(io.StringIO(data.decode()), strict=True)
            maps = [int(row[0].removesuffix(".png")) for row in rows]
            expected = fmt.table_rows(maps, len(header) - 2)
            wrong = [k for k, row in enumerate(expected) if list(row) != [header, *rows][k]]
            if wrong:
                raise ValueError(f"line {wrong[0] + 1} is not as in RadioMapSeer")
            if len(set(maps)) != len(maps) or not maps or min(maps) < 0:
                raise ValueError("maps are repeated, or there are none")
        except (ValueError, IndexError, csv.Error) as error:
            raise InputError(f"not the table it should be ({error})") from error
        return maps, len(header) - 2

    def _check_names(self, folders: list[str]) -> None:
        """Report what lies beside the folders of the layout."""
        children: dict[str, set[str]] = {"": {fmt.TABLE_NAME, *_OURS}}
        for folder in folders:
            parts = folder.split("/")
            for k, part in enumerate(parts):
                children.setdefault("/".join(parts[:k]), set()).add(part)
        for parent, expected in sorted(children.items()):
            self._strangers(parent, self._names(parent) - expected)

    def _files(self, folder: str, pattern: str) -> list[re.Match[str]]:
        """Files of a folder whose names are those of the layout."""
        names = self._names(folder)
        good = [match for name in names if (match := re.fullmatch(pattern, name))]
        self._strangers(folder, names - {match[0] for match in good})
        return good

    def _names(self, folder: str) -> set[str]:
        path = self.root / folder
        return set(os.listdir(path)) if path.is_dir() else set()  # noqa: PTH208 - names are enough

    def _strangers(self, folder: str, names: Iterable[str]) -> None:
        if found := sorted(names):
            what = f"it holds what RadioMapSeer does not have: {_listed(found)}"
            self.report.warning(folder or ".", what)

    def _missing(self, folder: str, names: Iterable[str]) -> None:
        for name in names:
            self.report.error(f"{folder}/{name}", "it is missing")

    def _unlisted(self, folder: str, maps: Iterable[int]) -> None:
        if found := sorted(maps):
            self.report.error(
                folder, f"it has maps that {fmt.TABLE_NAME} does not list: {_listed(found)}"
            )


def _suffix(folder: str) -> str:
    return "json" if folder.startswith(("polygon", "antenna")) else "png"


def _listed(things: list[str] | list[int]) -> str:
    """The first of them, and how many more."""
    more = f" and {len(things) - 8} more" if len(things) > 8 else ""
    return ", ".join(str(thing) for thing in things[:8]) + more
