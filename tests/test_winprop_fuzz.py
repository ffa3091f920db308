"""Damaged and random files: rmtools' own errors or a sound result, in bounded memory.

This is the short form of ``tests/fuzz_winprop.py``.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest
from fuzz_winprop import fuzz, read, seeds
from hypothesis import given, settings
from hypothesis import strategies as st

from rmtools.errors import RmtoolsError
from rmtools.winprop.rows import PROBLEMS

SEEDS = seeds()


def test_mutations_of_sound_files(tmp_path: Path) -> None:
    counts = fuzz(1500, 7, tmp_path)
    assert counts.total() == 1500
    read_again = sum(count for outcome, count in counts.items() if outcome.endswith(": read"))
    assert read_again > 30  # the mutations are small enough to get past the header


@settings(deadline=None, max_examples=150)
@given(
    name=st.sampled_from([name for name, _ in SEEDS.values()]),
    data=st.one_of(
        st.binary(max_size=300),
        st.lists(
            st.sampled_from(
                [line for _, file in SEEDS.values() for line in file.splitlines(keepends=True)]
            ),
            max_size=90,
        ).map(b"".join),
    ),
)
def test_random_bytes_and_shuffled_lines(name: str, data: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / name
        path.write_bytes(data)
        try:
            read(path)
        except RmtoolsError as error:
            assert error.what  # noqa: PT017 - either outcome is good


@settings(deadline=None, max_examples=100)
@given(rows=st.lists(st.text("0123456789.-+eEN.C \t,;\r\n", max_size=40), max_size=12))
def test_random_rows_behind_a_sound_header(rows: list[str]) -> None:
    name, sound = SEEDS["area"]
    head = sound[: sound.index(b"BEGIN_DATA\r\n") + 12]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / name
        path.write_bytes(head + "\r\n".join(rows).encode().ljust(600) + b"\r\nEND_DATA\r\n")
        with pytest.raises(RmtoolsError, match="rows for 8 x 8|" + "|".join(PROBLEMS.values())):
            read(path)
