"""Every count that stands in more than one text of a release is the same in all of them."""

from __future__ import annotations

import csv
import json
import re
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from fakes_release import MAPS, release

from rmtools.release.answers import release_info
from rmtools.release.manifest import read_manifest

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.usefixtures("no_sync")

TEXTS = ("documents", "split")


@pytest.fixture(scope="module")
def plain(release_dataset: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A release of files; nobody writes to it."""
    out = tmp_path_factory.mktemp("plain") / "r"
    release(release_dataset, out)
    return out


@pytest.fixture(scope="module", params=["files", "shards"])
def released(
    request: pytest.FixtureRequest,
    plain: Path,
    release_dataset: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> Path:
    """The same as files and in tar files."""
    if request.param == "files":
        return plain
    out = tmp_path_factory.mktemp("sharded") / "r"
    release(release_dataset, out, sharded=True, shard_bytes=100_000)
    return out


def rows(text: str, heading: str) -> dict[str, list[int]]:
    """Numbers of the first table below a heading, by the first cell."""
    below = text.split(heading, 1)[1]
    (table,) = re.findall(r"(?:^\|.*\n)+", below, re.MULTILINE)[:1]
    cells = [[cell.strip() for cell in line.split("|")[1:-1]] for line in table.splitlines()[2:]]
    return {
        line[0]: [int(cell.replace(",", "")) for cell in line[1:] if re.fullmatch(r"[\d,]+", cell)]
        for line in cells
    }


def test_the_counts_of_the_maps(released: Path) -> None:
    facts = read_manifest(released).facts
    card, sheet = ((released / name).read_text() for name in ("README.md", "DATASHEET.md"))
    counted = rows(card, "## What is in it")
    assert counted == rows(sheet, "how many are there?")
    assert counted["radio maps"] == counted["radio maps of kind motion"] == [MAPS] == [facts.maps]
    assert counted["scenes"] == [facts.scenes]
    assert counted["sequences"] == [facts.sequences]
    assert counted["frames per sequence"] == [facts.frames]
    info = release_info(released)
    assert [info[k] for k in ("maps", "scenes", "sequences", "frames")] == [
        facts.maps,
        facts.scenes,
        facts.sequences,
        facts.frames,
    ]
    zenodo = json.loads((released / ".zenodo.json").read_text())
    datacite = json.loads((released / "datacite.json").read_text())
    croissant = json.loads((released / "croissant.json").read_text())
    abstracts = [
        card,
        sheet,
        zenodo["description"],
        datacite["descriptions"][0]["description"],
        croissant["description"],
        yaml.safe_load((released / "CITATION.cff").read_text())["abstract"],
    ]
    for text in abstracts:
        assert f"{facts.maps:,} radio maps of path loss over {facts.scenes:,} urban scenes" in text
    assert datacite["sizes"][1] == f"{facts.maps} radio maps"
    assert record_set(croissant, "maps")["description"].startswith(f"{facts.maps} radio maps:")


def record_set(croissant: dict[str, Any], name: str) -> dict[str, Any]:
    """A record set of Croissant."""
    return next(found for found in croissant["recordSet"] if found["@id"] == name)


def test_the_counts_of_the_sets(released: Path) -> None:
    facts = read_manifest(released).facts
    sets = {name: (s.scenes, s.sequences, s.maps) for name, s in facts.sets.items()}
    card, sheet = ((released / name).read_text() for name in ("README.md", "DATASHEET.md"))
    assert rows(card, "## Sets") == {name: list(counts) for name, counts in sets.items()}
    told = dict(re.findall(r"(\w+): ([\d,]+) maps", sheet))
    assert told == {name: f"{maps:,}" for name, (_, _, maps) in sets.items()}
    asked = dict(
        re.findall(r"(\w+) ([\d,]+) maps", release_info(released)["answers"]["Which split?"])
    )
    assert asked == told
    croissant = json.loads((released / "croissant.json").read_text())
    kinds = ("scenes", "sequences", "maps")
    of_croissant = {
        row["splits/name"]: tuple(row[f"splits/{kind}"] for kind in kinds)
        for row in record_set(croissant, "splits")["data"]
    }
    assert of_croissant == sets
    for name, counts in sets.items():
        with (released / f"index/{name}.csv").open(newline="") as handle:
            maps = list(csv.DictReader(handle))
        scenes = {row["scene"] for row in maps}
        sequences = {(row["scene"], row["trajectory"], row["transmitter"]) for row in maps}
        assert (len(scenes), len(sequences), len(maps)) == counts


def test_the_counts_of_the_files(released: Path, plain: Path) -> None:
    """Texts count the files in tar files one by one, the manifest counts what lies on the disk."""
    layers = {
        name: [layer.files, layer.bytes]
        for name, layer in read_manifest(plain).layers.items()
        if name not in TEXTS
    }
    card = (released / "README.md").read_text()
    assert rows(card, "## Files") == layers
    licence = rows((released / "LICENSE.md").read_text(), "# Licences, layer by layer")
    assert licence == {name: [files] for name, (files, _) in layers.items()}
    total = sum(size for _, size in layers.values())
    assert f"; {total:,} bytes." in card
    assert json.loads((released / "datacite.json").read_text())["sizes"][0] == f"{total} bytes"
    manifest = read_manifest(released)
    for name, layer in manifest.layers.items():
        own = [file.size for file in manifest.files if file.layer == name]
        assert (layer.files, layer.bytes) == (len(own), sum(own))
    assert release_info(released)["files"] == len(manifest.files)
