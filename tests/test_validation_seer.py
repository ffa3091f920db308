"""Validation of RadioMapSeer trees: the true part passes, every fault planted in one is named."""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from fakes_seer import make_seer_tree, save
from fakes_store import make_store
from fakes_validation import errors
from PIL import Image
from typer.testing import CliRunner

from rmtools.cli import app
from rmtools.validation import validate

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from numpy.typing import NDArray

MAPS = (0, 7)
TX = 2
N = 256


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = make_seer_tree(tmp_path_factory.mktemp("sound") / "seer", MAPS, transmitters=TX)
    for simulator in ("IRT2", "carsIRT2", "carsIRT4"):  # less to read
        shutil.rmtree(root / "gain" / simulator)
    for folder in root.glob("p*/buildings_*[234]"):
        shutil.rmtree(folder)
    return root


@pytest.fixture
def tree(sound: Path, tmp_path: Path) -> Path:
    """A tree of its own, to be damaged."""
    return shutil.copytree(sound, tmp_path / "seer")


def warnings(path: Path) -> dict[str, str]:
    return {f.where: f.what for f in validate(path).findings if f.level == "warning"}


def grey(path: Path) -> NDArray[np.uint8]:
    return np.array(Image.open(path))


def change(path: Path, how: Callable[[NDArray[Any]], NDArray[Any]]) -> None:
    save(path, how(grey(path)))


def change_json(path: Path, how: Callable[[Any], Any]) -> None:
    path.write_text(json.dumps(how(json.loads(path.read_text()))))


# -- sound trees -------------------------------------------------------------------------------


def test_the_true_part_passes_with_its_deviations_explained(reference_data: Path) -> None:
    report = validate(reference_data / "radiomapseer")
    assert report.ok
    assert report.checked == {"maps": 5, "JSON files": 5, "images": 23}
    found = [f"{f.where}: {f.what}" for f in report.findings]
    expected = [
        ".: it holds what RadioMapSeer does not have: dpm_unknown_ids",
        ".: 98 of 110 folders of the layout are not there: polygon/buildings_and_cars, "
        "polygon/buildings_difference1-4/1-6, ",
        "dataset.csv: it is missing: this is a part of a dataset",
        "png/buildings_complete: in 2 files 3642 pixels are building in the image but not in gain",
        "png/cars: in 3 files 10 pixels of cars lie on buildings",
        "antenna: in 1 file 2 pixels of transmitters are building in the image",
        "gain/DPM: in 3 files 677 pixels outside buildings are 0, at most 0.94%",
        "gain/DPM: in 5 files 51 pixels are more than a level above DPM's line-of-sight law",
        "gain/IRT2: in 1 file 9079 pixels outside buildings are 0, at most 18.45%",
        "gain/IRT4: in 1 file 952 pixels outside buildings are 0, at most 1.94%",
        "gain/carsDPM: in 1 file 138 pixels outside buildings are 0",
        "gain/carsDPM: in 1 file 12 pixels are more than a level above",
        "gain/DPM: in 1 file 35 pixels in line of sight are more than a level off DPM's law",
    ]
    assert len(found) == len(expected)
    for text, start in zip(found, expected, strict=True):
        assert text.startswith(start)
    assert all("Tolerated: " in text for text in found[3:])


def test_a_sound_tree_passes(sound: Path) -> None:
    report = validate(sound)
    assert report.ok
    # per map: 2 DPM, 2 carsDPM, 2 IRT4, 2 antennas, buildings, roads, cars, 12 variants; as JSON
    # antennas, buildings, buildings and cars, roads, 12 variants
    assert report.checked == {"maps": 2, "JSON files": 2 * 16, "images": 2 * 23}
    found = warnings(sound)
    assert set(found) == {".", "dataset.csv", "gain/DPM"}
    assert found["dataset.csv"].startswith("2 maps with 2 transmitters each; published loaders")
    assert "gain/IRT2, gain/carsIRT2, gain/carsIRT4" in found["."]


def test_it_is_found_beside_a_store_and_by_the_command(sound: Path, tmp_path: Path) -> None:
    make_store(tmp_path, n=32, scenes=1, traj=1, tx=1, frames=2)
    shutil.copytree(sound, tmp_path / "seer")
    assert errors(tmp_path) == []
    assert validate(tmp_path).checked["maps"] == 2
    (tmp_path / "seer/antenna/0.json").unlink()
    done = CliRunner().invoke(app, ["validate", str(tmp_path)])
    assert done.exit_code == 6
    assert "antenna/0.json: it is missing" in done.stdout


# -- files that are missing, alien or damaged --------------------------------------------------


def test_what_the_table_promises_must_be_there(tree: Path) -> None:
    gone = [
        *("antenna/7.json", "gain/DPM/0_1.png", "gain/IRT4/7_0.png", "png/antennas/0_0.png"),
        *("png/buildings_missing1/3/7.png", "polygon/buildings_difference1/2/0.json"),
    ]
    for name in gone:
        (tree / name).unlink()
    assert sorted(errors(tree)) == sorted(f"{name}: it is missing" for name in gone)
    (tree / "dataset.csv").unlink()
    assert errors(tree) == []
    assert "only what is there was checked" in warnings(tree)["dataset.csv"]


def test_the_table_itself(tree: Path) -> None:
    path = tree / "dataset.csv"
    text = path.read_text()
    path.write_text(text.replace("7.json", "8.json"))
    assert errors(tree) == [
        "dataset.csv: not the table it should be (line 3 is not as in RadioMapSeer)"
    ]
    path.write_text("\n".join(text.splitlines()[:2]))
    assert "antenna: it has maps that dataset.csv does not list: 7" in errors(tree)
    path.write_bytes(b"\xff\xfe")
    assert errors(tree)[0].startswith("dataset.csv: not the table it should be")


def test_aliens_are_named(tree: Path) -> None:
    for name in ("png/Thumbs.db", "antenna/x.json", "gain/DPM/0.png", "polygon/trees/0.json"):
        (tree / name).parent.mkdir(exist_ok=True)
        (tree / name).touch()
    report = validate(tree)
    assert report.ok
    found = {f"{f.where}: {f.what}" for f in report.findings}
    for where, name in (
        ("png", "Thumbs.db"),
        ("antenna", "x.json"),
        ("gain/DPM", "0.png"),
        ("polygon", "trees"),
    ):
        assert f"{where}: it holds what RadioMapSeer does not have: {name}" in found


def test_every_damaged_file_is_named_and_the_rest_is_checked(tree: Path) -> None:
    path = tree / "png/buildings_complete/0.png"
    path.write_bytes(path.read_bytes()[:-30])
    Image.new("L", (255, 256)).save(tree / "png/cars/0.png")
    Image.new("RGB", (N, N)).save(tree / "gain/DPM/0_0.png")
    (tree / "polygon/roads/0.json").write_text("[[[1, 1], [2")
    (tree / "antenna/7.json").write_text("[[1, 300]]")
    change_json(tree / "polygon/buildings_complete/7.json", lambda rings: [[[1, 257]], *rings])
    found = errors(tree)
    assert [text.split(":")[0] for text in found] == [
        "png/buildings_complete/0.png",
        "polygon/roads/0.json",
        "png/cars/0.png",
        "gain/DPM/0_0.png",
        "polygon/buildings_complete/7.json",
        "antenna/7.json",
    ]
    for text, part in zip(
        found,
        ["not a readable PNG", "JSON", "256 x 255", "mode 'RGB'", "at [0]", "at [0][1]"],
        strict=True,
    ):
        assert part in text


# -- geometry and images -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("how", "cause"),
    [
        (lambda image: image[::-1], "it is upside down"),
        (lambda image: 255 - image, "black and white are exchanged"),
        (lambda image: image[::-1, ::-1].T, "x and y are exchanged"),
        (lambda image: np.roll(image, (-1, 1), (0, 1)), "the polygons were taken as 0-based"),
        (
            lambda image: image | np.roll(image, 1, 1) | np.roll(image, (-1, 0), (0, 1)),
            "up to 0.2% is known",
        ),
    ],
)
def test_misread_building_images(tree: Path, how: Any, cause: str) -> None:
    change(tree / "png/buildings_complete/7.png", how)
    (found,) = [text for text in errors(tree) if text.startswith("png/buildings_complete/7.png")]
    assert "pixels are not the raster of the polygons" in found
    assert found.endswith(cause)


def test_a_building_image_of_ones(tree: Path) -> None:
    change(tree / "png/buildings_complete/7.png", lambda image: image // 255)
    (found,) = errors(tree)
    assert "are neither 0 nor 255 (white is 255, not 1)" in found


def test_a_few_pixels_are_tolerated(tree: Path) -> None:
    def edit(image: NDArray[Any]) -> NDArray[Any]:
        image[0, :50] = 255
        return image

    change(tree / "png/buildings_complete/7.png", edit)
    report = validate(tree)
    assert report.ok
    texts = [f.what for f in report.findings if f.where == "png/buildings_complete"]
    assert any("in 1 file 50 pixels are not the raster of the polygons" in t for t in texts)


def test_missing_buildings(tree: Path) -> None:
    place = "1/4/7"
    polygons, removed = (f"polygon/buildings_{w}{place}.json" for w in ("difference", "removed"))
    image = f"png/buildings_missing{place}.png"
    change_json(tree / removed, lambda rings: rings * 2)
    assert errors(tree)[0] == f"{removed}: 2 buildings are removed, expected 1"
    change_json(tree / removed, lambda rings: rings[:1])
    change_json(tree / polygons, lambda rings: rings[1:])
    assert errors(tree) == [f"{polygons}: 14 buildings are left and 1 removed of 16"]
    (tree / "dataset.csv").unlink()
    for name in (polygons, removed):
        (tree / name).unlink()
    assert errors(tree) == []  # the image alone says which building is missing
    whole = grey(tree / "png/buildings_complete/7.png")
    save(tree / image, whole)
    assert errors(tree) == [f"{image}: 0 buildings are missing, expected 1"]
    whole[0, 0] = 255
    save(tree / image, whole)
    found = errors(tree)
    assert any("1 pixels are building, but not in the image of all buildings" in t for t in found)


def test_alien_rings_in_a_variant(tree: Path) -> None:
    name = "polygon/buildings_removed1/1/0.json"
    change_json(tree / name, lambda _: [[[1, 1], [2, 1], [2, 2], [1, 1]]])
    assert errors(tree) == [f"{name}: 1 of its buildings are not those of the map"]


def test_polygons_have_whole_numbers_and_end_where_they_begin(tree: Path) -> None:
    name = "polygon/roads/0.json"
    change_json(tree / name, lambda lines: [[[1.5, 2], [3, 4.25]], *lines])
    assert f"{name}: 2 coordinates are not whole numbers" in errors(tree)
    change_json(tree / "polygon/buildings_complete/0.json", lambda rings: [r[:-1] for r in rings])
    found = warnings(tree)["polygon/buildings_complete/0.json"]
    assert found == "16 rings do not end where they begin"


def test_roads_and_cars(tree: Path) -> None:
    change(tree / "png/roads/0.png", lambda image: np.roll(image, 3, 1))
    change(tree / "png/cars/7.png", lambda image: np.roll(image, (1, -1), (0, 1)))
    found = errors(tree)
    assert [text.split(":")[0] for text in found] == ["png/roads/0.png", "png/cars/7.png"]
    name = "polygon/buildings_and_cars/0.json"
    change_json(tree / name, lambda rings: rings[1:])
    assert f"{name}: it does not begin with the 16 buildings of the map" in errors(tree)
    name = "polygon/buildings_and_cars/7.json"
    change_json(tree / name, lambda rings: [*rings[:-1], rings[-1][:3]])
    assert f"{name}: a car has 3 corners, expected 4" in errors(tree)


# -- transmitters ------------------------------------------------------------------------------


def test_a_transmitter_in_a_building(tree: Path) -> None:
    ring = json.loads((tree / "polygon/buildings_complete/0.json").read_text())[0]
    west, south = np.min(ring, axis=0)
    change_json(tree / "antenna/0.json", lambda pairs: [pairs[0], [int(west), int(south)]])
    found = errors(tree)
    assert "antenna/0.json: 1 transmitters stand in buildings, the first is 1" in found
    assert any(text.startswith("png/antennas/0_1.png: expected one white pixel") for text in found)
    assert any(text.startswith("gain/DPM/0_1.png: the strongest pixel is") for text in found)
    assert "gain/IRT4/0_1.png: the transmitter's pixel" in "\n".join(found)


def test_antennas_in_the_frame_of_the_polygons(tree: Path) -> None:
    """A transmitter on the west wall's street side, written 1-based, stands in the wall."""
    ring = json.loads((tree / "polygon/buildings_complete/0.json").read_text())[0]
    west, south = np.min(ring, axis=0).tolist()
    change_json(tree / "antenna/0.json", lambda _: [[west - 1, south - 1], [west - 1, south]])
    found = errors(tree)
    assert (
        "antenna/0.json: 2 transmitters stand in buildings, the first is 0; read as 1-based none "
        "does: is the file 1-based?"
    ) in found


def test_more_maps_than_transmitters(tree: Path) -> None:
    change_json(tree / "antenna/0.json", lambda pairs: pairs[:1])
    assert set(errors(tree)) == {
        f"{name}: the map has only 1 transmitters"
        for name in (
            *("png/antennas/0_1.png", "gain/DPM/0_1.png", "gain/IRT4/0_1.png"),
            "gain/carsDPM/0_1.png",
        )
    }


# -- gain --------------------------------------------------------------------------------------


def test_gain_of_another_map_or_upside_down(tree: Path) -> None:
    for name in ("DPM", "carsDPM"):
        shutil.copy(tree / f"gain/{name}/0_0.png", tree / f"gain/{name}/7_0.png")
    change(tree / "gain/IRT4/0_1.png", lambda levels: levels[::-1])
    found = "\n".join(errors(tree))
    assert "gain/DPM/7_0.png: " in found
    assert "is it of another map?" in found
    assert "gain/DPM/7_0.png: the strongest pixel is" in found
    assert "known; it is upside down" in found
    (tree / "polygon/buildings_complete/7.json").unlink()
    (tree / "dataset.csv").unlink()
    assert "gain/carsDPM/7_0.png" in "\n".join(errors(tree))  # found by the image alone


def test_the_maximum_is_the_transmitter(tree: Path) -> None:
    path = tree / "gain/DPM/0_0.png"
    levels = grey(path)
    save(path, np.minimum(levels, 245))
    found = errors(tree)
    assert "gain/DPM/0_0.png: 9 pixels have the highest level, 245" in found[0]
    save(path, np.where(levels == 255, 250, levels))
    (tree / "gain/carsDPM/0_0.png").unlink()
    (tree / "dataset.csv").unlink()
    assert errors(tree) == []
    assert "level 250, not 255" in warnings(tree)["gain/DPM/0_0.png"]


def test_cars_only_take_away_in_dpm(tree: Path) -> None:
    name = "gain/carsDPM/7_1.png"
    change(tree / name, lambda levels: np.where((levels > 0) & (levels < 200), levels + 1, levels))
    (found,) = [text for text in errors(tree) if text.startswith(name)]
    assert "pixels are stronger with cars than without" in found


def test_another_grey_scale_is_noticed(tree: Path) -> None:
    """The window -186.41 to -47.84 dB, a misreading seen in the wild."""
    for path in (tree / "gain/DPM").iterdir():
        change(path, lambda g: np.where(g > 0, np.rint(255 - (255 - g) * 99.16 / 138.57), 0))
    found = warnings(tree)["gain/DPM/0_0.png"]
    assert "another grey scale, exponent or frequency" in found


def test_weak_street_beyond_the_known_measure(tree: Path) -> None:
    change(tree / "gain/DPM/0_0.png", lambda g: np.where(g < 140, 0, g))
    (tree / "gain/carsDPM/0_0.png").unlink()
    (tree / "dataset.csv").unlink()
    report = validate(tree)
    assert report.ok
    (found,) = [f.what for f in report.findings if "pixels outside buildings are 0: " in f.what]
    assert "up to 2.0% is known" in found
