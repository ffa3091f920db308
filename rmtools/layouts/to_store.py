"""From layouts back to a store."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from rmtools.errors import InputError
from rmtools.layouts.hdf5_reader import Hdf5File, Hdf5Maps
from rmtools.layouts.motion_reader import MotionLayout
from rmtools.store import Store
from rmtools.store_attributes import root_attributes
from rmtools.store_format import FORMAT, MAPS_NAME

if TYPE_CHECKING:
    from pathlib import Path

    from rmtools.layouts.motion_format import MotionDescription


def restore(path: Path, out: Path) -> Store:
    """Make a store of a dataset in the HDF5 or the RadioMapMotion layout.

    From HDF5 everything comes back. RadioMapMotion's files (with npz) keep everything but maps
    without vehicles, maps of further simulators and the notes about single scenes.
    :func:`rmtools.layouts.seer_import.import_seer` does the same for RadioMapSeer's layout.

    Parameters
    ----------
    path
        An HDF5 file, or a folder in the motion layout with its ``dataset.json``.
    out
        The store to make or replace, by custom named ``store.zarr``.

    Returns
    -------
    Store
        Open for writing.

    Raises
    ------
    InputError
        `path` is neither, or damaged.
    """
    if Hdf5Maps.recognises(path):
        _from_hdf5(Hdf5File(path if path.is_file() else Hdf5Maps(path).file.path), out)
    else:
        _from_motion(MotionLayout(path), out)
    return Store.open(out, mode="r+")


def _from_hdf5(file: Hdf5File, out: Path) -> None:
    lengths = file.lengths
    with Store.building(out, file.grid, file.attributes) as store:
        if "vehicles" in file.names:
            about = file.array_attributes("vehicles")
            store.create_tracks(lengths["traj"], lengths["frame"], lengths["vehicle"], about)
        if "tx_x" in file.names:
            store.create_transmitters(lengths["tx"], file.array_attributes("tx_x"))
        for name in file.names:
            if match := MAPS_NAME.fullmatch(name):
                create = store.create_static_maps if match[1] else store.create_pathloss
                create(file.array_attributes(name), match["simulator"])
        for name in file.names:
            array = store.array(name)
            if array.ndim == 1:
                array[:] = file.read(name)
                continue
            for scene in range(lengths["scene"]):
                if name.startswith("pathloss") and array.ndim == 6:
                    for traj in range(lengths["traj"]):
                        array[scene, traj] = file.read(name, scene, traj)
                else:
                    array[scene] = file.read(name, scene)


def _from_motion(files: MotionLayout, out: Path) -> None:
    about, sizes = files.description, files.sizes
    if about is None or not (files.root / "npz").is_dir():
        raise InputError(
            "the published images alone do not make a store: there is no dataset.json or no npz.",
            where=files.root,
            remedy="Give a motion layout that `rmtools package` wrote.",
        )
    with Store.building(out, files.grid, _root(about)) as store:
        store.create_tracks(sizes.traj, sizes.frame, sizes.vehicle, _vehicle(about))
        store.create_transmitters(sizes.tx, about.transmitters)
        store.create_pathloss(about.solver)
        for scene in range(sizes.scene):
            store.write_static(
                scene, files.buildings(scene), files.building_height(scene), files.roads(scene)
            )
            store.write_transmitters(scene, files.transmitters(scene))
            for traj in range(sizes.traj):
                masks = np.stack([files.vehicles(scene, traj, f) for f in range(sizes.frame)])
                store.write_tracks(scene, traj, files.tracks(scene, traj), masks)
                unit = [
                    [files.pathloss_db(scene, traj, tx, frame) for frame in range(sizes.frame)]
                    for tx in range(sizes.tx)
                ]
                store.write_pathloss(scene, traj, np.array(unit))


def _root(about: MotionDescription) -> dict[str, Any]:
    """Root attributes of the store that a motion layout was made from."""
    scenes = [scene.model_dump(exclude={"env"}) | {"notes": {}} for scene in about.scenes]
    usual = root_attributes(about.raster_grid(), [])
    return {
        **usual,
        "rmtools_format": FORMAT,
        **about.provenance,
        "title": about.title,
        "licence": about.licence,
        "attribution": about.attribution,
        "scenes": scenes,
    }


def _vehicle(about: MotionDescription) -> dict[str, Any]:
    """Attributes of the vehicles under the store's names."""
    sides = {"length_m", "width_m", "height_m"}
    return {f"vehicle_{key}" if key in sides else key: v for key, v in about.vehicle.items()}
