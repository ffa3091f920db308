"""What goes into the page besides words: layers, maps and sequences as lossless grey pictures.

A page is bounded: a few scenes, transmitters and sequences, maps thinned to at most 512 pixels a
side, and a budget of bytes. What is left out is counted, so that the page can say so.
"""

from __future__ import annotations

import base64
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from rmtools.report import pictures
from rmtools.report.colours import change_table, gain_table
from rmtools.report.preview import scene_picture
from rmtools.report.statistics import sampled
from rmtools.traffic.tracks import FRAME_INTERVAL_S

if TYPE_CHECKING:
    from rmtools.store import Store
    from rmtools.types import ByteArray
    from rmtools.units import GreyScale

MAX_SCENES = 12
MAX_TRANSMITTERS = 4
MAX_SEQUENCES = 4
MAX_FRAMES = 30
MAX_SIDE = 512
MAX_BYTES = 6 * 2**20
"""Pictures in a page, counted as base64 text."""

ROAD_LAYER, BUILDING_LAYER = 1, 2

CHANGE_RANGE_DB = 10.0
"""Ends of the colours of a difference."""


@dataclass
class Embedded:
    """Pictures and numbers of the page.

    Attributes
    ----------
    data
        For the page's script: JSON values, pictures as ``data:`` addresses.
    scene_pictures
        Scene index to the ``data:`` address of its picture.
    maps, sequences
        How many are embedded.
    used
        Bytes of base64 text.
    """

    data: dict[str, Any]
    scene_pictures: dict[int, str] = field(default_factory=dict)
    maps: int = 0
    sequences: int = 0
    used: int = 0

    def admit(self, image: Image.Image) -> str | None:
        """A lossless picture as a ``data:`` address, or None when the budget is spent."""
        text = base64.b64encode(pictures.encode(image, ".webp")).decode()
        if self.used + len(text) > MAX_BYTES:
            return None
        self.used += len(text)
        return f"data:image/webp;base64,{text}"


def embed(store: Store, scale: GreyScale) -> Embedded:
    """Choose and encode what the page shows.

    Scenes, transmitters and sequences are spread evenly over the dataset. Sequences come first,
    so that a tight budget takes away single maps and not the player.
    """
    sizes, grid = store.sizes, store.grid
    stride = -(-grid.n // MAX_SIDE)
    page = Embedded(
        {
            "pixels": -(-grid.n // stride),
            "stride": stride,
            "n": grid.n,
            "resolution": grid.resolution_m,
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
            "vehicle": _vehicle_size(store),
            "scenes": {},
            "sequences": [],
        }
    )
    chosen = sampled(sizes.scene, MAX_SCENES)
    for s in chosen:
        _add_scene(page, store, s, stride)
    if store.map_arrays:
        for index in _chosen_sequences(store, chosen):
            _add_sequence(page, store, index, stride, scale)
        # Round by round, so that a spent budget leaves every scene with some map.
        for k in sampled(sizes.tx, MAX_TRANSMITTERS):
            for s in chosen:
                _add_map(page, store, (s, k), stride, scale)
    return page


def _chosen_sequences(store: Store, chosen: list[int]) -> list[tuple[int, int, int]]:
    """(scene, trajectory, transmitter), a different scene each time as long as there are some."""
    sizes = store.sizes
    if not sizes.traj * sizes.tx * sizes.frame:
        return []
    scenes = [chosen[i] for i in sampled(len(chosen), MAX_SEQUENCES)]
    picks = [
        (scenes[i % len(scenes)], i % sizes.traj, (i + i // len(scenes)) % sizes.tx)
        for i in range(MAX_SEQUENCES)
    ]
    return list(dict.fromkeys(picks))


def _vehicle_size(store: Store) -> list[float]:
    attributes = store.array_attributes("vehicles")
    if not attributes:
        return [0.0, 0.0]
    return [float(attributes[f"vehicle_{side}_m"]) for side in ("length", "width")]


def _add_scene(page: Embedded, store: Store, s: int, stride: int) -> None:
    layers = np.zeros(store.grid.shape, np.uint8)
    layers[store.roads(s)] = ROAD_LAYER
    layers[store.inside_buildings(s)] = BUILDING_LAYER
    picture = scene_picture(store, s, 0, max(MAX_SIDE // store.grid.n, 1), emphasis=1.7)
    if max(picture.size) > MAX_SIDE:
        picture = picture.reduce(-(-picture.width // MAX_SIDE))
    shown, mask = page.admit(picture), page.admit(_grey(layers[::stride, ::stride]))
    if shown and mask:
        page.scene_pictures[s] = shown
        page.data["scenes"][str(s)] = {
            "name": store.scene_names[s],
            "layers": mask,
            "maps": [],
        }


def _add_map(
    page: Embedded, store: Store, index: tuple[int, int], stride: int, scale: GreyScale
) -> None:
    s, k = index
    scene = page.data["scenes"].get(str(s))
    if scene is None:
        return
    levels = scale.encode(store.frame_map(s, 0, k, 0))
    source = page.admit(_grey(levels[::stride, ::stride]))
    if source:
        scene["maps"].append({"tx": k, "source": source, "at": _position(store, s, k)})
        page.maps += 1


def _add_sequence(
    page: Embedded, store: Store, index: tuple[int, int, int], stride: int, scale: GreyScale
) -> None:
    s, t, k = index
    if str(s) not in page.data["scenes"]:
        return
    levels = scale.encode(store.pathloss(s, t, k)[:MAX_FRAMES])[:, ::stride, ::stride]
    # All frames below each other in one picture: what does not change is compressed away.
    source = page.admit(_grey(levels.reshape(-1, levels.shape[-1])))
    if source is None:
        return
    page.sequences += 1
    page.data["sequences"].append(
        {
            "scene": str(s),
            "traj": t,
            "tx": k,
            "frames": len(levels),
            "source": source,
            "at": _position(store, s, k),
            "vehicles": _vehicles(store, s, t, len(levels)),
        }
    )


def _grey(levels: ByteArray) -> Image.Image:
    return Image.fromarray(np.ascontiguousarray(levels))


def _position(store: Store, s: int, k: int) -> list[float] | None:
    x, y, _ = store.transmitters(s)[k]
    return None if np.isnan(x + y) else [round(float(x), 3), round(float(y), 3)]


def _vehicles(store: Store, s: int, t: int, frames: int) -> list[list[list[float]]]:
    """Centre x, y and heading of the vehicles present in each frame."""
    if not store.has("vehicles"):
        return [[] for _ in range(frames)]
    tracks = store.tracks(s, t)
    here = ~np.isnan(tracks.x)
    table = np.stack([tracks.x, tracks.y, tracks.heading_deg], axis=-1)
    return [np.round(table[f][here[f]], 2).tolist() for f in range(frames)]
