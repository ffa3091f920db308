"""Kriging, RBF and KNN against their libraries, closed forms and what they reproduce exactly."""

from __future__ import annotations

import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from rmtools.models.interpolators import KNN, RBF, Kriging

from rmtools.errors import MissingError, RecipeError

N = 12
ALL = [Kriging, RBF, KNN]
ROWS, COLS = np.indices((N, N))


def scattered(seed, count, n=N):
    chosen = np.random.default_rng(seed).choice(n * n, count, replace=False)
    return np.column_stack(np.unravel_index(chosen, (n, n))).astype(np.float64)


def at(made, points):
    rows, cols = points.astype(int).T
    return made[rows, cols]


def batch_of(maps, points, buildings=None):
    """A batch in the convention: buildings, transmitter, samples, mask."""
    made = torch.zeros(len(maps), 4, N, N)
    for row, (values, places) in enumerate(zip(maps, points, strict=True)):
        r, c = torch.as_tensor(places).long().T
        made[row, 3, r, c] = 1.0
        made[row, 2] = torch.as_tensor(values, dtype=torch.float32) * made[row, 3]
        if buildings is not None:
            made[row, 0] = torch.as_tensor(buildings)
    return {"input": made}


@pytest.mark.parametrize("model", ALL)
@given(seed=st.integers(0, 10_000), count=st.integers(1, 40))
@settings(max_examples=20, deadline=None)
def test_the_samples_keep_their_values(model, seed, count):
    points = scattered(seed, count)
    values = np.random.default_rng(seed + 1).random(count)
    made = model().interpolate(points, values, N)
    assert made.dtype == np.float64
    assert np.allclose(at(made, points), values, atol=1e-6)


@pytest.mark.parametrize("variogram", ["linear", "power", "spherical", "exponential"])
def test_kriging_equals_pykrige(variogram):
    from pykrige.ok import OrdinaryKriging

    points = scattered(0, 30)
    values = np.sin(points[:, 0]) + 0.1 * points[:, 1]
    axis = np.arange(N, dtype=np.float64)
    system = OrdinaryKriging(points[:, 1], points[:, 0], values, variogram_model=variogram)
    expected = system.execute("grid", axis, axis)[0]
    made = Kriging(variogram=variogram).interpolate(points, values, N)
    assert np.allclose(made, expected, atol=1e-10)


def test_kriging_of_two_samples_is_the_line_between_them():
    """With the linear variogram weights are 1/2 + (d2 - d1) / (2 d12)."""
    points, values = np.array([[2.0, 3.0], [2.0, 9.0]]), np.array([1.0, 4.0])
    made = Kriging().interpolate(points, values, N)
    near, far = (np.hypot(ROWS - 2, COLS - col) for col in (3, 9))
    assert np.allclose(made, 1.0 + 3.0 * (0.5 + (near - far) / 12), atol=1e-12)
    assert np.allclose(made[2, 3:10], np.linspace(1.0, 4.0, 7))


def test_a_pure_nugget_gives_the_mean_everywhere_but_at_samples():
    points, values = scattered(3, 10), np.arange(10.0)
    made = Kriging(variogram="linear", parameters=(0.0, 1.0)).interpolate(points, values, N)
    elsewhere = np.ones((N, N), bool)
    elsewhere[tuple(points.astype(int).T)] = False
    assert np.allclose(made[elsewhere], 4.5)
    assert np.allclose(at(made, points), values)


def test_rbf_equals_a_hand_made_system():
    points = scattered(5, 15)
    values = np.random.default_rng(6).random(15)
    epsilon, smoothing = 0.3, 0.05
    kernel = -np.sqrt(1 + epsilon**2 * ((points[:, None] - points) ** 2).sum(-1))
    system = np.block(
        [[kernel + smoothing * np.eye(15), np.ones((15, 1))], [np.ones((1, 15)), np.zeros((1, 1))]]
    )
    weights = np.linalg.solve(system, np.append(values, 0.0))
    grid = np.stack([ROWS, COLS], -1)[:, :, None]
    spread = -np.sqrt(1 + epsilon**2 * ((grid - points) ** 2).sum(-1))
    made = RBF(epsilon=epsilon, smoothing=smoothing).interpolate(points, values, N)
    assert np.allclose(made, spread @ weights[:-1] + weights[-1], atol=1e-9)
    assert not np.allclose(at(made, points), values, atol=1e-3)


def test_rbf_with_a_plane_reproduces_planes():
    points = scattered(7, 9)
    plane = 0.2 + 0.03 * ROWS - 0.05 * COLS
    made = RBF(degree=1).interpolate(points, at(plane, points), N)
    assert np.allclose(made, plane, atol=1e-9)
    assert not np.allclose(RBF().interpolate(points, at(plane, points), N), plane, atol=1e-3)


def test_knn_is_the_mean_weighted_by_inverse_distance():
    points, values = scattered(8, 20), np.random.default_rng(9).random(20)
    made = KNN(neighbours=3).interpolate(points, values, N)
    place = np.array([0.0, 0.0])
    while (points == place).all(1).any():
        place += 1.0
    far = np.hypot(*(points - place).T)
    chosen = np.argsort(far)[:3]
    expected = (values[chosen] / far[chosen]).sum() / (1 / far[chosen]).sum()
    assert made[tuple(place.astype(int))] == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("model", ALL)
@pytest.mark.parametrize("count", [1, 2, 3, 7])
def test_equal_samples_give_a_constant_map(model, count):
    made = model().interpolate(scattered(count, count), np.full(count, 0.3), N)
    assert np.allclose(made, 0.3, atol=1e-9)


@pytest.mark.parametrize("model", [*ALL, lambda: RBF(degree=1)])
def test_samples_on_a_line(model):
    points = np.column_stack([np.arange(6.0), 2 * np.arange(6.0)])
    values = np.array([0.1, 0.5, 0.2, 0.9, 0.4, 0.3])
    made = model().interpolate(points, values, N)
    assert np.isfinite(made).all()
    assert np.allclose(at(made, points), values, atol=1e-6)


def test_a_singular_system_is_named_and_can_be_solved():
    points, values = scattered(1, 5), np.arange(5.0)
    flat = {"variogram": "linear", "parameters": (0.0, 0.0)}
    with pytest.raises(RecipeError, match="pseudo_inverse"):
        Kriging(**flat).interpolate(points, values, N)
    made = Kriging(**flat, pseudo_inverse=True).interpolate(points, values, N)
    assert np.isfinite(made).all()
    with pytest.raises(RecipeError, match="smoothing"):
        RBF(kernel="gaussian", epsilon=1e-12).interpolate(points, values, N)


def test_buildings_get_the_weakest_value():
    points = [scattered(2, 10)]
    buildings = np.zeros((N, N))
    buildings[3:6, 4:8] = 1.0
    batch = batch_of([np.full((N, N), 0.5)], points, buildings)
    with_rule, without = KNN().predict(batch), KNN(buildings_weakest=False).predict(batch)
    assert torch.equal(with_rule[0, 0] == 0.0, torch.as_tensor(buildings) > 0)
    assert torch.allclose(without, torch.tensor(0.5))


@pytest.mark.parametrize("model", ALL)
@pytest.mark.parametrize("task", ["sparse", "sparse-dynamic"])
def test_a_map_alone_and_in_a_batch_and_in_threads(model, task):
    points = [scattered(seed, 8 + seed) for seed in range(3)]
    maps = [np.random.default_rng(seed).random((N, N)) for seed in range(3)]
    batch = batch_of(maps, points)
    made = model(task)
    if task == "sparse-dynamic":
        batch["input"] = torch.cat([batch["input"], torch.zeros(3, 1, N, N)], 1)
    together = made.predict(batch)
    assert together.shape == (3, 1, N, N)
    assert together.dtype == torch.float32
    with ThreadPoolExecutor(3) as pool:
        alone = pool.map(made.predict, [{"input": batch["input"][[row]]} for row in range(3)])
        assert torch.equal(together, torch.cat(list(alone)))


def test_a_sample_of_value_zero_counts():
    points = np.array([[2.0, 2.0], [8.0, 8.0]])
    values = np.ones((N, N))
    values[2, 2] = 0.0
    made = KNN(neighbours=1).predict(batch_of([values], [points]))
    assert made[0, 0, 0, 0] == 0.0
    assert made[0, 0, -1, -1] == 1.0


def test_bad_input_is_named():
    with pytest.raises(RecipeError, match="no samples"):
        KNN().predict({"input": torch.zeros(1, 4, N, N)})
    with pytest.raises(RecipeError, match="hole-effect"):
        Kriging(variogram="hole-effect")
    with pytest.raises(RecipeError, match="Give 3"):
        Kriging(parameters=(1.0, 0.0))
    with pytest.raises(RecipeError, match="degree 2"):
        RBF(degree=2)
    with pytest.raises(RecipeError, match="neighbours"):
        KNN(neighbours=0)
    with pytest.raises(RecipeError, match="not for 'static'"):
        KNN("static")


@pytest.mark.parametrize(("model", "module"), [(Kriging, "pykrige"), (KNN, "sklearn")])
def test_a_missing_package_is_named(model, module, monkeypatch):
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(MissingError, match="pip install"):
        model()
