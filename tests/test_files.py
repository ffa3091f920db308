"""Atomic writing, bounded reading, seeds, and errors that survive the way from a worker."""

import errno
import pickle
import subprocess
from pathlib import Path

import numpy as np
import pytest

from rmtools import files
from rmtools.errors import ExitCode, InputError, RmtoolsError, StorageError, from_os_error
from rmtools.seeds import generator


def test_a_failed_write_leaves_the_old_file_and_no_partial(tmp_path: Path) -> None:
    target = tmp_path / "a" / "x.json"
    files.write_json(target, {"old": 1})

    def fail() -> None:
        with files.replacing(target) as partial:
            partial.write_text("half")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert files.read_json(target) == {"old": 1}
    assert files.walk_files(tmp_path) == [target]


def test_partials_of_a_killed_run_are_removed(tmp_path: Path) -> None:
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "a.png.77.partial").write_bytes(b"")
    (tmp_path / "deep" / "a.png").write_bytes(b"")
    assert files.remove_partials(tmp_path) == 1
    assert [path.name for path in files.walk_files(tmp_path)] == ["a.png"]


def test_reading_is_bounded_and_names_the_file(tmp_path: Path) -> None:
    path = tmp_path / "big.json"
    path.write_bytes(b" " * 100)
    with pytest.raises(InputError, match=r"big\.json.*100 bytes"):
        files.read_json(path, max_bytes=99)
    with pytest.raises(InputError, match=r"not readable as JSON"):
        files.read_json(path)
    with pytest.raises(InputError, match="no such file"):
        files.read_json(tmp_path / "none.json")


def test_the_tree_digest_is_what_the_shell_computes(tmp_path: Path) -> None:
    for name in ("b", "a/c", "a-x", "z é"):
        files.write_text(tmp_path / name, name)
    command = (
        "find . -type f -printf '%P\\n' | LC_ALL=C sort | xargs -d '\\n' sha256sum | sha256sum"
    )
    shell = subprocess.run(
        ["bash", "-c", command], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert files.sha256_tree(tmp_path) == shell.stdout.split()[0]
    assert files.sha256_files(tmp_path, ["b", "a/c", "a-x", "z é"]) == files.sha256_tree(tmp_path)


def test_errors_survive_pickling() -> None:
    error = pickle.loads(pickle.dumps(InputError("Broken.", where="f.pbf", remedy="Get another.")))  # noqa: S301 - our own bytes
    assert str(error) == "f.pbf: Broken. Get another."
    assert (type(error), error.exit_code) == (InputError, ExitCode.INPUT)


def test_a_full_disk_is_a_storage_error() -> None:
    error = from_os_error(OSError(errno.ENOSPC, "No space left on device", "/x/y"))
    assert isinstance(error, StorageError)
    assert "/x/y" in str(error)
    assert "run the same command again" in str(error)
    assert isinstance(
        from_os_error(FileNotFoundError(errno.ENOENT, "No such file", "z")), InputError
    )


def test_exit_codes_are_distinct() -> None:
    codes = [kind.exit_code for kind in RmtoolsError.__subclasses__()]
    assert len(set(codes)) == len(codes) == 7


def test_generators_depend_on_seed_and_purpose_only() -> None:
    def draw(seed: int, *purpose: str | int) -> list[int]:
        return generator(seed, *purpose).integers(0, 2**62, 4).tolist()

    assert draw(1, "tracks", "a", 0) == draw(1, "tracks", "a", 0)
    different = [draw(1, "tracks", "a", 0), draw(2, "tracks", "a", 0), draw(1, "tracks", "a", 1)]
    different += [draw(1, "tracks", "a0"), draw(1, "tracks", "a", "0"), draw(1, "tracksa", 0)]
    assert len({tuple(numbers) for numbers in different}) == len(different)
    assert np.mean([generator(s, "x").random() for s in range(400)]) == pytest.approx(0.5, abs=0.06)
