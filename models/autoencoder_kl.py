"""First stage of latent diffusion: an autoencoder with a few normal latents, and its critic.

R. Rombach, A. Blattmann, D. Lorenz, P. Esser, B. Ommer, "High-Resolution Image Synthesis with
Latent Diffusion Models", CVPR 2022, arXiv 2112.10752 (AutoencoderKL); the critic judges patches
as in P. Isola et al., "Image-to-Image Translation with Conditional Adversarial Networks", 2017.

With one channel, width 128, multipliers 1, 2, 4, two blocks a level and three latents the
autoencoder has 55,307,453 parameters, the critic of width 64 has 2,763,585.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class ResBlock(nn.Module):
    """Two convolutions, each behind group norm and SiLU, beside a straight way."""

    def __init__(self, inputs: int, outputs: int, groups: int) -> None:
        super().__init__()
        self.norm1 = nn.GroupNorm(groups, inputs, eps=1e-6)
        self.conv1 = nn.Conv2d(inputs, outputs, 3, padding=1)
        self.norm2 = nn.GroupNorm(groups, outputs, eps=1e-6)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, padding=1)
        self.straight = nn.Conv2d(inputs, outputs, 1) if inputs != outputs else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        """From (B, inputs, h, w) to (B, outputs, h, w)."""
        hidden = self.conv1(F.silu(self.norm1(x)))
        return self.straight(x) + self.conv2(F.silu(self.norm2(hidden)))


class Attention(nn.Module):
    """Every pixel looks at every other, one head."""

    def __init__(self, width: int, groups: int) -> None:
        super().__init__()
        self.norm = nn.GroupNorm(groups, width, eps=1e-6)
        self.query, self.key, self.value, self.out = (nn.Conv2d(width, width, 1) for _ in range(4))

    def forward(self, x: Tensor) -> Tensor:
        """From (B, width, h, w) to the same."""
        normed = self.norm(x)
        ways = (self.query(normed), self.key(normed), self.value(normed))
        query, key, value = (way.flatten(2).transpose(1, 2) for way in ways)
        seen = F.scaled_dot_product_attention(query, key, value)
        return x + self.out(seen.transpose(1, 2).reshape(x.shape))


class Down(nn.Module):
    """Half the size; the padding is at the right and the bottom only."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(width, width, 3, stride=2)

    def forward(self, x: Tensor) -> Tensor:
        """From (B, width, h, w) to (B, width, h / 2, w / 2)."""
        return self.conv(F.pad(x, (0, 1, 0, 1)))


class Encoder(nn.Sequential):
    """From a map (B, channels, n, n) to moments (B, 2 z, n / 4, n / 4) for three multipliers."""

    def __init__(self, channels: int, widths: list[int], blocks: int, z: int, groups: int) -> None:
        layers: list[nn.Module] = [nn.Conv2d(channels, widths[0], 3, padding=1)]
        width = widths[0]
        for level, outputs in enumerate(widths):
            if level > 0:
                layers.append(Down(width))
            for _ in range(blocks):
                layers.append(ResBlock(width, outputs, groups))
                width = outputs
        layers += _middle(width, groups)
        layers += _last(width, 2 * z, groups)
        super().__init__(*layers)


class Decoder(nn.Sequential):
    """From latents (B, z, n / 4, n / 4) to a map (B, channels, n, n), for three multipliers."""

    def __init__(self, channels: int, widths: list[int], blocks: int, z: int, groups: int) -> None:
        width = widths[-1]
        layers: list[nn.Module] = [nn.Conv2d(z, width, 3, padding=1), *_middle(width, groups)]
        for level, outputs in enumerate(reversed(widths)):
            if level > 0:
                layers += [nn.Upsample(scale_factor=2.0), nn.Conv2d(width, width, 3, padding=1)]
            for _ in range(blocks + 1):
                layers.append(ResBlock(width, outputs, groups))
                width = outputs
        layers += _last(width, channels, groups)
        super().__init__(*layers)


def _middle(width: int, groups: int) -> list[nn.Module]:
    return [
        ResBlock(width, width, groups),
        Attention(width, groups),
        ResBlock(width, width, groups),
    ]


def _last(width: int, outputs: int, groups: int) -> list[nn.Module]:
    norm = nn.GroupNorm(groups, width, eps=1e-6)
    return [norm, nn.SiLU(), nn.Conv2d(width, outputs, 3, padding=1)]


@dataclass(frozen=True)
class Posterior:
    """Independent normal distributions, one for each latent.

    Attributes
    ----------
    mean, log_variance
        Shape (B, z, h, w).
    """

    mean: Tensor
    log_variance: Tensor

    def sample(self) -> Tensor:
        """Draw latents with torch's global generator, shape (B, z, h, w)."""
        return self.mean + torch.exp(0.5 * self.log_variance) * torch.randn_like(self.mean)

    def divergence(self) -> Tensor:
        """Kullback-Leibler divergence from the standard normal distribution, shape (B,)."""
        variance = self.log_variance.exp()
        return 0.5 * (self.mean**2 + variance - 1 - self.log_variance).flatten(1).sum(1)


class AutoencoderKL(nn.Module):
    """The autoencoder.

    Parameters
    ----------
    channels
        Of the maps.
    width, multipliers
        Width of each level, each half the size of the one before, as multiples of the first.
    blocks
        Residual blocks in a level; the decoder has one more.
    z, embedding
        Channels of the encoder's result and of the latents.
    """

    def __init__(
        self,
        channels: int = 1,
        *,
        width: int = 128,
        multipliers: tuple[int, ...] = (1, 2, 4),
        blocks: int = 2,
        z: int = 3,
        embedding: int = 3,
    ) -> None:
        super().__init__()
        widths = [width * factor for factor in multipliers]
        groups = min(32, width // 4)  # 32 in the paper; of at least four channels here
        self.embedding = embedding
        self.encoder = Encoder(channels, widths, blocks, z, groups)
        self.decoder = Decoder(channels, widths, blocks, z, groups)
        self.moments = nn.Conv2d(2 * z, 2 * embedding, 1)
        self.unembed = nn.Conv2d(embedding, z, 1)

    def encode(self, x: Tensor) -> Posterior:
        """Distribution of the latents (B, embedding, n / 4, n / 4) of maps (B, channels, n, n)."""
        mean, log_variance = self.moments(self.encoder(x)).float().chunk(2, 1)
        return Posterior(mean, log_variance.clamp(-30.0, 20.0))

    def decode(self, latents: Tensor) -> Tensor:
        """Maps (B, channels, n, n) of latents (B, embedding, n / 4, n / 4)."""
        return self.decoder(self.unembed(latents))

    @property
    def last_weight(self) -> nn.Parameter:
        """Weights of the last layer, where gradients of losses are compared."""
        return self.decoder[-1].get_parameter("weight")


class PatchCritic(nn.Sequential):
    """Says of overlapping patches of a map whether they look true: (B, 1, n / 8 - 2, n / 8 - 2).

    Parameters
    ----------
    channels, width
        Of the map, and of the first layer.
    """

    def __init__(self, channels: int = 1, width: int = 64) -> None:
        layers: list[nn.Module] = [
            nn.Conv2d(channels, width, 4, stride=2, padding=1),
            nn.LeakyReLU(0.2),
        ]
        for factor, stride in ((1, 2), (2, 2), (4, 1)):
            inputs, outputs = width * factor, 2 * width * factor
            layers += [
                nn.Conv2d(inputs, outputs, 4, stride=stride, padding=1, bias=False),
                nn.BatchNorm2d(outputs),
                nn.LeakyReLU(0.2),
            ]
        layers.append(nn.Conv2d(8 * width, 1, 4, padding=1))
        super().__init__(*layers)
        for layer in self:
            if isinstance(layer, nn.Conv2d):
                nn.init.normal_(layer.weight, 0.0, 0.02)
            elif isinstance(layer, nn.BatchNorm2d):
                nn.init.normal_(layer.weight, 1.0, 0.02)


def hinge(real: Tensor, fake: Tensor) -> Tensor:
    """Loss of a critic that says `real` of true maps and `fake` of others."""
    return 0.5 * (F.relu(1 - real).mean() + F.relu(1 + fake).mean())


def adaptive_weight(reconstruction: Tensor, adversarial: Tensor, weight: nn.Parameter) -> Tensor:
    """Weight that makes an adversarial loss pull as strongly as that of the reconstruction.

    The quotient of the norms of their gradients at `weight`, at most 10,000 (P. Esser et al.,
    "Taming Transformers for High-Resolution Image Synthesis", arXiv 2012.09841, equation 7).
    """
    pull = torch.autograd.grad(reconstruction, weight, retain_graph=True)[0].float().norm()
    against = torch.autograd.grad(adversarial, weight, retain_graph=True)[0].float().norm()
    return (pull / (against + 1e-4)).clamp(0.0, 1e4).detach()
