"""Eight-bit grey PNG files: written the same every time, read with suspicion."""

from __future__ import annotations

import io
import struct
import zlib
from typing import TYPE_CHECKING, NamedTuple

import deflate
import numpy as np

from rmtools.errors import InputError
from rmtools.files import read_bytes

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from PIL.Image import Image

    from rmtools.types import ByteArray

MAX_TEXT_BYTES = 64 * 1024

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_LEVEL = 3
"""Of libdeflate: as large as zlib's runs, and faster."""

_ROW_ABOVE = 2
"""The filter "up" of the PNG specification."""

_BIT_DEPTH = 24
"""Where the bit depth stands in a PNG: after signature, chunk length, "IHDR", width, height."""

_END = b"\0\0\0\0IEND\xaeB`\x82"
"""The last chunk of every PNG; Pillow reads a file that was cut off behind its pixels."""

_NOT_AN_IMAGE = (OSError, SyntaxError, ValueError, EOFError, struct.error, zlib.error)


class GreyImage(NamedTuple):
    """Grey levels, uint8, shape (rows, columns), and the text chunks of the file."""

    levels: ByteArray
    text: dict[str, str]


def grey_png(levels: ByteArray, text: Mapping[str, object]) -> bytes:
    """Bytes of an 8-bit grey PNG.

    Parameters
    ----------
    levels
        Grey levels, uint8, shape (rows, columns).
    text
        Written as text chunks in the given order, so that the file explains itself.

    Returns
    -------
    bytes
        Depend on the arguments and the version of libdeflate only; there is no time stamp.

    Notes
    -----
    Rows are differences to the row above. On true radio maps that and libdeflate take two fifths
    of the time of Pillow, which tries all filters on every row (docs/throughput.md).
    """
    levels = np.asarray(levels, np.uint8)
    rows, columns = levels.shape
    lines = np.empty((rows, columns + 1), np.uint8)  # each row begins with the number of its filter
    lines[:, 0], lines[0, 1:] = _ROW_ABOVE, levels[0]
    np.subtract(levels[1:], levels[:-1], out=lines[1:, 1:])
    header = struct.pack(">IIBBBBB", columns, rows, 8, 0, 0, 0, 0)
    return b"".join(
        [
            *(_SIGNATURE, _chunk(b"IHDR", header)),
            *(_text(key, str(value)) for key, value in text.items()),
            _chunk(b"IDAT", bytes(deflate.zlib_compress(lines.tobytes(), _LEVEL))),
            _END,
        ]
    )


def _text(key: str, value: str) -> bytes:
    """A text chunk, tEXt if Latin-1 suffices and iTXt if not."""
    try:
        return _chunk(b"tEXt", key.encode("latin-1") + b"\0" + value.encode("latin-1"))
    except UnicodeEncodeError:
        return _chunk(b"iTXt", key.encode("latin-1") + b"\0\0\0\0\0" + value.encode())


def _chunk(kind: bytes, data: bytes) -> bytes:
    check = deflate.crc32(data, deflate.crc32(kind))
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", check)


def read_grey_png(path: Path, shape: tuple[int, int]) -> ByteArray:
    """Grey levels of a PNG that must have `shape`, see :func:`read_grey_image`."""
    return read_grey_image(path, shape).levels


def read_grey_image(path: Path, shape: tuple[int, int]) -> GreyImage:
    """Read an 8-bit grey PNG of a known size together with its text.

    Parameters
    ----------
    path
        The file; only PNG is tried, whatever the first bytes claim.
    shape
        The (rows, columns) it must have. They bound the file's size and the memory used.

    Raises
    ------
    InputError
        Missing, too large, damaged, not a PNG, not 8-bit grey, or of another size.
    """
    # deflate adds at most a thousandth to incompressible data, each row has one filter byte
    limit = (shape[1] + 1) * shape[0] * 101 // 100 + 2 * MAX_TEXT_BYTES
    data = read_bytes(path, limit)
    image = _open(path, data)
    if (image.height, image.width) != shape:
        raise InputError(
            f"the image has {image.height} x {image.width} pixels, expected "
            f"{shape[0]} x {shape[1]}.",
            where=path,
            remedy="It does not belong to this dataset; download it, or write it, again.",
        )
    if image.mode != "L" or data[_BIT_DEPTH] != 8:  # Pillow stretches 2 and 4 bits to "L"
        raise InputError(
            f"the image has mode {image.mode!r} at {data[_BIT_DEPTH]} bits, expected 8-bit grey "
            "('L').",
            where=path,
            remedy="Save it with one grey channel of 8 bits.",
        )
    try:
        if not data.endswith(_END):
            raise EOFError("it was cut off, or something was added to it")
        image.load()
        text = {str(key): value for key, value in image.info.items() if isinstance(value, str)}
    except _NOT_AN_IMAGE as error:
        raise _damaged(path, error) from error
    return GreyImage(np.asarray(image, np.uint8), text)


def png_size(path: Path, max_bytes: int = 64 * 2**20) -> tuple[int, int]:
    """Return (rows, columns) that a PNG declares, without decoding it."""
    image = _open(path, read_bytes(path, max_bytes))
    return image.height, image.width


def _open(path: Path, data: bytes) -> Image:
    """Parse the header of a PNG; its pixels are not touched yet."""
    import warnings

    from PIL import Image

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            return Image.open(io.BytesIO(data), formats=["PNG"])
    except (*_NOT_AN_IMAGE, Image.DecompressionBombError, Warning) as error:
        raise _damaged(path, error) from error


def _damaged(path: Path, error: BaseException) -> InputError:
    # Pillow's own words for "unidentified" hold the address of a buffer
    unknown = type(error).__name__ == "UnidentifiedImageError"
    reason = "no PNG image found" if unknown else f"{type(error).__name__}: {error}"
    return InputError(
        f"not a readable PNG ({reason}).",
        where=path,
        remedy="The file is damaged; download it again or run the step that writes it.",
    )
