"""A store that somebody made to do harm: nothing outside of it, and no more memory than it needs.

Every test fails without its guard: with another error, by a write outside, or at the limit of
memory that the fixture sets.
"""

from __future__ import annotations

import contextlib
import json
import math
import os
import resource
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from fakes_store import make_pathloss, make_scene, make_store, make_tracks, make_transmitters
from google_crc32c import value as crc32c
from hypothesis import given, settings
from hypothesis import strategies as st
from numcodecs import blosc

from rmtools.errors import InputError
from rmtools.layouts.maps import open_maps
from rmtools.store import STORE_NAME, Store
from rmtools.store_format import in_steps
from rmtools.store_place import write_url
from rmtools.validation import validate

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

N, TX, FRAMES = 24, 3, 2
MEBIBYTE = 2**20


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("sound")
    make_store(root, n=N, scenes=1, traj=1, tx=TX, frames=FRAMES)
    return root


@pytest.fixture
def root(sound: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(sound, tmp_path / "set"))


@pytest.fixture
def little_memory() -> Iterator[None]:
    """Not more than 300 MiB on top of what the process has."""
    before = resource.getrlimit(resource.RLIMIT_AS)
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + 300 * MEBIBYTE, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_AS, before)


def edit(root: Path, name: str, change: Callable[[dict[str, Any]], object]) -> None:
    """Change the metadata of an array, or those of the group."""
    path = root / STORE_NAME / name / "zarr.json"
    data = json.loads(path.read_text())
    change(data)
    path.write_text(json.dumps(data))


def chunk(root: Path) -> Path:
    return root / STORE_NAME / "pathloss/c/0/0/0/0/0/0"


def read_all(root: Path) -> None:
    """All that a person's program reads: tables, layers, maps."""
    store = Store.open(root)
    assert store.sizes.tx == TX
    assert store.grid.n == N
    assert store.scene_names
    store.tracks(0, 0)
    store.vehicles_placed()
    store.transmitters(0)
    store.buildings(0)
    store.pathloss(0, 0, 1)
    store.pathloss_unit(0, 0)


def test_a_sound_store_is_read_as_ever(root: Path) -> None:
    read_all(root)
    scene, tracks = make_scene(0, N), make_tracks(0, N, FRAMES)
    expected = make_pathloss(scene, make_transmitters(0, TX, N), tracks)
    np.testing.assert_allclose(Store.open(root).pathloss_unit(0, 0), expected, atol=2**-8)


# -- links ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("place", ["pathloss/c", "pathloss/c/0", "pathloss", "tx_x/c"])
def test_nothing_is_written_or_removed_through_a_link(
    root: Path, tmp_path: Path, place: str
) -> None:
    """As `rmtools run` would in a dataset that somebody else made."""
    outside, folder = tmp_path / "outside", root / STORE_NAME / place
    shutil.move(folder, outside)
    folder.symlink_to(outside)
    before = {path: path.stat().st_mtime_ns for path in outside.rglob("*")}
    writes: list[Callable[[Store], None]] = [
        lambda store: store.write_pathloss(0, 0, np.zeros((TX, FRAMES, N, N))),
        lambda store: store.write_transmitters(0, np.zeros((TX, 3))),
        lambda store: store.create_pathloss({"solver": {"solver": "another"}}),
        lambda store: store.remove(["pathloss", "tx_x"]),
    ]
    said = []
    for write in writes:
        with contextlib.suppress(OSError, KeyError):  # the array is not found, or not a folder
            try:
                write(Store.open(root, mode="r+"))
            except InputError as error:
                said.append(str(error))
    assert any("a part of the store is a link" in text for text in said)
    assert {path: path.stat().st_mtime_ns for path in outside.rglob("*")} == before


def test_files_behind_links_and_pipes_are_not_read(root: Path) -> None:
    """/dev/zero would never end, a pipe would never begin."""
    chunk(root).unlink()
    chunk(root).symlink_to("/dev/zero")
    with pytest.raises(InputError, match="a part of the store is a link"):
        read_all(root)
    chunk(root).unlink()
    os.mkfifo(chunk(root))
    with pytest.raises(InputError, match="not a plain file"):
        read_all(root)


def test_a_whole_store_may_be_a_link(root: Path, tmp_path: Path) -> None:
    """That is how people keep large things on another disk; what they open they have chosen."""
    shutil.move(root / STORE_NAME, tmp_path / "disk.zarr")
    (root / STORE_NAME).symlink_to(tmp_path / "disk.zarr")
    read_all(root)


# -- sizes ---------------------------------------------------------------------------------------


def lengths(*values: int) -> Callable[[dict[str, Any]], object]:
    return lambda data: data.update(shape=list(values))


def chunks(*values: int) -> Callable[[dict[str, Any]], object]:
    return lambda data: data["chunk_grid"]["configuration"].update(chunk_shape=list(values))


def inner(**change: Any) -> Callable[[dict[str, Any]], object]:
    return lambda data: data["codecs"][0]["configuration"].update(change)


def packed_by(*names: str) -> Callable[[dict[str, Any]], object]:
    return lambda data: data.update(codecs=[BYTES, *({"name": name} for name in names)])


def named(scheme: str, separator: str) -> Callable[[dict[str, Any]], object]:
    encoding = {"name": scheme, "configuration": {"separator": separator}}
    return lambda data: data.update(chunk_key_encoding=encoding)


BYTES = {"name": "bytes", "configuration": {"endian": "little"}}
ABSURD: list[tuple[str, Callable[[dict[str, Any]], object], str]] = [
    ("x", lengths(10**12), "dimension x"),
    ("scene", lengths(10**9), "dimension scene"),
    ("track_state", lengths(10**6, 10**4, 10**5, 10**6), "is read at once"),
    ("track_x", lengths(1000, 1000, 1000, 1000), "is read at once"),
    ("tx_x", lengths(10**6, 10**4), "is read at once"),
    ("pathloss", lengths(10**6, 10**4, 10**4, 10**5, 8192, 8192), "maps"),
    ("pathloss", lengths(1, 1, TX, 2000, 8192, 8192), "is read at once"),
    ("pathloss", lengths(1, 1, -3, 2, N, N), "no list of lengths"),
    ("pathloss", lengths(10**6, 10**4, 10**5), "is read at once"),
    ("pathloss", chunks(1, 1, 10**9, FRAMES, N, N), "chunks of"),
    ("pathloss", inner(chunk_shape=[1, 1, 1, 2**20, 2**10, 2**10]), "chunks of"),
    ("pathloss", inner(chunk_shape=[1, 1, 1, 0, N, N]), "no list of lengths"),
    ("buildings", chunks(1, 2**20, 2**20), "chunks of"),
    ("buildings", chunks(2**70, 2**70, 2**70), "a number of 22 digits"),
    ("buildings", lambda data: data.update(codecs=[BYTES, {"name": "gzip"}]), "codec 'gzip'"),
    ("buildings", lambda data: data.update(codecs=[BYTES, {"name": "zstd"}]), "zstd"),
    ("buildings", lambda data: data.update(codecs=[{"name": "numcodecs.pickle"}]), "pickle"),
    ("pathloss", inner(codecs=[BYTES, {"name": "lzma"}]), "codec 'lzma'"),
    ("buildings", packed_by("blosc", "blosc"), "the codecs bytes, blosc, blosc"),
    ("buildings", packed_by("blosc", "crc32c"), "codec 'crc32c'"),
    ("pathloss", inner(index_location="start"), "made in another way"),
    ("pathloss", inner(index_codecs=[BYTES]), "made in another way"),
    ("pathloss", inner(chunk_shape=[1, 1, 2, FRAMES, N, N]), "no whole chunks"),
    ("buildings", named("v2", "/"), "other names"),
    ("buildings", named("default", "."), "other names"),
    ("buildings", lambda data: data.update(shape=[]), "shape"),
    ("buildings", lambda data: data.update(data_type="object"), "values of the type object"),
    ("buildings", lambda data: data.update(zarr_format=17), "none that rmtools can read"),
    ("buildings", lambda data: data.update(data_type="string"), "none that rmtools can read"),
    ("buildings", lambda data: data.pop("shape"), "no 'shape'"),
    ("buildings", lambda data: data.update(shape="large"), "no list of lengths"),
]


@pytest.mark.usefixtures("little_memory")
@pytest.mark.parametrize(("name", "change", "said"), ABSURD)
def test_absurd_metadata_are_refused(
    root: Path, name: str, change: Callable[[dict[str, Any]], object], said: str
) -> None:
    edit(root, name, change)
    with pytest.raises(InputError, match=said) as caught:
        read_all(root)
    assert name in str(caught.value)
    report = validate(root)
    assert not report.ok
    assert any(name in f"{found.where} {found.what}" for found in report.findings)


@pytest.mark.usefixtures("little_memory")
def test_a_file_larger_than_its_array_allows_is_not_read(root: Path) -> None:
    """A gibibyte of nothing takes no place on disk."""
    for path, read in (
        (chunk(root), lambda: Store.open(root).pathloss_unit(0, 0)),
        (root / STORE_NAME / "buildings/zarr.json", lambda: Store.open(root).buildings(0)),
        (root / STORE_NAME / "zarr.json", lambda: Store.open(root)),
    ):
        os.truncate(path, 2**30)
        with pytest.raises(InputError, match=r"more than the [\d,]+ bytes that such a file"):
            read()


@pytest.mark.usefixtures("little_memory")
@pytest.mark.parametrize("place", [0, 1, 2])
def test_a_chunk_that_unpacks_to_more_is_not_unpacked(root: Path, place: int) -> None:
    """Half a gibibyte in a few kilobytes: one chunk of a file, or alone."""
    bomb = blosc_of_zeros(512 * MEBIBYTE)
    packed = [bomb if k == place else blosc_of_zeros(FRAMES * N * N * 4) for k in range(TX)]
    begins = np.cumsum([0, *map(len, packed)])[:-1]
    index = np.column_stack([begins, [len(p) for p in packed]]).astype("<u8").tobytes()
    checksum = np.array([crc32c(index)], "<u4").tobytes()
    chunk(root).write_bytes(b"".join(packed) + index + checksum)
    store = Store.open(root)
    with pytest.raises(InputError, match="does not unpack to the size"):
        store.pathloss(0, 0, place)
    with pytest.raises(InputError, match="does not unpack to the size"):
        store.pathloss_unit(0, 0)
    other = (place + 1) % TX
    assert (store.pathloss(0, 0, other) == 0).all()
    single = root / STORE_NAME / "buildings/c/0/0/0"
    single.write_bytes(bomb)
    with pytest.raises(InputError, match="does not unpack to the size"):
        store.buildings(0)


@pytest.mark.parametrize("change", [-1, 1, 2**20])
def test_a_frame_that_says_it_is_longer_than_its_chunk_is_not_unpacked(
    root: Path, change: int
) -> None:
    """Blosc believes the header, and would read what lies behind."""
    single = root / STORE_NAME / "buildings/c/0/0/0"
    frame = bytearray(single.read_bytes())
    frame[12:16] = (int.from_bytes(frame[12:16], "little") + change).to_bytes(4, "little")
    single.write_bytes(frame)
    with pytest.raises(InputError, match="does not unpack to the size"):
        Store.open(root).buildings(0)


@settings(max_examples=60, deadline=None)
@given(junk=st.binary(max_size=200), with_index=st.booleans())
def test_no_bytes_in_place_of_a_file_are_more_than_an_error(
    sound: Path, junk: bytes, *, with_index: bool
) -> None:
    """Only what the checksum of the index lets pass reaches the guard of the chunks."""
    before = chunk(sound).read_bytes()
    index = junk.ljust(16 * TX, b"\xff")[: 16 * TX]
    checksum = np.array([crc32c(index)], "<u4").tobytes()
    chunk(sound).write_bytes(junk + index + checksum if with_index else junk)
    try:
        for read in (Store.pathloss_unit, lambda store, s, t: store.pathloss(s, t, 1)):
            with contextlib.suppress(InputError, ValueError):
                read(Store.open(sound), 0, 0)
    finally:
        chunk(sound).write_bytes(before)


@pytest.mark.usefixtures("little_memory")
@pytest.mark.parametrize(
    ("harm", "said"),
    [
        (lambda root: edit(root, "pathloss", lengths(1, 1, TX, 2000, 8192, 8192)), "read at once"),
        (lambda root: edit(root, "pathloss", inner(codecs=[BYTES, {"name": "lzma"}])), "'lzma'"),
        (lambda root: os.truncate(root / STORE_NAME / "buildings/zarr.json", 2**30), "more than"),
        (lambda root: os.truncate(root / STORE_NAME / "buildings/c/0/0/0", 2**30), "more than"),
        (
            lambda root: (root / STORE_NAME / "buildings/c/0/0/0").write_bytes(
                blosc_of_zeros(512 * MEBIBYTE)
            ),
            "does not unpack to the size",
        ),
    ],
)
def test_a_store_at_a_url_has_the_same_bounds(
    root: Path, tmp_path: Path, harm: Callable[[Path], object], said: str
) -> None:
    there = tmp_path / "there"
    there.mkdir()
    write_url(there, f"file://{root / STORE_NAME}")
    read_all(there)
    harm(root)
    with pytest.raises(InputError, match=said) as caught:
        read_all(there)
    assert str(caught.value).startswith(f"file://{root / STORE_NAME}/")


def test_chunks_of_real_stores_fit(tmp_path: Path) -> None:
    """Those of RadioMapMotion, of noise, which does not get smaller, and of large scenes."""
    noise = np.random.default_rng(1).uniform(0, 200, (1, 15, 256, 256)).astype(np.float32)
    store = make_store(tmp_path, n=256, scenes=1, traj=1, tx=1, frames=15)
    values = in_steps(noise)
    store.write_pathloss(0, 0, values)
    np.testing.assert_array_equal(Store.open(tmp_path).pathloss_unit(0, 0), values)
    large = make_store(tmp_path / "large", n=2048, scenes=1, traj=1, tx=1, frames=1)
    assert large.pathloss(0, 0, 0).shape == (1, 2048, 2048)
    assert large.buildings(0).any()


def blosc_of_zeros(size: int) -> bytes:
    """A Blosc frame of zeros: a header, and one block that is repeated."""
    if size <= MEBIBYTE:
        return blosc.compress(bytes(size), b"zstd", 5, blosc.BITSHUFFLE)
    frame = bytearray(blosc.compress(bytes(MEBIBYTE), b"zstd", 5, blosc.BITSHUFFLE))
    frame[4:8] = size.to_bytes(4, "little")  # what it is said to unpack to
    return bytes(frame)


# -- names ---------------------------------------------------------------------------------------

NAMES = ["../../evil", "/etc/evil", "a/../../b", "..\\evil", "C:evil", "", "x" * 300, "a\nb"]


@pytest.mark.parametrize("name", [*NAMES, 5, None, ["a"]])
def test_names_of_scenes_lead_nowhere(root: Path, name: Any) -> None:
    """Files are named after scenes: scene files, predictions, exported jobs."""
    edit(root, "", lambda data: data["attributes"]["scenes"][0].update(name=name))
    with pytest.raises(InputError, match="attribute scenes: "):
        _ = Store.open(root).scene_names
    with pytest.raises(InputError, match="attribute scenes: "):
        open_maps(root)


@pytest.mark.parametrize("scenes", [None, 7, {"name": "a"}, [7], "abc", [{}]])
def test_a_list_of_scenes_that_is_none_is_explained(root: Path, scenes: Any) -> None:
    edit(root, "", lambda data: data["attributes"].update(scenes=scenes))
    with pytest.raises(InputError, match="attribute scenes: "):
        open_maps(root)


def test_the_limits_leave_room_for_the_published_datasets() -> None:
    """RadioMapMotion has 450,000 maps, RadioMapSeer 56,080 of each kind."""
    from rmtools.store_format import MAX_MAPS, MAX_UNIT_BYTES

    assert MAX_MAPS > 20 * 450_000
    assert math.prod((80, 100, 256, 256)) * 4 < MAX_UNIT_BYTES
