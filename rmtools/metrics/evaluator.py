"""The evaluator: maps in, in any order and any batches, the numbers of a protocol out."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from rmtools.errors import InputError
from rmtools.metrics.checks import as_maps, as_masks, checked_map
from rmtools.metrics.protocol import REFERENCE, ErrorMetric, Protocol, SsimMetric, load_protocol
from rmtools.metrics.ssim import SsimMap
from rmtools.metrics.sums import Mean, Totals

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from numpy.typing import ArrayLike

    from rmtools.types import BoolArray, FloatArray
    from rmtools.units import GreyScale

ALL = "all"
"""Name of the group that every map belongs to."""


@dataclass
class _Group:
    """What has been gathered of one group of maps or of pixels."""

    pooled: Totals = field(default_factory=Totals)
    means: dict[str, Mean] = field(default_factory=dict)
    images: int = 0


@dataclass
class _Batch:
    """A batch of the test set of which some maps have been seen."""

    seen: set[int] = field(default_factory=set)
    groups: dict[str, Totals] = field(default_factory=dict)


class Evaluator:
    """Computes the metrics of a protocol over any number of maps in constant memory.

    The result is the same to the last bit for any order of the maps, any batches they come in and
    any way they are shared among evaluators that are merged in the end. Sums over maps are exact;
    only within a map NumPy rounds.

    Parameters
    ----------
    protocol
        What to compute; the name of a protocol, a file, or a :class:`Protocol`.
    scale
        The grey scale of the maps. Without it metrics in dB are left out.

    Attributes
    ----------
    protocol, scale
        As given.
    clamped
        Number of predicted pixels outside [0, 1] so far.

    Examples
    --------
    >>> import numpy as np
    >>> from rmtools.metrics import Evaluator
    >>> truth = np.full((4, 1, 16, 16), 0.5)
    >>> evaluator = Evaluator()
    >>> evaluator.update(truth + 0.1, truth)
    >>> round(evaluator.compute()["nmse"], 6)
    0.04
    """

    def __init__(
        self, protocol: str | Path | Protocol = REFERENCE, *, scale: GreyScale | None = None
    ) -> None:
        self.protocol = protocol if isinstance(protocol, Protocol) else load_protocol(protocol)
        self.scale = scale
        self.clamped = 0
        self._groups: dict[str, _Group] = {ALL: _Group()}
        self._next = 0
        self._open: dict[int, _Batch] = {}
        self._closed = 0  # numbers of the batches that are complete, as bits
        self._ssims = {
            name: metric
            for name, metric in self.protocol.metrics.items()
            if isinstance(metric, SsimMetric)
        }
        self._per_image = self._errors("image")
        self._per_batch = self._errors("batch")

    def _errors(self, over: str) -> dict[str, ErrorMetric]:
        return {
            name: metric
            for name, metric in self.protocol.metrics.items()
            if isinstance(metric, ErrorMetric) and metric.over == over
        }

    # -- adding maps -------------------------------------------------------------------------

    def update(
        self,
        pred: ArrayLike,
        truth: ArrayLike,
        *,
        mask: ArrayLike | None = None,
        group: str | Sequence[str] | None = None,
        parts: Mapping[str, ArrayLike] | None = None,
        index: int | Sequence[int] | None = None,
    ) -> None:
        """Add maps.

        Parameters
        ----------
        pred, truth
            Floats, shape (..., rows, cols), such as one map, (batch, rows, cols),
            (batch, 1, rows, cols) or (batch, frame, 1, rows, cols); the truth in [0, 1] on the
            grey scale of the dataset, the prediction on the same scale.
        mask
            Pixels that count, bool, of the same shape or one for all maps; all by default.
        group
            Name of a group these maps belong to besides all: one name, or one for each map. For
            sequences one for each frame does: its shape must broadcast to (batch, frame).
        parts
            Named sets of pixels, each of a shape like `mask`: each is a group of its own, such as
            ``{"line of sight": los, "shadow": ~los}``.
        index
            Positions of the maps in the test set: that of the first, the others following, or all
            of them. By default the maps continue the last ones. It matters only for protocols
            with metrics over batches.

        Raises
        ------
        InputError
            Integers, other shapes, numbers that are not finite, a truth outside [0, 1], or a
            position that was there before. Maps before the bad one have been added.
        """
        pred, truth, leading = as_maps(pred, truth)
        shape = (*leading, *truth.shape[-2:])
        counts = None if mask is None else as_masks(mask, shape, "mask")
        pieces = {
            name: as_masks(piece, shape, f"part {name!r}") for name, piece in (parts or {}).items()
        }
        groups = _labels(group, leading, len(truth))
        positions = self._positions(index, len(truth))
        for k, position in enumerate(positions):
            chosen = [(ALL, None if counts is None else counts[k])]
            if groups is not None:
                chosen.append((groups[k], chosen[0][1]))
            for name, piece in pieces.items():
                chosen.append((name, piece[k] if counts is None else piece[k] & counts[k]))
            self._add(
                checked_map(pred[k], "prediction"), checked_map(truth[k], "truth"), position, chosen
            )

    def _positions(self, index: int | Sequence[int] | None, count: int) -> list[int]:
        if index is None or isinstance(index, int | np.integer):
            first = self._next if index is None else int(index)
            positions = list(range(first, first + count))
        else:
            positions = [int(position) for position in index]
        if len(positions) != count or min(positions, default=0) < 0:
            raise InputError(
                f"{len(positions)} positions, the smallest {min(positions, default=0)}, for "
                f"{count} maps.",
                remedy="Give one position of 0 or more for each map, or that of the first.",
            )
        self._next = max(positions, default=self._next - 1) + 1
        return positions

    def _add(
        self,
        pred: FloatArray,
        truth: FloatArray,
        position: int,
        chosen: Sequence[tuple[str, BoolArray | None]],
    ) -> None:
        """Add one map to the groups in `chosen`, with the pixels that count there."""
        batch = self._batch(position) if self._per_batch else None
        self.clamped += int(np.count_nonzero((pred < 0) | (pred > 1)))
        pred, truth = self.protocol.prepare(pred, truth)
        ssims = {name: SsimMap(pred, truth, metric) for name, metric in self._ssims.items()}
        for name, mask in chosen:
            if mask is not None and not mask.any():
                continue
            totals = Totals.of(*((pred, truth) if mask is None else (pred[mask], truth[mask])))
            group = self._groups.setdefault(name, _Group())
            group.images += 1
            group.pooled.include(totals)
            for key, metric in self._per_image.items():
                _mean(group, key).add(_value(metric, totals))
            for key, ssim in ssims.items():
                mean = ssim.mean(mask)
                if not np.isnan(mean):
                    _mean(group, key).add(mean)
            if batch is not None:
                batch.groups.setdefault(name, Totals()).include(totals)
        if batch is not None:
            self._close(position // (self.protocol.batch_size or 1))

    # -- batches -----------------------------------------------------------------------------

    def _batch(self, position: int) -> _Batch:
        """The batch of a position, which must be new."""
        number, place = divmod(position, self.protocol.batch_size or 1)
        batch = self._open.setdefault(number, _Batch())
        if self._closed >> number & 1 or place in batch.seen:
            raise _twice(position)
        batch.seen.add(place)
        return batch

    def _close(self, number: int) -> None:
        """Turn a complete batch into numbers."""
        if len(self._open[number].seen) == self.protocol.batch_size:
            _finish(self._open.pop(number), self._per_batch, self._groups)
            self._closed |= 1 << number

    # -- merging -----------------------------------------------------------------------------

    def merge(self, other: Evaluator) -> None:
        """Add everything that another evaluator of the same protocol has seen.

        Raises
        ------
        InputError
            Another protocol or scale, or, with metrics over batches, maps that both have seen.
        """
        if (other.protocol, other.scale) != (self.protocol, self.scale):
            raise InputError(
                f"results by the protocols {self.protocol.name!r} and {other.protocol.name!r}, or "
                "of different scales, cannot be added.",
                remedy="Merge evaluators that were made alike.",
            )
        both = self._closed & (other._closed | _bits(other._open))
        both |= other._closed & _bits(self._open)
        if both:
            raise _twice(((both & -both).bit_length() - 1) * (self.protocol.batch_size or 1))
        for number in self._open.keys() & other._open.keys():
            if shared := self._open[number].seen & other._open[number].seen:
                raise _twice(number * (self.protocol.batch_size or 1) + min(shared))
        self._closed |= other._closed
        self._next = max(self._next, other._next)
        self.clamped += other.clamped
        for name, theirs in other._groups.items():
            ours = self._groups.setdefault(name, _Group())
            ours.images += theirs.images
            ours.pooled.include(theirs.pooled)
            for key, mean in theirs.means.items():
                _mean(ours, key).include(mean)
        for number, their_batch in other._open.items():
            batch = self._open.setdefault(number, _Batch())
            batch.seen |= their_batch.seen
            for name, totals in their_batch.groups.items():
                batch.groups.setdefault(name, Totals()).include(totals)
            self._close(number)

    # -- results -----------------------------------------------------------------------------

    @property
    def groups(self) -> list[str]:
        """Names of the groups so far, in order of appearance; :data:`ALL` is the first."""
        return list(self._groups)

    def images(self, group: str = ALL) -> int:
        """Number of maps with pixels in a group."""
        return self._groups[group].images

    def pixels(self, group: str = ALL) -> int:
        """Number of pixels in a group."""
        return self._groups[group].pooled.pixels

    def compute(self, group: str = ALL) -> dict[str, float]:
        """The metrics so far, by the names that the protocol gives them.

        A last batch that is not full counts with the maps it has. NaN without any map; infinite
        PSNR without error.

        Raises
        ------
        KeyError
            No map of such a group was seen.
        """
        found = self._groups[group]
        over_batches = _Group()
        over_batches.means = {
            key: Mean(type(mean.sum)(mean.sum.units), mean.weight, mean.infinite)
            for key, mean in found.means.items()
            if key in self._per_batch
        }
        for batch in self._open.values():
            own = {name: totals for name, totals in batch.groups.items() if name == group}
            _finish(_Batch(groups=own), self._per_batch, {group: over_batches})
        values = {}
        for name, metric in self.protocol.metrics.items():
            if isinstance(metric, SsimMetric):
                values[name] = _mean(found, name).value()
                continue
            factor = self._factor(metric)
            if factor is None:
                continue
            if metric.over == "all":
                value = _value(metric, found.pooled)
            else:
                source = over_batches if metric.over == "batch" else found
                value = _mean(source, name).value(skip_infinite=metric.infinite == "skip")
            values[name] = factor * value
        return values

    def _factor(self, metric: ErrorMetric) -> float | None:
        """From [0, 1] to the metric's unit; None for dB without a scale."""
        shrunk = 1.0 - (self.protocol.threshold or 0.0)
        if metric.unit == "grey":
            return 255.0 * shrunk
        if metric.unit == "dB":
            return None if self.scale is None else self.scale.span_db * shrunk
        return 1.0


def _mean(group: _Group, key: str) -> Mean:
    return group.means.setdefault(key, Mean())


def _finish(batch: _Batch, metrics: Mapping[str, ErrorMetric], groups: dict[str, _Group]) -> None:
    """Add a batch's values to the means of its groups."""
    for name, totals in batch.groups.items():
        for key, metric in metrics.items():
            _mean(groups[name], key).add(_value(metric, totals), totals.images)


def _value(metric: ErrorMetric, totals: Totals) -> float:
    """A metric in [0, 1] or dB of PSNR, from the totals of some maps."""
    if metric.quantity == "psnr":
        return totals.psnr(peak_of_truth=metric.peak == "truth")
    value: float = getattr(totals, metric.quantity)()
    return value


def _labels(
    group: str | Sequence[str] | None, leading: tuple[int, ...], count: int
) -> list[str] | None:
    """One group name for each map."""
    if group is None:
        return None
    try:
        labels = np.broadcast_to(np.asarray(group, object), leading or (1,)).reshape(count)
    except ValueError as error:
        raise InputError(
            f"group names of shape {np.shape(group)} do not fit maps of leading shape {leading}.",
            remedy="Give one name, one for each map, or one for each frame.",
        ) from error
    return [str(label) for label in labels]


def _bits(numbers: Mapping[int, object]) -> int:
    return sum(1 << number for number in numbers)


def _twice(position: int) -> InputError:
    return InputError(
        f"the map at position {position} of the test set was seen twice.",
        remedy="Give every evaluator the positions (index) of its maps in the whole test set.",
    )
