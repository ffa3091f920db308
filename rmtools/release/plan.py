"""What a release will hold, decided before anything is written."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from rmtools.errors import InputError, InvalidDatasetError, LeakError, RecipeError
from rmtools.files import sha256_json
from rmtools.layouts import motion_format as motion
from rmtools.layouts import seer_format as seer
from rmtools.release import contents
from rmtools.release.changes import Content, compare, content_of, require_version, sets_of_maps
from rmtools.release.checksums import digest_of_list
from rmtools.release.edition import Edition
from rmtools.release.facts import gather
from rmtools.release.index import map_rows, sets_of, table_name
from rmtools.release.licences import LAYERS, layer_licences
from rmtools.release.manifest import MANIFEST_NAME, VERSION_PATTERN, Layer, read_manifest
from rmtools.release.shards import plan_shards
from rmtools.run.workspace import AUDIT_NAME, REPORT_NAME, VALIDATION_NAME
from rmtools.splits.manifest import SPLIT_NAME
from rmtools.store import Store

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from rmtools.audit.model import AuditReport
    from rmtools.findings import Report
    from rmtools.release.about import About
    from rmtools.release.changes import Changes
    from rmtools.release.contents import Layout, SourceFile
    from rmtools.release.facts import Facts
    from rmtools.release.index import MapRow
    from rmtools.release.manifest import LayerName
    from rmtools.release.shards import ShardPlan
    from rmtools.run.workspace import Workspace
    from rmtools.splits.manifest import SplitManifest


@dataclass(frozen=True)
class Wishes:
    """What the maintainer asks for.

    Attributes
    ----------
    version, date
        Of the release.
    about
        The maintainer's words.
    layouts
        Layouts of the maps; None for all that are finished.
    sharded, shard_bytes
        Whether layouts of many files become tar files, and where one ends.
    previous
        Folder of the release before.
    """

    version: str
    date: str
    about: About
    layouts: Sequence[str] | None = None
    sharded: bool = False
    shard_bytes: int = 2**30
    previous: Path | None = None


@dataclass(frozen=True)
class Plan:
    """A release to be made.

    Attributes
    ----------
    root
        The dataset.
    files
        Files that are copied or go into tar files.
    shards
        Tar files to write.
    rows
        The index: radio maps by set.
    """

    root: Path
    wishes: Wishes
    name: str
    layouts: list[Layout]
    files: list[SourceFile]
    shards: list[ShardPlan]
    rows: dict[str, list[MapRow]]
    facts: Facts
    recipe: Mapping[str, object]
    validation: Report
    audit: AuditReport | None
    changes: Changes | None

    @cached_property
    def loose(self) -> list[SourceFile]:
        """Files that are copied."""
        packed = {file.path for shard in self.shards for _, file in shard.files}
        return [file for file in self.files if file.path not in packed]

    @property
    def bytes(self) -> int:
        """Bytes of copies and tar files; index and texts come on top."""
        return sum(f.size for f in self.loose) + sum(s.size for s in self.shards)

    @property
    def licences(self) -> dict[LayerName, list[str]]:
        """Licences of every layer."""
        return layer_licences(self.facts, self.wishes.about)

    @cached_property
    def key(self) -> str:
        """Digest of all that the release depends on."""
        from rmtools import __version__

        wishes = self.wishes
        return sha256_json(
            {
                "rmtools": __version__,
                "name": self.name,
                "version": wishes.version,
                "date": wishes.date,
                "about": wishes.about.model_dump(mode="json"),
                "layouts": self.layouts,
                "shards": wishes.shard_bytes if wishes.sharded else None,
                "files": digest_of_list((f.sha256, f.path) for f in self.files),
                "facts": self.facts.model_dump(mode="json"),
                "recipe": dict(self.recipe),
                "validation": self.validation.model_dump(mode="json"),
                "audit": self.audit and self.audit.model_dump(mode="json"),
                "changes": self.changes and self.changes.model_dump(mode="json"),
            }
        )

    def edition(self, layers: Mapping[LayerName, Layer]) -> Edition:
        """What the documents are written from."""
        return Edition(
            name=self.name,
            version=self.wishes.version,
            date=self.wishes.date,
            facts=self.facts,
            about=self.wishes.about,
            layouts=tuple(self.layouts),
            shards=tuple(shard.path for shard in self.shards),
            layers=dict(layers),
        )

    def layers(self) -> dict[LayerName, Layer]:
        """Number and size of the data files by layer, tar files opened, texts not counted."""
        counts: Counter[str] = Counter(file.layer for file in self.files)
        sizes: Counter[str] = Counter()
        for file in self.files:
            sizes[file.layer] += file.size
        return {
            name: Layer(
                description=description,
                licence=self.licences[name],
                attribution=self.facts.attribution,
                files=counts[name],
                bytes=sizes[name],
            )
            for name, description in LAYERS.items()
            if counts[name] and name not in ("documents", "split")
        }


def make_plan(space: Workspace, wishes: Wishes) -> Plan:
    """Decide what a release of a dataset holds, and whether it may be made.

    Raises
    ------
    InputError
        A part of the dataset is missing or was changed.
    RecipeError
        A layout is not finished, or the version is too small for what changed.
    InvalidDatasetError
        The validation found errors, or an attribution is missing.
    LeakError
        The split leaks and does not say so.
    """
    from rmtools.run.steps import public

    check_version(wishes.version)
    if (space.root / MANIFEST_NAME).exists():
        raise InputError(
            "that is a release already, not a dataset.",
            where=space.root,
            remedy="Releases are made of the dataset's own folder; `cp -r` copies one.",
        )
    layouts = contents.choose_layouts(space, wishes.layouts)
    files = contents.collect(space, layouts)
    split, validation, audit = _records(space)
    store = Store.open(space.root)
    names = {file.path for file in files}
    rows = map_rows(store, layouts, split, names)
    for name in rows:
        table_name(name)
    facts = gather(store, rows, layouts, split, validation, audit)
    layer_licences(facts, wishes.about)
    shards: list[ShardPlan] = []
    if wishes.sharded:
        packed = [file for file in files if _is_packed(file)]
        if not packed:
            raise RecipeError(
                f"the layouts {', '.join(layouts)} have few files; tar files are for "
                f"{' and '.join(contents.SHARDED)}.",
                where="--shards",
                remedy="Leave --shards out, or add --layout motion.",
            )
        shards = plan_shards(packed, _set_finder(store, split), wishes.shard_bytes)
    return Plan(
        root=space.root,
        wishes=wishes,
        name=space.recipe.name,
        layouts=layouts,
        files=files,
        shards=shards,
        rows=rows,
        facts=facts,
        recipe=public(space.recipe),
        validation=validation.model_copy(update={"path": space.recipe.name}),
        audit=audit,
        changes=_changes(files, rows, wishes),
    )


def check_version(version: str) -> None:
    """Refuse what is no version.

    Raises
    ------
    RecipeError
        It is not of the form MAJOR.MINOR.PATCH.
    """
    if not re.fullmatch(VERSION_PATTERN, version):
        raise RecipeError(
            f"{version!r} is not a version.", where="--version", remedy="Write such as 1.0.0."
        )


def _is_packed(file: SourceFile) -> bool:
    """Whether a file goes into a tar file: all of a layout but its description."""
    return file.path.split("/")[0] in contents.SHARDED and file.layer != "documents"


def _records(space: Workspace) -> tuple[SplitManifest | None, Report, AuditReport | None]:
    """Split, validation and audit of a dataset that may be released."""
    from rmtools.audit.model import AuditReport
    from rmtools.findings import Report
    from rmtools.splits.manifest import read_manifest as read_split

    for name in (VALIDATION_NAME, REPORT_NAME):
        if not (space.root / name).is_file():
            raise InputError(
                f"the dataset has no {name}.",
                where=space.root,
                remedy=f"Run `rmtools report {space.root}`, which validates and audits first.",
            )
    validation = Report.read(space.root / VALIDATION_NAME)
    if not validation.ok:
        raise InvalidDatasetError(
            f"the validation found {validation.errors} errors.",
            where=space.root / VALIDATION_NAME,
            remedy=f"`rmtools validate {space.root}` lists them; a release needs none.",
        )
    path = space.root / SPLIT_NAME
    split = read_split(path) if path.is_file() else None
    path = space.root / AUDIT_NAME
    audit = AuditReport.read(path) if path.is_file() else None
    if audit is not None and audit.undeclared:
        raise LeakError(
            f"the split leaks and does not say so: "
            f"{', '.join(level.level for level in audit.undeclared)}.",
            where=path,
            remedy="Make another split with `rmtools split`, or one that declares it.",
        )
    return split, validation, audit


def _set_finder(store: Store, split: SplitManifest | None) -> Callable[[str, int, int, int], str]:
    """What names the set of a sequence by its layout and numbers."""
    from rmtools.layouts.seer_description import map_ids

    scenes = store.scene_names
    numbered = {
        motion.LAYOUT_NAME: dict(enumerate(scenes)),
        seer.LAYOUT_NAME: dict(zip(map_ids(store), scenes, strict=True)),
    }

    def find(layout: str, number: int, trajectory: int, transmitter: int) -> str:
        scene = numbered[layout][number]
        return "+".join(sets_of(split, scene, trajectory, transmitter))

    return find


def _changes(
    files: Sequence[SourceFile], rows: Mapping[str, Sequence[MapRow]], wishes: Wishes
) -> Changes | None:
    """What changed since the previous release, texts left out; None for a first release."""
    if wishes.previous is None:
        return None
    before = read_manifest(wishes.previous)
    old = content_of(wishes.previous, before)
    data = {path: file for path, file in old.files.items() if file[0] != "documents"}
    new = Content(
        {file.path: (file.layer, file.sha256) for file in files if file.layer != "documents"},
        sets_of_maps((name, [row.identity for row in members]) for name, members in rows.items()),
    )
    changes = compare(
        Content(data, old.sets),
        new,
        f"{before.name} {before.version}",
        wishes.version,
    )
    require_version(wishes.version, before.version, changes)
    return changes
