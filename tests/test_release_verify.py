"""Verify names every file that is not as released and nothing else; repair mends exactly those."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from fakes_release import files_of, release
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from typer.testing import CliRunner

from rmtools.cli import app
from rmtools.errors import ExitCode, InputError, StorageError
from rmtools.release import verify as module
from rmtools.release.manifest import BrokenManifestError, read_manifest
from rmtools.release.repair import repair
from rmtools.release.verify import verify

if TYPE_CHECKING:
    from rmtools.release.verify import VerifyReport

pytestmark = pytest.mark.usefixtures("no_sync")

SCHEMAS = Path(__file__).resolve().parent.parent / "schemas"


@pytest.fixture(scope="module")
def sound(release_dataset: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A release; nobody writes to it."""
    out = tmp_path_factory.mktemp("sound") / "r"
    release(release_dataset, out)
    return out


@pytest.fixture
def copy(sound: Path, tmp_path: Path) -> Path:
    """A copy to break."""
    return shutil.copytree(sound, tmp_path / "copy")


def problems(report: VerifyReport) -> dict[str, str]:
    """What is wrong with each file."""
    assert len({f.path for f in report.findings}) == len(report.findings)
    return {finding.path: finding.problem for finding in report.findings}


def flip(path: Path, rng: np.random.Generator) -> None:
    """Flip one random bit."""
    data = bytearray(path.read_bytes())
    data[rng.integers(len(data))] ^= 1 << int(rng.integers(8))
    path.write_bytes(data)


def damage(root: Path, seed: int, flips: int, cuts: int, gone: int, more: int) -> dict[str, str]:
    """Break random files of a release, and say which."""
    rng = np.random.default_rng(seed)
    names = sorted(name for name, data in files_of(root).items() if data)
    chosen = rng.permutation(names)[: flips + cuts + gone].tolist()
    told = {}
    for name in chosen[:flips]:
        flip(root / name, rng)
        told[name] = "altered"
    for name in chosen[flips : flips + cuts]:
        data = (root / name).read_bytes()
        (root / name).write_bytes(data[: rng.integers(len(data))])
        told[name] = "truncated"
    for name in chosen[flips + cuts :]:
        (root / name).unlink()
        told[name] = "missing"
    for k in range(more):
        folder = (root / str(rng.choice(names))).parent
        folder.mkdir(exist_ok=True)
        (folder / f"new_{k}.png").write_bytes(rng.bytes(int(rng.integers(0, 99))))
        told[(folder / f"new_{k}.png").relative_to(root).as_posix()] = "extra"
    return told


def test_a_sound_release_is_sound(sound: Path) -> None:
    report = verify(sound, threads=3)
    assert report.ok
    assert (report.read, report.files) == (len(files_of(sound)),) * 2
    assert report.bytes == sum(map(len, files_of(sound).values()))
    assert report.sha256 == read_manifest(sound).sha256
    schema = json.loads((SCHEMAS / "release-verify.schema.json").read_text())
    Draft202012Validator(schema).validate(report.model_dump(mode="json"))


@pytest.mark.parametrize("threads", [1, 4])
def test_every_damage_is_named_and_nothing_else(copy: Path, sound: Path, threads: int) -> None:
    keep = {name: (copy / name).read_bytes() for name in ("manifest.json", "SHA256SUMS")}
    told = damage(copy, 11 + threads, flips=40, cuts=10, gone=6, more=4)
    for name, data in keep.items():  # these two have a test of their own
        (copy / name).write_bytes(data)
        told.pop(name, None)
    assert problems(verify(copy, threads=threads)) == told
    mended, failed = repair(copy, str(sound), verify(copy), threads=threads)
    assert set(mended) == {name for name, what in told.items() if what != "extra"}
    assert failed == {}
    left = {name: "extra" for name, what in told.items() if what == "extra"}
    assert problems(verify(copy)) == left
    for name in left:
        (copy / name).unlink()
    assert files_of(copy) == files_of(sound)


@settings(
    max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(data=st.data())
def test_any_bit_of_the_manifest_and_of_the_sums_counts(data: st.DataObject, sound: Path) -> None:
    name = data.draw(st.sampled_from(["manifest.json", "SHA256SUMS"]))
    original = (sound / name).read_bytes()
    bit = data.draw(st.integers(0, 8 * len(original) - 1))
    broken = bytearray(original)
    broken[bit // 8] ^= 1 << (bit % 8)
    try:
        (sound / name).write_bytes(broken)
        assert problems(verify(sound)) == {name: "altered"}
    finally:
        (sound / name).write_bytes(original)


@pytest.mark.parametrize("name", ["manifest.json", "SHA256SUMS"])
def test_either_of_the_two_lists_can_be_lost(name: str, copy: Path, sound: Path) -> None:
    victim = next(copy.glob("motion/npz/**/*.npz"))
    flip(victim, np.random.default_rng(1))
    (copy / name).unlink()
    told = {name: "missing", victim.relative_to(copy).as_posix(): "altered"}
    assert problems(verify(copy)) == told
    repair(copy, str(sound), verify(copy))
    assert files_of(copy) == files_of(sound)


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(data=st.data())
def test_a_bit_of_both_lists_and_of_a_file_is_named_and_nothing_else(
    data: st.DataObject, sound: Path
) -> None:
    lists = ["manifest.json", "SHA256SUMS"]
    victim = data.draw(st.sampled_from(sorted(files_of(sound).keys() - set(lists))))
    original = {name: (sound / name).read_bytes() for name in (*lists, victim)}
    try:
        for name, content in original.items():
            bit = data.draw(st.integers(0, 8 * len(content) - 1))
            broken = bytearray(content)
            broken[bit // 8] ^= 1 << (bit % 8)
            (sound / name).write_bytes(broken)
        found = problems(verify(sound))
        assert found.pop("manifest.json") == "altered"
        assert found.pop("SHA256SUMS", "altered") == "altered"
        assert found == {victim: "altered"}
    finally:
        for name, content in original.items():
            (sound / name).write_bytes(content)


@pytest.mark.parametrize("share", [0.3, 0.7])
def test_both_lists_cut_off_prove_what_is_left(share: float, copy: Path, sound: Path) -> None:
    (copy / "SHA256SUMS").unlink()
    path = copy / "manifest.json"
    path.write_bytes(path.read_bytes()[: int(share * path.stat().st_size)])
    report = verify(copy)
    known = {f.path for f in read_manifest(sound).files if f.path not in problems(report)}
    assert len(known) == report.read > 10
    assert set(problems(report).values()) <= {"altered", "missing", "extra"}
    shutil.copy(sound / "manifest.json", path)
    mended, failed = repair(copy, str(sound), verify(copy))
    assert (mended, failed) == (["SHA256SUMS"], {})


def test_the_manifest_is_mended_before_the_sums(copy: Path, sound: Path) -> None:
    path = copy / "manifest.json"
    path.write_bytes(path.read_bytes().replace(b'"release"', b'"relaase"', 1))
    path = copy / "SHA256SUMS"
    path.write_bytes(b"0" * 8 + path.read_bytes()[8:])
    report = verify(copy)
    assert problems(report) == {"manifest.json": "altered", "SHA256SUMS": "altered"}
    assert repair(copy, str(sound), report) == (["manifest.json", "SHA256SUMS"], {})
    assert files_of(copy) == files_of(sound)


def test_without_both_lists_nothing_can_be_proven(copy: Path) -> None:
    (copy / "manifest.json").write_text("{}")
    (copy / "SHA256SUMS").unlink()
    with pytest.raises(BrokenManifestError):
        verify(copy)


def test_a_subset_reads_some_but_sees_all_names(copy: Path) -> None:
    whole = verify(copy)
    part = verify(copy, subset=0.05)
    assert part.read == round(0.05 * whole.read)
    assert part.bytes < whole.bytes / 4
    gone = next(copy.glob("scenes/*_*.json"))
    gone.unlink()
    (copy / "new").write_text("x")
    assert problems(verify(copy, subset=0.05)) == {
        gone.relative_to(copy).as_posix(): "missing",
        "new": "extra",
    }


def test_subsets_of_other_seeds_find_in_time_what_one_misses(copy: Path) -> None:
    victim = next(copy.glob("motion/npz/**/*.npz"))
    flip(victim, np.random.default_rng(3))
    found = [seed for seed in range(30) if not verify(copy, subset=0.2, seed=seed).ok]
    assert 1 <= len(found) <= 15  # about a fifth of them, and the same ones every time
    assert not verify(copy, subset=0.2, seed=found[0]).ok


def test_an_interrupted_verification_goes_on(
    copy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    state, read = tmp_path / "state.jsonl", module._read
    seen: list[str] = []

    def stopping(root: Path, file: Any) -> Any:
        if len(seen) == 60:
            raise KeyboardInterrupt
        seen.append(file.path)
        return read(root, file)

    monkeypatch.setattr(module, "_read", stopping)
    with pytest.raises(KeyboardInterrupt):
        verify(copy, state=state)
    monkeypatch.setattr(module, "_read", read)
    flip(copy / seen[3], np.random.default_rng(5))  # touched since: read again
    report = verify(copy, state=state)
    assert report.read_before == 59
    assert report.read == report.files - 59
    assert problems(report) == {seen[3]: "altered"}
    assert not state.exists()
    assert verify(copy, state=state).read_before == 0


def test_a_broken_note_only_costs_time(copy: Path, tmp_path: Path) -> None:
    state = tmp_path / "state.jsonl"
    for text in ("", "{", '["key"]\n["a", "b"]\n[', "\xff"):
        state.write_text(text)
        assert verify(copy, state=state).ok


def test_repair_believes_nobody(copy: Path, sound: Path, tmp_path: Path) -> None:
    other = shutil.copytree(sound, tmp_path / "other")
    names = sorted(p.relative_to(copy).as_posix() for p in copy.glob("motion/png/**/*.png"))
    rng = np.random.default_rng(2)
    for name in names[:3]:
        flip(copy / name, rng)
    flip(other / names[0], rng)
    (other / names[1]).write_bytes((other / names[1]).read_bytes() + bytes(10**6))
    before = (copy / names[0]).read_bytes()
    mended, failed = repair(copy, str(other), verify(copy))
    assert mended == [names[2]]
    assert set(failed) == {names[0], names[1]}
    assert (copy / names[0]).read_bytes() == before
    assert not list(copy.glob("**/*.partial"))


def test_repair_from_a_url(copy: Path, sound: Path) -> None:
    fsspec = pytest.importorskip("fsspec")
    memory = fsspec.filesystem("memory")
    try:
        for name, data in files_of(sound).items():
            memory.pipe(f"/bucket/r/{name}", data)
        told = damage(copy, 9, flips=3, cuts=2, gone=2, more=0)
        mended, failed = repair(copy, "memory://bucket/r", verify(copy), threads=2)
        assert (set(mended), failed) == (set(told), {})
        assert verify(copy).ok
        memory.rm("/bucket", recursive=True)
        (copy / "split.json").unlink()
        mended, failed = repair(copy, "memory://bucket/r", verify(copy))
        assert (mended, set(failed)) == ([], {"split.json"})
    finally:
        memory.store.clear()


def test_repair_of_nonsense(copy: Path, tmp_path: Path) -> None:
    (copy / "split.json").unlink()
    report = verify(copy)
    with pytest.raises(InputError, match="no such folder"):
        repair(copy, str(tmp_path / "nowhere"), report)
    with pytest.raises(InputError, match="not a URL"):
        repair(copy, "nonsense://x/y", report)


def test_repair_begins_nothing_that_does_not_fit(
    copy: Path, sound: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (copy / "split.json").unlink()
    monkeypatch.setattr(shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(10, 10, 0))  # type: ignore[attr-defined]
    with pytest.raises(StorageError):
        repair(copy, str(sound), verify(copy))


def test_on_the_command_line(
    copy: Path, sound: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    told = damage(copy, 4, flips=2, cuts=1, gone=1, more=1)
    run = CliRunner().invoke
    done = run(app, ["verify", str(copy), "--json", "-j", "2"])
    assert done.exit_code == ExitCode.ALTERED
    value = json.loads(done.stdout)
    assert {f["path"]: f["problem"] for f in value["findings"]} == told
    assert value["ok"] is False
    done = run(app, ["verify", str(copy), "--repair", str(sound)])
    assert done.exit_code == ExitCode.ALTERED  # the extra file is not ours to delete
    assert done.stdout.count("mended ") == 4
    next(copy.glob("**/new_0.png")).unlink()
    done = run(app, ["verify", str(copy), "--subset", "50%"])
    assert done.exit_code == ExitCode.OK
    assert not list((tmp_path / "cache").rglob("*.jsonl"))


def test_a_name_cannot_command_the_terminal(copy: Path) -> None:
    (copy / "\x1b[2Jgone").write_text("x")
    done = CliRunner().invoke(app, ["verify", str(copy)])
    assert done.exit_code == ExitCode.ALTERED
    assert "\x1b" not in done.stdout
    assert "?[2Jgone" in done.stdout
