"""Parts of RadioDiff's U-Net against their formulas."""

from __future__ import annotations

import math

import pytest
import torch
from rmtools.models.radiodiff_unet import (
    HEAD,
    HEADS,
    ChannelNorm,
    DiffusionUNet,
    FrequencyFilter,
    LinearAttention,
    RelationNet,
    StandardConv,
    TimeFeatures,
    positions,
)
from rmtools.models.swin import SIZES


@pytest.fixture(autouse=True)
def _one_thread():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # maps this small gain nothing from more
    torch.manual_seed(0)
    yield
    torch.set_num_threads(threads)


def test_filter_multiplies_frequencies():
    """By one it changes nothing; by the transform of a picture it convolves with it, cyclically."""
    layer, x, picture = FrequencyFilter(2, 4), torch.randn(3, 2, 4, 4), torch.randn(2, 4, 4)
    with torch.no_grad():
        layer.weight.copy_(torch.tensor([1.0, 0.0]).expand_as(layer.weight))
        torch.testing.assert_close(layer(x), x)
        layer.weight.copy_(torch.view_as_real(torch.fft.rfft2(picture)))
        expected = sum(
            picture[:, i, j, None, None] * x.roll((i, j), (2, 3))
            for i in range(4)
            for j in range(4)
        )
        torch.testing.assert_close(layer(x), expected, rtol=1e-4, atol=1e-4)


def test_convolutions_see_the_shape_of_their_weights_only():
    layer, x = StandardConv(3, 4, 3, padding=1), torch.randn(1, 3, 6, 6)
    before = layer(x)
    with torch.no_grad():
        layer.weight.mul_(5.0).add_(2.0)
    torch.testing.assert_close(layer(x), before, rtol=1e-3, atol=1e-3)
    assert layer(torch.ones(1, 3, 6, 6))[0, :, 2, 2].tolist() == pytest.approx(
        layer.bias.tolist(), abs=1e-4
    )


def test_channels_of_a_pixel_have_mean_0_and_variance_1():
    x = ChannelNorm(64)(3 + 2 * torch.randn(2, 64, 3, 3))
    torch.testing.assert_close(x.mean(1), torch.zeros(2, 3, 3), rtol=0, atol=1e-5)
    torch.testing.assert_close(x.var(1, correction=0), torch.ones(2, 3, 3), rtol=1e-4, atol=0)


def test_linear_attention_is_attention_with_factored_weights():
    layer, x = LinearAttention(8), torch.randn(2, 8, 3, 5)
    ways = layer.ways(layer.norm(x)).view(2, 3, HEADS, HEAD, 15)
    query, key, value = ways[:, 0].softmax(2), ways[:, 1].softmax(3), ways[:, 2]
    # weight of pixel n for pixel m, summed to one over n
    weights = torch.einsum("bhdm,bhdn->bhmn", query, key)
    torch.testing.assert_close(weights.sum(-1), torch.ones(2, HEADS, 15))
    seen = torch.einsum("bhmn,bhen->bhem", weights, value) / math.sqrt(HEAD)
    torch.testing.assert_close(layer(x), x + layer.out(seen.reshape(2, -1, 3, 5)))


def test_relation_net_shares_what_it_sees_within_a_window():
    """Without the mixture at full size the output is constant in every window."""
    net = RelationNet(6, 16, window=2).eval()
    with torch.no_grad():
        net.mix[1].weight.zero_()
    found = net(torch.randn(1, 6, 8, 8), torch.randn(1, 16, 8, 8))
    windows = found.unfold(2, 2, 2).unfold(3, 2, 2)
    torch.testing.assert_close(windows, windows[..., :1, :1].expand_as(windows))
    assert windows[..., 0, 0].std() > 1e-4


def test_relation_net_asks_for_the_city_and_answers_with_latents():
    """Equal latents everywhere: whatever is asked, their value is the answer."""
    net = RelationNet(6, 16, window=1).eval()
    with torch.no_grad():
        net.mix[1].weight.zero_()
    latents = torch.randn(1, 16, 1, 1).expand(-1, -1, 4, 4)
    answers = [net(torch.randn(1, 6, 4, 4), latents) for _ in range(2)]
    torch.testing.assert_close(*answers)


def test_every_position_is_another():
    found = positions(16, 4, 5, device=torch.device("cpu"))
    assert found.shape == (20, 16)
    assert len(found.unique(dim=0)) == 20


def test_time_is_told_by_waves_of_its_logarithm():
    layer, time = TimeFeatures(8, 6), torch.tensor([0.01, 1.0])
    seen = []
    layer.layers.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    layer(time)
    torch.testing.assert_close(seen[0][1], torch.tensor([0.0] * 4 + [1.0] * 4))
    angle = 2 * math.pi * math.log(0.01) / 4 * layer.rates.double()
    expected = torch.cat([angle.sin(), angle.cos()]).float()
    torch.testing.assert_close(seen[0][0], expected, rtol=1e-3, atol=1e-4)


def test_both_decoders_begin_at_one_middle_and_share_nothing_after_it():
    net = DiffusionUNet(3, width=16, swin=SIZES["mini"], size=32).eval()
    city = net.look(torch.randn(1, 3, 32, 32))
    noisy, time = torch.randn(1, 3, 8, 8), torch.tensor([0.5])
    with torch.no_grad():
        before = net(noisy, time, city)
        net.noise.head[0].weight.zero_()
        after = net(noisy, time, city)
        net.block2.norm2.bias.add_(1.0)
        moved = net(noisy, time, city)
    assert torch.equal(before[0], after[0])
    assert not torch.equal(before[1], after[1])
    assert all(not torch.equal(a, b) for a, b in zip(after, moved, strict=True))


def test_everything_that_is_given_counts():
    net = DiffusionUNet(3, width=16, swin=SIZES["mini"], size=32).eval()
    image, noisy, time = torch.randn(1, 3, 32, 32), torch.randn(1, 3, 8, 8), torch.tensor([0.5])
    with torch.no_grad():
        base = net(noisy, time, net.look(image))
        others = [
            net(noisy + 0.1, time, net.look(image)),
            net(noisy, time / 2, net.look(image)),
            net(noisy, time, net.look(image.roll(8, 2))),
        ]
    for other in others:
        for a, b in zip(base, other, strict=True):
            assert (a - b).abs().max() > 1e-3
