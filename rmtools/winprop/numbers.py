"""Compiled reading of numbers, blanks and ends of lines in a text of bytes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from rmtools.kernel import hot_kernel

if TYPE_CHECKING:
    from rmtools.types import ByteArray

_MAX_DIGITS = 18  # what fits into 64 bits with certainty
_MAX_EXPONENT = 30
POWERS = 10.0 ** np.arange(_MAX_DIGITS + _MAX_EXPONENT + 1)

_TAB, NEWLINE, RETURN, BLANK, _PLUS, _COMMA, MINUS, POINT = 9, 10, 13, 32, 43, 44, 45, 46
ZERO, _NINE, _SEMICOLON, _C, _E, _N, _A = 48, 57, 59, 67, 69, 78, 65
_LOWER = 32  # added to a capital letter


@hot_kernel
def behind_gap(text: ByteArray, at: int, stop: int) -> int:
    """Behind blanks, tabs, commas and semicolons."""
    while at < stop and (
        text[at] == _TAB or text[at] == BLANK or text[at] == _COMMA or text[at] == _SEMICOLON
    ):
        at += 1
    return at


@hot_kernel
def behind_line(text: ByteArray, at: int, stop: int) -> int:
    """Behind the end of the line, at the next character that is not white; -1: none is there."""
    at = behind_gap(text, at, stop)
    if at >= stop:
        return at
    if text[at] != NEWLINE and text[at] != RETURN:
        return -1
    while at < stop and (
        text[at] == NEWLINE or text[at] == RETURN or text[at] == BLANK or text[at] == _TAB
    ):
        at += 1
    return at


@hot_kernel
def read_number(text: ByteArray, at: int, stop: int) -> tuple[float, int]:
    """Number at a place and the place behind it; -1 for the place when there is none.

    Right to the last bit up to 15 digits and powers of ten up to 22; further digits than 18 are
    left away.
    """
    negative = at < stop and text[at] == MINUS
    if negative or (at < stop and text[at] == _PLUS):
        at += 1
    mantissa = np.int64(0)
    digits = 0
    while at < stop and ZERO <= text[at] <= _NINE:
        mantissa = 10 * mantissa + np.int64(text[at] - ZERO)
        digits += 1
        at += 1
    if digits > _MAX_DIGITS:
        return 0.0, -1
    decimals = 0
    if at < stop and text[at] == POINT:
        at += 1
        begin = at
        while at < stop and ZERO <= text[at] <= _NINE:
            if digits < _MAX_DIGITS:
                mantissa = 10 * mantissa + np.int64(text[at] - ZERO)
                digits += 1
                decimals += 1
            at += 1
        if digits == 0 and at == begin:
            return 0.0, -1
    if digits == 0:
        return 0.0, -1
    if at < stop and (text[at] == _E or text[at] == _E + _LOWER):
        at += 1
        down = at < stop and text[at] == MINUS
        if down or (at < stop and text[at] == _PLUS):
            at += 1
        begin = at
        exponent = 0
        while at < stop and ZERO <= text[at] <= _NINE and exponent <= _MAX_EXPONENT:
            exponent = 10 * exponent + int(text[at] - ZERO)
            at += 1
        if at == begin or exponent > _MAX_EXPONENT:
            return 0.0, -1
        decimals += exponent if down else -exponent
    value = float(mantissa)
    value = value / POWERS[decimals] if decimals >= 0 else value * POWERS[-decimals]
    return (-value if negative else value), at


@hot_kernel
def read_value(text: ByteArray, at: int, stop: int) -> tuple[float, int]:
    """Number at a place and the place behind it; NaN for ``N.C.`` and ``nan``."""
    if at + 3 <= stop and (text[at] == _N or text[at] == _N + _LOWER):
        if at + 4 <= stop and (
            text[at + 1] == POINT and text[at + 2] == _C and text[at + 3] == POINT
        ):
            return np.nan, at + 4
        if (text[at + 1] | _LOWER) == _A + _LOWER and (text[at + 2] | _LOWER) == _N + _LOWER:
            return np.nan, at + 3
        return 0.0, -1
    if text[at - 1] == _COMMA and (at >= stop or text[at] == NEWLINE or text[at] == RETURN):
        return np.nan, at  # an empty field at the end of a line of a CSV file
    return read_number(text, at, stop)
