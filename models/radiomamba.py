"""RadioMamba: a U-Net whose blocks are a Mamba and a convolution side by side.

H. Jia, N. Cheng, X. Wang, C. Zhou, R. Sun, X. Shen, "RadioMamba: Breaking the Accuracy-Efficiency
Trade-off in Radio Map Construction via a Hybrid Mamba-UNet", 2025.

Inputs: buildings, transmitter, and the vehicles or the buildings once more. Three stages down to
an eighth of the size, a bottleneck, three stages up. A block is equation 25, the sum of

- X + F(X), a depthwise-separable convolution with a residual (equation 21), and
- M(x) + R M(R x), one Mamba through the rows of pixels forwards and reversed (22 to 24).

Loss (equation 26): 0.4 L1 + 0.1 MSE + 0.2 (1 - SSIM) + 0.3 L1 of the Sobel gradients.

Parameters: 8,604,337, of which the Mambas have 6,723,840 and the convolutions beside them
999,168. With
standard convolutions in the blocks, two of 3 x 3, 24,706,993, which is the paper's 24.71 M.

Where paper and released code disagree we follow the code: a fourth stage of two blocks before the
two of the bottleneck; batch norms in F; two directions where its comment says four; skips taken
before the blocks of a stage. The paper's cosine schedule is used, not the code's plateau.

The code clamps outputs to [0, 1] before the loss and has no activation behind the last layer: a
pixel outside gets no gradient. Here L1 and MSE see outputs as they are, SSIM and Sobel clamped
ones, as both compare pictures; ``clamp="all"`` is the code's way. SSIM is as in torchmetrics
(Gaussian 11, sigma 1.5, mirrored border). Predictions are left as they are; the evaluator clamps.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, ClassVar, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from rmtools.errors import RecipeError

from .interface import Phase, RadioModel, Turn
from .picture_losses import sobel, ssim
from .recipe import Optimiser, Recipe, Schedule
from .ssm import Mamba

if TYPE_CHECKING:
    from rmtools.layouts.conventions import Task

    from .interface import Batch, Losses

Branches = Literal["both", "conv", "mamba"]
Convolution = Literal["separable", "standard"]


class Convolutions(nn.Module):
    """The local branch, equation 21: a residual around two convolutions, (B, C, n, n) to the same.

    Parameters
    ----------
    width
        Channels C.
    convolution
        3 x 3 for each channel, then 1 x 1; or twice 3 x 3 (table IV).
    """

    def __init__(self, width: int, convolution: Convolution) -> None:
        super().__init__()
        kernel, groups = (1, width) if convolution == "separable" else (3, 1)
        self.body = nn.Sequential(
            nn.Conv2d(width, width, 3, padding=1, groups=groups, bias=False),
            nn.BatchNorm2d(width),
            nn.GELU(),
            nn.Conv2d(width, width, kernel, padding=kernel // 2, bias=False),
            nn.BatchNorm2d(width),
        )

    def forward(self, x: Tensor) -> Tensor:
        """See the class."""
        return x + self.body(x)


class Scans(nn.Module):
    """The global branch, equations 22 to 24, (B, C, n, n) to the same."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.mamba = Mamba(width, d_state=32, both_ways=True)

    def forward(self, x: Tensor) -> Tensor:
        """Through the pixels row by row and back."""
        pixels = self.norm(x.flatten(2).transpose(1, 2))
        return self.mamba(pixels).transpose(1, 2).reshape(x.shape)


class Block(nn.Module):
    """The sum of the branches, equation 25."""

    def __init__(self, width: int, branches: Branches, convolution: Convolution) -> None:
        super().__init__()
        self.branches = nn.ModuleList()
        if branches != "mamba":
            self.branches.append(Convolutions(width, convolution))
        if branches != "conv":
            self.branches.append(Scans(width))

    def forward(self, x: Tensor) -> Tensor:
        """From (B, C, n, n) to the same."""
        first, *others = (branch(x) for branch in self.branches)
        return sum(others, first)


class RadioMamba(RadioModel):
    """RadioMamba.

    Parameters
    ----------
    task
        ``static`` or ``dynamic``.
    branches
        Of a block: ``"both"``, or ``"conv"`` or ``"mamba"`` alone (figure 6).
    convolution
        ``"separable"``, or ``"standard"`` (table IV).
    loss
        ``"full"``, or ``"l1+mse"``, half each (table V).
    clamp
        What the loss clamps outputs to [0, 1] for: ``"pictures"``, that is SSIM and Sobel, or
        ``"all"``.
    width
        Channels of the first stage, doubled at each of the next three.
    depths
        Blocks of the four stages and of the bottleneck, which has the size of the fourth; the
        first three come again on the way up, in reverse.
    target
        See :class:`~rmtools.models.interface.RadioModel`; the same for this model.
    """

    title = "RadioMamba"
    source = "Jia, Cheng, Wang, Zhou, Sun, Shen 2025; UNIC-Lab/RadioMamba"
    conventions: ClassVar = dict.fromkeys(("static", "dynamic"), "radiomamba")
    _paper = Recipe(
        Optimiser("adamw", 9e-4, weight_decay=1e-4),
        Schedule("cosine", factor=0.0),
        batch=25,
        accumulate=2,  # for its two GPUs
        steps=100_000,
        check_every=220,
        patience=14,
        precision="16-mixed",
    )
    recipes: ClassVar = {
        "paper": (_paper,),
        "paper-dynamic": (replace(_paper, optimiser=Optimiser("adamw", 5e-4, weight_decay=1e-4)),),
        "quick": (
            Recipe(
                Optimiser("adamw", 2e-3, weight_decay=1e-4),
                Schedule("cosine", factor=0.02, warm_up=20),
                batch=4,
                steps=450,
                clip=1.0,
            ),
        ),
    }

    def __init__(
        self,
        task: Task = "static",
        *,
        branches: Branches = "both",
        convolution: Convolution = "separable",
        loss: Literal["full", "l1+mse"] = "full",
        clamp: Literal["pictures", "all"] = "pictures",
        width: int = 48,
        depths: tuple[int, int, int, int, int] = (2, 3, 4, 2, 2),
        target: Literal["grey", "paper"] = "grey",
    ) -> None:
        super().__init__(task, target=target)
        self.loss, self.clamp = loss, clamp
        widths = [width * 2**stage for stage in range(4)]

        def stage(width: int, blocks: int) -> nn.Sequential:
            made = (Block(width, branches, convolution) for _ in range(blocks))
            return nn.Sequential(*made)

        self.first = nn.Conv2d(len(self.convention.channels), width, 3, padding=1)
        self.encoder = nn.ModuleList(map(stage, widths[:3], depths[:3]))
        self.down = nn.ModuleList(nn.Conv2d(w, 2 * w, 2, 2) for w in widths[:3])
        self.middle = nn.Sequential(stage(widths[3], depths[3]), stage(widths[3], depths[4]))
        self.up = nn.ModuleList(nn.ConvTranspose2d(2 * w, w, 2, 2) for w in widths[2::-1])
        self.fuse = nn.ModuleList(nn.Conv2d(2 * w, w, 1) for w in widths[2::-1])
        self.decoder = nn.ModuleList(map(stage, widths[2::-1], depths[2::-1]))
        self.last = nn.Conv2d(width, 1, 1)

    def forward(self, x: Tensor) -> Tensor:
        """From (B, 3, n, n) to (B, 1, n, n); n is a multiple of 8."""
        if x.shape[-1] % 8 or x.shape[-2] % 8:
            raise RecipeError(
                f"maps of {x.shape[-2]} x {x.shape[-1]} pixels.",
                remedy="RadioMamba halves them three times: choose a multiple of 8.",
            )
        x = self.first(x)
        skips = []
        for blocks, down in zip(self.encoder, self.down, strict=True):
            skips.append(x)
            x = down(blocks(x))
        x = self.middle(x)
        for up, fuse, blocks in zip(self.up, self.fuse, self.decoder, strict=True):
            x = blocks(fuse(torch.cat([up(x), skips.pop()], 1)))
        return self.last(x)

    def predict(self, batch: Batch) -> Tensor:
        """See :meth:`~rmtools.models.interface.RadioModel.predict`."""
        return self(batch["input"])

    def compare(self, output: Tensor, target: Tensor) -> Losses:
        """Equation 26 and its terms."""
        output, target = output.float(), target.float()
        picture = output.clamp(0, 1)
        pixels = picture if self.clamp == "all" else output
        losses = {"l1": F.l1_loss(pixels, target), "mse": F.mse_loss(pixels, target)}
        if self.loss == "l1+mse":
            return losses | {"loss": 0.5 * losses["l1"] + 0.5 * losses["mse"]}
        losses["ssim"] = 1 - ssim(picture, target)
        losses["gradient"] = F.l1_loss(sobel(picture), sobel(target))
        weights = {"l1": 0.4, "mse": 0.1, "ssim": 0.2, "gradient": 0.3}
        total = torch.stack([weight * losses[name] for name, weight in weights.items()]).sum()
        return losses | {"loss": total}

    def phases(self) -> tuple[Phase, ...]:
        """One, for everything."""

        def loss(batch: Batch) -> Losses:
            return self.compare(self(batch["input"]), batch["target"])

        return (Phase("RadioMamba", (Turn("RadioMamba", self.parameters(), loss),)),)
