"""Named sets of a solver's constants, and what is changed in them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from rmtools.errors import RecipeError
from rmtools.files import first_problem

if TYPE_CHECKING:
    from collections.abc import Mapping


class NamedPreset(BaseModel):
    """What every set of constants says of itself; frozen, and unknown names are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    name: str = Field(min_length=1, description="Name written into the provenance")
    evidence: str = Field(description="What the constants rest on")


P = TypeVar("P", bound=NamedPreset)


def change(presets: Mapping[str, P], preset: P | str, overrides: dict[str, Any], solver: str) -> P:
    """Preset by name, with some of its constants replaced.

    Parameters
    ----------
    presets
        Those that have a name.
    preset
        One of their names, or constants of the user's own.
    overrides
        Constants to replace.
    solver
        Whose they are, for the message.

    Raises
    ------
    RecipeError
        Unknown preset or constant, or a value out of range.
    """
    if isinstance(preset, str):
        if preset not in presets:
            raise RecipeError(
                f"there is no {solver} preset {preset!r}.",
                remedy=f"Choose one of {', '.join(presets)}.",
            )
        preset = presets[preset]
    model = type(preset)
    try:
        return model.model_validate({**preset.model_dump(), **overrides})
    except ValidationError as e:
        raise RecipeError(
            f"{first_problem(e)}.",
            where=f"{solver} preset {preset.name}",
            remedy=f"Constants are {', '.join(model.model_fields)}.",
        ) from e
