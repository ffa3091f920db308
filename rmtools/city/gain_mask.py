"""Which pixels of a gain map are buildings, and which are street too weak to be stored.

Grey 0 means both. Next to a building the street has any grey; next to a street that fades out it
has the lowest greys only, because from one pixel to the next a path loses little more than one
bend. The boundary between the two inside a zero region cannot be seen, so the shortest is taken:
the labels are the minimum cut (D. Greig, B. Porteous, A. Seheult, J. R. Stat. Soc. B 51, 1989).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from rmtools.errors import InputError
from rmtools.units import SEER_SCALE

if TYPE_CHECKING:
    from rmtools.types import BoolArray, ByteArray

FADE_LEVELS = 2.2 / SEER_SCALE.step_db
"""The smallest loss of one bend, 2.2 dB, in grey levels: by so much the loss may jump where a
shadow begins. Beside grey g a zero pixel is weak street with probability exp(-g / FADE_LEVELS)."""

_UNIT = 1000
"""Costs are whole numbers of thousandths; one unit is also what a pixel's length of boundary
between weak street and building costs, as much as a probability of 1/e."""


def building_mask_of_gain(grey: ByteArray) -> BoolArray:
    """Buildings of RadioMapSeer gain maps.

    A pixel that is above zero in any map is street, so several maps of one city settle most of
    the weak pixels; what is left is decided by the greys beside it. The north row and the east
    column are never inside a building there, because its polygons end on their pixel centres.

    Parameters
    ----------
    grey
        One map, shape (n, n), or several of the same city, shape (k, n, n); uint8.

    Returns
    -------
    BoolArray
        True inside buildings, shape (n, n).

    Raises
    ------
    InputError
        Another shape or type.

    Notes
    -----
    Of weak pixels enclosed by buildings most remain buildings; radio maps do not notice.
    """
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import breadth_first_order, maximum_flow

    grey = np.asarray(grey)
    if grey.ndim not in (2, 3) or grey.dtype != np.uint8 or 0 in grey.shape:
        raise InputError(
            f"gain maps of shape {grey.shape} and type {grey.dtype}.",
            where="building_mask_of_gain",
            remedy="Give one map of shape (n, n) or several of shape (k, n, n) as uint8.",
        )
    brightest = grey.max(axis=0) if grey.ndim == 3 else grey
    zero = brightest == 0
    zero[0] = zero[:, -1] = False
    count = int(zero.sum())
    if count == 0:
        return zero
    node = np.full(zero.shape, -1)
    node[zero] = np.arange(count)

    as_street, as_building = np.zeros(count), np.zeros(count)
    first, second = [], []
    for a, b in ((np.s_[:, :-1], np.s_[:, 1:]), (np.s_[:-1], np.s_[1:])):
        both = zero[a] & zero[b]
        first.append(node[a][both])
        second.append(node[b][both])
        for here, beside in ((a, b), (b, a)):
            edge = zero[here] & (brightest[beside] > 0)
            weak = brightest[beside][edge] / FADE_LEVELS  # -log of the probability
            np.add.at(as_street, node[here][edge], weak)
            np.add.at(as_building, node[here][edge], -np.log(-np.expm1(-weak)))

    source, sink, nodes = count, count + 1, np.arange(count)
    starts = [*first, *second, np.full(count, source), nodes]
    ends = [*second, *first, nodes, np.full(count, sink)]
    lengths = np.ones(2 * sum(len(part) for part in first))
    costs = np.concatenate([lengths, as_street, as_building])
    capacity = coo_array(
        (np.rint(_UNIT * costs).astype(np.int32), (np.concatenate(starts), np.concatenate(ends))),
        shape=(count + 2, count + 2),
    ).tocsr()
    residual = capacity - maximum_flow(capacity, source, sink).flow
    residual.eliminate_zeros()
    kept = breadth_first_order(residual, source, return_predecessors=False)
    mask = np.zeros_like(zero)
    mask[zero] = np.isin(nodes, kept)
    return mask
