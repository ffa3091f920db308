"""What the Helmholtz equation asks of a radio map: RMDM's physics loss.

For the field u of a wave Laplacian(u) + k^2 u = 0 away from sources. RMDM asks this of grey
levels, with one pixel as the unit of length. A path loss in dB is no field, and the wavenumber at
5.9 GHz is 124 per metre; so this is a smoothing that knows buildings rather than physics.

The paper's residual also subtracts a source f (eq. 3; by eq. 1 it had to be added), which the
released code does not have; nor do we.
"""

from __future__ import annotations

import torch
from torch import Tensor

OUTSIDE, INSIDE = 0.2, 1.0  # k


def laplacian(u: Tensor) -> Tensor:
    """Second differences at the interior pixels (eq. 2), from (B, 1, n, n) to (B, 1, n-2, n-2)."""
    across = u[..., 1:-1, 2:] + u[..., 1:-1, :-2]
    along = u[..., 2:, 1:-1] + u[..., :-2, 1:-1]
    return across + along - 4 * u[..., 1:-1, 1:-1]


def physics_losses(u: Tensor, buildings: Tensor, transmitter: Tensor) -> dict[str, Tensor]:
    """The three parts of the loss (eq. 4 to 6), all at 1 if nothing else is said.

    Parameters
    ----------
    u
        Maps, shape (B, 1, n, n).
    buildings, transmitter
        bool, shape (B, 1, n, n).

    Returns
    -------
    dict
        ``pde``: mean square of Laplacian(u) + k^2 u over interior pixels, k = 0.2 outside and 1
        inside buildings; ``bc``: mean square of u inside buildings; ``source``: mean square of
        u - 1 at the transmitters. A mean over no pixels is 0.
    """
    u = u.float()
    k = torch.where(buildings, INSIDE, OUTSIDE)[..., 1:-1, 1:-1]
    residual = laplacian(u) + k**2 * u[..., 1:-1, 1:-1]
    return {
        "pde": residual.square().mean(),
        "bc": _mean_over(buildings, u.square()),
        "source": _mean_over(transmitter, (u - 1).square()),
    }


def roughness(u: Tensor) -> Tensor:
    """Mean square of the differences between neighbours, a scalar."""
    u = u.float()
    return u.diff(dim=-1).square().mean() + u.diff(dim=-2).square().mean()


def _mean_over(mask: Tensor, value: Tensor) -> Tensor:
    return (value * mask).sum() / mask.sum().clamp(min=1)
