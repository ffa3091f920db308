"""Denoising diffusion in discrete steps: schedule, adding noise, sampling.

With steps t = 0 ... T - 1, variances beta_t rising linearly, abar_t = prod(1 - beta_s, s <= t)::

    x_t = sqrt(abar_t) x_0 + sqrt(1 - abar_t) eps,    eps ~ N(0, 1)

- DDPM: J. Ho, A. Jain, P. Abbeel, "Denoising Diffusion Probabilistic Models", NeurIPS 2020,
  eq. 4 (adding noise), 6 and 7 (one step back, with the smaller of its two variances).
- DDIM: J. Song, C. Meng, S. Ermon, "Denoising Diffusion Implicit Models", ICLR 2021, eq. 12 and 16.
- DPM-Solver++ (2M): C. Lu et al., "DPM-Solver++: Fast Solver for Guided Sampling of Diffusion
  Probabilistic Models", 2022, algorithm 2, with a last step of first order.
"""

from __future__ import annotations

import math
from itertools import accumulate, pairwise
from operator import mul
from typing import TYPE_CHECKING, Literal

import torch
from torch import Tensor, nn

from rmtools.errors import RecipeError

if TYPE_CHECKING:
    from collections.abc import Callable

Sampler = Literal["ddim", "ddpm", "dpm-solver"]


STEPS = 1000


class Diffusion(nn.Module):
    """A diffusion with the linear schedule: beta from 1e-4 to 0.02 in 1,000 steps.

    Attributes
    ----------
    factors
        Of signal and noise, for each t; `signal` and `noise` are the same as tensors.
    """

    signal: Tensor
    noise: Tensor

    def __init__(self) -> None:
        super().__init__()
        beta = (1e-4 + (0.02 - 1e-4) * t / (STEPS - 1) for t in range(STEPS))
        alpha_bar = accumulate((1 - b for b in beta), mul)
        self.factors = [(math.sqrt(bar), math.sqrt(1 - bar)) for bar in alpha_bar]
        signal, noise = torch.tensor(self.factors).T
        self.register_buffer("signal", signal, persistent=False)
        self.register_buffer("noise", noise, persistent=False)

    def add_noise(self, clean: Tensor, t: Tensor, eps: Tensor) -> Tensor:
        """x_t of x_0, t and eps; shapes (B, ...), (B,), (B, ...)."""
        shape = (-1, *(1,) * (clean.dim() - 1))
        return self.signal[t].view(shape) * clean + self.noise[t].view(shape) * eps

    def sample(
        self,
        predict_noise: Callable[[Tensor, Tensor], Tensor],
        start: Tensor,
        *,
        steps: int = 50,
        first: int = STEPS - 1,
        sampler: Sampler = "ddim",
        draw: Callable[[int], Tensor] | None = None,
        limits: tuple[float, float] = (-math.inf, math.inf),
    ) -> Tensor:
        """Go from noise, or a noisy map, to x_0.

        Parameters
        ----------
        predict_noise
            The network: eps from x_t and t, shapes (B, ...) and (B,).
        start
            Normal random numbers, or x_t for the t of `first`; float32, shape (B, ...).
        steps
            How many of the steps are taken, see :func:`times`.
        first
            The step to begin with.
        sampler
            ``"ddim"`` and ``"dpm-solver"`` are deterministic, ``"ddpm"`` is not.
        draw
            For DDPM: normal random numbers of the step of that number.
        limits
            Every estimate of x_0 is clamped to this.

        Returns
        -------
        Tensor
            float32, the shape of `start`.

        Raises
        ------
        RecipeError
            More steps than there are, or none; DDPM without `draw`.
        """
        if (sampler == "ddpm") != (draw is not None):
            raise RecipeError("random numbers are for DDPM.", remedy="Pass draw for it alone.")

        def estimate(x: Tensor, t: int) -> Tensor:
            a, s = self.factors[t]
            eps = predict_noise(x, torch.full((len(x),), t, device=x.device)).float()
            return ((x - s * eps) / a).clamp(*limits)

        x, path = start, times(steps, first)
        before: tuple[float, Tensor] | None = None  # of the step before: its length, its estimate
        for number, (t, after) in enumerate(pairwise(path)):
            clean = estimate(x, t)
            a, s = self.factors[t]
            a_after, s_after = self.factors[after]
            if sampler == "dpm-solver":
                length = math.log(a_after / s_after) - math.log(a / s)
                ahead = clean
                if before is not None and after != path[-1]:
                    ahead = clean + 0.5 * length / before[0] * (clean - before[1])
                before = (length, clean)
                x = s_after / s * x - a_after * math.expm1(-length) * ahead
            else:
                spread = s_after / s * math.sqrt(1 - (a / a_after) ** 2) if draw else 0.0
                x = a_after * clean + math.sqrt(s_after**2 - spread**2) * (x - a * clean) / s
                if draw:
                    x = x + spread * draw(number)
        return estimate(x, path[-1])


def times(steps: int, first: int = STEPS - 1) -> list[int]:
    """Steps a sampler takes, evenly spread from `first` down to 0.

    Raises
    ------
    RecipeError
        More than there are, or none.
    """
    if not 1 <= steps <= first + 1:
        raise RecipeError(f"{steps} steps of sampling.", remedy=f"Take 1 to {first + 1}.")
    stride = first / max(steps - 1, 1)
    return [first - round(k * stride) for k in range(steps)]
