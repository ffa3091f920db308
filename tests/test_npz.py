"""npz archives: damaged, lying and hostile ones are refused."""

from __future__ import annotations

import contextlib
import io
import os
import struct
import tracemalloc
import zipfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rmtools.errors import InputError
from rmtools.images import read_grey_png
from rmtools.layouts.npz import npz_bytes, read_npz


@settings(deadline=None)
@given(st.data())
def test_damaged_archives_are_refused_or_read(data: st.DataObject) -> None:
    good = bytearray(npz_bytes({"a": np.arange(400.0, dtype=np.float32), "b": "text", "c": 1}))
    for _ in range(data.draw(st.integers(1, 4))):
        good[data.draw(st.integers(0, len(good) - 1))] = data.draw(st.integers(0, 255))
    bad = bytes(good[: data.draw(st.integers(0, len(good)))])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("rmtools.layouts.npz.read_bytes", lambda *_: bad)
        with contextlib.suppress(InputError):  # nothing else may come out
            read_npz(Path("x.npz"), 1600)


def test_only_regular_files_are_read(tmp_path: Path) -> None:
    """Neither a link to a device nor a pipe nor a link to itself keeps the reader waiting."""
    path = tmp_path / "x"
    for make in (lambda: path.symlink_to("/dev/zero"), lambda: path.symlink_to(path)):
        make()
        for read in (lambda: read_grey_png(path, (8, 8)), lambda: read_npz(path, 1000)):
            with pytest.raises(InputError, match="no such file"):
                read()
        path.unlink()
    os.mkfifo(path)
    with pytest.raises(InputError, match="no such file"):
        read_npz(path, 1000)


def test_pickles_and_bombs_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.npz"
    np.savez(path, a=np.array([{"an": "object"}], dtype=object))
    with pytest.raises(InputError, match="pickle"):
        read_npz(path, 1000)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.npy", bytes(50_000_000))
    assert path.stat().st_size < 100_000
    with pytest.raises(InputError, match="unpack"):
        read_npz(path, 1000)


@pytest.mark.parametrize("method", [zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_a_bomb_that_understates_its_size_is_not_unpacked(tmp_path: Path, method: int) -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as archive:
        archive.writestr("a.npy", bytes(50_000_000))
    data = bytearray(buffer.getvalue())
    central = data.index(b"PK\1\2")
    for place in (22, central + 24):  # where the two headers say how large the member is
        data[place : place + 4] = struct.pack("<I", 100)
    (tmp_path / "x.npz").write_bytes(data)
    tracemalloc.start()
    with pytest.raises(InputError, match="not a readable npz"):
        read_npz(tmp_path / "x.npz", 100_000)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 2_000_000


@pytest.mark.parametrize(
    ("header", "message"),
    [
        ("{'descr': '<f8', 'fortran_order': False, 'shape': (1000000000,)}", "does not fit"),
        ("{'descr': '<f4', 'fortran_order': False, 'shape': (-2, -2)}", "ValueError"),
        ("{'descr': '<U0', 'fortran_order': False, 'shape': (10000000000,)}", "ValueError"),
        ("{'descr': '<f4', 'fortran_order': False, 'shape': (4L,)}", "Python 2"),
        ("{'descr': '<f4', 'fortran_order': False, 'shape': (4", "TokenError"),
        ("(" * 5000, "not a readable npz"),
    ],
)
def test_headers_that_lie_or_cannot_be_parsed(tmp_path: Path, header: str, message: str) -> None:
    text = header.encode() + b"\n"
    member = b"\x93NUMPY\1\0" + struct.pack("<H", len(text)) + text + bytes(16)
    with zipfile.ZipFile(tmp_path / "x.npz", "w") as archive:
        archive.writestr("a.npy", member if "U0" not in header else member[:-16])
    with pytest.raises(InputError, match=message):
        read_npz(tmp_path / "x.npz", 10_000)


def test_archives_are_what_zipfile_reads(tmp_path: Path) -> None:
    """Equal values of other types stay what they are; large members are deflated."""
    about = {
        "zero": 0.0,
        "minus": -0.0,
        "one": 1,
        "true": True,
        "float": 1.0,
        "text": "ä",
        "no": "",
    }
    pixels = np.tile(np.arange(64, dtype=np.float32), (64, 1))
    path = tmp_path / "x.npz"
    path.write_bytes(npz_bytes({"pixels": pixels, **about}))
    with zipfile.ZipFile(path) as archive:
        assert archive.testzip() is None
        members = archive.infolist()
        assert [m.filename for m in members] == [f"{name}.npy" for name in ("pixels", *about)]
        assert {m.date_time for m in members} == {(1980, 1, 1, 0, 0, 0)}
        assert {m.external_attr >> 16 for m in members} == {0o644}
        assert members[0].compress_type == zipfile.ZIP_DEFLATED
        assert members[0].compress_size < pixels.nbytes / 4
        assert {m.compress_type for m in members[1:]} == {zipfile.ZIP_STORED}
    with np.load(path, allow_pickle=False) as read:
        np.testing.assert_array_equal(read["pixels"], pixels)
        for name, value in about.items():
            assert read[name].dtype == np.asarray(value).dtype
            assert repr(read[name].item()) == repr(value)
