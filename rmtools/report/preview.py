"""Previews of a dataset: single maps, sequences in motion, scenes, contact sheets.

Pictures are made for people (README, slides, a quick look); datasets for machines are written by
:mod:`rmtools.layouts`.
"""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Literal

import numpy as np

from rmtools.errors import InputError, RecipeError
from rmtools.files import write_bytes
from rmtools.report import pictures
from rmtools.traffic.tracks import FRAME_INTERVAL_S
from rmtools.units import MOTION_SCALE

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from PIL.Image import Image

    from rmtools.store import Store
    from rmtools.types import FloatArray
    from rmtools.units import GreyScale

What = Literal["map", "sequence", "scene", "sheet"]

FRAME_MS = round(FRAME_INTERVAL_S * 1000)
_WANTED_SIDE = 640  # screen pixels that a single picture should have at least
_ANIMATIONS = (".gif", ".webp")
_SUFFIXES = (".png", *_ANIMATIONS)


def preview_map(
    store: Store,
    s: int,
    t: int,
    k: int,
    f: int,
    *,
    factor: int | None = None,
    scale: GreyScale = MOTION_SCALE,
) -> Image:
    """Picture of one radio map with vehicles, transmitter, scale bar and legend in dB.

    Parameters
    ----------
    store
        A store with simulated path loss.
    s, t, k, f
        Scene, trajectory, transmitter and frame.
    factor
        Screen pixels per raster pixel; chosen from the size of the map when not given.
    scale
        The losses at the ends of the colours.

    Raises
    ------
    InputError
        There is no such map.
    """
    check_index(store, scene=s, traj=t, tx=k, frame=f)
    pathloss_db = store.frame_map(s, t, k, f)
    picture = _map_picture(store, (s, t, k, f), pathloss_db, enlargement(store, factor), scale)
    return pictures.frame_picture(picture, caption(store, s, t, k, f), store.grid, scale)


def preview_sequence(
    store: Store,
    s: int,
    t: int,
    k: int,
    *,
    factor: int | None = None,
    scale: GreyScale = MOTION_SCALE,
) -> list[Image]:
    """Pictures of all frames of a sequence, see :func:`preview_map`."""
    check_index(store, scene=s, traj=t, tx=k)
    factor = enlargement(store, factor)
    return [
        pictures.frame_picture(
            _map_picture(store, (s, t, k, f), pathloss_db, factor, scale),
            caption(store, s, t, k, f),
            store.grid,
            scale,
        )
        for f, pathloss_db in enumerate(store.pathloss(s, t, k))
    ]


def preview_scene(store: Store, s: int, t: int = 0, *, factor: int | None = None) -> Image:
    """Picture of a scene: buildings, roads, transmitters, vehicles with the way they take.

    Layers whose stage has not run yet are left out.

    Raises
    ------
    InputError
        There is no such scene or trajectory.
    """
    check_index(store, scene=s, **({"traj": t} if store.has("vehicles") else {}))
    picture = scene_picture(store, s, t, enlargement(store, factor))
    sizes = store.sizes
    note = ", ".join(
        f"{count} {word}"
        for count, word in ((sizes.tx, "transmitters"), (sizes.frame, "frames"))
        if count
    )
    title = pictures.Caption(store.scene_names[s], note)
    return pictures.frame_picture(picture, title, store.grid)


def scene_picture(store: Store, s: int, t: int, factor: int, emphasis: float = 1.0) -> Image:
    """The bare square picture inside :func:`preview_scene`."""
    ground = pictures.paint_scene(store.buildings(s), store.roads(s))
    sketch = pictures.Sketch(ground, store.grid, factor, emphasis)
    if store.has("vehicles"):
        tracks = store.tracks(s, t)
        for v in np.flatnonzero(tracks.present):
            way = np.stack([tracks.x[:, v], tracks.y[:, v]], axis=-1)
            for part in np.split(way, np.flatnonzero(np.isnan(way[:, 0]))):
                if len(stretch := part[~np.isnan(part[:, 0])]):
                    sketch.trail(stretch, (*pictures.TRAIL, 255))
        if tracks.frames:
            last = tracks.outlines(tracks.frames - 1)
            sketch.vehicles(last, (*pictures.VEHICLE, 255), pictures.PAPER)
    if store.has("tx_x"):
        for k, (x, y, _) in enumerate(store.transmitters(s)):
            if not np.isnan(x + y):
                sketch.transmitter(x, y, str(k))
    return sketch.image()


def contact_sheet(
    store: Store,
    scenes: Sequence[int] | None = None,
    transmitters: Sequence[int] | None = None,
    *,
    factor: int = 1,
    scale: GreyScale = MOTION_SCALE,
) -> Image:
    """First frames of several scenes (rows) and transmitters (columns).

    Parameters
    ----------
    scenes, transmitters
        Indices; the first six scenes and four transmitters when not given.
    """
    check_index(store, scene=0, traj=0, tx=0, frame=0)
    sizes = store.sizes
    scenes = range(min(sizes.scene, 6)) if scenes is None else scenes
    transmitters = range(min(sizes.tx, 4)) if transmitters is None else transmitters
    if not scenes or not transmitters:
        raise RecipeError(
            "a contact sheet needs at least one scene and one transmitter.",
            remedy="Leave the choice out to get the first ones.",
        )
    rows = []
    for s in scenes:
        check_index(store, scene=s)
        row = [scene_picture(store, s, 0, factor)]
        for k in transmitters:
            check_index(store, tx=k)
            row.append(
                _map_picture(store, (s, 0, k, 0), store.frame_map(s, 0, k, 0), factor, scale)
            )
        rows.append(row)
    return pictures.contact(rows, gap=max(store.grid.n * factor // 32, 2))


def write_preview(
    path: Path,
    store: Store,
    what: What | None = None,
    s: int = 0,
    t: int = 0,
    k: int = 0,
    f: int = 0,
    factor: int | None = None,
) -> Path:
    """Write a preview; the suffix of `path` decides the format.

    Parameters
    ----------
    path
        ``.png`` for a still, ``.gif`` or ``.webp`` for an animation at 10 frames a second (a
        ``.webp`` of anything but a sequence is a lossless still).
    what
        ``"map"``, ``"sequence"``, ``"scene"`` or ``"sheet"``; by default a sequence where the
        suffix can move, else a map.
    s, t, k, f
        Scene, trajectory, transmitter, frame; those that `what` does not need are not looked at.

    Raises
    ------
    RecipeError
        The suffix cannot hold what was asked.
    InputError
        The store has no such map.
    """
    suffix = path.suffix.lower()
    what = what or ("sequence" if suffix in _ANIMATIONS else "map")
    if suffix not in _SUFFIXES or (what == "sequence") > (suffix in _ANIMATIONS):
        allowed = _ANIMATIONS if what == "sequence" else _SUFFIXES
        raise _bad_suffix(path, what, allowed)
    if what == "sequence":
        frames = preview_sequence(store, s, t, k, factor=factor)
        data = pictures.encode_animation(frames, suffix, FRAME_MS)
    else:
        if what == "map":
            image = preview_map(store, s, t, k, f, factor=factor)
        elif what == "scene":
            image = preview_scene(store, s, t, factor=factor)
        else:
            image = contact_sheet(store, factor=factor or 1)
        return write_still(path, image)
    write_bytes(path, data)
    return path


def write_still(path: Path, image: Image) -> Path:
    """Write one picture; the suffix of `path` decides the format.

    Raises
    ------
    RecipeError
        The suffix is none of ``.png``, ``.webp`` and ``.gif``.
    """
    suffix = path.suffix.lower()
    if suffix not in _SUFFIXES:
        raise _bad_suffix(path, "picture", _SUFFIXES)
    if suffix == ".gif":
        data = pictures.encode_animation([image], suffix, FRAME_MS)
    else:
        data = pictures.encode(image, suffix)
    write_bytes(path, data)
    return path


def _bad_suffix(path: Path, what: str, allowed: tuple[str, ...]) -> RecipeError:
    found = path.suffix.lower() or "a file without suffix"
    return RecipeError(
        f"a preview of a {what} cannot be written as {found}.",
        where=path,
        remedy=f"Use one of {', '.join(allowed)}.",
    )


def check_index(store: Store, **index: int) -> None:
    """Refuse indices that the store does not have.

    Raises
    ------
    InputError
        Says which index is wrong and how many there are.
    """
    if "tx" in index and not store.map_arrays:
        raise InputError(
            "there is no path loss yet.",
            where=store.path,
            remedy="Run `rmtools simulate` first.",
        )
    sizes = asdict(store.sizes)
    if {"tx", "frame"} <= index.keys() and not store.has("pathloss"):
        sizes |= {"traj": 1, "frame": 1}  # the map without vehicles is all there is
    for name, value in index.items():
        count = sizes[name]
        if not 0 <= value < count:
            raise InputError(
                f"there is no {name} {value}; the store has {count}, counted from 0.",
                where=store.path,
                remedy="Choose a smaller number; `rmtools info` lists what is there.",
            )


def enlargement(store: Store, factor: int | None) -> int:
    """Screen pixels per map pixel; chosen from the size of the map when not given."""
    if factor is None:
        return int(np.clip(np.ceil(_WANTED_SIDE / store.grid.n), 1, 3))
    if not 1 <= factor <= 8:
        raise RecipeError(
            f"the enlargement must be 1 to 8, not {factor}.", remedy="2 or 3 suits 256 pixels."
        )
    return factor


def _map_picture(
    store: Store,
    index: tuple[int, int, int, int],
    pathloss_db: FloatArray,
    factor: int,
    scale: GreyScale,
) -> Image:
    s, t, k, f = index
    sketch = pictures.Sketch(
        pictures.paint_map(pathloss_db, store.buildings(s), scale), store.grid, factor
    )
    if store.has("vehicles"):
        sketch.vehicles(store.tracks(s, t).outlines(f), pictures.VEHICLE_ON_MAP, pictures.PAPER)
    x, y = store.transmitters(s)[k, :2]
    if not np.isnan(x + y):
        sketch.transmitter(x, y)
    return sketch.image()


def caption(store: Store, s: int, t: int, k: int, f: int) -> pictures.Caption:
    """Names of scene, trajectory, transmitter and frame."""
    if not store.has("pathloss"):
        return pictures.Caption(f"{store.scene_names[s]}  ·  transmitter {k}", "without vehicles")
    seconds = f * FRAME_INTERVAL_S
    return pictures.Caption(
        f"{store.scene_names[s]}  ·  trajectory {t}  ·  transmitter {k}",
        f"frame {f}  ·  {seconds:.1f} s",
    )
