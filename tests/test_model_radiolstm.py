"""RadioLSTM against a plain restatement of its equations, frame by frame and gate by gate."""

from __future__ import annotations

import pytest
import torch
from rmtools.models.interface import count_parameters
from rmtools.models.radiolstm import ConvLSTM, RadioLSTM
from torch.nn import functional

from rmtools.errors import RecipeError

N = 12


@pytest.fixture(autouse=True)
def seed():
    torch.set_num_threads(1)  # maps this small gain nothing from more
    torch.manual_seed(0)


def small(**options):
    return RadioLSTM(**{"context": 3, "horizon": 4, "width": 4, **options})


def cell(module, x, hidden, memory):
    """Equations 7 to 12 for one frame, with one convolution of input and state together."""
    weight = torch.cat([module.of_input.weight, module.of_hidden.weight], 1)
    gates = functional.conv2d(torch.cat([x, hidden], 1), weight, module.of_input.bias, padding=1)
    width = hidden.shape[1]
    i, f, o = (gates[:, k * width : (k + 1) * width].sigmoid() for k in range(3))
    memory = f * memory + i * gates[:, 3 * width :].tanh()
    return o * memory.tanh(), memory


def plainly(model, frames, *, feed_back=False):
    """The architecture as the paper tells it."""
    batch, width = len(frames), model.width
    upper = [frames.new_zeros(batch, width, N, N)] * 2
    lower = [frames.new_zeros(batch, 2 * width, N // 2, N // 2)] * 2

    def read(frame):
        upper[:] = cell(model.encoder1, frame, *upper)
        lower[:] = cell(model.encoder2, functional.max_pool2d(upper[0], 2), *lower)

    for frame in frames.unbind(1):
        read(frame)
    below, above = list(lower), list(upper)
    made = []
    for _ in range(model.horizon):
        if made and feed_back:
            read(made[-1])
        below = cell(model.decoder2, lower[0] if feed_back else below[0], *below)
        beside = torch.cat([model.up(below[0]), upper[0]], 1)
        above = cell(model.decoder1, beside, *above)
        made.append(model.last(above[0]).sigmoid())
    return torch.stack(made, 1)


def test_parameters():
    model = RadioLSTM()
    assert count_parameters(model) == 2_690_945
    parts = (model.encoder1, model.encoder2, model.decoder2, model.decoder1, model.up, model.last)
    counts = [150_016, 885_248, 1_180_160, 442_624, 32_832, 65]
    assert [count_parameters(part) for part in parts] == counts
    assert model.convention.window == (0, 10, 5)
    assert RadioLSTM(context=8).convention.window == (2, 8, 5)


@pytest.mark.parametrize("feed_back", [False, True])
def test_frames_and_gradients_are_those_of_the_equations(feed_back):
    model = small(feed_back=feed_back).double()
    frames = torch.rand(2, 3, 1, N, N, dtype=torch.float64)
    made, expected = model(frames), plainly(model, frames, feed_back=feed_back)
    assert made.shape == (2, 4, 1, N, N)
    assert torch.allclose(made, expected, atol=1e-12)
    weight = torch.rand_like(made)
    parameters = list(model.parameters())
    ours = torch.autograd.grad((made * weight).sum(), parameters)
    theirs = torch.autograd.grad((expected * weight).sum(), parameters)
    for one, other in zip(ours, theirs, strict=True):
        assert torch.allclose(one, other, atol=1e-10)


def test_feeding_back_changes_all_frames_but_the_first():
    plain, fed = small(), small(feed_back=True)
    fed.load_state_dict(plain.state_dict())
    frames = torch.rand(1, 3, 1, N, N)
    one, other = plain(frames), fed(frames)
    assert torch.allclose(one[:, 0], other[:, 0], atol=1e-6)
    assert all(not torch.allclose(one[:, k], other[:, k], atol=1e-6) for k in range(1, 4))


@pytest.mark.parametrize("feed_back", [False, True])
def test_a_residual_begins_with_the_last_frame_and_sees_only_differences(feed_back):
    model = small(feed_back=feed_back, residual=True)
    frames = 0.5 * torch.rand(2, 3, 1, N, N)
    made = model(frames)
    last = frames[:, -1:].expand_as(made)
    assert torch.equal(made, last)
    torch.nn.init.normal_(model.last.weight)
    made = model(frames)
    assert not torch.allclose(made, last, atol=1e-3)
    shift = torch.rand(2, 1, 1, N, N)
    assert torch.allclose(model(frames + shift), made + shift, atol=1e-5)


def test_gradients_reach_every_parameter():
    model = small()
    (phase,) = model.phases()
    (turn,) = phase.turns
    batch = {"input": torch.rand(2, 3, 1, N, N), "target": torch.rand(2, 4, 1, N, N)}
    turn.loss(batch)["loss"].backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in model.parameters())
    assert len(list(turn.parameters)) == len(list(model.parameters()))


def test_a_cell_starts_as_one_convolution_would():
    module = ConvLSTM(5, 3)
    bound = (9 * 8) ** -0.5
    for parameter in module.parameters():
        assert 0.6 * bound < parameter.abs().max() <= bound


def test_alone_in_a_batch_and_saved():
    model, again = small().eval(), small().eval()
    again.load_state_dict(model.state_dict())
    frames = torch.rand(3, 3, 1, N, N)
    with torch.no_grad():
        together = model.predict({"input": frames})
        assert torch.equal(again.predict({"input": frames}), together)
        for row in range(3):
            alone = model.predict({"input": frames[[row]]})
            assert torch.allclose(alone[0], together[row], atol=1e-6)


@pytest.mark.parametrize("size", [64, 128])
def test_sizes(size):
    model = small(context=2, horizon=1, width=2)
    with torch.no_grad():
        assert model(torch.rand(1, 2, 1, size, size)).shape == (1, 1, 1, size, size)


def test_the_loss_falls():
    model = small()
    batch = {"input": torch.rand(2, 3, 1, N, N), "target": torch.rand(2, 1, 1, N, N) * 0.2}
    batch["target"] = batch["target"].expand(-1, 4, -1, -1, -1)
    loss = model.phases()[0].turns[0].loss
    optimiser = torch.optim.AdamW(model.parameters(), 2e-2)
    losses = []
    for _ in range(10):
        optimiser.zero_grad()
        value = loss(batch)["loss"]
        value.backward()
        optimiser.step()
        losses.append(value.item())
    assert losses[-1] < 0.5 * losses[0]


def test_reduced_precision():
    model = small()
    frames = torch.rand(1, 3, 1, N, N)
    with torch.autocast("cpu", torch.bfloat16):
        half = model(frames)
    assert torch.allclose(half.float(), model(frames), atol=0.02)


def test_other_tasks_are_refused():
    with pytest.raises(RecipeError, match="not for 'static'"):
        RadioLSTM("static")
