"""Write the pages of docs/ that are made from the code: ``make docs``.

A test fails when they are not current.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

import typer
from pydantic import BaseModel

from rmtools.city.policy import to_markdown
from rmtools.cli import app
from rmtools.errors import ExitCode
from rmtools.run.recipe import Recipe

if TYPE_CHECKING:
    from collections.abc import Iterator

HERE = Path(__file__).resolve().parent

_CODES = {
    ExitCode.OK: "done, or everything was up to date",
    ExitCode.BUG: "an error of rmtools itself; please report it with the traceback",
    ExitCode.USAGE: "the command line was not understood",
    ExitCode.INPUT: "a file that was read is missing, broken, empty or not what it claims to be",
    ExitCode.RECIPE: "a recipe or an option does not make sense",
    ExitCode.MISSING: "something outside is missing: the network, a package, a solver",
    ExitCode.INVALID: "a dataset was read, but its content is wrong",
    ExitCode.STORAGE: "the disk is full or read-only, memory ran out, or workers kept dying",
    ExitCode.BUSY: "another rmtools works on the same dataset",
    ExitCode.LEAK: "a split was audited, and its sets have something in common",
    ExitCode.ALTERED: "a release was verified, and its files are not those of its manifest",
    ExitCode.INTERRUPTED: "stopped by Ctrl-C",
}


def recipes() -> str:
    """docs/recipes.md: every key of a recipe."""
    lines = [
        "# Recipes: every key",
        "",
        "A recipe is one YAML file that a dataset is made from: `rmtools run RECIPE`. Every key",
        "has the default below; the one to give is `city.source`. An unknown key is an error that",
        "names the nearest known one. Any key can be given on the command line, too,",
        "`--set traffic.vehicles=30`. The machine-readable form is",
        "[schemas/recipe.schema.json](../schemas/recipe.schema.json); `pipelines/` holds recipes",
        "that come with rmtools.",
        "",
        "| key | default | meaning |",
        "|---|---|---|",
    ]
    return "\n".join([*lines, *_rows(Recipe, "")]) + "\n"


def _rows(model: type[BaseModel], prefix: str) -> list[str]:
    rows = []
    for name, field in model.model_fields.items():
        default = field.get_default(call_default_factory=True)
        default = "required" if field.is_required() else default
        text = " ".join((field.description or "").split()).replace("|", "\\|")
        if isinstance(default, BaseModel):
            summary = text or (type(default).__doc__ or "").strip().splitlines()[0]
            rows.append(f"| **`{prefix}{name}`** | | {summary} |")
            rows += _rows(type(default), f"{prefix}{name}.")
        else:
            rows.append(f"| `{prefix}{name}` | `{_plain(default)}` | {text} |")
            for inner in get_args(field.annotation):  # a section that is left out by default
                if isinstance(inner, type) and issubclass(inner, BaseModel):
                    rows += _rows(inner, f"{prefix}{name}.")
    return rows


def _plain(value: Any) -> str:
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    return str(value) if value != "" else '""'


def cli() -> str:
    """docs/cli.md: every verb and option."""
    group = typer.main.get_command(app)
    context = typer.Context(group, info_name="rmtools")
    lines = [
        "# The command line: every verb",
        "",
        "One verb is one step and each can be run by itself; `rmtools run` does them all.",
        "Results go to stdout, talk to stderr, and the last line names the next command to try.",
        "When a verb fails, stdout stays empty (also with `--json`) and the exit code says why. A",
        "verb that needs an earlier step makes it first, with the recipe's values, so give options",
        "in the order of the steps.",
        "",
        "## Exit codes",
        "",
        "| code | meaning |",
        "|---|---|",
        *(f"| {int(code)} | {text} |" for code, text in _CODES.items()),
        "",
    ]
    for name, command in _commands(group, context, ""):
        usage = [p.name.upper() for p in command.params if p.param_type_name == "argument"]
        lines += [f"## rmtools {name}", "", f"`rmtools {' '.join([name, *usage])} [OPTIONS]`", ""]
        lines += [
            command.help.strip(),
            "",
            "| argument or option | default | meaning |",
            "|---|---|---|",
        ]
        for parameter in command.params:
            shown = ", ".join(f"`{option}`" for option in parameter.opts)
            default = parameter.default
            plain = "" if default is None or parameter.required else f"`{_plain(default)}`"
            text = (getattr(parameter, "help", "") or "").replace("|", "\\|")
            lines.append(f"| {shown} | {plain} | {text} |")
        lines.append("")
    return "\n".join(lines).rstrip() + "\n"


def _commands(group: Any, context: Any, prefix: str) -> Iterator[tuple[str, Any]]:
    """Every command with its name; a group's first one goes by the group's."""
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        if hasattr(command, "list_commands"):
            yield from _commands(command, context, f"{prefix}{name} ")
        else:
            yield (prefix.strip() if name == "make" else f"{prefix}{name}"), command


def models() -> str:
    """docs/models.md: written by hand but for the table of models."""
    from rmtools.models.training.listing import as_table

    before, rest = (HERE / "models.md").read_text().split("<!-- models -->\n")
    _, after = rest.split("<!-- end -->\n")
    return f"{before}<!-- models -->\n{as_table()}\n<!-- end -->\n{after}"


def build() -> dict[str, str]:
    """All generated pages by file name."""
    return {
        "recipes.md": recipes(),
        "cli.md": cli(),
        "osm-policy.md": to_markdown(),
        "models.md": models(),
    }


if __name__ == "__main__":
    for page, page_text in build().items():
        (HERE / page).write_text(page_text)
        print(HERE / page)
