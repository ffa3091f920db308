"""Radio maps as :class:`torch.utils.data.Dataset`: construction, estimation, forecasting.

A batch is fetched at once (``__getitems__``) into one tensor of 8-bit planes and made into the
floats of a convention there, or on the device. Use :func:`collate` as ``collate_fn``, so that the
batch is not taken apart and put together again.
"""

from __future__ import annotations

import copy
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Self

import numpy as np
import torch
from torch.utils.data import Dataset, default_collate

from rmtools.errors import RecipeError
from rmtools.layouts.conventions import Convention, find_convention
from rmtools.layouts.maps import LayerMissingError, MapSource, open_maps
from rmtools.layouts.selection import select
from rmtools.layouts.tensors import build_maps, build_windows, empty, planes_of
from rmtools.seeds import generator
from rmtools.splits.manifest import SplitManifest, read_manifest

if TYPE_CHECKING:
    from collections.abc import Iterable

    from rmtools.layouts.conventions import Task
    from rmtools.layouts.tensors import Batch
    from rmtools.types import IntArray

DType = Literal["float32", "uint8"]


class Rows(Sequence[Any]):
    """The samples of a batch one by one, as views of its tensors."""

    def __init__(self, batch: Batch) -> None:
        self.batch = batch

    def __len__(self) -> int:
        return len(self.batch["target" if "target" in self.batch else "frames"])

    def __getitem__(self, index: Any) -> Any:
        if not -len(self) <= index < len(self):
            raise IndexError(index)
        return _row(self.batch, index)


def _row(batch: Batch, index: int) -> Batch:
    return {
        key: _row(value, index) if isinstance(value, dict) else value[index]
        for key, value in batch.items()
    }


def collate(rows: Any) -> Batch:
    """Give the batch that was fetched as a whole; anything else is collated as usual."""
    return rows.batch if isinstance(rows, Rows) else default_collate(rows)


class MapDataset(Dataset[Any]):
    """What all datasets of radio maps have in common.

    Every sample is a dict of ``input``, ``target`` and ``meta``: the indices ``scene``, ``traj``,
    ``tx``, ``frame`` (of the target, its first), the transmitter's ``tx_row`` and ``tx_col`` (-1
    where images to be forecast do not say), and ``gain_db``, the two numbers (slope, intercept)
    that turn the target into path gain in dB.

    Attributes
    ----------
    scene_names
        What ``meta["scene"]`` counts.
    kind
        The family of maps.
    convention
        Channels and scaling, see docs/loaders.md.
    """

    task: Task

    def __init__(
        self,
        maps: MapSource | Path | str,
        split: SplitManifest | Path | str | None,
        subset: str | None,
        *,
        kind: str | None,
        convention: str | Convention,
        dtype: DType,
        vehicles: bool,
    ) -> None:
        if dtype not in ("float32", "uint8"):
            raise RecipeError(f"{dtype!r} is no type of samples.", remedy="float32 or uint8.")
        self._source = maps if isinstance(maps, MapSource) else open_maps(Path(maps))
        self._pid = os.getpid()
        self.dtype = dtype
        self.convention = (
            convention
            if isinstance(convention, Convention)
            else find_convention(convention, self.task)
        )
        self.scene_names = self._source.scene_names
        either = kind is not None and not vehicles  # vehicles may go unmentioned, if asked for
        self.kind = self._source.the_kind(kind, vehicles=None if either else vehicles)
        self.n = self._source.grid.n
        manifest = split if isinstance(split, SplitManifest | None) else read_manifest(Path(split))
        self._sequences = select(self._source, self.kind, manifest, subset)
        self._gain_db = torch.tensor(
            self.convention.grey.gain_db(self._source.scale), dtype=torch.float32
        )
        self._transmitters: dict[int, IntArray] = {}

    @property
    def source(self) -> MapSource:
        """The maps, opened again in every process."""
        if self._pid != os.getpid():
            again, arguments, *_ = self._source.__reduce__()
            self._source, self._pid = again(*arguments), os.getpid()
        return self._source

    def at_epoch(self, epoch: int) -> Self:  # noqa: ARG002 - only sparse samples have epochs
        """The same samples as in an epoch, whatever epoch was set."""
        return self

    def describe(self) -> dict[str, Any]:
        """What the numbers mean, as JSON values."""
        source, slope_intercept = self._source, self._gain_db.tolist()
        return {
            "task": self.task,
            "samples": len(self),
            "dataset": source.title,
            "kind": self.kind,
            "channels": list(self.convention.channels),
            "convention": self.convention.source,
            "scale": source.scale.describe(),
            "target": "gain in dB = {:g} * target + {:g}".format(*slope_intercept),
            "licence": source.licence,
            "attribution": source.attribution,
        }

    # -- fetching ----------------------------------------------------------------------------

    def __len__(self) -> int:
        raise NotImplementedError

    def __getitem__(self, index: int) -> Batch:
        if not -len(self) <= index < len(self):
            raise IndexError(index)
        return self.__getitems__([index])[0]

    def __getitems__(self, indices: Sequence[int]) -> Rows:
        """Fetch a batch in one go, see :func:`collate`."""
        raw = self._read(np.asarray(indices, np.int64))
        return Rows(raw if self.dtype == "uint8" else self.finish(raw))

    def _read(self, indices: IntArray) -> Batch:
        """The 8-bit batch."""
        raise NotImplementedError

    def finish(self, raw: Batch) -> Batch:
        """Turn an 8-bit batch (``dtype="uint8"``) into floats, on the device it is on."""
        raise NotImplementedError

    def _meta(self, at: IntArray, frames: IntArray) -> Batch:
        """Ids of a batch; `at` holds (scene, traj, tx)."""
        pixels = np.array([self._pixel(scene, tx) for scene, _, tx in at.tolist()], np.int64)
        columns = torch.from_numpy(np.column_stack([at, frames, pixels]).T.copy())
        names = ("scene", "traj", "tx", "frame", "tx_row", "tx_col")
        ids = dict(zip(names, columns, strict=True))
        return {**ids, "gain_db": self._gain_db.expand(len(at), 2)}

    def _pixel(self, scene: int, tx: int) -> tuple[int, int]:
        """Row and column of a transmitter; -1 where images alone are to be forecast."""
        if scene not in self._transmitters:
            try:
                self._transmitters[scene] = self.source.transmitter_pixels(scene)
            except LayerMissingError:
                if self.task != "forecast":
                    raise
                every = self.source.kinds[self.kind].tx
                self._transmitters[scene] = np.full((every, 2), -1)
        row, col = self._transmitters[scene][tx]
        return int(row), int(col)


class StaticMaps(MapDataset):
    """Radio-map construction: from buildings and transmitter, and vehicles, to the map.

    Parameters
    ----------
    maps
        A source or the path of one, see :func:`~rmtools.layouts.maps.open_maps`. Random access
        is fast in the packed layout only.
    split, subset
        A split manifest (or its file) and the name of the set; neither for all maps.
    task
        ``"static"`` for maps without vehicles, ``"dynamic"`` for maps with them: each frame is a
        sample of its own then.
    convention
        Whose inputs and scaling: a name of docs/loaders.md, or a :class:`Convention`.
    kind
        Family of maps, such as ``"IRT2"``; may be left out where only one fits.
    frames
        Frames to take of each sequence; None for all.
    dtype
        ``"float32"`` gives ``input`` (C, n, n) and ``target`` (1, n, n). ``"uint8"`` gives
        ``planes`` and ``target`` as they are stored, a quarter of the bytes; call
        :meth:`finish` on the batch once it is on the device.
    """

    def __init__(
        self,
        maps: MapSource | Path | str,
        split: SplitManifest | Path | str | None = None,
        subset: str | None = None,
        *,
        task: Literal["static", "dynamic"] = "static",
        convention: str | Convention = "rmtools",
        kind: str | None = None,
        frames: Iterable[int] | None = None,
        dtype: DType = "float32",
    ) -> None:
        self.task = task
        super().__init__(
            maps,
            split,
            subset,
            kind=kind,
            convention=convention,
            dtype=dtype,
            vehicles=_wants_vehicles(task),
        )
        self._planes = planes_of(self.convention)
        count = self._source.kinds[self.kind].frame
        self._frames = np.arange(count) if frames is None else np.array([*frames], np.int64)
        if not len(self._frames) or self._frames.min() < 0 or self._frames.max() >= count:
            raise RecipeError(
                f"frames {self._frames.tolist()} of sequences that have {count}.",
                where=self._source.path,
                remedy=f"Frames are counted from 0 to {count - 1}.",
            )

    def __len__(self) -> int:
        return len(self._sequences) * len(self._frames)

    def _read(self, indices: IntArray) -> Batch:
        source, count = self.source, len(self._frames)
        at, frames = self._sequences[indices // count], self._frames[indices % count]
        shape = (len(at), len(self._planes), self.n, self.n)
        planes, target = empty(shape, torch.uint8), empty((len(at), 1, self.n, self.n), torch.uint8)
        raw: Batch = {"planes": planes, "target": target, "meta": self._meta(at, frames)}
        into, goal = planes.numpy(), target.numpy()
        where = {plane: number for number, plane in enumerate(self._planes)}
        for i, ((scene, traj, tx), frame) in enumerate(zip(at.tolist(), frames, strict=True)):
            goal[i] = source.grey(self.kind, scene, traj, tx, slice(frame, frame + 1))
            if "buildings" in where:
                into[i, where["buildings"]] = source.buildings(scene)
            if "transmitter" in where:
                into[i, where["transmitter"]] = 0
                into[i, where["transmitter"]][self._pixel(scene, tx)] = 1
            if "vehicles" in where:
                into[i, where["vehicles"]] = source.vehicles(scene, traj)[frame]
        return raw

    def finish(self, raw: Batch) -> Batch:
        """See :meth:`MapDataset.finish`."""
        return build_maps(raw, self.convention)


class SparseSamples(StaticMaps):
    """Radio-map estimation: the same from samples of the map.

    Samples and, apart from them, a ``mask`` bool (1, n, n) are given, because a sample may be 0.
    Where they are depends on (seed, epoch, scene's name, transmitter) only: not on the process,
    the order, the values of the map or what the buildings are stored as.

    Parameters
    ----------
    samples
        How many per map, or the least and the most; None for what the convention says.
    seed
        Seed of the masks.
    avoid_buildings
        Draw from pixels without building in the building raster, and from nothing else that
        would tell of the target.
    maps, split, subset, task, convention, kind, frames, dtype
        As for :class:`StaticMaps`; the tasks are ``"sparse"`` and ``"sparse-dynamic"``.
    """

    def __init__(
        self,
        maps: MapSource | Path | str,
        split: SplitManifest | Path | str | None = None,
        subset: str | None = None,
        *,
        samples: int | tuple[int, int] | None = None,
        seed: int = 0,
        avoid_buildings: bool = True,
        task: Literal["sparse", "sparse-dynamic"] = "sparse",
        **options: Any,
    ) -> None:
        super().__init__(maps, split, subset, task=task, **options)  # type: ignore[arg-type]  # a wider task
        bounds = samples if samples is not None else self.convention.samples or 0
        self.samples = (bounds, bounds) if isinstance(bounds, int) else tuple(bounds)
        self.seed, self.avoid_buildings = seed, avoid_buildings
        self._epoch = torch.zeros((), dtype=torch.int64)
        self._epoch.share_memory_()  # type: ignore[no-untyped-call]
        low, high = self.samples
        if not 1 <= low <= high <= self.n**2:
            raise RecipeError(
                f"{low} to {high} samples of a map of {self.n**2} pixels.",
                remedy="Give samples=300 or samples=(10, 300).",
            )

    def set_epoch(self, epoch: int) -> None:
        """Draw other masks from now on, in running workers too; epoch 0 is the default."""
        self._epoch.fill_(epoch)

    def at_epoch(self, epoch: int) -> Self:
        """The same samples with the masks of an epoch, whatever :meth:`set_epoch` says.

        For workers that fetch the first batches of an epoch while the last ones of the epoch
        before are still in use.
        """
        other = copy.copy(self)
        other._epoch = torch.tensor(epoch)  # noqa: SLF001 - another one of this class
        return other

    def sample_mask(self, scene: int, tx: int) -> IntArray:
        """Flat indices of the sampled pixels of a map, sorted."""
        purpose = ("sample mask", int(self._epoch), self.scene_names[scene], tx)
        random = generator(self.seed, *purpose)
        low, high = self.samples
        count = int(random.integers(low, high, endpoint=True))
        free = (
            np.flatnonzero(~self.source.buildings(scene))
            if self.avoid_buildings
            else np.arange(self.n**2)
        )
        if count > len(free):
            raise RecipeError(
                f"{count} samples of scene {self.scene_names[scene]!r}, which has {len(free)} "
                "pixels without building.",
                remedy="Ask for fewer samples, or for avoid_buildings=False.",
            )
        return np.sort(free[random.choice(len(free), count, replace=False, shuffle=False)])

    def _read(self, indices: IntArray) -> Batch:
        raw = super()._read(indices)
        mask = torch.zeros((len(indices), 1, self.n, self.n), dtype=torch.bool)
        flat = mask.numpy().reshape(len(indices), -1)
        pairs = zip(raw["meta"]["scene"].tolist(), raw["meta"]["tx"].tolist(), strict=True)
        for i, (scene, tx) in enumerate(pairs):
            flat[i, self.sample_mask(scene, tx)] = True
        raw["mask"] = mask
        return raw


class SequenceForecast(MapDataset):
    """Forecasting: from the frames of a window to those that follow.

    Parameters
    ----------
    window
        First frame, number of context frames, number of frames to predict; None for the
        convention's. RadioMapMotion's paper uses (0, 10, 5), its released code (2, 8, 5).
    stride
        Take further windows of each sequence, so many frames apart, as far as they fit; None for
        one. Windows never leave their sequence, so they cannot cross sets.
    maps, split, subset, convention, kind, dtype
        As for :class:`StaticMaps`. ``input`` is (context, 1, n, n), ``target`` (horizon, 1, n,
        n), with ``dtype="uint8"`` both in ``frames``.
    """

    task = "forecast"

    def __init__(
        self,
        maps: MapSource | Path | str,
        split: SplitManifest | Path | str | None = None,
        subset: str | None = None,
        *,
        window: tuple[int, int, int] | None = None,
        stride: int | None = None,
        convention: str | Convention = "rmtools",
        kind: str | None = None,
        dtype: DType = "float32",
    ) -> None:
        super().__init__(
            maps, split, subset, kind=kind, convention=convention, dtype=dtype, vehicles=True
        )
        self.window = window or self.convention.window or (0, 10, 5)
        start, self.context, self.horizon = self.window
        self.length = self.context + self.horizon
        last = self._source.kinds[self.kind].frame - self.length
        if min(start, self.context - 1, self.horizon - 1, (stride or 1) - 1) < 0 or last < start:
            raise RecipeError(
                f"windows of {self.context} + {self.horizon} frames from frame {start} on, in "
                f"sequences of {self._source.kinds[self.kind].frame} frames.",
                where=self._source.path,
                remedy="Give window=(first frame, context, horizon) that fits.",
            )
        self._starts = np.arange(start, last + 1, stride) if stride else np.array([start])

    def __len__(self) -> int:
        return len(self._sequences) * len(self._starts)

    def _read(self, indices: IntArray) -> Batch:
        source, count = self.source, len(self._starts)
        at, starts = self._sequences[indices // count], self._starts[indices % count]
        frames = empty((len(at), self.length, 1, self.n, self.n), torch.uint8)
        into = frames.numpy()
        for i, ((scene, traj, tx), first) in enumerate(zip(at.tolist(), starts, strict=True)):
            span = slice(first, first + self.length)
            into[i, :, 0] = source.grey(self.kind, scene, traj, tx, span)
        return {"frames": frames, "meta": self._meta(at, starts + self.context)}

    def finish(self, raw: Batch) -> Batch:
        """See :meth:`MapDataset.finish`."""
        return build_windows(raw, self.context, self.convention)


def _wants_vehicles(task: Task) -> bool:
    return task in ("dynamic", "sparse-dynamic")
