"""Recipes: everything a dataset depends on, in one YAML file.

A recipe is checked before anything is done; a key it does not know is an error that names the
nearest key it does know. ``schemas/recipe.schema.json`` describes the format.
"""

from __future__ import annotations

import difflib
import re
from pathlib import Path
from typing import Annotated, Any, get_args

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from rmtools.city.config import CityConfig
from rmtools.errors import RecipeError
from rmtools.files import read_bytes, write_text
from rmtools.grid import Grid
from rmtools.layouts.config import LayoutsConfig
from rmtools.radio.config import SolverConfig
from rmtools.radio.transmitters import PlacementConfig
from rmtools.splits.config import SplitConfig
from rmtools.strict_yaml import strict_yaml
from rmtools.traffic.config import TrafficConfig

MAX_RECIPE_BYTES = 2**20


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class GridConfig(_Section):
    """Raster grid of every scene."""

    n: int = Field(default=256, ge=8, le=8192, description="Pixels per side")
    resolution_m: float = Field(default=1.0, gt=0, le=100, description="Side of a pixel in metres")

    def build(self) -> Grid:
        """The grid."""
        return Grid(self.n, self.resolution_m)


class Recipe(_Section):
    """A dataset, from the city to the report."""

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$")] = Field(
        default="dataset", description="Name of the dataset and of its default folder"
    )
    title: str = Field(default="", max_length=300, description="One line for people")
    seed: int = Field(default=1, ge=0, lt=2**63, description="Everything random derives from it")
    grid: GridConfig = Field(default_factory=GridConfig)
    city: CityConfig = Field(default_factory=CityConfig)
    traffic: TrafficConfig = Field(default_factory=TrafficConfig)
    transmitters: PlacementConfig = Field(default_factory=PlacementConfig)
    solver: SolverConfig = Field(default_factory=SolverConfig)
    layouts: LayoutsConfig = Field(default_factory=LayoutsConfig)
    split: SplitConfig = Field(default_factory=SplitConfig)
    report: bool = Field(default=True, description="Whether to write report.html")


def load_recipe(path: Path, settings: list[str] | None = None) -> Recipe:
    """Read a recipe and apply ``key=value`` settings to it.

    Parameters
    ----------
    path
        YAML file. Relative paths in it (``city.source``, ``traffic.tracks``,
        ``solver.antenna.pattern``) are relative to the file.
    settings
        Such as ``"city.source=london.osm.pbf"``; values are YAML, paths relative to the current
        folder.

    Raises
    ------
    RecipeError
        Not YAML, an unknown key (with the nearest known one), or a value out of range.
    """
    try:
        data = strict_yaml(read_bytes(path, MAX_RECIPE_BYTES))
    except yaml.YAMLError as error:
        raise RecipeError(
            f"not readable as YAML ({' '.join(str(error).split())}).",
            where=path,
            remedy="Correct the line it names; pipelines/demo.yaml is a working example.",
        ) from error
    if data is None:
        data = {}
    if not isinstance(data, dict):
        raise RecipeError(
            f"a recipe is a mapping of sections, this file holds a {type(data).__name__}.",
            where=path,
            remedy="pipelines/demo.yaml is a working example.",
        )
    for *sections, key in _PATHS:
        section: Any = data
        for name in sections:
            section = section.get(name) if isinstance(section, dict) else None
        if isinstance(section, dict) and key in section:
            section[key] = _absolute(section[key], path.resolve().parent)
    recipe = check_recipe(data, path)
    return check_recipe(with_settings(data, settings), "--set") if settings else recipe


def with_settings(data: dict[str, Any], settings: list[str]) -> dict[str, Any]:
    """Apply ``dotted.key=value`` settings to the plain form of a recipe, in place."""
    for setting in settings:
        key, separator, text = setting.partition("=")
        parts = key.strip().split(".")
        if not separator or not all(parts):
            raise RecipeError(
                f"{setting!r} is not of the form key=value.",
                where="--set",
                remedy="Write for instance --set traffic.vehicles=30.",
            )
        try:
            value = strict_yaml(text)
        except yaml.YAMLError as error:
            raise RecipeError(f"{text!r} is not a YAML value.", where=f"--set {key}") from error
        if parts in _PATHS:
            value = _absolute(value, Path.cwd())
        section = data
        for part in parts[:-1]:
            inner = section.setdefault(part, {})
            if not isinstance(inner, dict):
                inner = section[part] = {}
            section = inner
        section[parts[-1]] = value
    return data


def check_recipe(data: dict[str, Any], where: str | Path) -> Recipe:
    """Validate the plain form of a recipe; every problem is named, unknown keys with a hint."""
    try:
        return Recipe.model_validate(data)
    except ValidationError as error:
        problems = "; ".join(_explain(item) for item in error.errors(include_url=False))
        raise RecipeError(
            problems if problems.endswith("?") else f"{problems}.",
            where=where,
            remedy="docs/recipes.md lists every key.",
        ) from error


def write_recipe(path: Path, recipe: Recipe) -> None:
    """Write a recipe as YAML with every key spelled out."""
    text = yaml.safe_dump(recipe.model_dump(mode="json"), sort_keys=False, allow_unicode=True)
    write_text(path, text)


_PATHS = [
    ["city", "source"],
    ["traffic", "tracks", "files"],
    ["traffic", "tracks", "net"],
    ["solver", "antenna", "pattern"],
]
"""Keys that hold paths."""

_SCHEME = re.compile(r"^(demo$|place:|bbox:)")


def _absolute(source: Any, folder: Path) -> Any:
    """Make paths absolute, leave everything else to validation."""
    if isinstance(source, list):
        return [_absolute(item, folder) for item in source]
    if not isinstance(source, str) or _SCHEME.match(source):
        return source
    prefix = "seer:" if source.startswith("seer:") else ""
    return prefix + str((folder / Path(source.removeprefix("seer:")).expanduser()).resolve())


def _explain(item: Any) -> str:
    """One validation problem in words."""
    location = [str(part) for part in item["loc"]]
    key = ".".join(location)
    if item["type"] != "extra_forbidden":
        message = item["msg"].removeprefix("Value error, ")
        return f"{key}: {message[0].lower()}{message[1:]} (got {item['input']!r:.80})"
    known = _known_keys(location[:-1])
    near = difflib.get_close_matches(location[-1], known, n=1, cutoff=0.5)
    hint = f"did you mean {near[0]!r}?" if near else f"known keys are {', '.join(sorted(known))}"
    return f"unknown key {key!r}, {hint}"


def _known_keys(location: list[str]) -> list[str]:
    """Keys of the section at a location, through optional sections."""
    model: type[BaseModel] = Recipe
    for part in location:
        field = model.model_fields.get(part)
        if field is None:
            continue
        candidates = [field.annotation, *get_args(field.annotation)]
        for candidate in candidates:
            if isinstance(candidate, type) and issubclass(candidate, BaseModel):
                model = candidate
    return list(model.model_fields)
