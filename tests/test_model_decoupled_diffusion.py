"""Decoupled diffusion against closed forms: perfect networks draw what they should."""

from __future__ import annotations

import math

import pytest
import torch
from rmtools.models.decoupled_diffusion import diffuse, loss_weights, precondition, sample


def draws(shape, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return lambda _: torch.randn(shape, generator=generator, dtype=torch.float64)


def test_data_fades_linearly_and_noise_grows_as_a_root():
    clean, noise = torch.randn(2, 3, 4, 4, 4).unbind()
    time = torch.tensor([0.0, 0.25, 1.0])
    noisy = diffuse(clean, noise, time)
    assert torch.equal(noisy[0], clean[0])
    torch.testing.assert_close(noisy[1], 0.75 * clean[1] + 0.5 * noise[1])
    assert torch.equal(noisy[2], noise[2])


@pytest.mark.parametrize("steps", [1, 2, 7, 50])
def test_a_network_that_knows_the_map_gets_it_back(steps):
    clean = draws((5, 3, 4, 4), seed=1)(0)

    def network(z, time):
        t = time[:, None, None, None]
        return -clean, (z - (1 - t) * clean) / t.sqrt()

    found = sample(network, draws((5, 3, 4, 4)), steps)
    torch.testing.assert_close(found, clean, rtol=1e-9, atol=1e-9)


def test_on_the_way_back_the_distribution_is_that_of_the_way_forth():
    """With a known map, z at t is normal with mean (1 - t) z_0 and variance t (equation 15)."""
    clean, seen = 3.0, {}

    def network(z, time):
        t = time[:, None]
        seen[round(time[0].item(), 6)] = (z.mean().item(), z.var().item())
        return torch.full_like(z, -clean), (z - (1 - t) * clean) / t.sqrt()

    sample(network, draws((50_000, 1)), 4)
    assert seen.keys() == {1.0, 0.75, 0.5, 0.25}
    for t, (mean, variance) in seen.items():
        assert mean == pytest.approx((1 - t) * clean, abs=0.02)
        assert variance == pytest.approx(t, rel=0.03)


@pytest.mark.parametrize(("steps", "share"), [(1, 0.0), (1000, 1.0)])
def test_the_best_network_draws_the_distribution_in_many_steps_and_its_mean_in_one(steps, share):
    """Data are normal; the best estimates of C and e are then linear in z_t."""
    mean, variance = 1.5, 0.3

    def network(z, time):
        t = time[:, None]
        fade = 1 - t
        clean = mean + fade * variance / (fade**2 * variance + t) * (z - fade * mean)
        return -clean, (z - fade * clean) / t.sqrt()

    found = sample(network, draws((20_000, 1)), steps)
    assert found.mean().item() == pytest.approx(mean, abs=0.02)
    assert found.var().item() == pytest.approx(share * variance, rel=0.05, abs=1e-9)


@pytest.mark.parametrize("sign", [-1, 1])
def test_what_is_known_at_both_ends_does_not_depend_on_the_network(sign):
    outputs, noisy = torch.randn(2, 2, 3), torch.randn(2, 3)
    drift, noise = precondition(*outputs, noisy, torch.tensor([0.0, 1.0]), sign=sign)
    assert torch.equal(drift[0], sign * noisy[0])  # -1: z_0 is there, C = -z_0
    assert torch.equal(noise[1], noisy[1])
    torch.testing.assert_close(noise[0], outputs[1][0])
    torch.testing.assert_close(drift[1], outputs[0][1] / math.sqrt(2))


def test_between_the_ends_estimates_are_as_published():
    t, z, f1, f2 = 0.36, 2.0, 0.5, -1.0
    tensors = (torch.tensor([[value]]) for value in (f1, f2, z))
    drift, noise = precondition(*tensors, torch.tensor([t]))
    root = math.sqrt(t * t + 1)
    assert drift.item() == pytest.approx(-0.64 * z + t / root * f1)
    assert noise.item() == pytest.approx(0.6 * z + 0.8 / root * f2)


def test_weights_of_the_losses():
    drift, noise = loss_weights(torch.tensor([0.0, 0.25, 1.0]))
    torch.testing.assert_close(drift, torch.tensor([2 * math.e, 2 * math.exp(0.75), 2.0]))
    torch.testing.assert_close(noise, torch.tensor([1.0, math.exp(0.5), math.e]))
