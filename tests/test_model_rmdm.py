"""RMDM: counts of parameters, both U-Nets, the loss and its ablations, drawing maps."""

from __future__ import annotations

import math

import pytest
from rmtools.models import build

from rmtools.errors import RecipeError

torch = pytest.importorskip("torch")

from rmtools.models.guided_unet import Attention, GuidedUNet, sinusoids  # noqa: E402
from rmtools.models.highway import Anchors, FrequencyAttention, Highway  # noqa: E402
from rmtools.models.interface import count_parameters  # noqa: E402
from rmtools.models.interface import noise as normal  # noqa: E402
from rmtools.models.rmdm import RMDM, WEIGHTS, masks  # noqa: E402
from torch.nn import functional as F  # noqa: E402

from rmtools.layouts.tensors import build_maps, planes_of  # noqa: E402

TASKS = ("static", "dynamic", "sparse", "sparse-dynamic")
N = 32


def small(task="static", **options):
    torch.manual_seed(1)
    return build("rmdm", task=task, **{"preset": "small", "steps": 3, **options})


def make_batch(model, maps=2, n=N):
    """What the loaders make of random planes, a transmitter on a building in the first map."""
    made = torch.Generator().manual_seed(7)
    convention = model.convention
    names = planes_of(convention)
    planes = (torch.rand(maps, len(names), n, n, generator=made) < 0.3).to(torch.uint8)
    tx = names.index("transmitter")
    planes[:, tx] = 0
    planes[:, tx, 5, 9] = 1
    planes[0, names.index("buildings"), 5, 9] = 1
    planes[1:, names.index("buildings"), 5, 9] = 0
    meta = {name: torch.zeros(maps, dtype=torch.int64) for name in ("scene", "traj", "frame")}
    meta |= {"tx": torch.arange(maps), "tx_row": torch.full((maps,), 5)}
    meta["tx_col"] = torch.full((maps,), 9)
    grey = torch.randint(0, 256, (maps, 1, n, n), generator=made, dtype=torch.uint8)
    mask = torch.rand(maps, 1, n, n, generator=made) < 0.05
    return build_maps({"planes": planes, "target": grey, "mask": mask, "meta": meta}, convention)


def wake(model):
    """Move all weights a little: some start as 0 and let no gradient through."""
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.02 * torch.randn_like(parameter))
    return model


def one(batch, number):
    return {
        "input": batch["input"][number : number + 1],
        "meta": {name: value[number : number + 1] for name, value in batch["meta"].items()},
    }


@pytest.mark.parametrize(
    ("preset", "first", "second"),
    [
        ("readme", 15_973_216, 66_844_033),
        ("defaults", 15_973_216, 124_050_945),
        ("small", 1_377_184, 2_977_089),
    ],
)
def test_parameters_are_as_many_as_published(preset, first, second):
    with torch.device("meta"):
        model = build("rmdm", preset=preset)
    assert count_parameters(model.highway) == first
    assert count_parameters(model.unet) == second
    assert count_parameters(model) == first + second
    assert {"readme": 82_817_249, "defaults": 140_024_161}.get(preset) in (None, first + second)
    idle = count_parameters(model) - count_parameters(model, trainable=True)
    assert idle == (0 if preset == "small" else 480 * 512 + 512)


@pytest.mark.parametrize("task", TASKS)
def test_every_task_at_the_sizes_it_is_for(task):
    model = small(task, steps=1).eval()
    with torch.no_grad():
        for n in (32, 64):
            assert model.predict(make_batch(model, n=n)).shape == (2, 1, n, n)


def test_released_presets_run_at_64_pixels():
    """With all their depth but a third of their width."""
    unet = GuidedUNet(3, width=32, multipliers=(1, 1, 2, 2, 4, 4), attention=(4, 5))
    highway = Highway(2, base=8)
    with torch.no_grad():
        features, cal = highway(torch.rand(1, 2, 64, 64))
        noise = unet(torch.rand(1, 3, 64, 64), torch.tensor([3]), Anchors(highway.widths)(features))
    assert [f.shape[-1] for f in features] == [4, 8, 16, 32, 64]
    assert cal.shape == noise.shape == (1, 1, 64, 64)


@pytest.mark.parametrize("task", TASKS)
def test_buildings_and_transmitter_are_told_apart(task):
    model = small(task)
    buildings, transmitter = masks(make_batch(model)["input"])
    assert transmitter.nonzero().tolist() == [[0, 0, 5, 9], [1, 0, 5, 9]]
    assert buildings[:, 0, 5, 9].tolist() == [True, False]
    assert 0.2 < float(buildings.float().mean()) < 0.4


def test_loss_is_the_sum_it_says():
    for weights in ("code", "paper"):
        for without in ("nothing", "mse", "pinn", "reg"):
            model = small(weights=weights, without=without)
            losses = model.losses(make_batch(model))
            w = WEIGHTS[weights]
            mse = 0 if without == "mse" else losses["mse"]
            pinn = w.pde * losses["pde"] + w.bc * losses["bc"] + w.source * losses["source"]
            pinn = 0 if without == "pinn" else pinn
            reg = 0 if without == "reg" else w.reg * losses["reg"]
            torch.testing.assert_close(losses["loss"], mse + pinn + reg + losses["diff"])
    assert (WEIGHTS["code"].reg, WEIGHTS["paper"].reg, WEIGHTS["paper"].pde) == (0, 0.1, 1.5)


def test_untrained_network_predicts_no_noise():
    """Its last layer starts as 0, so the loss of the noise is the mean square of the noise."""
    model = small()
    batch = make_batch(model)
    torch.manual_seed(3)
    found = model.losses(batch)["diff"]
    torch.manual_seed(3)
    torch.randint(1000, (2,))
    torch.testing.assert_close(found, torch.randn(2, 1, N, N).square().mean())


def test_each_u_net_is_trained_by_its_own_loss():
    model = wake(small())
    batch = make_batch(model)
    for part, there, not_there in (
        ("diff", model.unet, model.highway),
        ("mse", model.highway, model.unet),
    ):
        model.zero_grad()
        model.losses(batch)[part].backward()
        assert all(p.grad is None for p in not_there.parameters())
        assert any(p.grad is not None for p in there.parameters())


@pytest.mark.parametrize("rf_sa", [False, True])
def test_gradient_reaches_every_parameter(rf_sa):
    """But biases before an instance norm, which takes them away again.

    So does the group norm with as many groups as channels, hence no U-Net 32 channels wide.
    """
    model = small("sparse-dynamic", rf_sa=rf_sa)
    model.unet = GuidedUNet(5, width=64, multipliers=(1, 2), blocks=1, attention=(1,))
    wake(model)
    (turn,) = model.phases()[0].turns
    assert len(list(turn.parameters)) == len(list(model.parameters()))
    turn.loss(make_batch(model))["loss"].backward()
    for name, parameter in model.named_parameters():
        undone = name.startswith("highway") and name.endswith(("0.bias", "3.bias"))
        if not undone:
            assert float(parameter.grad.abs().max()) > 1e-7, name


@pytest.mark.parametrize("sampler", ["ddim", "ddpm", "dpm-solver", "refine", "none"])
def test_a_map_is_the_same_alone_and_in_a_batch(sampler):
    model = wake(small(sampler=sampler)).eval()
    batch = make_batch(model)
    with torch.no_grad():
        together = model.predict(batch)
        torch.testing.assert_close(model.predict(one(batch, 1)), together[1:], atol=1e-4, rtol=0)
        again = model.predict({name: batch[name] for name in ("input", "meta")})
    assert torch.equal(together, again)
    if sampler != "none":
        assert together.min() >= 0
        assert together.max() <= 1
    else:
        assert torch.equal(together, model.condition(batch["input"])[1])


def test_refining_stays_near_the_estimate_it_begins_with():
    """A network that says "no noise" gives x_t / sqrt(abar_t): the estimate and 0.72 of noise."""
    model = small(sampler="refine", steps=1).eval()
    batch = make_batch(model)
    with torch.no_grad():
        cal = model.condition(batch["input"])[1].clamp(0, 1)
        signal, noise = model.diffusion.factors[200]
        expected = (cal + noise / signal * normal(batch["meta"], (1, N, N))).clamp(0, 1)
        torch.testing.assert_close(model.predict(batch), expected)
    assert noise / signal == pytest.approx(0.724, abs=0.01)


def test_weights_come_back(tmp_path):
    model = wake(small(rf_sa=True)).eval()
    batch = make_batch(model)
    torch.save(model.state_dict(), tmp_path / "weights.pt")
    torch.manual_seed(2)
    other = build("rmdm", preset="small", steps=3, rf_sa=True).eval()
    other.load_state_dict(torch.load(tmp_path / "weights.pt"))
    with torch.no_grad():
        assert torch.equal(other.predict(batch), model.predict(batch))


def test_a_few_steps_lower_the_loss():
    model = small()
    phase = model.phases()[0]
    batch = make_batch(model)
    optimiser = torch.optim.AdamW(phase.turns[0].parameters, 1e-3)
    losses = []
    for _ in range(8):
        torch.manual_seed(0)
        loss = phase.turns[0].loss(batch)["loss"]
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(float(loss.detach()))
    assert losses[-1] < 0.9 * losses[0]
    with torch.no_grad():
        assert 0 < float(phase.check(batch)) < 1


def test_half_precision_runs():
    model = small(rf_sa=True)
    batch = make_batch(model)
    with torch.autocast("cpu", torch.bfloat16):
        loss = model.losses(batch)["loss"]
        loss.backward()
        with torch.no_grad():
            assert model.eval().predict(batch).dtype == torch.float32
    assert math.isfinite(float(loss.detach()))


def test_anchors_are_the_sigmoid_of_means_without_gradient():
    features = [torch.full((1, 8, 4, 4), 0.2), torch.full((1, 3, 8, 8), -0.5)]
    features[1].requires_grad_()
    found = Anchors([8, 3])(features)
    torch.testing.assert_close(found, torch.full((1, 1, 8, 8), 1 / (1 + math.exp(0.15))))
    assert not found.requires_grad


def test_anchors_are_multiplied_onto_the_first_layer():
    unet = wake(GuidedUNet(3, width=32, multipliers=(1, 1), blocks=1))
    x, t, gate = torch.rand(2, 3, 16, 16), torch.tensor([3, 900]), torch.rand(2, 1, 16, 16)
    with torch.no_grad():
        gated = unet(x, t, gate)
        torch.testing.assert_close(unet(x, t, torch.ones_like(gate)), unet(x, t))
        unet.first.register_forward_hook(lambda *given: given[-1] * gate)
        torch.testing.assert_close(unet(x, t), gated)


def test_frequency_attention_by_hand():
    """A flat spectrum of height b is a peak of b n at the first pixel, and 0 beyond."""
    attend, b, n = FrequencyAttention(2), 0.1, 8
    last = attend.alpha[-1]
    torch.nn.init.zeros_(last.weight)
    last.bias.data = torch.tensor([b, 0.0, 0.0, 0.0])  # real parts, then imaginary ones
    found = attend(torch.ones(1, 2, n, n))[0]
    expected = torch.full((2, n, n), 0.5)
    expected[0, 0, 0] = 1 / (1 + math.exp(-b * n))
    torch.testing.assert_close(found, expected)


def test_attention_is_the_softmax_of_products():
    attention = wake(Attention(64, 4))
    x = torch.randn(2, 64, 3, 5)
    query, key, value = attention.project(attention.norm(x)).flatten(2).chunk(3, 1)
    heads = []
    for head in range(4):
        q, k, v = (part[:, 16 * head : 16 * (head + 1)] for part in (query, key, value))
        score = torch.einsum("bcq,bck->bqk", q, k) / 4
        heads.append(torch.einsum("bqk,bck->bcq", score.softmax(2), v))
    expected = x + attention.last(torch.cat(heads, 1).view(2, 64, 3, 5))
    torch.testing.assert_close(attention(x), expected, atol=1e-5, rtol=1e-4)


def test_times_are_told_by_sinusoids():
    found = sinusoids(torch.tensor([0, 10]), 8)
    rates = [10_000 ** (-k / 4) for k in range(4)]
    expected = [math.cos(10 * r) for r in rates] + [math.sin(10 * r) for r in rates]
    torch.testing.assert_close(found[1], torch.tensor(expected))
    torch.testing.assert_close(found[0], torch.tensor([1.0] * 4 + [0.0] * 4))


def test_highway_is_linear_in_its_last_layer_and_sees_the_whole_map():
    highway = Highway(2, base=8, poolings=3)
    x = torch.rand(1, 2, 32, 32)
    features, cal = highway(x)
    torch.testing.assert_close(cal, F.conv2d(features[-1], highway.last.weight))
    with torch.no_grad():
        x2 = x.clone()
        x2[..., 0, 0] += 5
        moved = (highway(x2)[1] - cal).abs()[0, 0, -1, -1]
    assert float(moved) > 0


def test_conventions_and_wrong_options():
    assert small("dynamic").convention.channels == ("buildings+10tx", "transmitter", "vehicles")
    assert small("dynamic", target="paper").convention.grey.threshold == 0.2
    assert small("sparse").convention.samples == (10, 299)
    assert set(RMDM.recipes) == {"paper", "quick"}
    for wrong in ({"preset": "big"}, {"without": "diff"}, {"steps": 0}, {"sampler": "ode"}):
        with pytest.raises(RecipeError):
            small(**wrong)
    with pytest.raises(RecipeError, match="forecast"):
        build("rmdm", task="forecast")
