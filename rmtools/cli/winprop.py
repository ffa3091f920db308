"""The verbs that hand jobs to a solver outside, and take its results back."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rmtools.cli._output import Json, hint, result, say
from rmtools.cli._stages import Dataset, Overwrite, Workers

if TYPE_CHECKING:
    from rmtools.radio.external import Fit
    from rmtools.winprop.export import Source
    from rmtools.winprop.manifest import Solver
    from rmtools.winprop.plan import JobOptions

Jobs = Annotated[Path, typer.Argument(help="Folder for the jobs.", show_default=False)]
Frequency = Annotated[
    float | None,
    typer.Option(min=1.0, help="Carrier frequency in MHz; the dataset's when not given."),
]
Height = Annotated[
    float | None,
    typer.Option(min=0.01, help="Height of the receivers in metres; the dataset's when not given."),
]
Power = Annotated[float, typer.Option(help="Output power of every transmitter in dBm.")]
Static = Annotated[
    bool, typer.Option("--static", help="Without vehicles: one job for every scene.")
]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Say how much would be written, and stop.")]


def export_winprop(
    dataset: Dataset,
    out: Jobs,
    template: Annotated[
        Path,
        typer.Option(
            help="Your own urban project, saved in ProMan: its path without suffix, or its .net.",
            show_default=False,
        ),
    ],
    frequency: Frequency = None,
    receiver_height: Height = None,
    power: Power = 23.0,
    static: Static = False,
    keep_antenna: Annotated[
        bool,
        typer.Option(
            "--keep-antenna", help="Use the antenna of the template's first site, not isotropic."
        ),
    ] = False,
    place: Annotated[
        str,
        typer.Option(
            help="Where the folder will lie on the machine with WinProp, such as C:\\jobs; "
            "without it the projects name files beside themselves."
        ),
    ] = "",
    workers: Workers = 0,
    dry_run: DryRun = False,
    as_json: Json = False,
) -> None:
    """Write a WinProp job for every car state: buildings, project, run scripts."""
    from rmtools.winprop.export import Source
    from rmtools.winprop.plan import JobOptions
    from rmtools.winprop.project import read_template

    source = Source(dataset, read_template(template), place)
    options = JobOptions(frequency, receiver_height, power, static, keep_antenna)
    _export(source, out, options, workers=workers, dry_run=dry_run, as_json=as_json)
    if not dry_run:
        hint(f"{out}/run.sh, or run.cmd on Windows; docs/winprop.md says what comes before")


def export_jobs(
    dataset: Dataset,
    out: Jobs,
    frequency: Frequency = None,
    receiver_height: Height = None,
    power: Power = 23.0,
    static: Static = False,
    workers: Workers = 0,
    dry_run: DryRun = False,
    as_json: Json = False,
) -> None:
    """Write jobs that any solver can do: GeoJSON in, CSV or npz back."""
    from rmtools.winprop.export import Source
    from rmtools.winprop.plan import JobOptions

    options = JobOptions(frequency, receiver_height, power, static)
    _export(Source(dataset), out, options, workers=workers, dry_run=dry_run, as_json=as_json)
    if not dry_run:
        hint(f"read {out}/README.txt")


def _export(
    source: Source,
    out: Path,
    options: JobOptions,
    *,
    workers: int,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Write the jobs, or say how much they would be."""
    from rmtools.run.progress import Progress
    from rmtools.winprop.export import estimate, export_jobs, plan

    manifest = plan(source, options)
    for note in manifest.notes:
        say(f"note: {note}")
    if dry_run:
        found, about = estimate(source, out, manifest), "about "
    else:
        with Progress() as progress:
            found = export_jobs(
                source, out, manifest, workers=workers or os.cpu_count() or 1, progress=progress
            )
        about = ""
    results = sum(1 for _ in manifest.expected())
    result(
        {"folder": str(out), "dry_run": dry_run, "results": results, **found._asdict()},
        [
            f"{found.jobs} jobs for {results} radio maps, {found.done_before} were there before",
            f"{about}{found.files:,} files, {found.bytes:,} bytes in {out}",
        ],
        as_json=as_json,
    )


Ingest = Annotated[
    Path,
    typer.Argument(help="Folder of the jobs, with the results in it.", show_default=False),
]
MaxGaps = Annotated[
    float,
    typer.Option(
        min=0, max=1, help="Share of the pixels off buildings that a result may leave out."
    ),
]


def ingest_winprop(
    out: Ingest,
    dataset: Dataset,
    crop: Annotated[
        bool,
        typer.Option(
            "--crop", help="Cut results of a larger area on the same pixels to the job's."
        ),
    ] = False,
    resample: Annotated[
        bool,
        typer.Option(
            "--resample", help="Take the nearest values of results on other pixels; crops as well."
        ),
    ] = False,
    max_gaps: MaxGaps = 0.05,
    workers: Workers = 0,
    overwrite: Overwrite = False,
    as_json: Json = False,
) -> None:
    """Take WinProp's results back into the dataset they were exported from."""
    fit: Fit = "resample" if resample else "crop" if crop else "exact"
    _ingest(
        out,
        dataset,
        "winprop",
        fit,
        max_gaps=max_gaps,
        workers=workers,
        overwrite=overwrite,
        as_json=as_json,
    )


def ingest(
    out: Ingest,
    dataset: Dataset,
    max_gaps: MaxGaps = 0.05,
    workers: Workers = 0,
    overwrite: Overwrite = False,
    as_json: Json = False,
) -> None:
    """Take another solver's results, npz or CSV, back into the dataset."""
    _ingest(
        out,
        dataset,
        "neutral",
        "exact",
        max_gaps=max_gaps,
        workers=workers,
        overwrite=overwrite,
        as_json=as_json,
    )


def _ingest(
    out: Path,
    dataset: Path,
    solver: Solver,
    fit: Fit,
    *,
    max_gaps: float,
    workers: int,
    overwrite: bool,
    as_json: bool,
) -> None:
    """Take results and tell what became of them; exit codes as in docs/cli.md."""
    from rmtools.errors import ExitCode
    from rmtools.run.progress import Progress
    from rmtools.winprop.check import Options
    from rmtools.winprop.ingest import ingest
    from rmtools.winprop.ingest_report import INGEST_NAME

    try:
        with Progress() as progress:
            report = ingest(
                out,
                dataset,
                solver,
                Options(fit, max_gaps),
                workers=workers or os.cpu_count() or 1,
                overwrite=overwrite,
                progress=progress,
            )
    except KeyboardInterrupt as interrupt:
        say("error: stopped. The same command continues from here.")
        raise typer.Exit(ExitCode.INTERRUPTED) from interrupt
    result(
        {"complete": report.complete, **report.model_dump(mode="json")},
        [*report.lines(), f"report    {dataset / INGEST_NAME}"],
        as_json=as_json,
    )
    if report.complete:
        hint(f"rmtools package {dataset} --layout motion")
        return
    broken = any(problem.kind != "missing" for problem in report.problems)
    hint("the same command, after the results named above have been made again")
    raise typer.Exit(ExitCode.INPUT if broken else ExitCode.MISSING)


def rays(
    file: Annotated[Path, typer.Argument(help="A ray file (.str).", show_default=False)],
    receiver: Annotated[
        int | None, typer.Option(min=0, help="Only this receiver, with all points of its paths.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Show the paths of a WinProp ray file: length, bends and path loss of each."""
    from rmtools.winprop.ray_table import ray_lines, ray_value
    from rmtools.winprop.rays import read_rays

    found = read_rays(file)
    result(ray_value(found, receiver), ray_lines(found, receiver), as_json=as_json)


def register(app: typer.Typer) -> None:
    """Add the verbs of this file."""
    for verb in (export_winprop, export_jobs, ingest_winprop, ingest, rays):
        app.command()(verb)
