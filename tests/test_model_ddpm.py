"""Diffusion: the schedule, adding noise, and samplers against closed forms."""

from __future__ import annotations

import math

import numpy as np
import pytest

from rmtools.errors import RecipeError

torch = pytest.importorskip("torch")

from rmtools.models.ddpm import Diffusion, times  # noqa: E402

SAMPLERS = ("ddim", "ddpm", "dpm-solver")


def draws(seed):
    def draw(number):
        return torch.randn(3, 1, 4, 4, generator=torch.Generator().manual_seed(seed + number))

    return draw


def run(diffusion, network, start, steps, sampler, **options):
    draw = draws(5) if sampler == "ddpm" else None
    return diffusion.sample(network, start, steps=steps, sampler=sampler, draw=draw, **options)


def alpha_bars():
    return np.cumprod(1 - np.linspace(1e-4, 0.02, 1000))


def constant(value):
    def network(x, t):
        return value.expand_as(x)

    return network


def test_schedule_is_the_linear_one():
    diffusion = Diffusion()
    signal, noise = np.array(diffusion.factors).T
    np.testing.assert_allclose(signal**2, alpha_bars(), rtol=1e-12)
    np.testing.assert_allclose(signal**2 + noise**2, 1.0, rtol=1e-12)
    assert not list(diffusion.state_dict())


def test_noise_is_added_as_the_equation_says():
    diffusion = Diffusion()
    clean, eps = torch.rand(2, 1, 3, 3), torch.randn(2, 1, 3, 3)
    noisy = diffusion.add_noise(clean, torch.tensor([0, 700]), eps)
    for number, t in enumerate((0, 700)):
        bar = alpha_bars()[t]
        expected = math.sqrt(bar) * clean[number] + math.sqrt(1 - bar) * eps[number]
        torch.testing.assert_close(noisy[number], expected)


@pytest.mark.parametrize("sampler", SAMPLERS)
@pytest.mark.parametrize("steps", [1, 2, 17])
def test_a_network_that_knows_the_map_gives_the_map(sampler, steps):
    diffusion = Diffusion()
    clean, start = torch.rand(3, 1, 4, 4), torch.randn(3, 1, 4, 4)

    def oracle(x, t):
        signal, noise = diffusion.signal[t], diffusion.noise[t]
        return (x - signal.view(-1, 1, 1, 1) * clean) / noise.view(-1, 1, 1, 1)

    drawn = run(diffusion, oracle, start, steps, sampler)
    torch.testing.assert_close(drawn, clean, atol=1e-3, rtol=0)


@pytest.mark.parametrize("sampler", ["ddim", "dpm-solver"])
def test_a_network_that_knows_the_noise_gives_the_map(sampler):
    diffusion = Diffusion()
    clean, eps = torch.rand(3, 1, 4, 4), torch.randn(3, 1, 4, 4)
    start = diffusion.add_noise(clean, torch.full((3,), 999), eps)
    drawn = run(diffusion, constant(eps), start, 20, sampler)
    torch.testing.assert_close(drawn, clean, atol=2e-3, rtol=0)


def test_ddpm_steps_are_the_posterior_of_its_paper():
    """Eq. 6 and 7 of DDPM, coefficient by coefficient, over a whole chain."""
    diffusion, bars = Diffusion(), alpha_bars()
    clean, start = torch.rand(3, 1, 4, 4), torch.randn(3, 1, 4, 4)
    seen = []

    def oracle(x, t):
        seen.append(x)
        return (x - diffusion.signal[t[0]] * clean) / diffusion.noise[t[0]]

    run(diffusion, oracle, start, 1000, "ddpm")
    for number, t in enumerate(range(999, 0, -1)):
        bar, bar_after = bars[t], bars[t - 1]
        beta = 1 - bar / bar_after
        mean = math.sqrt(bar_after) * beta / (1 - bar) * clean
        mean = mean + math.sqrt(1 - beta) * (1 - bar_after) / (1 - bar) * seen[number]
        deviation = math.sqrt((1 - bar_after) / (1 - bar) * beta)
        torch.testing.assert_close(
            seen[number + 1], mean + deviation * draws(5)(number), atol=1e-5, rtol=1e-4
        )


def gaussian_error(sampler, steps):
    """Distance from the exact flow, for data N(0.4, 0.3^2), whose best network is known."""
    diffusion, mean, variance = Diffusion(), 0.4, 0.09
    start = torch.linspace(-2, 2, 5, dtype=torch.float64).view(5, 1)
    seen = []

    def best(x, t):
        signal, noise = diffusion.factors[int(t[0])]
        seen.append((signal, noise))
        return noise * (x - signal * mean) / (signal**2 * variance + noise**2)

    drawn = diffusion.sample(best, start, steps=steps, sampler=sampler)
    signal, noise = seen[0]
    z = (start - signal * mean) / math.sqrt(signal**2 * variance + noise**2)
    signal, noise = seen[-1]
    last = signal * mean + math.sqrt(signal**2 * variance + noise**2) * z
    gain = signal * variance / (signal**2 * variance + noise**2)
    return float((drawn - (mean + gain * (last - signal * mean))).abs().max())


def test_samplers_follow_the_flow_with_the_order_they_have():
    ddim = [gaussian_error("ddim", steps) for steps in (21, 41)]
    solver = [gaussian_error("dpm-solver", steps) for steps in (21, 41)]
    assert ddim[0] / ddim[1] == pytest.approx(2, rel=0.3)
    assert solver[0] / solver[1] > 3.5
    assert solver[1] < 0.3 * ddim[1]


def test_estimates_stay_in_their_limits():
    diffusion = Diffusion()
    drawn = diffusion.sample(
        constant(torch.zeros(1)), torch.randn(2, 1, 4, 4), steps=5, limits=(0.0, 1.0)
    )
    assert drawn.min() >= 0
    assert drawn.max() <= 1
    assert drawn.max() > drawn.min()


def test_steps_run_from_the_last_to_the_first():
    assert times(1) == [999]
    assert times(1000) == list(range(999, -1, -1))
    assert times(3, first=200) == [200, 100, 0]
    fifty = times(50)
    assert (fifty[0], fifty[-1], len(set(fifty))) == (999, 0, 50)


def test_what_cannot_be_sampled_is_refused():
    diffusion, start = Diffusion(), torch.zeros(1, 1, 2, 2)
    for steps in (0, 1001):
        with pytest.raises(RecipeError, match=r"Take 1 to 1000"):
            diffusion.sample(constant(torch.zeros(1)), start, steps=steps)
    with pytest.raises(RecipeError, match=r"Take 1 to 201"):
        diffusion.sample(constant(torch.zeros(1)), start, steps=202, first=200)
    with pytest.raises(RecipeError, match="random numbers"):
        diffusion.sample(constant(torch.zeros(1)), start, sampler="ddpm")
