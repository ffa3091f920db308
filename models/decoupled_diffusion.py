"""Decoupled diffusion: a map fades to zero while noise grows from zero.

Y. Huang et al., "Decoupled Diffusion Models: Simultaneous Image to Zero and Zero to Noise", 2024,
as RadioDiff uses it (its equations 13 to 16) with a constant drift. With data z_0, time t from 0
to 1 and normal noise e,

    z_t = z_0 + t C + sqrt(t) e,    C = -z_0,

so that z_1 is noise alone. A network tells C and e from z_t, and one step back from t to t - s is
(equation 16)

    z_(t-s) = z_t - s C - s / sqrt(t) e + sqrt(s (t - s) / t) n,    n normal.

The last step, s = t, has no noise and undoes the first equation.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor

FIRST_TIME = 1e-4
"""Training draws times from here to 1: log(t) is what the network sees."""


def diffuse(clean: Tensor, noise: Tensor, time: Tensor) -> Tensor:
    """Noisy data z_t (equation 13 with C = -z_0).

    Parameters
    ----------
    clean, noise
        z_0 and e, shape (B, ...).
    time
        t, shape (B,).
    """
    t = _beside(time, clean)
    return (1 - t) * clean + t.sqrt() * noise


def precondition(
    drift: Tensor, noise: Tensor, noisy: Tensor, time: Tensor, *, sign: int = -1
) -> tuple[Tensor, Tensor]:
    """Make the two outputs of a network estimates of C and e.

    C = sign (1 - t) z_t + t / sqrt(t^2 + 1) F_1,
    e = sqrt(t) z_t + sqrt(1 - t) / sqrt(t^2 + 1) F_2.

    At t = 1 the noise is known, it is z_1; with `sign` -1 the drift at t = 0 is, too: it is -z_0.
    The released code has +1, with which F_1 has to grow as 1 / t towards t = 0.

    Parameters
    ----------
    drift, noise
        F_1 and F_2, shape (B, ...).
    noisy, time
        z_t, and t of shape (B,).
    sign
        -1 or 1.
    """
    t = _beside(time, noisy)
    root = (t**2 + 1).sqrt()
    return (
        sign * (1 - t) * noisy + t / root * drift,
        t.sqrt() * noisy + (1 - t).sqrt() / root * noise,
    )


def loss_weights(time: Tensor) -> tuple[Tensor, Tensor]:
    """Weights of the squared errors of C and e at each time, as in the released code."""
    return 2 * torch.exp(1 - time), torch.exp(time.sqrt())


def sample(
    network: Callable[[Tensor, Tensor], tuple[Tensor, Tensor]],
    draw: Callable[[int], Tensor],
    steps: int,
) -> Tensor:
    """From noise to data in equal steps (equation 16).

    Parameters
    ----------
    network
        Estimates of C and e for z_t, shape (B, ...), and t, shape (B,).
    draw
        Normal numbers of shape (B, ...): z_1 for 0, those of step k for k up to `steps` - 1.
    steps
        How many.

    Returns
    -------
    Tensor
        z_0, shape (B, ...).
    """
    z = draw(0)
    for k in range(1, steps + 1):
        now, step = 1 - (k - 1) / steps, 1 / steps
        time = torch.full((len(z),), now, dtype=z.dtype, device=z.device)
        drift, noise = network(z, time)
        z = z - step * drift - step / now**0.5 * noise
        if k < steps:
            z = z + (step * (now - step) / now) ** 0.5 * draw(k)
    return z


def _beside(time: Tensor, data: Tensor) -> Tensor:
    """Times of shape (B,) as (B, 1, ...), to be multiplied with data."""
    return time.view(-1, *[1] * (data.ndim - 1))
