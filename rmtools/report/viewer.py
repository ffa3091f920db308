"""What a map viewer in the browser needs, in the report and in ``rmtools serve`` alike.

Maps travel as grey levels without loss: a stack of all frames of a sequence, each frame less the
one before and the first less its row above, compressed with zlib. What does not move costs next to
nothing, and nothing between the array and the screen can change a value.
"""

from __future__ import annotations

import base64
import zlib
from typing import TYPE_CHECKING, Any

from rmtools.report import charts, pictures
from rmtools.report.colours import change_table, gain_table
from rmtools.report.reader import BUILDING_LAYER
from rmtools.traffic.tracks import FRAME_INTERVAL_S

if TYPE_CHECKING:
    from rmtools.report.reader import Reader
    from rmtools.types import ByteArray, FloatArray
    from rmtools.units import GreyScale

MAX_SIDE = 512
"""Pixels a side in the browser; larger maps are thinned."""

CHANGE_RANGE_DB = 10.0
"""Ends of the colours of a difference."""


def settings(reader: Reader, scale: GreyScale, stride: int) -> dict[str, Any]:
    """What is the same for all scenes, as JSON values.

    Parameters
    ----------
    reader
        The dataset.
    scale
        Grey scale of the maps.
    stride
        One pixel in so many is shown, across and down.
    """
    grid = reader.grid
    return {
        "n": grid.n,
        "resolution": grid.resolution_m,
        "stride": stride,
        "pixels": -(-grid.n // stride),
        "frameSeconds": FRAME_INTERVAL_S,
        "scale": {
            "minGain": scale.gain_min_db,
            "step": scale.step_db,
            "middle": 0.5 if scale.rounding == "floor" else 0.0,
        },
        "gainColours": base64.b64encode(gain_table().tobytes()).decode(),
        "changeColours": base64.b64encode(change_table().tobytes()).decode(),
        "changeRange": CHANGE_RANGE_DB,
        "buildingLayer": BUILDING_LAYER,
        "buildingColour": list(pictures.BUILDING),
        "planColours": [
            list(colour) for colour in (pictures.GROUND, pictures.ROAD, pictures.SCENE_BUILDING)
        ],
        "vehicle": reader.vehicle_size(),
    }


def stride_for(n: int, side: int) -> int:
    """The smallest stride that leaves at most `side` of `n` pixels."""
    return -(-n // side)


def packed(levels: ByteArray) -> bytes:
    """Grey levels, shape (frame, n, n), as the script takes them apart again."""
    steps = levels.copy()
    steps[1:] -= levels[:-1]
    steps[0, 1:] -= levels[0, :-1]
    return zlib.compress(steps.tobytes(), 6)


def thinned(pathloss_db: FloatArray, stride: int, scale: GreyScale) -> ByteArray:
    """Grey levels of the pixels that are shown, shape (..., n, n) to (..., m, m)."""
    return scale.encode(pathloss_db[..., ::stride, ::stride])


def html(
    scale: GreyScale, transmitters: int, frames: int, trajectories: int = 1, *, heading: str = "h3"
) -> str:
    """Canvases and controls; the script brings them to life.

    Parameters
    ----------
    scale
        Grey scale of the maps.
    transmitters, frames, trajectories
        How many there are to choose from.
    heading
        Element of the name of the scene.
    """
    loss = charts.loss_legend_svg(-scale.gain_max_db, -scale.gain_min_db)
    change = charts.legend_svg(
        change_table(),
        -CHANGE_RANGE_DB,
        CHANGE_RANGE_DB,
        title="Change of path loss since the first frame, blue less, red more",
        sign=True,
    )
    speeds = "".join(
        f'<option value="{speed}"{" selected" if speed == 0.5 else ""}>{text}</option>'
        for speed, text in ((0.1, "1/10"), (0.25, "1/4"), (0.5, "1/2"), (1, "real time"))
    )
    moving = "" if frames > 1 else " hidden"
    return f"""<div class="viewer" id="viewer">
<{heading}><bdi id="scene-name"></bdi></{heading}>
<div class="stage">
<canvas id="screen" width="640" height="640" tabindex="0" role="img"
 aria-label="Radio map; arrow keys move the probe, space plays and pauses"></canvas>
<output class="probe" id="probe" aria-live="polite">&nbsp;</output>
</div>
<div class="controls">
{_slider("traj", "Trajectory", trajectories)}
{_slider("tx", "Transmitter", transmitters)}
{_slider("frame", "Frame", frames)}
<div class="row"{moving}><button type="button" id="play" aria-pressed="false">Play</button>
<label>Speed <select id="speed">{speeds}</select></label></div>
<p class="clock" id="clock" role="status">&nbsp;</p>
<label class="check"{moving}><input type="checkbox" id="difference">
difference to first frame</label>
<label class="check"{moving}><input type="checkbox" id="vehicles" checked> draw vehicles</label>
<figure id="loss-legend">{loss}<figcaption>path loss, dB</figcaption></figure>
<figure id="change-legend" hidden>{change}<figcaption>change since frame 0, dB</figcaption></figure>
<figure><canvas id="plan" width="320" height="320" role="img"
 aria-label="Plan: buildings, roads, transmitters and vehicles"></canvas>
<figcaption>plan: buildings, roads, vehicles, transmitters (the chosen one filled)</figcaption>
</figure>
<p class="keys">On the map <kbd>space</kbd> plays and pauses and the arrows read pixels, with
<kbd>shift</kbd> ten at a time. On a slider <kbd>←</kbd> <kbd>→</kbd> step,
<kbd>Home</kbd> <kbd>End</kbd> go to the ends.</p>
</div></div>"""


def _slider(name: str, word: str, count: int) -> str:
    state = "" if count > 1 else " hidden"
    return (
        f'<div class="slider"{state}><label for="{name}">{word}</label> '
        f'<output for="{name}" id="{name}-value"></output>'
        f'<input type="range" id="{name}" min="0" max="{max(count - 1, 0)}" value="0" step="1">'
        "</div>"
    )
