"""The ledger neither loses nor forges finished units."""

from pathlib import Path

import pytest

from rmtools.errors import StorageError
from rmtools.run.executor import Executor
from rmtools.run.ledger import LEDGER_FOLDER, Ledger


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    (tmp_path / "a.bin").write_bytes(b"abc")
    return Ledger(tmp_path)


def test_a_unit_is_done_under_its_key_only(ledger: Ledger) -> None:
    assert not ledger.is_done("stage", "000_00", "k1")
    entry = ledger.finish("stage", "000_00", "k1", [ledger.root / "a.bin"])
    assert ledger.is_done("stage", "000_00", "k1")
    assert not ledger.is_done("stage", "000_00", "k2")
    assert not ledger.is_done("stage", "000_01", "k1")
    assert ledger.keys("stage") == {"k1"}
    assert entry.files[0].size == 3
    assert entry.files[0].sha256.startswith("ba7816bf")


def test_a_missing_or_cut_file_undoes_the_unit(ledger: Ledger) -> None:
    ledger.finish("stage", "u", "k", [ledger.root / "a.bin"])
    (ledger.root / "a.bin").write_bytes(b"ab")
    assert not ledger.is_done("stage", "u", "k")
    (ledger.root / "a.bin").unlink()
    assert not ledger.is_done("stage", "u", "k")


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"format": 2}', b"\xff\xfe"])
def test_a_broken_entry_counts_as_none(ledger: Ledger, content: bytes) -> None:
    ledger.finish("stage", "u", "k", [ledger.root / "a.bin"])
    (ledger.root / LEDGER_FOLDER / "stage" / "u.json").write_bytes(content)
    assert not ledger.is_done("stage", "u", "k")
    assert ledger.keys("stage") == set()


def test_forgetting_a_stage_leaves_the_others(ledger: Ledger) -> None:
    for stage in ("one", "two"):
        ledger.finish(stage, "u", "k", [])
    ledger.forget("one")
    assert (ledger.keys("one"), ledger.keys("two")) == (set(), {"k"})


def double(unit: str) -> str:
    if unit == "bad":
        raise StorageError("No space.", where=unit)
    return unit * 2


@pytest.mark.parametrize("workers", [1, 2])
def test_units_run_and_report(workers: int) -> None:
    seen: dict[str, str] = {}
    with Executor(workers) as executor:
        executor.run(double, ["a", "b", "c"], seen.__setitem__)
        executor.run(double, ["d", "e"], seen.__setitem__)
    assert seen == {"a": "aa", "b": "bb", "c": "cc", "d": "dd", "e": "ee"}


@pytest.mark.parametrize("workers", [1, 2])
def test_an_error_in_a_unit_comes_back_whole(workers: int) -> None:
    with Executor(workers) as executor, pytest.raises(StorageError, match="bad: No space"):
        executor.run(double, ["a", "bad"], lambda *_: None)
