"""The verbs about releases: ``release``, ``release diff``, ``release unpack`` and ``verify``."""

from __future__ import annotations

import os
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperGroup

from rmtools.cli._output import Json, hint, printable, result, stoppable
from rmtools.cli._stages import Dataset, stored_recipe
from rmtools.errors import ExitCode

if TYPE_CHECKING:
    from rmtools.release.changes import Changes
    from rmtools.release.plan import Plan
    from rmtools.release.verify import VerifyReport

Jobs = Annotated[
    int, typer.Option("--jobs", "-j", min=0, help="Files to work on at a time; 0 for all cores.")
]

_MAKE = "make"


class _MakeByDefault(TyperGroup):
    """A group whose first command need not be named: ``rmtools release DATASET OUT``."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Put the name of the first command in front, unless another is there."""
        if args and args[0] not in self.commands and args[0] not in ("-h", "--help"):
            args = [_MAKE, *args]
        return super().parse_args(ctx, args)


group = typer.Typer(
    cls=_MakeByDefault,
    no_args_is_help=True,
    help="Make a release: `rmtools release DATASET OUT --version X.Y.Z`; compare or unpack some.",
)


@group.command(_MAKE)
def make(
    dataset: Dataset,
    out: Annotated[Path, typer.Argument(help="Folder to make.", show_default=False)],
    version: Annotated[
        str, typer.Option(help="Such as 1.0.0; which part must grow follows from what changed.")
    ],
    layout: Annotated[
        list[str] | None,
        typer.Option(
            help="motion, seer, hdf5, packed or store; all finished ones but the last two when "
            "not given. May be repeated."
        ),
    ] = None,
    previous: Annotated[
        Path | None, typer.Option(help="Folder of the release before, for the change log.")
    ] = None,
    about: Annotated[
        Path | None,
        typer.Option(help="YAML: creators, description, DOI and so on, see docs/release.md."),
    ] = None,
    date: Annotated[
        str | None,
        typer.Option(help="Day of the release, YYYY-MM-DD; today, or when it was begun."),
    ] = None,
    shards: Annotated[
        bool, typer.Option("--shards", help="Pack layouts of many files into tar files.")
    ] = False,
    shard_mb: Annotated[
        int, typer.Option(min=1, max=1_000_000, help="Where a tar file ends, in 10^6 bytes.")
    ] = 1000,
    link: Annotated[
        bool, typer.Option("--link", help="Hard links instead of copies, on one disk.")
    ] = False,
    jobs: Jobs = 0,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would be written, and stop.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Make a release: data, index, manifest, licences, and all that describes it."""
    from rmtools.release.about import read_about
    from rmtools.release.plan import Wishes
    from rmtools.release.release import earlier_date, make_release, plan_release
    from rmtools.run.progress import Progress

    wishes = Wishes(
        version=version,
        date=_day(date or earlier_date(out)),
        about=read_about(about),
        layouts=layout,
        sharded=shards,
        shard_bytes=shard_mb * 1_000_000,
        previous=previous,
    )
    with stoppable():
        plan = plan_release(dataset, stored_recipe(dataset), wishes)
    if dry_run:
        value = _planned(plan)
        result(value, [f"{key:<12} {item}" for key, item in value.items()], as_json=as_json)
        return
    with stoppable(), Progress() as progress:
        done = make_release(
            plan, out, threads=jobs or os.cpu_count() or 1, link=link, progress=progress
        )
    manifest = done.manifest
    value = {
        "path": str(out),
        "name": manifest.name,
        "version": manifest.version,
        "files": len(manifest.files),
        "bytes": sum(file.size for file in manifest.files),
        "maps": manifest.facts.maps,
        "sha256": manifest.sha256,
        "made_now": done.made_now,
    }
    result(value, [f"{key:<9} {item}" for key, item in value.items()], as_json=as_json)
    hint(f"rmtools verify {quote(str(out))}, or rmtools info {quote(str(out))}")


def _day(date: str | None) -> str:
    """A day as ISO 8601; today without one."""
    import datetime as dt

    from rmtools.errors import RecipeError

    if date is None:
        return dt.datetime.now(tz=dt.UTC).date().isoformat()
    try:
        return dt.date.fromisoformat(date).isoformat()
    except ValueError as error:
        raise RecipeError(
            f"{date!r} is not a day.", where="--date", remedy="Write such as 2026-01-31."
        ) from error


def _planned(plan: Plan) -> dict[str, Any]:
    """What a release would hold."""
    changes = plan.changes
    return {
        "layouts": ", ".join(plan.layouts),
        "copied": len(plan.loose),
        "shards": len(plan.shards),
        "bytes": plan.bytes,
        "maps": plan.facts.maps,
        "sets": ", ".join(f"{name} {found.maps}" for name, found in plan.facts.sets.items()),
        "licences": ", ".join(sorted({s for found in plan.licences.values() for s in found})),
        "change": "first release" if changes is None else changes.step,
        "documents": "index, manifest, card, Croissant, citation, datasheet, licences, change log",
    }


@group.command()
def diff(
    old: Annotated[Path, typer.Argument(help="A release.", show_default=False)],
    new: Annotated[Path, typer.Argument(help="Another one.", show_default=False)],
    as_json: Json = False,
) -> None:
    """Say what changed between two releases, by content, and which version that asks for."""
    from rmtools.release.changes import diff as compare

    found = compare(old, new)
    result(found.model_dump(mode="json"), _diff_lines(found), as_json=as_json)


def _diff_lines(found: Changes) -> list[str]:
    lines = [
        f"{name:<12} {c.same:,} same, {c.altered:,} altered, {c.added:,} added, {c.removed:,} gone"
        for name, c in found.layers.items()
    ]
    for what, counts in (
        ("new in", found.maps_added),
        ("gone from", found.maps_removed),
        ("moved", found.maps_moved),
    ):
        lines += [f"{count:,} maps {what} {sets}" for sets, count in counts.items()]
    lines += [
        f"{kind}: {', '.join(paths)}{' ...' if len(paths) == 5 else ''}"
        for kind, paths in found.examples.items()
    ]
    verdict = "nothing changed" if found.step == "none" else f"a {found.step} change"
    return [*lines, f"{found.old} -> {found.new}: {verdict}"]


@group.command()
def unpack(
    release: Annotated[Path, typer.Argument(help="A release of shards.", show_default=False)],
    out: Annotated[Path, typer.Argument(help="Folder to make.", show_default=False)],
    jobs: Jobs = 0,
    as_json: Json = False,
) -> None:
    """Write the files of a release's tar files as they lie in the layout."""
    from rmtools.release.unpack import unpack as write

    with stoppable():
        count = write(release, out, threads=jobs or os.cpu_count() or 1)
    result({"path": str(out), "files": count}, [f"{count:,} files in {out}"], as_json=as_json)


def verify(
    path: Annotated[Path, typer.Argument(help="Folder of a release.", show_default=False)],
    subset: Annotated[
        str, typer.Option(help="Share of the files to read, such as 5%; names and sizes of all.")
    ] = "100%",
    seed: Annotated[int, typer.Option(min=0, help="Which files a subset has.")] = 0,
    repair: Annotated[
        str | None,
        typer.Option(
            metavar="FROM", help="Fetch what is broken from another copy: a folder or a URL."
        ),
    ] = None,
    restart: Annotated[
        bool, typer.Option("--restart", help="Forget what an interrupted verification has read.")
    ] = False,
    jobs: Jobs = 0,
    as_json: Json = False,
) -> None:
    """Prove a release, file by file; exit code 10 when it is not what its manifest says."""
    from rmtools.release.repair import repair as mend
    from rmtools.release.verify import state_path

    threads = jobs or os.cpu_count() or 1
    share, state = _share(subset), state_path(path)
    if restart:
        state.unlink(missing_ok=True)
    report = _verified(path, share, seed, threads, state)
    value, lines = report.model_dump(mode="json"), _verify_lines(report)
    if repair is not None and not report.ok:
        with stoppable():
            mended, failed = mend(path, repair, report, threads=threads)
        lines += [f"mended     {name}" for name in mended]
        lines += [f"NOT mended {name}: {why}" for name, why in sorted(failed.items())]
        value = {"before": value, "mended": mended, "failed": failed}
        report = _verified(path, 1.0, seed, threads, None)
        value |= report.model_dump(mode="json")
        lines += _verify_lines(report)
    result({"ok": report.ok, **value}, lines, as_json=as_json)
    if not report.ok:
        if repair is None and any(item.problem != "extra" for item in report.findings):
            hint(f"rmtools verify {quote(str(path))} --repair ANOTHER_COPY")
        raise typer.Exit(ExitCode.ALTERED)


def _verified(
    path: Path, share: float, seed: int, threads: int, state: Path | None
) -> VerifyReport:
    """Verify with a progress display."""
    from rmtools.release.verify import verify as check
    from rmtools.run.progress import Progress

    with stoppable(), Progress() as progress:
        return check(path, subset=share, seed=seed, threads=threads, state=state, progress=progress)


def _share(text: str) -> float:
    """A share of the files, from a percentage."""
    from rmtools.errors import RecipeError

    try:
        share = float(text.removesuffix("%")) / 100
    except ValueError:
        share = -1.0
    if not 0 < share <= 1 or not text.endswith("%"):
        raise RecipeError(
            f"{text!r} is not a share of the files.",
            where="--subset",
            remedy="Write a percentage above 0, such as 5%.",
        )
    return share


def _verify_lines(report: VerifyReport) -> list[str]:
    found = [f"{item.problem:<10} {item.path}: {item.what}" for item in report.findings]
    verdict = "is what was released" if report.ok else "is NOT what was released"
    before = f" ({report.read_before:,} more before)" if report.read_before else ""
    return [
        *map(printable, found),
        f"{report.path} ({report.name}) {verdict}: {report.files:,} files with the manifest and "
        f"SHA256SUMS, {report.read:,} of them "
        f"read{before}, {len(report.findings):,} wrong",
    ]


def register(app: typer.Typer) -> None:
    """Add the verbs of this file."""
    app.add_typer(group, name="release")
    app.command()(verify)
