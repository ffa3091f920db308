"""From 8-bit planes to the float tensors of a convention, on whatever device they are."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import torch
from torch.utils.data import get_worker_info

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

    from rmtools.layouts.conventions import Channel, Convention, GreyTransform

Batch = dict[str, Any]
"""Tensors by name; ``meta`` is a dict of tensors itself."""

PLANES: tuple[Channel, ...] = ("buildings", "transmitter", "vehicles")
"""Channels that are read; all others are computed."""


def planes_of(convention: Convention) -> list[Channel]:
    """The 8-bit planes that the channels of a convention are made of."""
    used = {"buildings+10tx": ("buildings", "transmitter")}
    needed = [plane for name in convention.channels for plane in used.get(name, (name,))]
    return [plane for plane in PLANES if plane in needed]


def empty(shape: Sequence[int], dtype: torch.dtype, device: torch.device | str = "cpu") -> Tensor:
    """A tensor to be filled; in a worker of a DataLoader where the main process can see it.

    The worker would otherwise copy it there afterwards, which takes longer than filling it.
    """
    if get_worker_info() is None or torch.device(device).type != "cpu":
        return torch.empty(shape, dtype=dtype, device=device)
    # as torch's own default_collate does; there is no public way
    size = math.prod(shape) * dtype.itemsize
    storage = torch.UntypedStorage._new_shared(size)  # type: ignore[no-untyped-call]  # noqa: SLF001
    return torch.tensor([], dtype=dtype).set_(storage).view(torch.Size(shape))


def scale_grey(levels: Tensor, grey: GreyTransform) -> Tensor:
    """Grey levels as float32 by a convention's transform; a new tensor of the same shape."""
    values = empty(levels.shape, torch.float32, levels.device)
    values.copy_(levels).div_(grey.divisor)
    if grey.threshold:
        values.clamp_(min=grey.threshold).sub_(grey.threshold).div_(1.0 - grey.threshold)
    if grey.factor != 1.0:
        values.mul_(grey.factor)
    return values.add_(grey.offset) if grey.offset else values


def to_reference(values: Tensor, grey: GreyTransform) -> Tensor:
    """Undo a convention's transform of grey levels: back to level / 255, without threshold.

    Parameters
    ----------
    values
        Numbers as a model sees and predicts them.
    grey
        The transform.

    Returns
    -------
    Tensor
        float32, same shape. What lies below a threshold cannot be known and is the threshold;
        otherwise a prediction is not clamped here.
    """
    unit = (values.to(torch.float32) - grey.offset) / grey.factor
    if grey.threshold:
        unit = unit.clamp(min=0.0) * (1.0 - grey.threshold) + grey.threshold
    return unit * (grey.divisor / 255.0)


def move(batch: Batch, device: torch.device) -> Batch:
    """A batch on a device."""
    return {
        key: move(value, device) if isinstance(value, dict) else value.to(device)
        for key, value in batch.items()
    }


def build_maps(raw: Batch, convention: Convention) -> Batch:
    """Input and target of construction and estimation from what a dataset read.

    Parameters
    ----------
    raw
        ``planes`` uint8 (B, P, n, n) with masks 0 or 1, in the order of :func:`planes_of`;
        ``target`` uint8 (B, 1, n, n) of grey levels; ``meta``; for the sparse tasks ``mask`` bool
        (B, 1, n, n). All on one device.
    convention
        What the model wants.

    Returns
    -------
    dict
        ``input`` float32 (B, C, n, n), ``target`` float32 (B, 1, n, n); ``meta`` and ``mask`` as
        they were.
    """
    target = scale_grey(raw["target"], convention.grey)
    shape = (len(target), len(convention.channels), *target.shape[2:])
    made = empty(shape, torch.float32, target.device)
    planes = dict(zip(planes_of(convention), raw["planes"].unbind(1), strict=True))
    for number, name in enumerate(convention.channels):
        made[:, number] = _channel(name, planes, target, raw, convention)
    return {**{k: v for k, v in raw.items() if k != "planes"}, "input": made, "target": target}


def build_windows(raw: Batch, context: int, convention: Convention) -> Batch:
    """Context and horizon from windows of frames, uint8 (B, T, 1, n, n)."""
    frames = scale_grey(raw["frames"], convention.grey)
    return {"input": frames[:, :context], "target": frames[:, context:], "meta": raw["meta"]}


def _channel(
    name: Channel,
    planes: dict[Channel, Tensor],
    target: Tensor,
    raw: Batch,
    convention: Convention,
) -> Tensor:
    """One input channel, shape (B, n, n)."""
    if name in planes:
        plane = planes[name].to(torch.float32)
        high = convention.high * convention.mask_factor
        if high != 1.0:
            plane.mul_(high)
        return plane.add_(convention.mask_offset) if convention.mask_offset else plane
    if name == "buildings+10tx":
        both = planes["buildings"].to(torch.float32)
        return both.add_(planes["transmitter"], alpha=10.0).mul_(convention.high)
    if name == "distance":
        return distance_map(raw["meta"], target.shape[-1], known=convention.known_transmitter)
    mask = raw["mask"][:, 0]
    if name == "mask":
        return mask.to(torch.float32)
    samples = target[:, 0] * mask
    return samples if name == "samples" else fitted_map(samples, raw["meta"])


def _pixels_from(row: Tensor, col: Tensor, n: int) -> Tensor:
    """Distance of every pixel to one of its map, in pixels, float64, shape (B, n, n)."""
    axis = torch.arange(n, dtype=torch.float64, device=row.device)
    across = (axis[None, :] - col[:, None]) ** 2
    return ((axis[None, :] - row[:, None]) ** 2)[:, :, None].add(across[:, None, :]).sqrt_()


def distance_map(meta: Batch, n: int, *, known: bool = True) -> Tensor:
    """RadioDUN's distance channel: ``1 - minmax(log10(1 + d))``, float32, shape (B, n, n).

    With ``known=False`` d is measured from pixel (0, 0), the paper's "transmitter unknown".
    """
    row, col = meta["tx_row"], meta["tx_col"]
    if not known:
        row, col = torch.zeros_like(row), torch.zeros_like(col)
    far = _pixels_from(row, col, n).add_(1.0).log10_()
    low, high = far.amin((1, 2), keepdim=True), far.amax((1, 2), keepdim=True)
    return (1.0 - (far - low) / (high - low)).to(torch.float32)


def fitted_map(samples: Tensor, meta: Batch) -> Tensor:
    """RME-GAN's fourth channel: ``c - 10 theta log10(d)`` fitted to the samples, (B, n, n).

    As in the released code a sample of value 0 (below the threshold) is left out. The
    transmitter's own pixel counts as one pixel away, where the code takes log10(1e-30). Maps with
    fewer than two different distances get their samples' mean.
    """
    x = _pixels_from(meta["tx_row"], meta["tx_col"], samples.shape[-1]).clamp_(min=1.0).log10_()
    y, weight = samples.to(torch.float64), (samples != 0).to(torch.float64)
    count = weight.sum((1, 2), keepdim=True).clamp_(min=1.0)
    mean_x = (weight * x).sum((1, 2), keepdim=True) / count
    mean_y = (weight * y).sum((1, 2), keepdim=True) / count
    spread = (weight * (x - mean_x) ** 2).sum((1, 2), keepdim=True)
    slope = (weight * (x - mean_x) * (y - mean_y)).sum((1, 2), keepdim=True)
    slope = torch.where(spread > 0, slope / spread.clamp(min=1e-12), torch.zeros_like(slope))
    return (mean_y + slope * (x - mean_x)).to(torch.float32)
