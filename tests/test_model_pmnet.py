"""PMNet: counts, sizes, batch norm, and that it learns."""

from __future__ import annotations

import pytest
import torch
from rmtools.models.interface import count_parameters
from rmtools.models.pmnet import ImageMean, PMNet
from torch import nn

from rmtools.errors import RecipeError

N = 32


@pytest.fixture(autouse=True)
def seed():
    torch.set_num_threads(1)  # maps this small gain nothing from more
    torch.manual_seed(0)


@pytest.fixture(scope="module")
def model():
    return PMNet()


def test_parameters(model):
    assert count_parameters(model) == 33_340_353
    encoder = (model.stem, model.group1, model.group2, model.group3, model.group4)
    assert sum(count_parameters(part) for part in encoder) == 12_733_440
    assert count_parameters(model.pyramid) == 8_261_120
    assert [len(part) for part in encoder[1:]] == [3, 3, 27, 3]
    # a further input: 7 x 7 to the stem and 3 x 3 beside the decoder
    assert count_parameters(PMNet("dynamic")) == 33_340_353 + 64 * 49 + 64 * 9


@pytest.mark.parametrize(
    ("stride", "deepest", "dilations"), [(16, 4, (2, 4, 8)), (8, 8, (4, 8, 16))]
)
def test_strides(stride, deepest, dilations):
    made = PMNet(stride=stride).eval()
    assert count_parameters(made) == 33_340_353
    sizes = []
    made.group4.register_forward_hook(lambda _, __, output: sizes.append(tuple(output.shape)))
    with torch.no_grad():
        assert made(torch.rand(1, 2, 64, 64)).shape == (1, 1, 64, 64)
    assert sizes == [(1, 1024, deepest, deepest)]
    assert tuple(block.branch[1][0].dilation[0] for block in made.group4) == dilations


def test_both_strides_take_the_same_weights(model):
    PMNet(stride=8).load_state_dict(model.state_dict())
    with pytest.raises(RecipeError, match="stride"):
        PMNet(stride=4)


@pytest.mark.parametrize("size", [64, 128])
def test_sizes(model, size):
    model.eval()
    with torch.no_grad():
        assert model.predict({"input": torch.rand(1, 2, size, size)}).shape == (1, 1, size, size)


def test_alone_and_in_a_batch(model):
    model.eval()
    x = torch.rand(3, 2, N, N)
    with torch.no_grad():
        together = model.predict({"input": x})
        alone = torch.cat([model.predict({"input": x[[row]]}) for row in range(3)])
    assert torch.allclose(alone, together, atol=1e-5)


def test_a_batch_of_one_map_can_be_trained_on():
    pool = ImageMean(8, 4).train()
    before = pool.norm.running_mean.clone()
    one = torch.rand(1, 8, 5, 5)
    made = pool(one)
    assert torch.equal(made, pool.eval()(one))
    assert torch.equal(pool.norm.running_mean, before)
    pool.train()(torch.rand(2, 8, 5, 5))
    assert not torch.equal(pool.norm.running_mean, before)


def test_momentum():
    norms = [m for m in PMNet(momentum=0.001).modules() if isinstance(m, nn.BatchNorm2d)]
    assert {norm.momentum for norm in norms} == {0.001}


def test_it_learns_and_is_saved():
    model = PMNet()
    batch = {"input": torch.rand(2, 2, N, N), "target": torch.rand(2, 1, N, N)}
    (turn,) = model.phases()[0].turns
    optimiser = torch.optim.Adam(turn.parameters, 1e-3)
    losses = []
    for step in range(4):
        optimiser.zero_grad()
        value = turn.loss(batch)["loss"]
        value.backward()
        if not step:
            assert all(p.grad is not None for p in model.parameters())
        optimiser.step()
        losses.append(value.item())
    assert losses[-1] < losses[0]
    again = PMNet().eval()
    again.load_state_dict(model.eval().state_dict())
    with torch.no_grad():
        assert torch.equal(again.predict(batch), model.predict(batch))
