"""RMDM (PhyRMDM): a U-Net under a physics loss, which guides a diffusion U-Net.

"RMDM: Radio Map Diffusion Model", a physics-informed framework with a dual U-Net, code at
github.com/Hxxxz0/RMDM.

Inputs c: buildings + 10 transmitter, transmitter, then samples, vehicles last. U-Net 1
(:mod:`~rmtools.models.highway`) makes of c an estimate of the map, ``cal``, and anchors g, a factor
for each pixel; U-Net 2 (:mod:`~rmtools.models.guided_unet`) predicts the noise of x_t, multiplying
g onto its first layer (eq. 9). Trained together, with :mod:`~rmtools.models.helmholtz`::

    L      = w_cond L_cond + w_diff L_diff                                              (eq. 11)
    L_cond = w_mse |cal - y|^2 + w_reg |grad cal|^2                                     (eq. 8)
             + w_pde pde + w_bc bc + w_source source                                    (eq. 2-7)
    L_diff = |eps - eps(x_t, t, c, g)|^2,   x_t = sqrt(abar_t) y + sqrt(1 - abar_t) eps (eq. 10)

with means for norms. A map is drawn from noise with 50 steps of DDIM
(:mod:`~rmtools.models.ddpm`), kept in [0, 1], where the targets are.

Parameters with two inputs: 82,817,249 with preset "readme" (U-Net 2 66,844,033, U-Net 1
15,973,216), 140,024,161 with "defaults" (U-Net 2 124,050,945), 4,354,273 with "small" (ours, for
processors and 64 pixels). The released count of U-Net 1 is that of nnU-Net's generic U-Net with
one output layer and a 1x1 convolution from 480 to 512 channels at its bottom (246,272 of the
15,973,216). We infer the latter from the count alone; here nothing uses it, nor is it trained.

Where paper and released code disagree we follow the code, but for options:

- Weights are all 1 in the code, without regulariser; `weights` = "paper" gives the paper's. The
  paper's regulariser depends "on the specific design"; ours is the smoothness it names.
- The anchors' gradient is cut in the code; the paper does not say so.
- RF-SA (eq. 12) hardly takes part in the released code; `rf_sa` puts our reading of it into the
  anchors. As these are cut, L_diff trains it.
- In algorithm 1 the noise is added to U-Net 1's estimate, in the code to the target. The sampler
  "refine" begins with the former.
- 10 to 299 samples in the code, 1 to 10 % of the pixels in the paper.
- 500,000 steps in the paper, 100,000 in the README, 10,000 by default.

There is no released loader for vehicles without samples (the paper's table 2); our ``dynamic`` has
them last. Which norm U-Net 1 has we do not know; here it is nnU-Net's instance norm.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import torch
from torch import Tensor
from torch.nn import functional as F

from rmtools.errors import RecipeError
from rmtools.layouts.conventions import OF_256, Convention, GreyTransform

from .ddpm import STEPS, Diffusion, times
from .guided_unet import GuidedUNet
from .helmholtz import physics_losses, roughness
from .highway import Anchors, Highway
from .interface import Phase, RadioModel, Turn, noise
from .recipe import Optimiser, Recipe, Schedule

if TYPE_CHECKING:
    from rmtools.layouts.conventions import Task

    from .interface import Batch, Losses


@dataclass(frozen=True)
class Weights:
    """Of the parts of the loss."""

    mse: float = 1.0
    reg: float = 0.0
    pde: float = 1.0
    bc: float = 1.0
    source: float = 1.0
    cond: float = 1.0
    diff: float = 1.0


WEIGHTS = {"code": Weights(), "paper": Weights(reg=0.1, pde=1.5, bc=0.5, source=0.2)}
WITHOUT: dict[str, dict[str, float]] = {
    "nothing": {},
    "mse": {"mse": 0.0},
    "pinn": {"pde": 0.0, "bc": 0.0, "source": 0.0},
    "reg": {"reg": 0.0},
}
_SIX = (1, 1, 2, 2, 4, 4)
PRESETS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "readme": ({"embedding": 512}, {"width": 96, "multipliers": _SIX, "attention": (4,)}),
    "defaults": ({"embedding": 512}, {"width": 128, "multipliers": _SIX, "attention": (4, 5)}),
    "small": (
        {"base": 16, "poolings": 4},
        {"width": 32, "multipliers": (1, 1, 2, 4), "blocks": 1, "attention": (3,)},
    ),
}
"""Options of :class:`Highway` and :class:`GuidedUNet`."""
REFINE = 200
"""The step of which the sampler "refine" adds the noise to U-Net 1's estimate."""


class RMDM(RadioModel):
    """RMDM, also known as PhyRMDM.

    Parameters
    ----------
    task
        ``static`` and ``dynamic``, or the same with samples.
    preset
        Widths and depths: ``"readme"`` and ``"defaults"`` are the released ones, ``"small"`` ours.
    weights
        Of the parts of the loss: ``"code"`` or ``"paper"``.
    without
        The paper's table 4: ``"mse"``, ``"pinn"`` or ``"reg"`` leaves out that part of the loss.
    rf_sa
        Whether features pass the radio frequency-spatial attention before they become anchors.
    sampler
        ``"ddim"``, ``"ddpm"`` or ``"dpm-solver"`` from noise; ``"refine"``: DDIM from ``cal`` with
        the noise of step 200 added, for networks that were not trained for long; ``"none"`` gives
        ``cal`` itself, without steps.
    steps
        Of the sampler.
    target
        See :class:`~rmtools.models.interface.RadioModel`.
    """

    title = "RMDM"
    source = "RMDM: Radio Map Diffusion Model, github.com/Hxxxz0/RMDM"
    conventions: ClassVar = {
        "static": "rmdm",
        "dynamic": Convention(
            ("buildings+10tx", "transmitter", "vehicles"),
            OF_256,
            GreyTransform(threshold=0.2),
            source="this project: as RMDM's static maps, vehicles last as in its 4 channels",
        ),
        "sparse": "rmdm",
        "sparse-dynamic": "rmdm",
    }
    _adamw = Optimiser("adamw", 1e-4, weight_decay=1e-4)
    recipes: ClassVar = {
        "paper": (Recipe(_adamw, batch=16, steps=500_000),),
        "quick": (
            Recipe(
                Optimiser("adamw", 5e-4, weight_decay=1e-4),
                Schedule("cosine", factor=0.02, warm_up=100),
                batch=8,
                steps=1500,
                check_every=300,
                clip=1.0,
                ema=0.995,
            ),
        ),
    }

    def __init__(
        self,
        task: Task = "static",
        *,
        preset: Literal["readme", "defaults", "small"] = "readme",
        weights: Literal["code", "paper"] = "code",
        without: Literal["nothing", "mse", "pinn", "reg"] = "nothing",
        rf_sa: bool = False,
        sampler: Literal["ddim", "ddpm", "dpm-solver", "refine", "none"] = "ddim",
        steps: int = 50,
        target: Literal["grey", "paper"] = "grey",
    ) -> None:
        super().__init__(task, target=target)
        for name, value, able in (
            ("preset", preset, PRESETS),
            ("weights", weights, WEIGHTS),
            ("without", without, WITHOUT),
            ("sampler", sampler, ("ddim", "ddpm", "dpm-solver", "refine", "none")),
        ):
            if value not in able:
                raise RecipeError(f"{name} {value!r}.", remedy=f"It is one of {', '.join(able)}.")
        inputs = len(self.convention.channels)
        first, second = PRESETS[preset]
        self.highway = Highway(inputs, **first)
        self.anchors = Anchors(self.highway.widths, frequency=rf_sa)
        self.unet = GuidedUNet(inputs + 1, **second)
        self.diffusion = Diffusion()
        self.weights = dataclasses.replace(WEIGHTS[weights], **WITHOUT[without])
        self.sampler = sampler
        self.first = REFINE if sampler == "refine" else STEPS - 1
        self.steps = len(times(steps, self.first))

    def condition(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """U-Net 1: from inputs (B, C, n, n) to anchors and ``cal``, both (B, 1, n, n)."""
        features, cal = self.highway(x)
        return self.anchors(features), cal

    def predict(self, batch: Batch) -> Tensor:
        """See :meth:`~rmtools.models.interface.RadioModel.predict`."""
        return self._draw(batch, self.steps)

    def losses(self, batch: Batch) -> Losses:
        """The loss of both U-Nets (eq. 11) and its parts, before weighting."""
        x, y, weights = batch["input"], batch["target"], self.weights
        anchors, cal = self.condition(x)
        t = torch.randint(STEPS, (len(y),), device=y.device)
        eps = torch.randn_like(y)
        noisy = self.diffusion.add_noise(y, t, eps)
        buildings, transmitter = masks(x)
        parts = {
            "mse": F.mse_loss(cal, y),
            "reg": roughness(cal),
            **physics_losses(cal, buildings, transmitter),
            "diff": F.mse_loss(self.unet(torch.cat([x, noisy], 1), t, anchors), eps),
        }
        conditional = sum(
            getattr(weights, name) * parts[name] for name in ("mse", "reg", "pde", "bc", "source")
        )
        return {"loss": weights.cond * conditional + weights.diff * parts["diff"], **parts}

    def phases(self) -> tuple[Phase, ...]:
        """Both U-Nets at once; the best weights are those that draw best in at most 5 steps."""

        def check(batch: Batch) -> Tensor:
            return F.mse_loss(self._draw(batch, min(self.steps, 5)), batch["target"])

        trained = [p for p in self.parameters() if p.requires_grad]
        return (Phase("both U-Nets", (Turn("both U-Nets", trained, self.losses),), check),)

    def _draw(self, batch: Batch, steps: int) -> Tensor:
        x, meta = batch["input"], batch["meta"]
        anchors, cal = self.condition(x)
        if self.sampler == "none":
            return cal
        shape = (1, *x.shape[2:])
        start = noise(meta, shape)
        if self.sampler == "refine":
            t = torch.full((len(x),), self.first, device=x.device)
            start = self.diffusion.add_noise(cal.float().clamp(0.0, 1.0), t, start)

        def predict_noise(noisy: Tensor, t: Tensor) -> Tensor:
            return self.unet(torch.cat([x, noisy], 1), t, anchors)

        def draw(number: int) -> Tensor:
            return noise(meta, shape, seed=number + 1)

        return self.diffusion.sample(
            predict_noise,
            start,
            steps=steps,
            first=self.first,
            sampler="ddim" if self.sampler == "refine" else self.sampler,
            draw=draw if self.sampler == "ddpm" else None,
            limits=(0.0, 1.0),
        )


def masks(x: Tensor) -> tuple[Tensor, Tensor]:
    """Buildings and transmitter out of the first two inputs; bool, each (B, 1, n, n).

    The first is buildings + 10 transmitter, so that a transmitter on a building is told from one
    beside it; "yes" is 1 or 255/256.
    """
    both, transmitter = x[:, :1], x[:, 1:2]
    return both - 10 * transmitter > 0.5, transmitter > 0.5
