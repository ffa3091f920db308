"""RadioMamba: published sizes, blocks as in the equations, the loss and its variants."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from rmtools.errors import RecipeError

torch = pytest.importorskip("torch")

from rmtools.models import build  # noqa: E402
from rmtools.models.interface import count_parameters  # noqa: E402
from rmtools.models.picture_losses import sobel, ssim  # noqa: E402
from rmtools.models.radiomamba import Block, Convolutions  # noqa: E402
from rmtools.models.ssm import Mamba  # noqa: E402

from rmtools.metrics import ssim as judged_ssim  # noqa: E402

F = torch.nn.functional
SMALL: dict[str, Any] = {"width": 8, "depths": (1, 1, 1, 1, 1)}

torch.set_num_threads(1)  # on maps this small more of them wait for each other


def make_batch(rows: int = 2, n: int = 16) -> dict[str, Any]:
    torch.manual_seed(0)
    y, x = torch.meshgrid(torch.arange(n) / n, torch.arange(n) / n, indexing="ij")
    inputs = (torch.rand(rows, 3, n, n) < 0.3).float()
    return {"input": inputs, "target": (0.8 - 0.5 * x * y).repeat(rows, 1, 1, 1)}


def test_parameters_are_the_published_ones() -> None:
    for task in ("static", "dynamic"):
        assert count_parameters(build("radiomamba", task=task)) == 8_604_337
    model = build("radiomamba")
    parts = [
        sum(count_parameters(x) for x in model.modules() if isinstance(x, kind))
        for kind in (Mamba, Convolutions)
    ]
    assert parts == [6_723_840, 999_168]
    standard = build("radiomamba", convolution="standard")
    assert count_parameters(standard) == 24_706_993  # the paper: 24.71 M
    assert count_parameters(build("radiomamba", branches="conv")) == 1_872_817
    assert count_parameters(build("radiomamba", branches="mamba")) == 7_605_169


@pytest.mark.parametrize("n", [8, 16, 64])
def test_shapes(n: int) -> None:
    model = build("radiomamba", **SMALL).eval()
    assert model.predict(make_batch(n=n)).shape == (2, 1, n, n)


def test_other_sizes_are_refused() -> None:
    with pytest.raises(RecipeError, match="multiple of 8"):
        build("radiomamba", **SMALL).predict(make_batch(n=12))


def test_block_is_the_sum_of_its_branches() -> None:
    """Equations 21 to 25, with the Mamba in two passes."""
    torch.manual_seed(0)
    block = Block(8, "both", "separable").eval()
    local, scans = block.branches
    depthwise, norm, _, pointwise, norm_2 = local.body
    for layer in (norm, norm_2):
        layer.running_mean.normal_()
    x = torch.randn(2, 8, 4, 6)

    def normalised(value: Any, layer: Any) -> Any:
        shift = layer.running_mean[:, None, None]
        return (value - shift) / torch.sqrt(layer.running_var[:, None, None] + layer.eps)

    spatial = F.conv2d(x, depthwise.weight, padding=1, groups=8)
    inner = F.gelu(normalised(spatial, norm))
    mixed = torch.einsum("bchw,oc->bohw", inner, pointwise.weight[:, :, 0, 0])
    wanted = x + normalised(mixed, norm_2)

    by_row = x.permute(0, 2, 3, 1).reshape(2, 24, 8)
    by_row = (by_row - by_row.mean(-1, keepdim=True)) / torch.sqrt(
        by_row.var(-1, keepdim=True, unbiased=False) + 1e-5
    )
    scans.mamba.both_ways = False
    two = scans.mamba(by_row) + scans.mamba(by_row.flip(1)).flip(1)
    scans.mamba.both_ways = True
    wanted = wanted + two.reshape(2, 4, 6, 8).permute(0, 3, 1, 2)
    torch.testing.assert_close(block(x), wanted, rtol=1e-4, atol=1e-5)


def test_branches_alone() -> None:
    x = torch.randn(1, 8, 4, 4)
    for branch, kind in (("conv", Convolutions), ("mamba", Mamba)):
        block = Block(8, branch, "separable").eval()
        kinds = {Convolutions, Mamba} & {type(module) for module in block.modules()}
        assert kinds == {kind}
        torch.testing.assert_close(block(x), block.branches[0](x))


def test_mamba_sees_all_pixels_and_convolutions_only_near_ones() -> None:
    torch.manual_seed(0)
    x = torch.randn(1, 8, 16, 16)
    other = x.clone()
    other[:, 0, 15, 15] += 1
    for branches, reaches in (("both", True), ("mamba", True), ("conv", False)):
        block = Block(8, branches, "separable").eval()
        change = (block(other) - block(x)).abs().amax(1)[0]
        assert bool(change[0, 0] > 0) == reaches
        assert change[15, 15] > 0


@pytest.mark.parametrize("options", [{}, {"branches": "conv"}, {"branches": "mamba"}])
def test_gradients_reach_all_parameters_and_the_loss_falls(options: dict[str, Any]) -> None:
    torch.manual_seed(0)
    model = build("radiomamba", **SMALL, **options)
    (phase,) = model.phases()
    batch = make_batch()
    optimiser = torch.optim.AdamW(model.parameters(), 3e-3)
    losses = []
    for step in range(8):
        found = phase.turns[0].loss(batch)
        optimiser.zero_grad()
        found["loss"].backward()
        if step == 0:
            zero = [k for k, p in model.named_parameters() if not p.grad.abs().sum() > 0]
            assert zero == []
        optimiser.step()
        losses.append(found["loss"].item())
    assert losses[-1] < 0.85 * losses[0]


def test_loss_is_equation_26() -> None:
    torch.manual_seed(0)
    output, target = torch.rand(2, 2, 1, 20, 20)
    model = build("radiomamba", **SMALL)
    found = {name: float(value) for name, value in model.compare(output, target).items()}
    p, t = output.numpy(), target.numpy()
    assert found["l1"] == pytest.approx(np.abs(p - t).mean())
    assert found["mse"] == pytest.approx(((p - t) ** 2).mean())
    e = np.pad((p - t)[:, 0], ((0, 0), (1, 1), (1, 1)), mode="edge")
    right = e[:, :, 2:] - e[:, :, :-2]
    down = e[:, 2:] - e[:, :-2]
    right = right[:, :-2] + 2 * right[:, 1:-1] + right[:, 2:]
    down = down[:, :, :-2] + 2 * down[:, :, 1:-1] + down[:, :, 2:]
    assert found["gradient"] == pytest.approx((np.abs(right) + np.abs(down)).mean() / 2, rel=1e-5)
    terms = {"l1": 0.4, "mse": 0.1, "ssim": 0.2, "gradient": 0.3}
    assert found["loss"] == pytest.approx(sum(w * found[name] for name, w in terms.items()))
    simple = build("radiomamba", **SMALL, loss="l1+mse").compare(output, target)
    assert float(simple["loss"]) == pytest.approx(0.5 * found["l1"] + 0.5 * found["mse"])
    assert set(simple) == {"loss", "l1", "mse"}


def test_pixels_outside_the_range_can_come_back() -> None:
    output = torch.full((1, 1, 12, 12), -0.5, requires_grad=True)
    target = torch.rand(1, 1, 12, 12)
    for clamp, learns in (("pictures", True), ("all", False)):
        loss = build("radiomamba", **SMALL, clamp=clamp).compare(output, target)["loss"]
        (gradient,) = torch.autograd.grad(loss, output)
        assert bool((gradient < 0).all()) == learns
        assert bool((gradient == 0).all()) != learns


def test_ssim_is_torchmetrics_and_inside_that_of_the_evaluator() -> None:
    metrics = pytest.importorskip("torchmetrics.functional.image")
    torch.manual_seed(0)
    x = torch.rand(2, 1, 40, 40)
    y = (x + 0.2 * torch.randn(2, 1, 40, 40)).clamp(0, 1)
    wanted = metrics.structural_similarity_index_measure(x, y, data_range=1.0)
    assert float(ssim(x, y)) == pytest.approx(float(wanted), abs=2e-5)
    assert float(ssim(x, x)) == pytest.approx(1, abs=1e-6)
    judged = judged_ssim(x.numpy().astype(float), y.numpy().astype(float))
    assert float(ssim(x, y)) == pytest.approx(judged, abs=0.02)  # borders differ


def test_sobel_of_a_slope() -> None:
    y, x = torch.meshgrid(torch.arange(7.0), torch.arange(7.0), indexing="ij")
    right, down = sobel((3 * x + 5 * y)[None, None])[0]
    assert torch.equal(right[1:-1, 1:-1], torch.full((5, 5), 24.0))
    assert torch.equal(down[1:-1, 1:-1], torch.full((5, 5), 40.0))


def test_prediction_is_the_same_alone_saved_and_in_a_batch() -> None:
    torch.manual_seed(0)
    model = build("radiomamba", **SMALL).eval()
    batch = make_batch(rows=3)
    with torch.no_grad():
        together = model.predict(batch)
        alone = model.predict({"input": batch["input"][1:2]})
        torch.testing.assert_close(together[1:2], alone, rtol=1e-5, atol=1e-6)
        other = build("radiomamba", **SMALL).eval()
        other.load_state_dict(model.state_dict())
        assert torch.equal(other.predict(batch), together)


def test_autocast() -> None:
    torch.manual_seed(0)
    model = build("radiomamba", **SMALL)
    (phase,) = model.phases()
    exact = phase.turns[0].loss(make_batch())["loss"]
    with torch.autocast("cpu", dtype=torch.bfloat16):
        coarse = phase.turns[0].loss(make_batch())["loss"]
    assert coarse.dtype == torch.float32
    assert coarse.item() == pytest.approx(exact.item(), rel=0.05)
