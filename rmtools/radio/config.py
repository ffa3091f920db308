"""Which solver computes the path loss, and with which parameters."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

if TYPE_CHECKING:
    from rmtools.radio.solver import Solver


class SolverConfig(BaseModel):
    """A solver, a named preset of its constants, and what is changed in it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: Literal["dpm", "sionna"] = Field(
        default="dpm",
        description="dpm: the embedded Dominant Path Model; sionna: the ray tracer Sionna RT, an "
        "optional package",
    )
    preset: str = Field(
        default="radiomapmotion",
        description="Named set of constants; dpm: radiomapseer, winprop2021 or radiomapmotion; "
        "sionna: irt2-like or irt4-like",
    )
    overrides: dict[str, Any] = Field(
        default_factory=dict,
        description="Constants of the preset to change, such as frequency_mhz; docs/dpm.md and "
        "docs/sionna.md list them",
    )

    def describe(self) -> dict[str, Any]:
        """Solver, preset and every constant in force, for keys and provenance.

        Raises
        ------
        RecipeError
            The preset or an override is unknown or out of range.
        """
        from rmtools.radio import sionna_presets
        from rmtools.radio.dpm import presets

        resolve = sionna_presets.resolve if self.name == "sionna" else presets.resolve
        constants = resolve(self.preset, self.overrides)
        return {"solver": self.name, **constants.model_dump(mode="json")}

    def require(self) -> None:
        """Make sure that what the solver needs from outside is there.

        Raises
        ------
        MissingError
            The package of an optional solver is not installed or cannot run here.
        """
        if self.name == "sionna":
            from rmtools.radio.sionna import load_sionna

            load_sionna()

    def build(self) -> Solver:
        """Make the solver.

        Raises
        ------
        RecipeError
            The preset or an override is unknown or out of range.
        MissingError
            The package of an optional solver is not installed or cannot run here.
        """
        if self.name == "sionna":
            from rmtools.radio.sionna import SionnaSolver

            return SionnaSolver(self.preset, **self.overrides)
        from rmtools.radio.dpm.solver import DominantPathSolver

        return DominantPathSolver(self.preset, **self.overrides)
