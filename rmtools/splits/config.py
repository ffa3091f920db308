"""How a dataset is split, as a section of the recipe."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

from rmtools.splits.ratios import RATIOS, sound_ratios

if TYPE_CHECKING:
    from rmtools.splits.manifest import SplitManifest
    from rmtools.store import Store


class SplitConfig(BaseModel):
    """How a dataset is split."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    kind: Literal["motion", "geographic"] = Field(
        default="motion",
        description="motion: the RadioMapMotion paper's sets, scaled to the number of scenes; "
        "geographic: whole scenes by place on the ground",
    )
    ratios: dict[str, float] = Field(
        default_factory=lambda: dict(RATIOS),
        description="geographic: sets and their shares of the scenes",
    )

    @field_validator("ratios")
    @classmethod
    def _positive(cls, ratios: dict[str, float]) -> dict[str, float]:
        if not sound_ratios(ratios):
            raise ValueError("give two or more sets with positive shares (any unit)")
        return ratios

    buffer_m: float = Field(
        default=0.0,
        ge=0,
        description="geographic: least distance between scenes of different sets",
    )

    def make(self, store: Store, seed: int) -> SplitManifest:
        """Split a store.

        Raises
        ------
        RecipeError
            The ratios make no sense, or a set would be empty.
        """
        from rmtools.splits import geographic, motion

        if self.kind == "motion":
            return motion.split_store(store)
        return geographic.split_store(store, ratios=self.ratios, seed=seed, buffer_m=self.buffer_m)
