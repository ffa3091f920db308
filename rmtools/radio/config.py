"""Which solver computes the path loss, and with which parameters."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

if TYPE_CHECKING:
    from rmtools.radio.solver import Solver


class SolverConfig(BaseModel):
    """A solver, a named preset of its constants, and what is changed in it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: Literal["dpm"] = Field(default="dpm", description="dpm: the embedded Dominant Path Model")
    preset: str = Field(
        default="radiomapmotion",
        description="Named set of constants: radiomapseer, winprop2021 or radiomapmotion",
    )
    overrides: dict[str, Any] = Field(
        default_factory=dict,
        description="Constants of the preset to change, such as frequency_mhz; docs/dpm.md "
        "lists them",
    )

    def describe(self) -> dict[str, Any]:
        """Solver, preset and every constant in force, for keys and provenance.

        Raises
        ------
        RecipeError
            The preset or an override is unknown or out of range.
        """
        from rmtools.radio.dpm.presets import resolve

        return {"solver": self.name, **resolve(self.preset, self.overrides).model_dump(mode="json")}

    def build(self) -> Solver:
        """Make the solver.

        Raises
        ------
        RecipeError
            The preset or an override is unknown or out of range.
        """
        from rmtools.radio.dpm.solver import DominantPathSolver

        return DominantPathSolver(self.preset, **self.overrides)
