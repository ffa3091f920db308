"""RMDM's first U-Net, the "highway", and the anchors it gives the second one.

The U-Net is nnU-Net's generic one: F. Isensee et al., "nnU-Net: a self-configuring method for deep
learning-based biomedical image segmentation", Nature Methods 18, 2021. Two times (convolution 3x3,
instance norm, leaky ReLU) at each size, max-pooling down, bilinear up, at most 480 channels. Its
way up narrows before each doubling.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

MOST = 480


class Highway(nn.Module):
    """A U-Net that gives its features on the way up and an estimate of the map.

    Parameters
    ----------
    inputs
        Channels of the input.
    base
        Channels at full size, doubled with every pooling, at most 480.
    poolings
        How many times the size is halved.
    embedding
        Channels of a 1x1 convolution at the bottom whose output nothing uses, 0 for none; only
        for the count of parameters of the released model. It is not trained.

    Attributes
    ----------
    widths
        Channels of the features, coarse to fine.
    """

    def __init__(
        self, inputs: int, *, base: int = 32, poolings: int = 5, embedding: int = 0
    ) -> None:
        super().__init__()
        levels = [min(base * 2**level, MOST) for level in range(poolings + 1)]
        *skips, bottom = levels
        self.down = nn.ModuleList(
            convolutions(before, width, width)
            for before, width in zip([inputs, *skips], skips, strict=False)
        )
        self.bottom = convolutions(skips[-1], bottom, skips[-1])
        self.widths = [*skips[-2::-1], skips[0]]
        self.up = nn.ModuleList(
            convolutions(2 * skip, skip, after)
            for skip, after in zip(reversed(skips), self.widths, strict=True)
        )
        self.last = nn.Conv2d(self.widths[-1], 1, 1, bias=False)
        if embedding:
            self.embedding = nn.Conv2d(skips[-1], embedding, 1).requires_grad_(requires_grad=False)

    def forward(self, x: Tensor) -> tuple[list[Tensor], Tensor]:
        """From (B, inputs, n, n) to features, coarse to fine, and an estimate (B, 1, n, n).

        n is a multiple of 2**poolings, and not 2**poolings itself.
        """
        skips = []
        hidden = x
        for step in self.down:
            hidden = step(hidden)
            skips.append(hidden)
            hidden = F.max_pool2d(hidden, 2)
        hidden = self.bottom(hidden)
        features = []
        for step in self.up:
            hidden = F.interpolate(hidden, scale_factor=2.0, mode="bilinear")
            hidden = step(torch.cat([hidden, skips.pop()], 1))
            features.append(hidden)
        return features, self.last(hidden)


class Anchors(nn.Module):
    """The features as one factor for each pixel: averaged, sigmoid (the paper's eq. 9).

    The released code cuts the gradient, so that the second U-Net does not train the first.

    Parameters
    ----------
    widths
        Channels of the features.
    frequency
        Whether each passes :class:`FrequencyAttention` first.
    """

    def __init__(self, widths: list[int], *, frequency: bool = False) -> None:
        super().__init__()
        self.attention = nn.ModuleList(
            FrequencyAttention(width) if frequency else nn.Identity() for width in widths
        )

    def forward(self, features: list[Tensor]) -> Tensor:
        """From (B, C_l, n_l, n_l), the last of full size, to (B, 1, n, n)."""
        size = features[-1].shape[-2:]
        means = [
            F.interpolate(attend(each.detach()).mean(1, keepdim=True), size, mode="bilinear")
            for attend, each in zip(self.attention, features, strict=True)
        ]
        return torch.stack(means).mean(0).sigmoid()


class FrequencyAttention(nn.Module):
    """Attention of features to themselves by way of their spectrum (RF-SA, the paper's eq. 12).

    The paper has alpha(FFT(F)) F, with alpha "a non-linear activation". Here alpha is two 1x1
    convolutions over real and imaginary parts of all channels with a SiLU between them, the way
    back to pixels, and a sigmoid. This reading is ours.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.alpha = nn.Sequential(
            nn.Conv2d(2 * channels, 2 * channels, 1),
            nn.SiLU(),
            nn.Conv2d(2 * channels, 2 * channels, 1),
        )

    def forward(self, x: Tensor) -> Tensor:
        """From (B, C, n, n) to the same."""
        with torch.autocast(x.device.type, enabled=False):  # there is no FFT in half precision
            spectrum = torch.fft.rfft2(x.float(), norm="ortho")
            parts = self.alpha(torch.cat([spectrum.real, spectrum.imag], 1))
            mixed = torch.complex(*parts.chunk(2, 1))
            return torch.fft.irfft2(mixed, s=x.shape[-2:], norm="ortho").sigmoid() * x


def convolutions(inputs: int, between: int, outputs: int) -> nn.Sequential:
    """Two times convolution, norm and leaky ReLU."""
    layers: list[nn.Module] = []
    for before, after in ((inputs, between), (between, outputs)):
        conv = nn.Conv2d(before, after, 3, padding=1)
        nn.init.kaiming_normal_(conv.weight, a=0.01)
        layers += [conv, nn.InstanceNorm2d(after, affine=True), nn.LeakyReLU(0.01)]
    return nn.Sequential(*layers)
