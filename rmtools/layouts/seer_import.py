"""From a folder in RadioMapSeer layout to a store: the published dataset, a part of it, or ours."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from rmtools.city.seer import TRANSMITTER_HEIGHT_M
from rmtools.errors import InputError
from rmtools.layouts import seer_format as fmt
from rmtools.layouts.seer_cars import cars_of_image, mask_of_car_image, tracks_of_cars
from rmtools.layouts.seer_description import read_description
from rmtools.layouts.seer_geometry import building_rings, car_rings
from rmtools.layouts.seer_missing import find_missing
from rmtools.layouts.seer_rasters import car_mask
from rmtools.layouts.seer_reader import SeerLayout
from rmtools.scene import Frame, Provenance
from rmtools.store import SCENES_NAME, STORE_NAME, Store
from rmtools.traffic.tracks import State, Tracks, VehicleSize

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from pathlib import Path

    from rmtools.layouts.seer_description import SeerDescription, SeerMap
    from rmtools.scene import Scene
    from rmtools.types import FloatArray

SOURCE = "RadioMapSeer layout"

PUBLISHED_SOLVER: dict[str, Any] = {
    "solver": "winprop",
    "frequency_mhz": 5900.0,
    "receiver_height_m": 1.5,
}
"""What is known of the maps of a folder without description: RadioUNet paper (arXiv 1911.09002),
appendix on the dataset."""

_MODELS = ("DPM", "IRT2", "IRT4")
"""The first of which there are maps becomes the solver of the store."""


def import_seer(root: Path, dataset: Path, maps: Iterable[int] | None = None) -> Store:
    """Make a store, and the scenes beside it, of a folder in RadioMapSeer layout.

    Grey levels become path loss (0 in the street 147 dB, see
    :meth:`~rmtools.layouts.seer_reader.SeerLayout.pathloss_db`), the cars frame 0 of trajectory 0.
    What cars cost stays halved where it is; the attribute ``vehicle_effect`` of the arrays says
    so. Maps that are not there, such as all but two of IRT4, are NaN. Written again, every
    grey level, mask and transmitter is the same (docs/seer.md names the exceptions).

    Parameters
    ----------
    root
        The layout, see :class:`~rmtools.layouts.seer_reader.SeerLayout`.
    dataset
        Folder that gets ``store.zarr`` and ``scenes/``.
    maps
        Ids of the maps to take; all when not given.

    Returns
    -------
    Store
        Open for writing. Its scenes are the maps by ascending id.

    Raises
    ------
    InputError
        A map has no buildings in any form or no transmitters, or a file is damaged.
    """
    layout = SeerLayout(root)
    description = read_description(layout.root)
    ids = layout.maps if maps is None else sorted(set(maps))
    if not ids:
        raise InputError("there is no map.", where=layout.root, remedy="Give another folder.")
    size = _vehicle_size(description)
    scenes, cars, missing = [], [], {}
    for index, map_id in enumerate(ids):
        scene = _scene(layout, map_id, description)
        rings = [ring for ring, _ in building_rings(scene)]
        if found := find_missing(layout, map_id, rings):
            missing[str(index)] = {f"{count}/{v}": gone for (count, v), gone in found.items()}
        tracks, notes = _cars(layout, map_id, size)
        scenes.append(replace(scene, notes=scene.notes | notes))
        cars.append(tracks)
    for scene in scenes:
        scene.write(dataset / SCENES_NAME / f"{scene.name}.json")
    attributes: dict[str, Any] = {"title": "RadioMapSeer", "seed": 0}
    if description is not None:
        attributes = {"title": description.title, **description.provenance}
    store = Store.create(
        dataset / STORE_NAME,
        scenes,
        {**attributes, "imported_from": SOURCE, "seer_maps": ids, "seer_missing": missing},
    )
    _write_transmitters(store, layout, ids, description)
    if any(tracks is not None for tracks in cars):
        _write_cars(store, layout, ids, cars, description)
    _write_maps(store, layout, ids, description)
    return store


# -- scenes --------------------------------------------------------------------------------------


def _scene(layout: SeerLayout, map_id: int, description: SeerDescription | None) -> Scene:
    scene = layout.scene(map_id)
    told = _told(description, map_id)
    if told is None:
        return scene
    frame = Frame(
        n=scene.frame.n,
        resolution_m=scene.frame.resolution_m,
        crs=told.crs,
        easting_m=told.easting_m,
        northing_m=told.northing_m,
    )
    heights = told.building_height_m
    if heights is not None:
        rings = [tuple(ring) for ring in layout.polygons(map_id)]
        each = [heights] * len(rings) if isinstance(heights, float) else heights
        by_ring = dict(sorted(zip(rings, each, strict=False), key=lambda item: item[1]))
        buildings = list(scene.buildings)
        for ring, index in building_rings(scene):
            height_m = by_ring.get(tuple((float(x), float(y)) for x, y in ring))
            if height_m is not None:
                buildings[index] = replace(
                    buildings[index], height_m=height_m, height_source="dataset"
                )
        scene = replace(scene, buildings=tuple(buildings))
    provenance = Provenance.model_validate(told.provenance)
    return replace(scene, name=told.name, frame=frame, provenance=provenance)


def _told(description: SeerDescription | None, map_id: int) -> SeerMap | None:
    """What the description says about a map."""
    found = (told for told in description.maps if told.map == map_id) if description else ()
    return next(iter(found), None)


# -- transmitters --------------------------------------------------------------------------------


def _write_transmitters(
    store: Store, layout: SeerLayout, ids: Sequence[int], description: SeerDescription | None
) -> None:
    antennas = [layout.antennas(map_id) for map_id in ids]
    count = max(len(pairs) for pairs in antennas)
    store.create_transmitters(
        count, description.transmitters if description else {"placement": SOURCE}
    )
    for index, (map_id, pairs) in enumerate(zip(ids, antennas, strict=True)):
        told = _told(description, map_id)
        positions = np.full((count, 3), np.nan)
        positions[: len(pairs), :2] = pairs + 0.5
        positions[: len(pairs), 2] = told.transmitter_height_m if told else TRANSMITTER_HEIGHT_M
        store.write_transmitters(index, positions)


# -- cars ----------------------------------------------------------------------------------------


def _vehicle_size(description: SeerDescription | None) -> VehicleSize:
    told = description.vehicle if description else {}
    sides = {f"{side}_m": told[f"{side}_m"] for side in ("length", "width", "height") if told}
    return VehicleSize(**sides)


def _cars(
    layout: SeerLayout, map_id: int, size: VehicleSize
) -> tuple[Tracks | None, dict[str, int]]:
    """The cars of a map, None when nothing is known of them, and notes about them."""
    rings: list[list[tuple[float, float]]]
    if (layout.root / fmt.cars_polygons_name(map_id)).is_file():
        rings, lost = layout.car_rings(map_id), 0
    elif (layout.root / fmt.cars_name(map_id)).is_file():
        rings, lost = cars_of_image(layout.cars(map_id), size)
    else:
        return None, {}
    tracks = tracks_of_cars(rings, size)
    moved = sum(
        _corners(old) != _corners(new) for old, new in zip(rings, car_rings(tracks), strict=True)
    )
    notes = {"car_pixels_not_understood": lost, "cars_not_as_in_their_rings": moved}
    return tracks, {key: count for key, count in notes.items() if count}


def _corners(ring: Iterable[tuple[float, float]]) -> set[tuple[float, float]]:
    return {(float(x), float(y)) for x, y in ring}


def _write_cars(
    store: Store,
    layout: SeerLayout,
    ids: Sequence[int],
    cars: Sequence[Tracks | None],
    description: SeerDescription | None,
) -> None:
    known = [tracks for tracks in cars if tracks is not None]
    size, slots = known[0].size, max(tracks.x.shape[1] for tracks in known)
    told = description.vehicle if description else {}
    attributes = {
        "vehicle_length_m": size.length_m,
        "vehicle_width_m": size.width_m,
        "vehicle_height_m": size.height_m,
        "traffic": {"tracks": {"format": SOURCE}, "made_by": told.get("traffic")},
        "imported_from": SOURCE,
    }
    store.create_tracks(1, 1, slots, attributes)
    for index, (map_id, tracks) in enumerate(zip(ids, cars, strict=True)):
        if tracks is None:
            continue
        drawn = (layout.root / fmt.cars_name(map_id)).is_file()
        image = layout.cars(map_id) if drawn else car_mask(car_rings(tracks))
        masks = mask_of_car_image(image)[None]
        store.write_tracks(index, 0, _with_slots(tracks, slots), masks)


def _with_slots(tracks: Tracks, slots: int) -> Tracks:
    """The same vehicles with more slots."""
    more = [(0, 0), (0, slots - tracks.x.shape[1])]
    fields = (tracks.x, tracks.y, tracks.heading_deg, tracks.speed_mps)
    x, y, heading, speed = (np.pad(values, more, constant_values=np.nan) for values in fields)
    state = np.pad(tracks.state, more, constant_values=State.ABSENT)
    return Tracks(x, y, heading, speed, state, tracks.size)


# -- maps ----------------------------------------------------------------------------------------


def _write_maps(
    store: Store, layout: SeerLayout, ids: Sequence[int], description: SeerDescription | None
) -> None:
    present = {fmt.without_cars(simulator) for simulator in layout.simulators}
    models = [model for model in _MODELS if model in present]
    for model in models:
        further = None if model == models[0] else model.lower()
        for folder in (model, f"cars{model}"):
            if folder in layout.simulators:
                _write_folder(store, layout, ids, folder, further, _about(folder, description))


def _about(folder: str, description: SeerDescription | None) -> dict[str, Any]:
    """Attributes of the array that a folder becomes."""
    solver = {**PUBLISHED_SOLVER, "name": fmt.without_cars(folder)}
    told = {"solver": solver} if description is None else description.gain.get(folder, {})
    attributes = {**told, "imported_from": SOURCE}
    if fmt.has_cars(folder):
        effect = description.vehicle_effect if description else "halved"
        attributes["vehicle_effect"] = effect
    return attributes


def _write_folder(
    store: Store,
    layout: SeerLayout,
    ids: Sequence[int],
    folder: str,
    simulator: str | None,
    attributes: dict[str, Any],
) -> None:
    cars = fmt.has_cars(folder)
    create: Callable[..., None] = store.create_pathloss if cars else store.create_static_maps
    create(attributes, simulator)
    for index, map_id in enumerate(ids):
        maps: FloatArray = np.full((store.sizes.tx, *store.grid.shape), np.nan, np.float32)
        for tx in layout.transmitters(folder, map_id):
            if tx < len(maps):
                maps[tx] = layout.pathloss_db(folder, map_id, tx)
        if cars:
            store.write_pathloss(index, 0, maps[:, None], simulator)
        else:
            store.write_static_maps(index, maps, simulator)
