"""Perceptual distance of two images: how far apart VGG16 finds them (LPIPS).

R. Zhang, P. Isola, A. A. Efros, E. Shechtman, O. Wang, "The Unreasonable Effectiveness of Deep
Features as a Perceptual Metric", CVPR 2018, arXiv 1801.03924, with VGG16 of K. Simonyan and
A. Zisserman, arXiv 1409.1556. Five feature maps of both images are scaled to length one at every
pixel; their squared differences are weighted by channel, averaged over pixels and summed.

Parameters: 14,714,688 of VGG16's convolutions and 1,472 weights of channels. Both come from
files; with random weights this would be a distance of nothing, so there is no such thing here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from .pretrained import put_weights, read_weights

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

WIDTHS = (64, 128, 256, 512, 512)


class VGG16(nn.Module):
    """The convolutions of VGG16, in torchvision's numbering; five feature maps."""

    depths = (2, 2, 3, 3, 3)

    def __init__(self) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        inputs = 3
        for depth, width in zip(self.depths, WIDTHS, strict=True):
            if layers:
                layers.append(nn.MaxPool2d(2))
            for _ in range(depth):
                layers += [nn.Conv2d(inputs, width, 3, padding=1), nn.ReLU()]
                inputs = width
        self.features = nn.Sequential(*layers)

    def forward(self, x: Tensor) -> Iterator[Tensor]:
        """From (B, 3, n, n) to (B, WIDTHS[k], n / 2^k, n / 2^k), the last ones of each width."""
        for layer in self.features:
            if isinstance(layer, nn.MaxPool2d):
                yield x
            x = layer(x)
        yield x


class LPIPS(nn.Module):
    """The distance; it is never trained.

    Parameters
    ----------
    vgg16
        File of torchvision's weights of VGG16 (``vgg16-397923af.pth``), those trained on ImageNet.
    heads
        File of the weights of channels, version 0.1 for VGG (``vgg.pth`` of LPIPS' authors, also
        used in latent diffusion).

    Raises
    ------
    InputError
        A file is missing or is something else.
    """

    mean: Tensor
    spread: Tensor

    def __init__(self, vgg16: str | Path, heads: str | Path) -> None:
        super().__init__()
        self.vgg = VGG16()
        self.heads = nn.ParameterList(torch.empty(1, width, 1, 1) for width in WIDTHS)
        # ImageNet's mean and standard deviation for images of -1 to 1
        self.register_buffer("mean", torch.tensor([-0.030, -0.088, -0.188])[:, None, None])
        self.register_buffer("spread", torch.tensor([0.458, 0.448, 0.450])[:, None, None])
        put_weights(self.vgg, read_weights(vgg16), where=vgg16)
        found = read_weights(heads)
        names = {f"lin{k}.model.1.weight": str(k) for k in range(len(WIDTHS))}
        put_weights(
            self.heads, {names.get(key, key): value for key, value in found.items()}, where=heads
        )
        self.requires_grad_(requires_grad=False).eval()

    def forward(self, a: Tensor, b: Tensor) -> Tensor:
        """Distances, shape (B,), of images of shape (B, 1 or 3, n, n) from -1 to 1."""
        total = torch.zeros(len(a), device=a.device)
        features = zip(
            self.vgg(self._scaled(a)), self.vgg(self._scaled(b)), self.heads, strict=True
        )
        for left, right, head in features:
            apart = (_unit(left.float()) - _unit(right.float())) ** 2
            total = total + (apart * head).sum(1).mean((1, 2))
        return total

    def _scaled(self, x: Tensor) -> Tensor:
        return (x.expand(-1, 3, -1, -1) - self.mean) / self.spread


def _unit(x: Tensor) -> Tensor:
    """Vectors of channels scaled to length one."""
    # the square root of 0 has no gradient: a small number goes below it
    return x / (x.square().sum(1, keepdim=True) + 1e-20).sqrt().clamp_min(1e-10)
