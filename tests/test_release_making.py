"""How a release is made: what is refused, what any ruin ends in, and the verbs."""

from __future__ import annotations

import errno
import json
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fakes_release import MAPS, copy_dataset, files_of, plan_of, release
from typer.testing import CliRunner

from rmtools.cli import app
from rmtools.errors import (
    BusyError,
    ExitCode,
    InputError,
    InvalidDatasetError,
    LeakError,
    RecipeError,
    StorageError,
)
from rmtools.release.manifest import read_manifest
from rmtools.release.release import make_release
from rmtools.release.verify import verify
from rmtools.run.runner import working_in

pytestmark = pytest.mark.usefixtures("no_sync")

# -- what is not released ------------------------------------------------------------------------


def test_a_bit_that_flipped_in_the_dataset_is_noticed(
    release_dataset: Path, tmp_path: Path
) -> None:
    dataset = copy_dataset(release_dataset, tmp_path / "d")
    victim = next(dataset.glob("motion/npz/**/*.npz"))
    data = bytearray(victim.read_bytes())
    data[len(data) // 2] ^= 4
    victim.write_bytes(data)
    for sharded in (False, True):
        with pytest.raises(InputError, match=victim.name):
            release(dataset, tmp_path / "r", sharded=sharded)
        assert not (tmp_path / "r").exists()


@pytest.mark.parametrize("ruin", ["cut", "gone", "stranger", "link"])
def test_a_dataset_that_is_not_whole_is_refused(
    ruin: str, release_dataset: Path, tmp_path: Path
) -> None:
    dataset = copy_dataset(release_dataset, tmp_path / "d")
    victim = sorted(dataset.glob("motion/png/**/*.png"))[0]
    if ruin == "cut":
        victim.write_bytes(victim.read_bytes()[:40])
    elif ruin == "gone":
        victim.unlink()
    elif ruin == "stranger":
        victim.with_name("notes.txt").write_text("x")
    else:
        victim.unlink()
        victim.symlink_to("/etc/hostname")
    with pytest.raises(InputError):
        release(dataset, tmp_path / "r")


def test_an_unfinished_layout_invalid_data_and_a_hidden_leak_are_refused(
    release_dataset: Path, tmp_path: Path
) -> None:
    with pytest.raises(RecipeError, match="seer"):
        plan_of(release_dataset, layouts=["seer"])
    dataset = copy_dataset(release_dataset, tmp_path / "d")
    validation = json.loads((dataset / "validation.json").read_text())
    (dataset / "validation.json").write_text(json.dumps({**validation, "errors": 1}))
    with pytest.raises(InvalidDatasetError, match="1 errors"):
        plan_of(dataset)
    (dataset / "validation.json").write_text(json.dumps(validation))
    audit = json.loads((dataset / "audit.json").read_text())
    assert any(level["verdict"] == "leak" for level in audit["levels"])
    for level in audit["levels"]:
        level["declared"] = False
    (dataset / "audit.json").write_text(json.dumps(audit))
    with pytest.raises(LeakError, match="scenes"):
        plan_of(dataset)
    (dataset / "validation.json").unlink()
    with pytest.raises(InputError, match=r"validation\.json"):
        plan_of(dataset)


def test_what_lies_there_is_not_overwritten(release_dataset: Path, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("x")
    with pytest.raises(RecipeError, match="something else"):
        release(release_dataset, tmp_path / "mine")
    first = release(release_dataset, tmp_path / "r")
    before = files_of(tmp_path / "r")
    with pytest.raises(RecipeError, match="another release"):
        release(release_dataset, tmp_path / "r", "2.0.0")
    assert files_of(tmp_path / "r") == before
    assert release(release_dataset, tmp_path / "r").sha256 == first.sha256  # up to date


@pytest.mark.parametrize("name", ["notes.txt", "release/image.png", "stage/key.json"])
def test_a_folder_that_is_no_unfinished_release_is_left_alone(
    name: str, release_dataset: Path, tmp_path: Path
) -> None:
    mine = tmp_path / "r.partial" / name
    mine.parent.mkdir(parents=True)
    mine.write_text("mine")
    before = files_of(tmp_path)
    with pytest.raises(RecipeError, match="no unfinished release"):
        release(release_dataset, tmp_path / "r")
    assert files_of(tmp_path) == before
    shutil.rmtree(tmp_path / "r.partial")
    release(release_dataset, tmp_path / "r")
    mine.parent.mkdir(parents=True)
    mine.write_text("mine")
    release(release_dataset, tmp_path / "r")  # up to date, and tidies up behind itself
    assert mine.read_text() == "mine"


def test_a_release_that_was_killed_after_its_last_step_is_tidied_up(
    release_dataset: Path, tmp_path: Path
) -> None:
    release(release_dataset, tmp_path / "r")
    state = tmp_path / "r.partial/state"
    state.mkdir(parents=True)
    release(release_dataset, tmp_path / "r")
    assert not state.parent.exists()


@pytest.mark.parametrize("place", ["r", "motion/r", "scenes/../r"])
def test_a_release_does_not_lie_in_its_dataset(
    place: str, release_dataset: Path, tmp_path: Path
) -> None:
    before = sorted(files_of(release_dataset))
    (tmp_path / "link").symlink_to(release_dataset)
    for dataset in (release_dataset, tmp_path / "link"):
        with pytest.raises(RecipeError, match="inside the dataset"):
            release(release_dataset, dataset / place)
    assert sorted(files_of(release_dataset)) == before


def test_a_release_is_not_released_again(release_dataset: Path, tmp_path: Path) -> None:
    release(release_dataset, tmp_path / "r")
    with pytest.raises(InputError, match="a release already"):
        release(tmp_path / "r", tmp_path / "s", "1.0.1")
    assert not (tmp_path / "r/store.zarr").exists()
    assert verify(tmp_path / "r").ok


def test_a_store_at_a_url_is_not_released_but_its_layouts_are(
    release_dataset: Path, tmp_path: Path
) -> None:
    dataset = copy_dataset(release_dataset, tmp_path / "d")
    shutil.move(dataset / "store.zarr", tmp_path / "bucket/store.zarr")
    (dataset / "store.url").write_text((tmp_path / "bucket/store.zarr").as_uri() + "\n")
    with pytest.raises(RecipeError, match=r"bucket/store\.zarr; a release is made of files"):
        plan_of(dataset, layouts=["store"])
    assert plan_of(dataset).files == plan_of(release_dataset).files


def test_links_that_cannot_be_made_are_explained(
    release_dataset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def link(*_: object) -> None:
        raise OSError(errno.EXDEV, "Invalid cross-device link")

    monkeypatch.setattr("os.link", link)
    with pytest.raises(StorageError, match="--link"):
        make_release(plan_of(release_dataset), tmp_path / "r", link=True)


def test_two_at_once_is_one_too_many(release_dataset: Path, tmp_path: Path) -> None:
    with working_in(tmp_path / "r.partial"), pytest.raises(BusyError):
        release(release_dataset, tmp_path / "r")


# -- the same release from any ruin --------------------------------------------------------------


class CrashError(BaseException):
    """The power is gone: nothing that follows has any effect on the disk."""


class Power:
    """Lets a number of changes to the disk through, and none after them."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, changes: int) -> None:
        self.left = changes
        for name in ("replace", "rename", "unlink", "mkdir", "write_bytes"):
            monkeypatch.setattr(Path, name, self.limited(getattr(Path, name)))
        monkeypatch.setattr("shutil.rmtree", self.limited(__import__("shutil").rmtree))

    def limited(self, change: Any) -> Any:
        def run(*args: Any, **kwargs: Any) -> Any:
            self.left -= 1
            if self.left < 0:
                raise CrashError
            return change(*args, **kwargs)

        return run


@pytest.mark.parametrize("sharded", [False, True], ids=["files", "shards"])
def test_a_release_cut_off_anywhere_ends_with_the_same_bytes(
    *, sharded: bool, release_dataset: Path, tmp_path: Path
) -> None:
    plan = plan_of(release_dataset, sharded=sharded, shard_bytes=60_000)
    whole = make_release(plan, tmp_path / "whole").manifest
    with pytest.MonkeyPatch.context() as patch:
        power = Power(patch, 10**9)
        make_release(plan, tmp_path / "counted")
        changes = 10**9 - power.left
    assert changes > 60
    rng = np.random.default_rng(7)
    cut = 0
    moments = sorted({*rng.integers(1, changes, 5).tolist(), changes - 1, changes - 2})
    for moment in moments:
        out = tmp_path / f"r{moment}"
        with pytest.MonkeyPatch.context() as patch:
            Power(patch, moment)
            try:
                make_release(plan, out, threads=2)
            except CrashError:
                cut += 1
        if out.exists():  # it appears complete or not at all
            assert verify(out).ok
        assert make_release(plan, out).manifest.sha256 == whole.sha256
        assert verify(out).ok
        assert not (tmp_path / f"r{moment}.partial").exists()
    assert cut >= len(moments) - 1
    assert files_of(out) == files_of(tmp_path / "whole")


def test_what_rotted_in_the_unfinished_release_is_made_anew(
    release_dataset: Path, tmp_path: Path
) -> None:
    plan, out = plan_of(release_dataset), tmp_path / "r"
    with pytest.MonkeyPatch.context() as patch:
        Power(patch, 120)
        with pytest.raises(CrashError):
            make_release(plan, out)
    victim = next((tmp_path / "r.partial/release").glob("motion/**/*.*"))
    data = victim.read_bytes()
    victim.write_bytes(bytes(len(data)))
    with pytest.raises(StorageError, match="not what was written"):
        make_release(plan, out)
    make_release(plan, out)
    assert verify(out).ok


def test_links_threads_and_another_day(release_dataset: Path, tmp_path: Path) -> None:
    plan = plan_of(release_dataset)
    a = make_release(plan, tmp_path / "a", threads=4, link=True).manifest
    b = make_release(plan, tmp_path / "b").manifest
    assert a.sha256 == b.sha256
    name = "motion/png/env_000/traj_00/tx_00/00.png"
    assert (tmp_path / "a" / name).samefile(release_dataset / name)
    assert not (tmp_path / "b" / name).samefile(release_dataset / name)
    other = replace(plan, wishes=replace(plan.wishes, date="2026-01-03"))
    assert make_release(other, tmp_path / "c").manifest.sha256 != a.sha256


def test_the_store_can_be_released(release_dataset: Path, tmp_path: Path) -> None:
    from rmtools.store import Store

    manifest = release(release_dataset, tmp_path / "r", layouts=["store"])
    assert manifest.facts.maps == MAPS
    assert Store.open(tmp_path / "r").maps == MAPS
    assert {f.layer for f in manifest.files if "/pathloss/" in f.path} == {"maps"}


# -- the command line ----------------------------------------------------------------------------


def test_on_the_command_line(release_dataset: Path, tmp_path: Path) -> None:
    def run(*args: object, code: ExitCode = ExitCode.OK) -> Any:
        done = CliRunner().invoke(app, [str(arg) for arg in args])
        if isinstance(done.exception, Exception):
            assert getattr(done.exception, "exit_code", None) == code, done.exception
        else:
            assert done.exit_code == code, done.output
        return done

    out, data = tmp_path / "r", release_dataset
    plan = json.loads(run("release", data, out, "--version", "1.0.0", "--dry-run", "--json").stdout)
    assert (plan["maps"], plan["change"]) == (MAPS, "first release")
    assert not out.exists()
    assert not (tmp_path / "r.partial").exists()
    done = run("release", data, out, "--version", "1.0.0", "--date", "2026-01-02", "--json")
    assert json.loads(done.stdout)["sha256"] == read_manifest(out).sha256
    again = json.loads(run("release", data, out, "--version", "1.0.0", "--json").stdout)
    assert again["made_now"] is False  # on any later day
    assert plan["bytes"] <= json.loads(done.stdout)["bytes"]
    shards = tmp_path / "s"
    run("release", "--version", "1.0.0", data, shards, "--shards", "--date", "2026-01-02")
    found = json.loads(run("release", "diff", out, shards, "--json").stdout)
    assert found["step"] == "patch"
    assert found["layers"]["maps"] == {"added": 0, "removed": 0, "altered": 0, "same": 2 * MAPS}
    run("release", "unpack", shards, tmp_path / "u")
    assert files_of(tmp_path / "u") == {
        f"motion/{name}": content for name, content in files_of(data / "motion").items()
    }
    (tmp_path / "u/motion/dataset.json").write_text("broken")
    assert (
        json.loads(run("release", "unpack", shards, tmp_path / "u", "--json").stdout)["files"] == 1
    )
    assert "is what was released" in run("verify", shards).stdout
    victim = next(shards.glob("shards/*.tar"))
    victim.write_bytes(victim.read_bytes()[:-1])
    told = run("verify", shards, "--json", code=ExitCode.ALTERED).stdout
    assert [f["problem"] for f in json.loads(told)["findings"]] == ["truncated"]
    run("release", data, out, "--version", "1.0", code=ExitCode.RECIPE)
    run(
        "release",
        data,
        tmp_path / "x",
        "--version",
        "1.0.0",
        "--date",
        "yesterday",
        code=ExitCode.RECIPE,
    )
    run("verify", out, "--subset", "5", code=ExitCode.RECIPE)
    run("verify", data, code=ExitCode.INPUT)


def test_generating_needs_neither_croissant_nor_hugging_face(
    release_dataset: Path, tmp_path: Path
) -> None:
    code = (
        "import sys\nfrom pathlib import Path\nfrom fakes_release import release\n"
        "for name in ('mlcroissant', 'huggingface_hub', 'fsspec', 'torch'):\n"
        "    sys.modules[name] = None\n"
        "import socket\nsocket.socket.connect = socket.getaddrinfo = None\n"
        f"release(Path({str(release_dataset)!r}), Path({str(tmp_path / 'r')!r}))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=Path(__file__).parent,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert verify(tmp_path / "r").ok
