"""What changed between two releases, by content, and which version that asks for.

The rule, written down because others build on it: a model trained on one release may be judged
on another only where maps and test sets are the same. So

- **major**: a map, a raster or a scene changed or is gone, a map moved between sets, or a test
  set got new members;
- **minor**: there is more of something, and everything that was there is as it was;
- **patch**: only texts changed.

Whether files lie as they are or in tar files makes no difference.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Literal, NamedTuple

from pydantic import BaseModel, ConfigDict, Field

from rmtools.errors import RecipeError
from rmtools.release.checksums import read_listed
from rmtools.release.index import FOLDER as INDEX_FOLDER
from rmtools.release.index import read_table, set_of_table
from rmtools.release.manifest import read_manifest
from rmtools.release.shards import FOLDER as SHARDS_FOLDER
from rmtools.release.shards import read_index

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

    from rmtools.release.manifest import ReleaseManifest

FILE_NAME = "CHANGELOG.md"
MAX_TABLE_BYTES = 2**30
MAX_CHANGELOG_BYTES = 2**22

Step = Literal["none", "patch", "minor", "major"]
_STEPS: tuple[Step, ...] = ("none", "patch", "minor", "major")
_TEXTS = ("documents", "split")
"""Layers whose files only tell something; who is in which set is compared map by map."""

Identity = tuple[str, str, int, int, int]


class Content(NamedTuple):
    """What a release holds, however it is packed.

    Attributes
    ----------
    files
        Layer and digest of every file by its name in the layouts; no index tables, no tar files.
    sets
        Sets of every map by what it is.
    """

    files: dict[str, tuple[str, str]]
    sets: dict[Identity, frozenset[str]]


class LayerChanges(BaseModel):
    """Files of one layer."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    added: int = 0
    removed: int = 0
    altered: int = 0
    same: int = 0


class Changes(BaseModel):
    """What ``rmtools release diff`` found."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    old: str = Field(description="Name and version")
    new: str
    step: Step = Field(description="Which part of the version has to grow")
    reasons: list[str] = Field(description="Why, in words")
    layers: dict[str, LayerChanges]
    maps_added: dict[str, int] = Field(description="New maps by set")
    maps_removed: dict[str, int] = Field(description="Maps that are gone, by the set they were in")
    maps_moved: dict[str, int] = Field(description="Maps in another set, as 'train -> val'")
    examples: dict[str, list[str]] = Field(description="First files of each kind of change")


def content_of(root: Path, manifest: ReleaseManifest | None = None) -> Content:
    """Read what a release holds.

    Raises
    ------
    InputError
        It is not a release, or a file that is needed for this is not that of its manifest.
    """
    manifest = manifest or read_manifest(root)
    files = {
        file.path: (str(file.layer), file.sha256)
        for file in manifest.files
        if not file.path.startswith((f"{INDEX_FOLDER}/", f"{SHARDS_FOLDER}/"))
    }
    if index := read_index(root, manifest):
        members = (member for shard in index.shards for member in shard.members)
        files |= {member.path: (member.layer, member.sha256) for member in members}
    tables = [file for file in manifest.files if file.path.startswith(f"{INDEX_FOLDER}/")]
    texts = ((file.path, read_listed(root, file, MAX_TABLE_BYTES)) for file in tables)
    rows = ((set_of_table(path), list(read_table(text, path))) for path, text in texts)
    return Content(files, sets_of_maps(rows))


def sets_of_maps(rows: Iterable[tuple[str, Iterable[Identity]]]) -> dict[Identity, frozenset[str]]:
    """Sets of every map from the maps of every set."""
    found: dict[Identity, set[str]] = {}
    for name, identities in rows:
        for identity in identities:
            found.setdefault(identity, set()).add(name)
    return {identity: frozenset(names) for identity, names in found.items()}


def diff(old: Path, new: Path) -> Changes:
    """Compare two releases by what their manifests say of every file."""
    a, b = read_manifest(old), read_manifest(new)
    names = (f"{a.name} {a.version}", f"{b.name} {b.version}")
    return compare(content_of(old, a), content_of(new, b), *names)


def compare(a: Content, b: Content, old: str, new: str) -> Changes:
    """Compare two contents; `old` and `new` are what to call them."""
    counts: dict[str, Counter[str]] = {}
    examples: dict[str, list[str]] = {}
    for path, layer, what in sorted(_files(a.files, b.files)):
        counts.setdefault(layer, Counter())[what] += 1
        if what != "same" and len(examples.setdefault(f"{layer} {what}", [])) < 5:
            examples[f"{layer} {what}"].append(path)
    layers = {layer: LayerChanges(**found) for layer, found in sorted(counts.items())}
    added, removed, moved = _maps(a.sets, b.sets)
    reasons = {"major": list(_major(layers, added, removed, moved))}
    reasons["minor"] = list(_minor(layers, added))
    texts = [layers.get(name, LayerChanges()) for name in _TEXTS]
    changed = sum(found.added + found.removed + found.altered for found in texts)
    reasons["patch"] = [f"{changed} texts changed"] if changed else []
    step: Step = next((step for step in reversed(_STEPS) if reasons.get(step)), "none")
    return Changes(
        old=old,
        new=new,
        step=step,
        reasons=reasons.get(step, []),
        layers=layers,
        maps_added=added,
        maps_removed=removed,
        maps_moved=moved,
        examples=examples,
    )


def _files(
    a: Mapping[str, tuple[str, str]], b: Mapping[str, tuple[str, str]]
) -> Iterator[tuple[str, str, str]]:
    """Name, layer and change of every file."""
    for path in a.keys() | b.keys():
        if path not in b:
            yield path, a[path][0], "removed"
        elif path not in a:
            yield path, b[path][0], "added"
        else:
            yield path, b[path][0], "same" if a[path] == b[path] else "altered"


def _maps(
    a: Mapping[Identity, frozenset[str]], b: Mapping[Identity, frozenset[str]]
) -> tuple[dict[str, int], dict[str, int], dict[str, int]]:
    """Maps added, removed and moved, by set."""
    added, removed, moved = Counter[str](), Counter[str](), Counter[str]()
    for identity in a.keys() | b.keys():
        before, after = a.get(identity), b.get(identity)
        if before is None and after is not None:
            added["+".join(sorted(after))] += 1
        elif after is None and before is not None:
            removed["+".join(sorted(before))] += 1
        elif before is not None and after is not None and before != after:
            moved[f"{'+'.join(sorted(before))} -> {'+'.join(sorted(after))}"] += 1
    return dict(sorted(added.items())), dict(sorted(removed.items())), dict(sorted(moved.items()))


def _major(
    layers: Mapping[str, LayerChanges],
    added: Mapping[str, int],
    removed: Mapping[str, int],
    moved: Mapping[str, int],
) -> Iterator[str]:
    for name, found in layers.items():
        if name in _TEXTS:
            continue
        if found.altered:
            yield f"{found.altered:,} files of the layer {name} have another content"
        if found.removed:
            yield f"{found.removed:,} files of the layer {name} are gone"
    for sets, count in removed.items():
        yield f"{count:,} maps of {sets} are gone"
    for sets, count in moved.items():
        yield f"{count:,} maps moved: {sets}"
    for sets, count in added.items():
        if any(name.startswith("test") for name in sets.split("+")):
            yield f"{count:,} maps are new in {sets}"


def _minor(layers: Mapping[str, LayerChanges], added: Mapping[str, int]) -> Iterator[str]:
    for name, found in layers.items():
        if name not in _TEXTS and found.added:
            yield f"{found.added:,} files of the layer {name} are new"
    for sets, count in added.items():
        yield f"{count:,} maps are new in {sets}"


def require_version(version: str, before: str, changes: Changes) -> None:
    """Refuse a version that promises less change than there is.

    Raises
    ------
    RecipeError
        It is too small.
    """
    major, minor, patch = numbers(before)
    least = {
        "major": (major + 1, 0, 0) if major else (0, minor + 1, 0),
        "minor": (major, minor + 1, 0) if major else (0, minor, patch + 1),
        "patch": (major, minor, patch + 1),
        "none": (major, minor, patch + 1),
    }[changes.step]
    if numbers(version) < least:
        why = "; ".join(changes.reasons[:3]) or "a version is published once"
        raise RecipeError(
            f"the version {version} is too small after {before}: this is a {changes.step} change "
            f"({why}).",
            where="--version",
            remedy=f"Use {'.'.join(map(str, least))} or more.",
        )


def numbers(version: str) -> tuple[int, int, int]:
    """Major, minor and patch of a version."""
    major, minor, patch = (int(part) for part in version.split("."))
    return major, minor, patch


def changelog(version: str, date: str, changes: Changes | None, previous: Path | None) -> str:
    """``CHANGELOG.md``: this release, then what the previous one says of itself and its own."""
    lines = ["# Changes", "", f"## {version} - {date}", ""]
    if changes is None:
        lines += ["First release.", ""]
    else:
        lines += [f"Against {changes.old}: a {changes.step.replace('none', 'patch')} change.", ""]
        lines += [f"- {reason}" for reason in changes.reasons or ["Only texts changed"]]
        lines += ["", "| layer | same | altered | added | removed |", "|---|---|---|---|---|"]
        lines += [
            f"| {name} | {found.same:,} | {found.altered:,} | {found.added:,} | {found.removed:,} |"
            for name, found in changes.layers.items()
        ]
        lines.append("")
    lines += ["", *_earlier(previous)]
    return "\n".join(lines).rstrip() + "\n"


def _earlier(previous: Path | None) -> list[str]:
    """Entries of the previous release."""
    if previous is None:
        return []
    listed = next((f for f in read_manifest(previous).files if f.path == FILE_NAME), None)
    if listed is None:
        return []
    text = read_listed(previous, listed, MAX_CHANGELOG_BYTES).decode("utf-8", "replace")
    _, heading, rest = text.partition("\n## ")
    return (heading + rest).strip().splitlines()
