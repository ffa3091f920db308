"""Options of models and changes to recipes, from Python or from ``--set key=value``."""

from __future__ import annotations

import difflib
from dataclasses import fields, is_dataclass
from typing import TYPE_CHECKING, Any

import yaml
from pydantic import TypeAdapter, ValidationError

from rmtools.errors import RecipeError
from rmtools.files import first_problem

from ..recipe import Recipe

if TYPE_CHECKING:
    from collections.abc import Iterable

_RECIPE: TypeAdapter[Recipe] = TypeAdapter(Recipe)


def read_settings(settings: Iterable[str]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Sort ``--set`` into options of the model and changes to the recipe.

    ``model.width=32`` is an option; ``recipe.batch=8`` changes all phases, ``recipe.2.steps=500``
    the second one. Values are YAML, numbers may be written 1e-3.

    Raises
    ------
    RecipeError
        Neither of the two, or not of the form key=value.
    """
    options: dict[str, Any] = {}
    changes: dict[str, Any] = {}
    for setting in settings:
        key, separator, text = setting.partition("=")
        section, dot, name = key.strip().partition(".")
        if not separator or not dot or not name or section not in ("model", "recipe"):
            raise RecipeError(
                f"{setting!r} is not of the form model.KEY=VALUE or recipe.KEY=VALUE.",
                where="--set",
                remedy="Write for instance --set recipe.batch=8 or --set model.width=32.",
            )
        (options if section == "model" else changes)[name] = _value(key, text)
    return options, changes


def _value(key: str, text: str) -> Any:
    try:
        value = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise RecipeError(f"{text!r} is not a YAML value.", where=f"--set {key}") from error
    try:
        return float(value) if isinstance(value, str) else value  # 1e-3 is text in YAML 1.1
    except ValueError:
        return value


def constructor_options(options: dict[str, Any]) -> dict[str, Any]:
    """Options as a constructor wants them: the lists of JSON and YAML become tuples."""
    return {
        key: tuple(value) if isinstance(value, list) else value for key, value in options.items()
    }


def change_recipes(recipes: Iterable[Recipe], changes: dict[str, Any]) -> tuple[Recipe, ...]:
    """Change recipes.

    Parameters
    ----------
    recipes
        One for each phase.
    changes
        Values by dotted key: ``"batch"`` or ``"schedule.factor"`` for all phases, ``"1.steps"``
        for the first one, which wins.

    Raises
    ------
    RecipeError
        An unknown key (with the nearest known one), a phase that is not there, or a value that
        makes no sense.
    """
    plain = [_RECIPE.dump_python(recipe) for recipe in recipes]
    numbered = {key: key.partition(".")[0].isdigit() for key in changes}
    for key, value in sorted(changes.items(), key=lambda item: numbered[item[0]]):
        number, _, rest = key.partition(".")
        if not numbered[key]:
            number, rest = "", key
        elif not 1 <= int(number) <= len(plain):
            raise RecipeError(
                f"there is no phase {number}.",
                where=f"recipe.{key}",
                remedy=f"Phases are counted from 1 to {len(plain)}.",
            )
        for recipe in plain if not number else plain[int(number) - 1 :][:1]:
            _put(recipe, rest, value, f"recipe.{key}")
    return tuple(_checked(recipe) for recipe in plain)


def _put(recipe: dict[str, Any], key: str, value: Any, where: str) -> None:
    *sections, last = key.split(".")
    inner: Any = recipe
    for section in sections:
        inner = inner.get(section) if isinstance(inner, dict) else None
    if not isinstance(inner, dict) or last not in inner:
        known = list(_keys(Recipe))
        near = difflib.get_close_matches(key, known, n=1)
        hint = f"did you mean {near[0]!r}?" if near else f"known are {', '.join(known)}."
        raise RecipeError(f"a recipe has no {key!r}, {hint}", where=where)
    if isinstance(inner[last], dict):
        raise RecipeError(
            f"{key!r} has parts.", where=where, remedy=f"Give {', '.join(inner[last])} of it."
        )
    inner[last] = value


def _keys(kind: Any, prefix: str = "") -> Iterable[str]:
    """Dotted names of all values of a recipe."""
    for field in fields(kind):
        made: Any = field.default_factory
        if is_dataclass(made):
            yield from _keys(made, f"{prefix}{field.name}.")
        else:
            yield prefix + field.name


def _checked(plain: dict[str, Any]) -> Recipe:
    try:
        recipe = _RECIPE.validate_python(plain)
    except ValidationError as error:
        raise RecipeError(f"{first_problem(error)}.", where="recipe") from error
    counts = {
        "batch": recipe.batch,
        "accumulate": recipe.accumulate,
        "epochs": recipe.epochs,
        "steps": recipe.steps,
        "check_every": recipe.check_every,
        "patience": recipe.patience,
        "schedule.every": recipe.schedule.every,
    }
    if wrong := [key for key, value in counts.items() if value is not None and value < 1]:
        raise RecipeError(f"{wrong[0]} must be 1 or more.", where="recipe")
    if recipe.optimiser.learning_rate <= 0 or (recipe.clip is not None and recipe.clip <= 0):
        raise RecipeError("optimiser.learning_rate and clip must be above 0.", where="recipe")
    if recipe.ema is not None and not 0 < recipe.ema < 1:
        raise RecipeError("ema must be between 0 and 1.", where="recipe")
    return recipe
