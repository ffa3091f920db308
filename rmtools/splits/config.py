"""How a dataset is split, as a section of the recipe."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from rmtools.errors import RecipeError
from rmtools.splits.ratios import RATIOS, sound_ratios

if TYPE_CHECKING:
    from collections.abc import Iterable

    from rmtools.splits.inventory import Inventory
    from rmtools.splits.manifest import SplitManifest
    from rmtools.store import Store

Kind = Literal[
    "motion", "geographic", "city", "block", "component", "trajectory", "random", "published"
]

USED_BY: dict[str, tuple[Kind, ...]] = {
    "name": ("published",),
    "ratios": ("geographic", "city", "block", "component", "trajectory", "random"),
    "seed": ("geographic", "city", "block", "component", "trajectory", "random"),
    "buffer_m": ("geographic", "city", "block", "component"),
    "block_m": ("block",),
}
"""Kinds of splits that a key matters to; the others ignore it."""


def _for(key: str, text: str) -> str:
    return f"{text}; used by {', '.join(USED_BY[key])}"


class SplitConfig(BaseModel):
    """How a dataset is split."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    kind: Kind = Field(
        default="motion",
        description="motion: the RadioMapMotion paper's sets, scaled to the number of scenes; "
        "whole groups to sets: geographic (strips of the ground), city, block (squares of the "
        "ground), component (scenes that overlap or are near), random (scenes); trajectory: all "
        "scenes in every set; published: the split called name",
    )
    name: str | None = Field(
        default=None, description=_for("name", "Published split, see `rmtools split --list`")
    )
    ratios: dict[str, float] = Field(
        default_factory=lambda: dict(RATIOS),
        description=_for("ratios", "Sets and their shares"),
    )
    seed: int | None = Field(
        default=None, ge=0, lt=2**63, description=_for("seed", "Seed, the recipe's when null")
    )
    buffer_m: float = Field(
        default=0.0,
        ge=0,
        allow_inf_nan=False,
        description=_for("buffer_m", "Least distance between scenes of different sets"),
    )
    block_m: float = Field(
        default=1024.0,
        gt=0,
        allow_inf_nan=False,
        description=_for("block_m", "Side of a block"),
    )

    @field_validator("ratios")
    @classmethod
    def _positive(cls, ratios: dict[str, float]) -> dict[str, float]:
        if not sound_ratios(ratios):
            raise ValueError("give two or more sets with positive shares (any unit)")
        return ratios

    @model_validator(mode="after")
    def _named(self) -> SplitConfig:
        if self.kind == "published" and self.name is None:
            raise ValueError("kind published needs the name of a split")
        return self

    def check_used(self, keys: Iterable[str]) -> None:
        """Refuse keys that someone gave for this split and that its kind ignores.

        Raises
        ------
        RecipeError
            One of them does not matter to the kind.
        """
        for key in keys:
            if self.kind not in USED_BY[key]:
                raise RecipeError(
                    f"{key} does not matter to a split of kind {self.kind}.",
                    where=f"split.{key}",
                    remedy=f"It is for {', '.join(USED_BY[key])}; leave it out or choose --kind.",
                )

    def make(self, dataset: Store | Inventory, seed: int) -> SplitManifest:
        """Split a dataset.

        Parameters
        ----------
        dataset
            A store, or what :func:`rmtools.splits.inventory.inventory_of` found in a folder.
        seed
            Used when the section has none of its own.

        Raises
        ------
        RecipeError
            The ratios make no sense, a set would be empty, the dataset lacks what the kind needs
            (places, cities, trajectories), or no scene of a published split is there.
        """
        from rmtools.splits import geographic, grouped, motion
        from rmtools.splits.inventory import Inventory, inventory_of_store
        from rmtools.splits.published import published_split, restrict

        found = dataset if isinstance(dataset, Inventory) else inventory_of_store(dataset)
        ratios, buffer_m = self.ratios, self.buffer_m
        seed = seed if self.seed is None else self.seed
        match self.kind:
            case "motion":
                return motion.split_inventory(found)
            case "geographic":
                return geographic.split_inventory(
                    found, ratios=ratios, seed=seed, buffer_m=buffer_m
                )
            case "city":
                return grouped.city_split(found, ratios=ratios, seed=seed, buffer_m=buffer_m)
            case "component":
                return grouped.component_split(found, ratios=ratios, seed=seed, buffer_m=buffer_m)
            case "block":
                return grouped.block_split(
                    found, ratios=ratios, seed=seed, buffer_m=buffer_m, block_m=self.block_m
                )
            case "trajectory":
                return grouped.trajectory_split(found, ratios=ratios, seed=seed)
            case "random":
                return grouped.random_split(found, ratios=ratios, seed=seed)
            case "published":
                return restrict(published_split(self.name or ""), found)
