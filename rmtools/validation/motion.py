"""Checking a folder in the motion layout, file by file, going on after every bad one.

One map is in memory at a time. Every message names the file it is about, relative to the layout.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, TypeVar

import numpy as np

from rmtools.errors import InputError
from rmtools.images import read_grey_image
from rmtools.layouts import motion_format as fmt
from rmtools.layouts.motion_reader import MotionLayout
from rmtools.layouts.npz import read_npz
from rmtools.radio.receivers import inside_buildings
from rmtools.units import MOTION_SCALE
from rmtools.validation.pathloss import largest_gain_dbi
from rmtools.validation.store import UNREADABLE, imported

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from pathlib import Path

    from rmtools.findings import Level, Report
    from rmtools.layouts.motion_format import MotionDescription
    from rmtools.store import Store
    from rmtools.traffic.tracks import Tracks
    from rmtools.types import BoolArray, ByteArray, FloatArray

_T = TypeVar("_T")


def open_motion(root: Path, report: Report) -> MotionLayout | None:
    """Open a motion layout to be checked.

    Parameters
    ----------
    root
        Folder that holds ``dataset.json``.
    report
        Gets an error when that cannot be used; then None is returned.
    """
    try:
        return MotionLayout(root)
    except InputError as error:
        report.error(str(error.where or root).removeprefix(f"{root}/"), error.what)
        return None


def _table(tracks: Tracks) -> FloatArray:
    """All that tracks.csv says, shape (5, frame, vehicle)."""
    return np.stack([tracks.x, tracks.y, tracks.heading_deg, tracks.speed_mps, tracks.state])


class MotionChecker:
    """Checks a motion layout, as a whole and one environment after another.

    Parameters
    ----------
    layout
        Open for reading.
    description
        Its description.
    report
        Findings are added to it.
    store
        The complete store the layout was made from; when given, all that the layout has from it
        must equal it: maps, buildings, roads, heights, transmitters, tracks, description.
    """

    def __init__(
        self,
        layout: MotionLayout,
        description: MotionDescription,
        report: Report,
        store: Store | None = None,
    ) -> None:
        self.layout, self.description, self.report = layout, description, report
        self.store = store
        self.root, self.sizes, self.grid = layout.root, layout.sizes, layout.grid
        image_trees = {"paper": ["png"], "loader": ["gain"], "both": ["png", "gain"]}
        self.images = image_trees[description.names]
        self.trees = [*self.images, "npz", "vehicles", "environment"]
        self.imported = imported(description.vehicle.get("traffic"))
        self.solver = description.solver.get("solver")
        self.least_db = 0.0 - max(largest_gain_dbi(self.solver) or 0.0, 0.0)
        self.gain_text = fmt.gain_text(self.grid.resolution_m)

    def check_whole(self) -> None:
        """Check the description, and that the folders are those of all environments."""
        self._check_description()
        self._check_names("", [fmt.DESCRIPTION_NAME, *self.trees])
        environments = [f"env_{env:03d}" for env in range(self.sizes.scene)]
        for tree in self.trees:
            self._check_names(tree, environments)

    def check_environment(self, env: int) -> None:
        """Check every file of one environment."""
        sizes, here = self.sizes, f"env_{env:03d}"
        trajectories = [f"traj_{traj:02d}" for traj in range(sizes.traj)]
        files = [fmt.BUILDINGS, fmt.ROADS, fmt.HEIGHT, fmt.TRANSMITTERS]
        for tree in (*self.images, "npz", "vehicles"):
            self._check_names(f"{tree}/{here}", trajectories)
        self._check_names(f"environment/{here}", [*files, *trajectories])
        names = [fmt.environment_name(env, name) for name in files]
        buildings = self._mask(names[0], fmt.BUILDING_MASK)
        roads = self._mask(names[1], fmt.ROAD_MASK)
        height = self._try(lambda: self.layout.building_height(env))
        if height is not None and buildings is not None:
            self.report.error_at(
                names[2],
                np.isfinite(height) != buildings,
                "have a height but no building, or the other way round",
            )
        positions = self._try(lambda: self.layout.transmitters(env))
        self._same_as_stored(names[0], buildings, lambda store: store.buildings(env))
        self._same_as_stored(names[1], roads, lambda store: store.roads(env))
        self._same_as_stored(names[2], height, lambda store: store.building_height(env))
        self._same_as_stored(names[3], positions, lambda store: store.transmitters(env))
        inside = None
        if height is not None and buildings is not None:
            inside = inside_buildings(buildings, height, self.solver)
        for traj in range(sizes.traj):
            self._check_trajectory(env, traj, buildings, inside, positions)

    # -- names -------------------------------------------------------------------------------

    def _check_names(self, folder: str, expected: Iterable[str]) -> bool:
        """Report what is missing in a folder and what does not belong there."""
        try:
            found = set(os.listdir(self.root / folder))  # noqa: PTH208 - names are all we need
        except OSError:
            if (self.root / folder).exists():  # a missing one is reported with its parent
                self.report.error(folder, "it is not a readable folder")
            return False
        wanted = set(expected)
        prefix = f"{folder}/" if folder else ""
        for name in sorted(wanted - found):
            self.report.error(prefix + name, "it is missing")
        for name in sorted(found - wanted):
            self.report.error(prefix + name, "it does not belong to the layout")
        return True

    def _check_trajectory(
        self,
        env: int,
        traj: int,
        buildings: BoolArray | None,
        inside: BoolArray | None,
        positions: FloatArray | None,
    ) -> None:
        sizes, here = self.sizes, f"env_{env:03d}/traj_{traj:02d}"
        self._check_names(f"environment/{here}", ["tracks.csv"])
        self._check_names(
            f"vehicles/{here}",
            [fmt.vehicles_name(env, traj, f).rpartition("/")[2] for f in range(sizes.frame)],
        )
        tracks = self._try(lambda: self.layout.tracks(env, traj))
        if tracks is not None:
            self._same_as_stored(
                fmt.tracks_name(env, traj),
                _table(tracks),
                lambda store: _table(store.tracks(env, traj)),
            )
        for frame in range(sizes.frame):
            name = fmt.vehicles_name(env, traj, frame)
            mask = self._mask(name, fmt.VEHICLE_MASK)
            if mask is not None and tracks is not None:
                different = mask != tracks.mask(frame, self.grid)
                self.report.error_at(name, different, "differ from tracks.csv")
            if mask is not None and buildings is not None:
                level: Level = "warning" if self.imported else "error"
                self.report.found_at(level, name, mask & buildings, "show a vehicle on a building")
        tx_folders = [f"tx_{tx:02d}" for tx in range(sizes.tx)]
        present = [
            self._check_names(f"{tree}/{here}", tx_folders) for tree in (*self.images, "npz")
        ]
        if any(present):
            for tx in range(sizes.tx):
                self._check_sequence((env, traj, tx), inside, positions)

    # -- maps --------------------------------------------------------------------------------

    def _check_sequence(
        self,
        index: tuple[int, int, int],
        inside: BoolArray | None,
        positions: FloatArray | None,
    ) -> None:
        frames = range(self.sizes.frame)
        names = {"png": fmt.png_name, "gain": fmt.loader_name, "npz": fmt.npz_name}
        for tree in (*self.images, "npz"):
            expected = [names[tree](*index, f).rpartition("/")[2] for f in frames]
            self._check_names(f"{tree}/{fmt.sequence_folder(*index)}", expected)
        env, traj, tx = index
        metadata = self._metadata(env, traj)
        metadata["tx"] = tx
        if positions is not None:
            metadata.update(
                zip(("tx_x_m", "tx_y_m", "tx_z_m"), positions[tx].tolist(), strict=True)
            )
        stored = self._stored(lambda store: store.pathloss(*index))
        for frame in frames:
            metadata.update(frame=frame, time_s=fmt.frame_time_s(frame))
            name = fmt.npz_name(*index, frame)
            loss = self._npz(name, metadata)
            if loss is not None and inside is not None:
                self.report.error_at(
                    name, np.isnan(loss) != inside, "are NaN off buildings, or a number in one"
                )
            if loss is not None and stored is not None and frame < len(stored):
                self._same_array(name, loss, stored[frame])
            for tree in self.images:
                self._check_image(names[tree](*index, frame), loss, inside)

    def _check_image(self, name: str, loss: FloatArray | None, inside: BoolArray | None) -> None:
        levels = self._image(name, self.gain_text)
        if levels is None:
            return
        if inside is not None:
            self.report.error_at(name, (levels != 0) & inside, "are not zero inside a building")
        if loss is not None:
            self.report.error_at(
                name, levels != MOTION_SCALE.encode(loss), "are not the npz on the grey scale"
            )

    def _npz(self, name: str, metadata: Mapping[str, object]) -> FloatArray | None:
        """Path loss of an npz whose keys, types and metadata are as they should be."""
        if not (self.root / name).exists():
            return None  # reported with the folder
        self.report.count("npz")
        arrays = self._try(lambda: read_npz(self.root / name, self.grid.n**2 * 4))
        if arrays is None:
            return None
        missing, extra = set(fmt.NPZ_KEYS) - set(arrays), set(arrays) - set(fmt.NPZ_KEYS)
        if missing or extra:
            self.report.error(
                name, f"keys missing: {sorted(missing)}, not expected: {sorted(extra)}"
            )
        for key, value in metadata.items():
            if key in arrays and (arrays[key].shape != () or arrays[key].item() != value):
                found = str(arrays[key].ravel()[:1].tolist())[:80]
                self.report.error(name, f"{key} is {found}, expected {value!r}")
        loss = arrays.get("pathloss_db")
        if loss is None:
            return None
        if loss.shape != self.grid.shape or loss.dtype != np.float32:
            self.report.error(
                name,
                f"pathloss_db is {loss.dtype} {loss.shape}, expected float32 {self.grid.shape}",
            )
            return None
        wild = np.isinf(loss) | (loss < self.least_db)
        self.report.error_at(name, wild, f"are infinite or below {self.least_db:g} dB")
        return loss

    def _metadata(self, env: int, traj: int) -> dict[str, object]:
        """Values every npz of a unit must have; the writing version is free."""
        scenes = self.description.scenes
        metadata: dict[str, object] = dict(
            fmt.npz_metadata(
                scene=scenes[env].name if env < len(scenes) else "",
                env=env,
                traj=traj,
                resolution_m=self.grid.resolution_m,
                licence=self.description.licence,
                attribution=self.description.attribution,
            )
        )
        del metadata["rmtools_version"]
        return metadata

    # -- images ------------------------------------------------------------------------------

    def _image(self, name: str, text: Mapping[str, str]) -> ByteArray | None:
        """Grey levels of an image whose text chunks are as they should be."""
        if not (self.root / name).exists():
            return None  # reported with the folder
        self.report.count("images")
        image = self._try(lambda: read_grey_image(self.root / name, self.grid.shape))
        if image is None:
            return None
        for key, value in text.items():
            if key != "Software" and image.text.get(key) != value:
                found = image.text.get(key, "missing")[:80]
                self.report.error(name, f"text chunk {key} is {found!r}, expected {value!r}")
        if "Software" not in image.text:
            self.report.error(name, "text chunk Software is missing")
        return image.levels

    def _mask(self, name: str, quantity: str) -> BoolArray | None:
        levels = self._image(name, fmt.mask_text(quantity, self.grid.resolution_m))
        if levels is None:
            return None
        self.report.error_at(name, (levels != 0) & (levels != 255), "are neither 0 nor 255")
        return levels > 127

    # -- the description ---------------------------------------------------------------------

    def _check_description(self) -> None:
        found = self.description
        if [scene.env for scene in found.scenes] != list(range(self.sizes.scene)):
            self.report.error(
                fmt.DESCRIPTION_NAME,
                f"it lists {len(found.scenes)} scenes, sizes say {self.sizes.scene}",
            )
        if found.scale != fmt.describe_scale():
            self.report.error(fmt.DESCRIPTION_NAME, "the scale is not RadioMapMotion's")
        if not all(found.licence) or not all(found.attribution):
            self.report.error(fmt.DESCRIPTION_NAME, "licence or attribution is empty")
        store = self.store
        made = None if store is None else self._try(lambda: fmt.describe(store, found.names))
        if made is None:
            return
        mine = made.model_dump(mode="json")
        for key, value in found.model_dump(mode="json").items():
            if key == "rmtools_version" or mine[key] == value:
                continue
            # titles and notes may be added to a store after it was laid out
            soft = key in ("title", "provenance")
            add = self.report.warning if soft else self.report.error
            add(fmt.DESCRIPTION_NAME, f"{key} does not agree with the store")

    # -- the store ---------------------------------------------------------------------------

    def _stored(self, read: Callable[[Store], _T]) -> _T | None:
        """Something from the store, None when there is nothing to compare with."""
        try:
            return None if self.store is None else read(self.store)
        except UNREADABLE:
            return None  # reported with the store; other sizes are reported with the description

    def _same_as_stored(
        self,
        name: str,
        mine: FloatArray | BoolArray | None,
        read: Callable[[Store], FloatArray | BoolArray],
    ) -> None:
        """Report a file when what was read from it is not what the store holds."""
        if mine is not None and (theirs := self._stored(read)) is not None:
            self._same_array(name, mine, theirs)

    def _same_array(
        self, name: str, mine: FloatArray | BoolArray, theirs: FloatArray | BoolArray
    ) -> None:
        if mine.shape != theirs.shape:
            self.report.error(name, f"it has shape {mine.shape}, the store {theirs.shape}")
        elif mine.shape == self.grid.shape:
            equal = (mine == theirs) | (np.isnan(mine) & np.isnan(theirs))
            self.report.error_at(name, ~equal, "differ from the store")
        elif not np.array_equal(mine, theirs, equal_nan=True):
            self.report.error(name, "it differs from the store")

    # -- helpers -----------------------------------------------------------------------------

    def _try(self, read: Callable[[], _T]) -> _T | None:
        """Run something that reads a file; report it when the file is bad."""
        try:
            return read()
        except InputError as error:
            where = str(error.where).removeprefix(f"{self.root}/")
            if (self.root / where).exists():  # missing files are reported with their folder
                self.report.error(where, error.what)
            return None
