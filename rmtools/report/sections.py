"""The sections of the report that show the data: header, viewer and thumbnails, places, pixels.

Each takes the material and returns HTML, or an empty text to be left out.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from rmtools.report import charts, ground, viewer
from rmtools.report.ground import ground_html
from rmtools.report.markup import (
    MAX_NAME,
    counted,
    figure,
    name,
    paragraph,
    scaled,
    share,
    size,
    table,
    text,
)
from rmtools.store_attributes import solver_words
from rmtools.store_format import MAPS_NAME
from rmtools.traffic.tracks import FRAME_INTERVAL_S

if TYPE_CHECKING:
    from rmtools.report.material import Material
    from rmtools.store import Store

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
    if store.has("pathloss_static"):
        text += ", and without them" if sizes.frame else ", without vehicles"
    text += "."
    text += f" Solver: {solver_words(store.solver)}." if store.solver else ""
    if material.statistics.empty:
        text += (
            f" {material.statistics.empty:,} of the {material.statistics.sequences:,} sequences "
            "looked at hold no value yet."
        )
    tiles = count_tiles(store, ("store on disk", size(material.bytes_on_disk)))
    return f"{paragraph(text, 'lead')}{tiles}"


def count_tiles(store: Store, *more: tuple[str, str]) -> str:
    """How much of everything there is."""
    sizes, still = store.sizes, _static_maps(store)
    maps = [("radio maps", store.maps)]
    if 0 < still < store.maps:  # layouts have the one or the other, and so have releases
        maps = [("maps with vehicles", store.maps - still), ("maps without vehicles", still)]
    counts = (
        ("scenes", sizes.scene),
        ("trajectories", sizes.scene * sizes.traj),
        ("transmitters", sizes.scene * sizes.tx),
        ("sequences", sizes.scene * sizes.traj * sizes.tx if store.has("pathloss") else 0),
        *maps,
        ("pixels", store.maps * store.grid.n**2),
    )
    words = [*((word, _short(count)) for word, count in counts), *more]
    tiles = "".join(f"<div><dt>{word}</dt><dd>{value}</dd></div>" for word, value in words)
    return f'<dl class="counts">{tiles}</dl>'


def _static_maps(store: Store) -> int:
    """How many maps are without vehicles."""
    matches = (MAPS_NAME.fullmatch(name) for name in store.map_arrays)
    names = [match[0] for match in matches if match and match[1]]
    return sum(math.prod(store.array(name).shape[:-2]) for name in names)


def _trajectories(count: int) -> str:
    return "1 trajectory" if count == 1 else f"{count:,} trajectories"


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
    """The viewer, and a shelf of thumbnails to choose a scene from."""
    gallery, sizes = material.gallery, material.store.sizes
    if not gallery.packs:
        return paragraph("No scene fits into this page.", "note")
    viewed = viewer.html(
        material.scale, len(gallery.packs[min(gallery.packs)]["tx"]), gallery.detail.frames
    )
    missing = "" if material.store.map_arrays else paragraph(_NOT_SIMULATED, "note")
    shelf = "".join(_thumbnail(material, s, first=i == 0) for i, s in enumerate(gallery.packs))
    found = f"{counted(len(gallery.packs), 'scene')} of {sizes.scene:,}"
    return f"""{missing}{viewed}{_left_out(material)}
<div class="row"><label>Find a scene <input type="search" id="find" autocomplete="off"></label>
{material.sets.chooser("id")}<p id="found" role="status">{found}</p>
</div>{material.sets.legend()}
<fieldset class="shelf" id="shelf"><legend>Scenes</legend>{shelf}</fieldset>"""


def _thumbnail(material: Material, s: int, *, first: bool) -> str:
    """A small picture that chooses its scene; all of them are one stop of the tab key."""
    number = material.sets.of[s] if material.sets.of else ""
    label = material.sets.label(s)
    words = f"<small>{text(label, MAX_NAME)}</small>" if label else ""
    source = material.gallery.thumbnails.get(s)
    picture = (
        f'<img src="data:image/webp;base64,{source}" alt="" width="96" height="96" '
        'decoding="async">'
        if source
        else ""
    )
    return (
        f'<label class="thumb" data-set="{number}"><input type="radio" name="scene" value="{s}"'
        f'{" checked" if first else ""}>{picture}<span class="swatch {material.sets.colour(s)}">'
        f"</span>{name(material.store.scene_names[s])}{words}</label>"
    )


def _left_out(material: Material) -> str:
    """What of the dataset the gallery does not show."""
    gallery, sizes = material.gallery, material.store.sizes
    detail, kept = gallery.detail, len(gallery.packs)
    words = []
    if kept < sizes.scene:
        words.append(f"{kept} of {sizes.scene:,} scenes are shown, spread evenly")
    if material.store.has("pathloss") and sizes.traj > 1:
        words.append(f"one of {sizes.traj:,} trajectories of each scene")
    if detail.transmitters < sizes.tx:
        words.append(f"{detail.transmitters} of {sizes.tx:,} transmitters")
    if detail.frames < sizes.frame and material.store.has("pathloss"):
        words.append(f"the first {detail.frames} of {sizes.frame:,} frames")
    if gallery.stride > 1:
        words.append(f"one pixel in {gallery.stride} × {gallery.stride} of each map")
    if gallery.maps < len(gallery.wanted):
        words.append(f"{gallery.maps:,} of {len(gallery.wanted):,} such sequences")
    if not words:
        return ""
    return paragraph(
        f"To keep this page small: {'; '.join(words)}. `rmtools serve` shows everything.", "note"
    )


def places(material: Material) -> str:
    """The scenes at their true places."""
    store = material.store
    if not store.sizes.scene:
        return ""
    maps = "".join(
        ground_html(place, store.scene_names, material.sets, store.grid.size_m, number)
        for number, place in enumerate(ground.places(store))
    )
    more = store.sizes.scene - ground.MAX_SCENES
    rest = paragraph(f"{more:,} more scenes are not drawn.", "note") if more > 0 else ""
    hint = paragraph("The arrow keys go from scene to scene, a click or the enter key shows one.")
    return f'{hint}{material.sets.legend()}<div class="grounds">{maps}</div>{rest}'


def _short(count: int) -> str:
    """A count, from ten millions on with three digits."""
    return scaled(count, "kMGTP") if count >= 10_000_000 else f"{count:,}"
