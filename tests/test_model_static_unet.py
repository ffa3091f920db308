"""Static-UNet: pairs of frames in training, its own output in prediction."""

from __future__ import annotations

import pytest
import torch
from rmtools.models.interface import count_parameters
from rmtools.models.static_unet import StaticUNet
from torch.nn import functional

N = 64


@pytest.fixture(autouse=True)
def seed():
    torch.set_num_threads(1)  # maps this small gain nothing from more
    torch.manual_seed(0)


def batch_of(count=1, context=2, horizon=2):
    return {
        "input": torch.rand(count, context, 1, N, N),
        "target": torch.rand(count, horizon, 1, N, N),
    }


def small(**options):
    return StaticUNet(**{"context": 2, "horizon": 2, **options})


def test_parameters():
    model = StaticUNet()
    assert count_parameters(model) == 13_272_747
    assert count_parameters(model.first) == 10_920_826
    assert count_parameters(model.second) == 2_351_921
    assert count_parameters(StaticUNet(second=False)) == 10_920_826
    assert len(StaticUNet(second=False).phases()) == 1


def test_prediction_is_rolled_out_from_the_last_frame():
    model, batch = small(horizon=3).eval(), batch_of()
    with torch.no_grad():
        made = model.predict(batch)
        once = model(batch["input"][:, -1])
        assert made.shape == (1, 3, 1, N, N)
        assert torch.equal(made[:, 0], once)
        assert torch.equal(made[:, 2], model(model(once)))
        batch["input"][:, 0] = 0.0
        assert torch.equal(model.predict(batch), made)


def test_pairs_are_neighbours():
    batch = {"input": torch.arange(4.0), "target": torch.arange(4.0, 7.0)}
    batch = {k: v[None, :, None, None, None].expand(5, -1, -1, 2, 2) for k, v in batch.items()}
    now, after = small().neighbours(batch)
    assert now.shape == (30, 1, 2, 2)
    assert torch.equal(now[:6, 0, 0, 0], torch.arange(6.0))
    assert torch.equal(after, now + 1)
    now, after = small(pairs=2).neighbours(batch)
    assert now.shape == (10, 1, 2, 2)
    assert torch.equal(after, now + 1)
    assert all(len(set(pair)) == 2 for pair in now[:, 0, 0, 0].view(5, 2).tolist())
    assert len(set(now.flatten().tolist())) > 2  # not the same ones for each sequence


def test_a_residual_begins_with_the_last_frame_and_learns():
    model, batch = small(residual=True), batch_of()
    last = batch["input"][:, -1:].expand(-1, 2, -1, -1, -1)
    with torch.no_grad():
        assert torch.equal(model.predict(batch), last)
    for phase in model.phases():
        (turn,) = phase.turns
        optimiser = torch.optim.SGD(turn.parameters, 0.01)
        turn.loss(batch)["loss"].backward()
        optimiser.step()
        made = model.predict(batch)
        assert functional.mse_loss(made, batch["target"]) < functional.mse_loss(
            last, batch["target"]
        )
        last = made.detach()
    with torch.no_grad():
        model.first.last[0].bias.fill_(-20.0)
        assert model.predict(batch).min() < -1  # nothing is cut off


def test_what_each_phase_trains():
    model = small(pairs=1)
    first, second = model.phases()
    for phase, part in ((first, model.first), (second, model.second)):
        (turn,) = phase.turns
        chosen = list(turn.parameters)
        grads = torch.autograd.grad(turn.loss(batch_of())["loss"], chosen, allow_unused=True)
        assert len(chosen) == len(list(part.parameters()))
        assert all(grad is not None for grad in grads)
    batch = batch_of()
    with torch.no_grad():
        expected = functional.mse_loss(model.first(batch["input"][:, -1]), batch["target"][:, 0])
        assert torch.equal(first.check(batch), expected)
    assert second.check is None


def test_alone_in_a_batch_and_saved():
    model, again = small(second=False).eval(), small(second=False).eval()
    again.load_state_dict(model.state_dict())
    batch = batch_of(2)
    with torch.no_grad():
        together = model.predict(batch)
        assert torch.equal(again.predict(batch), together)
        alone = model.predict({"input": batch["input"][1:]})
        assert torch.allclose(alone[0], together[1], atol=1e-6)


def test_the_loss_falls():
    model, batch = small(second=False), batch_of(context=1, horizon=1)
    (turn,) = model.phases()[0].turns
    optimiser = torch.optim.Adam(turn.parameters, 1e-3)
    losses = []
    for _ in range(8):
        optimiser.zero_grad()
        value = turn.loss(batch)["loss"]
        value.backward()
        optimiser.step()
        losses.append(value.item())
    assert losses[-1] < 0.8 * losses[0]
