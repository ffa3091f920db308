"""``benchmark.svg``: errors of all models, and a line for each model in every study.

A file of its own, without a plotting library: white paper, black ink, colours that colour-blind
eyes tell apart (Okabe and Ito, 2008).
"""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

from rmtools.metrics.surroundings import LINE_OF_SIGHT, SHADOW
from rmtools.report.pictures import nice_ticks

from .studies import by_frame
from .tables import LEAKY

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .results import Benchmark, Judged

COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000", "#999933")
WIDTH, LEFT, RIGHT, BAR = 760, 190, 30, 26
PANEL, INNER_LEFT = 300, 70

Points = list[tuple[float, float]]

_STYLE = (
    "text{font:13px sans-serif;fill:#202226}.t{font-weight:bold}.e{text-anchor:end}"
    ".m{text-anchor:middle}.red{fill:#b00020;font-weight:bold}.g{stroke:#d8dade}"
    ".a{stroke:#60646c;fill:none}"
)


def svg(result: Benchmark) -> str:
    """Draw the figure.

    Parameters
    ----------
    result
        Models and studies; of a study those points are drawn whose place is a number.
    """
    parts: list[str] = []
    height = 24
    if result.leaky:
        parts.append(f'<text x="12" y="{height}" class="red">{escape(LEAKY)}</text>')
        height += 24
    body, used = _bars(result.models, height)
    parts.append(body)
    height += used
    for title, axis, lines in _lines(result):
        body, used = _panel(title, axis, lines, height)
        parts.append(body)
        height += used
    name = escape(f"Benchmark: {result.task}, {result.dataset.title}")
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" '
        f'height="{height}" role="img" aria-label="{name}"><title>{name}</title>'
        f'<style>{_STYLE}</style><rect width="{WIDTH}" height="{height}" fill="#ffffff"/>'
        f"{''.join(parts)}</svg>\n"
    )


def _bars(models: Sequence[Judged], top: int) -> tuple[str, int]:
    """RMSE in dB of each model; marks for the pixels in line of sight and in shadow."""
    rows = []
    for judged in models:
        values = [
            judged.scores.values(group=group).get("rmse_db")
            for group in ("all", LINE_OF_SIGHT, SHADOW)
        ]
        rows.append((judged.label, values))
    high = max((value for _, values in rows for value in values if value is not None), default=1.0)
    high = max(high * 1.05, 1e-6)

    def x(value: float) -> float:
        return LEFT + value / high * (WIDTH - LEFT - RIGHT)

    said = "RMSE in dB: bar all pixels, ring line of sight, square shadow (outside buildings)"
    out = [f'<text x="12" y="{top}" class="t">{said}</text>']
    base = top + 16 + BAR * len(rows)
    for tick in nice_ticks(0.0, high, 8):
        at = x(tick)
        out.append(f'<path class="g" d="M{at:.1f},{top + 12}V{base}"/>')
        out.append(f'<text x="{at:.1f}" y="{base + 16}" class="m">{tick:g}</text>')
    for number, (label, (every, sight, shadow)) in enumerate(rows):
        y = top + 16 + BAR * number
        shown = label if len(label) <= 26 else f"{label[:25]}…"
        out.append(f'<text x="{LEFT - 8}" y="{y + 15}" class="e">{escape(shown)}</text>')
        if every is not None:
            colour = COLOURS[number % len(COLOURS)]
            out.append(
                f'<rect x="{LEFT}" y="{y + 3}" width="{x(every) - LEFT:.1f}" height="{BAR - 10}" '
                f'fill="{colour}" fill-opacity="0.75"><title>{every:.3f} dB</title></rect>'
            )
        if sight is not None:
            out.append(
                f'<circle cx="{x(sight):.1f}" cy="{y + 11}" r="4" fill="#fff" stroke="#202226"/>'
            )
        if shadow is not None:
            out.append(
                f'<rect x="{x(shadow) - 4:.1f}" y="{y + 7}" width="8" height="8" fill="#202226"/>'
            )
    return "".join(out), 16 + BAR * len(rows) + 44


def _lines(result: Benchmark) -> list[tuple[str, str, dict[str, Points]]]:
    """What is drawn below the bars: title, axis, and points of each model."""
    found = []
    frames: dict[str, Points] = {}
    for point in by_frame(result.models):
        _add(frames, point.label, point.at, point.scores.values().get("rmse_db"))
    if frames:
        found.append(("RMSE in dB over the horizon", "predicted frame", frames))
    for study in result.studies:
        lines: dict[str, Points] = {}
        for point in study.points:
            _add(lines, point.label, point.at, point.scores.values().get("rmse_db"))
        if lines and study.name != "horizon":
            found.append((f"{study.title}: RMSE in dB", study.axis, lines))
    return found


def _add(lines: dict[str, Points], label: str, at: object, value: float | None) -> None:
    if value is not None and isinstance(at, int | float):
        lines.setdefault(label, []).append((float(at), value))


def _panel(title: str, axis: str, lines: dict[str, Points], top: int) -> tuple[str, int]:
    """Lines over a common axis, with a legend to the right."""
    xs = sorted({x for points in lines.values() for x, _ in points})
    high = max(y for points in lines.values() for _, y in points) * 1.05 or 1.0
    left, right, base = INNER_LEFT, WIDTH - LEFT, top + PANEL - 70
    wide = (xs[-1] - xs[0]) or 1.0

    def place(x: float, y: float) -> tuple[float, float]:
        across = (left + (x - xs[0]) / wide * (right - left), base - y / high * (base - top - 12))
        return round(across[0], 1), round(across[1], 1)

    out = [f'<text x="12" y="{top}" class="t">{escape(title)}</text>']
    for tick in nice_ticks(0.0, high, 5):
        y = place(xs[0], tick)[1]
        out.append(f'<path class="g" d="M{left},{y}H{right}"/>')
        out.append(f'<text x="{left - 6}" y="{y + 4}" class="e">{tick:g}</text>')
    for x in xs:
        at = place(x, 0.0)[0]
        out.append(f'<path class="a" d="M{at},{base}v4"/>')
        out.append(f'<text x="{at}" y="{base + 18}" class="m">{x:g}</text>')
    middle = (left + right) / 2
    out.append(f'<text x="{middle}" y="{base + 38}" class="m">{escape(axis)}</text>')
    for number, (label, points) in enumerate(lines.items()):
        colour = COLOURS[number % len(COLOURS)]
        placed = [place(*point) for point in sorted(points)]
        path = " ".join(f"{x},{y}" for x, y in placed)
        out.append(f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"/>')
        out += [f'<circle cx="{x}" cy="{y}" r="3" fill="{colour}"/>' for x, y in placed]
        y = top + 20 + 18 * number
        out.append(f'<rect x="{right + 14}" y="{y - 9}" width="12" height="4" fill="{colour}"/>')
        shown = label if len(label) <= 22 else f"{label[:21]}…"
        out.append(f'<text x="{right + 32}" y="{y - 2}">{escape(shown)}</text>')
    return "".join(out), max(PANEL, 60 + 18 * len(lines))
