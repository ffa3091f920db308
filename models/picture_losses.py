"""How alike two pictures are, differentiable: structural similarity and edges.

Z. Wang, A. C. Bovik, H. R. Sheikh, E. P. Simoncelli, "Image quality assessment: from error
visibility to structural similarity", IEEE Transactions on Image Processing 13(4), 2004.

These are for training. Reported figures come from :mod:`rmtools.metrics` alone.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F


def ssim(output: Tensor, target: Tensor) -> Tensor:
    """Mean SSIM (equation 13) of pictures with values from 0 to 1.

    A Gaussian window of 11 x 11 pixels with sigma 1.5, K1 = 0.01, K2 = 0.03, population variances,
    borders mirrored. In float32 at least: variances are differences of nearly equal numbers.

    Parameters
    ----------
    output, target
        Shape (B, C, n, n), n at least 6.
    """
    with torch.autocast(output.device.type, enabled=False):
        kind = torch.promote_types(output.dtype, torch.float32)
        x, y = output.to(kind), target.to(kind)
        offset = torch.arange(-5, 6, device=x.device, dtype=kind)
        line = torch.exp(-(offset**2) / (2 * 1.5**2))
        line = line / line.sum()
        shape = x.shape
        pairs = torch.cat([x, y, x * x, y * y, x * y]).reshape(-1, 1, *shape[-2:])
        pairs = F.pad(pairs, (5, 5, 5, 5), mode="reflect")
        means = F.conv2d(F.conv2d(pairs, line.view(1, 1, 1, -1)), line.view(1, 1, -1, 1))
        mean_x, mean_y, xx, yy, xy = means.view(5, *shape)
        first, second = 0.01**2, 0.03**2
        alike = (2 * mean_x * mean_y + first) * (2 * (xy - mean_x * mean_y) + second)
        spread = (xx - mean_x**2) + (yy - mean_y**2) + second
        return (alike / ((mean_x**2 + mean_y**2 + first) * spread)).mean()


def sobel(picture: Tensor) -> Tensor:
    """Sobel gradients, to the right and down: (B, 1, n, n) to (B, 2, n, n), borders repeated."""
    smooth, slope = picture.new_tensor([1.0, 2.0, 1.0]), picture.new_tensor([-1.0, 0.0, 1.0])
    right = torch.outer(smooth, slope)
    kernels = torch.stack([right, right.T])[:, None]
    return F.conv2d(F.pad(picture, (1, 1, 1, 1), mode="replicate"), kernels)
