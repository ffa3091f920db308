"""RadioDUN: iterations of a sparse recovery, unfolded into a network.

T. Chen, Z. Zhou, Z. Fang, W. Zou, K. Liu, K. Chen, Y. Zhang, Y. Wang, "RadioDUN: A
Physics-Inspired Deep Unfolding Network for Radio Map Estimation". The map is a sum of factors
(eq. 4), one of distance, one of buildings, one of vehicles. Inputs: samples y (an image in the
first place, from which they are read), distance (eq. 8), buildings, vehicles.

Initialisation: s_i = Conv2(y, s_0 ... s_i-1, P_i ... P_m) (eq. 9), X = Conv1x1(s) (eq. 10). The
vehicles are scaled by the largest sample of the map. Then K blocks, each of

- gradient descent, factor by factor: s_i - beta PhiT (Phi x - y) (eq. 11 and 13), convolutions,
  soft threshold (eq. 12), convolutions;
- dynamic reweighting: feature v of all factors, gated by v', which CBAM and convolutions make of
  the previous block's v: v sigmoid(D1 v') + D2 v' (eq. 14 to 16), soft threshold, convolutions;
- proximal mapping: a U-Net with channel attention, :mod:`.proximal` (eq. 17 and 18).

Loss (eq. 21 to 24): mean squared error plus the shadowing loss, whose shadowing map is a 1 x 1
convolution of the last block's obstacle factors.

Parameters, three factors, 9 samples, 256 pixels, K = 3: 15,026,774. The paper's 14.43 M is
14,436,950, without PhiT (65,536 x 9, one for all blocks); ``paper_count`` gives it. By part:
2,318 for initialisation and shadowing; in each block 14,836 (gradient descent), 10,058
(reweighting; 4,949 in the first block, which has no previous one) and 4,788,353 (proximal
mapping). Without vehicles 15,010,875. The released module counts 16,721,342; ours lacks what is
never used there: in each block a fourth gradient head (4,945) and a projection and a feed-forward
behind every attention (558,208), in the first one the previous feature's branch (5,109).

PhiT is learned, one column for each sample, so that a model is for maps of one `size` and for one
number of `samples`. These are taken row by row; a sample's column has no relation to its place.

Where paper and released code disagree, or are silent:

- The paper says that the steps are learned; they are a constant 0.5 in the code and here, as
  PhiT, which they are multiplied with, is learned anyway. Ours are buffers: moved and saved with
  the model, which the code forgets. The thresholds, 0.01 at first, are learned.
- The code adds the gradient, we subtract it as the paper does: PhiT absorbs the sign. PhiT is 0
  at first, for random columns would paint noise on every map.
- As printed, Phi is applied to the sum of the factors, so that the outcome of all blocks but the
  last would be used nowhere, while the counts include them. So x is the previous block's map,
  plus what the factors before this one have changed.
- CBAM's channel gate sees mean and maximum through the same layers, added behind them as in its
  own paper (eq. 14 adds them before). There is one hidden unit; it is a leaky one, as half of all
  seeds would give a dead ReLU.
- Initial weights of the convolutions keep the variance, see :func:`.proximal.convolutions`; what
  the code starts from is not known to us.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, ClassVar, Literal, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from rmtools.errors import RecipeError
from rmtools.layouts.conventions import Convention

from .interface import Phase, RadioModel, Turn, count_parameters
from .proximal import SLOPE, ProximalMapping, convolutions
from .recipe import Optimiser, Recipe, Schedule

if TYPE_CHECKING:
    from rmtools.layouts.conventions import Task

    from .interface import Batch, Losses

FEATURES = 16
"""Channels of everything but the proximal mapping."""

WITHOUT_VEHICLES = Convention(
    ("samples", "distance", "buildings"), samples=(9, 9), source="this project, after RadioDUN"
)


def soft(x: Tensor, threshold: Tensor) -> Tensor:
    """Soft threshold (eq. 12)."""
    return x.sign() * (x.abs() - threshold).clamp(min=0.0)


def shadowing_loss(target: Tensor, output: Tensor, shadowing: Tensor) -> Tensor:
    """Eq. 21, averaged over the batch; all of shape (B, 1, n, n).

    The variance of the shadowing map, and the square of what is left of the error when that map
    without its mean is added to it.
    """
    centred = shadowing - shadowing.mean((1, 2, 3), keepdim=True)
    return centred.square().mean() + (target - output + centred).square().mean()


class Sampling(NamedTuple):
    """What was measured, and how.

    Attributes
    ----------
    places
        Flat indices of the sampled pixels, (B, S): Phi.
    phi_t
        What leads back to the map, (n * n, S): PhiT.
    y
        The samples, (B, S).
    """

    places: Tensor
    phi_t: Tensor
    y: Tensor

    def take(self, x: Tensor) -> Tensor:
        """Phi x, (B, S), of x (B, 1, n, n)."""
        return x.flatten(1).gather(1, self.places)


class Initialisation(nn.Module):
    """First factors and first map, eq. 9 and 10.

    Parameters
    ----------
    factors
        How many.
    """

    def __init__(self, factors: int) -> None:
        super().__init__()
        self.convert = nn.ModuleList(
            nn.Sequential(
                nn.Conv2d(1 + factors, FEATURES, 3, padding=1),
                nn.BatchNorm2d(FEATURES),
                nn.LeakyReLU(SLOPE),
                nn.Conv2d(FEATURES, 1, 3, padding=1),
                nn.BatchNorm2d(1),
                nn.LeakyReLU(SLOPE),
            )
            for _ in range(factors)
        )
        self.combine = nn.Conv2d(factors, 1, 1, bias=False)

    def forward(self, samples: Tensor, inputs: list[Tensor]) -> tuple[list[Tensor], Tensor]:
        """From images (B, 1, n, n) of samples and of each factor's input to factors and map."""
        factors = list(inputs)
        for i, convert in enumerate(self.convert):
            factors[i] = convert(torch.cat([samples, *factors], 1))
        return factors, self.combine(torch.cat(factors, 1))


class GradientDescent(nn.Module):
    """Moves the factors, one after the other, towards the samples, eq. 11 to 13.

    Parameters
    ----------
    factors
        How many.
    """

    steps: Tensor

    def __init__(self, factors: int) -> None:
        super().__init__()
        self.register_buffer("steps", torch.full((factors,), 0.5))
        self.threshold = nn.Parameter(torch.tensor(0.01))
        self.before, self.behind = nn.ModuleList(), nn.ModuleList()
        for _ in range(factors):
            self.before.append(convolutions(1, FEATURES, FEATURES))
            self.behind.append(convolutions(FEATURES, FEATURES, 1))

    def forward(self, factors: list[Tensor], x: Tensor, sampling: Sampling) -> list[Tensor]:
        """From factors and map, each (B, 1, n, n), to the new factors."""
        residual = sampling.take(x) - sampling.y
        moved = []
        for i, factor in enumerate(factors):
            gradient = F.linear(residual, sampling.phi_t).view_as(factor)
            before = self.before[i](factor - self.steps[i] * gradient)
            after = self.behind[i](soft(before, self.threshold))
            residual = residual + sampling.take(after - factor)
            moved.append(after)
        return moved


class CBAM(nn.Module):
    """Gates channels, then pixels, by their means and maxima; eq. 14 and 15.

    S. Woo, J. Park, J.-Y. Lee, I. S. Kweon, "CBAM: Convolutional Block Attention Module", 2018.

    Parameters
    ----------
    width
        Channels.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.channels = nn.Sequential(nn.Linear(width, 1), nn.LeakyReLU(SLOPE), nn.Linear(1, width))
        self.pixels = nn.Sequential(
            nn.Conv2d(2, 1, 7, padding=3, bias=False), nn.BatchNorm2d(1), nn.Sigmoid()
        )

    def forward(self, x: Tensor) -> Tensor:
        """From (B, width, n, n) to the same shape."""
        gate = self.channels(x.mean((2, 3))) + self.channels(x.amax((2, 3)))
        x = x * gate.sigmoid()[:, :, None, None]
        return x * self.pixels(torch.cat([x.mean(1, keepdim=True), x.amax(1, keepdim=True)], 1))


class Reweighting(nn.Module):
    """A rough map of the factors, weighted by what the previous block saw in them, eq. 16.

    Parameters
    ----------
    factors
        How many.
    first
        Whether there is no previous block.
    """

    def __init__(self, factors: int, *, first: bool) -> None:
        super().__init__()
        self.feature = nn.Sequential(
            nn.Conv2d(factors, 1, 1, bias=False), convolutions(1, FEATURES, FEATURES)
        )
        if not first:
            self.refine = nn.Sequential(CBAM(FEATURES), convolutions(FEATURES, FEATURES, FEATURES))
            self.scale, self.shift = (
                nn.Conv2d(FEATURES, FEATURES, 3, padding=1, groups=FEATURES) for _ in range(2)
            )
        self.threshold = nn.Parameter(torch.tensor(0.01))
        self.last = convolutions(FEATURES, FEATURES, 1)

    def forward(self, factors: Tensor, previous: Tensor | None) -> tuple[Tensor, Tensor]:
        """From (B, factors, n, n) and the previous feature to rough map and feature."""
        feature = gated = self.feature(factors)
        if previous is not None:
            refined = self.refine(previous)
            gated = feature * self.scale(refined).sigmoid() + self.shift(refined)
        return self.last(soft(gated, self.threshold)), feature


class Block(nn.Module):
    """One iteration: gradient descent, reweighting, proximal mapping.

    Parameters
    ----------
    factors
        How many.
    first
        Whether there is no previous block.
    drm
        Whether factors are reweighted; a 1 x 1 convolution is there otherwise.
    """

    def __init__(self, factors: int, *, first: bool, drm: bool) -> None:
        super().__init__()
        self.descent = GradientDescent(factors)
        self.reweighting = (
            Reweighting(factors, first=first) if drm else nn.Conv2d(factors, 1, 1, bias=False)
        )
        self.proximal = ProximalMapping()

    def forward(
        self, factors: list[Tensor], x: Tensor, feature: Tensor | None, sampling: Sampling
    ) -> tuple[list[Tensor], Tensor, Tensor | None]:
        """Give the next factors, map and feature."""
        factors = self.descent(factors, x, sampling)
        together = torch.cat(factors, 1)
        if isinstance(self.reweighting, Reweighting):
            rough, feature = self.reweighting(together, feature)
        else:
            rough = self.reweighting(together)
        return factors, self.proximal(rough), feature


class RadioDUN(RadioModel):
    """RadioDUN.

    Parameters
    ----------
    task
        ``sparse-dynamic`` as published, with three factors; ``sparse`` without vehicles.
    blocks
        K, the number of iterations.
    samples
        How many of each map; the loaders follow.
    drm
        Whether factors are reweighted dynamically; a 1 x 1 convolution mixes them otherwise.
    shadowing_loss
        Whether the loss has its shadowing term, and the model a shadowing map.
    known_transmitter
        Whether distance is from the transmitter; it is from pixel (0, 0) otherwise.
    size
        Pixels of a side of the maps, a multiple of 16.
    target
        See :class:`~rmtools.models.interface.RadioModel`.

    Raises
    ------
    RecipeError
        An option is out of its range; in use: a batch has another size or number of samples.
    """

    title = "RadioDUN"
    source = "Chen, Zhou, Fang, Zou, Liu, Chen, Zhang, Wang, arXiv 2506.08418"
    conventions: ClassVar = {"sparse": WITHOUT_VEHICLES, "sparse-dynamic": "radiodun"}
    _adamw = Optimiser("adamw", 1e-3, betas=(0.9, 0.95), weight_decay=1e-4)
    recipes: ClassVar = {
        "paper": (Recipe(_adamw, Schedule("cosine", factor=0.0), batch=16, epochs=100),),
        "quick": (Recipe(_adamw, Schedule("cosine", factor=0.02), batch=4, steps=400, clip=1.0),),
    }
    ablations: ClassVar = {
        "no DRM, no SL": {"drm": False, "shadowing_loss": False},
        "no DRM": {"drm": False},
        "no SL": {"shadowing_loss": False},
        "K = 2": {"blocks": 2},
        "K = 4": {"blocks": 4},
        "K = 5": {"blocks": 5},
    }

    def __init__(
        self,
        task: Task = "sparse-dynamic",
        *,
        blocks: int = 3,
        samples: int = 9,
        drm: bool = True,
        shadowing_loss: bool = True,
        known_transmitter: bool = True,
        size: int = 256,
        target: Literal["grey", "paper"] = "grey",
    ) -> None:
        super().__init__(task, target=target)
        if blocks < 1 or samples < 1 or size < 16 or size % 16:
            raise RecipeError(
                f"RadioDUN of {blocks} blocks for {samples} samples of maps of {size} pixels.",
                remedy="Blocks and samples are at least 1, the size is a multiple of 16.",
            )
        self.convention = replace(
            self.convention, samples=(samples, samples), known_transmitter=known_transmitter
        )
        self.samples, self.size = samples, size
        factors = len(self.convention.channels) - 1
        self.phi_t = nn.Parameter(torch.zeros(size * size, samples))
        self.initialisation = Initialisation(factors)
        self.blocks = nn.ModuleList(
            Block(factors, first=first, drm=drm) for first in [True] + [False] * (blocks - 1)
        )
        self.shadowing = nn.Conv2d(factors - 1, 1, 1, bias=False) if shadowing_loss else None

    @property
    def paper_count(self) -> int:
        """Parameters as the paper counts them: all but PhiT."""
        return count_parameters(self) - self.phi_t.numel()

    def places(self, mask: Tensor) -> Tensor:
        """Find the sampled pixels, row by row: flat indices (B, S) from bool (B, 1, n, n)."""
        if mask.shape[-2:] != (self.size, self.size):
            raise RecipeError(
                f"maps of {mask.shape[-2]} x {mask.shape[-1]} pixels for a RadioDUN of size "
                f"{self.size}.",
                remedy=f"PhiT has a row for each pixel: build the model with size={mask.shape[-1]}"
                ", or give it maps of its size.",
            )
        flat = mask.flatten(1)
        counts = flat.sum(1)
        if bool((counts != self.samples).any()):
            raise RecipeError(
                f"maps with {int(counts.min())} to {int(counts.max())} samples for a RadioDUN of "
                f"{self.samples}.",
                remedy="PhiT has a column for each sample: build the model with samples= as many, "
                f"or have the loader draw samples={self.samples}.",
            )
        return flat.nonzero()[:, 1].view(-1, self.samples)

    def forward(self, x: Tensor, places: Tensor) -> tuple[Tensor, Tensor | None]:
        """From the input (B, C, n, n) and places (B, S) to map and shadowing map, (B, 1, n, n)."""
        image, *inputs = (x[:, i : i + 1] for i in range(x.shape[1]))
        if "vehicles" in self.convention.channels:
            inputs[-1] = inputs[-1] * image.amax((1, 2, 3), keepdim=True)
        sampling = Sampling(places, self.phi_t, image.flatten(1).gather(1, places))
        factors, result = self.initialisation(image, inputs)
        feature = None
        for block in self.blocks:
            factors, result, feature = block(factors, result, feature, sampling)
        if self.shadowing is None:
            return result, None
        return result, self.shadowing(torch.cat(factors[1:], 1))

    def predict(self, batch: Batch) -> Tensor:
        """See :meth:`~rmtools.models.interface.RadioModel.predict`."""
        return self(batch["input"], self.places(batch["mask"]))[0]

    def losses(self, batch: Batch) -> Losses:
        """Mean squared error and shadowing loss, both weighted by 1 (eq. 24)."""
        target = batch["target"]
        output, shadowing = self(batch["input"], self.places(batch["mask"]))
        losses = {"mse": F.mse_loss(output, target)}
        if shadowing is not None:
            losses["shadowing"] = shadowing_loss(target, output, shadowing)
        return {"loss": torch.stack(list(losses.values())).sum(), **losses}

    def phases(self) -> tuple[Phase, ...]:
        """One phase; weights are chosen by the mean squared error alone."""
        return (Phase("unfolded", (Turn("unfolded", self.parameters(), self.losses),)),)
