"""A release from a stranger cannot read or write anything outside, hang, or fill the memory."""

from __future__ import annotations

import hashlib
import io
import json
import os
import socket
import tarfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from fakes_release import files_of, release
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from rmtools.errors import InputError, StorageError
from rmtools.files import to_json
from rmtools.release.checksums import checksums_text
from rmtools.release.manifest import (
    BrokenManifestError,
    ReleasedFile,
    ReleaseManifest,
    make_manifest,
    read_manifest,
)
from rmtools.release.names import check_name, check_together
from rmtools.release.repair import repair
from rmtools.release.salvage import salvage
from rmtools.release.shards import INDEX_NAME, Member, Shard, ShardIndex
from rmtools.release.unpack import unpack
from rmtools.release.verify import verify

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.usefixtures("no_sync")

EVIL_NAMES = [
    "../evil",
    "a/../../evil",
    "/etc/passwd",
    "./a",
    "a//b",
    "a/",
    "",
    ".",
    "..",
    "a\\..\\b",
    "C:evil",
    "a/b:stream",
    "con",
    "a/NUL.txt",
    "a\x00b",
    "a\nb",
    "\x1b[2J",
    "a ",
    "a.",
    "gnp.\u202eexe",
    "e\u0301",
    "\ud800",
    "x" * 300,
    "/".join(["x"] * 600),
]


@pytest.mark.parametrize("name", EVIL_NAMES)
def test_names_that_lead_elsewhere_are_refused(name: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        check_name(name)


@settings(deadline=None)
@given(st.text(max_size=40))
def test_an_accepted_name_stays_below_its_folder(name: str) -> None:
    try:
        check_name(name)
    except ValueError:
        return
    root = Path("/some/folder")
    found = Path(os.path.normpath(root / name))
    assert found.is_relative_to(root)
    assert found != root
    assert found.relative_to(root).as_posix() == name


@pytest.mark.parametrize(
    "names", [["a", "a"], ["a", "A"], ["a/b", "a"], ["A/b", "a/c"], ["ß", "SS"], ["x/A/b", "x/a"]]
)
def test_names_that_cannot_be_together_are_refused(names: list[str]) -> None:
    with pytest.raises(ValueError, match=r"twice|clash|both"):
        check_together(names)


# -- manifests -----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def honest(release_dataset: Path, tmp_path_factory: pytest.TempPathFactory) -> ReleaseManifest:
    """Manifest of a true release."""
    return release(release_dataset, tmp_path_factory.mktemp("honest") / "r")


def members_of(manifest: ReleaseManifest) -> dict[str, Any]:
    """All members but the digest."""
    return {
        name: getattr(manifest, name) for name in type(manifest).model_fields if name != "sha256"
    }


def forged(honest: ReleaseManifest, root: Path, files: dict[str, bytes]) -> Path:
    """A release whose manifest is right about `files`, whatever they are."""
    root.mkdir()
    listed = []
    for path, data in sorted(files.items()):
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_bytes(data)
        sha256 = hashlib.sha256(data).hexdigest()
        listed.append(ReleasedFile(path=path, size=len(data), sha256=sha256, layer="maps"))
    manifest = make_manifest(**{**members_of(honest), "files": tuple(listed)})
    (root / "manifest.json").write_text(manifest.text())
    (root / "SHA256SUMS").write_text(checksums_text(manifest))
    return root


@pytest.fixture
def outside(tmp_path: Path) -> Iterator[Path]:
    """A folder beside the release that nobody may touch."""
    folder = tmp_path / "outside"
    folder.mkdir()
    (folder / "secret").write_text("secret")
    before = {p: (p.read_bytes(), p.stat().st_mtime_ns) for p in folder.iterdir()}
    yield folder
    assert {p: (p.read_bytes(), p.stat().st_mtime_ns) for p in folder.iterdir()} == before


@pytest.mark.parametrize("name", [n for n in EVIL_NAMES if n != "\ud800"])
def test_a_manifest_with_such_a_name_is_not_read(
    name: str, honest: ReleaseManifest, tmp_path: Path
) -> None:
    value = honest.model_dump(mode="json")
    value["files"] = [{"path": name, "size": 1, "sha256": "0" * 64, "layer": "maps"}]
    (tmp_path / "manifest.json").write_text(to_json(value))
    with pytest.raises(BrokenManifestError, match="files"):
        read_manifest(tmp_path)
    (tmp_path / "SHA256SUMS").write_text(f"{'0' * 64}  {name}\n")
    assert name not in salvage(tmp_path).files


@pytest.mark.parametrize(
    "files",
    [["a", "a"], ["a", "A"], ["a", "a/b"], ["manifest.json"], ["MANIFEST.json"], ["sha256sums"]],
)
def test_duplicates_clashes_and_the_manifest_itself_are_not_listed(
    files: list[str], honest: ReleaseManifest
) -> None:
    listed = [ReleasedFile(path=p, size=1, sha256="0" * 64, layer="maps") for p in files]
    with pytest.raises(ValidationError):
        make_manifest(**{**members_of(honest), "files": tuple(listed)})


@pytest.mark.parametrize("size", [-1, 2**63, 10**30, 1.5, "x"])
def test_absurd_sizes_are_refused(size: Any) -> None:
    with pytest.raises(ValidationError):
        ReleasedFile(path="a", size=size, sha256="0" * 64, layer="maps")


@pytest.mark.parametrize(
    "text", ["", "[]", "null", '{"kind": "release"}', "[" * 100_000, '{"a": 1e999}', "\x00\xff"]
)
def test_nonsense_is_not_a_manifest(text: str, tmp_path: Path) -> None:
    (tmp_path / "manifest.json").write_bytes(text.encode("latin-1"))
    with pytest.raises(BrokenManifestError):
        read_manifest(tmp_path)


def test_a_huge_declared_size_costs_nothing(honest: ReleaseManifest, tmp_path: Path) -> None:
    root = forged(honest, tmp_path / "r", {"a": b"x"})
    huge = ReleasedFile(path="a", size=2**50, sha256="0" * 64, layer="maps")
    manifest = make_manifest(**{**members_of(honest), "files": (huge,)})
    (root / "manifest.json").write_text(manifest.text())
    (root / "SHA256SUMS").write_text(checksums_text(manifest))
    report = verify(root)
    assert [(f.path, f.problem) for f in report.findings] == [("a", "truncated")]
    with pytest.raises(StorageError):
        repair(root, str(tmp_path), report)


# -- links and devices ---------------------------------------------------------------------------


def test_links_are_named_and_neither_read_nor_written_through(
    honest: ReleaseManifest, outside: Path, tmp_path: Path
) -> None:
    secret = b"secret"
    root = forged(honest, tmp_path / "r", {"a": secret, "sub/secret": secret, "b": b"b"})
    good = forged(honest, tmp_path / "good", {"a": secret, "sub/secret": secret, "b": b"b"})
    (root / "a").unlink()
    (root / "a").symlink_to(outside / "secret")  # has the right bytes, and is still no file
    (root / "sub/secret").unlink()
    (root / "sub").rmdir()
    (root / "sub").symlink_to(outside)
    (root / "loop").symlink_to(root)
    (root / "dangling").symlink_to("nowhere")
    found = {f.path: f.problem for f in verify(root).findings}
    assert found == {
        "a": "not a file",
        "sub/secret": "missing",
        "sub": "not a file",
        "loop": "not a file",
        "dangling": "not a file",
    }
    mended, failed = repair(root, str(good), verify(root))
    assert mended == ["a"]
    assert "sub/secret" in failed
    assert (root / "a").read_bytes() == secret
    assert not (root / "a").is_symlink()
    assert (root / "sub").is_symlink()


def test_repair_reads_no_link_of_the_other_copy(
    honest: ReleaseManifest, outside: Path, tmp_path: Path
) -> None:
    root = forged(honest, tmp_path / "r", {"a": b"secret", "sub/secret": b"secret"})
    (root / "a").unlink()
    (root / "sub/secret").unlink()
    other = tmp_path / "other"
    other.mkdir()
    (other / "a").symlink_to(outside / "secret")
    (other / "sub").symlink_to(outside)
    mended, failed = repair(root, str(other), verify(root))
    assert (mended, set(failed)) == ([], {"a", "sub/secret"})


def test_a_partial_file_that_is_a_link_is_not_written_through(
    honest: ReleaseManifest, outside: Path, tmp_path: Path
) -> None:
    root = forged(honest, tmp_path / "r", {"a": b"good"})
    good = forged(honest, tmp_path / "good", {"a": b"good"})
    (root / "a").write_bytes(b"evil")
    (root / f"a.{os.getpid()}.partial").symlink_to(outside / "secret")
    repair(root, str(good), verify(root))  # the test of `outside` is what counts


def test_pipes_and_sockets_do_not_hang(
    honest: ReleaseManifest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = forged(honest, tmp_path / "r", {"a": b"x", "b": b"x", "c": b"x"})
    for name in "abc":
        (root / name).unlink()
    os.mkfifo(root / "a")
    monkeypatch.chdir(root)  # addresses of sockets are short
    with socket.socket(socket.AF_UNIX) as server:
        server.bind("b")
        (root / "c").mkdir()
        found = {f.path: f.problem for f in verify(root).findings}
    assert found == {"a": "not a file", "b": "not a file", "c": "missing"}
    (root / "manifest.json").unlink()
    os.mkfifo(root / "manifest.json")
    with pytest.raises(BrokenManifestError):
        read_manifest(root)


def test_a_pipe_that_appears_after_the_look_does_not_hang(tmp_path: Path) -> None:
    from rmtools.release.checksums import open_plain

    os.mkfifo(tmp_path / "a")
    with pytest.raises(OSError, match="not a plain file"):
        open_plain(tmp_path / "a")


# -- tar files -----------------------------------------------------------------------------------

TarMember = tuple[str, bytes, bytes]
"""Name, type and content."""


def make_tar(members: list[TarMember], tail: int = 10_240) -> bytes:
    """A tar file of whatever members."""
    out = io.BytesIO()
    for name, kind, data in members:
        info = tarfile.TarInfo(name)
        info.type, info.size = kind, len(data)
        if kind in (tarfile.SYMTYPE, tarfile.LNKTYPE):
            info.linkname = "../outside/secret"
        out.write(info.tobuf(tarfile.USTAR_FORMAT) + data + bytes(-len(data) % 512))
    return out.getvalue() + bytes(tail)


def shard_of(members: list[TarMember], paths: list[str] | None = None) -> dict[str, Any]:
    """What an index would say of a tar file, without its checks."""
    listed, end = [], 0
    for (name, _, data), path in zip(members, paths or [m[0] for m in members], strict=True):
        listed.append(
            {
                "name": name,
                "path": path,
                "offset": end + 512,
                "size": len(data),
                "sha256": hashlib.sha256(data).hexdigest(),
                "layer": "maps",
            }
        )
        end += 512 + len(data) + -len(data) % 512
    return {"path": "shards/x-000000.tar", "set": "x", "samples": 1, "members": listed}


def tarred(honest: ReleaseManifest, root: Path, tar: bytes, shard: dict[str, Any]) -> Path:
    """A release of one tar file, its index and manifest right about every byte."""
    index = '{"format": 1, "kind": "shards", "shards": [\n' + json.dumps(shard) + "\n]}\n"
    return forged(honest, root, {"shards/x-000000.tar": tar, INDEX_NAME: index.encode()})


PLAIN: TarMember = ("a.png", tarfile.REGTYPE, b"fine")


def test_an_honest_tar_is_unpacked(honest: ReleaseManifest, tmp_path: Path) -> None:
    members = [PLAIN, ("d/b.png", tarfile.REGTYPE, bytes(1000))]
    root = tarred(honest, tmp_path / "r", make_tar(members), shard_of(members, ["p/a", "p/d/b"]))
    assert verify(root).ok
    assert unpack(root, tmp_path / "out") == 2
    assert files_of(tmp_path / "out") == {"p/a": b"fine", "p/d/b": bytes(1000)}
    (tmp_path / "out/p/a").write_bytes(b"evil")
    assert unpack(root, tmp_path / "out") == 1
    assert files_of(tmp_path / "out")["p/a"] == b"fine"


@pytest.mark.parametrize(
    "kind",
    [
        tarfile.SYMTYPE,
        tarfile.LNKTYPE,
        tarfile.CHRTYPE,
        tarfile.BLKTYPE,
        tarfile.FIFOTYPE,
        tarfile.DIRTYPE,
        tarfile.GNUTYPE_LONGNAME,
        tarfile.XHDTYPE,
        tarfile.GNUTYPE_SPARSE,
    ],
)
def test_links_devices_and_extensions_in_a_tar_are_refused(
    kind: bytes, honest: ReleaseManifest, outside: Path, tmp_path: Path
) -> None:
    members = [PLAIN, ("b.png", kind, b"")]
    root = tarred(honest, tmp_path / "r", make_tar(members), shard_of(members))
    with pytest.raises(InputError, match="not the tar file of the index"):
        unpack(root, tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("name", ["../outside/evil", "/evil", "a/../../outside/evil"])
def test_names_in_a_tar_decide_nothing(
    name: str, honest: ReleaseManifest, outside: Path, tmp_path: Path
) -> None:
    evil: TarMember = (name, tarfile.REGTYPE, b"evil")
    told: TarMember = ("b.png", tarfile.REGTYPE, b"evil")
    root = tarred(honest, tmp_path / "r", make_tar([PLAIN, evil]), shard_of([PLAIN, told]))
    with pytest.raises(InputError, match="not the tar file of the index"):
        unpack(root, tmp_path / "out")
    for paths in (["a", name], [name, "a"]):
        shard = shard_of([PLAIN, told], paths)
        other = tarred(honest, tmp_path / f"r{len(paths[0])}", make_tar([PLAIN, told]), shard)
        with pytest.raises(InputError, match="does not stay below its folder"):
            unpack(other, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_hidden_missing_and_overlapping_members_are_refused(
    honest: ReleaseManifest, tmp_path: Path
) -> None:
    second: TarMember = ("b.png", tarfile.REGTYPE, b"more")
    both = shard_of([PLAIN, second])
    cases = {
        "hidden": (make_tar([PLAIN, second]), shard_of([PLAIN])),
        "missing": (make_tar([PLAIN]), both),
        "swapped": (make_tar([second, PLAIN]), both),
        "tail": (make_tar([PLAIN], 10**6), shard_of([PLAIN])),
        "none": (make_tar([PLAIN], 0), shard_of([PLAIN])),
        "empty": (b"", shard_of([PLAIN])),
        "overlap": (make_tar([PLAIN, second]), _with(both, 1, offset=512)),
        "far": (make_tar([PLAIN, second]), _with(both, 1, offset=2**49)),
        "larger": (make_tar([PLAIN]), _with(shard_of([PLAIN]), 0, size=5)),
        "huge": (make_tar([PLAIN]), _with(shard_of([PLAIN]), 0, size=2**49)),
        "content": (make_tar([("a.png", tarfile.REGTYPE, b"evil")]), shard_of([PLAIN])),
    }
    for case, (tar, shard) in cases.items():
        root = tarred(honest, tmp_path / case, tar, shard)
        with pytest.raises(InputError, match=r"x-000000\.tar"):
            unpack(root, tmp_path / "out")
        assert not any(files_of(tmp_path / "out")), case


def _with(shard: dict[str, Any], member: int, **values: int) -> dict[str, Any]:
    shard = json.loads(json.dumps(shard))
    shard["members"][member] |= values
    return shard


@pytest.mark.parametrize(
    "paths", [["a", "a"], ["a", "A"], ["a", "a/b"], ["e\u0301", "b"], ["a", "../b"]]
)
def test_an_index_whose_names_clash_is_refused(paths: list[str]) -> None:
    members = [PLAIN, ("b.png", tarfile.REGTYPE, b"more")]
    with pytest.raises(ValidationError):
        ShardIndex.model_validate({"shards": [shard_of(members, paths)]})
    names = [Member.model_validate(m) for m in shard_of([PLAIN, PLAIN], ["a", "b"])["members"]]
    shard = Shard(path="shards/x.tar", set="x", samples=1, members=names)
    with pytest.raises(ValidationError, match="twice"):
        ShardIndex(shards=[shard])


def test_an_index_that_points_at_other_files_is_refused(
    honest: ReleaseManifest, outside: Path, tmp_path: Path
) -> None:
    shard = shard_of([PLAIN])
    for path in ("shards/y.tar", "scenes/x.json", "manifest.json"):
        root = tarred(
            honest, tmp_path / path.replace("/", "_"), make_tar([PLAIN]), {**shard, "path": path}
        )
        with pytest.raises(InputError, match="the manifest does not have it"):
            unpack(root, tmp_path / "out")


def test_nothing_is_unpacked_through_a_link(
    honest: ReleaseManifest, outside: Path, tmp_path: Path
) -> None:
    members = [("d/a.png", tarfile.REGTYPE, b"fine")]
    root = tarred(honest, tmp_path / "r", make_tar(members), shard_of(members))
    out = tmp_path / "out"
    out.mkdir()
    (out / "d").symlink_to(outside)
    with pytest.raises(InputError, match="link"):
        unpack(root, out)
    with pytest.raises(InputError, match="inside the release"):
        unpack(root, root / "sub")
    (root / "shards/x-000000.tar").unlink()
    (root / "shards/x-000000.tar").symlink_to(outside / "secret")
    with pytest.raises((InputError, OSError)):
        unpack(root, tmp_path / "other")
