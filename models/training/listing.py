"""What models there are, for ``rmtools train --list`` and docs/models.md."""

from __future__ import annotations

from typing import Any

import torch

from rmtools.errors import RmtoolsError

from .. import build, find, names
from ..interface import count_parameters

_UNCOUNTED = (RmtoolsError, RuntimeError, NotImplementedError, ValueError, TypeError)


def list_models() -> list[dict[str, Any]]:
    """Name, title, tasks, parameters, recipes and source of every model, as JSON values.

    Parameters are counted on torch's meta device, which needs no memory; None where a model
    cannot be made there, or a package that it needs is not installed.
    """
    return [_entry(name) for name in names()]


def _entry(name: str) -> dict[str, Any]:
    try:
        model = find(name)
    except ModuleNotFoundError as error:
        empty: dict[str, Any] = {"title": name, "tasks": [], "parameters": None, "recipes": []}
        return {"name": name, **empty, "source": f"needs {error.name}, which is not installed"}
    task = next(iter(model.conventions))
    size = {"size": 256} if "size" in model.options() else {}
    try:
        with torch.device("meta"):
            parameters = count_parameters(build(name, task=task, **size))
    except _UNCOUNTED:
        parameters = None
    return {
        "name": name,
        "title": model.title,
        "tasks": list(model.conventions),
        "parameters": parameters,
        "recipes": list(model.recipes),
        "source": model.source,
    }


def as_table() -> str:
    """The same as a Markdown table."""
    lines = [
        "| model | name in papers | tasks | parameters | paper recipe | source |",
        "|---|---|---|---|---|---|",
    ]
    for each in list_models():
        count = "" if each["parameters"] is None else f"{each['parameters']:,}"
        recipe = _brief(each["name"])
        lines.append(
            f"| `{each['name']}` | {each['title']} | {', '.join(each['tasks'])} | {count} | "
            f"{recipe} | {each['source']} |"
        )
    return "\n".join(lines)


def _brief(name: str) -> str:
    """The paper recipe of a model in some words."""
    try:
        recipes = find(name).recipes.get("paper", ())
    except ModuleNotFoundError:
        return ""
    words = []
    for recipe in recipes:
        rate, long = recipe.optimiser, (recipe.epochs, recipe.steps)
        length = f"{long[0]} epochs" if long[0] else f"{long[1]:,} steps"
        batch = recipe.batch * recipe.accumulate
        kind = {"adam": "Adam", "adamw": "AdamW"}[rate.kind]
        words.append(f"{kind} {rate.learning_rate:g}, batch {batch}, {length}")
    return "; ".join(dict.fromkeys(words))
