"""RadioDUN: the counts of the paper, its equations restated in NumPy, closed forms of its loss."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from scipy.ndimage import correlate

from rmtools.errors import RecipeError
from rmtools.layouts.conventions import find_convention

torch = pytest.importorskip("torch")

from rmtools.models.channel_attention import ChannelAttention, ChannelNorm  # noqa: E402
from rmtools.models.interface import count_parameters  # noqa: E402
from rmtools.models.radiodun import (  # noqa: E402
    CBAM,
    GradientDescent,
    RadioDUN,
    Reweighting,
    Sampling,
    shadowing_loss,
    soft,
)
from torch import nn  # noqa: E402
from torch.utils.flop_counter import FlopCounterMode  # noqa: E402

from rmtools import models  # noqa: E402

if TYPE_CHECKING:
    from rmtools.types import FloatArray

N, S = 32, 5


def make_batch(n: int = N, samples: int = S, *, factors: int = 3, maps: int = 3) -> dict[str, Any]:
    """Smooth maps that fall off from a corner, with boxes for buildings and vehicles."""
    draw = torch.Generator().manual_seed(n + samples)
    far = torch.arange(n).float().square()
    distance = 1 - (far[:, None] + far[None, :]).sqrt().log1p() / np.log1p(n * 2**0.5)
    target = torch.rand(maps, 1, 1, 1, generator=draw) * distance.expand(maps, 1, n, n)
    mask = torch.zeros(maps, n * n, dtype=torch.bool)
    for row in mask:
        row[torch.randperm(n * n, generator=draw)[:samples]] = True
    mask = mask.view(maps, 1, n, n)
    obstacles = (torch.rand(maps, factors - 1, n, n, generator=draw) < 0.2).float()
    given = torch.cat([target * mask, distance.expand(maps, 1, n, n), obstacles], 1)
    return {"input": given, "target": target, "mask": mask}


def small(**options: Any) -> RadioDUN:
    """Two blocks for small maps, always the same."""
    torch.manual_seed(3)
    return RadioDUN(**{"blocks": 2, "samples": S, "size": N, **options})


def numpy(x: torch.Tensor) -> FloatArray:
    return x.detach().numpy().astype(np.float64)


def convolved(conv: nn.Conv2d, x: FloatArray) -> FloatArray:
    """What a convolution with stride 1 gives for one (C, n, n), by scipy's correlation."""
    weight = numpy(conv.weight)
    bias = np.zeros(len(weight)) if conv.bias is None else numpy(conv.bias)
    groups = np.split(x, conv.groups)
    per = len(weight) // conv.groups
    return np.stack(
        [
            bias[o]
            + sum(
                correlate(plane, kernel, mode="constant")
                for plane, kernel in zip(groups[o // per], weight[o], strict=True)
            )
            for o in range(len(weight))
        ]
    )


def leaky(x: FloatArray) -> FloatArray:
    return np.where(x > 0, x, 0.1 * x)


def pair(convs: nn.Sequential, x: FloatArray) -> FloatArray:
    return convolved(convs[2], leaky(convolved(convs[0], x)))


# ---- counts


@pytest.mark.parametrize(
    ("blocks", "released"),
    [(1, 5_968_542), (2, 11_344_942), (3, 16_721_342), (4, 22_097_742), (5, 27_474_142)],
)
def test_every_weight_of_the_released_module_but_the_dead_ones(blocks: int, released: int) -> None:
    with torch.device("meta"):
        model = RadioDUN(blocks=blocks)
    fourth_head, after_attention, first_gate = 4_945, 558_208, 5_109
    dead = blocks * (fourth_head + after_attention) + first_gate
    assert count_parameters(model, trainable=True) == count_parameters(model) == released - dead
    printed = {2: 9.62, 3: 14.43, 4: 19.24, 5: 24.05}.get(blocks)
    if printed is not None:  # the paper cuts the digits off, or rounds: 9.6237, 14.4370, 19.2502
        assert model.paper_count / 1e6 == pytest.approx(printed, abs=0.015)


def test_the_counts_by_part() -> None:
    with torch.device("meta"):
        model, without = RadioDUN(), RadioDUN("sparse")
    assert count_parameters(model) == 15_026_774
    assert model.paper_count == 14_436_950
    assert count_parameters(without) == 15_010_875
    first, second = model.blocks[0], model.blocks[1]
    assert count_parameters(first.descent) + 4_945 == 19_781  # with a head that is never used
    assert [count_parameters(b.reweighting) for b in model.blocks] == [4_949, 10_058, 10_058]
    assert count_parameters(second.proximal) + 558_208 == 5_346_561  # what follows attention
    assert count_parameters(model.initialisation) + count_parameters(model.shadowing) == 2_318
    assert model.phi_t.shape == (65_536, 9)


@pytest.mark.parametrize(("blocks", "printed"), [(2, 26.84), (3, 40.44), (4, 54.04), (5, 67.64)])
def test_the_paper_s_operations_to_two_percent(blocks: int, printed: float) -> None:
    with torch.device("meta"):
        model = RadioDUN(blocks=blocks).eval()
        given = torch.zeros(1, 4, 256, 256), torch.zeros(1, 9, dtype=torch.int64)
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        model(*given)
    assert counter.get_total_flops() / 1e9 == pytest.approx(printed, rel=0.02)


# ---- equations


def test_the_soft_threshold() -> None:
    x = torch.tensor([-3.0, -1.0, -0.5, 0.0, 0.5, 1.0, 3.0])
    threshold = torch.tensor(1.0, requires_grad=True)
    out = soft(x, threshold)
    assert out.tolist() == [-2.0, 0.0, 0.0, 0.0, 0.0, 0.0, 2.0]
    out.abs().sum().backward()
    assert threshold.grad == -2.0  # it is learned: two values are beyond it


def test_samples_are_read_row_by_row() -> None:
    model = small()
    batch = make_batch()
    places = model.places(batch["mask"])
    values = Sampling(places, model.phi_t, places).take(batch["target"])
    for mask, target, row in zip(batch["mask"], batch["target"], values, strict=True):
        assert row.tolist() == target.numpy()[mask.numpy()].tolist()


def test_a_descent_with_the_true_transpose_halves_the_error_at_every_factor() -> None:
    descent = GradientDescent(3)
    descent.before = descent.behind = nn.ModuleList([nn.Identity()] * 3)
    nn.init.zeros_(descent.threshold)
    n, places = 8, torch.tensor([[3, 20, 41]])
    phi_t = torch.zeros(n * n, 3)
    phi_t[places[0], range(3)] = 1.0
    factors = list(torch.rand(3, 1, 1, n, n))
    y = torch.tensor([[0.3, -1.0, 2.0]])
    sampling = Sampling(places, phi_t, y)
    moved = descent(factors, sum(factors), sampling)
    error = sampling.take(sum(factors)) - y
    torch.testing.assert_close(sampling.take(sum(moved)) - y, error / 8)
    torch.testing.assert_close(sampling.take(moved[1] - factors[1]), -error / 4)
    elsewhere = [p for p in range(n * n) if p not in places]
    for before, after in zip(factors, moved, strict=True):
        assert torch.equal(before.flatten()[elsewhere], after.flatten()[elsewhere])


def test_a_descent_restated_in_numpy() -> None:
    torch.manual_seed(1)
    n, places = 9, torch.tensor([[4, 33, 70, 80]])
    descent = GradientDescent(2)
    phi_t, y = torch.randn(n * n, 4), torch.randn(1, 4)
    factors, x = list(torch.randn(2, 1, 1, n, n)), torch.randn(1, 1, n, n)
    moved = descent(factors, x, Sampling(places, phi_t, y))

    phi = np.eye(n * n)[places[0]]
    current = numpy(x).ravel()
    for i, (before, after) in enumerate(zip(factors, moved, strict=True)):
        old = numpy(before).ravel()
        new = old - 0.5 * numpy(phi_t) @ (phi @ current - numpy(y)[0])
        feature = pair(descent.before[i], new.reshape(1, n, n))
        feature = np.sign(feature) * np.maximum(np.abs(feature) - 0.01, 0)
        expected = pair(descent.behind[i], feature).ravel()
        np.testing.assert_allclose(numpy(after).ravel(), expected, atol=1e-5)
        current = current + expected - old


def test_cbam_and_the_gate_restated_in_numpy() -> None:
    torch.manual_seed(2)
    module = Reweighting(3, first=False).eval()
    factors, previous = torch.randn(1, 3, 7, 7), torch.randn(1, 16, 7, 7)
    rough, feature = module(factors, previous)

    cbam = module.refine[0]
    assert isinstance(cbam, CBAM)
    first, last = cbam.channels[0], cbam.channels[2]

    def scores(v: FloatArray) -> FloatArray:
        hidden = leaky(numpy(first.weight) @ v + numpy(first.bias))
        return numpy(last.weight) @ hidden + numpy(last.bias)

    def sigmoid(x: FloatArray) -> FloatArray:
        return 1 / (1 + np.exp(-x))

    v = numpy(previous)[0]
    v = v * sigmoid(scores(v.mean((1, 2))) + scores(v.max((1, 2))))[:, None, None]
    pixels = convolved(cbam.pixels[0], np.stack([v.mean(0), v.max(0)])) / np.sqrt(1 + 1e-5)
    refined = pair(module.refine[1], v * sigmoid(pixels))
    mix, lift = module.feature
    own = pair(lift, convolved(mix, numpy(factors)[0]))
    gated = own * sigmoid(convolved(module.scale, refined)) + convolved(module.shift, refined)
    expected = pair(module.last, np.sign(gated) * np.maximum(np.abs(gated) - 0.01, 0))
    np.testing.assert_allclose(numpy(feature)[0], own, atol=1e-5)
    np.testing.assert_allclose(numpy(rough)[0], expected, atol=1e-5)


def test_channel_attention_restated_in_numpy() -> None:
    torch.manual_seed(4)
    attention = ChannelAttention(8, 2, temperature=True)
    nn.init.constant_(attention.temperature, 3.0)
    query, source = torch.randn(2, 1, 8, 6, 5)
    q, k, v = (
        convolved(convs[1], convolved(convs[0], numpy(x)[0])).reshape(2, 4, 30)
        for convs, x in (
            (attention.query, query),
            (attention.key, source),
            (attention.value, source),
        )
    )
    cosines = q @ k.transpose(0, 2, 1)
    cosines /= np.linalg.norm(q, axis=2)[:, :, None] * np.linalg.norm(k, axis=2)[:, None, :]
    weights = np.exp(3 * cosines)
    expected = weights / weights.sum(2, keepdims=True) @ v
    result = numpy(attention(query, source))
    np.testing.assert_allclose(result.reshape(2, 4, 30), expected, atol=1e-5)


def test_channel_norm_is_of_each_pixel() -> None:
    x = torch.randn(2, 8, 3, 3) * torch.rand(2, 1, 3, 3).mul(9).add(1)
    normed = ChannelNorm(8)(x)
    torch.testing.assert_close(normed.mean(1), torch.zeros(2, 3, 3), atol=1e-6, rtol=0)
    torch.testing.assert_close(normed.var(1, correction=0), torch.ones(2, 3, 3), atol=1e-3, rtol=0)


def test_closed_forms_of_the_shadowing_loss() -> None:
    target, output, shadowing = torch.rand(3, 4, 1, 9, 9, dtype=torch.float64)
    error = target - output
    mse = error.square().mean()
    flat = torch.full_like(target, 0.7)
    torch.testing.assert_close(shadowing_loss(target, output, flat), mse)
    shifted = shadowing + torch.rand(4, 1, 1, 1, dtype=torch.float64)
    torch.testing.assert_close(
        shadowing_loss(target, output, shifted), shadowing_loss(target, output, shadowing)
    )
    # least where the shadowing map is minus half the error: its variance counts half
    best = shadowing_loss(target, output, -error / 2)
    mean = error.mean((1, 2, 3)).square().mean()
    torch.testing.assert_close(best, mean + (mse - mean) / 2)
    assert shadowing_loss(target, output, shadowing) > best


def test_the_loss_is_the_sum_of_its_parts() -> None:
    model, batch = small(), make_batch()
    losses = model.losses(batch)
    output, shadowing = model(batch["input"], model.places(batch["mask"]))
    mse = (output - batch["target"]).square().mean()
    torch.testing.assert_close(losses["mse"], mse)
    expected = mse + shadowing_loss(batch["target"], output, shadowing)
    torch.testing.assert_close(losses["loss"], expected)


def test_vehicles_are_scaled_by_the_largest_sample_of_their_map() -> None:
    model, batch = small(), make_batch()
    seen: list[Any] = []
    model.initialisation.register_forward_pre_hook(lambda _, given: seen.extend(given))
    model.predict(batch)
    image, inputs = seen
    assert torch.equal(image, batch["input"][:, :1])
    largest = [float(m[s].max()) for m, s in zip(batch["target"], batch["mask"], strict=True)]
    assert len(set(largest)) == 3
    for i, factor in enumerate(largest):
        torch.testing.assert_close(inputs[2][i, 0], batch["input"][i, 3] * factor)
    assert torch.equal(torch.cat(inputs[:2], 1), batch["input"][:, 1:3])


# ---- as a model


@pytest.mark.parametrize(("task", "n"), [("sparse-dynamic", 64), ("sparse", 64), ("sparse", 128)])
def test_shapes(task: Any, n: int) -> None:
    model = models.build("radiodun", task=task, blocks=1, samples=S, size=n).eval()
    batch = make_batch(n, factors=len(model.convention.channels) - 1, maps=1)
    with torch.no_grad():
        assert model.predict(batch).shape == (1, 1, n, n)


@pytest.mark.parametrize("task", ["sparse-dynamic", "sparse"])
def test_a_gradient_reaches_every_weight(task: Any) -> None:
    model = small(task=task)
    nn.init.normal_(model.phi_t)  # 0 at first, then nothing flows to Phi x
    batch = make_batch(factors=len(model.convention.channels) - 1)
    model.losses(batch)["loss"].backward()
    without = [name for name, p in model.named_parameters() if p.grad is None or not p.grad.any()]
    assert without == []


def test_three_blocks_hand_their_inputs_on_from_the_first_step() -> None:
    model, batch = small(blocks=3), make_batch()
    given = batch["input"].requires_grad_()
    output, _ = model(given, model.places(batch["mask"]))
    (slope,) = torch.autograd.grad((output * torch.randn_like(output)).sum(), given)
    assert bool((slope.abs().mean((0, 2, 3)) > 0.01).all())  # 1e-5 with torch's initial weights


def test_phi_t_is_learned_from_nothing() -> None:
    model, batch = small(), make_batch()
    assert not model.phi_t.any()
    model.losses(batch)["loss"].backward()
    assert bool(model.phi_t.grad.any(0).all())


def test_the_steps_are_saved_but_not_trained() -> None:
    model = small()
    steps = [name for name in model.state_dict() if name.endswith("descent.steps")]
    assert len(steps) == 2
    assert all(torch.equal(model.state_dict()[name], torch.full((3,), 0.5)) for name in steps)
    assert not any("steps" in name for name, _ in model.named_parameters())


def test_a_map_is_predicted_the_same_alone_and_after_loading() -> None:
    model, batch = small(), make_batch()
    model.losses(batch)  # moves the running statistics
    nn.init.normal_(model.phi_t, std=0.1)
    model.eval()
    other = small(samples=S)
    other.load_state_dict(model.state_dict())
    with torch.no_grad():
        together = model.predict(batch)
        alone = model.predict({"input": batch["input"][1:2], "mask": batch["mask"][1:2]})
        assert torch.equal(other.eval().predict(batch), together)
    torch.testing.assert_close(alone[0], together[1])


def test_a_few_steps_lower_the_loss() -> None:
    model, batch = small(blocks=1), make_batch()
    turn = model.phases()[0].turns[0]
    optimiser = torch.optim.AdamW(turn.parameters, 1e-3)
    losses = []
    for _ in range(8):
        loss = turn.loss(batch)["loss"]
        losses.append(float(loss.detach()))
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    assert losses[-1] < 0.5 * losses[0]


def test_half_precision_gives_about_the_same() -> None:
    model, batch = small().eval(), make_batch()
    with torch.no_grad():
        full = model.predict(batch)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            half = model.predict(batch)
    assert torch.allclose(full, half.float(), atol=0.02)


# ---- options


def test_without_reweighting_there_is_a_convolution_of_three_weights() -> None:
    plain = small(drm=False)
    assert not any(isinstance(part, Reweighting) for part in plain.modules())
    assert count_parameters(small()) - count_parameters(plain) == 4_949 + 10_058 - 2 * 3
    plain.losses(make_batch())["loss"].backward()
    assert all(p.grad is not None for p in plain.parameters())


def test_without_the_shadowing_loss_there_is_the_error_alone() -> None:
    model, batch = small(shadowing_loss=False), make_batch()
    losses = model.losses(batch)
    assert set(losses) == {"loss", "mse"}
    assert losses["loss"] == losses["mse"]
    assert count_parameters(small()) - count_parameters(model) == 2


def test_the_loaders_follow_the_options() -> None:
    published = find_convention("radiodun", "sparse-dynamic")
    assert RadioDUN(size=16).convention == published
    unknown = RadioDUN(size=16, known_transmitter=False).convention
    assert unknown == find_convention("radiodun-unknown", "sparse-dynamic")
    assert RadioDUN("sparse", size=16, samples=25).convention.samples == (25, 25)


def test_the_ablations_can_be_built() -> None:
    for options in RadioDUN.ablations.values():
        with torch.device("meta"):
            models.build("radiodun", size=16, **options)


def test_other_sizes_and_numbers_of_samples_are_refused_in_words() -> None:
    model = small()
    with pytest.raises(RecipeError, match="size=48"):
        model.predict(make_batch(48))
    with pytest.raises(RecipeError, match="6 to 6 samples for a RadioDUN of 5"):
        model.predict(make_batch(samples=6))
    uneven = make_batch()
    uneven["mask"][1] = False
    with pytest.raises(RecipeError, match="0 to 5 samples"):
        model.predict(uneven)
    for wrong in ({"size": 40}, {"blocks": 0}, {"samples": 0}, {"size": 0}):
        with pytest.raises(RecipeError, match="multiple of 16"):
            RadioDUN(**wrong)
    with pytest.raises(RecipeError, match="not for 'static'"):
        RadioDUN("static")
