"""The command line: typer, one small file per group of verbs, no logic."""

from __future__ import annotations

import sys

import typer

from rmtools.cli import (
    audit,
    benchmark,
    build,
    evaluate,
    look,
    publish,
    release,
    run,
    train,
    winprop,
)
from rmtools.errors import ExitCode, RmtoolsError, from_os_error
from rmtools.remote import from_network_error, network_errors

app = typer.Typer(
    name="rmtools",
    help="Turn a piece of OpenStreetMap into a radio-map dataset that others can trust.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
for group in (run, build, publish, release, audit, look, evaluate, train, benchmark, winprop):
    group.register(app)


@app.callback(invoke_without_command=True)
def _root(
    version: bool = typer.Option(default=False, help="Print the version and stop."),
) -> None:
    if version:
        from rmtools import __version__

        typer.echo(__version__)
        raise typer.Exit


def main() -> None:
    """Run the command line and end the process with a documented exit code."""
    try:
        app()
    except RmtoolsError as error:
        _end(str(error), error.exit_code)
    except OSError as error:
        explained = from_os_error(error)
        _end(str(explained), explained.exit_code)
    except network_errors() as error:
        explained = from_network_error(error)
        _end(str(explained), explained.exit_code)
    except KeyboardInterrupt:  # before a verb had begun; typer looks after it from there on
        _end("stopped.", ExitCode.INTERRUPTED)


def _end(message: str, code: ExitCode) -> None:
    typer.echo(f"error: {message}", err=True)
    sys.exit(code)
