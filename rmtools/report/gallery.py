"""What goes into the page besides words: maps of up to 300 scenes, and a thumbnail of each.

A page is bounded by a budget of bytes. How many frames, transmitters and pixels of every scene
are embedded follows from what the first of them need; what is left out is counted, so that the
page can say so.
"""

from __future__ import annotations

import base64
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from rmtools.report import pictures, viewer
from rmtools.report.markup import MAX_NAME, plain
from rmtools.report.reader import BUILDING_LAYER
from rmtools.report.statistics import sampled

if TYPE_CHECKING:
    from rmtools.report.reader import Reader
    from rmtools.report.statistics import Index
    from rmtools.types import BoolArray, ByteArray, FloatArray
    from rmtools.units import GreyScale

MAX_SCENES = 300
MAX_BYTES = 20 * 2**20
"""Maps and thumbnails in a page, counted as base64 text."""

THUMBNAIL_SIDE = 96
_PROBES = 3  # sequences that tell what a sequence needs


class Detail(NamedTuple):
    """How much of each scene is embedded."""

    side: int
    transmitters: int
    frames: int


DETAILS = (
    Detail(viewer.MAX_SIDE, 4, 30),
    Detail(256, 4, 15),
    Detail(128, 4, 15),
    Detail(128, 2, 10),
    Detail(64, 2, 10),
    Detail(64, 1, 1),
)
"""From the most to the least; the first that fits into the budget is taken."""


@dataclass
class Gallery:
    """Pictures and numbers of the page.

    Attributes
    ----------
    reader, scale
        Where they come from.
    stride
        One pixel in so many is shown, across and down.
    detail
        How much of each scene is shown, bounded by what there is.
    scenes
        Indices of the scenes that are shown.
    wanted
        Sequences to be handed to :meth:`add`.
    packs
        Scene index to what the page's script needs of it, as JSON values.
    thumbnails
        Scene index to a small WebP picture as base64 text.
    maps
        Sequences that are embedded.
    used
        Bytes of base64 text.
    """

    reader: Reader
    scale: GreyScale
    stride: int
    detail: Detail
    scenes: list[int]
    wanted: list[Index]
    packs: dict[int, dict[str, Any]] = field(default_factory=dict)
    thumbnails: dict[int, str] = field(default_factory=dict)
    maps: int = 0
    used: int = 0
    _inside: dict[int, BoolArray] = field(default_factory=dict)

    @classmethod
    def begin(cls, reader: Reader, scale: GreyScale) -> Gallery:
        """Choose what to show: scenes and transmitters spread evenly, the trajectories in turn."""
        sizes, trajectories = reader.sizes, reader.trajectories
        scenes = sampled(sizes.scene, MAX_SCENES)
        picks = [(s, i % trajectories) for i, s in enumerate(scenes)] if trajectories else []
        detail = _choose(reader, scale, picks) if picks and sizes.tx else _at_most(reader)[0]
        chosen = sampled(sizes.tx, detail.transmitters)
        wanted = [(s, t, k) for s, t in picks for k in chosen]
        stride = viewer.stride_for(reader.grid.n, detail.side)
        gallery = cls(reader, scale, stride, detail, scenes, wanted)
        for i, s in enumerate(scenes):
            gallery._add_scene(s, i % max(trajectories, 1))
        return gallery

    def _admit(self, data: bytes) -> str | None:
        """Base64 text, or None when the budget is spent."""
        text = base64.b64encode(data).decode()
        if self.used + len(text) > MAX_BYTES:
            return None
        self.used += len(text)
        return text

    def _add_scene(self, s: int, t: int) -> None:
        found = self.reader.layers(s, self.stride)
        if layers := self._admit(viewer.packed(found[None])):
            self.packs[s] = {
                "traj": t,
                "layers": layers,
                "vehicles": self.reader.vehicles(s, t, self.detail.frames),
                "at": self.reader.positions(s),
                "tx": [],
                "stacks": [],
            }
            self._inside[s] = found == BUILDING_LAYER
            self._add_thumbnail(s, pictures.paint_plan(found))

    def add(self, index: Index, pathloss_db: FloatArray) -> None:
        """Take in a sequence, shape (frame, n, n)."""
        s, _, k = index
        if (pack := self.packs.get(s)) is None:
            return
        shown = pathloss_db[: self.detail.frames]
        levels = viewer.thinned(shown, self.stride, self.scale)
        stack = self._admit(viewer.packed(levels))
        if stack is None:
            return
        if not pack["stacks"]:
            first = pathloss_db[0, :: self.stride, :: self.stride]
            self._add_thumbnail(s, pictures.paint_map(first, self._inside[s], self.scale))
        pack["tx"].append(k)
        pack["stacks"].append(stack)
        self.maps += 1

    def _add_thumbnail(self, s: int, rgb: ByteArray) -> None:
        """A small picture in place of the one there may be."""
        self.used -= len(self.thumbnails.pop(s, ""))
        if text := self._admit(pictures.thumbnail(rgb, THUMBNAIL_SIDE)):
            self.thumbnails[s] = text

    def data(self) -> dict[str, Any]:
        """What the page's script needs besides the packs."""
        names = self.reader.store.scene_names
        return {
            **viewer.settings(self.reader, self.scale, self.stride),
            "names": {str(s): plain(names[s], MAX_NAME) for s in self.packs},
        }


def _at_most(reader: Reader) -> list[Detail]:
    """The choices, each as far as there is so much."""
    most = (reader.grid.n, reader.sizes.tx, max(reader.frames, 1))
    return [Detail(*map(min, detail, most)) for detail in DETAILS]


def _choose(reader: Reader, scale: GreyScale, picks: list[tuple[int, int]]) -> Detail:
    """The most detailed choice that should fit into the budget."""
    read = [reader.sequence(*picks[i], 0) for i in sampled(len(picks), _PROBES)]
    for detail in _at_most(reader):
        stride = viewer.stride_for(reader.grid.n, detail.side)
        sizes = [
            len(viewer.packed(viewer.thinned(maps[: detail.frames], stride, scale)))
            for maps in read
        ]
        # Base64 makes 4 bytes of 3; half as much again leaves room for scenes that are richer.
        needed = 1.5 * len(picks) * detail.transmitters * float(np.mean(sizes)) * 4 / 3
        if needed < MAX_BYTES:
            break
    return detail
