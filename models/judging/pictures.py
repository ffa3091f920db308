"""A contact sheet: a few test maps, what every model predicts for them, and its error in dB."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image, ImageDraw

from rmtools.files import write_bytes
from rmtools.layouts.maps import LayerMissingError
from rmtools.layouts.npz import npz_bytes, read_npz
from rmtools.report.colours import change_table, gain_table
from rmtools.report.pictures import BUILDING, FAINT_INK, INK, PAPER, TRANSMITTER, contact, font

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from rmtools.layouts.datasets import MapDataset
    from rmtools.types import BoolArray, ByteArray, FloatArray
    from rmtools.units import GreyScale

    from .predictions import Predicted

ERROR_DB = 20.0
"""Error at the ends of the colours; larger ones look the same."""

GAP, MIN_SIDE = 6, 128
HEAD = 26
MAX_BYTES = 512 * 2**20


@dataclass
class Snapshot:
    """Predictions of a few maps, spread evenly over the test set; of a forecast the last frame.

    Attributes
    ----------
    positions
        Positions in the set, int64, shape (K,).
    pred, truth
        On the reference scale, float32, shape (K, n, n).
    inside
        Pixels inside buildings, bool, shape (K, n, n).
    titles
        Scene, transmitter and frame.
    """

    positions: np.ndarray[tuple[int], np.dtype[np.int64]]
    pred: FloatArray
    truth: FloatArray
    inside: BoolArray
    titles: list[str]
    _data: MapDataset | None = None

    @classmethod
    def of(cls, data: MapDataset, count: int) -> Snapshot:
        """An empty one of so many maps."""
        count = min(count, len(data))
        positions = ((np.arange(count) + 0.5) * len(data) / max(count, 1)).astype(np.int64)
        shape = (len(positions), data.n, data.n)
        empty = np.zeros(shape, np.float32)
        return cls(
            positions, empty, empty.copy(), np.zeros(shape, bool), [""] * len(positions), data
        )

    def see(self, found: Predicted) -> None:
        """Keep those maps of a batch that belong here."""
        if self._data is None:
            return
        last = found.first + len(found.truth)
        chosen = np.flatnonzero((self.positions >= found.first) & (self.positions < last))
        for k, at in zip(
            chosen.tolist(), (self.positions[chosen] - found.first).tolist(), strict=True
        ):
            self.pred[k], self.truth[k] = found.pred[at, -1, 0], found.truth[at, -1, 0]
            meta = {key: int(found.meta[key][at]) for key in ("scene", "traj", "tx", "frame")}
            frame = meta["frame"] + found.truth.shape[1] - 1
            name = self._data.scene_names[meta["scene"]]
            self.titles[k] = f"{name}\ntrajectory {meta['traj']}, tx {meta['tx']}\nframe {frame}"
            try:
                self.inside[k] = self._data.source.inside_buildings(meta["scene"])
            except LayerMissingError:
                self.inside[k] = False


def write_snapshot(path: Path, snapshot: Snapshot) -> None:
    """Write a snapshot as npz."""
    arrays = {key: getattr(snapshot, key) for key in ("positions", "pred", "truth", "inside")}
    write_bytes(path, npz_bytes({**arrays, "titles": np.array(snapshot.titles, dtype=np.str_)}))


def read_snapshot(path: Path) -> Snapshot:
    """Read a snapshot.

    Raises
    ------
    InputError
        The file is missing or damaged.
    """
    found = read_npz(path, MAX_BYTES)
    titles = [str(title) for title in found["titles"]]
    return Snapshot(found["positions"], found["pred"], found["truth"], found["inside"], titles)


def contact_sheet(
    snapshots: Sequence[tuple[str, Snapshot]], scale: GreyScale, *, mark: str | None = None
) -> Image.Image:
    """Draw the sheet: two rows for each map, predictions above their errors.

    Parameters
    ----------
    snapshots
        Label and predictions of each model, of the same maps.
    scale
        Their grey scale.
    mark
        A warning to be printed in red on top.

    Returns
    -------
    Image
        RGB. A column for the truth and one for each model; maps are enlarged by a whole number
        so that they have at least 128 pixels a side.
    """
    first = snapshots[0][1]
    factor = max(1, -(-MIN_SIDE // first.truth.shape[-1]))
    side = first.truth.shape[-1] * factor
    rows: list[list[Image.Image]] = []
    for k, title in enumerate(first.titles):
        truth, inside = first.truth[k], first.inside[k]
        colours = _gain(truth)
        colours[inside & (truth == 0)] = BUILDING
        rows.append([_tile(colours, factor)])
        rows.append([_words(title, side)])
        for _, shot in snapshots:
            rows[-2].append(_tile(_gain(shot.pred[k]), factor))
            rows[-1].append(_tile(error_colours((shot.pred[k] - truth) * scale.span_db), factor))
    grid = contact(rows, GAP)
    head = HEAD * (2 if mark else 1)
    sheet = Image.new("RGB", (grid.width, grid.height + head + HEAD), PAPER)
    sheet.paste(grid, (0, head))
    draw = ImageDraw.Draw(sheet)
    if mark:
        draw.text((GAP, HEAD / 2), mark, fill=TRANSMITTER, font=font(14), anchor="lm")
    for column, name in enumerate(["truth", *(label for label, _ in snapshots)]):
        at = (GAP + column * (side + GAP), head - HEAD / 2)
        draw.text(at, _cut(draw, name, side), fill=INK, font=font(13), anchor="lm")
    legend = f"errors: blue too strong, red too weak, full colour at {ERROR_DB:g} dB"
    foot = (GAP, sheet.height - HEAD / 2)
    draw.text(
        foot, _cut(draw, legend, sheet.width - 2 * GAP), fill=FAINT_INK, font=font(13), anchor="lm"
    )
    return sheet


def error_colours(error_db: FloatArray) -> ByteArray:
    """Colours of errors of the gain in dB, shape (..., 3): blue too strong, red too weak."""
    level = np.clip(127.5 - error_db / ERROR_DB * 127.5, 0, 255)
    return change_table()[np.rint(level).astype(np.uint8)]


def _gain(unit: FloatArray) -> ByteArray:
    return gain_table()[np.rint(np.clip(unit, 0, 1) * 255).astype(np.uint8)]


def _tile(rgb: ByteArray, factor: int) -> Image.Image:
    return Image.fromarray(np.kron(rgb, np.ones((factor, factor, 1), np.uint8)))


def _words(text: str, side: int) -> Image.Image:
    tile = Image.new("RGB", (side, side), PAPER)
    draw = ImageDraw.Draw(tile)
    for number, line in enumerate(text.split("\n")):
        draw.text((0, 4 + 18 * number), _cut(draw, line, side), fill=FAINT_INK, font=font(13))
    return tile


def _cut(draw: ImageDraw.ImageDraw, text: str, width: float) -> str:
    """Text that fits, cut in the end."""
    shown = text
    while shown and draw.textlength(shown, font=font(13)) > width:
        shown = shown[:-1]
    return shown if shown == text else f"{shown[:-1]}…"
