"""Refusing input that would give numbers without meaning."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from rmtools.errors import InputError

if TYPE_CHECKING:
    from typing import Literal

    from numpy.typing import ArrayLike, NDArray

    from rmtools.types import BoolArray, FloatArray

TOLERANCE = 1e-6
"""How far a truth may leave [0, 1]: rounding of a float32 that was scaled to it."""


def as_maps(
    pred: ArrayLike, truth: ArrayLike
) -> tuple[NDArray[Any], NDArray[Any], tuple[int, ...]]:
    """Both as (maps, rows, cols), and the shape in front of (rows, cols).

    A channel axis of length 1 in front of the rows is dropped.

    Raises
    ------
    InputError
        Not floats, or shapes that differ or are no maps.
    """
    arrays = []
    for values, name in ((pred, "predictions"), (truth, "truth")):
        array = np.asarray(values)
        if not np.issubdtype(array.dtype, np.floating):
            raise InputError(
                f"the {name} are of type {array.dtype}; differences of grey levels as integers "
                "wrap around.",
                remedy="Convert grey levels to floats in [0, 1] first: levels / 255.0.",
            )
        arrays.append(array)
    shape = arrays[1].shape
    if arrays[0].shape != shape:
        raise InputError(
            f"predictions have the shape {arrays[0].shape}, the truth has {shape}.",
            remedy="Give maps of equal shape in equal order.",
        )
    if len(shape) < 2 or 0 in shape[-2:]:
        raise InputError(
            f"an array of shape {shape} holds no maps.", remedy="Give the shape (..., rows, cols)."
        )
    leading = _without_channel(shape)[:-2]
    pred_maps, truth_maps = (array.reshape(-1, *shape[-2:]) for array in arrays)
    return pred_maps, truth_maps, leading


def as_masks(mask: ArrayLike, shape: tuple[int, ...], name: str) -> BoolArray:
    """Masks as (maps, rows, cols), one for each map.

    `shape` is that of the maps without channel.
    """
    array = np.asarray(mask)
    if array.dtype != np.bool_:
        raise InputError(
            f"the {name} is of type {array.dtype}, not bool.",
            remedy="Compare it first, such as levels > 127.",
        )
    if array.ndim > len(shape):
        array = array.reshape(_without_channel(array.shape))
    try:
        full = np.broadcast_to(array, shape)
    except ValueError as error:
        raise InputError(
            f"the {name} has the shape {array.shape}, the maps have {shape}.",
            remedy="Give one mask for each map, or one for all.",
        ) from error
    return full.reshape(-1, *shape[-2:])


def checked_map(values: NDArray[Any], what: Literal["prediction", "truth"]) -> FloatArray:
    """One map as contiguous float64, shape (rows, cols).

    Raises
    ------
    InputError
        A pixel is not finite, or a truth is outside [0, 1].
    """
    image = np.ascontiguousarray(values, np.float64)
    good = np.isfinite(image)
    if not good.all():
        raise InputError(
            f"the {what} has {np.count_nonzero(~good)} pixels that are not finite, the first at "
            f"{_first(~good)}.",
            remedy="Pixels without path loss are 0 in the image layouts; set them to 0 and leave "
            "them out by a mask if they shall not count.",
        )
    if what == "truth":
        outside = (image < -TOLERANCE) | (image > 1 + TOLERANCE)
        if outside.any():
            raise InputError(
                f"the truth has {np.count_nonzero(outside)} pixels outside [0, 1], the first at "
                f"{_first(outside)}: {image[outside][0]:g}.",
                remedy="Give grey levels divided by 255, not levels or dB.",
            )
        image = np.clip(image, 0.0, 1.0)
    return image


def _without_channel(shape: tuple[int, ...]) -> tuple[int, ...]:
    """A shape (..., 1, rows, cols) of four or more axes without the 1."""
    return (*shape[:-3], *shape[-2:]) if len(shape) >= 4 and shape[-3] == 1 else shape


def _first(bad: BoolArray) -> str:
    row, col = (int(k) for k in np.argwhere(bad)[0])
    return f"row {row}, col {col}"
