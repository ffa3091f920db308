"""The compiled reader of the rows of a radio map written as text: ``x y [z] value``.

Files have tens of thousands of rows and datasets have tens of thousands of files. The speed comes
from not reading the same number twice: in a map every coordinate stands in a hundred rows or more,
letter by letter the same, so a row is first compared with the coordinates it is expected to have,
and only a coordinate that is not the expected one is read as a number. Rows in any order give the
same map.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from rmtools.kernel import hot_kernel, inlined_kernel

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from rmtools.types import ByteArray, FloatArray, IntArray

    WordArray = NDArray[np.uint64]

OK, BAD_NUMBER, BAD_COLUMNS, OUTSIDE, OFF_CENTRE, TWICE, MIXED_HEIGHTS = range(7)
"""What :func:`read_rows` found."""

PROBLEMS = {
    BAD_NUMBER: "a number was expected there",
    BAD_COLUMNS: "the number of columns is not that of the first row, which has 3 or 4",
    OUTSIDE: "the point lies outside the area that the header declares",
    OFF_CENTRE: "the point is not the centre of a pixel",
    TWICE: "the pixel has more rows than there are time steps",
    MIXED_HEIGHTS: "the height of the points changes within a time step",
}
"""The same in words."""

NOT_COMPUTED = -1000.0
"""Values from here down mean "not computed" in WinProp's programming interface."""

OFF_CENTRE_PIXELS = 0.05
"""How far a printed coordinate may be from the centre of its pixel."""

_MAX_DIGITS = 18  # what fits into 64 bits with certainty
_MAX_EXPONENT = 30
_POWERS = 10.0 ** np.arange(_MAX_DIGITS + _MAX_EXPONENT + 1)

_TAB, _NEWLINE, _RETURN, _BLANK, _PLUS, _COMMA, _MINUS, _POINT = 9, 10, 13, 32, 43, 44, 45, 46
_ZERO, _NINE, _SEMICOLON, _C, _E, _N, _A = 48, 57, 59, 67, 69, 78, 65
_LOWER = 32  # added to a capital letter

_ONE, _TWO, _THREE, _EIGHT, _63, _BYTE = (np.uint64(k) for k in (1, 2, 3, 8, 63, 255))
_TWO_BYTES, _CRLF, _SIXTEEN = np.uint64(0xFFFF), np.uint64(0x0A0D), np.uint64(16)
_FOUR, _N_C = np.uint64(0xFFFFFFFF), np.uint64(int.from_bytes(b"N.C.", "little"))
_EACH, _HIGH = np.uint64(0x0101010101010101), np.uint64(0x8080808080808080)

_MAX_KNOWN = 24
_MASKS = np.array(
    [
        (1 << 8 * min(max(length - 8 * word, 0), 8)) - 1
        for length in range(_MAX_KNOWN + 1)
        for word in range(3)
    ],
    np.uint64,
)
"""For texts of 0 to 24 bytes: which bits of the three words that hold them belong to them."""


@hot_kernel
def _word(text: ByteArray, at: int) -> np.uint64:
    """Eight bytes as one integer; the compiler makes a single load of it."""
    k = np.uint64(at)
    word = np.uint64(text[k])
    for byte in range(1, 8):
        word |= np.uint64(text[k + np.uint64(byte)]) << np.uint64(8 * byte)
    return word


@hot_kernel
def _gap(text: ByteArray, at: int, stop: int) -> int:
    """Behind blanks, tabs, commas and semicolons."""
    while at < stop and (
        text[at] == _TAB or text[at] == _BLANK or text[at] == _COMMA or text[at] == _SEMICOLON
    ):
        at += 1
    return at


@hot_kernel
def _line_end(text: ByteArray, at: int, stop: int) -> int:
    """Behind the end of the line, at the next character that is not white; -1: none is there."""
    at = _gap(text, at, stop)
    if at >= stop:
        return at
    if text[at] != _NEWLINE and text[at] != _RETURN:
        return -1
    while at < stop and (
        text[at] == _NEWLINE or text[at] == _RETURN or text[at] == _BLANK or text[at] == _TAB
    ):
        at += 1
    return at


@inlined_kernel
def _next_row(text: ByteArray, at: int, stop: int) -> int:
    """Like :func:`_line_end`, and faster behind most lines: CRLF, then something else."""
    word = _word(text, at)
    if word & _TWO_BYTES == _CRLF and (word >> _SIXTEEN) & _BYTE > _BLANK:
        return at + 2
    return _line_end(text, at, stop)


@hot_kernel
def _number(text: ByteArray, at: int, stop: int) -> tuple[float, int]:
    """Number at a place and the place behind it; -1 for the place when there is none.

    Right to the last bit up to 15 digits and powers of ten up to 22; further digits than 18 are
    left away.
    """
    negative = at < stop and text[at] == _MINUS
    if negative or (at < stop and text[at] == _PLUS):
        at += 1
    mantissa = np.int64(0)
    digits = 0
    while at < stop and _ZERO <= text[at] <= _NINE:
        mantissa = 10 * mantissa + np.int64(text[at] - _ZERO)
        digits += 1
        at += 1
    if digits > _MAX_DIGITS:
        return 0.0, -1
    decimals = 0
    if at < stop and text[at] == _POINT:
        at += 1
        begin = at
        while at < stop and _ZERO <= text[at] <= _NINE:
            if digits < _MAX_DIGITS:
                mantissa = 10 * mantissa + np.int64(text[at] - _ZERO)
                digits += 1
                decimals += 1
            at += 1
        if digits == 0 and at == begin:
            return 0.0, -1
    if digits == 0:
        return 0.0, -1
    if at < stop and (text[at] == _E or text[at] == _E + _LOWER):
        at += 1
        down = at < stop and text[at] == _MINUS
        if down or (at < stop and text[at] == _PLUS):
            at += 1
        begin = at
        exponent = 0
        while at < stop and _ZERO <= text[at] <= _NINE and exponent <= _MAX_EXPONENT:
            exponent = 10 * exponent + int(text[at] - _ZERO)
            at += 1
        if at == begin or exponent > _MAX_EXPONENT:
            return 0.0, -1
        decimals += exponent if down else -exponent
    value = float(mantissa)
    value = value / _POWERS[decimals] if decimals >= 0 else value * _POWERS[-decimals]
    return (-value if negative else value), at


@inlined_kernel
def _short_number(text: ByteArray, at: int) -> tuple[float, int]:
    """``N.C.``, or a number with a point, at most 8 characters and white space behind it.

    That is how values are printed, and all 8 characters are read at once: with the point taken
    out, three multiplications join single digits to pairs, fours and the whole. -1 for the place
    when it is of another form, see :func:`_any_value`. Reads 10 bytes.
    """
    word = _word(text, at)
    if word & _FOUR == _N_C:
        return np.nan, at + 4
    negative = word & _BYTE == _MINUS
    if negative:
        at += 1
        word = _word(text, at)
    digits = word ^ _EACH * np.uint64(_ZERO)
    other = (((digits & _EACH * np.uint64(127)) + _EACH * np.uint64(118)) | digits) & _HIGH
    point = _first(other)
    end = _first(other & (other - _ONE))
    # shifts are taken modulo 64, and one branch decides: a wrong guess costs more than all of it
    behind = (_word(text, at + 1) >> (_EIGHT * (end - _ONE) & _63)) & _BYTE
    mark = (word >> (_EIGHT * point & _63)) & _BYTE
    if (point >= _EIGHT) | (mark != _POINT) | (behind > _BLANK) | (end < _TWO):
        return 0.0, -1
    before = (_ONE << (_EIGHT * point)) - _ONE
    digits = (digits & before) | ((digits >> _EIGHT) & ~before)
    digits <<= _EIGHT * (_EIGHT + _ONE - end)
    pairs = (digits * np.uint64(10) + (digits >> _EIGHT)) & np.uint64(0x00FF00FF00FF00FF)
    fours = (pairs * np.uint64(100) + (pairs >> np.uint64(16))) & np.uint64(0x0000FFFF0000FFFF)
    whole = (fours * np.uint64(10000) + (fours >> np.uint64(32))) & np.uint64(0xFFFFFFFF)
    value = float(whole) / _POWERS[end - point - _ONE]
    return (-value if negative else value), int(np.int64(at) + np.int64(end))


@inlined_kernel
def _first(marks: np.uint64) -> np.uint64:
    """Index of the lowest byte whose highest bit is set, in a word of such bits; 8: none."""
    bytes_below = ((marks - _ONE) & ~marks & _HIGH) >> np.uint64(7)
    return (bytes_below * _EACH) >> np.uint64(56)


@hot_kernel
def _any_value(text: ByteArray, at: int, stop: int) -> tuple[float, int]:
    """Number at a place and the place behind it; NaN for ``N.C.`` and ``nan``."""
    if at + 3 <= stop and (text[at] == _N or text[at] == _N + _LOWER):
        if at + 4 <= stop and (
            text[at + 1] == _POINT and text[at + 2] == _C and text[at + 3] == _POINT
        ):
            return np.nan, at + 4
        if (text[at + 1] | _LOWER) == _A + _LOWER and (text[at + 2] | _LOWER) == _N + _LOWER:
            return np.nan, at + 3
        return 0.0, -1
    if text[at - 1] == _COMMA and (at >= stop or text[at] == _NEWLINE or text[at] == _RETURN):
        return np.nan, at  # an empty field at the end of a line of a CSV file
    return _number(text, at, stop)


@hot_kernel
def _index(coordinate: float, low: float, resolution: float, count: int) -> int:
    """Pixel whose centre a coordinate is; -OUTSIDE or -OFF_CENTRE when there is none."""
    place = (coordinate - low) / resolution - 0.5
    if not -0.5 <= place < count - 0.5:
        return -OUTSIDE
    index = int(place + 0.5)
    return index if abs(place - index) <= OFF_CENTRE_PIXELS else -OFF_CENTRE


@hot_kernel
def _again(text: ByteArray, at: int, pixel: int, known: WordArray) -> np.int64:
    """Length of a pixel's coordinate if it stands here again, letter by letter; otherwise 0.

    Reads 24 bytes.
    """
    k = np.uint64(pixel) << _TWO
    if k >= np.uint64(len(known)):
        return np.int64(0)
    length = known[k]
    mask = length * _THREE
    different = (_word(text, at) ^ known[k + _ONE]) & _MASKS[mask]
    different |= (_word(text, at + 8) ^ known[k + _TWO]) & _MASKS[mask + _ONE]
    different |= (_word(text, at + 16) ^ known[k + _THREE]) & _MASKS[mask + _TWO]
    return np.int64(length) if different == 0 else np.int64(0)


@hot_kernel
def _remember(text: ByteArray, at: int, length: int, pixel: int, known: WordArray) -> None:
    """Keep a pixel's coordinate for :func:`_again`, unless it is longer than 24 bytes."""
    if length <= _MAX_KNOWN:
        known[4 * pixel] = length
        for i in range(3):
            known[4 * pixel + 1 + i] = _word(text, at + 8 * i)


@hot_kernel
def _coordinate(
    text: ByteArray,
    at: int,
    stop: int,
    numbers: int,
    axis: tuple[float, float],
    known: WordArray,
) -> tuple[int, int, float]:
    """Pixel along one axis, the place behind its coordinate, and z if that is one of `numbers`.

    The text of the coordinate goes to `known`. A negative pixel is a problem.
    """
    value, end = _number(text, at, stop)
    if end < 0:
        return -BAD_NUMBER, at, np.nan
    pixel = _index(value, axis[0], axis[1], len(known) // 4)
    if pixel < 0:
        return pixel, at, np.nan
    behind = _gap(text, end, stop)
    z = np.nan
    if numbers == 2 and behind > end:
        z, end = _number(text, behind, stop)
        if end < 0:
            return -BAD_NUMBER, behind, np.nan
        behind = _gap(text, end, stop)
    if behind == end:
        return -BAD_COLUMNS, behind, np.nan
    _remember(text, at, behind - at, pixel, known)
    return pixel, behind, z


@hot_kernel
def read_rows(
    text: ByteArray,
    rows: tuple[int, int],
    area: tuple[float, float, float],
    columns: int,
    values: FloatArray,
    seen: IntArray,
    heights: FloatArray,
    known: tuple[WordArray, WordArray],
) -> tuple[int, int, int]:
    """Read all rows into `values`.

    Parameters
    ----------
    text
        The file, with at least 64 bytes of anything behind the rows.
    rows
        Where they begin and end.
    area
        x and y of the south-west corner and the resolution, in metres.
    columns
        3 (x, y, value) or 4 (x, y, z, value).
    values
        -inf, filled, shape (n columns * n rows * time steps,) in the order of WinProp's files: x
        outer, y from the south, time steps inner. The k-th row of a pixel is its k-th time step.
    seen
        Zeros, shape (n columns * n rows,): counts the rows of each pixel. Not used, and may be
        empty, when there is one time step.
    heights
        NaN, shape (time steps,): filled with z of the points of each time step.
    known
        Zeros, shapes (4 * n columns,) and (4 * n rows,), see :func:`_again`.

    Returns
    -------
    problem, place, count
        One of the codes of this module, where in `text` it was found, rows read.
    """
    steps, n_rows = len(heights), len(known[1]) // 4
    x_axis, y_axis = (area[0], area[2]), (area[1], area[2])
    # where z may change it is read in every row, as a part of the row's coordinate: no such pixel
    skip = 2**32 if columns == 4 and steps > 1 else 0
    col = row = d_col = d_row = count = 0
    at, stop = rows
    while at < stop:
        begin = at
        new_col = col + d_col
        length = _again(text, at, new_col, known[0])
        if length == 0:
            new_col, at, _ = _coordinate(text, at, stop, 1, x_axis, known[0])
            if new_col < 0:
                return -new_col, at, count
        at += int(length)
        new_row, z = row + d_row, np.nan
        length = _again(text, at, new_row + skip, known[1])
        if length == 0:
            new_row, at, z = _coordinate(text, at, stop, columns - 2, y_axis, known[1])
            if new_row < 0:
                return -new_row, at, count
        at += int(length)
        d_col, d_row = new_col - col, new_row - row
        col, row = new_col, new_row
        value, end = _short_number(text, at)
        if end < 0 or end > stop:
            value, end = _any_value(text, at, stop)
            if end < 0:
                return BAD_NUMBER, at, count
        at = _next_row(text, end, stop)
        if at < 0:
            return BAD_COLUMNS, end, count
        pixel, step = col * n_rows + row, 0
        if steps > 1:
            step = int(seen[pixel])
            seen[pixel] += 1
            pixel = pixel * steps + step
        if step >= steps or values[pixel] != -np.inf:
            return TWICE, begin, count
        if length == 0 and not np.isnan(z):
            if np.isnan(heights[step]):
                heights[step] = z
            elif heights[step] != z:
                return MIXED_HEIGHTS, begin, count
        values[pixel] = value if value > NOT_COMPUTED else np.nan
        count += 1
    return OK, at, count
