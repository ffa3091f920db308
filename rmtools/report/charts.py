"""Small charts as inline SVG: histograms and lines.

Colours come from the page's style sheet through classes, so that the charts follow the reader's
light or dark theme. No styles are written inline: the page's content policy forbids them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from rmtools.report.colours import gain_table, hex_colour
from rmtools.report.markup import text
from rmtools.report.pictures import nice_ticks

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from rmtools.report.statistics import Histogram
    from rmtools.types import ByteArray

_WIDTH, _HEIGHT = 360, 220
_LEFT, _RIGHT, _TOP, _BOTTOM = 52, 12, 14, 46


def trimmed(histogram: Histogram) -> Histogram:
    """The part of a histogram between its first and last filled bin."""
    filled = np.flatnonzero(histogram.counts)
    if not len(filled):
        return histogram
    first, last = int(filled[0]), int(filled[-1]) + 1
    edges = histogram.edges
    return type(histogram)(float(edges[first]), float(edges[last]), histogram.counts[first:last])


def histogram_svg(histogram: Histogram, title: str, x_label: str, y_label: str = "share") -> str:
    """Bars of the share of all values in each bin, in per cent."""
    total = max(histogram.total, 1)
    shares = histogram.counts / total * 100.0
    edges = histogram.edges
    top = max(float(shares.max(initial=0.0)) * 1.05, 1e-9)
    axes = _Axes((float(edges[0]), float(edges[-1])), (0.0, top))
    bars = "".join(
        f'<rect class="bar" x="{axes.x(left):.2f}" y="{axes.y(share):.2f}" '
        f'width="{max(axes.x(right) - axes.x(left) - 0.4, 0.4):.2f}" '
        f'height="{axes.y(0) - axes.y(share):.2f}"/>'
        for left, right, share in zip(edges[:-1], edges[1:], shares, strict=True)
        if share > 0
    )
    return _svg(title, axes.svg(x_label, f"{y_label}, %") + bars)


def shares_svg(
    histograms: Mapping[str, Histogram], title: str, x_label: str, y_label: str = "share"
) -> str:
    """Outlines of several histograms over the same bins, each in per cent of its own values."""
    drawn = {name: each for name, each in histograms.items() if each.total}
    filled = np.flatnonzero(np.sum([each.counts for each in drawn.values()], axis=0))
    first, last = int(filled[0]), int(filled[-1]) + 1
    lines = {}
    for name, each in drawn.items():
        middle = (each.edges[:-1] + each.edges[1:]) / 2
        share = each.counts / each.total * 100.0
        both = np.stack([middle, share], axis=-1)[first:last]
        lines[name] = [(float(x), float(y)) for x, y in both]
    return lines_svg(lines, title, x_label, f"{y_label}, %", dots=False)


def lines_svg(
    lines: Mapping[str, Sequence[tuple[float, float]]],
    title: str,
    x_label: str,
    y_label: str,
    *,
    dots: bool = True,
) -> str:
    """Lines through points, the second and third dashed; names in a legend where there are two.

    The vertical axis holds zero.
    """
    xs, ys = zip(*(point for line in lines.values() for point in line), strict=True)
    low, high = min(*ys, 0.0), max(*ys, 1e-9)
    room = 0.08 * (high - low)
    axes = _Axes((min(xs), max(xs)), (low - room if low < 0 else 0.0, high + room))
    parts = [axes.svg(x_label, y_label)]
    for i, (name, line) in enumerate(lines.items()):
        path = " ".join(f"{axes.x(x):.2f},{axes.y(y):.2f}" for x, y in line)
        parts.append(f'<polyline class="line line{i}" points="{path}"/>')
        if dots:
            parts += [
                f'<circle class="dot" cx="{axes.x(x):.2f}" cy="{axes.y(y):.2f}" r="2.5"/>'
                for x, y in line
            ]
        if len(lines) > 1:
            y = _TOP + 8 + 15 * i
            parts.append(
                f'<path class="line line{i}" d="M{_WIDTH - 40},{y - 4}h26"/>'
                f'<text x="{_WIDTH - 46}" y="{y}" class="end label">{text(name)}</text>'
            )
    return _svg(title, "".join(parts))


class _Axes:
    """Linear axes with ticks at round numbers."""

    def __init__(self, x_range: tuple[float, float], y_range: tuple[float, float]) -> None:
        (self._x0, x1), (self._y0, self._y1) = x_range, y_range
        self._x1 = x1 if x1 > self._x0 else self._x0 + 1.0

    def x(self, value: float) -> float:
        """Across."""
        unit = (value - self._x0) / (self._x1 - self._x0)
        return _LEFT + unit * (_WIDTH - _LEFT - _RIGHT)

    def y(self, value: float) -> float:
        """Down."""
        unit = (value - self._y0) / (self._y1 - self._y0)
        return _HEIGHT - _BOTTOM - unit * (_HEIGHT - _BOTTOM - _TOP)

    def svg(self, x_label: str, y_label: str) -> str:
        """Ticks, labels and the base line."""
        base = _HEIGHT - _BOTTOM
        parts = [f'<path class="axis" d="M{_LEFT},{_TOP}V{base}H{_WIDTH - _RIGHT}"/>']
        if self._y0 < 0:
            parts.append(f'<path class="axis" d="M{_LEFT},{self.y(0.0):.2f}H{_WIDTH - _RIGHT}"/>')
        for value in nice_ticks(self._x0, self._x1, 6):
            x = self.x(value)
            parts.append(f'<path class="axis" d="M{x:.2f},{base}v4"/>')
            parts.append(f'<text x="{x:.2f}" y="{base + 16}" class="mid">{value:g}</text>')
        for value in nice_ticks(self._y0, self._y1, 4):
            y = self.y(value)
            if value > self._y0:
                parts.append(f'<path class="grid" d="M{_LEFT},{y:.2f}H{_WIDTH - _RIGHT}"/>')
            parts.append(f'<text x="{_LEFT - 6}" y="{y + 4:.2f}" class="end">{value:g}</text>')
        middle = (_LEFT + _WIDTH - _RIGHT) / 2
        across, down = 14, (_TOP + base) / 2
        parts.append(
            f'<text x="{middle}" y="{_HEIGHT - 8}" class="mid label">{text(x_label)}</text>'
            f'<text x="{across}" y="{down}" class="mid label" '
            f'transform="rotate(-90 {across} {down})">{text(y_label)}</text>'
        )
        return "".join(parts)


def _svg(title: str, body: str, width: int = _WIDTH, height: int = _HEIGHT) -> str:
    return (
        f'<svg class="chart" role="img" viewBox="0 0 {width} {height}" width="{width}" '
        f'height="{height}" aria-label="{text(title)}"><title>{text(title)}</title>{body}</svg>'
    )


def legend_svg(table: ByteArray, low: float, high: float, *, title: str, sign: bool = False) -> str:
    """A horizontal colour bar from `low` dB on the left to `high` dB on the right."""
    width, left, bar, height = 480, 14, 452, 40
    strips = "".join(
        f'<rect x="{left + i * bar / 64:.3f}" y="2" width="{bar / 64 + 0.5:.3f}" height="14" '
        f'fill="{hex_colour(table[round(i * 255 / 63)])}"/>'
        for i in range(64)
    )
    ticks = ""
    for value in nice_ticks(low, high, 8):
        x = left + (value - low) / (high - low) * bar
        text = f"{value:+g}" if sign and value else f"{value:g}"
        ticks += (
            f'<path class="axis" d="M{x:.2f},16v5"/>'
            f'<text x="{x:.2f}" y="34" class="mid">{text}</text>'
        )
    return _svg(title, strips + ticks, width, height)


def loss_legend_svg(low_db: float, high_db: float) -> str:
    """Legend of path loss: strong signal (small loss) on the left."""
    return legend_svg(
        gain_table()[::-1], low_db, high_db, title=f"Path loss from {low_db:g} to {high_db:g} dB"
    )
