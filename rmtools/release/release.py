"""Making a release: copied or packed, described, proven, and only then moved into place.

Everything is made in ``OUT.partial`` beside the target. A file has its final name there only when
it is complete and its digest is the one the dataset's ledger noted, so a release that was
interrupted anywhere goes on from there and ends with the same digest. The manifest is written
last, the whole is read back and compared with it, and one rename makes it appear at ``OUT``.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING

import yaml

from rmtools.errors import RecipeError, StorageError
from rmtools.files import (
    PARTIAL_SUFFIX,
    read_model,
    to_json,
    write_json,
    write_text,
)
from rmtools.release import card, changes, citation, croissant, datasheet, licences
from rmtools.release.checksums import changed, checksums_text, digest, in_threads, open_plain
from rmtools.release.index import table_name, table_text
from rmtools.release.manifest import (
    CHECKSUMS_NAME,
    MANIFEST_NAME,
    BrokenManifestError,
    Layer,
    ReleasedFile,
    make_manifest,
    read_manifest,
)
from rmtools.release.plan import make_plan
from rmtools.release.shards import INDEX_NAME, Shard, ShardIndex, write_shard
from rmtools.release.unfinished import (
    PAYLOAD,
    STATE,
    begin,
    begun,
    discard,
    require_own,
    unfinished,
)
from rmtools.release.verify import verify
from rmtools.run.holding import working_in
from rmtools.run.workspace import AUDIT_NAME, RECIPE_NAME, REPORT_NAME, VALIDATION_NAME, Workspace

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from rmtools.release.edition import Edition
    from rmtools.release.manifest import LayerName, ReleaseManifest
    from rmtools.release.plan import Plan, Wishes
    from rmtools.release.shards import ShardPlan
    from rmtools.run.progress import Progress
    from rmtools.run.recipe import Recipe

CREDITED = (
    card.FILE_NAME,
    licences.FILE_NAME,
    croissant.FILE_NAME,
    citation.CITATION_NAME,
    citation.DATACITE_NAME,
    citation.ZENODO_NAME,
    datasheet.FILE_NAME,
    REPORT_NAME,
)
"""Documents that must name the sources."""


@dataclass(frozen=True)
class Released:
    """What became of a release."""

    manifest: ReleaseManifest
    made_now: bool


def plan_release(dataset: Path, recipe: Recipe, wishes: Wishes) -> Plan:
    """Decide what a release will hold; nothing is written, see :func:`make_release`."""
    return make_plan(Workspace(dataset, recipe), wishes)


def make_release(
    plan: Plan,
    out: Path,
    *,
    threads: int = 1,
    link: bool = False,
    progress: Progress | None = None,
) -> Released:
    """Make a release, or go on with one that was interrupted.

    Parameters
    ----------
    plan
        From :func:`plan_release`.
    out
        Folder to make; it appears when the release is complete and proven.
    threads
        Files that are worked on at a time. The result does not depend on it.
    link
        Make hard links to the dataset's files instead of copies; they must be on one disk.
    progress
        Told about every file.

    Raises
    ------
    RecipeError
        There is another release or something else at `out` or where it is made, or `out` is in
        the dataset.
    BusyError
        Another process makes the same release.
    InputError
        A file of the dataset is not what its ledger says.
    InvalidDatasetError
        A document does not name the sources.
    StorageError
        The disk has not enough room.
    """
    partial = unfinished(out)
    _require_apart(plan.root, out)
    if (done := _finished(plan, out)) is not None:
        with contextlib.suppress(RecipeError):  # what a killed run left, if it is that
            require_own(partial)
            discard(partial)
        return Released(done, made_now=False)
    require_own(partial)
    with contextlib.ExitStack() as held:
        for folder in (plan.root, partial):
            if folder == partial or os.access(plan.root, os.W_OK):
                held.enter_context(working_in(folder))
        if (done := _finished(plan, out)) is not None:  # by a run that ended just now
            return Released(done, made_now=False)
        payload, state = partial / PAYLOAD, partial / STATE
        begin(partial, plan.key, plan.wishes.date)
        _require_room(plan, payload, link=link)
        copied = _copy_all(plan, payload, threads, progress, link=link)
        shards = _pack_all(plan, payload, state, threads, progress)
        manifest = _describe(plan, payload, copied, shards)
        _prove(payload, threads, progress)
        _flush(payload, [file.path for file in manifest.files], threads)
        payload.rename(out)
    discard(partial)
    return Released(manifest, made_now=True)


def earlier_date(out: Path) -> str | None:
    """Date of a release that lies at `out` or was begun for it; None without one."""
    try:
        return read_manifest(out).date
    except BrokenManifestError:
        date = begun(unfinished(out)).get("date")
        return date if isinstance(date, str) else None


def _require_apart(dataset: Path, out: Path) -> None:
    """Refuse a release within its dataset, whose folders are cleared when they are made again."""
    if out.resolve().is_relative_to(dataset.resolve()):
        raise RecipeError(
            "that is inside the dataset.", where=out, remedy="Choose a folder of its own."
        )


def _finished(plan: Plan, out: Path) -> ReleaseManifest | None:
    """The release at `out` if it is the planned one; None where there is nothing.

    Raises
    ------
    RecipeError
        There is something else.
    """
    if not out.exists() and not out.is_symlink():
        return None
    try:
        manifest = read_manifest(out)
    except BrokenManifestError:
        manifest = None
    if manifest is not None and manifest.inputs_sha256 == plan.key:
        return manifest
    raise RecipeError(
        "there is another release already."
        if manifest is not None
        else "there is something else already.",
        where=out,
        remedy="Releases are not changed. Choose another folder, or remove this one.",
    )


def _require_room(plan: Plan, payload: Path, *, link: bool) -> None:
    """Refuse to begin what cannot end."""
    wanted = {file.path: file.size for file in plan.loose if not link}
    wanted |= {shard.path: shard.size for shard in plan.shards}
    needed = sum(size for path, size in wanted.items() if not (payload / path).is_file())
    free = shutil.disk_usage(payload).free
    if needed > free:
        raise StorageError(
            f"the release needs {needed:,} bytes more, the disk has {free:,} left.",
            where=payload,
            remedy="Choose another disk, or --link where the dataset is on the same one.",
        )


# -- data ----------------------------------------------------------------------------------------


def _copy_all(
    plan: Plan, payload: Path, threads: int, progress: Progress | None, *, link: bool
) -> list[ReleasedFile]:
    """Copy or link what is not packed."""
    files = {
        file.path: ReleasedFile(
            path=file.path, size=file.size, sha256=file.sha256, layer=file.layer
        )
        for file in plan.loose
    }
    pending = [file for file in files.values() if not _is_there(payload / file.path, file.size)]
    if progress is not None:
        progress.start("files", len(files), len(files) - len(pending))

    def work(file: ReleasedFile) -> None:
        _place(plan.root / file.path, payload / file.path, file, link=link)

    for _ in in_threads(work, pending, threads):
        if progress is not None:
            progress.advance()
    if progress is not None:
        progress.finish()
    return list(files.values())


def _is_there(path: Path, size: int) -> bool:
    """Whether an earlier run finished a file; its content is proven at the end with the rest."""
    return path.is_file() and not path.is_symlink() and path.stat().st_size == size


def _place(origin: Path, target: Path, file: ReleasedFile, *, link: bool) -> None:
    """Copy or link one file, if it is what it should be."""
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = target.with_name(f"{target.name}.{os.getpid()}{PARTIAL_SUFFIX}")
    try:
        with open_plain(origin) as source:
            if link:
                found = digest(source, file.size)
                _link(origin, partial)
            else:
                with partial.open("xb") as handle:
                    found = digest(source, file.size, handle.write)
        if found != (file.sha256, file.size):
            raise changed(origin)
        partial.replace(target)
    finally:
        partial.unlink(missing_ok=True)


def _link(origin: Path, target: Path) -> None:
    """Make a hard link, or say that there cannot be one."""
    try:
        os.link(origin, target)
    except OSError as error:
        if error.errno in (errno.EXDEV, errno.EPERM, errno.EOPNOTSUPP, errno.EMLINK):
            raise StorageError(
                f"a hard link to the dataset's file cannot be made there ({error.strerror}).",
                where=target.parent,
                remedy="Leave --link out, or choose a folder on the disk of the dataset.",
            ) from error
        raise


def _pack_all(
    plan: Plan, payload: Path, state: Path, threads: int, progress: Progress | None
) -> list[Shard]:
    """Write the tar files; what is in each is noted beside them until the index is written."""
    if not plan.shards:
        return []
    if progress is not None:
        progress.start("shards", len(plan.shards), 0)

    def work(shard: ShardPlan) -> Shard:
        note = state / f"{shard.path}.json"
        if note.is_file() and _is_there(payload / shard.path, shard.size):
            return read_model(note, Shard, "a note of a shard", "Delete the partial release.")
        made = write_shard(payload / shard.path, shard, plan.root)
        write_json(note, made.model_dump(mode="json"))
        return made

    made = []
    for _, shard in in_threads(work, plan.shards, threads):
        made.append(shard)
        if progress is not None:
            progress.advance()
    if progress is not None:
        progress.finish()
    return made


# -- documents -----------------------------------------------------------------------------------


def _describe(
    plan: Plan, payload: Path, copied: list[ReleasedFile], shards: list[Shard]
) -> ReleaseManifest:
    """Write index, documents and, at last, the manifest with all of them."""
    files = list(copied)

    def write(name: str, text: str, layer: LayerName = "documents") -> None:
        data = text.encode()
        write_text(payload / name, text)
        sha256 = hashlib.sha256(data).hexdigest()
        files.append(ReleasedFile(path=name, size=len(data), sha256=sha256, layer=layer))

    inside = {member.path: member.name for shard in shards for member in shard.members}
    for name, rows in plan.rows.items():
        write(table_name(name), table_text(rows, inside), "split")
    if shards:
        write(INDEX_NAME, ShardIndex(shards=shards).text())
        files += [_of_shard(payload, shard) for shard in shards]
    edition = plan.edition(plan.layers())
    for name, text in _documents(plan, edition).items():
        write(name, text)
    write(croissant.FILE_NAME, croissant.croissant_text(edition, files))
    licences.check_documents(payload, plan.facts.attribution, list(CREDITED))
    manifest = _manifest(plan, edition, files)
    write_text(payload / CHECKSUMS_NAME, checksums_text(manifest))
    write_text(payload / MANIFEST_NAME, manifest.text())
    return manifest


def _of_shard(payload: Path, shard: Shard) -> ReleasedFile:
    """A tar file; its layer is that of what is in it."""
    path = payload / shard.path
    with open_plain(path) as handle:
        sha256, size = digest(handle, path.stat().st_size)
    layers = {member.layer for member in shard.members}
    layer: LayerName = layers.pop() if len(layers) == 1 else "mixed"
    return ReleasedFile(path=shard.path, size=size, sha256=sha256, layer=layer)


def _documents(plan: Plan, edition: Edition) -> dict[str, str]:
    """All texts but Croissant and the manifest."""
    wishes = plan.wishes
    found = {
        card.FILE_NAME: card.card_text(edition),
        licences.FILE_NAME: licences.licence_text(edition.layers, plan.facts),
        citation.CITATION_NAME: citation.citation_text(edition),
        citation.DATACITE_NAME: citation.datacite_text(edition),
        citation.ZENODO_NAME: citation.zenodo_text(edition),
        datasheet.FILE_NAME: datasheet.datasheet_text(edition),
        changes.FILE_NAME: changes.changelog(
            wishes.version, wishes.date, plan.changes, wishes.previous
        ),
        RECIPE_NAME: yaml.safe_dump(dict(plan.recipe), sort_keys=False, allow_unicode=True),
        VALIDATION_NAME: to_json(plan.validation.model_dump(mode="json")),
    }
    if plan.audit is not None:
        found[AUDIT_NAME] = to_json(plan.audit.model_dump(mode="json"))
    return found


def _manifest(plan: Plan, edition: Edition, files: list[ReleasedFile]) -> ReleaseManifest:
    from rmtools import __version__

    return make_manifest(
        name=plan.name,
        version=plan.wishes.version,
        date=plan.wishes.date,
        rmtools_version=__version__,
        inputs_sha256=plan.key,
        layouts=list(plan.layouts),
        sharded=bool(plan.shards),
        licence=edition.licence,
        attribution=plan.facts.attribution,
        citation=edition.citation,
        facts=plan.facts,
        layers=_layers(plan, files),
        files=tuple(sorted(files, key=lambda file: file.path)),
    )


def _layers(plan: Plan, files: list[ReleasedFile]) -> Mapping[LayerName, Layer]:
    """All layers with the files that the release has on disk."""
    found = {}
    for name, description in licences.LAYERS.items():
        own = [file for file in files if file.layer == name]
        if own:
            found[name] = Layer(
                description=description,
                licence=plan.licences[name],
                attribution=plan.facts.attribution,
                files=len(own),
                bytes=sum(file.size for file in own),
            )
    return found


def _flush(payload: Path, names: list[str], threads: int) -> None:
    """See all files to the disk: at once where the system can, else one by one."""
    if hasattr(os, "sync"):
        os.sync()
        return

    def flush(name: str) -> None:
        with (payload / name).open("rb+") as handle:
            os.fsync(handle.fileno())

    for _ in in_threads(flush, names, threads):
        pass


def _prove(payload: Path, threads: int, progress: Progress | None) -> None:
    """Read the whole back; what is broken is removed, so that the next run makes it again."""
    report = verify(payload, threads=threads, progress=progress)
    if report.ok:
        return
    for finding in report.findings:
        (payload / finding.path).unlink(missing_ok=True)
    first = report.findings[0]
    raise StorageError(
        f"{len(report.findings)} files are not what was written (the first is {first.problem}: "
        f"{first.what}).",
        where=payload / first.path,
        remedy="Run the same command again: they were removed and will be made anew. If it stays, "
        "check the disk.",
    )
