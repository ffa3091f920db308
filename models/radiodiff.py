"""RadioDiff: a diffusion model draws radio maps, given city and transmitter.

X. Wang, K. Tao, N. Cheng, Z. Yin, Z. Li, Y. Zhang, X. Shen, "RadioDiff: An Effective Generative
Diffusion Model for Sampling-Free Dynamic Radio Map Construction", IEEE Transactions on Cognitive
Communications and Networking 2025, arXiv 2408.08593.

Inputs: buildings, transmitter and vehicles (static: the buildings again), from -1 to 1.

1. An autoencoder makes three latents of a quarter of the size of a map (:mod:`.autoencoder_kl`).
   Its loss is L = sum |x - x'| + LPIPS + 1e-6 KL, later with a critic of patches, whose weight is
   half of what makes it as strong as the rest.
2. The latents' noise and drift are told by a conditional U-Net (:mod:`.radiodiff_unet`) of
   z_t = z_0 + t C + sqrt(t) e, C = -z_0 (equations 13 to 16 in :mod:`.decoupled_diffusion`). Loss:
   w_1 |C - C'|^2 + w_2 |e - e'|^2 (equation 20, where both weights are 1).

A prediction is one draw: noise, `steps` steps of equation 16, the decoder.

Parameters for 256 pixels: autoencoder 55,307,453, U-Net 223,842,448, critic 2,763,585; with files
of weights for LPIPS another 14,716,160 in training. The paper's 297.74 M is RadioMamba's count; of
it we can account for 297,656,694: these, LPIPS, and 1,027,048 of Swin-B's unused last layers.

Where paper and released code disagree: weights of the loss are those of the code (`weighted`), so
are queries from the city and keys and values from the latents; learning rates are the paper's
(the code has 5e-6 for the autoencoder, batch 66 x 8 for the U-Net). The paper draws in 500 steps,
configurations of the code have 1, 3, 5 (as here) and 50. The code's estimate of C contains
+(1 - t) z_t; we have -(1 - t) z_t, which is right at t = 0 (`drift_sign`). Relation nets are in the
decoders, too, and the last convolutions see z_t again: this is our reading of the parameter count
of the released network, which it gives exactly; the paper says neither.

Not included: weights of Swin-B and VGG16 trained on ImageNet. Without a file Swin starts from
random weights, and without files the perceptual term is left out of the first loss. The paper's
errors were reached with both; what their absence costs is not known.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal

import torch
from torch import Tensor
from torch.nn import functional as F

from rmtools.errors import RecipeError

from .autoencoder_kl import AutoencoderKL, PatchCritic, adaptive_weight, hinge
from .decoupled_diffusion import FIRST_TIME, diffuse, loss_weights, precondition, sample
from .interface import Phase, RadioModel, Turn, noise
from .perceptual import LPIPS
from .radiodiff_unet import DiffusionUNet, check_size
from .recipe import Optimiser, Recipe, Schedule
from .swin import SIZES

if TYPE_CHECKING:
    from rmtools.layouts.conventions import Task

    from .interface import Batch, Losses

DIVERGENCE_WEIGHT = 1e-6
CRITIC_WEIGHT = 0.5


@dataclass(frozen=True)
class Preset:
    """How large a RadioDiff is.

    Attributes
    ----------
    autoencoder, unet, critic
        Their first widths.
    swin
        Name of a size of Swin.
    critic_after
        Batches before the critic begins.
    """

    autoencoder: int
    unet: int
    critic: int
    swin: str
    critic_after: int


PRESETS = {
    # 50,000 steps of two batches each
    "paper": Preset(128, 128, 64, "base", critic_after=100_000),
    "small": Preset(16, 32, 16, "mini", critic_after=2000),
}


class RadioDiff(RadioModel):
    """RadioDiff for static maps and maps with vehicles.

    Parameters
    ----------
    task
        ``static`` or ``dynamic``.
    preset
        ``"paper"``, or ``"small"``, 12 M parameters for a CPU: an eighth of the autoencoder's
        width, a quarter of the U-Net's, a Swin of our own. Or a :class:`Preset`.
    size
        Pixels of a side of the maps, a multiple of 32.
    steps
        Of sampling. The paper says 500; the time is proportional. More steps draw from the
        distribution more exactly, few steps come closer to its mean, which errors reward.
    aft
        Whether the U-Net has the frequency filter; the paper's ablation is without.
    weighted
        Whether the two terms of the second loss are weighted by time, as in the code.
    drift_sign
        -1, or +1 as in the code; see :func:`.decoupled_diffusion.precondition`.
    swin_weights, vgg16_weights, lpips_weights
        Files of weights for :meth:`.swin.Swin.load` and :class:`.perceptual.LPIPS`, the last two
        together. They are read when training begins, and not needed later.
    target
        See :class:`~rmtools.models.interface.RadioModel`.
    """

    title = "RadioDiff"
    source = "Wang et al., IEEE TCCN 2025, arXiv 2408.08593"
    conventions: ClassVar = dict.fromkeys(("static", "dynamic"), "radiodiff")
    recipes: ClassVar = {
        "paper": (
            Recipe(
                Optimiser("adamw", 5e-5, weight_decay=1e-4),
                Schedule("polynomial", factor=0.1, power=0.96),
                batch=2,
                accumulate=2,
                steps=150_000,
            ),
            Recipe(
                Optimiser("adamw", 5e-5, weight_decay=1e-4),
                Schedule("polynomial", factor=0.1, power=0.96),
                batch=64,
                steps=50_000,
                clip=1.0,
                ema=0.999,
            ),
        ),
        "quick": (
            Recipe(
                Optimiser("adamw", 1e-3, weight_decay=1e-4),
                Schedule("cosine", factor=0.02),
                batch=8,
                steps=800,
            ),
            Recipe(
                Optimiser("adamw", 5e-4, weight_decay=1e-4),
                Schedule("cosine", factor=0.02, warm_up=100),
                batch=16,
                steps=1200,
                clip=1.0,
                ema=0.99,
            ),
        ),
    }

    ablations: ClassVar = {"without AFT": {"aft": False}}

    latent_scale: Tensor
    batches: Tensor

    def __init__(  # noqa: PLR0913  (every option is one of the model's)
        self,
        task: Task = "static",
        *,
        preset: str | Preset = "paper",
        size: int = 256,
        steps: int = 5,
        aft: bool = True,
        weighted: bool = True,
        drift_sign: int = -1,
        swin_weights: str | None = None,
        vgg16_weights: str | None = None,
        lpips_weights: str | None = None,
        target: Literal["grey", "paper"] = "grey",
    ) -> None:
        super().__init__(task, target=target)
        check_size(size)
        if isinstance(preset, str):
            if preset not in PRESETS:
                raise RecipeError(
                    f"RadioDiff has no preset {preset!r}.", remedy=f"It has {', '.join(PRESETS)}."
                )
            preset = PRESETS[preset]
        if drift_sign not in (-1, 1):
            raise RecipeError(f"drift_sign {drift_sign}.", remedy="It is -1 or 1.")
        if (vgg16_weights is None) != (lpips_weights is None):
            raise RecipeError(
                "the perceptual loss needs two files, and one was given.",
                remedy="Give vgg16_weights and lpips_weights, or neither.",
            )
        self.steps = preset.steps if steps is None else steps
        if self.steps < 1:
            raise RecipeError(f"{self.steps} steps of sampling.", remedy="Take one at least.")
        self.critic_after, self.weighted, self.drift_sign = (
            preset.critic_after,
            weighted,
            drift_sign,
        )
        self.swin_weights = swin_weights
        self.perceptual_weights = vgg16_weights, lpips_weights
        self.autoencoder = AutoencoderKL(width=preset.autoencoder)
        self.critic = PatchCritic(width=preset.critic)
        self.unet = DiffusionUNet(
            self.autoencoder.embedding,
            width=preset.unet,
            swin=SIZES[preset.swin],
            size=size,
            aft=aft,
        )
        # brings latents to variance 1; 0 until the first batch of the second phase
        self.register_buffer("latent_scale", torch.zeros(()))
        self.register_buffer("batches", torch.zeros((), dtype=torch.long))  # of the first phase

    def predict(self, batch: Batch) -> Tensor:
        """See :meth:`~rmtools.models.interface.RadioModel.predict`."""
        city = self.unet.look(batch["input"])
        shape = (self.autoencoder.embedding, *city[0].shape[-2:])

        def draw(step: int) -> Tensor:
            return noise(batch["meta"], shape, seed=step)

        latents = sample(lambda noisy, time: self.tell(noisy, time, city), draw, self.steps)
        # before there is a scale, nothing has been learnt
        scale = self.latent_scale + (self.latent_scale == 0)
        return self.autoencoder.decode(latents / scale).float()

    def tell(self, noisy: Tensor, time: Tensor, city: list[Tensor]) -> tuple[Tensor, Tensor]:
        """C and e as the U-Net estimates them.

        Parameters
        ----------
        noisy, time
            z_t of shape (B, 3, n / 4, n / 4), and t of shape (B,).
        city
            From :meth:`.radiodiff_unet.DiffusionUNet.look`.
        """
        drift, rest = self.unet(noisy, time, city)
        return precondition(drift, rest, noisy, time, sign=self.drift_sign)

    def phases(self) -> tuple[Phase, ...]:
        """The autoencoder with its critic, then the U-Net on latents of the autoencoder."""
        if self.swin_weights is not None and self.latent_scale == 0:  # else it is trained already
            self.unet.swin.load(self.swin_weights)
        vgg16, heads = self.perceptual_weights
        # not a part of the model: it is not saved with it
        lpips = LPIPS(vgg16, heads) if vgg16 is not None and heads is not None else None

        def reconstruction(batch: Batch) -> Losses:
            return self.reconstruction_loss(batch["target"], lpips)

        def criticism(batch: Batch) -> Losses:
            return self.critic_loss(batch["target"])

        def diffusion(batch: Batch) -> Losses:
            latents = self.latents(batch["target"])
            time = FIRST_TIME + (1 - FIRST_TIME) * torch.rand(len(latents), device=latents.device)
            return self.diffusion_loss(batch["input"], latents, torch.randn_like(latents), time)

        return (
            Phase(
                "autoencoder",
                (
                    Turn("autoencoder", self.autoencoder.parameters(), reconstruction),
                    Turn("critic", self.critic.parameters(), criticism),
                ),
                self.reconstruction_error,
            ),
            Phase(
                "diffusion",
                (Turn("U-Net", self.unet.parameters(), diffusion),),
                self.diffusion_error,
            ),
        )

    def reconstruction_loss(self, target: Tensor, lpips: LPIPS | None = None) -> Losses:
        """Loss of the autoencoder for maps (B, 1, n, n); counts the batches."""
        self.batches += 1
        posterior = self.autoencoder.encode(target)
        decoded = self.autoencoder.decode(posterior.sample()).float()
        apart = (decoded - target).abs().flatten(1).sum(1).mean()
        divergence = posterior.divergence().mean()
        losses = {"reconstruction": apart, "divergence": divergence}
        if lpips is not None:
            losses["perceptual"] = lpips.to(target.device)(decoded, target).mean()
            apart = apart + target[0].numel() * losses["perceptual"]
        total = apart + DIVERGENCE_WEIGHT * divergence
        if self.batches > self.critic_after:
            losses["adversarial"] = -self.critic(decoded).float().mean()
            weight = adaptive_weight(apart, losses["adversarial"], self.autoencoder.last_weight)
            total = total + CRITIC_WEIGHT * weight * losses["adversarial"]
        return {"loss": total, **losses}

    def critic_loss(self, target: Tensor) -> Losses:
        """Loss of the critic for maps (B, 1, n, n); 0 as long as it has not begun."""
        if self.batches <= self.critic_after:
            weights = [parameter.sum() for parameter in self.critic.parameters()]
            return {"loss": 0.0 * torch.stack(weights).sum()}
        with torch.no_grad():
            decoded = self.autoencoder.decode(self.autoencoder.encode(target).sample())
        return {"loss": hinge(self.critic(target).float(), self.critic(decoded).float())}

    def reconstruction_error(self, batch: Batch) -> Tensor:
        """Mean squared error of the maps that the autoencoder makes of maps."""
        decoded = self.autoencoder.decode(self.autoencoder.encode(batch["target"]).mean)
        return F.mse_loss(decoded.float(), batch["target"])

    @torch.no_grad()
    def latents(self, target: Tensor) -> Tensor:
        """z_0, drawn for maps (B, 1, n, n): shape (B, 3, n / 4, n / 4), variance about 1.

        The first batch sets the scale, as in latent diffusion.
        """
        drawn = self.autoencoder.encode(target).sample()
        if self.latent_scale == 0:
            self.latent_scale.copy_(1 / _spread(drawn))
        return self.latent_scale * drawn

    def diffusion_loss(self, city: Tensor, latents: Tensor, drawn: Tensor, time: Tensor) -> Losses:
        """Equation 20 for given noise and times.

        Parameters
        ----------
        city
            Input, shape (B, 3, n, n).
        latents, drawn
            z_0 and e, shape (B, 3, n / 4, n / 4).
        time
            t, shape (B,).
        """
        told = self.tell(diffuse(latents, drawn, time), time, self.unet.look(city))
        drift, rest = (
            (found - true).square().flatten(1).mean(1)
            for found, true in zip(told, (-latents, drawn), strict=True)
        )
        weights = loss_weights(time) if self.weighted else (1.0, 1.0)
        total = weights[0] * drift + weights[1] * rest
        return {"loss": total.mean(), "drift": drift.mean(), "noise": rest.mean()}

    def diffusion_error(self, batch: Batch) -> Tensor:
        """The loss with noise and times that are the same at every look."""
        latents = self.latent_scale * self.autoencoder.encode(batch["target"]).mean
        drawn = noise(batch["meta"], tuple(latents.shape[1:]))
        uniform = torch.special.ndtr(noise(batch["meta"], (), seed=1))
        time = FIRST_TIME + (1 - FIRST_TIME) * uniform
        return self.diffusion_loss(batch["input"], latents, drawn, time)["loss"]


def _spread(x: Tensor) -> Tensor:
    """Standard deviation of all numbers; of those of all processes where there are several."""
    spread = x.std()
    if torch.distributed.is_available() and torch.distributed.is_initialized():
        torch.distributed.all_reduce(spread)
        spread /= torch.distributed.get_world_size()
    return spread
