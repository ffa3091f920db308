"""A small dataset with what the RadioMapSeer layout needs, made from formulas."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from fakes_store import (
    make_pathloss,
    make_scene,
    make_tracks,
    make_transmitters,
    vehicle_attributes,
)

from rmtools.scene import Scene
from rmtools.store import SCENES_NAME, STORE_NAME, Store

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

SOLVER = {"solver": "dpm", "name": "radiomapseer", "frequency_mhz": 3500.0, "blind_db": None}
"""The frequency of the formulas in fakes_store."""


def make_seer_store(
    root: Path,
    *,
    scenes: Sequence[Scene] | None = None,
    tx: int = 3,
    cars: bool = True,
    **attributes: Any,
) -> Store:
    """Make ``root/store.zarr`` with maps without and with cars, and ``root/scenes``."""
    made = [make_scene(index, 256) for index in range(2)] if scenes is None else scenes
    for scene in made:
        scene.write(root / SCENES_NAME / f"{scene.name}.json")
    store = Store.create(root / STORE_NAME, made, {"title": "Made up", "seed": 1, **attributes})
    if cars:
        store.create_tracks(1, 1, 3, vehicle_attributes())
    store.create_transmitters(tx, {"placement": "made up"})
    store.create_static_maps({"solver": SOLVER})
    if cars:
        store.create_pathloss({"solver": SOLVER})
    for index, scene in enumerate(made):
        transmitters = make_transmitters(index, tx, 256)
        store.write_transmitters(index, transmitters)
        tracks = make_tracks(1, 256, 1)
        maps = make_pathloss(scene, transmitters, tracks)
        still = maps[:, 0] - np.where(tracks.mask(0, scene.grid), np.float32(3.0), 0)
        store.write_static_maps(index, still)
        if cars:
            store.write_tracks(index, 0, tracks)
            store.write_pathloss(index, 0, maps)
    return store


def scene_reader(root: Path, store: Store) -> Callable[[int], Scene]:
    """What reads the scenes of such a dataset."""
    return lambda index: Scene.read(root / SCENES_NAME / f"{store.scene_names[index]}.json")
