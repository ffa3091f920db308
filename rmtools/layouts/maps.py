"""Where radio maps come from: one small interface for the store and for every layout.

Loaders, the packed cache and whoever compares datasets read through :class:`MapSource`;
:func:`open_maps` finds out what lies at a path.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np

from rmtools.errors import InputError, RecipeError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from rmtools.grid import Grid
    from rmtools.types import BoolArray, ByteArray, FloatArray, IntArray
    from rmtools.units import GreyScale

ScaleName = Literal["radiomapmotion", "radiomapseer"]

ALL = slice(None)


class LayerMissingError(InputError):
    """The layout does not hold what was asked for."""


class Kind(NamedTuple):
    """One family of maps of a dataset: what was computed, and how many of them there are.

    Attributes
    ----------
    traj, tx, frame
        Trajectories and transmitters of a scene, frames of a sequence. Maps without vehicles
        have one trajectory of one frame.
    vehicles
        Whether vehicles stood in the way; then :meth:`MapSource.vehicles` says where.
    """

    traj: int
    tx: int
    frame: int
    vehicles: bool


class MapSource(ABC):
    """Radio maps of one dataset, open for reading.

    A source says what it was opened by, so it can be pickled and is opened again in the process
    it arrives in. Threads may read from one at the same time. Subclasses implement :meth:`grey`
    or :meth:`pathloss_db`, or both.

    Attributes
    ----------
    layout
        What lies there: ``store``, ``motion``, ``seer``, ``hdf5`` or ``packed``.
    path
        The file or folder.
    title
        Name of the dataset for people.
    licence, attribution
        What must accompany the data; empty where the dataset does not say.
    grid
        Grid of all maps.
    scale
        Grey scale of :meth:`grey`.
    scene_names
        Names of the scenes in order, as split manifests know them.
    kinds
        Families of maps by name.
    """

    layout: str
    path: Path
    title: str
    licence: list[str]
    attribution: list[str]
    grid: Grid
    scale: GreyScale
    scene_names: list[str]
    kinds: dict[str, Kind]

    def __reduce__(self) -> tuple[Any, ...]:
        """Travel to another process as the instruction to open it there."""
        return (type(self), self._opened_by())

    def _opened_by(self) -> tuple[Any, ...]:
        """Arguments of the constructor."""
        return (self.path,)

    # -- maps --------------------------------------------------------------------------------

    def grey(self, kind: str, scene: int, traj: int, tx: int, frames: slice = ALL) -> ByteArray:
        """Grey levels of the path gain, uint8, shape (frames, n, n); 0 where not computed.

        Where the dataset holds path loss they are :attr:`scale` applied to it.
        """
        return self.scale.encode(self.pathloss_db(kind, scene, traj, tx, frames))

    def pathloss_db(
        self, kind: str, scene: int, traj: int, tx: int, frames: slice = ALL
    ) -> FloatArray:
        """Path loss in dB, float32, shape (frames, n, n), NaN where not computed.

        Where the dataset holds grey levels it is decoded to the middle of each level's range;
        level 0 then is "not computed" inside buildings and the scale's lowest gain elsewhere.
        """
        levels = self.grey(kind, scene, traj, tx, frames)
        missing = (levels == 0) & self.inside_buildings(scene)
        return np.where(missing, np.float32(np.nan), self.scale.decode(levels))

    # -- what belongs to scenes --------------------------------------------------------------

    @abstractmethod
    def buildings(self, scene: int) -> BoolArray:
        """Building mask, shape (n, n)."""

    @abstractmethod
    def roads(self, scene: int) -> BoolArray:
        """Drivable mask, shape (n, n)."""

    @abstractmethod
    def vehicles(self, scene: int, traj: int) -> BoolArray:
        """Vehicle masks of a trajectory, shape (frame, n, n)."""

    @abstractmethod
    def transmitter_pixels(self, scene: int) -> IntArray:
        """Row and column of each transmitter, int64, shape (tx, 2)."""

    def building_height(self, scene: int) -> FloatArray:  # noqa: ARG002 - the interface
        """Roof heights in metres, float32, shape (n, n), NaN outside buildings.

        Raises
        ------
        LayerMissingError
            The layout has none.
        """
        raise self.lacks("building heights")

    def inside_buildings(self, scene: int) -> BoolArray:
        """Pixels whose receiver is inside a building, shape (n, n); by default all of them."""
        return self.buildings(scene)

    # -- finding things ----------------------------------------------------------------------

    def the_kind(self, name: str | None = None, *, vehicles: bool | None = None) -> str:
        """Name of a family of maps: the one asked for, or the only one that fits.

        Parameters
        ----------
        name
            A name of :attr:`kinds`, or None for the only one.
        vehicles
            Whether it must be with or without vehicles; None where it does not matter.

        Raises
        ------
        RecipeError
            There is no such family, or there are several.
        """
        fitting = [
            kind
            for kind, about in self.kinds.items()
            if vehicles is None or about.vehicles == vehicles
        ]
        if name is None and len(fitting) == 1:
            return fitting[0]
        if name in fitting:
            return str(name)
        want = {None: "maps", True: "maps with vehicles", False: "maps without vehicles"}[vehicles]
        asked = "which are meant was not said" if name is None else f"none is called {name!r}"
        raise RecipeError(
            f"the dataset has {len(fitting)} families of {want}, {asked}.",
            where=self.path,
            remedy=f"Choose the kind among {', '.join(fitting)}."
            if fitting
            else f"Use another dataset or another task; this one has {', '.join(self.kinds)}.",
        )

    def scene_indices(self, names: Sequence[str]) -> list[int]:
        """Positions of scenes in :attr:`scene_names`.

        Raises
        ------
        InputError
            The dataset does not have all of them.
        """
        index = {name: i for i, name in enumerate(self.scene_names)}
        if unknown := [name for name in names if name not in index]:
            raise InputError(
                f"the dataset has no scene {unknown[0]!r} ({len(unknown)} are missing).",
                where=self.path,
                remedy="Use the split made for this dataset, or make one with `rmtools split`.",
            )
        return [index[name] for name in names]

    def lacks(self, what: str) -> LayerMissingError:
        """The error to raise where a layout does not hold something."""
        return LayerMissingError(
            f"the dataset ({self.layout}) has no {what}.",
            where=self.path,
            remedy="Use one that has them: a store or what `rmtools package` makes of it.",
        )


def open_maps(path: Path, scale: ScaleName | None = None) -> MapSource:
    """Open a dataset, whatever it is laid out as.

    Parameters
    ----------
    path
        A store or a dataset folder with one, a packed cache, an HDF5 file, a folder in the
        RadioMapMotion or the RadioMapSeer layout. A dataset folder that holds several is opened
        by its store; give the inner folder for another.
    scale
        Grey scale for datasets that hold path loss (store, HDF5, packed floats); by default the
        one the dataset names, RadioMapMotion's for a store. Images have their scale already.

    Raises
    ------
    InputError
        Nothing that can be read lies there.
    RecipeError
        The dataset is made of images of another scale.
    """
    from rmtools.layouts import hdf5_reader, packed_reader, sources

    openers = (
        packed_reader.PackedMaps,
        hdf5_reader.Hdf5Maps,
        sources.StoreMaps,
        sources.SeerMaps,
        sources.MotionMaps,
    )
    for opener in openers:
        if opener.recognises(path):
            return opener(path, scale)
    raise InputError(
        "no radio maps found there." if path.exists() else "there is no such file or folder.",
        where=path,
        remedy="Looked for "
        + "; ".join(f"{opener.layout} ({opener.signs})" for opener in openers)
        + ". Give the file or the folder that holds them.",
    )


def image_scale(source: MapSource, asked: ScaleName | None) -> None:
    """Refuse to give images in another scale than their own."""
    if asked is not None and asked != source.scale.name:
        raise RecipeError(
            f"its images are in the scale {source.scale.name}, not in {asked}.",
            where=source.path,
            remedy=f"Leave the scale out, or read path loss (a store) with scale={asked!r}.",
        )


def not_computed(source: MapSource, kind: str, scene: int, traj: int, tx: int) -> InputError:
    """The error to raise at maps of which no pixel was computed."""
    return InputError(
        f"scene {source.scene_names[scene]!r} has no {kind} of trajectory {traj}, transmitter "
        f"{tx}.",
        where=source.path,
        remedy="Run `rmtools simulate` first, or leave out what there is not (IRT4 of "
        "RadioMapSeer has two transmitters a map).",
    )
