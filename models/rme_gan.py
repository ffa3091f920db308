"""RME-GAN: RadioUNet's first U as the generator of a conditional GAN, trained in two phases.

S. Zhang, A. Wijesinghe, Z. Ding, "RME-GAN: A Learning Framework for Radio Map Estimation Based on
Conditional Generative Adversarial Network", IEEE Internet of Things Journal 10(20), 2023; released
code achinthaw/RME-GAN.

Inputs of the generator: buildings, transmitter, samples, vehicles last. The channel ``fit`` of the
convention, c - 10 theta log10 d through the samples, goes into a loss only. The tasks without
samples are those of RadioDiff's comparison, where RME-GAN "gets environment inputs only"; they have
no such channel and leave out its loss. The discriminator sees the map and two constant planes that
encode one and the same label for true and generated maps, so that they tell nothing.

Parameters: 16,040,883 (sparse) = generator 13,275,315 + discriminator 2,765,568. As in the released
code the generator is RadioUNet with both of its Us, of which the second (2,353,331) is neither used
nor trained; here it is not even run, and ``unused=False`` leaves it out.

Losses of the generator, in weights of the released code: at first 10 adversarial + MSE + 10 TV +
10 (1 - cosine similarity of the gradients, in four directions, of the fitted map and the output);
later adversarial + 100 MSE + 0.001 TV + 84 MS-SSIM-L1 + L1 of the power spectra. TV itself has a
weight of 1e-7, which makes it next to nothing. MSE, TV and spectra are taken on the scale of the
released code, where maps end at 256, whatever the scale of the target is, so that the weights mean
what they meant; MS-SSIM-L1 and the discriminator see maps from 0 to 1.

Errors of the released code that are not repeated: true maps are labelled 0 like generated ones;
the discriminator ends with a sigmoid before a loss that has one of its own; the power spectra
are cut to whole numbers and detached, so that their loss has no gradient.

Not done: the L1 of superpixel means in the later phase, which needs a segmentation of each map that
neither paper nor code make reproducible. Not known: how long each phase lasts; both get the 50
epochs. The learning rate, nominally 1e-3, is divided by 10 at epochs 0 and 25, hence 1e-4 and 1e-5.
"""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from typing import TYPE_CHECKING, ClassVar, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from rmtools.errors import RecipeError

from .interface import Phase, RadioModel, Turn
from .radiounet import first_u, second_u
from .recipe import Optimiser, Recipe, Schedule

if TYPE_CHECKING:
    from collections.abc import Callable

    from rmtools.layouts.conventions import Task

    from .interface import Batch, Losses

SCALE = 256.0
"""What the released code multiplies maps by."""
SIGMAS = (0.5, 1.0, 2.0, 4.0, 8.0)
"""Standard deviations of the Gaussians of MS-SSIM-L1, in pixels."""


class Discriminator(nn.Module):
    """Five convolutions; a number for each patch of 94 x 94 pixels, one at 64 x 64."""

    def __init__(self) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        widths = (3, 64, 128, 256, 512)
        for inputs, outputs in pairwise(widths):
            layers.append(nn.Conv2d(inputs, outputs, 4, 2, padding=1, bias=False))
            if inputs > 3:
                layers.append(nn.BatchNorm2d(outputs))
            layers.append(nn.LeakyReLU(0.2))
        self.layers = nn.Sequential(*layers, nn.Conv2d(512, 1, 4, bias=False))

    def forward(self, maps: Tensor) -> Tensor:
        """From (B, 1, n, n), n at least 64, to logits (B, 1, m, m) with m = n / 16 - 3."""
        label = torch.ones_like(maps)
        return self.layers(torch.cat([maps, label, torch.zeros_like(maps)], 1))


class RMEGAN(RadioModel):
    """RME-GAN.

    Parameters
    ----------
    task
        ``sparse`` and ``sparse-dynamic``, or ``static`` and ``dynamic`` for the comparison without
        samples.
    samples
        Samples of a map, at random places; 655 (1 % of 256 x 256) in the first set-up of the
        released code.
    unused
        Whether to have RadioUNet's second U as well, which does nothing but count.
    target
        See :class:`~rmtools.models.interface.RadioModel`.
    """

    title = "RME-GAN"
    source = "Zhang, Wijesinghe, Ding, IEEE IoT Journal 2023"
    conventions: ClassVar = {
        **dict.fromkeys(("static", "dynamic"), "radiounet"),
        **dict.fromkeys(("sparse", "sparse-dynamic"), "rme-gan"),
    }
    _paper = Recipe(
        Optimiser("adam", 1e-4), Schedule("step", factor=0.1, every=25), batch=15, epochs=50
    )
    _quick = Recipe(Optimiser("adam", 3e-4), Schedule("cosine", factor=0.02), batch=8, steps=700)
    recipes: ClassVar = {"paper": (_paper, _paper), "quick": (_quick, _quick)}

    def __init__(
        self,
        task: Task = "sparse",
        *,
        samples: int | None = None,
        unused: bool = True,
        target: Literal["grey", "paper"] = "grey",
    ) -> None:
        super().__init__(task, target=target)
        if samples is not None:
            if self.convention.samples is None:
                raise RecipeError(
                    f"the task {task} has no samples.", remedy="Choose sparse or sparse-dynamic."
                )
            self.convention = replace(self.convention, samples=(samples, samples))
        names = self.convention.channels
        self.seen = [number for number, name in enumerate(names) if name != "fit"]
        self.fit_channel = names.index("fit") if "fit" in names else None
        self.generator = first_u(len(self.seen))
        self.unused = (
            second_u(len(self.seen)).requires_grad_(requires_grad=False) if unused else None
        )
        self.discriminator = Discriminator()

    def forward(self, x: Tensor) -> Tensor:
        """From (B, C, n, n) to (B, 1, n, n); n is a multiple of 64."""
        return self.generator(x[:, self.seen])

    def predict(self, batch: Batch) -> Tensor:
        """See :meth:`~rmtools.models.interface.RadioModel.predict`."""
        return self(batch["input"])

    def phases(self) -> tuple[Phase, ...]:
        """Twice discriminator and generator in turns, with other losses of the generator."""

        def phase(name: str, losses: Callable[[Batch], Losses]) -> Phase:
            critic = Turn("discriminator", self.discriminator.parameters(), self.critic_losses)
            return Phase(name, (critic, Turn("generator", self.generator.parameters(), losses)))

        return phase("first", self.first_losses), phase("later", self.later_losses)

    def critic_losses(self, batch: Batch) -> Losses:
        """How badly the discriminator tells true maps (1) from generated ones (0)."""
        with torch.no_grad():
            made = self(batch["input"])
        true, false = self._judged(batch["target"]), self._judged(made)
        right = F.binary_cross_entropy_with_logits(true, torch.ones_like(true))
        wrong = F.binary_cross_entropy_with_logits(false, torch.zeros_like(false))
        return {"loss": right + wrong}

    def first_losses(self, batch: Batch) -> Losses:
        """The generator's in the first phase."""
        made = self(batch["input"])
        losses = self._common(made, batch["target"])
        loss = 10 * losses["adversarial"] + losses["mse"] + 10 * losses["tv"]
        if self.fit_channel is not None:
            fit = batch["input"][:, self.fit_channel, None]
            losses["gradient"] = 1 - directional_cosine(made, fit)
            loss = loss + 10 * losses["gradient"]
        return {**losses, "loss": loss}

    def later_losses(self, batch: Batch) -> Losses:
        """The generator's in the later phase."""
        made, target = self(batch["input"]), batch["target"]
        losses = self._common(made, target)
        unit, factor = SCALE / self.convention.grey.factor, self.convention.grey.factor
        losses["ms-ssim-l1"] = ms_ssim_l1(made / factor, target / factor)
        losses["spectrum"] = power_spectrum_l1(unit * made, unit * target)
        weights = {"adversarial": 1, "mse": 100, "tv": 0.001, "ms-ssim-l1": 84, "spectrum": 1}
        loss = torch.stack([weight * losses[name] for name, weight in weights.items()]).sum()
        return {**losses, "loss": loss}

    def _common(self, made: Tensor, target: Tensor) -> Losses:
        unit = SCALE / self.convention.grey.factor
        judged = self._judged(made)
        return {
            "adversarial": F.binary_cross_entropy_with_logits(judged, torch.ones_like(judged)),
            "mse": F.mse_loss(unit * made.float(), unit * target),
            "tv": 1e-7 * total_variation(unit * made),
        }

    def _judged(self, maps: Tensor) -> Tensor:
        return self.discriminator(maps / self.convention.grey.factor).float()


def total_variation(maps: Tensor) -> Tensor:
    """Mean squared difference of neighbours, below each other plus beside each other, twice.

    Maps (B, 1, n, n); a scalar.
    """
    down, right = maps.float().diff(dim=2), maps.float().diff(dim=3)
    return 2 * (down.square().mean() + right.square().mean())


def directional_cosine(one: Tensor, other: Tensor) -> Tensor:
    """Cosine similarity of the gradients to the right, down, and down on both diagonals.

    Each direction by itself over all inner pixels of a map, then the mean over directions and
    maps. Maps (B, 1, n, n); a scalar, 1 for equal gradients up to a positive factor.
    """
    n = one.shape[-1]
    parts = []
    for down, right in ((0, 1), (1, 0), (1, 1), (1, -1)):
        moved = slice(1 + down, n - 1 + down), slice(1 + right, n - 1 + right)
        first, second = (
            (maps[:, :, *moved] - maps[:, :, 1:-1, 1:-1]).float().flatten(1)
            for maps in (one, other)
        )
        parts.append(F.cosine_similarity(first, second))
    return torch.stack(parts).mean()


def power_spectrum_l1(one: Tensor, other: Tensor) -> Tensor:
    """Mean absolute difference of the power spectra, whose mean is that of the squared map.

    Maps (B, 1, n, n); a scalar. With a gradient, unlike in the released code.
    """
    first, second = (torch.fft.fft2(maps.float(), norm="ortho") for maps in (one, other))
    powers = [spectrum.real.square() + spectrum.imag.square() for spectrum in (first, second)]
    return (powers[0] - powers[1]).abs().mean()


def ms_ssim_l1(one: Tensor, other: Tensor) -> Tensor:
    """The mixed loss of Zhao, Gallo, Frosio, Kautz (IEEE TCI 2017).

    ``0.84 (1 - MS-SSIM) + 0.16 G * |one - other|`` with MS-SSIM the luminance of the widest
    Gaussian times contrast and structure of all five, pixel by pixel, and G the widest Gaussian.
    Maps (B, 1, n, n) from 0 to 1, continued by zeros; a scalar.
    """
    one, other = one.float(), other.float()
    with torch.autocast(one.device.type, enabled=False):
        mean1, mean2 = _blurred(one), _blurred(other)
        var1, var2 = _blurred(one**2) - mean1**2, _blurred(other**2) - mean2**2
        covariance = _blurred(one * other) - mean1 * mean2
        contrast = (2 * covariance + 0.03**2) / (var1 + var2 + 0.03**2)
        light = (2 * mean1 * mean2 + 0.01**2) / (mean1**2 + mean2**2 + 0.01**2)
        similarity = light[:, -1] * contrast.prod(1)
        return (0.84 * (1 - similarity) + 0.16 * _blurred((one - other).abs())[:, -1]).mean()


def _blurred(maps: Tensor) -> Tensor:
    """By each Gaussian: from (B, 1, n, n) to (B, 5, n, n)."""
    far = torch.arange(-16, 17, device=maps.device)
    bell = torch.stack([torch.exp(-0.5 * (far / sigma) ** 2) for sigma in SIGMAS])
    bell = bell / bell.sum(1, keepdim=True)
    rows = F.conv2d(maps, bell[:, None, :, None], padding=(16, 0))
    return F.conv2d(rows, bell[:, None, None, :], padding=(0, 16), groups=len(SIGMAS))
