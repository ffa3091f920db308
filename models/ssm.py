"""Selective state spaces: the scan, and the Mamba layer around it.

A. Gu, T. Dao, "Mamba: Linear-Time Sequence Modeling with Selective State Spaces", arXiv 2312.00752.

The recurrence, for every channel d and state n (algorithm 2 and section 3.2 of the paper, with the
input matrix discretised as in its code, by delta B instead of the zero-order hold):

    h_t = exp(delta_t A) h_t-1 + delta_t B_t u_t,    y_t = sum_n C_t h_t + D u_t

It is computed in one of three ways, all the same to rounding: ``"torch"``, here, for any device and
precision; ``"compiled"`` (:mod:`.scan_cpu`), for float32 on processors, several times as fast;
``"mamba_ssm"``, the authors' CUDA code, if their package is installed. The state is float32 at
least, whatever the input or autocast.
"""

from __future__ import annotations

import functools
import importlib
import importlib.util
import math
from typing import TYPE_CHECKING, Any, Literal

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn import functional as F

from rmtools.errors import MissingError, RecipeError

if TYPE_CHECKING:
    from collections.abc import Callable

Way = Literal["torch", "compiled", "mamba_ssm"]


def choose_way(x: Tensor) -> Way:
    """How :func:`selective_scan` is computed for inputs like `x` unless it is told."""
    if x.is_cuda and importlib.util.find_spec("mamba_ssm") is not None:
        return "mamba_ssm"
    fits = x.device.type == "cpu" and x.dtype in (torch.float32, torch.bfloat16, torch.float16)
    return "compiled" if fits else "torch"


def selective_scan(  # noqa: PLR0913 - those of mamba_ssm
    u: Tensor,
    delta: Tensor,
    a: Tensor,
    b: Tensor,
    c: Tensor,
    d: Tensor | None = None,
    *,
    z: Tensor | None = None,
    delta_bias: Tensor | None = None,
    delta_softplus: bool = False,
    way: Way | None = None,
    chunk: int | None = None,
) -> Tensor:
    """Run the recurrence above over a sequence.

    Parameters
    ----------
    u
        Input, shape (B, D, L).
    delta
        Step sizes, shape (B, D, L).
    a
        Rates, shape (D, N); below 0 in Mamba.
    b, c
        Into and out of the state, shape (B, N, L).
    d
        Past the state, shape (D,).
    z
        Gate, shape (B, D, L): the result is multiplied with SiLU(z).
    delta_bias, delta_softplus
        Added to `delta`, shape (D,); whether softplus follows.
    way
        Instead of that of :func:`choose_way`.
    chunk
        Steps of a chunk of the way ``"torch"``, which changes memory and time only.

    Returns
    -------
    Tensor
        Shape (B, D, L), type of `u`.

    Raises
    ------
    RecipeError
        This way is not for this device or precision.
    MissingError
        mamba_ssm was asked for, but cannot be imported.
    """
    way = way or choose_way(u)
    if way == "mamba_ssm":
        scan = _cuda_kernel()
        if not u.is_cuda:
            raise RecipeError(f"mamba_ssm scans on CUDA only, not on {u.device}.", remedy=_REMEDY)
        steps, gate = delta.to(u.dtype), None if z is None else z.to(u.dtype)
        into, out = b.to(u.dtype), c.to(u.dtype)
        skip, bias = (None if x is None else x.float() for x in (d, delta_bias))
        return scan(u, steps, a.float(), into, out, skip, gate, bias, delta_softplus)

    kind = torch.promote_types(u.dtype, torch.float32)
    with torch.autocast(u.device.type, enabled=False):
        x, delta, a, b, c = (tensor.to(kind) for tensor in (u, delta, a, b, c))
        if delta_bias is not None:
            delta = delta + delta_bias.to(kind)[:, None]
        if delta_softplus:
            delta = F.softplus(delta)
        if way == "compiled":
            if kind != torch.float32 or u.device.type != "cpu":
                raise RecipeError(
                    f"the compiled scan is for float32 on processors, not for {kind} on "
                    f"{u.device}.",
                    remedy=_REMEDY,
                )
            y = _scan_compiled(x, delta, a, b, c)
        else:
            plain: Callable[..., Tensor] = PlainScan.apply
            y = plain(x, delta, a, b, c, chunk)
        if d is not None:
            y = y + d.to(kind)[:, None] * x
        if z is not None:
            y = y * F.silu(z.to(kind))
        return y.to(u.dtype)


_REMEDY = "Choose the way 'torch', or none."


@functools.cache
def _cuda_kernel() -> Callable[..., Tensor]:
    try:
        module = importlib.import_module("mamba_ssm.ops.selective_scan_interface")
    except ImportError as error:
        raise MissingError(
            f"mamba_ssm cannot be imported: {error}.",
            remedy=f"Install it with: pip install 'rmtools[mamba]'. {_REMEDY}",
        ) from error
    return module.selective_scan_fn


@torch.compiler.disable  # type: ignore[untyped-decorator]  # torch does not type it
def _scan_compiled(u: Tensor, delta: Tensor, a: Tensor, b: Tensor, c: Tensor) -> Tensor:
    from .scan_cpu import CompiledScan

    u, delta, a = (tensor.contiguous() for tensor in (u, delta, a))
    b, c = (tensor.transpose(1, 2).contiguous() for tensor in (b, c))
    compiled: Callable[..., Tensor] = CompiledScan.apply
    return compiled(u, delta, a, b, c)


class PlainScan(torch.autograd.Function):
    """The scan in plain torch without its optional parts: (u, delta, a, b, c, chunk) to y.

    It goes through the sequence in chunks, keeps the state before each, and computes the others
    again on the way back: memory is for the states of one chunk, not of the sequence.
    """

    @staticmethod
    def forward(
        ctx: Any, u: Tensor, delta: Tensor, a: Tensor, b: Tensor, c: Tensor, chunk: int | None
    ) -> Tensor:
        """Scan, keeping the inputs and one state for each chunk."""
        h = u.new_zeros(u.shape[0], *a.shape)
        chunk = chunk or _chunk_steps(h, u.shape[-1])
        parts, kept = [], []
        for u_, delta_, b_, c_ in _chunks(chunk, u, delta, b, c):
            kept.append(h)
            decay = torch.exp(delta_[..., None] * a)
            states = linear_scan(decay, (delta_ * u_)[..., None] * b_[:, :, None], h)
            parts.append(_sum_last(states, c_))
            h = states[-1].clone()
        ctx.save_for_backward(u, delta, a, b, c, *kept)
        ctx.chunk = chunk
        return torch.cat(parts).permute(1, 2, 0)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gy: Tensor) -> tuple[Tensor | None, ...]:
        """Scan the gradients from the last step to the first; equations in :mod:`.scan_cpu`."""
        u, delta, a, b, c, *kept = ctx.saved_tensors
        ga, carry = torch.zeros_like(a), torch.zeros_like(kept[0])
        parts = []
        for (u_, delta_, b_, c_, gy_), h in zip(
            reversed(_chunks(ctx.chunk, u, delta, b, c, gy)), reversed(kept), strict=True
        ):
            decay = torch.exp(delta_[..., None] * a)
            inflow = delta_ * u_
            states = linear_scan(decay.clone(), inflow[..., None] * b_[:, :, None], h)
            gc = _sum_last(states.transpose(-1, -2), gy_)
            before = torch.cat([h[None], states[:-1]])
            later = torch.cat([torch.ones_like(decay[:1]), decay[1:].flip(0)])
            g = linear_scan(later, (gy_[..., None] * c_[:, :, None]).flip(0), carry).flip(0)
            carry = decay[0] * g[0]
            by_inflow = _sum_last(g, b_)
            by_exponent = before.mul_(decay).mul_(g)
            gdelta = by_inflow * u_ + (by_exponent * a).sum(-1)
            gb = _sum_last(g.transpose(-1, -2), inflow)
            ga += (by_exponent * delta_[..., None]).sum((0, 1))
            parts.append((by_inflow * delta_, gdelta, gb, gc))
        gu, gdelta, gb, gc = (torch.cat(g[::-1]).permute(1, 2, 0) for g in zip(*parts, strict=True))
        return gu, gdelta, ga, gb, gc, None


def linear_scan(decay: Tensor, inflow: Tensor, h: Tensor, *, block: int | None = None) -> Tensor:
    """All states h_t = decay_t h_t-1 + inflow_t.

    The steps are split into blocks, which run side by side from a state of 0; then each gets what
    is left of the state before it. So there are 2 sqrt(T) operations in a row instead of T, and
    no number is larger than those of the recurrence.

    Parameters
    ----------
    decay, inflow
        Shape (T, ...); both are overwritten.
    h
        State before, shape (...).
    block
        Steps of a block; by default all of them on a processor, where it is the amount of work
        that costs, not the number of operations, and sqrt(T) elsewhere.

    Returns
    -------
    Tensor
        Shape (T, ...).
    """
    steps = len(inflow)
    if block is None:
        block = steps if inflow.device.type == "cpu" else math.isqrt(steps)
    inflow[0].addcmul_(decay[0], h)
    done = 1
    if 1 < block < steps:
        done = steps // block * block
        x, left = (t[:done].view(-1, block, *h.shape) for t in (inflow, decay))
        for k in range(1, block):
            x[:, k].addcmul_(left[:, k], x[:, k - 1])
            left[:, k].mul_(left[:, k - 1])
        for s in range(1, len(x)):
            x[s, -1].addcmul_(left[s, -1], x[s - 1, -1])
        x[1:, :-1].addcmul_(left[1:, :-1], x[:-1, -1:])
    for t in range(done, steps):
        inflow[t].addcmul_(decay[t], inflow[t - 1])
    return inflow


def _sum_last(states: Tensor, by: Tensor) -> Tensor:
    """(T, B, X, Y) and (T, B, Y) to (T, B, X)."""
    return torch.matmul(states, by[..., None])[..., 0]


def _chunk_steps(h: Tensor, length: int) -> int:
    """Steps of a chunk: what fits a processor's cache, elsewhere about 100 MB of states.

    But at least the root of the length, so that neither kept states nor those of a chunk are many.
    """
    cells = 2**18 if h.device.type == "cpu" else 2**25
    return max(cells // max(1, h.numel()), math.isqrt(length), 1)


def _chunks(steps: int, *tensors: Tensor) -> list[tuple[Tensor, ...]]:
    """From (B, X, L) chunks of (T, B, X)."""
    parts = (torch.split(tensor.permute(2, 0, 1).contiguous(), steps) for tensor in tensors)
    return list(zip(*parts, strict=True))


class Mamba(nn.Module):
    """The Mamba layer (figure 3 of the paper), with the parameters of ``mamba_ssm.Mamba``.

    A sequence is projected to a gate and, `expand` times as wide, to what goes through a causal
    convolution, SiLU and the selective scan; the gated result is projected back. Weights saved
    from ``mamba_ssm.Mamba`` can be loaded.

    Parameters
    ----------
    d_model
        Width.
    d_state, d_conv, expand
        States of a channel, taps of the convolution, channels by width.
    both_ways
        Whether the same weights also go through the reversed sequence. The result is that of
        ``layer(x) + layer(x.flip(1)).flip(1)``, but projections are made once.
    way
        See :func:`selective_scan`.
    """

    def __init__(
        self,
        d_model: int,
        d_state: int = 16,
        d_conv: int = 4,
        expand: int = 2,
        *,
        both_ways: bool = False,
        way: Way | None = None,
    ) -> None:
        super().__init__()
        inner, rank = expand * d_model, math.ceil(d_model / 16)
        self.sizes, self.both_ways, self.way = (rank, d_state, d_state), both_ways, way
        self.in_proj = nn.Linear(d_model, 2 * inner, bias=False)
        self.conv1d = nn.Conv1d(inner, inner, d_conv, groups=inner, padding=d_conv - 1)
        self.x_proj = nn.Linear(inner, rank + 2 * d_state, bias=False)
        self.dt_proj = nn.Linear(rank, inner)
        self.A_log = nn.Parameter(torch.arange(1.0, d_state + 1).log().repeat(inner, 1))
        self.D = nn.Parameter(torch.ones(inner))
        self.out_proj = nn.Linear(inner, d_model, bias=False)
        # Steps start between 0.001 and 0.1, equally likely on a logarithmic scale (section 3.6).
        nn.init.uniform_(self.dt_proj.weight, -(rank**-0.5), rank**-0.5)
        steps = torch.empty(inner).uniform_(math.log(1e-3), math.log(0.1)).exp()
        with torch.no_grad():
            self.dt_proj.bias.copy_(steps + torch.log(-torch.expm1(-steps)))

    def forward(self, x: Tensor) -> Tensor:
        """From (B, L, d_model) to the same."""
        inner, gate = self.in_proj(x).transpose(1, 2).chunk(2, 1)
        if self.both_ways:
            forth, back = self.mix(torch.cat([inner, inner.flip(-1)])).chunk(2)
            y = forth + back.flip(-1)
        else:
            y = self.mix(inner)
        return self.out_proj((y * F.silu(gate)).transpose(1, 2))

    def mix(self, x: Tensor) -> Tensor:
        """Convolution and scan, (B, inner, L) to the same; the only steps that mix positions."""
        x = F.silu(self.conv1d(x)[..., : x.shape[-1]])
        delta, b, c = self.x_proj(x.transpose(1, 2)).split(self.sizes, -1)
        delta = F.linear(delta, self.dt_proj.weight).transpose(1, 2)
        return selective_scan(
            x,
            delta,
            -torch.exp(self.A_log),
            b.transpose(1, 2),
            c.transpose(1, 2),
            self.D,
            delta_bias=self.dt_proj.bias,
            delta_softplus=True,
            way=self.way,
        )
