"""The section of the report that shows numbers: distributions, sight, and how maps move."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from rmtools.report import charts
from rmtools.report.markup import counted, figure, number, paragraph, share, table
from rmtools.report.statistics import Histogram
from rmtools.traffic.tracks import FRAME_INTERVAL_S

if TYPE_CHECKING:
    from rmtools.report.material import Material
    from rmtools.report.sight import Sight
    from rmtools.report.statistics import Statistics

# Jia, Cheng, Wang, "RadioMapMotion", Table III: RMSE of Last-Frame Repeat on test 1 and test 2,
# and the mean square of the normalised target frames, RMSE squared over NMSE of every row.
_PAPER_REPEAT_RMSE = (0.0293, 0.0285)
_PAPER_REPEAT_DB = (2.8, 2.7)
_PAPER_TARGET_POWER = (0.0899, 0.1083)


def statistics(material: Material) -> str:
    """Histograms, and how much maps change from frame to frame."""
    found = material.statistics
    drawn = [
        _histogram(
            found.loss,
            ("Histogram of path loss", "path loss, dB", "share of pixels"),
            f"Path loss of {found.loss.total:,} computed pixels.",
        ),
        _histogram(
            found.change,
            (
                "Histogram of the change between frames",
                "change to the next frame, dB",
                "share of changes",
            ),
            f"Only the {share(found.changed, found.compared)} of pixels that change; "
            "the rest stays exactly the same.",
        ),
    ]
    curve = [
        (f * FRAME_INTERVAL_S, moment.rms)
        for f, moment in enumerate(found.from_first)
        if f and moment.rms is not None
    ]
    if len(curve) > 1:
        drawn.append(
            figure(
                charts.lines_svg(
                    {"": [(0.0, 0.0), *curve]},
                    "RMS change since the first frame over time",
                    "time, s",
                    "RMS change, dB",
                ),
                "How far the maps have moved away from their first frame.",
            )
        )
    drawn.append(_memory(found))
    drawn += _sight(material.sight)
    drawn.append(
        _histogram(
            found.speed,
            ("Histogram of vehicle speed", "speed, m/s", "share of vehicles"),
            "Speed of all vehicles in all frames but those they appear in.",
        )
    )
    drawn += [
        figure(
            charts.histogram_svg(spread(values, centred=whole), heading, label, of), f"{heading}."
        )
        for values, whole, heading, label, of in (
            (found.vehicles, True, "Vehicles per trajectory", "vehicles", "share of trajectories"),
            (
                [100 * value for value in found.building_share],
                False,
                "Building share per scene",
                "buildings, % of the area",
                "share of scenes",
            ),
        )
        if values
    ]
    sampled = ""
    if found.sequences < found.available:
        sampled = paragraph(
            f"From {found.sequences:,} of {found.available:,} sequences, spread evenly."
        )
    return f'{sampled}<div class="charts">{"".join(drawn)}</div>{_motion(material)}'


def _memory(found: Statistics) -> str:
    """Partial autocorrelation, as in RadioMapMotion Fig. 4."""
    if not found.remembering:
        return ""
    lines = {
        word: [
            (float(lag), float(value) / found.remembering) for lag, value in enumerate(values, 1)
        ]
        for word, values in (("magnitude", found.memory_size), ("mean", found.memory))
    }
    return figure(
        charts.lines_svg(
            lines,
            "Partial autocorrelation of pixels over lag",
            "lag, frames",
            "partial autocorrelation",
        ),
        f"How pixels that change depend on their own past (RadioMapMotion, Fig. 4): mean over "
        f"{counted(found.remembering, 'sequence')}, with sign and without.",
    )


def _sight(sight: Sight) -> list[str]:
    """Share of the map that the transmitter sees, and path loss there and in shadow."""
    if sight.mean_share is None:
        return []
    shares = Histogram.empty(0.0, 100.0, 20)
    shares.add(np.array(sight.shares) * 100.0)
    drawn = [
        figure(
            charts.histogram_svg(
                charts.trimmed(shares),
                "Line-of-sight share of maps",
                "pixels seen, % of those outside buildings",
                "share of maps",
            ),
            f"Line of sight: {share(sight.mean_share, 1)} of the pixels outside buildings in the "
            f"mean of {counted(len(sight.shares), 'map')}. Buildings count in plan, vehicles do "
            "not.",
        )
    ]
    losses = {"line of sight": sight.seen, "shadow": sight.shadow}
    if any(each.total for each in losses.values()):
        drawn.append(
            figure(
                charts.shares_svg(
                    losses,
                    "Path loss in line of sight and in shadow",
                    "path loss, dB",
                    "share of pixels",
                ),
                "Path loss in line of sight and in shadow, each in per cent of its own pixels.",
            )
        )
    return drawn


def _histogram(histogram: Histogram, words: tuple[str, str, str], caption: str) -> str:
    """A figure of the filled part of a histogram, empty without values.

    `words` are its title and the labels of its axes.
    """
    if not histogram.total:
        return ""
    return figure(charts.histogram_svg(charts.trimmed(histogram), *words), caption)


def spread(values: list[float] | list[int], *, centred: bool) -> Histogram:
    """A histogram over the range of a few values, with bins of whole numbers.

    At least six bins wide, so that equal values make a bar and not a wall; `centred` puts the
    middle of the bins on the whole numbers.
    """
    low, high = int(min(values)), int(max(values)) + 1
    missing = max(6 - (high - low), 0)
    low = max(low - missing // 2, 0)
    width = -(-max(high - low, 6) // 20)
    bins = -(-max(high - low, 6) // width)
    start = low - 0.5 * centred
    histogram = Histogram.empty(start, start + bins * width, bins)
    histogram.add(np.array(values, float))
    return histogram


def _motion(material: Material) -> str:
    """Frame-to-frame figures beside the published ones."""
    found = material.statistics
    if found.repeat_error.rms is None or found.target_power.mean_square is None:
        return ""
    first, last = found.repeat_targets
    span = material.scale.gain_max_db - material.scale.gain_min_db
    error = found.repeat_error.rms
    rows = (
        (
            f"Last-Frame Repeat, frame {found.repeat_context} for frames {first}–{last}: RMSE, dB",
            f"{error * span:.2f}",
            " / ".join(f"{v:g}" for v in _PAPER_REPEAT_DB),
        ),
        (
            "the same, normalised to 0…1",
            f"{error:.4f}",
            " / ".join(f"{v:.4f}" for v in _PAPER_REPEAT_RMSE),
        ),
        (
            f"mean squared normalised value of frames {first}–{last}",
            f"{found.target_power.mean_square:.4f}",
            " / ".join(f"{v:.4f}" for v in _PAPER_TARGET_POWER),
        ),
        *_memory_row(found),
        ("RMS change from one frame to the next, dB", number(found.consecutive.rms), "–"),
        (
            "pixels that change from one frame to the next",
            share(found.changed, found.compared),
            "–",
        ),
    )
    return (
        "<h3>How much the maps move</h3>"
        + table(("Figure", "this dataset", "RadioMapMotion, test 1 / 2"), rows, numbers=(1, 2))
        + paragraph(
            "The published column comes from the RadioMapMotion paper (Table III; section V-A for "
            "the partial autocorrelation, of which the paper does not say how pixels are "
            "averaged). It is a check "
            "of plausibility, not a target: normalised figures count all pixels, buildings as 0, "
            f"on the grey scale {material.scale.name}."
        )
    )


def _memory_row(found: Statistics) -> list[tuple[str, str, str]]:
    """The figure that the paper names: the magnitude at lag 10."""
    if not found.remembering or len(found.memory_size) < 10:
        return []
    value = float(found.memory_size[9]) / found.remembering
    return [("magnitude of the partial autocorrelation at lag 10", f"{value:.2f}", "0.25")]
