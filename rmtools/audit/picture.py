"""A picture of the sets on the ground, offending pairs joined by lines."""

from __future__ import annotations

import math
from collections import defaultdict
from typing import TYPE_CHECKING

from PIL import Image, ImageDraw

from rmtools.report.pictures import FAINT_INK, INK, PAPER, TRANSMITTER, Colour, font
from rmtools.splits.separation import memberships

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rmtools.audit.model import AuditReport
    from rmtools.splits.manifest import SplitManifest
    from rmtools.splits.places import Place

Box = tuple[float, float, float, float]

WIDTH, HEIGHT, MARGIN, LINE = 1200, 900, 24, 26
SET_COLOURS: tuple[Colour, ...] = (
    (66, 122, 178),
    (232, 159, 60),
    (84, 158, 94),
    (150, 104, 170),
    (105, 189, 203),
    (203, 120, 150),
    (140, 120, 90),
    (120, 128, 140),
)
"""Told apart also by most who are colour-blind; a ninth kind of scene has the first again."""
LEAK: Colour = TRANSMITTER


def draw_audit(
    report: AuditReport, manifest: SplitManifest, places: Sequence[Place]
) -> Image.Image:
    """Draw the sets of a split.

    Scenes whose place is known lie where they lie, one map for each CRS, north up; all others
    stand in rows in the order of the split. Every example of a leak is framed or joined by a
    line in red.

    Parameters
    ----------
    report
        Of :func:`rmtools.audit.audit`.
    manifest
        The split.
    places
        Squares of its scenes, as far as they are known, under the split's names.
    """
    sets_of = memberships(manifest)
    kinds = list(dict.fromkeys("+".join(sorted(names)) for names in sets_of.values()))
    colour = {kind: SET_COLOURS[k % len(SET_COLOURS)] for k, kind in enumerate(kinds)}
    legend = LINE * math.ceil((len(kinds) + 1) / 4) + MARGIN
    image = Image.new("RGB", (WIDTH, HEIGHT + legend + LINE + MARGIN), PAPER)
    draw = ImageDraw.Draw(image)
    title = f"{report.split}: " + ("leaks" if report.leaks else "no leak found")
    draw.text((MARGIN, MARGIN), title, fill=INK, font=font(20), anchor="lm")
    area = (MARGIN, MARGIN + LINE, WIDTH - MARGIN, MARGIN + LINE + HEIGHT - 2 * MARGIN)
    boxes = _boxes(list(sets_of), places, area)
    for scene, box in boxes.items():
        draw.rectangle(box, fill=colour["+".join(sorted(sets_of[scene]))], outline=PAPER)
    for level in report.leaks:
        for pair in level.examples:
            _mark(draw, boxes.get(pair.first), boxes.get(pair.second))
    for k, kind in enumerate([*kinds, None]):
        x = MARGIN + (k % 4) * (WIDTH - 2 * MARGIN) / 4
        y = area[3] + MARGIN + (k // 4) * LINE
        fill = PAPER if kind is None else colour[kind]
        draw.rectangle((x, y, x + 14, y + 14), fill=fill, outline=LEAK if kind is None else None)
        text = "example of a leak" if kind is None else kind
        draw.text((x + 22, y + 7), text, fill=FAINT_INK, font=font(15), anchor="lm")
    return image


def _boxes(scenes: list[str], places: Sequence[Place], area: Box) -> dict[str, Box]:
    """Where each scene is drawn: maps of the CRSs side by side, then those without a place."""
    groups: dict[str, list[Place]] = defaultdict(list)
    for place in places:
        groups[str(place.crs)].append(place)
    known = {place.name for place in places}
    rest = [scene for scene in scenes if scene not in known]
    parts = len(groups) + bool(rest)
    columns = math.ceil(math.sqrt(parts))
    rows = math.ceil(parts / columns)
    width, height = (area[2] - area[0]) / columns, (area[3] - area[1]) / rows
    boxes: dict[str, Box] = {}
    for k in range(parts):
        left, top = area[0] + k % columns * width, area[1] + k // columns * height
        inner = (left, top, left + 0.96 * width, top + 0.96 * height)
        maps = list(groups.values())
        boxes |= _on_the_ground(maps[k], inner) if k < len(maps) else _in_rows(rest, inner)
    return boxes


def _on_the_ground(places: list[Place], area: Box) -> dict[str, Box]:
    west = min(place.easting_m for place in places)
    south = min(place.northing_m for place in places)
    east = max(place.easting_m + place.size_m for place in places)
    north = max(place.northing_m + place.size_m for place in places)
    scale = min((area[2] - area[0]) / (east - west), (area[3] - area[1]) / (north - south))
    return {
        place.name: (
            area[0] + (place.easting_m - west) * scale,
            area[1] + (north - place.northing_m - place.size_m) * scale,
            area[0] + max((place.easting_m + place.size_m - west) * scale, 2),
            area[1] + max((north - place.northing_m) * scale, 2),
        )
        for place in places
    }


def _in_rows(scenes: list[str], area: Box) -> dict[str, Box]:
    width, height = area[2] - area[0], area[3] - area[1]
    columns = math.ceil(math.sqrt(len(scenes) * width / height))
    side = min(width / columns, height / math.ceil(len(scenes) / columns))
    boxes = {}
    for k, scene in enumerate(scenes):
        x, y = area[0] + k % columns * side, area[1] + k // columns * side
        boxes[scene] = (x, y, x + 0.9 * side, y + 0.9 * side)
    return boxes


def _mark(draw: ImageDraw.ImageDraw, first: Box | None, second: Box | None) -> None:
    """Frame two scenes and join them."""
    drawn = [box for box in (first, second) if box is not None]
    for box in drawn:
        draw.rectangle(box, outline=LEAK, width=2)
    if len(drawn) == 2 and first != second:
        centres = [((box[0] + box[2]) / 2, (box[1] + box[3]) / 2) for box in drawn]
        draw.line(centres, fill=LEAK, width=2)
