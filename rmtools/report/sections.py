"""The sections of the report that show the data: header, maps, player, statistics.

Each takes the material and returns HTML, or an empty text to be left out.
"""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

import numpy as np

from rmtools.report import charts
from rmtools.report.colours import change_table
from rmtools.report.embed import CHANGE_RANGE_DB, MAX_FRAMES
from rmtools.report.markup import counted, figure, number, paragraph, scaled, share, size, table
from rmtools.report.statistics import Histogram
from rmtools.traffic.tracks import FRAME_INTERVAL_S

if TYPE_CHECKING:
    from rmtools.report.material import Material

# Jia, Cheng, Wang, "RadioMapMotion", Table III: RMSE of Last-Frame Repeat on test 1 and test 2,
# and the mean square of the normalised target frames, RMSE squared over NMSE of every row.
_PAPER_REPEAT_RMSE = (0.0293, 0.0285)
_PAPER_REPEAT_DB = (2.8, 2.7)
_PAPER_TARGET_POWER = (0.0899, 0.1083)

_NOT_SIMULATED = "Path loss has not been simulated yet: run `rmtools simulate`."


def title(material: Material) -> str:
    """Title of the dataset."""
    return str(material.store.attributes.get("title") or "Radio-map dataset")


def header(material: Material) -> str:
    """One paragraph that says what this is, and the counts."""
    store, sizes = material.store, material.store.sizes
    grid = store.grid
    text = (
        f"Path loss over {counted(sizes.scene, 'scene')} of {grid.size_m:g} m by {grid.size_m:g} m"
    )
    if sizes.tx:
        text += f", seen from {counted(sizes.tx, 'transmitter')} each"
    if sizes.frame:
        last = (sizes.frame - 1) * FRAME_INTERVAL_S
        text += (
            f", while vehicles move for {last:.1f} s "
            f"({counted(sizes.frame, 'frame')} at {1 / FRAME_INTERVAL_S:g} Hz, "
            f"{_trajectories(sizes.traj)} per scene)"
        )
    text += "."
    text += _solver_words(store.solver or None)
    if material.statistics.empty:
        text += (
            f" {material.statistics.empty:,} of the {material.statistics.sequences:,} sequences "
            "looked at hold no value yet."
        )
    counts = (
        ("scenes", sizes.scene),
        ("trajectories", sizes.scene * sizes.traj),
        ("transmitters", sizes.scene * sizes.tx),
        ("sequences", sizes.scene * sizes.traj * sizes.tx if store.has("pathloss") else 0),
        ("radio maps", store.maps),
        ("pixels", store.maps * grid.n**2),
    )
    tiles = "".join(f"<div><dt>{name}</dt><dd>{_short(count)}</dd></div>" for name, count in counts)
    tiles += f"<div><dt>store on disk</dt><dd>{size(material.bytes_on_disk)}</dd></div>"
    return f'{paragraph(text, "lead")}<dl class="counts">{tiles}</dl>'


def _trajectories(count: int) -> str:
    return "1 trajectory" if count == 1 else f"{count:,} trajectories"


def _solver_words(solver: object) -> str:
    """Solver, preset and carrier as far as the store knows them."""
    if not isinstance(solver, dict):
        return f" Solver: {solver}." if solver else ""
    words = [f"{solver.get('solver', 'unnamed')}"]
    if solver.get("name"):
        words.append(f"preset {solver['name']}")
    if isinstance(solver.get("frequency_mhz"), int | float):
        words.append(f"{solver['frequency_mhz'] / 1000:g} GHz")
    return f" Solver: {', '.join(words)}."


def reading(material: Material) -> str:
    """How to read a pixel."""
    scale, grid = material.scale, material.store.grid
    described = scale.describe()
    rows = (
        ("Quantity", "path loss in dB, a positive number; path gain = −path loss"),
        ("Pixel", f"{grid.resolution_m:g} m by {grid.resolution_m:g} m, {grid.n} × {grid.n}"),
        ("Rows and columns", "array[row, col]; row 0 is the north edge, column 0 the west edge"),
        (
            "Metres",
            "x east, y north of the tile's south-west corner; "
            f"pixel centre x = (col + 0.5) · {grid.resolution_m:g}, "
            f"y = {grid.size_m:g} − (row + 0.5) · {grid.resolution_m:g}",
        ),
        ("In the store", "float32 dB in steps of 1/128 dB; NaN = not computed (in buildings)"),
        ("In grey images", str(described["formula"]) + ", gain in dB"),
        ("Grey step", f"{scale.step_db:.4f} dB; decoded to the middle of the step"),
        ("Grey level 0", str(described["level_zero"])),
        (
            "Outside the grey scale",
            f"{share(material.statistics.clipped, material.statistics.loss.total)} of the "
            "computed pixels are clipped in grey images",
        ),
    )
    low, high = -scale.gain_max_db, -scale.gain_min_db
    legend = figure(
        charts.loss_legend_svg(low, high),
        "Path loss in dB on every map of this page. Dark grey: buildings.",
    )
    return table(("What", "Meaning"), rows) + legend


def scenes(material: Material) -> str:
    """One card per scene: its picture and the map of a transmitter."""
    embedded, sizes = material.embedded, material.store.sizes
    cards = "".join(
        _card(key, scene, embedded.scene_pictures[int(key)])
        for key, scene in embedded.data["scenes"].items()
    )
    kept = len(embedded.data["scenes"])
    text = (
        "Plans: buildings grey, drivable roads white, transmitters red, vehicles blue with the way "
        "they take in the first trajectory. Maps: "
        f"{'first frame of that trajectory' if sizes.traj else 'without vehicles'}. Point at a "
        "map, tap it, or focus it and use the arrow keys to read values."
    )
    left_out = []
    if kept < sizes.scene:
        left_out.append(f"{kept} of {sizes.scene:,} scenes are shown, spread evenly")
    if embedded.maps and embedded.maps < kept * sizes.tx:
        left_out.append(f"{embedded.maps} of their {kept * sizes.tx:,} transmitters")
    if embedded.data["stride"] > 1:
        stride = embedded.data["stride"]
        left_out.append(f"one pixel in {stride} × {stride} of each map")
    note = paragraph("To keep this page small: " + "; ".join(left_out) + ".") if left_out else ""
    missing = "" if material.store.map_arrays else paragraph(_NOT_SIMULATED, "note")
    return f'{paragraph(text)}{missing}{note}<div class="cards">{cards}</div>'


def _card(key: str, scene: dict[str, object], picture: str) -> str:
    name = escape(str(scene["name"]))
    maps = scene["maps"]
    if not isinstance(maps, list) or not maps:
        right = '<p class="note">no map</p>'
    else:
        options = "".join(
            f'<option value="{i}">transmitter {entry["tx"]}</option>'
            for i, entry in enumerate(maps)
        )
        right = (
            f'<canvas class="map" width="512" height="512" tabindex="0" role="img" '
            f'aria-label="Radio map of {name}; arrow keys move the probe"></canvas>'
            f'<label>Map of <select aria-label="Transmitter of {name}">{options}</select></label>'
        )
    return (
        f'<article class="card" data-scene="{key}"><h3>{name}</h3><div class="pair">'
        f'<div><img src="{picture}" alt="Buildings, roads, transmitters and vehicles of {name}">'
        f"</div><div>{right}</div></div>"
        '<output class="probe" aria-live="polite">&nbsp;</output></article>'
    )


def player(material: Material) -> str:
    """Sequences in motion."""
    sequences = material.embedded.data["sequences"]
    if not sequences:
        return ""
    named = material.embedded.data["scenes"]
    options = "".join(
        f'<option value="{i}">{escape(str(named[entry["scene"]]["name"]))} · '
        f"trajectory {entry['traj']} · transmitter {entry['tx']}</option>"
        for i, entry in enumerate(sequences)
    )
    total = material.statistics.available
    note = f"{len(sequences)} of {total:,} sequences are embedded."
    if material.store.sizes.frame > MAX_FRAMES:
        note += f" Their first {MAX_FRAMES} frames are shown."
    speeds = "".join(
        f'<option value="{speed}"{" selected" if speed == 0.5 else ""}>{text}</option>'
        for speed, text in ((0.1, "1/10"), (0.25, "1/4"), (0.5, "1/2"), (1, "real time"))
    )
    scale = material.scale
    loss = charts.loss_legend_svg(-scale.gain_max_db, -scale.gain_min_db)
    change = charts.legend_svg(
        change_table(),
        -CHANGE_RANGE_DB,
        CHANGE_RANGE_DB,
        title="Change of path loss since the first frame, blue less, red more",
        sign=True,
    )
    return f"""{paragraph(note)}
<div class="player" id="theatre">
<div class="stage">
<canvas id="screen" width="768" height="768" tabindex="0" role="img"
 aria-label="Radio map in motion; space plays and pauses, left and right arrow step"></canvas>
<output class="probe" id="screen-probe" aria-live="off">&nbsp;</output>
</div>
<div class="controls">
<label>Sequence <select id="sequence">{options}</select></label>
<div class="row"><button type="button" id="play" aria-pressed="false">Play</button>
<label>Speed <select id="speed">{speeds}</select></label></div>
<label>Frame <input type="range" id="frame" min="0" max="0" value="0" step="1"></label>
<p class="clock" id="clock" role="status">frame 0 · 0.0 s</p>
<label class="check"><input type="checkbox" id="difference"> difference to first frame</label>
<label class="check"><input type="checkbox" id="vehicles" checked> draw vehicles</label>
<figure id="loss-legend">{loss}<figcaption>path loss, dB</figcaption></figure>
<figure id="change-legend" hidden>{change}<figcaption>change since frame 0, dB</figcaption></figure>
<p class="keys"><kbd>space</kbd> play or pause, <kbd>←</kbd> <kbd>→</kbd> step,
<kbd>Home</kbd> <kbd>End</kbd> first and last frame</p>
</div></div>"""


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
                charts.line_svg(
                    [(0.0, 0.0), *curve],
                    "RMS change since the first frame over time",
                    "time, s",
                    "RMS change, dB",
                ),
                "How far the maps have moved away from their first frame.",
            )
        )
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
            "The published column comes from the RadioMapMotion paper (Table III). It is a check "
            "of plausibility, not a target: normalised figures count all pixels, buildings as 0, "
            f"on the grey scale {material.scale.name}."
        )
    )


def _short(count: int) -> str:
    """A count, from ten millions on with three digits."""
    return scaled(count, "kMGTP") if count >= 10_000_000 else f"{count:,}"
