"""Split manifests: which scenes, trajectories and transmitters belong to which set, by name.

Loaders read names from a manifest and nothing else; no index arithmetic. ``leaky: true`` marks a
split whose sets share scenes, with the reason beside it.
"""

from __future__ import annotations

from itertools import combinations
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from rmtools.errors import InputError
from rmtools.files import read_model, sha256_json, write_json

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from rmtools.store import Store

SPLIT_NAME = "split.json"

Index = Annotated[int, Field(ge=0)]
SplitKind = Literal[
    "radiomapmotion",
    "geographic",
    "published",
    "city",
    "block",
    "component",
    "trajectory",
    "random",
]


class SplitSet(BaseModel):
    """Members of one set: every combination of its scenes, trajectories and transmitters."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    scenes: list[str] = Field(min_length=1, description="Names of the scenes")
    trajectories: list[Index] | None = Field(
        default=None, min_length=1, description="Indices of the trajectories, null for all"
    )
    transmitters: list[Index] | None = Field(
        default=None, min_length=1, description="Indices of the transmitters, null for all"
    )
    sequences: int = Field(ge=1, description="Number of sequences, for checking")

    def shares_sequences(self, other: SplitSet) -> bool:
        """Whether a sequence is in both sets."""
        return bool(
            set(self.scenes) & set(other.scenes)
            and _meet(self.trajectories, other.trajectories)
            and _meet(self.transmitters, other.transmitters)
        )


class SplitSource(BaseModel):
    """Where a published split was read."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    what: str = Field(description="Classes of the code, or what the paper says")
    repository: str | None = Field(
        default=None, description="GitHub repository as owner/name, null for a paper"
    )
    file: str | None = Field(default=None, description="File in the repository")
    commit: str | None = Field(default=None, description="Commit of the file")
    also: list[str] = Field(default_factory=list, description="Other code with the same sets")


class SceneOrder(BaseModel):
    """The order of scenes of which sets are ranges."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    size: int = Field(ge=1, description="The values 0 ... size - 1 are ordered")
    seed: int | None = Field(
        description="Seed of NumPy's legacy generator that shuffles them, null for ascending order"
    )
    add: int = Field(description="What is added to a value to get the id of the scene")
    positions: dict[str, tuple[Index, Index]] = Field(
        description="First and last position of every set, counted from 0, both included"
    )


class SplitManifest(BaseModel):
    """A split, frozen: names, how they were chosen, whether it leaks, and a checksum."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    kind: Literal["split"] = "split"
    format: Literal[1] = 1
    name: str = Field(min_length=1, max_length=200)
    method: SplitKind = Field(description="Family of rules the split was made by")
    description: str = Field(description="How the sets were chosen, reproducibly")
    seed: int | None = Field(default=None, description="Seed of the choice, null where none")
    source: SplitSource | None = Field(
        default=None, description="Where the split was published, null for a new one"
    )
    order: SceneOrder | None = Field(
        default=None,
        description="How a published split's scenes follow from positions, null where they do not",
    )
    dataset: str = Field(description="Title of the dataset whose names these are")
    dataset_sha256: str | None = Field(
        default=None, description="Digest of its scenes and sizes, see dataset_digest"
    )
    sets: dict[str, SplitSet] = Field(min_length=1)
    left_out: list[str] = Field(default_factory=list, description="Scenes in no set")
    leaky: bool = Field(description="Whether sets share scenes (or are known to leak otherwise)")
    leaky_reason: str | None = None
    notes: list[str] = Field(default_factory=list)
    sha256: str = Field(description="SHA-256 of the canonical JSON of `sets`")

    @model_validator(mode="after")
    def _consistent(self) -> SplitManifest:
        if self.leaky != (self.leaky_reason is not None):
            raise ValueError("leaky_reason must be given if and only if leaky is true")
        for name, members in self.sets.items():
            if len(set(members.scenes)) != len(members.scenes):
                raise ValueError(f"set {name!r} names a scene twice")
        if self.sha256 != sets_digest(self.sets):
            raise ValueError("sha256 does not fit the sets; they were changed after writing")
        return self

    def shared_scenes(self) -> dict[str, list[str]]:
        """Scenes in more than one set: ``"train/val"`` to sorted names."""
        shared = {}
        for (name_a, a), (name_b, b) in combinations(self.sets.items(), 2):
            if both := sorted(set(a.scenes) & set(b.scenes)):
                shared[f"{name_a}/{name_b}"] = both
        return shared

    def sequences(self, name: str, store: Store) -> Iterator[tuple[int, int, int]]:
        """Indices (scene, trajectory, transmitter) of all sequences of a set, in order.

        Raises
        ------
        InputError
            The manifest has no such set, or the store has not all of its members.
        """
        if name not in self.sets:
            raise InputError(
                f"the split has no set {name!r}.",
                where=self.name,
                remedy=f"Choose one of {', '.join(self.sets)}.",
            )
        members, sizes = self.sets[name], store.sizes
        index = {scene: i for i, scene in enumerate(store.scene_names)}
        if unknown := [scene for scene in members.scenes if scene not in index]:
            raise InputError(
                f"the dataset has no scene {unknown[0]!r} ({len(unknown)} are missing).",
                where=store.path,
                remedy="Use the split made for this dataset, or make one with `rmtools split`.",
            )
        trajectories = members.trajectories or range(sizes.traj)
        transmitters = members.transmitters or range(sizes.tx)
        if max(trajectories) >= sizes.traj or max(transmitters) >= sizes.tx:
            raise InputError(
                f"the set {name!r} names trajectory {max(trajectories)} and transmitter "
                f"{max(transmitters)}; the dataset has {sizes.traj} and {sizes.tx}, counted from "
                "0.",
                where=store.path,
                remedy="Use the split made for this dataset, or make one with `rmtools split`.",
            )
        for scene in members.scenes:
            yield from ((index[scene], traj, tx) for traj in trajectories for tx in transmitters)


def make_manifest(sets: Mapping[str, SplitSet], **fields: Any) -> SplitManifest:
    """Build a manifest and its checksum; `fields` are the other members."""
    return SplitManifest(sets=dict(sets), sha256=sets_digest(sets), **fields)


def sets_digest(sets: Mapping[str, SplitSet]) -> str:
    """SHA-256 over the canonical JSON of the sets."""
    return sha256_json({name: members.model_dump(mode="json") for name, members in sets.items()})


def dataset_digest(store: Store) -> str:
    """SHA-256 over what a split refers to: names and digests of the scenes, and the sizes."""
    sizes = store.sizes
    return sha256_json(
        {
            "scenes": [[scene["name"], scene["sha256"]] for scene in store.attributes["scenes"]],
            "traj": sizes.traj,
            "tx": sizes.tx,
            "frame": sizes.frame,
        }
    )


def write_manifest(path: Path, manifest: SplitManifest) -> None:
    """Write a manifest as JSON."""
    write_json(path, manifest.model_dump(mode="json"))


def read_manifest(path: Path) -> SplitManifest:
    """Read a manifest and check it against its own checksum.

    Raises
    ------
    InputError
        Missing, not JSON, a member missing or wrong, or changed after it was written.
    """
    return read_model(
        path,
        SplitManifest,
        "a split manifest",
        "Restore the file or make the split again with `rmtools split`.",
    )


def _meet(a: list[int] | None, b: list[int] | None) -> bool:
    """Whether two selections share an index; None selects everything."""
    return a is None or b is None or bool(set(a) & set(b))
