"""A tiny dataset store made up from formulas: every stage filled, every value plausible.

Scenes have a street cross with a block of houses in each corner, cars drive along the east-west
street, and the path loss is a line-of-sight law plus shadows that a car in the way deepens. The
houses lie on pixel edges, so any rasterisation rule gives the same mask.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from shapely.geometry import LineString, box

from rmtools.scene import Building, Frame, Provenance, Road, Scene
from rmtools.seeds import generator
from rmtools.store import STORE_NAME, Store
from rmtools.traffic.tracks import FRAME_INTERVAL_S, State, Tracks, VehicleSize

if TYPE_CHECKING:
    from pathlib import Path

    from rmtools.types import FloatArray

LOSS_1M_DB = 43.32
"""Free-space loss over one metre at 3.5 GHz."""

SIZE = VehicleSize()
CRS = "EPSG:32635"


def make_scene(index: int, n: int = 48, gap_m: float = 0.0, seed: int = 1) -> Scene:
    """One scene; scene `index` lies `index` tiles (and gaps) east of the first."""
    random = generator(seed, "scene", index)
    half, street = n // 2, 5  # the streets are 10 m wide, one pixel is 1 m
    buildings = []
    for west in (0, half + street):
        for south in (0, half + street):
            room = half - street
            low, high = random.integers(1, 3, 2), random.integers(room - 2, room, 2)
            outline = box(west + low[0], south + low[1], west + high[0], south + high[1])
            buildings.append(Building(outline, float(random.integers(8, 30)), "levels"))
    roads = (
        Road(LineString([(0, half), (n, half)]), 2.0 * street, "lanes", "residential"),
        Road(LineString([(half, 0), (half, n)]), 2.0 * street, "lanes", "residential"),
    )
    frame = Frame(
        n=n,
        resolution_m=1.0,
        crs=CRS,
        easting_m=385_000.0 + index * (n + gap_m),
        northing_m=6_671_000.0,
    )
    provenance = Provenance(
        source="made-up.osm.pbf",
        reader="osm-extract",
        sha256="0" * 64,
        date="2026-01-01",
        licence="ODbL-1.0",
        attribution="© OpenStreetMap contributors",
    )
    return Scene(f"fake_{index:03d}", frame, tuple(buildings), roads, provenance)


def make_tracks(traj: int, n: int = 48, frames: int = 15) -> Tracks:
    """Three slots: an eastbound car, a westbound car, and one that waits (odd trajectories)."""
    step = np.arange(frames, dtype=float)[:, None]
    half, nan = n / 2, np.nan
    waiting = half if traj % 2 else nan
    x = np.hstack([4 + 0.5 * traj + step, n - 4 - 0.5 * traj - step, waiting + 0 * step - 2.5])
    y = np.hstack([half - 2.5 + 0 * step, half + 2.5 + 0 * step, waiting + 0 * step + 9.5])
    heading = np.hstack([0 * step, 0 * step - 180.0, 0 * waiting + 0 * step - 90.0])
    speed = np.full((frames, 3), 1.0 / FRAME_INTERVAL_S)
    state = np.full((frames, 3), State.MOVING, np.int8)
    speed[0], state[0] = 0.0, State.SEEDED
    speed[:, 2], state[1:, 2] = 0.0, State.WAITING
    absent = np.isnan(x)
    speed[absent], state[absent] = nan, State.ABSENT
    return Tracks(x, y, heading, speed, state, SIZE)


def make_transmitters(index: int, tx: int, n: int = 48, seed: int = 1) -> FloatArray:
    """Pixel centres on the north-south street, shape (tx, 3)."""
    rows = generator(seed, "tx", index).choice(n, tx, replace=False)
    return np.column_stack([np.full(tx, n / 2 + 0.5), rows + 0.5, np.full(tx, 1.5)])


def make_pathloss(
    scene: Scene, transmitters: FloatArray, tracks: Tracks, seed: int = 1
) -> FloatArray:
    """Line-of-sight law, shadows that grow away from the transmitter's street, 3 dB at cars."""
    from rmtools.city.rasters import building_mask

    grid = scene.grid
    random = generator(seed, "loss", scene.name)
    x, y = np.meshgrid(grid.x_centres(), grid.y_centres())
    maps = []
    for tx_x, tx_y, _ in transmitters:
        distance = np.maximum(np.hypot(x - tx_x, y - tx_y), 1.0)
        shadow = np.clip(np.abs(x - tx_x) - 5, 0, 12) * random.uniform(0.8, 1.6)
        still = LOSS_1M_DB + 25.0 * np.log10(distance) + shadow
        still[building_mask(scene)] = np.nan
        maps.append([still + 3.0 * tracks.mask(f, grid) for f in range(tracks.frames)])
    return np.array(maps, np.float32)


def make_store(
    root: Path,
    *,
    n: int = 48,
    scenes: int = 4,
    traj: int = 2,
    tx: int = 2,
    frames: int = 15,
    gap_m: float = 0.0,
    seed: int = 1,
    **attributes: Any,
) -> Store:
    """Make ``root/store.zarr`` with every stage written.

    `gap_m` is the distance between neighbouring tiles; `attributes` go to the store's root.
    """
    made = [make_scene(index, n, gap_m, seed) for index in range(scenes)]
    store = Store.create(
        root / STORE_NAME, made, {"title": "A made-up dataset", "seed": seed, **attributes}
    )
    store.create_tracks(traj, frames, 3, vehicle_attributes())
    store.create_transmitters(tx, {"placement": "made up"})
    store.create_pathloss({"solver": {"solver": "made up", "frequency_mhz": 3500.0}})
    for index, scene in enumerate(made):
        transmitters = make_transmitters(index, tx, n, seed)
        store.write_transmitters(index, transmitters)
        for t in range(traj):
            tracks = make_tracks(t, n, frames)
            store.write_tracks(index, t, tracks)
            store.write_pathloss(index, t, make_pathloss(scene, transmitters, tracks, seed))
    return store


def vehicle_attributes() -> dict[str, Any]:
    """Attributes of the vehicle masks that :meth:`Store.tracks` needs."""
    return {
        "vehicle_length_m": SIZE.length_m,
        "vehicle_width_m": SIZE.width_m,
        "vehicle_height_m": SIZE.height_m,
    }
