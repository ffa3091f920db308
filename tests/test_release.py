"""A release holds what it says, says it everywhere alike, and can be made again from any ruin."""

from __future__ import annotations

import csv
import dataclasses
import hashlib
import json
import re
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import yaml
from fakes_release import MAPS, copy_dataset, files_of, plan_of, release
from jsonschema import Draft202012Validator
from PIL import Image
from typer.testing import CliRunner

from rmtools.cli import app
from rmtools.errors import (
    InvalidDatasetError,
    RecipeError,
)
from rmtools.files import sha256_file
from rmtools.release import citation, croissant, datasheet
from rmtools.release.about import About, Creator, read_about
from rmtools.release.answers import release_info
from rmtools.release.edition import Edition
from rmtools.release.licences import require_attribution
from rmtools.release.manifest import BrokenManifestError, read_manifest
from rmtools.release.release import CREDITED

if TYPE_CHECKING:
    from rmtools.release.manifest import ReleaseManifest

pytestmark = pytest.mark.usefixtures("no_sync")

SCHEMAS = Path(__file__).resolve().parent.parent / "schemas"
OSM = "© OpenStreetMap contributors"


@pytest.fixture(scope="module")
def released(release_dataset: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A release of the motion layout; nobody writes to it."""
    out = tmp_path_factory.mktemp("released") / "r"
    release(release_dataset, out)
    return out


@pytest.fixture(scope="module")
def manifest(released: Path) -> ReleaseManifest:
    """Its manifest."""
    return read_manifest(released)


def test_every_file_is_listed_and_is_what_the_dataset_has(
    released: Path, manifest: ReleaseManifest, release_dataset: Path
) -> None:
    found = files_of(released)
    listed = {file.path: file for file in manifest.files}
    assert set(found) == {*listed, "manifest.json", "SHA256SUMS"}
    for path, data in found.items():
        if path in listed:
            assert listed[path].sha256 == hashlib.sha256(data).hexdigest()
            assert listed[path].size == len(data)
    for path, data in files_of(release_dataset / "motion").items():
        assert found[f"motion/{path}"] == data
    assert found["report.html"] == (release_dataset / "report.html").read_bytes()


def test_sha256sum_agrees(released: Path) -> None:
    done = subprocess.run(
        ["sha256sum", "--check", "--quiet", "SHA256SUMS"],
        cwd=released,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (0, "")
    assert len((released / "SHA256SUMS").read_text().splitlines()) == len(files_of(released)) - 1


def test_manifest_fits_its_schema(released: Path) -> None:
    schema = json.loads((SCHEMAS / "release.schema.json").read_text())
    Draft202012Validator(schema).validate(json.loads((released / "manifest.json").read_text()))


def test_no_path_of_this_machine_is_published(released: Path, release_dataset: Path) -> None:
    told = str(release_dataset.parent).encode()
    assert [path for path, data in files_of(released).items() if told in data] == []
    assert yaml.safe_load((released / "recipe.yaml").read_text())["city"]["source"] == ["demo"]


# -- every document tells the same ---------------------------------------------------------------


def test_card_croissant_manifest_index_and_report_agree_on_every_count(
    released: Path, manifest: ReleaseManifest
) -> None:
    facts = manifest.facts
    counts = {
        "scenes": facts.scenes,
        "trajectories": facts.scenes * facts.trajectories,
        "transmitters": facts.scenes * facts.transmitters,
        "sequences": facts.sequences,
        "radio maps": facts.maps,
    }
    assert counts == {
        "scenes": 4,
        "trajectories": 8,
        "transmitters": 8,
        "sequences": 16,
        "radio maps": MAPS,
    }
    card = (released / "README.md").read_text()
    of_card = dict(re.findall(r"^\| ([a-z ]+) \| ([\d,]+) \|$", card, re.MULTILINE))
    for name in ("scenes", "sequences", "radio maps"):
        assert int(of_card[name].replace(",", "")) == counts[name]
    assert of_card["trajectories per scene"] == "2"
    report = (released / "report.html").read_text()
    for name, count in counts.items():
        assert f"<dt>{name}</dt><dd>{count:,}</dd>" in report
    croissant = json.loads((released / "croissant.json").read_text())
    (splits,) = (r["data"] for r in croissant["recordSet"] if r["@id"] == "splits")
    of_croissant = {row["splits/name"]: row["splits/maps"] for row in splits}
    of_index = {
        path.stem: len(path.read_text().splitlines()) - 1 for path in released.glob("index/*.csv")
    }
    of_table = re.findall(r"^\| (\w+) \| (\d+) \| (\d+) \| (\d+) \|$", card, re.MULTILINE)
    of_sets = {name: found.maps for name, found in facts.sets.items()}
    assert of_croissant == of_index == of_sets == {name: int(n) for name, _, _, n in of_table}
    assert sum(of_sets.values()) == MAPS
    assert len(list(released.glob("motion/png/**/*.png"))) == MAPS
    for name, layer in manifest.layers.items():
        own = [file for file in manifest.files if file.layer == name]
        assert (layer.files, layer.bytes) == (len(own), sum(file.size for file in own))


def test_sets_of_the_index_are_those_of_the_split(released: Path, release_dataset: Path) -> None:
    from rmtools.splits.manifest import read_manifest as read_split
    from rmtools.store import Store

    store, split = Store.open(release_dataset), read_split(release_dataset / "split.json")
    for name in split.sets:
        with (released / f"index/{name}.csv").open(newline="") as handle:
            rows = list(csv.DictReader(handle))
        found = {
            tuple(int(r[k]) for k in ("scene_index", "trajectory", "transmitter")) for r in rows
        }
        assert found == set(split.sequences(name, store))
        for row in rows:
            assert store.scene_names[int(row["scene_index"])] == row["scene"]
            x, y, _ = store.transmitters(int(row["scene_index"]))[int(row["transmitter"])]
            assert (float(row["tx_x_m"]), float(row["tx_y_m"])) == (x, y)
            assert (int(row["tx_row"]), int(row["tx_col"])) == (31 - int(y // 1), int(x // 1))
            assert (released / row["image"]).is_file()
            with np.load(released / row["pathloss"], allow_pickle=False) as npz:
                assert (npz["tx_x_m"], int(npz["frame"])) == (x, int(row["frame"]))


@pytest.fixture
def mlcroissant(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The package, with a cache of its own."""
    mlc = pytest.importorskip("mlcroissant")
    from mlcroissant._src.core import constants
    from mlcroissant._src.operation_graph.operations import extract

    monkeypatch.setattr(constants, "DOWNLOAD_PATH", _epath(tmp_path / "cache/download"))
    monkeypatch.setattr(extract, "EXTRACT_PATH", _epath(tmp_path / "cache/extract"))
    return mlc


def _epath(path: Path) -> Any:
    from etils import epath

    return epath.Path(path)


@pytest.mark.filterwarnings(
    *("ignore::DeprecationWarning", "ignore::FutureWarning", "ignore::ResourceWarning"),
    "ignore::pytest.PytestUnraisableExceptionWarning",  # mlcroissant leaves files open
)
@pytest.mark.parametrize("sharded", [False, True], ids=["files", "shards"])
def test_mlcroissant_loads_it_and_yields_every_record(
    *, sharded: bool, release_dataset: Path, tmp_path: Path, mlcroissant: Any
) -> None:
    out = tmp_path / "r"
    facts = release(release_dataset, out, sharded=sharded).facts
    dataset = mlcroissant.Dataset(out / "croissant.json")
    assert not dataset.metadata.ctx.issues.errors
    assert not dataset.metadata.ctx.issues.warnings
    assert dataset.metadata.version == "1.0.0"
    assert dataset.metadata.data_limitations
    maps = list(dataset.records("maps"))
    counts = dict.fromkeys(facts.sets, 0)
    for record in maps:
        counts[record["maps/split"].decode()] += 1
    assert counts == {name: found.maps for name, found in facts.sets.items()}
    train = list(dataset.records("maps", filters={"maps/split": "train"}))
    assert len(train) == counts["train"]
    images = {r["images/path"].decode(): r["images/image"] for r in dataset.records("images")}
    assert set(images) == {record["maps/image"].decode() for record in maps}
    assert len(images) == MAPS
    record = maps[0]
    path = "motion/png/env_{:03d}/traj_{:02d}/tx_{:02d}/{:02d}.png".format(
        *(record[f"maps/{k}"] for k in ("scene_index", "trajectory", "transmitter", "frame"))
    )
    shown = images[record["maps/image"].decode()].convert("L")
    true = Image.open(release_dataset / path, formats=["PNG"])
    np.testing.assert_array_equal(np.asarray(shown), np.asarray(true))


def test_croissant_names_its_standards_and_its_place(released: Path) -> None:
    value = json.loads((released / "croissant.json").read_text())
    assert value["conformsTo"] == [
        "http://mlcommons.org/croissant/1.1",
        "http://mlcommons.org/croissant/geo/1.0",
        "http://mlcommons.org/croissant/RAI/1.0",
    ]
    assert value["geocr:coordinateReferenceSystem"] == "EPSG:32635"
    assert value["geocr:spatialResolution"]["value"] == 1.0
    south, west, north, east = map(float, value["spatialCoverage"]["geo"]["box"].split())
    assert 60.1 < south < north < 60.2  # Helsinki
    assert 24.9 < west < east < 25.0
    assert value["license"] == ["https://opendatacommons.org/licenses/odbl/1-0/"]
    for file in value["distribution"]:
        if file["@type"] == "cr:FileObject":
            assert file["sha256"] == sha256_file(released / file["contentUrl"])


def test_hugging_face_reads_the_card(released: Path) -> None:
    hub = pytest.importorskip("huggingface_hub")
    data = hub.DatasetCard.load(released / "README.md").data
    assert data.license == "odbl"
    assert data.size_categories == ["n<1K"]
    (config,) = data.configs
    for entry in config["data_files"]:
        assert (released / entry["path"]).is_file()
    assert {entry["split"] for entry in config["data_files"]} == {
        "train",
        "test_seen",
        "test_unseen",
    }


def test_the_maintainer_is_cited(release_dataset: Path, tmp_path: Path) -> None:
    path = tmp_path / "about.yaml"
    path.write_text(
        "title: Radio maps of X\ncreators:\n- family_names: Virtanen\n  given_names: Aino\n"
        "  orcid: 0000-0002-1825-0097\n- name: The X group\npublisher: Zenodo\n"
        "doi: 10.5281/zenodo.1\nconcept_doi: 10.5281/zenodo.0\nmaps_licence: CC-BY-4.0\n"
    )
    out = tmp_path / "r"
    manifest = release(release_dataset, out, about=read_about(path))
    cff = yaml.safe_load((out / "CITATION.cff").read_text())
    assert cff["authors"][0]["orcid"] == "https://orcid.org/0000-0002-1825-0097"
    assert (cff["doi"], cff["version"], cff["cff-version"]) == (
        "10.5281/zenodo.1",
        "1.0.0",
        "1.2.0",
    )
    datacite = json.loads((out / "datacite.json").read_text())
    assert datacite["creators"][0]["name"] == "Virtanen, Aino"
    assert datacite["types"]["resourceTypeGeneral"] == "Dataset"
    assert datacite["relatedIdentifiers"][0]["relationType"] == "IsVersionOf"
    zenodo = json.loads((out / ".zenodo.json").read_text())
    assert zenodo["creators"] == [
        {"name": "Virtanen, Aino", "orcid": "0000-0002-1825-0097"},
        {"name": "The X group"},
    ]
    assert "Virtanen, Aino; The X group (2026). Radio maps of X" in manifest.citation
    assert manifest.layers["maps"].licence == ["CC-BY-4.0"]
    assert manifest.layers["scenes"].licence == ["ODbL-1.0"]
    assert manifest.licence == ["ODbL-1.0", "CC-BY-4.0"]


@pytest.mark.parametrize(
    "text",
    [
        "titel: x\n",
        "keywords: [a, b, a]\n",
        "creators: [{name: A group, given_names: Aino}]\n",
        "doi: nonsense\n",
        "title: !!python/name:os.system x\n",
        "a: &a [*a]\n",
        "- 1\n",
    ],
)
def test_a_wrong_about_file_is_refused(text: str, tmp_path: Path) -> None:
    path = tmp_path / "about.yaml"
    path.write_text(text)
    with pytest.raises(RecipeError, match=r"about\.yaml"):
        read_about(path)


def test_a_creator_is_a_person_or_a_group() -> None:
    with pytest.raises(ValueError, match="either name"):
        Creator(name="A", family_names="B")


def test_info_answers_ten_questions_from_the_files(released: Path) -> None:
    info = release_info(released)
    assert len(info["answers"]) == 10
    found = " ".join(info["answers"].values())
    for fact in (
        "dB",
        "1 m",
        "NaN",
        "row 0 is north",
        "tx_row",
        "0.1 s",
        "train",
        "ODbL",
        OSM,
        "2026",
    ):
        assert fact in found
    done = CliRunner().invoke(app, ["info", str(released), "--json"])
    assert json.loads(done.stdout)["maps"] == MAPS


# -- licences ------------------------------------------------------------------------------------


def test_every_document_names_the_source(released: Path, manifest: ReleaseManifest) -> None:
    for name in CREDITED:
        assert OSM in (released / name).read_text(), name
    assert all(OSM in layer.attribution[0] for layer in manifest.layers.values())


@pytest.mark.parametrize(
    ("attribution", "licence"), [("", "ODbL-1.0"), ("somebody", "ODbL-1.0"), (OSM, "")]
)
def test_without_attribution_nothing_is_released(
    attribution: str, licence: str, release_dataset: Path, tmp_path: Path
) -> None:
    facts = plan_of(release_dataset).facts
    source = facts.sources[0].model_copy(update={"attribution": attribution, "licence": licence})
    with pytest.raises(InvalidDatasetError, match=r"attribution|licence"):
        require_attribution(facts.model_copy(update={"sources": [source]}))
    dataset = copy_dataset(release_dataset, tmp_path / "d")
    path = dataset / "store.zarr/zarr.json"
    value = json.loads(path.read_text())
    value["attributes"] |= {"attribution": [attribution], "licence": [licence]}
    for scene in value["attributes"]["scenes"]:
        scene["provenance"] |= {"attribution": attribution, "licence": licence}
    path.write_text(json.dumps(value))
    with pytest.raises(InvalidDatasetError, match=r"attribution|licence"):
        release(dataset, tmp_path / "r")
    assert not (tmp_path / "r").exists()


def test_a_document_without_attribution_stops_the_release(
    release_dataset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from rmtools.release import card

    monkeypatch.setattr(card, "card_text", lambda _: "# Fine data\n")
    with pytest.raises(InvalidDatasetError, match="attribution"):
        release(release_dataset, tmp_path / "r")
    assert not (tmp_path / "r").exists()


@pytest.mark.parametrize("lost", CREDITED)
def test_each_of_them_is_looked_at(lost: str, released: Path, tmp_path: Path) -> None:
    from rmtools.release.licences import check_documents

    for name in CREDITED:
        text = (released / name).read_text()
        (tmp_path / name).write_text(text.replace(OSM, "nobody") if name == lost else text)
    words = read_manifest(released).attribution
    with pytest.raises(InvalidDatasetError, match="is missing") as caught:
        check_documents(tmp_path, words, list(CREDITED))
    assert caught.value.where == tmp_path / lost


def test_an_attribution_may_have_any_characters(release_dataset: Path, tmp_path: Path) -> None:
    from rmtools.release import card, licences

    edition = Edition(
        "x", "1.0.0", "2026-01-02", plan_of(release_dataset).facts, About(), ("motion",)
    )
    words = """Müller & Sohn <m@example.org>, "maps" 'n\\a' | 100 %"""
    facts = edition.facts.model_copy(update={"attribution": [words]})
    edition = dataclasses.replace(edition, facts=facts)
    texts = {
        card.FILE_NAME: card.card_text(edition),
        licences.FILE_NAME: licences.licence_text({}, facts),
        croissant.FILE_NAME: croissant.croissant_text(edition, []),
        citation.CITATION_NAME: citation.citation_text(edition),
        citation.DATACITE_NAME: citation.datacite_text(edition),
        citation.ZENODO_NAME: citation.zenodo_text(edition),
        datasheet.FILE_NAME: datasheet.datasheet_text(edition),
    }
    for name, text in texts.items():
        (tmp_path / name).write_text(text)
    licences.check_documents(tmp_path, [words], list(texts))
    with pytest.raises(InvalidDatasetError, match="attribution"):
        licences.check_documents(tmp_path, [words + "!"], list(texts))


def test_bibtex_can_be_set() -> None:
    about = About(title="100% of {x} & y_z", creators=[Creator(name="Stadt und Land")])
    edition = Edition("x", "1.0.0", "2026-01-02", None, about, ())  # type: ignore[arg-type] # unused
    assert r"title     = {100\% of \{x\} \& y\_z}" in edition.bibtex
    assert "author    = {{Stadt und Land}}" in edition.bibtex  # not a family called Land


def test_a_manifest_with_one_other_byte_is_refused(released: Path, tmp_path: Path) -> None:
    text = (released / "manifest.json").read_text()
    for change in (
        ('"version": "1.0.0"', '"version": "1.0.1"'),
        ('"maps": 48', '"maps": 49'),
        ("\n", "\n "),
    ):
        (tmp_path / "manifest.json").write_text(text.replace(*change, 1))
        with pytest.raises(BrokenManifestError, match="changed after it was written"):
            read_manifest(tmp_path)
