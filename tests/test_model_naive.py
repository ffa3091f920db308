"""The last frame, the mean map and the nearest sample."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from rmtools.models.interface import count_parameters
from rmtools.models.naive import LastFrame, MeanMap, NearestSample

from rmtools.errors import RecipeError

N = 10


def meta(rows, cols):
    ids = {key: torch.arange(len(rows)) for key in ("scene", "traj", "tx", "frame")}
    return {**ids, "tx_row": torch.tensor(rows), "tx_col": torch.tensor(cols)}


def batch_of(target, rows, cols, buildings=None, channels=2):
    made = torch.zeros(len(target), channels, N, N)
    if buildings is not None:
        made[:, 0] = buildings
    return {"input": made, "target": target, "meta": meta(rows, cols)}


def test_last_frame_repeats_the_last_frame():
    model = LastFrame(context=4, horizon=3)
    assert model.convention.window == (6, 4, 3)
    frames = torch.rand(2, 4, 1, N, N)
    made = model.predict({"input": frames})
    assert made.shape == (2, 3, 1, N, N)
    assert all(torch.equal(made[:, step], frames[:, 3]) for step in range(3))
    assert model.phases() == ()
    assert count_parameters(model) == 0


@pytest.mark.parametrize(("context", "window"), [(10, (0, 10, 5)), (8, (2, 8, 5)), (2, (8, 2, 5))])
def test_every_context_is_judged_by_the_same_frames(context, window):
    assert LastFrame(context=context).convention.window == window


@pytest.mark.parametrize("wrong", [{"context": 11}, {"context": 0}, {"horizon": 0}])
def test_a_window_has_to_fit(wrong):
    with pytest.raises(RecipeError, match="window"):
        LastFrame(**wrong)


def test_nearest_sample_against_all_distances():
    random = np.random.default_rng(0)
    mask = random.random((N, N)) < 0.1
    values = random.random((N, N)).astype(np.float32)
    planes = torch.zeros(1, 4, N, N)
    planes[0, 2], planes[0, 3] = torch.from_numpy(values * mask), torch.from_numpy(mask)
    made = NearestSample().predict({"input": planes})[0, 0].numpy()
    points = np.argwhere(mask)
    grid = np.stack(np.indices((N, N)), -1)
    squares = ((grid[:, :, None] - points) ** 2).sum(-1)
    for pixel in np.ndindex(N, N):
        equally_near = points[squares[pixel] == squares[pixel].min()]
        assert made[pixel] in {values[tuple(point)] for point in equally_near}


@pytest.mark.parametrize("task", ["static", "dynamic", "sparse", "sparse-dynamic"])
def test_the_mean_map_is_the_mean(task):
    target = torch.rand(7, 1, N, N)
    model = MeanMap(task, size=N)
    channels = len(model.convention.channels)
    batches = [
        batch_of(target[part], [0] * count, [0] * count, channels=channels)
        for part, count in ((slice(0, 4), 4), (slice(4, 7), 3))
    ]
    model.fit(iter(batches))
    made = model.predict({k: v for k, v in batches[1].items() if k != "target"})
    assert made.shape == (3, 1, N, N)
    assert torch.allclose(made, target.mean(0).expand(3, -1, -1, -1), atol=1e-6)
    assert int(model.seen) == 7


def test_the_mean_map_of_sequences():
    target = torch.rand(3, 5, 1, N, N)
    model = MeanMap("forecast", size=N)
    model.fit([{"target": target}])
    made = model.predict({"input": torch.rand(2, 10, 1, N, N)})
    assert made.shape == (2, 5, 1, N, N)
    assert torch.allclose(made[1, 4], target.mean((0, 1)), atol=1e-6)


def law(rows, cols):
    """A map that is a function of distance, and 0.1 in buildings."""
    axis = torch.arange(N)
    far = torch.stack(
        [
            torch.hypot((axis - r)[:, None].float(), (axis - c)[None].float())
            for r, c in zip(rows, cols, strict=True)
        ]
    )
    return 1 / (1 + far.round())


def test_by_distance_finds_a_law_of_distance_for_transmitters_it_has_not_seen():
    buildings = torch.zeros(N, N)
    buildings[2:4, 2:7] = 1.0
    rows, cols = [0, 9, 5, 0], [0, 9, 5, 9]
    target = torch.where(buildings > 0, 0.1, law(rows, cols))[:, None]
    model = MeanMap(by_distance=True, size=N)
    model.fit([batch_of(target, rows, cols, buildings)])
    new = batch_of(target[:2], [9, 8], [0, 7], buildings)
    expected = torch.where(buildings > 0, 0.1, law([9, 8], [0, 7]))[:, None]
    assert torch.allclose(model.predict(new), expected, atol=1e-6)
    alone = {"input": new["input"][1:], "meta": meta([8], [7])}
    assert torch.equal(model.predict(alone), model.predict(new)[1:])


def test_by_distance_fills_distances_it_has_not_seen():
    model = MeanMap(by_distance=True, size=N)
    target = law([5], [5])[:, None]
    model.fit([batch_of(target, [5], [5])])
    made = model.predict(batch_of(target, [0], [0]))
    assert made[0, 0, 9, 9] == target.min()  # further than anything seen
    assert torch.isfinite(made).all()


def test_the_mean_is_saved_with_the_weights():
    model, again = MeanMap(size=N), MeanMap(size=N)
    model.fit([{"target": torch.rand(2, 1, N, N)}])
    again.load_state_dict(model.state_dict())
    batch = {"input": torch.zeros(1, 2, N, N)}
    assert torch.equal(again.predict(batch), model.predict(batch))


def test_what_cannot_be_done_is_named():
    with pytest.raises(RecipeError, match="Train it first"):
        MeanMap(size=N).predict({"input": torch.zeros(1, 2, N, N)})
    with pytest.raises(RecipeError, match="size="):
        MeanMap(size=N).fit([{"target": torch.zeros(1, 1, N, N + 1)}])
    with pytest.raises(RecipeError, match="no training maps"):
        MeanMap(size=N).fit([])
    with pytest.raises(RecipeError, match="by_distance"):
        MeanMap("forecast", by_distance=True)
