"""The dataset in one Zarr v3 group, readable with ``xarray.open_zarr``.

Dimensions are ``scene, traj, tx, frame, vehicle, y, x``; row 0 of ``y`` is north. The big array
``pathloss`` is chunked one sequence (scene, trajectory, transmitter) at a time and sharded so
that one unit of work (a scene and a trajectory) owns exactly one shard: workers never share a
file. docs/store.md lists every array with its unit.
"""

from __future__ import annotations

import shutil
import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from rmtools.errors import InputError, RecipeError
from rmtools.files import PARTIAL_SUFFIX
from rmtools.grid import Grid
from rmtools.traffic.tracks import FRAME_INTERVAL_S, State, Tracks, VehicleSize

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from rmtools.scene import Scene
    from rmtools.types import BoolArray, FloatArray

STORE_NAME = "store.zarr"
SCENES_NAME = "scenes"
FORMAT = 1

PATHLOSS_QUANTUM_DB = 2.0**-7
"""Path losses are stored in steps of 1/128 dB: finer than WinProp prints, and it compresses."""

_TRACK_FIELDS = ("x", "y", "heading", "speed")


@dataclass(frozen=True)
class Sizes:
    """Length of each dimension; 0 where a stage has not run yet."""

    scene: int
    traj: int
    tx: int
    frame: int
    vehicle: int
    pixels: int


class Store:
    """A dataset store, open for reading or writing.

    Use :meth:`create` or :meth:`open`. Writers fill whole shards, so two processes may write
    different scenes or units of one store at the same time.
    """

    def __init__(self, path: Path, group: Any) -> None:
        self.path = path
        self._group = group  # zarr.Group; Any because its items may be arrays or groups

    # -- making and opening ------------------------------------------------------------------

    @classmethod
    def create(cls, path: Path, scenes: Sequence[Scene], attributes: Mapping[str, Any]) -> Store:
        """Make a store for `scenes` with its static layers, or replace the one at `path`.

        Parameters
        ----------
        path
            Folder of the store, by custom named ``store.zarr``. It appears only when complete.
        scenes
            All on the same grid, with unique names.
        attributes
            JSON values for the root: title, seed, recipe digest.
        """
        import zarr

        from rmtools.city.rasters import building_height, building_mask, road_mask

        grids = {scene.grid for scene in scenes}
        if len(grids) != 1 or len({scene.name for scene in scenes}) != len(scenes):
            raise RecipeError(
                f"{len(scenes)} scenes on {len(grids)} different grids cannot share a store.",
                remedy="Give at least one scene, one grid for all, and every scene its own name.",
            )
        grid = grids.pop()
        partial = path.with_name(path.name + PARTIAL_SUFFIX)
        shutil.rmtree(partial, ignore_errors=True)
        partial.parent.mkdir(parents=True, exist_ok=True)
        group = zarr.open_group(partial, mode="w", zarr_format=3)
        group.attrs.update({**_root_attributes(grid, scenes), **attributes})
        store = cls(partial, group)
        store._create_coordinates(grid, len(scenes))
        store._create_static(grid, scenes)
        for index, scene in enumerate(scenes):
            store._group["buildings"][index] = building_mask(scene).astype(np.uint8)
            store._group["building_height"][index] = building_height(scene).astype(np.float32)
            store._group["roads"][index] = road_mask(scene).astype(np.uint8)
        store._consolidate()
        if path.exists():
            shutil.rmtree(path)
        partial.rename(path)
        return cls.open(path, mode="r+")

    @classmethod
    def open(cls, path: Path, mode: str = "r") -> Store:
        """Open the store at `path`, or the one inside the dataset folder `path`.

        Raises
        ------
        InputError
            There is no rmtools store.
        """
        import zarr

        inner = path / STORE_NAME
        place = inner if inner.is_dir() else path
        try:
            group = zarr.open_group(
                place, mode="r+" if mode == "r+" else "r", zarr_format=3, use_consolidated=False
            )
            found = group.attrs.get("rmtools_format")
        except (FileNotFoundError, ValueError, KeyError, TypeError) as error:
            raise InputError(
                f"no rmtools store there ({type(error).__name__}).",
                where=path,
                remedy="Give the folder of a dataset or of its store.zarr; "
                "`rmtools build-scenes` makes one.",
            ) from error
        if found != FORMAT:
            raise InputError(
                f"the store has format {found!r}, this version reads format {FORMAT}.",
                where=place,
                remedy="Use the rmtools version that wrote it, or build the dataset again.",
            )
        return cls(place, group)

    def _array(
        self,
        name: str,
        dims: tuple[str, ...],
        shape: tuple[int, ...],
        dtype: str,
        *,
        chunks: tuple[int, ...],
        fill: float | int,
        attrs: Mapping[str, Any],
        shards: tuple[int, ...] | None = None,
    ) -> Any:
        """Create an array; an existing one of the same shape is kept with its data."""
        from zarr.codecs import BloscCodec

        if name in self._group:
            array = self._group[name]
            if array.shape == shape and dict(array.attrs) == dict(attrs):
                return array
        return self._group.create_array(
            name,
            shape=shape,
            dtype=dtype,
            chunks=chunks,
            shards=shards,
            fill_value=fill,
            compressors=[BloscCodec(cname="zstd", clevel=5, shuffle="bitshuffle")],
            dimension_names=dims,
            attributes=dict(attrs),
            overwrite=True,
        )

    def _coordinate(self, name: str, values: Any, attrs: Mapping[str, Any]) -> None:
        values = np.asarray(values)
        n = (len(values),)
        array = self._array(name, (name,), n, str(values.dtype), chunks=n, fill=0, attrs=attrs)
        array[:] = values

    def _create_coordinates(self, grid: Grid, scenes: int) -> None:
        self._coordinate("scene", np.arange(scenes, dtype=np.int32), {"long_name": "scene index"})
        for axis, values, towards in (
            ("x", grid.x_centres(), "east"),
            ("y", grid.y_centres(), "north"),
        ):
            attrs = {
                "units": "m",
                "axis": axis.upper(),
                "long_name": f"metres {towards} of the tile's south-west corner, pixel centres",
            }
            self._coordinate(axis, values, attrs)

    def _create_static(self, grid: Grid, scenes: Sequence[Scene]) -> None:
        n, count = grid.n, len(scenes)
        layers: tuple[tuple[str, str, float | int, dict[str, Any]], ...] = (
            ("buildings", "uint8", 0, _flags("building", ("free", "building"))),
            (
                "building_height",
                "float32",
                float("nan"),
                {"long_name": "height of the roof above the street", "units": "m"},
            ),
            ("roads", "uint8", 0, _flags("drivable area", ("no", "drivable"))),
        )
        for name, dtype, fill, attrs in layers:
            self._array(
                name,
                ("scene", "y", "x"),
                (count, n, n),
                dtype,
                chunks=(1, n, n),
                fill=fill,
                attrs=attrs,
            )
        for name in ("easting", "northing"):
            values = [getattr(scene.frame, f"{name}_m") for scene in scenes]
            array = self._array(
                f"scene_{name}",
                ("scene",),
                (count,),
                "float64",
                chunks=(count,),
                fill=float("nan"),
                attrs={
                    "long_name": f"{name} of the tile's south-west corner in the scene's CRS",
                    "units": "m",
                },
            )
            array[:] = np.array([np.nan if v is None else v for v in values], float)

    # -- tracks ------------------------------------------------------------------------------

    def create_tracks(
        self, trajectories: int, frames: int, vehicles: int, attributes: Mapping[str, Any]
    ) -> None:
        """Make the arrays of vehicle tracks and masks; `attributes` go to the masks."""
        n, s = self.grid.n, self.sizes.scene
        self._coordinate(
            "traj", np.arange(trajectories, dtype=np.int32), {"long_name": "trajectory index"}
        )
        self._coordinate("frame", np.arange(frames, dtype=np.int32), {"long_name": "frame index"})
        self._coordinate(
            "vehicle", np.arange(vehicles, dtype=np.int32), {"long_name": "vehicle slot"}
        )
        seconds = self._array(
            "time",
            ("frame",),
            (frames,),
            "float64",
            chunks=(frames,),
            fill=0.0,
            attrs={"long_name": "time since the first frame", "units": "s"},
        )
        seconds[:] = np.round(np.arange(frames) * FRAME_INTERVAL_S, 6)
        dims = ("scene", "traj", "frame", "vehicle")
        shape, chunks = (s, trajectories, frames, vehicles), (1, 1, frames, vehicles)
        units = {"x": "m", "y": "m", "heading": "degree", "speed": "m s-1"}
        names = {
            "x": "vehicle centre, metres east of the tile's south-west corner",
            "y": "vehicle centre, metres north of the tile's south-west corner",
            "heading": "direction of travel, counter-clockwise from east",
            "speed": "distance since the frame before, per second",
        }
        for name in _TRACK_FIELDS:
            self._array(
                f"track_{name}",
                dims,
                shape,
                "float64",
                chunks=chunks,
                fill=float("nan"),
                attrs={"long_name": names[name], "units": units[name]},
            )
        states = [state for state in State if state is not State.ABSENT]
        self._array(
            "track_state",
            dims,
            shape,
            "int8",
            chunks=chunks,
            fill=int(State.ABSENT),
            attrs={
                "long_name": "what the vehicle did to get into the frame, -1 for an unused slot",
                "flag_values": [int(state) for state in states],
                "flag_meanings": " ".join(state.name.lower() for state in states),
            },
        )
        self._array(
            "vehicles",
            ("scene", "traj", "frame", "y", "x"),
            (s, trajectories, frames, n, n),
            "uint8",
            chunks=(1, 1, frames, n, n),
            fill=0,
            attrs={**_flags("vehicle mask", ("free", "vehicle")), **attributes},
        )

        self._consolidate()

    def write_tracks(self, scene: int, traj: int, tracks: Tracks) -> None:
        """Write one trajectory: tables and masks."""
        group = self._group
        for name, values in (
            ("x", tracks.x),
            ("y", tracks.y),
            ("heading", tracks.heading_deg),
            ("speed", tracks.speed_mps),
            ("state", tracks.state),
        ):
            group[f"track_{name}"][scene, traj] = values
        masks = np.stack([tracks.mask(frame, self.grid) for frame in range(tracks.frames)])
        group["vehicles"][scene, traj] = masks.astype(np.uint8)

    def tracks(self, scene: int, traj: int) -> Tracks:
        """Read one trajectory back."""
        group, attrs = self._group, self._group["vehicles"].attrs
        x, y, heading, speed = (group[f"track_{name}"][scene, traj] for name in _TRACK_FIELDS)
        state = group["track_state"][scene, traj]
        size = VehicleSize(
            attrs["vehicle_length_m"], attrs["vehicle_width_m"], attrs["vehicle_height_m"]
        )
        return Tracks(x, y, heading, speed, state, size)

    def vehicle_masks(self, scene: int, traj: int) -> BoolArray:
        """Vehicle masks of one trajectory, shape (frame, n, n)."""
        return np.asarray(self._group["vehicles"][scene, traj], bool)

    # -- transmitters ------------------------------------------------------------------------

    def create_transmitters(self, count: int, attributes: Mapping[str, Any]) -> None:
        """Make the arrays of transmitter positions."""
        s = self.sizes.scene
        self._coordinate("tx", np.arange(count, dtype=np.int32), {"long_name": "transmitter index"})
        for axis, name in (
            ("x", "metres east of the tile's south-west corner"),
            ("y", "metres north of the tile's south-west corner"),
            ("z", "height above the street"),
        ):
            self._array(
                f"tx_{axis}",
                ("scene", "tx"),
                (s, count),
                "float64",
                chunks=(1, count),
                fill=float("nan"),
                attrs={"long_name": f"transmitter, {name}", "units": "m", **attributes},
            )
        self._consolidate()

    def write_transmitters(self, scene: int, positions: FloatArray) -> None:
        """Write the positions (x, y, z) of one scene, shape (tx, 3), local metres."""
        for axis, name in enumerate("xyz"):
            self._group[f"tx_{name}"][scene] = positions[:, axis]

    def transmitters(self, scene: int) -> FloatArray:
        """Positions (x, y, z) of one scene's transmitters, shape (tx, 3), local metres."""
        return np.stack([self._group[f"tx_{name}"][scene] for name in "xyz"], axis=-1)

    # -- path loss ---------------------------------------------------------------------------

    def create_pathloss(self, attributes: Mapping[str, Any]) -> None:
        """Make the path-loss array; `attributes` describe solver and preset."""
        sizes = self.sizes
        n = sizes.pixels
        self._array(
            "pathloss",
            ("scene", "traj", "tx", "frame", "y", "x"),
            (sizes.scene, sizes.traj, sizes.tx, sizes.frame, n, n),
            "float32",
            chunks=(1, 1, 1, sizes.frame, n, n),
            shards=(1, 1, sizes.tx, sizes.frame, n, n),
            fill=float("nan"),
            attrs={
                "long_name": "path loss",
                "units": "dB",
                "sign": "positive loss; gain = -path loss",
                "missing": "NaN where not computed (inside buildings)",
                "quantum_db": PATHLOSS_QUANTUM_DB,
                "coordinates": "time",
                **attributes,
            },
        )
        self._consolidate()

    def write_pathloss(self, scene: int, traj: int, pathloss_db: FloatArray) -> None:
        """Write one unit of work, shape (tx, frame, n, n), in steps of 1/128 dB."""
        steps = np.round(np.asarray(pathloss_db, np.float32) / PATHLOSS_QUANTUM_DB)
        self._group["pathloss"][scene, traj] = (steps * PATHLOSS_QUANTUM_DB).astype(np.float32)

    def pathloss(self, scene: int, traj: int, tx: int) -> FloatArray:
        """Path loss of one sequence in dB, float32, shape (frame, n, n); NaN where not computed."""
        return np.asarray(self._group["pathloss"][scene, traj, tx])

    def pathloss_unit(self, scene: int, traj: int) -> FloatArray:
        """Path loss of one unit of work in dB, float32, shape (tx, frame, n, n)."""
        return np.asarray(self._group["pathloss"][scene, traj])

    # -- looking in --------------------------------------------------------------------------

    @property
    def attributes(self) -> dict[str, Any]:
        """Root attributes: provenance, licence, conventions, the list of scenes."""
        return dict(self._group.attrs)

    def update_attributes(self, values: Mapping[str, Any]) -> None:
        """Add or replace root attributes."""
        self._group.attrs.update(dict(values))
        self._consolidate()

    def _consolidate(self) -> None:
        """Copy all metadata into the root, where xarray looks first.

        Zarr warns that the copy is not in its version 3 specification yet; rmtools itself never
        reads it.
        """
        import zarr

        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="Consolidated metadata", category=UserWarning)
            zarr.consolidate_metadata(self._group.store)

    def array_attributes(self, name: str) -> dict[str, Any]:
        """Attributes of one array; empty when the array is not there yet."""
        return dict(self._group[name].attrs) if name in self._group else {}

    def has(self, name: str) -> bool:
        """Whether an array exists (it may still be partly unwritten)."""
        return name in self._group

    @property
    def scene_names(self) -> list[str]:
        """Names of the scenes in order."""
        return [scene["name"] for scene in self._group.attrs["scenes"]]

    @property
    def grid(self) -> Grid:
        """Grid of all scenes."""
        return Grid(int(self._group["x"].shape[0]), float(self._group.attrs["resolution_m"]))

    @property
    def sizes(self) -> Sizes:
        """Length of each dimension."""

        def length(name: str) -> int:
            return int(self._group[name].shape[0]) if name in self._group else 0

        return Sizes(
            length("scene"),
            length("traj"),
            length("tx"),
            length("frame"),
            length("vehicle"),
            length("x"),
        )

    def buildings(self, scene: int) -> BoolArray:
        """Building mask of a scene, shape (n, n)."""
        return np.asarray(self._group["buildings"][scene], bool)

    def building_height(self, scene: int) -> FloatArray:
        """Roof heights in metres, NaN outside buildings, shape (n, n)."""
        return np.asarray(self._group["building_height"][scene])

    def roads(self, scene: int) -> BoolArray:
        """Drivable mask of a scene, shape (n, n)."""
        return np.asarray(self._group["roads"][scene], bool)

    def chunk_files(self, name: str, *index: int) -> list[str]:
        """Files (relative to the store) that hold the block of `name` at the leading `index`."""
        array = self._group[name]
        key = [*index, *([0] * (array.ndim - len(index)))]
        file = f"{name}/c/" + "/".join(str(k) for k in key)
        return [file] if (self.path / file).is_file() else []


def _flags(long_name: str, meanings: tuple[str, ...]) -> dict[str, Any]:
    """CF attributes of a small set of integer values."""
    return {
        "long_name": long_name,
        "flag_values": list(range(len(meanings))),
        "flag_meanings": " ".join(meanings),
    }


def _root_attributes(grid: Grid, scenes: Sequence[Scene]) -> dict[str, Any]:
    from rmtools import __version__

    return {
        "Conventions": "CF-1.11",
        "rmtools_format": FORMAT,
        "rmtools_version": __version__,
        "resolution_m": grid.resolution_m,
        "row_order": "row 0 is north; x east, y north, origin at the tile's south-west corner",
        "licence": sorted({scene.provenance.licence for scene in scenes}),
        "attribution": sorted({scene.provenance.attribution for scene in scenes}),
        "scenes": [
            {
                "name": scene.name,
                "crs": scene.frame.crs,
                "easting_m": scene.frame.easting_m,
                "northing_m": scene.frame.northing_m,
                "sha256": scene.digest(),
                "provenance": scene.provenance.model_dump(mode="json"),
                "notes": scene.notes,
            }
            for scene in scenes
        ],
    }
