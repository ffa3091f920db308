"""RMDM's physics loss against functions whose Laplacian is known."""

from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

torch = pytest.importorskip("torch")

from rmtools.models.helmholtz import laplacian, physics_losses, roughness  # noqa: E402

N = 12
NOWHERE = torch.zeros(1, 1, N, N, dtype=torch.bool)


def axes():
    row = torch.arange(N, dtype=torch.float64).view(1, 1, N, 1)
    return row, row.transpose(2, 3)


@settings(deadline=None)
@given(*[st.floats(-2, 2) for _ in range(6)])
def test_laplacian_of_a_quadratic_is_constant(a, b, c, d, e, f):
    row, col = axes()
    u = a * row**2 + b * col**2 + c * row * col + d * row + e * col + f
    found = laplacian(u)
    assert found.shape == (1, 1, N - 2, N - 2)
    torch.testing.assert_close(found, torch.full_like(found, 2 * a + 2 * b), atol=1e-9, rtol=0)


@pytest.mark.parametrize(("inside", "k"), [(False, 0.2), (True, 1.0)])
def test_waves_of_the_medium_cost_nothing(inside, k):
    """On the grid cos(w x) has second differences -(2 - 2 cos w) cos(w x)."""
    _, col = axes()
    medium = torch.full((1, 1, N, N), inside)
    wave = torch.cos(2 * math.asin(k / 2) * col + 0.3).expand(1, 1, N, N)
    assert float(physics_losses(wave, medium, NOWHERE)["pde"]) < 1e-10
    assert float(physics_losses(wave, ~medium, NOWHERE)["pde"]) > 1e-3


def test_a_constant_map_costs_what_can_be_counted_by_hand():
    u = torch.full((2, 1, N, N), 0.5)
    buildings, transmitter = torch.zeros(2, 2, 1, N, N, dtype=torch.bool)
    buildings[0, 0, 2:5, 2:6] = True
    buildings[1, 0, 0, 0] = True  # no interior pixel
    transmitter[:, 0, 7, 7] = True
    found = physics_losses(u, buildings, transmitter)
    share = 12 / (2 * (N - 2) ** 2)
    assert float(found["pde"]) == pytest.approx(0.25 * (share + (1 - share) * 0.2**4))
    assert float(found["bc"]) == pytest.approx(0.25)
    assert float(found["source"]) == pytest.approx(0.25)


def test_only_buildings_and_transmitters_count():
    u = torch.rand(1, 1, N, N)
    buildings, transmitter = NOWHERE.clone(), NOWHERE.clone()
    buildings[..., 3, 3:5] = True
    transmitter[..., 8, 1] = True
    found = physics_losses(u, buildings, transmitter)
    corner = u[0, 0, 3, 3:5]
    assert float(found["bc"]) == pytest.approx(float(corner.square().mean()))
    assert float(found["source"]) == pytest.approx((float(u[0, 0, 8, 1]) - 1) ** 2)


def test_no_buildings_and_no_transmitter_cost_nothing():
    found = physics_losses(torch.rand(1, 1, N, N), NOWHERE, NOWHERE)
    assert float(found["bc"]) == 0
    assert float(found["source"]) == 0


def test_roughness_is_that_of_a_slope():
    row, col = axes()
    assert float(roughness(0.3 * row - 0.1 * col)) == pytest.approx(0.3**2 + 0.1**2, rel=1e-5)
    assert float(roughness(torch.ones(1, 1, N, N))) == 0
