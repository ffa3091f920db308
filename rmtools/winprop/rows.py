"""The compiled reader of the rows of a radio map written as text: ``x y [z] value``.

Files have tens of thousands of rows and datasets have tens of thousands of files. The speed comes
from not reading the same number twice: in a map every coordinate stands in a hundred rows or more,
letter by letter the same. So a row is first compared with the row that is expected, whose
coordinates follow their pattern and whose value has as many decimals as the last one
(:func:`_expected_rows`); only what is not as expected is read as numbers. Rows in any order give
the same map.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from llvmlite import ir  # type: ignore[import-untyped]
from numba import types
from numba.extending import intrinsic

from rmtools.kernel import hot_kernel, inlined_kernel
from rmtools.winprop.numbers import (
    BLANK,
    MINUS,
    NEWLINE,
    POINT,
    POWERS,
    RETURN,
    ZERO,
    behind_gap,
    behind_line,
    read_number,
    read_value,
)

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

_ONE, _TWO, _THREE, _SEVEN, _EIGHT = (np.uint64(k) for k in (1, 2, 3, 7, 8))
_16, _32, _LOW_32, _BYTE = (np.uint64(k) for k in (16, 32, 2**32 - 1, 255))
_ALL, _N_C = np.uint64(2**64 - 1), np.uint64(int.from_bytes(b"N.C.", "little"))
_EACH = np.uint64(0x0101010101010101)
_MASKS = np.array([(1 << 8 * length) - 1 for length in range(9)], np.uint64)
"""Which bits of a word belong to a text of 0 to 8 bytes."""

_LONGEST = 16
"""Coordinates of more bytes, with the blanks behind them, are read again in every row."""


class Form(NamedTuple):
    """How the last value was written: what the next one is expected to look like.

    Attributes
    ----------
    before
        The character in front of the first digit: minus or a separator.
    lead
        How far the first digit is from the place of the value: 1 behind a minus, else 0.
    decimals
        Behind the point.
    scale
        What the number without its point is divided by, negative behind a minus.
    newline, line_end
        Length of the end of the line, and what it is, as an integer.
    """

    before: np.uint8
    lead: int
    decimals: np.uint64
    scale: float
    newline: int
    line_end: np.uint64


_NO_FORM = Form(np.uint8(0), 0, _SEVEN, 1.0, 0, _ONE)
"""What no row has: seven decimals leave no room for the point, and nothing of no length is 1."""


def no_texts(count: int) -> WordArray:
    """Table of the texts of `count` coordinates, none of them known: shape (4 * count,).

    Of each: its length, and in the upper half of that word the place of its last eight bytes; its
    first eight bytes; its last eight, which overlap; the bits that count. Here the two are
    different and begin at the same place, so that no text agrees with them.
    """
    texts = np.zeros((count, 4), np.uint64)
    texts[:, 2:] = _ALL
    return texts.reshape(-1)


@hot_kernel
def _word(text: ByteArray, at: int) -> np.uint64:
    """Eight bytes as one integer; the compiler makes a single load of it."""
    k = np.uint64(at)
    word = np.uint64(text[k])
    for byte in range(1, 8):
        word |= np.uint64(text[k + np.uint64(byte)]) << np.uint64(8 * byte)
    return word


@hot_kernel
def _index(coordinate: float, low: float, resolution: float, count: int) -> int:
    """Pixel whose centre a coordinate is; -OUTSIDE or -OFF_CENTRE when there is none."""
    place = (coordinate - low) / resolution - 0.5
    if not -0.5 <= place < count - 0.5:
        return -OUTSIDE
    index = int(place + 0.5)
    return index if abs(place - index) <= OFF_CENTRE_PIXELS else -OFF_CENTRE


@inlined_kernel
def _unlike(text: ByteArray, at: int, k: np.uint64, texts: WordArray) -> np.uint64:
    """0 when the text of the table's word `k` stands here, letter by letter. Reads 16 bytes."""
    last = at + int(np.int64(texts[k] >> _32))
    unlike = (_word(text, at) ^ texts[k + _ONE]) | (_word(text, last) ^ texts[k + _TWO])
    return unlike & texts[k + _THREE]


@inlined_kernel
def _length(k: np.uint64, texts: WordArray) -> int:
    """Bytes of the text of the table's word `k`."""
    return int(np.int64(texts[k] & _LOW_32))


@hot_kernel
def _remember(text: ByteArray, at: int, length: int, pixel: int, texts: WordArray) -> None:
    """Put a pixel's coordinate into the table, unless it is too long."""
    if length <= _LONGEST:
        last = max(length - 8, 0)
        texts[4 * pixel] = length | last << 32
        texts[4 * pixel + 1] = _word(text, at)
        texts[4 * pixel + 2] = _word(text, at + last)
        texts[4 * pixel + 3] = _MASKS[min(length, 8)]


@hot_kernel
def _coordinate(
    text: ByteArray, at: int, stop: int, expected: int, axis: tuple[float, float], texts: WordArray
) -> tuple[int, int]:
    """Pixel along one axis, and the place behind its coordinate and the blanks there.

    A negative pixel is a problem. The text goes to the table.
    """
    count = len(texts) // 4
    if 0 <= expected < count and _unlike(text, at, np.uint64(4 * expected), texts) == 0:
        return expected, behind_gap(text, at + _length(np.uint64(4 * expected), texts), stop)
    value, end = read_number(text, at, stop)
    if end < 0:
        return -BAD_NUMBER, at
    pixel = _index(value, axis[0], axis[1], count)
    if pixel < 0:
        return pixel, at
    behind = behind_gap(text, end, stop)
    if behind == end:
        return -BAD_COLUMNS, behind
    _remember(text, at, behind - at, pixel, texts)
    return pixel, behind


@hot_kernel
def _form(text: ByteArray, at: int) -> Form:
    """Form of the value at a place, which ends a line."""
    lead, end = int(text[at] == MINUS), at
    while text[end] > BLANK:
        end += 1
    decimals = 0
    while text[end - 1 - decimals] != POINT:
        decimals += 1
        if decimals == 7:
            return _NO_FORM
    scale = -POWERS[decimals] if lead else POWERS[decimals]
    newline = 1 + int(text[end] == RETURN)
    if text[end + newline - 1] != NEWLINE:
        return _NO_FORM
    line_end = _word(text, end) & _MASKS[newline]
    return Form(text[at - 1 + lead], lead, np.uint64(decimals), scale, newline, line_end)


@inlined_kernel
def _steps_left(pixel: int, stride: int, count: int) -> int:
    """How often a pixel can be moved by a stride of -1, 0 or 1 within an axis."""
    if stride == 0:
        return count
    return pixel if stride == -1 else count - 1 - pixel if stride == 1 else 0


@hot_kernel
def _expected_rows(
    text: ByteArray,
    rows: tuple[int, int],
    columns: int,
    places: tuple[int, int, int],
    strides: tuple[int, int],
    texts: tuple[WordArray, WordArray, WordArray],
    form: Form,
    values: FloatArray,
) -> tuple[int, int]:
    """Read rows as long as they are what is expected; everything else is left to others.

    A value is ``N.C.``, or has the form of the last one and at most eight characters. Those are
    read at once, in one word: with the point taken out, three multiplications join single digits
    to pairs, fours and the whole. There is nothing else to be done in a row of most maps, so what
    counts here is every instruction.

    Parameters
    ----------
    text, columns, values
        See :func:`read_rows`; for one time step.
    rows
        Where the first of them would begin, and where rows end.
    places, strides
        Pixel of the row before along both axes and in `values`; how it moves from row to row.
    texts, form
        What is expected; the third table has one text, that of z.

    Returns
    -------
    place, count
        Where the first row begins that is not as expected, and how many were read.
    """
    at, stop = rows
    many = min(
        _steps_left(places[0], strides[0], len(texts[0]) // 4),
        _steps_left(places[1], strides[1], len(texts[1]) // 4),
    )
    x, y, pixel = np.uint64(4 * places[0]), np.uint64(4 * places[1]), np.uint64(places[2])
    d_x, d_y = np.uint64(4 * strides[0]), np.uint64(4 * strides[1])
    d_pixel = np.uint64(strides[0] * (len(texts[1]) // 4) + strides[1])
    most = _SEVEN - form.decimals
    for count in range(many):
        begin = at
        x, y, pixel = x + d_x, y + d_y, pixel + d_pixel
        unlike = _unlike(text, at, x, texts[0])
        at += _length(x, texts[0])
        unlike |= _unlike(text, at, y, texts[1])
        at += _length(y, texts[1])
        if columns == 4:
            unlike |= _unlike(text, at, np.uint64(0), texts[2])
            at += _length(np.uint64(0), texts[2])
        if (unlike != 0) | (begin >= stop):
            return begin, count
        if _word(text, at) & _LOW_32 == _N_C:
            value, at = np.float32(np.nan), at + 4
        else:
            at += form.lead
            word = _word(text, at)
            points = word ^ _EACH * np.uint64(POINT)
            points = (points - _EACH) & ~points & (_EACH << _SEVEN)
            point = _trailing_zeros(points) >> _THREE  # index of the first one
            if (text[np.uint64(at) - _ONE] != form.before) | (point - _ONE >= most):
                return begin, count
            whole = ((points & (~points + _ONE)) >> _SEVEN) - _ONE  # bits in front of the point
            digits = word ^ _EACH * np.uint64(ZERO)
            digits = (digits & whole) | ((digits >> _EIGHT) & ~whole)
            digits <<= _EIGHT * (_EIGHT - form.decimals - point)
            if ((digits + _EACH * np.uint64(6)) | digits) & (_EACH * np.uint64(0xF0)) != 0:
                return begin, count
            digits = (digits * np.uint64(10) + (digits >> _EIGHT)) & np.uint64(0x00FF00FF00FF00FF)
            digits = (digits * np.uint64(100) + (digits >> _16)) & np.uint64(0x0000FFFF0000FFFF)
            digits = (digits * np.uint64(10000) + (digits >> _32)) & _LOW_32
            value = np.float32(np.float64(np.int64(digits)) / form.scale)
            at += int(np.int64(point + _ONE + form.decimals))
        ends = _word(text, at) & _MASKS[form.newline] == form.line_end
        at += form.newline
        odd = (value <= NOT_COMPUTED) | (values[pixel] != -np.inf) | (text[np.uint64(at)] <= BLANK)
        if odd or not ends:
            return begin, count
        values[pixel] = value
    return at, many


@intrinsic  # type: ignore[untyped-decorator]  # Numba has no types
def _trailing_zeros(_: object, word: types.Type) -> tuple[object, object]:
    """Zeros below the lowest bit that is set, 64 without one: one instruction of the processor."""

    def write(_: object, builder: ir.IRBuilder, __: object, words: list[ir.Value]) -> ir.Value:
        return builder.cttz(words[0], ir.Constant(ir.IntType(1), 0))

    return types.uint64(word), write


@hot_kernel
def _read_row(
    text: ByteArray,
    at: int,
    stop: int,
    columns: int,
    expected: tuple[int, int],
    axes: tuple[tuple[float, float], tuple[float, float]],
    texts: tuple[WordArray, WordArray, WordArray],
) -> tuple[int, int, int, int, float, float, int]:
    """Read a row as numbers: problem, place, column, row, z, value and the place of the value.

    The place is the next row's, or that of the problem.
    """
    col, at = _coordinate(text, at, stop, expected[0], axes[0], texts[0])
    if col < 0:
        return -col, at, 0, 0, np.nan, np.nan, at
    row, at = _coordinate(text, at, stop, expected[1], axes[1], texts[1])
    if row < 0:
        return -row, at, 0, 0, np.nan, np.nan, at
    z = np.nan
    if columns == 4:
        z, end = read_number(text, at, stop)
        if end < 0:
            return BAD_NUMBER, at, 0, 0, np.nan, np.nan, at
        behind = behind_gap(text, end, stop)
        if behind == end:
            return BAD_COLUMNS, behind, 0, 0, np.nan, np.nan, at
        _remember(text, at, behind - at, 0, texts[2])
        at = behind
    value, end = read_value(text, at, stop)
    if end < 0:
        return BAD_NUMBER, at, 0, 0, np.nan, np.nan, at
    behind = behind_line(text, end, stop)
    if behind < 0:
        return BAD_COLUMNS, end, 0, 0, np.nan, np.nan, at
    return OK, behind, col, row, z, value, at


@hot_kernel
def read_rows(
    text: ByteArray,
    rows: tuple[int, int],
    area: tuple[float, float, float],
    columns: int,
    values: FloatArray,
    seen: IntArray,
    heights: FloatArray,
    texts: tuple[WordArray, WordArray, WordArray],
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
    texts
        From :func:`no_texts`: of the columns, of the rows, and of one height.

    Returns
    -------
    problem, place, count
        One of the codes of this module, where in `text` it was found, rows read.
    """
    steps, n_rows = len(heights), len(texts[1]) // 4
    axes = (area[0], area[2]), (area[1], area[2])
    col = row = d_col = d_row = count = 0
    at, stop = rows
    form = _NO_FORM
    while at < stop:
        begin, expected = at, (col + d_col, row + d_row)
        problem, at, new_col, new_row, z, value, place = _read_row(
            text, at, stop, columns, expected, axes, texts
        )
        if problem != OK:
            return problem, at, count
        d_col, d_row, col, row = new_col - col, new_row - row, new_col, new_row
        pixel, step = col * n_rows + row, 0
        if steps > 1:
            step = int(seen[pixel])
            seen[pixel] += 1
            pixel = pixel * steps + step
        if step >= steps or values[pixel] != -np.inf:
            return TWICE, begin, count
        if np.isnan(heights[step]):
            heights[step] = z
        elif heights[step] != z:
            return MIXED_HEIGHTS, begin, count
        values[pixel] = value if value > NOT_COMPUTED else np.nan
        count += 1
        if steps == 1:
            if not np.isnan(value):
                form = _form(text, place)
            places, strides = (col, row, pixel), (d_col, d_row)
            at, more = _expected_rows(
                text, (at, stop), columns, places, strides, texts, form, values
            )
            col, row, count = col + more * d_col, row + more * d_row, count + more
    return OK, at, count
