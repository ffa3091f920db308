"""Writing the RadioMapSeer layout: the store, and the walls of its scenes, as PNG and JSON.

Map 0 is the first scene of the store, and so on; scenes that were read from RadioMapSeer's files
keep their numbers. One map is written at a time and different maps
may be written by different processes. Of the traffic the first frame of the first trajectory is
taken: RadioMapSeer's cars are parked.

All building images are drawn from the rings in ``polygon/``, so that images and JSON agree as in
RadioMapSeer; the walls in them are rounded to whole metres. The gain knows the true walls.
"""

from __future__ import annotations

import csv
import io
import json
from typing import TYPE_CHECKING

import numpy as np

from rmtools.city.seer import N
from rmtools.errors import InputError, RecipeError
from rmtools.files import write_bytes, write_json
from rmtools.grid import Grid
from rmtools.images import grey_png
from rmtools.layouts import seer_format as fmt
from rmtools.layouts import seer_rasters as rasters
from rmtools.layouts.seer import halve_vehicle_effect
from rmtools.layouts.seer_cars import car_image_of_mask
from rmtools.layouts.seer_description import describe, gain_folders, map_ids
from rmtools.layouts.seer_geometry import building_rings, car_rings, road_segments
from rmtools.layouts.seer_missing import choose_missing
from rmtools.units import SEER_SCALE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path
    from typing import Any

    from rmtools.layouts.seer_geometry import IntRing
    from rmtools.layouts.seer_missing import Variant
    from rmtools.scene import Scene
    from rmtools.store import Store
    from rmtools.types import BoolArray, FloatArray

    Content = tuple[str, bytes]

GRID = Grid(N, 1.0)


def write_layout(
    store: Store, scene: Callable[[int], Scene], root: Path, *, halve: bool = True
) -> list[str]:
    """Write a whole dataset in one process; returns the paths relative to `root`.

    Parameters
    ----------
    store
        With path loss without vehicles (``solver.static_maps``), and with vehicles if there are
        any.
    scene
        Vector form of a scene by its index in the store.
    root
        Folder of the layout, by custom ``seer`` beside the store.
    halve
        Whether to halve what cars cost, see :func:`rmtools.layouts.seer.halve_vehicle_effect`.
    """
    written = write_description(store, scene, root, halve=halve)
    for index in range(store.sizes.scene):
        written += write_scene(store, scene(index), root, index, halve=halve)
    return written


def write_description(
    store: Store, scene: Callable[[int], Scene], root: Path, *, halve: bool = True
) -> list[str]:
    """Write ``dataset.csv`` and ``dataset.json``; returns their paths relative to `root`."""
    check_store(store, halve=halve)
    description = describe(store, scene, halve=halve)
    write_json(root / fmt.DESCRIPTION_NAME, description.model_dump(mode="json"))
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerows(fmt.table_rows(map_ids(store), store.sizes.tx))
    write_bytes(root / fmt.TABLE_NAME, buffer.getvalue().encode())
    return [fmt.DESCRIPTION_NAME, fmt.TABLE_NAME]


def write_scene(
    store: Store, scene: Scene, root: Path, index: int, *, halve: bool = True
) -> list[str]:
    """Write one map: all images and JSON files with its number.

    Returns
    -------
    list of str
        POSIX paths of the files, relative to `root`, in the order written.

    Raises
    ------
    RecipeError
        The layout cannot hold this dataset.
    InputError
        Transmitters or path loss of the scene were not written, or `scene` is not the scene that
        the store was made of.
    """
    check_store(store, halve=halve)
    if scene.digest() != store.attributes["scenes"][index]["sha256"]:
        raise InputError(
            f"not the scene {store.scene_names[index]!r} that the store was made of.",
            where=store.path,
            remedy="Restore the folder scenes, or run `rmtools build-scenes --overwrite`.",
        )
    rings = [ring for ring, _ in building_rings(scene)]
    known = store.attributes.get("seer_missing", {}).get(str(index), {})
    seed = int(store.attributes.get("seed", 0))
    missing = choose_missing(scene.name, len(rings), seed, _variants(known))
    written = []
    map_id = map_ids(store)[index]
    for files in (
        _buildings(map_id, rings, missing),
        _roads(map_id, scene),
        _transmitters(map_id, store, index),
        _cars(map_id, store, index, rings),
        _gains(map_id, store, index, halve=halve),
    ):
        for name, data in files:
            write_bytes(root / name, data)
            written.append(name)
    return written


def check_store(store: Store, *, halve: bool = True) -> None:
    """Refuse a store that the layout cannot hold.

    Raises
    ------
    RecipeError
        Its grid is not RadioMapSeer's, it has no maps without vehicles, or the effect of vehicles
        was halved before and should not be.
    InputError
        Its solver has no name in RadioMapSeer.
    """
    if store.grid != GRID:
        raise RecipeError(
            f"RadioMapSeer has 256 x 256 pixels of 1 m, this dataset {store.grid.n} x "
            f"{store.grid.n} of {store.grid.resolution_m:g} m.",
            where=store.path,
            remedy="Build the scenes with grid.n 256 and grid.resolution_m 1.",
        )
    if not store.has("pathloss_static"):
        raise RecipeError(
            "there are no maps without vehicles, which RadioMapSeer has in gain/DPM.",
            where=store.path,
            remedy="Run `rmtools simulate DATASET --set solver.static_maps=true --overwrite`.",
        )
    if not halve and store.array_attributes("pathloss").get("vehicle_effect") == "halved":
        raise RecipeError(
            "what cars cost was halved in these maps before, and cannot be undone.",
            where=store.path,
            remedy="Leave layouts.seer.halve_vehicle_effect on.",
        )
    gain_folders(store)


# -- the files of a map --------------------------------------------------------------------------


def _buildings(
    map_id: int, rings: list[IntRing], missing: dict[Variant, list[int]]
) -> Iterator[Content]:
    masks = rasters.ring_masks(rings)
    yield fmt.polygons_name(map_id), _json(rings)
    yield fmt.buildings_name(map_id), _mask_png(_any(masks), "buildings")
    for variant, gone in missing.items():
        kept = np.setdiff1d(np.arange(len(rings)), gone)
        yield fmt.polygons_name(map_id, *variant), _json([rings[i] for i in kept])
        yield fmt.removed_polygons_name(map_id, *variant), _json([rings[i] for i in gone])
        left, taken = _any(masks[kept]), _any(masks[gone])
        yield fmt.buildings_name(map_id, *variant), _mask_png(left, "buildings, some missing")
        yield fmt.removed_name(map_id, *variant), _mask_png(taken, "missing buildings")


def _roads(map_id: int, scene: Scene) -> Iterator[Content]:
    segments = road_segments(scene)
    yield fmt.roads_polygons_name(map_id), _json(segments)
    yield fmt.roads_name(map_id), _mask_png(rasters.road_mask(segments), "centre lines of roads")


def _transmitters(map_id: int, store: Store, index: int) -> Iterator[Content]:
    positions = store.transmitters(index)
    if "imported_from" in store.attributes:  # a map may have fewer than others
        positions = positions[np.isfinite(positions).all(axis=1)]
    x, y, _ = positions.T
    if not store.grid.contains(x, y).all():
        raise _unwritten(store, "transmitters", index, "place-transmitters")
    pixels = np.stack(store.grid.pixel(x, y), axis=-1)
    yield fmt.antennas_name(map_id), _json(fmt.pixel_antennas(pixels).tolist())
    for tx, (row, col) in enumerate(pixels.tolist()):
        mask = rasters.transmitter_mask(row, col)
        yield fmt.antenna_image_name(map_id, tx), _mask_png(mask, "transmitter")


def _cars(map_id: int, store: Store, index: int, rings: list[IntRing]) -> Iterator[Content]:
    if not store.has("vehicles"):
        return
    cars = car_rings(store.tracks(index, 0))
    yield fmt.cars_polygons_name(map_id), _json([*rings, *cars])
    image = rasters.car_mask(cars)
    if "imported_from" in store.array_attributes("vehicles"):  # keeps the image it came with
        image = car_image_of_mask(store.vehicle_masks(index, 0)[0])
    yield fmt.cars_name(map_id), _mask_png(image, "cars")


def _gains(map_id: int, store: Store, index: int, *, halve: bool) -> Iterator[Content]:
    for folder, (array, simulator) in gain_folders(store).items():
        attributes = store.array_attributes(array)
        for tx in range(store.sizes.tx):
            loss = _loss(store, index, tx, simulator, cars=fmt.has_cars(folder))
            if fmt.has_cars(folder) and halve and attributes.get("vehicle_effect") != "halved":
                loss = halve_vehicle_effect(store.static_map(index, tx, simulator), loss)
            if not np.isnan(loss).all():
                png = grey_png(SEER_SCALE.encode(loss), fmt.gain_text())
                yield fmt.gain_name(folder, map_id, tx), png
            elif "imported_from" not in attributes:  # which may lack some transmitters
                raise _unwritten(store, f"path loss of transmitter {tx}", index, "simulate")


def _loss(store: Store, index: int, tx: int, simulator: str | None, *, cars: bool) -> FloatArray:
    if cars:
        return store.pathloss(index, 0, tx, simulator)[0]
    return store.static_map(index, tx, simulator)


def _variants(known: dict[str, Any]) -> dict[Variant, list[int]]:
    """Variants from the keys of the store's attribute, such as ``"2/1"``."""
    return {(int(key[0]), int(key[2])): list(gone) for key, gone in known.items()}


def _any(masks: BoolArray) -> BoolArray:
    """Union of masks, shape (256, 256), of an array of shape (ring, 256, 256)."""
    return np.asarray(masks.any(axis=0))


def _mask_png(mask: BoolArray, quantity: str) -> bytes:
    return grey_png(np.where(mask, 255, 0).astype(np.uint8), fmt.mask_text(quantity))


def _json(value: Any) -> bytes:
    """Compact JSON: these files hold nothing but lists of numbers, hundreds of thousands times."""
    return (json.dumps(value) + "\n").encode()


def _unwritten(store: Store, what: str, scene: int, verb: str) -> InputError:
    return InputError(
        f"scene {store.scene_names[scene]!r} has no {what} yet.",
        where=store.path,
        remedy=f"Run `rmtools {verb}` first.",
    )
