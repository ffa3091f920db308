"""Grey images: the same levels back, and hostile files refused."""

from __future__ import annotations

import contextlib
import re
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from PIL import Image

from rmtools.errors import InputError
from rmtools.images import grey_png, read_grey_image, read_grey_png
from rmtools.seeds import generator


@settings(max_examples=40, deadline=None)
@given(hnp.arrays(np.uint8, hnp.array_shapes(min_dims=2, max_dims=2, max_side=20)), st.text())
def test_png_round_trip(levels: np.ndarray, text: str) -> None:
    text = "".join(c for c in text if c.isprintable())
    data = grey_png(levels, {"note": text})
    assert data == grey_png(levels, {"note": text})
    path = Path("in memory")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("rmtools.images.read_bytes", lambda *_: data)
        image = read_grey_image(path, levels.shape)
    np.testing.assert_array_equal(image.levels, levels)
    assert image.text.get("note") == text


def test_the_checksums_and_the_order_of_the_chunks_are_those_of_the_format() -> None:
    """Pillow forgives much; other readers do not."""
    levels = generator(0, "png").integers(0, 256, (9, 5), dtype=np.uint8)
    data, at, kinds = grey_png(levels, {"unit": "dB", "sign": "Größe", "note": "→"}), 8, []
    while at < len(data):
        length, kind = struct.unpack(">I4s", data[at : at + 8])
        check = zlib.crc32(data[at + 4 : at + 8 + length])
        assert struct.unpack(">I", data[at + 8 + length : at + 12 + length]) == (check,)
        kinds.append(kind.decode())
        at += 12 + length
    assert kinds == ["IHDR", "tEXt", "tEXt", "iTXt", "IDAT", "IEND"]


@settings(deadline=None)
@given(st.data())
def test_damaged_images_are_refused_or_read(data: st.DataObject) -> None:
    good = bytearray(grey_png(np.arange(64, dtype=np.uint8).reshape(8, 8), {"a": "b"}))
    for _ in range(data.draw(st.integers(1, 4))):
        good[data.draw(st.integers(0, len(good) - 1))] = data.draw(st.integers(0, 255))
    bad = bytes(good[: data.draw(st.integers(0, len(good)))])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("rmtools.images.read_bytes", lambda *_: bad)
        with contextlib.suppress(InputError):  # nothing else may come out
            assert read_grey_png(Path("x.png"), (8, 8)).shape == (8, 8)


def test_other_images_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.png"
    grey = Image.fromarray(np.zeros((8, 8), np.uint8))
    noise = Image.fromarray(generator(1, "noise").integers(0, 256, (500, 500), np.uint8))
    for image, kind, message in (
        (grey.resize((8, 9)), "PNG", "9 x 8 pixels, expected 8 x 8"),
        (grey.convert("RGB"), "PNG", "mode 'RGB'"),
        (grey.convert("I;16"), "PNG", "mode 'I;16'"),
        (grey.convert("1"), "PNG", "mode '1' at 1 bits"),
        (grey, "GIF", "not a readable PNG"),
        (noise, "PNG", "bytes, more than"),
    ):
        image.save(path, kind)
        with pytest.raises(InputError, match=re.escape(message)):
            read_grey_png(path, (8, 8))
    with pytest.raises(InputError, match="no such file"):
        read_grey_png(tmp_path / "y.png", (8, 8))


def png_bytes(side: int, bits: int, pixels: bytes, *chunks: bytes) -> bytes:
    """A grey PNG put together by hand; `chunks` are type and data, before the pixels."""
    png = b"\x89PNG\r\n\x1a\n"
    header = b"IHDR" + struct.pack(">IIBBBBB", side, side, bits, 0, 0, 0, 0)
    for chunk in (header, *chunks, b"IDAT" + zlib.compress(pixels), b"IEND"):
        png += struct.pack(">I", len(chunk) - 4) + chunk + struct.pack(">I", zlib.crc32(chunk))
    return png


def test_a_small_file_that_declares_a_giant_image_is_not_decoded(tmp_path: Path) -> None:
    (tmp_path / "x.png").write_bytes(png_bytes(60_000, 8, bytes(100)))
    with pytest.raises(InputError, match="Decompression"):
        read_grey_png(tmp_path / "x.png", (8, 8))


def test_fewer_bits_are_refused_and_bombs_in_text_chunks_do_not_unpack(tmp_path: Path) -> None:
    path = tmp_path / "x.png"
    path.write_bytes(png_bytes(8, 4, bytes(8 * 5)))  # Pillow alone would call it 8-bit grey
    with pytest.raises(InputError, match="mode 'L' at 4 bits"):
        read_grey_png(path, (8, 8))
    bomb = b"zTXt" + b"note\0\0" + zlib.compress(bytes(50_000_000))
    path.write_bytes(png_bytes(8, 8, bytes(8 * 9), bomb))
    with pytest.raises(InputError, match="Decompressed"):
        read_grey_png(path, (8, 8))
    path.write_bytes(png_bytes(8, 8, bytes(8 * 9), b"gAMA" + bytes(4), b"tEXtunit\0dB"))
    assert read_grey_image(path, (8, 8)).text == {"unit": "dB"}


@pytest.mark.parametrize("tail", [b"", b"more"])
def test_images_that_were_cut_or_grew_are_refused(tmp_path: Path, tail: bytes) -> None:
    data = grey_png(np.arange(64, dtype=np.uint8).reshape(8, 8), {"a": "b"})
    for end in range(len(data)):
        (tmp_path / "x.png").write_bytes(data[:end] + tail)
        with pytest.raises(InputError, match="not a readable PNG"):
            read_grey_png(tmp_path / "x.png", (8, 8))
