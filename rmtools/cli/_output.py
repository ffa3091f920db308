"""The one place where the command line talks: results to stdout, everything else to stderr."""

from __future__ import annotations

import contextlib
import json
from typing import TYPE_CHECKING, Annotated, Any

import typer

from rmtools.errors import ExitCode

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

Json = Annotated[bool, typer.Option("--json", help="Print the result as JSON on stdout.")]


def result(value: dict[str, Any], lines: Sequence[str], *, as_json: bool) -> None:
    """Print a result: `value` for machines or `lines` for people."""
    typer.echo(json.dumps(value, indent=1, ensure_ascii=False) if as_json else "\n".join(lines))


def printable(text: str) -> str:
    """Text of a stranger, such as a file's name, without what could command the terminal."""
    return "".join(character if character.isprintable() else "?" for character in text)


def say(text: str) -> None:
    """Tell the person something that is not the result."""
    typer.echo(text, err=True)


@contextlib.contextmanager
def stoppable() -> Iterator[None]:
    """End with the documented exit code and a sentence when Ctrl-C is pressed."""
    try:
        yield
    except KeyboardInterrupt as interrupt:
        say("error: stopped. The same command continues from here.")
        raise typer.Exit(ExitCode.INTERRUPTED) from interrupt


def hint(command: str) -> None:
    """Name the next command to try."""
    typer.echo(f"next: {command}", err=True)
