"""Proving a release: that it holds the files of its manifest, every byte, and nothing else."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import stat
from pathlib import Path
from typing import TYPE_CHECKING, Literal, NamedTuple

from pydantic import BaseModel, ConfigDict, Field

from rmtools.release.checksums import (
    checksums_text,
    digest,
    digest_of_list,
    in_threads,
    open_plain,
)
from rmtools.release.manifest import (
    CHECKSUMS_NAME,
    MANIFEST_NAME,
    MAX_FILE_BYTES,
    BrokenManifestError,
    read_manifest,
)
from rmtools.release.salvage import salvage
from rmtools.seeds import generator

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rmtools.release.manifest import ReleaseManifest
    from rmtools.run.progress import Progress

Problem = Literal["missing", "truncated", "altered", "extra", "unreadable", "not a file"]

_NOTED_EVERY = 256


class VerifyFinding(BaseModel):
    """A file that is not as it should be."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    path: str = Field(description="Relative to the release")
    problem: Problem
    what: str = Field(description="In words")


class VerifyReport(BaseModel):
    """What ``rmtools verify`` found."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    path: str
    name: str = Field(description="Name and version as far as the manifest can be read")
    sha256: str | None = Field(description="Digest of the whole, null where it cannot be read")
    files: int = Field(description="Files that there should be")
    read: int = Field(description="Files of which every byte was read")
    read_before: int = Field(description="Files that an interrupted verification had read")
    bytes: int = Field(description="Bytes that were read")
    findings: list[VerifyFinding]

    @property
    def ok(self) -> bool:
        """Whether nothing is wrong."""
        return not self.findings


class Expected(NamedTuple):
    """What a file must be; `size` is None where only its digest is known."""

    path: str
    size: int | None
    sha256: str


class _Seen(NamedTuple):
    """What was found at a path without reading it."""

    mode: int
    size: int
    stamp: str


def expected_files(root: Path) -> tuple[list[Expected], ReleaseManifest | None, list[str]]:
    """All files that a release must have, and its manifest.

    Where the manifest is broken, what is left of it and of ``SHA256SUMS`` says what all files must
    be. Of these two, those that are broken and of which nothing says what they were come last.

    Raises
    ------
    BrokenManifestError
        Nothing of both is left.
    """
    try:
        manifest = read_manifest(root)
    except BrokenManifestError as broken:
        try:
            left = salvage(root)
        except ValueError:
            raise broken from None
        if not left.files:
            raise
        unknown = [] if MANIFEST_NAME in left.files else [MANIFEST_NAME]
        unknown += [CHECKSUMS_NAME] if left.sums_damaged else []
        return [Expected(path, *known) for path, known in left.files.items()], None, unknown
    texts = {MANIFEST_NAME: manifest.text(), CHECKSUMS_NAME: checksums_text(manifest)}
    own = {name: text.encode() for name, text in texts.items()}
    files = [Expected(file.path, file.size, file.sha256) for file in manifest.files]
    files += [
        Expected(name, len(data), hashlib.sha256(data).hexdigest()) for name, data in own.items()
    ]
    return sorted(files), manifest, []


def verify(
    root: Path,
    *,
    subset: float = 1.0,
    seed: int = 0,
    threads: int = 1,
    state: Path | None = None,
    progress: Progress | None = None,
) -> VerifyReport:
    """Compare a release with its manifest.

    Names, sizes and what is too much are always looked at in full.

    Parameters
    ----------
    root
        Folder of a release.
    subset
        Share of the files to read, from 0 to 1; which are read follows from `seed`.
    threads
        Files that are read at a time.
    state
        File to note there what was read, so that an interrupted verification can go on; removed
        at the end. None to begin anew and note nothing.
    progress
        Told about every file.

    Raises
    ------
    BrokenManifestError
        Nothing is left of the manifest and ``SHA256SUMS``, so nothing can be proven.
    """
    files, manifest, unknown = expected_files(root)
    seen = dict(_walk(root))
    findings = [
        VerifyFinding(path=path, problem=problem, what=what)
        for path, problem, what in _strangers(files, seen, manifest)
    ]
    findings += [_unknown(path, seen.get(path)) for path in unknown]
    sound = []
    for file in files:
        finding = _outside(file, seen.get(file.path))
        if finding is not None:
            findings.append(finding)
        elif file.path in seen:
            sound.append(file)
    chosen = _choose(sound, subset, seed)
    noted = _Notes(state, digest_of_list((file.sha256, file.path) for file in files))
    pending = [file for file in chosen if not noted.has(file.path, seen[file.path].stamp)]
    if progress is not None:
        progress.start("files read", len(chosen), len(chosen) - len(pending))
    total = 0
    with noted:
        for file, (finding, count) in in_threads(lambda f: _read(root, f), pending, threads):
            total += count
            if finding is not None:
                findings.append(finding)
            else:
                noted.add(file.path, seen[file.path].stamp)
            if progress is not None:
                progress.advance()
    if progress is not None:
        progress.finish()
    return VerifyReport(
        path=str(root),
        name="?" if manifest is None else f"{manifest.name} {manifest.version}",
        sha256=None if manifest is None else manifest.sha256,
        files=len(files) + len(unknown) + (manifest is None and CHECKSUMS_NAME not in unknown),
        read=len(pending),
        read_before=len(chosen) - len(pending),
        bytes=total,
        findings=sorted(findings, key=lambda finding: finding.path),
    )


def _walk(root: Path) -> Iterator[tuple[str, _Seen]]:
    """Everything below a folder that is not a folder itself; links are not followed."""
    waiting = [""]
    while waiting:
        folder = waiting.pop()
        with os.scandir(root / folder) as entries:
            for entry in entries:
                name = f"{folder}/{entry.name}" if folder else entry.name
                if entry.is_dir(follow_symlinks=False):
                    waiting.append(name)
                    continue
                found = entry.stat(follow_symlinks=False)
                stamp = f"{found.st_size} {found.st_mtime_ns} {found.st_ino}"
                yield name, _Seen(found.st_mode, found.st_size, stamp)


def _strangers(
    files: list[Expected], seen: dict[str, _Seen], manifest: ReleaseManifest | None
) -> Iterator[tuple[str, Problem, str]]:
    """What lies there and should not."""
    known = {file.path for file in files}
    for path in sorted(seen.keys() - known):
        if manifest is None and path in (MANIFEST_NAME, CHECKSUMS_NAME):
            continue
        shown = path.encode("utf-8", "backslashreplace").decode()
        if stat.S_ISREG(seen[path].mode):
            yield shown, "extra", f"{seen[path].size:,} bytes that the manifest does not have"
        else:
            yield shown, "not a file", "a link or a device that the manifest does not have"


def _unknown(path: str, seen: _Seen | None) -> VerifyFinding:
    """What is wrong with a list of which nothing says what it was."""
    if seen is None:
        return VerifyFinding(path=path, problem="missing", what="there is no such file")
    if not stat.S_ISREG(seen.mode):
        return VerifyFinding(path=path, problem="not a file", what="a link or a device")
    return VerifyFinding(path=path, problem="altered", what="it was changed after it was written")


def _outside(file: Expected, seen: _Seen | None) -> VerifyFinding | None:
    """What can be said of a file without reading it."""
    if seen is None:
        return VerifyFinding(path=file.path, problem="missing", what="there is no such file")
    if not stat.S_ISREG(seen.mode):
        return VerifyFinding(
            path=file.path, problem="not a file", what="a link, a folder or a device"
        )
    if file.size is None or file.size == seen.size:
        return None
    return VerifyFinding(
        path=file.path,
        problem="truncated" if seen.size < file.size else "altered",
        what=f"{seen.size:,} bytes instead of {file.size:,}",
    )


def _read(root: Path, file: Expected) -> tuple[VerifyFinding | None, int]:
    """Compare one file, byte by byte; returns what is wrong and how many bytes were read."""
    try:
        with open_plain(root / file.path) as handle:
            found, count = digest(handle, MAX_FILE_BYTES if file.size is None else file.size)
    except OSError as error:
        what = error.strerror or str(error)
        return VerifyFinding(path=file.path, problem="unreadable", what=what), 0
    if found == file.sha256 and file.size in (None, count):
        return None, count
    what = f"SHA-256 {found} instead of {file.sha256}"
    return VerifyFinding(path=file.path, problem="altered", what=what), count


def _choose(files: list[Expected], subset: float, seed: int) -> list[Expected]:
    """An even share of the files, at least one, in their order."""
    if subset >= 1 or not files:
        return files
    count = max(1, round(subset * len(files)))
    chosen = generator(seed, "verify").choice(len(files), count, replace=False)
    return [files[i] for i in sorted(chosen.tolist())]


def state_path(root: Path) -> Path:
    """Where an interrupted verification of a release is noted, in the user's cache."""
    cache = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")  # noqa: PTH111 - may be no home
    name = hashlib.sha256(str(root.resolve()).encode()).hexdigest()[:32]
    return Path(cache) / "rmtools" / "verify" / f"{name}.jsonl"


class _Notes:
    """What a verification has read so far, kept until it ends.

    A line is a path and its size, time and inode: a file that was touched since is read again.
    """

    def __init__(self, path: Path | None, key: str) -> None:
        self._path, self._key = path, key
        self._found = self._load()
        self._waiting: list[str] = []

    def _load(self) -> dict[str, str]:
        if self._path is None or not self._path.is_file():
            return {}
        try:
            lines = self._path.read_text().splitlines()
            whole = [json.loads(line) for line in lines if line.endswith("]")]
            return dict(whole[1:]) if whole[0] == [self._key] else {}
        except (OSError, ValueError, TypeError, IndexError):
            return {}  # it only saves time

    def has(self, path: str, stamp: str) -> bool:
        """Whether a file was read and is untouched since."""
        return self._found.get(path) == stamp

    def add(self, path: str, stamp: str) -> None:
        """Note a file that was read and is sound."""
        self._waiting.append(json.dumps([path, stamp]))
        if len(self._waiting) >= _NOTED_EVERY:
            self._write()

    def _write(self) -> None:
        if self._path is None or not self._waiting:
            return
        lines, self._waiting = self._waiting, []
        with contextlib.suppress(OSError):  # it only saves time
            self._path.parent.mkdir(parents=True, exist_ok=True)
            if not self._found and not self._path.is_file():
                lines = [json.dumps([self._key]), *lines]
            with self._path.open("a") as handle:
                handle.write("".join(f"{line}\n" for line in lines))

    def __enter__(self) -> None:
        if not self._found:
            self._forget()

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is not None:
            self._write()
        else:
            self._forget()

    def _forget(self) -> None:
        if self._path is not None:
            with contextlib.suppress(OSError):  # a cache that cannot be written
                self._path.unlink(missing_ok=True)
