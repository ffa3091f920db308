"""Files that somebody made to do harm, reader by reader; stores are in test_hostile_store.py."""

from __future__ import annotations

import json
import os
import resource
import shutil
import zipfile
import zlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import h5py
import numpy as np
import pytest
import yaml
from fakes_store import make_scene, make_store
from fakes_validation import make_dataset

from rmtools.city.extract import read_extract
from rmtools.city.tiles import TileRules, choose_tiles
from rmtools.errors import InputError, RecipeError
from rmtools.files import MAX_JSON_BYTES, read_bytes, read_json
from rmtools.grid import Grid
from rmtools.images import png_size
from rmtools.layouts.hdf5 import write_hdf5
from rmtools.layouts.maps import open_maps
from rmtools.layouts.motion_format import read_description
from rmtools.layouts.npz import read_npz
from rmtools.layouts.packed import pack
from rmtools.metrics.maps import open_maps as open_predictions
from rmtools.metrics.protocol import load_protocol
from rmtools.names import check_name
from rmtools.run.ledger import LEDGER_FOLDER, Ledger
from rmtools.run.recipe import load_recipe
from rmtools.run.runner import working_in
from rmtools.run.workspace import RECIPE_NAME, Workspace
from rmtools.scene import Scene
from rmtools.splits.manifest import read_manifest
from rmtools.strict_yaml import strict_yaml

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

MEBIBYTE = 2**20
DEMO = Path(__file__).resolve().parent.parent / "pipelines" / "demo.yaml"


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store, the motion layout, an HDF5 file and a packed cache of the same maps."""
    root = make_dataset(tmp_path_factory.mktemp("sound"))
    write_hdf5(make_store(root / "small", n=24, scenes=2, traj=1, tx=2, frames=2), root / "d.h5")
    pack(open_maps(root / "small"), root / "packed")
    return root


@pytest.fixture
def little_memory() -> Iterator[None]:
    """Not more than 300 MiB on top of what the process has."""
    before = resource.getrlimit(resource.RLIMIT_AS)
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + 300 * MEBIBYTE, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_AS, before)


# -- links in a dataset folder -------------------------------------------------------------------


@pytest.mark.parametrize(
    "place", ["motion", "scenes", ".rmtools", ".rmtools/lock", "report.html", "motion/png/env_000"]
)
def test_a_run_touches_nothing_behind_a_link(tmp_path: Path, place: str) -> None:
    """The lock file alone would be emptied by opening it."""
    outside, link = tmp_path / "outside", tmp_path / "set" / place
    link.parent.mkdir(parents=True)
    if "." in Path(place).name[1:] or place.endswith("lock"):
        outside.write_text("precious")
    else:
        outside.mkdir()
        (outside / "precious").write_text("precious")
    link.symlink_to(outside)
    with (
        pytest.raises(InputError, match="a link leads out of the dataset"),
        working_in(tmp_path / "set"),
    ):
        pass
    assert (outside if outside.is_file() else outside / "precious").read_text() == "precious"


def test_links_within_a_dataset_and_to_it_are_fine(tmp_path: Path) -> None:
    (tmp_path / "disk" / "a").mkdir(parents=True)
    (tmp_path / "disk" / "b").symlink_to("a")
    (tmp_path / "set").symlink_to(tmp_path / "disk")
    with working_in(tmp_path / "set"):
        pass


def test_a_file_without_end_is_read_to_its_limit(tmp_path: Path) -> None:
    """Files of the system say that they have 0 bytes."""
    with pytest.raises(InputError, match="more than the 10"):
        read_bytes(Path("/proc/self/maps"), 10)
    (tmp_path / "x").symlink_to("/dev/zero")
    with pytest.raises(InputError, match="no such file"):
        read_bytes(tmp_path / "x", 10)


# -- YAML ----------------------------------------------------------------------------------------

LAUGHS = "a: &a [1, 1, 1, 1, 1, 1, 1, 1, 1]\n" + "".join(
    f"{b}: &{b} [{', '.join([f'*{a}'] * 9)}]\n" for a, b in zip("abcdefgh", "bcdefghi", strict=True)
)
YAML = [
    "a: !!python/object/apply:os.system ['touch harm']",
    "a: !!python/name:os.system",
    "!!python/object/new:subprocess.Popen [[touch, harm]]",
    LAUGHS,
    "a: &a [*a]",
    "<<: &a {b: 1}\nc: *a",
    "[" * 60_000,
    "{a: " * 5_000,
    "a: 2001-99-99",
    "a: !!int ''",
    "a: !!float ''",
    "a: !!bool maybe",
    "a: !!timestamp x",
    "a: " + "1" * 5_000,
    "a: !!binary '\xe9'",
    "? [a]\n: 1",
    "a: 1\n--- \nb: 2",
]


@pytest.mark.parametrize("text", YAML)
def test_yaml_neither_runs_nor_grows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(yaml.YAMLError):
        strict_yaml(text)
    path = tmp_path / "x.yaml"
    path.write_text(text)
    with pytest.raises(RecipeError, match="not readable as YAML"):
        load_recipe(path)
    with pytest.raises(InputError, match="not a protocol"):
        load_protocol(path)
    shutil.copy(path, tmp_path / RECIPE_NAME)
    with pytest.raises(InputError, match="not readable as YAML"):
        Workspace(tmp_path, load_recipe(DEMO)).differences()
    assert not (tmp_path / "harm").exists()


def test_a_recorded_recipe_of_a_gigabyte_is_not_read(tmp_path: Path) -> None:
    (tmp_path / RECIPE_NAME).touch()
    os.truncate(tmp_path / RECIPE_NAME, 2**30)
    with pytest.raises(InputError, match=r"1,073,741,824 bytes, more than"):
        Workspace(tmp_path, load_recipe(DEMO)).differences()


# -- JSON ----------------------------------------------------------------------------------------

READERS: list[Callable[[Path], object]] = [
    read_json,
    read_manifest,
    Scene.read,
    lambda path: read_description(path.parent),
    lambda path: open_maps(path.parent),
]


@pytest.mark.usefixtures("little_memory")
@pytest.mark.parametrize("read", READERS)
@pytest.mark.parametrize("name", ["dataset.json", "packed.json"])
def test_json_is_bounded_in_size_and_depth(
    tmp_path: Path, read: Callable[[Path], object], name: str
) -> None:
    path = tmp_path / name
    for text in ("[" * 200_000, '{"a":' * 200_000, '{"seed": ' + "1" * 5_000 + "}"):
        path.write_text(text)
        with pytest.raises(InputError):
            read(path)
    os.truncate(path, 2**34)
    with pytest.raises(InputError):
        read(path)


def test_json_of_the_largest_size_fits_into_memory() -> None:
    """An empty list takes 3 bytes in the file and 64 in memory."""
    assert MAX_JSON_BYTES * 64 / 3 < 1.5 * 2**30


def test_a_ledger_full_of_nonsense_is_an_empty_one(tmp_path: Path) -> None:
    folder = tmp_path / LEDGER_FOLDER / "pathloss"
    folder.mkdir(parents=True)
    entry = {"stage": "pathloss", "unit": "a", "key": "k", "files": []}
    for name, text in (
        ("deep", "[" * 200_000),
        ("list", "[]"),
        ("more", json.dumps({**entry, "surprise": 1})),
        ("sizes", json.dumps({**entry, "files": [{"path": "x", "size": -1, "sha256": "0" * 64}]})),
        ("format", json.dumps({**entry, "format": 10**400})),
    ):
        (folder / f"{name}.json").write_text(text)
    os.truncate(folder / "list.json", 2**34)
    ledger = Ledger(tmp_path)
    assert ledger.entries("pathloss") == []
    assert not ledger.is_done("pathloss", "deep", "k")


# -- names ---------------------------------------------------------------------------------------

EVIL = ["../../evil", "/etc/evil", "a/../../b", "..\\evil", "C:evil", "", "x" * 300, "a\0b"]


@pytest.mark.parametrize("name", EVIL)
def test_names_that_lead_elsewhere_are_refused(sound: Path, tmp_path: Path, name: str) -> None:
    with pytest.raises(ValueError, match="name"):
        check_name(name)
    scene = make_scene(0, 24).to_dict()
    scene["rmtools"]["name"] = name
    with pytest.raises(InputError, match="not a scene file"):
        Scene.from_dict(scene)
    about = json.loads((sound / "motion" / "dataset.json").read_text())
    about["scenes"][0]["name"] = name
    (tmp_path / "dataset.json").write_text(json.dumps(about))
    with pytest.raises(InputError, match="not a description"):
        read_description(tmp_path)


@pytest.mark.parametrize("name", ["fake_001", "helsinki_r02_c01", "0", "Köln (Süd)", "a..b"])
def test_names_that_are_names_are_taken(name: str) -> None:
    assert check_name(name) == name


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda about: about["scenes"].__setitem__(0, "../x"), "leads out"),
        (lambda about: about["arrays"]["roads"].update(file="../roads.npy"), "file"),
        (lambda about: about["arrays"]["roads"].update(file="/etc/roads.npy"), "file"),
        (lambda about: about["arrays"]["roads"].update(shape=[10**12] * 3), "promises"),
        (lambda about: about.update(n=10**9), "n:"),
        (lambda about: about["kinds"]["pathloss"].update(tx=10**9), "tx"),
        (lambda about: about["kinds"]["pathloss"].update(tx=10**4, frame=10**5), "promises"),
    ],
)
@pytest.mark.usefixtures("little_memory")
def test_a_packed_cache_is_what_it_says(
    sound: Path, tmp_path: Path, change: Callable[[Any], object], said: str
) -> None:
    cache = shutil.copytree(sound / "packed", tmp_path / "packed")
    about = json.loads((cache / "packed.json").read_text())
    change(about)
    (cache / "packed.json").write_text(json.dumps(about))
    with pytest.raises(InputError, match=said):
        open_maps(cache)


# -- HDF5 ----------------------------------------------------------------------------------------


@pytest.mark.usefixtures("little_memory")
def test_an_hdf5_chunk_that_unpacks_to_more_is_not_unpacked(sound: Path, tmp_path: Path) -> None:
    path = shutil.copy(sound / "d.h5", tmp_path / "bomb.h5")
    squeeze = zlib.compressobj()
    first, again = (
        squeeze.compress(bytes(MEBIBYTE)) + squeeze.flush(zlib.Z_FULL_FLUSH) for _ in range(2)
    )
    bomb = first + 511 * again  # half a gibibyte
    with h5py.File(path, "r+") as file:
        maps = file["pathloss"]
        maps.id.write_direct_chunk((0,) * maps.ndim, bomb)
    with pytest.raises(InputError, match=r"'pathloss' (takes|unpacks to more than)"):
        open_maps(path).pathloss_db("pathloss", 0, 0, 0)


@pytest.mark.usefixtures("little_memory")
def test_texts_of_an_hdf5_file_are_bounded_together(sound: Path, tmp_path: Path) -> None:
    """A text may stand for any number of scenes."""
    path = shutil.copy(sound / "d.h5", tmp_path / "texts.h5")
    text = json.dumps({"name": "a", "note": "x" * 500_000})
    with h5py.File(path, "r+") as file:
        del file["scenes_json"]
        file.create_dataset("scenes_json", data=[text, text], dtype=h5py.string_dtype())
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("rmtools.layouts.hdf5_reader.MAX_TEXTS", 900_000)
        with pytest.raises(InputError, match="characters about its scenes"):
            open_maps(path)


# -- images and arrays ---------------------------------------------------------------------------


@pytest.mark.usefixtures("little_memory")
def test_predictions_are_neither_unpickled_nor_blown_up(tmp_path: Path) -> None:
    from test_images import png_bytes

    evil = np.array([Evil(tmp_path / "harm")], dtype=object)
    np.save(tmp_path / "a.npy", evil, allow_pickle=True)
    np.savez(tmp_path / "b.npz", a=evil)
    (tmp_path / "c.png").write_bytes(png_bytes(60_000, 8, bytes(100)))
    for name in ("a.npy", "b.npz"):
        with pytest.raises(InputError, match=r"objects|pickle"):
            open_predictions(tmp_path / name, truth=False)
    with pytest.raises(InputError, match="not a readable PNG"):
        png_size(tmp_path / "c.png")
    assert not (tmp_path / "harm").exists()


class Evil:
    """Runs a command when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return (os.system, (f"touch {self.path}",))


@pytest.mark.usefixtures("little_memory")
@pytest.mark.parametrize("header", ["<f4", "|V0", "|S0", "<U0", "|O"])
def test_an_npz_member_of_an_absurd_shape_is_refused(tmp_path: Path, header: str) -> None:
    text = f"{{'descr': '{header}', 'fortran_order': False, 'shape': (1000000000000, 9), }}\n"
    member = b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text.encode()
    with zipfile.ZipFile(tmp_path / "x.npz", "w") as archive:
        archive.writestr("a.npy", member)
    with pytest.raises(InputError, match="not a readable npz"):
        read_npz(tmp_path / "x.npz", 2**20)


# -- cities --------------------------------------------------------------------------------------


def test_an_extract_that_covers_the_earth_has_too_many_tiles(tmp_path: Path) -> None:
    corners = [(10.0, 50.0), (10.0, 50.001), (10.001, 50.001), (10.001, 50.0)]
    nodes = "".join(
        f'<node id="{k}" lat="{lat}" lon="{lon}" version="1"/>'
        for k, (lon, lat) in enumerate(corners, start=1)
    )
    refs = "".join(f'<nd ref="{k}"/>' for k in (1, 2, 3, 4, 1))
    ways = "".join(
        f'<way id="{k}" version="1">{refs}<tag k="{tag}" v="residential"/></way>'
        for k, tag in ((10, "building"), (11, "highway"))
    )
    box = '<bounds minlat="20" minlon="-40" maxlat="80" maxlon="60"/>'
    path = tmp_path / "earth.osm"
    path.write_text(f'<?xml version="1.0"?><osm version="0.6">{box}{nodes}{ways}</osm>')
    with pytest.raises(InputError, match=r"tiles; at most 1,000,000 are looked at"):
        choose_tiles(read_extract(path), Grid(64), TileRules(), 1)
