"""An audit as a table for a terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rmtools.audit.model import AuditReport, Level

_EXAMPLES = 3
_HEAD = ("level", "verdict", "risk", "pairs", "nearest", "share", "finding")


def as_lines(report: AuditReport) -> list[str]:
    """The report in lines: a table of the levels, examples of what leaks, the verdict."""
    sets = ", ".join(f"{name} {count}" for name, count in report.sets.items())
    against = "without a dataset" if report.dataset is None else f"in {report.dataset}"
    lines = [f"{report.split}: {sets} scenes, {against}"]
    if report.dataset is not None and report.missing_scenes:
        lines.append(
            f"{report.missing_scenes} scenes are not in the dataset and could not be looked at, "
            f"the first is {report.missing[0]}"
        )
    return [*lines, "", *_table(report), *_examples(report), "", verdict(report)]


def verdict(report: AuditReport) -> str:
    """The report in one sentence."""
    if not report.leaks:
        unseen = [each.level for each in report.levels if each.verdict == "not checked"]
        return f"no leak found (not checked: {', '.join(unseen)})" if unseen else "no leak found"
    levels = ", ".join(each.level for each in report.leaks)
    if report.undeclared:
        unknown = ", ".join(each.level for each in report.undeclared)
        return f"LEAKS: {levels}" + (
            f" (not declared by the split: {unknown})" if report.leaky_reason else ""
        )
    return f"LEAKS as it declares: {levels}"


def _table(report: AuditReport) -> Iterator[str]:
    rows = [_HEAD, *(_row(level) for level in report.levels)]
    widths = [max(len(row[k]) for row in rows) for k in range(len(_HEAD) - 1)]
    for row in rows:
        cells = [
            cell.rjust(width) if 3 <= k <= 5 else cell.ljust(width)
            for k, (cell, width) in enumerate(zip(row[:-1], widths, strict=True))
        ]
        yield "  ".join([*cells, row[-1]])


def _row(level: Level) -> tuple[str, ...]:
    return (
        level.level,
        level.verdict.upper() if level.verdict == "leak" else level.verdict,
        level.risk,
        f"{level.pairs:,}",
        "-" if level.smallest_m is None else f"{level.smallest_m:.0f} m",
        "-" if level.share is None else f"{level.share:.1%}",
        level.finding,
    )


def _examples(report: AuditReport) -> Iterator[str]:
    for level in report.levels:
        if level.verdict in ("leak", "warning"):
            yield ""
            yield f"{level.level}: {level.question}"
            for pair in level.examples[:_EXAMPLES]:
                names = pair.first if pair.first == pair.second else f"{pair.first}, {pair.second}"
                yield f"  {pair.sets:<12}  {names}: {pair.what}"
            if level.pairs > min(len(level.examples), _EXAMPLES):
                yield f"  ... {level.pairs:,} in all"
