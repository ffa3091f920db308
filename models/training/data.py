"""From a dataset, a split and a model to batches whose order is known beforehand.

Batches are counted through all epochs, and what is in a batch depends on its number and the seed
alone. So a training that was stopped anywhere goes on with the very next one.
"""

from __future__ import annotations

import signal
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from torch.utils.data import DataLoader, Dataset, Sampler

from rmtools.errors import RecipeError
from rmtools.layouts.datasets import SequenceForecast, SparseSamples, StaticMaps, collate
from rmtools.seeds import generator
from rmtools.splits.manifest import SplitSet, make_manifest

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from rmtools.layouts.conventions import Convention, Task
    from rmtools.layouts.datasets import MapDataset, Rows
    from rmtools.layouts.maps import MapSource
    from rmtools.splits.manifest import SplitManifest
    from rmtools.types import IntArray

    from ..interface import Batch
    from .schedule import Length


def dataset_of(
    source: MapSource,
    split: SplitManifest | None,
    subset: str | None,
    *,
    task: Task,
    convention: Convention,
    kind: str | None = None,
    seed: int = 0,
    frames: Sequence[int] | None = None,
) -> MapDataset:
    """Make the dataset of a task, as 8-bit planes; see docs/loaders.md for the parameters.

    `frames` are those of the dynamic tasks.
    """
    options: dict[str, Any] = {"convention": convention, "kind": kind, "dtype": "uint8"}
    if task == "forecast":
        return SequenceForecast(source, split, subset, **options)
    options["frames"] = frames
    if task in ("static", "dynamic"):
        return StaticMaps(source, split, subset, task=task, **options)
    return SparseSamples(source, split, subset, task=task, seed=seed, **options)  # type: ignore[arg-type]  # likewise


def with_fewer_scenes(
    split: SplitManifest, subset: str, count: int | None, fraction: float | None, seed: int
) -> SplitManifest:
    """Keep some scenes of a set, for studies of the size of the training set.

    The scenes are the first ones of an order drawn from the seed, so that smaller sets are parts
    of larger ones.

    Raises
    ------
    RecipeError
        More than there are, fewer than one, or both numbers are given.
    """
    if count is None and fraction is None:
        return split
    if count is not None and fraction is not None:
        raise RecipeError("give --train-scenes or --train-fraction, not both.")
    members = split.sets[subset]
    total = len(members.scenes)
    wanted = count if count is not None else max(1, round(total * (fraction or 0.0)))
    if not 1 <= wanted <= total or (fraction is not None and not 0 < fraction <= 1):
        raise RecipeError(
            f"{wanted} scenes of the {total} of {subset!r}.",
            remedy=f"Give --train-scenes from 1 to {total}, or --train-fraction above 0 up to 1.",
        )
    order = generator(seed, "size of the training set").permutation(total)[:wanted]
    kept = [members.scenes[k] for k in sorted(order.tolist())]
    fewer = SplitSet(
        scenes=kept,
        trajectories=members.trajectories,
        transmitters=members.transmitters,
        sequences=members.sequences // total * wanted,
    )
    fields = split.model_dump(exclude={"sets", "sha256"})
    return make_manifest({**split.sets, subset: fewer}, **fields)


class Epochs(Dataset[Any]):
    """A dataset over and over: sample ``e * len(data) + i`` is sample i of epoch e."""

    def __init__(self, data: MapDataset) -> None:
        self.data, self.size = data, len(data)
        self._now: tuple[int, MapDataset] | None = None

    def __len__(self) -> int:
        return self.size

    def __getitems__(self, numbers: list[int]) -> Rows:
        """Fetch a batch, all of one epoch."""
        epoch = numbers[0] // self.size
        if self._now is None or self._now[0] != epoch:
            self._now = epoch, self.data.at_epoch(epoch)
        return self._now[1].__getitems__([number % self.size for number in numbers])

    def __getitem__(self, number: int) -> Batch:
        return self.__getitems__([number])[0]


class Batches(Sampler[list[int]]):
    """Numbers of the samples of some batches, counted through the epochs.

    Parameters
    ----------
    samples
        Of the dataset.
    length
        Size of a batch and number of batches in an epoch.
    first, last
        The batches to give, the last one excluded.
    purpose
        Seed and what else the order depends on.
    rank, devices
        Which part of every batch.
    """

    def __init__(
        self,
        samples: int,
        length: Length,
        first: int,
        last: int,
        purpose: tuple[int, str],
        rank: int = 0,
        devices: int = 1,
    ) -> None:
        self.samples, self.length = samples, length
        self.first, self.last = first, last
        self.purpose, self.rank, self.devices = purpose, rank, devices

    def __len__(self) -> int:
        return self.last - self.first

    def __iter__(self) -> Iterator[list[int]]:
        for number in range(self.first, self.last):
            epoch, place = divmod(number, self.length.per_epoch)
            start = place * self.length.batch
            batch = order(self.samples, epoch, *self.purpose)[start : start + self.length.batch]
            yield (batch[self.rank :: self.devices] + epoch * self.samples).tolist()


@lru_cache(maxsize=2)
def order(samples: int, epoch: int, seed: int, purpose: str) -> IntArray:
    """The order of the samples in an epoch."""
    return generator(seed, "order of samples", purpose, epoch).permutation(samples)


def loader(
    data: Dataset[Any],
    batches: Sequence[list[int]] | Batches,
    *,
    workers: int = 0,
    pin: bool = False,
) -> DataLoader[Any]:
    """Load batches whose samples are given."""
    return DataLoader(
        data,
        batch_sampler=batches,
        collate_fn=collate,
        num_workers=workers,
        pin_memory=pin,
        worker_init_fn=_ignore_signals if workers else None,
    )


def in_order(
    samples: Sequence[int], batch: int, rank: int = 0, devices: int = 1
) -> list[list[int]]:
    """Cut samples into batches; each of several devices gets every so many-th batch."""
    cut = [list(samples[at : at + batch]) for at in range(0, len(samples), batch)]
    return cut[rank::devices]


def evenly(samples: int, count: int | None) -> list[int]:
    """At most so many samples, evenly spread."""
    if count is None or count >= samples:
        return list(range(samples))
    return [k * samples // count for k in range(count)]


def default_workers(device: str, samples: int, cores: int) -> int:
    """Processes to read with: none beside a model that needs the processor, or for little data."""
    return 0 if device == "cpu" or samples < 2000 else min(4, max(1, cores - 1))


def _ignore_signals(_: int) -> None:
    """The main process decides when to stop."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
