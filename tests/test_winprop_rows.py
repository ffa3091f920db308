"""The reader of rows against a plain one: what is expected, and everything that is nearly so."""

from __future__ import annotations

import math
import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rmtools.winprop.rows import (
    BAD_COLUMNS,
    BAD_NUMBER,
    MIXED_HEIGHTS,
    OFF_CENTRE,
    OK,
    OUTSIDE,
    TWICE,
    no_texts,
    read_rows,
)

N_COLUMNS, N_ROWS = 7, 9
NUMBER = re.compile(r"[-+]?(\d{1,18}(?!\d)\.?\d*|\.\d+)([eE][-+]?0*(30|[12]?\d)(?!\d)|(?![eE]))")
"""At most 18 digits in front of the point and powers of ten up to 30: no loss has more."""
GAP = re.compile(r"[ \t,;]+")


def read(rows: bytes, columns: int) -> tuple[int, np.ndarray]:
    """What :func:`read_rows` finds, and the values, shape (columns, rows)."""
    text = np.zeros(len(rows) + 64, np.uint8)
    text[: len(rows)] = np.frombuffer(rows, np.uint8)
    stop = len(rows.rstrip(b"\r\n\t \x00\x1a"))
    values = np.full(N_COLUMNS * N_ROWS, -np.inf, np.float32)
    texts = (no_texts(N_COLUMNS), no_texts(N_ROWS), no_texts(1))
    problem, _, count = read_rows(
        text,
        (0, stop),
        (0.0, 0.0, 1.0),
        columns,
        values,
        np.zeros(0, np.uint32),
        np.full(1, np.nan),
        texts,
    )
    assert count == np.count_nonzero(values != -np.inf)
    return problem, values.reshape(N_COLUMNS, N_ROWS)


def plainly(  # noqa: C901, PLR0911, PLR0912 - every line is a rule of the format
    rows: bytes, columns: int
) -> tuple[int, np.ndarray]:
    """The same with regular expressions, a row at a time."""
    values = np.full((N_COLUMNS, N_ROWS), -np.inf, np.float32)
    height = math.nan
    for line in re.split(r"[\r\n][\r\n\t ]*", rows.decode("latin-1").rstrip("\r\n\t \0\x1a")):
        at, numbers = 0, []
        for _ in range(columns - 1):
            found = NUMBER.match(line, at)
            if found is None:
                return BAD_NUMBER, values
            numbers.append(float(found.group()))
            if len(numbers) <= 2:
                place = numbers[-1]
                if not 0 <= place < (N_COLUMNS, N_ROWS)[len(numbers) - 1]:
                    return OUTSIDE, values
                if abs(place - 0.5 - round(place - 0.5)) > 0.05:
                    return OFF_CENTRE, values
            gap = GAP.match(line, found.end())
            if gap is None:
                return BAD_COLUMNS, values
            at = gap.end()
        rest = line[at:]
        if rest.startswith("N.C."):
            value, end = math.nan, 4
        elif rest[:3].lower() == "nan" and rest[:1] in "Nn":
            value, end = math.nan, 3
        elif rest == "" and line[at - 1] == ",":
            value, end = math.nan, 0
        elif found := NUMBER.match(rest):
            value, end = float(found.group()), found.end()
        else:
            return BAD_NUMBER, values
        if not re.fullmatch(r"[ \t,;]*", rest[end:]):
            return BAD_COLUMNS, values
        pixel = (round(numbers[0] - 0.5), round(numbers[1] - 0.5))
        if values[pixel] != -np.inf:
            return TWICE, values
        if columns == 4 and numbers[2] != (height if not math.isnan(height) else numbers[2]):
            return MIXED_HEIGHTS, values
        height = numbers[2] if columns == 4 else math.nan
        values[pixel] = value if not value <= -1000.0 else math.nan
    return OK, values


@st.composite
def files(draw: st.DrawFn) -> tuple[bytes, int]:
    """Rows of a whole map in one of the orders and forms that programs write."""
    columns = draw(st.sampled_from([3, 4]))
    decimals, places = draw(st.integers(1, 6)), draw(st.integers(1, 9))
    gap = draw(st.sampled_from([" ", "\t", "   ", ", ", ";"]))
    width = draw(st.sampled_from([1, 8]))  # values in line with each other
    newline = draw(st.sampled_from(["\r\n", "\n", " \r\n"]))
    cols, rows = list(range(N_COLUMNS)), list(range(N_ROWS))
    if draw(st.booleans()):
        rows.reverse()
    order = [(c, r) for c in cols for r in rows]
    if draw(st.booleans()):
        order = [(c, r) for r in rows for c in cols]
    seed = draw(st.integers(0, 2**16))
    lowest, highest = draw(st.sampled_from([(-147.0, -50.0), (40.0, 160.0), (-12.0, 12.0)]))
    values = np.random.default_rng(seed).uniform(lowest, highest, (N_COLUMNS, N_ROWS))
    values[2:4, 3:6] = np.nan
    lines = []
    for c, r in order:
        words = [f"{c + 0.5:.{places}f}", f"{r + 0.5:.{places}f}"]
        words += [f"{1.5:.{places}f}"] if columns == 4 else []
        value = "N.C." if np.isnan(values[c, r]) else f"{values[c, r]:.{decimals}f}"
        words.append(value.rjust(width))
        lines.append(gap.join(words) + newline)
    return "".join(lines).encode(), columns


@settings(deadline=None, max_examples=60)
@given(file=files())
def test_whole_files_equal_a_plain_reading(file: tuple[bytes, int]) -> None:
    problem, values = read(*file)
    expected, plain = plainly(*file)
    assert (problem, expected) == (OK, OK)
    np.testing.assert_array_equal(values, plain)
    assert not (values == -np.inf).any()


@settings(deadline=None, max_examples=400)
@given(
    file=files(),
    place=st.floats(0, 1, exclude_max=True),
    length=st.integers(0, 12),
    instead=st.text("0123456789.-+eN,; \t\r\n\0", max_size=4),
)
def test_whatever_is_changed_in_a_file_is_read_as_a_plain_reader_does(
    file: tuple[bytes, int], place: float, length: int, instead: str
) -> None:
    rows, columns = file
    at = int(place * len(rows))
    rows = rows[:at] + instead.encode() + rows[at + length :]
    problem, values = read(rows, columns)
    expected, plain = plainly(rows, columns)
    assert (problem == OK) == (expected == OK), (problem, expected)
    if problem == OK:
        np.testing.assert_array_equal(values, plain)


@pytest.mark.parametrize(
    ("rows", "problem"),
    [
        (b"0.5 0.5 -1.5\r\n0.5 1.5 -2.5\r\n0.5 -3.5\r\n", OUTSIDE),  # no y
        (b"0.5 0.5 -1.5\r\n0.5 1.5 -2.5\r\n0.5 2.5 \r\n", BAD_COLUMNS),  # no value
        (b"0.5 0.5 -1.5 \r\n0.5 1.5 -2.5 7\r\n", BAD_COLUMNS),  # a value more
        (b"0.5 0.5 -1.5\r\n0.5 1.5 -2.5\r\n0.5 1.5 -3.5\r\n", TWICE),
        (b"0.5 0.5 -1.5\r\n0.5 1.5 -1.5.5\r\n", BAD_COLUMNS),
        (b"0.5 0.5 -1.5\r\n0.5 1.5 --.5\r\n", BAD_NUMBER),
        (b"0.5 0.5 -1.5\r\n0.5 1.5 -1:5\r\n", BAD_COLUMNS),
        (b"0.5 0.5 -1.5 \r\n0.5 1.5 N.C.0.5 2.5 -1.5 \r\n", BAD_COLUMNS),
        (b"0.5 0.5 -1.5 \r\n0.5 1.5 N.C., \r\n0.5 2.5 -1.5 \r\n", OK),
    ],
)
def test_rows_that_are_nearly_as_expected(rows: bytes, problem: int) -> None:
    assert read(rows, 3)[0] == problem


@pytest.mark.parametrize("decimals", range(9))
def test_values_of_any_length(decimals: int) -> None:
    written = [f"{-(10.0**k) / 7:.{decimals}f}" for k in range(4) for _ in range(2)]
    rows = "".join(f"0.5 {r + 0.5} {value}\r\n" for r, value in enumerate(written))
    problem, values = read(rows.encode(), 3)
    assert problem == OK
    np.testing.assert_array_equal(values[0, :8], np.array(written, float).astype(np.float32))
