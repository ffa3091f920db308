"""Full disks, missing permissions, clocks that jump, two runs at once: no damage, clear words."""

from __future__ import annotations

import errno
import itertools
import os
import resource
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any

import pytest
from chaos import digests, entries
from fakes_runs import SMALL, small

from rmtools.errors import BusyError, ExitCode, StorageError
from rmtools.files import sha256_file, walk_files
from rmtools.run.executor import Executor
from rmtools.run.ledger import LEDGER_FOLDER, Ledger
from rmtools.run.runner import run
from rmtools.run.stages import STAGES

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

WANTED = ["pathloss", "split"]


@pytest.fixture(scope="module")
def calm(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The dataset as it is when nothing happens."""
    root = tmp_path_factory.mktemp("calm")
    run(root, small(), stages=WANTED)
    return root


def require_intact(root: Path) -> None:
    """Every file that the ledger calls finished has the digest that the ledger says."""
    for stage in STAGES:
        for entry in Ledger(root).entries(stage):
            for file in entry.files:
                assert sha256_file(root / file.path) == file.sha256, file.path


def resume_to(root: Path, calm: Path) -> None:
    """The next run keeps what was finished and ends with the same bytes."""
    before = entries(root)
    summaries = run(root, small(), stages=WANTED)
    assert sum(summary.done_before for summary in summaries) == before
    assert digests(root) == digests(calm)
    assert not [path for path in walk_files(root) if path.name.endswith(".partial")]


@pytest.mark.parametrize(
    ("code", "moment"),
    [
        (errno.ENOSPC, 0),
        (errno.ENOSPC, 10),
        (errno.ENOSPC, 60),
        (errno.ENOSPC, 105),
        (errno.EACCES, 61),
        (errno.EROFS, 62),
        (errno.EIO, 63),
    ],
)
def test_the_disk_refuses_at_any_moment(
    calm: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int, moment: int
) -> None:
    """All that is written, Zarr's files too, is put into place by os.replace."""
    replace, count = os.replace, itertools.count()

    def refuse(source: Any, target: Any) -> None:
        if next(count) >= moment:
            raise OSError(code, os.strerror(code), str(source))
        replace(source, target)

    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", refuse)
        with pytest.raises(StorageError) as raised:
            run(tmp_path, small(), stages=WANTED)
    assert raised.value.exit_code == ExitCode.STORAGE
    assert raised.value.remedy
    require_intact(tmp_path)
    resume_to(tmp_path, calm)


def test_a_file_that_may_not_grow_ends_with_the_right_exit_code(tmp_path: Path) -> None:
    """The kernel refuses, not a fake: files of at most 4 KiB."""
    settings = [part for setting in SMALL for part in ("--set", setting)]
    command = [sys.executable, "-m", "rmtools", "run", "demo", "--out", str(tmp_path), *settings]
    done = subprocess.run(
        [*command, "-j", "1"],
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096)),
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "NUMBA_DISABLE_JIT": "1"},  # Numba's cache may not grow either
    )
    assert done.returncode == ExitCode.STORAGE, done.stderr
    assert "Traceback" not in done.stderr
    assert "larger than" in done.stderr.splitlines()[-1]
    require_intact(tmp_path)


def test_a_target_that_became_read_only(calm: Path, tmp_path: Path) -> None:
    """Really read-only: a file system mounted so, or a folder without permission to write."""
    root = tmp_path / "dataset"
    root.mkdir()
    if os.geteuid() == 0:
        mount = ["mount", "-t", "tmpfs", "-o", "size=50m", "tmpfs", str(root)]
        if subprocess.run(mount, capture_output=True, check=False).returncode:
            pytest.skip("root, who may write anywhere, cannot mount here")
    try:
        run(root, small(), stages=["tracks"])
        before = {path: sha256_file(path) for path in walk_files(root)}
        _read_only(root, read_only=True)
        with pytest.raises(StorageError, match="Choose another output folder"):
            run(root, small(), stages=WANTED)
        assert {path: sha256_file(path) for path in walk_files(root)} == before
        _read_only(root, read_only=False)
        resume_to(root, calm)
    finally:
        if os.geteuid() == 0:
            subprocess.run(["umount", str(root)], check=True)


def _read_only(root: Path, *, read_only: bool) -> None:
    if os.geteuid() == 0:
        option = "remount,ro" if read_only else "remount,rw"
        subprocess.run(["mount", "-o", option, str(root)], check=True)
        return
    for folder in [root, *(path for path in root.rglob("*") if path.is_dir())]:
        folder.chmod(0o500 if read_only else 0o700)


def test_a_clock_that_goes_backwards(
    calm: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = itertools.count(time.time(), -86400.0)
    monkeypatch.setattr(time, "time", lambda: next(now))
    run(tmp_path, small(), stages=["tracks"])
    for k, path in enumerate(walk_files(tmp_path)):
        os.utime(path, (2**31 - k, 2**31 - k) if k % 2 else (k, k))
    resume_to(tmp_path, calm)
    assert {s.done_now for s in run(tmp_path, small(), stages=WANTED)} == {0}


def test_a_second_run_in_the_same_folder(calm: Path, tmp_path: Path) -> None:
    """It begins while the first one is at work, with the same recipe or to overwrite it all."""

    class Meanwhile(Executor):
        def run(
            self, work: Callable[[str], Any], units: Sequence[str], on_done: Callable[..., None]
        ) -> None:
            for recipe in (small(), small("seed=2")):
                before = {path: path.stat().st_mtime_ns for path in walk_files(tmp_path)}
                with pytest.raises(BusyError, match="another rmtools run") as raised:
                    run(tmp_path, recipe, overwrite=True)
                assert raised.value.exit_code == ExitCode.BUSY
                assert {p: p.stat().st_mtime_ns for p in walk_files(tmp_path)} == before
            super().run(work, units, on_done)

    run(tmp_path, small(), stages=WANTED, executor=Meanwhile(1))
    assert digests(tmp_path) == digests(calm)
    assert (tmp_path / LEDGER_FOLDER / "pathloss" / "002_00.json").is_file()
