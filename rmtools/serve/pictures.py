"""Maps of a dataset as answers: each is read and made when it is asked for, and then forgotten."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from rmtools.report import pictures, viewer
from rmtools.report.gallery import THUMBNAIL_SIDE
from rmtools.report.markup import MAX_NAME, plain
from rmtools.report.reader import BUILDING_LAYER
from rmtools.serve.pages import Answer

if TYPE_CHECKING:
    from rmtools.serve.dataset import BoundedReader
    from rmtools.units import GreyScale

_BYTES = "application/octet-stream"


def stride_of(reader: BoundedReader, side: int = viewer.MAX_SIDE) -> int:
    """One pixel in so many is shown."""
    return viewer.stride_for(reader.grid.n, side)


def facts(reader: BoundedReader, s: int, t: int) -> Answer:
    """Name, transmitters and vehicles of a scene and a trajectory."""
    value = {
        "name": plain(reader.names[s], MAX_NAME),
        "at": reader.positions(s),
        "tx": list(range(reader.sizes.tx)) if reader.trajectories else [],
        "vehicles": reader.vehicles(s, t, reader.frames),
    }
    return Answer(json.dumps(value, allow_nan=False).encode(), "application/json")


def layers(reader: BoundedReader, s: int) -> Answer:
    """Ground, roads and buildings, packed."""
    found = reader.layers(s, stride_of(reader))
    return Answer(viewer.packed(found[None]), _BYTES)


def stack(reader: BoundedReader, index: tuple[int, int, int], scale: GreyScale) -> Answer:
    """All frames of a sequence, packed."""
    levels = viewer.thinned(reader.sequence(*index), stride_of(reader), scale)
    return Answer(viewer.packed(levels), _BYTES)


def thumbnail(reader: BoundedReader, s: int, scale: GreyScale) -> Answer:
    """The first map of a scene, or its plan where there are no maps."""
    stride = max(reader.grid.n // THUMBNAIL_SIDE, 1)
    plan = reader.layers(s, stride)
    if reader.trajectories and reader.sizes.tx:
        first = reader.sequence(s, 0, 0)[0, ::stride, ::stride]
        rgb = pictures.paint_map(first, plan == BUILDING_LAYER, scale)
    else:
        rgb = pictures.paint_plan(plan)
    return Answer(pictures.thumbnail(rgb, THUMBNAIL_SIDE), "image/webp")


def frame(reader: BoundedReader, index: tuple[int, int, int], f: int, scale: GreyScale) -> Answer:
    """One map in colours."""
    pathloss_db = reader.sequence(*index)
    f = min(f, len(pathloss_db) - 1)
    shown = pathloss_db[f, :: (step := stride_of(reader, 2048)), ::step]
    inside = reader.inside_buildings(index[0])[::step, ::step]
    image = Image.fromarray(pictures.paint_map(np.ascontiguousarray(shown), inside, scale))
    return Answer(pictures.encode(image, ".png"), "image/png")
