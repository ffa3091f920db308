"""RME-GAN: counts, what each turn trains, and its losses against restatements."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from rmtools.models.interface import count_parameters
from rmtools.models.rme_gan import (
    RMEGAN,
    SIGMAS,
    Discriminator,
    directional_cosine,
    ms_ssim_l1,
    power_spectrum_l1,
    total_variation,
)
from scipy.ndimage import gaussian_filter

from rmtools.errors import RecipeError

N = 64
TASKS = {"static": 16_039_599, "dynamic": 16_040_883, "sparse": 16_040_883}


@pytest.fixture(autouse=True)
def seed():
    torch.set_num_threads(1)  # maps this small gain nothing from more
    torch.manual_seed(0)


def batch_of(model, count=2):
    grey = model.convention.grey.factor
    return {
        "input": torch.rand(count, len(model.convention.channels), N, N),
        "target": grey * torch.rand(count, 1, N, N),
    }


@pytest.mark.parametrize("task", TASKS)
def test_parameters(task):
    model = RMEGAN(task)
    assert count_parameters(model) == TASKS[task]
    assert count_parameters(model.discriminator) == 2_765_568
    without = RMEGAN(task, unused=False)
    assert count_parameters(without) == count_parameters(model, trainable=True)
    assert count_parameters(model.unused) == count_parameters(model) - count_parameters(without)


def test_the_generator_does_not_see_the_fit():
    model = RMEGAN("sparse-dynamic").eval()
    batch = batch_of(model, 1)
    assert model.convention.channels[3] == "fit"
    with torch.no_grad():
        before = model.predict(batch)
        assert before.shape == (1, 1, N, N)
        batch["input"][:, 3] += 1.0
        assert torch.equal(model.predict(batch), before)
        batch["input"][:, 4] += 1.0
        assert not torch.equal(model.predict(batch), before)


def test_samples():
    assert RMEGAN().convention.samples == (655, 655)
    assert RMEGAN(samples=9).convention.samples == (9, 9)
    with pytest.raises(RecipeError, match="no samples"):
        RMEGAN("static", samples=9)


@pytest.mark.parametrize(("size", "patches"), [(64, 1), (128, 5), (256, 13)])
def test_the_discriminator_judges_patches(size, patches):
    with torch.no_grad():
        assert Discriminator()(torch.rand(1, 1, size, size)).shape == (1, 1, patches, patches)


def test_what_each_turn_trains():
    model = RMEGAN()
    batch = batch_of(model)
    for phase in model.phases():
        critic, generator = phase.turns
        for turn, part in ((critic, model.discriminator), (generator, model.generator)):
            chosen = list(turn.parameters)
            grads = torch.autograd.grad(turn.loss(batch)["loss"], chosen, allow_unused=True)
            assert {id(p) for p in chosen} == {id(p) for p in part.parameters()}
            assert all(grad is not None for grad in grads)
    assert not any(p.requires_grad for p in model.unused.parameters())


def test_the_discriminator_is_told_true_from_generated():
    model = RMEGAN()
    batch = batch_of(model)
    with torch.no_grad():
        true = model.discriminator(batch["target"])
        false = model.discriminator(model(batch["input"]))
        expected = -(true.sigmoid().log().mean() + (1 - false.sigmoid()).log().mean())
        assert torch.allclose(model.critic_losses(batch)["loss"], expected, atol=1e-5)


@pytest.mark.parametrize("target", ["grey", "paper"])
def test_the_losses_are_weighted_sums_on_the_released_scale(target):
    model = RMEGAN(target=target)
    batch = batch_of(model)
    unit = 256 / model.convention.grey.factor
    with torch.no_grad():
        made = model(batch["input"])
        first, later = model.first_losses(batch), model.later_losses(batch)
    mse = ((made - batch["target"]) ** 2).mean() * unit**2
    assert torch.allclose(first["mse"], mse, rtol=1e-5)
    parts = 10 * first["adversarial"] + mse + 10 * first["tv"] + 10 * first["gradient"]
    assert torch.allclose(first["loss"], parts, rtol=1e-5)
    parts = later["adversarial"] + 100 * mse + 0.001 * later["tv"] + 84 * later["ms-ssim-l1"]
    assert torch.allclose(later["loss"], parts + later["spectrum"], rtol=1e-5)
    assert 0 < later["ms-ssim-l1"] < 1


def test_without_samples_there_is_no_fit():
    model = RMEGAN("dynamic", target="paper")
    assert model.convention.grey.factor == 1.0
    assert "gradient" not in model.first_losses(batch_of(model))


def test_total_variation_of_a_ramp():
    ramp = 0.5 * torch.arange(8.0).expand(1, 1, 8, 8)
    assert total_variation(ramp) == pytest.approx(2 * 0.25)


def test_directional_cosine():
    maps = torch.rand(2, 1, 9, 9)
    assert directional_cosine(3 * maps + 1, maps) == pytest.approx(1.0, abs=1e-5)
    assert directional_cosine(-maps, maps) == pytest.approx(-1.0, abs=1e-5)
    right = torch.arange(9.0).expand(1, 1, 9, 9)
    # right: 1, 0, 1, -1; down: 0, 1, 1, 1
    assert directional_cosine(right, right.mT) == pytest.approx(0.0, abs=1e-6)
    one, other = torch.rand(2, 1, 1, 9, 9)
    cosines = []
    for down, across in ((0, 1), (1, 0), (1, 1), (1, -1)):
        a, b = (
            (torch.roll(m, (-down, -across), (2, 3)) - m)[:, :, 1:-1, 1:-1] for m in (one, other)
        )
        cosines.append((a * b).sum() / (a.norm() * b.norm()))
    assert directional_cosine(one, other) == pytest.approx(sum(cosines).item() / 4, abs=1e-6)


def test_power_spectrum():
    maps = torch.rand(1, 1, 16, 16)
    zero = torch.zeros_like(maps)
    assert power_spectrum_l1(maps, zero) == pytest.approx(maps.square().mean().item(), rel=1e-5)
    moved = torch.roll(maps, (3, 5), (2, 3))
    assert power_spectrum_l1(maps, moved) == pytest.approx(0.0, abs=1e-5)
    maps.requires_grad_()
    power_spectrum_l1(maps, zero).backward()
    assert maps.grad.abs().sum() > 0


def test_ms_ssim_l1_against_scipy():
    one, other = torch.rand(1, 1, 40, 40), torch.rand(1, 1, 40, 40)
    x, y = one[0, 0].double().numpy(), other[0, 0].double().numpy()

    def blur(image, sigma):
        return gaussian_filter(image, sigma, mode="constant", radius=16)

    product = np.ones_like(x)
    for sigma in SIGMAS:
        mx, my = blur(x, sigma), blur(y, sigma)
        vx, vy = blur(x * x, sigma) - mx**2, blur(y * y, sigma) - my**2
        product *= (2 * (blur(x * y, sigma) - mx * my) + 9e-4) / (vx + vy + 9e-4)
    product *= (2 * mx * my + 1e-4) / (mx**2 + my**2 + 1e-4)
    expected = (0.84 * (1 - product) + 0.16 * blur(abs(x - y), SIGMAS[-1])).mean()
    assert ms_ssim_l1(one, other) == pytest.approx(expected, abs=1e-5)
    assert ms_ssim_l1(one, one) == pytest.approx(0.0, abs=1e-5)


def test_alone_in_a_batch_and_saved():
    model, again = RMEGAN().eval(), RMEGAN().eval()
    again.load_state_dict(model.state_dict())
    batch = batch_of(model)
    with torch.no_grad():
        together = model.predict(batch)
        assert torch.equal(again.predict(batch), together)
        alone = model.predict({"input": batch["input"][1:]})
        assert torch.allclose(alone[0], together[1], atol=1e-6)


def test_both_losses_fall():
    """Each turn by itself on one batch lowers what it minimises."""
    model = RMEGAN()
    batch = batch_of(model, 2)
    phase = model.phases()[1]
    for turn in phase.turns:
        optimiser = torch.optim.Adam(turn.parameters, 1e-4)
        losses = []
        for _ in range(4):
            optimiser.zero_grad()
            value = turn.loss(batch)["loss"]
            value.backward()
            optimiser.step()
            losses.append(value.item())
        assert losses[-1] < losses[0]


def test_reduced_precision():
    model = RMEGAN()
    batch = batch_of(model)
    with torch.autocast("cpu", torch.bfloat16):
        losses = {**model.first_losses(batch), **model.later_losses(batch)}
    assert all(value.dtype == torch.float32 and value.isfinite() for value in losses.values())
