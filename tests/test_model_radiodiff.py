"""RadioDiff: its two stages, its counts, and what it gives back."""

from __future__ import annotations

import pytest
import torch
from rmtools.models import build
from rmtools.models.autoencoder_kl import (
    AutoencoderKL,
    PatchCritic,
    Posterior,
    adaptive_weight,
    hinge,
)
from rmtools.models.interface import count_parameters
from rmtools.models.perceptual import LPIPS, VGG16, WIDTHS
from rmtools.models.radiodiff import Preset, RadioDiff
from rmtools.models.swin import SIZES

from rmtools.errors import InputError, RecipeError

TINY = Preset(8, 16, 4, "mini", critic_after=10)
SWIN_REST = 2 * 1024 + 1024 * 1000 + 1000  # the last norm and the head of Swin-B


@pytest.fixture(autouse=True)
def _one_thread():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # maps this small gain nothing from more
    yield
    torch.set_num_threads(threads)


def tiny(size: int = 32, **options: object) -> RadioDiff:
    torch.manual_seed(0)
    return RadioDiff(**{"preset": TINY, "size": size, **options})


def some_batch(count: int = 3, size: int = 32) -> dict:
    torch.manual_seed(1)
    row, col = torch.meshgrid(*[torch.arange(size)] * 2, indexing="ij")
    city = (torch.rand(count, 3, 4, 4) > 0.7).float().repeat_interleave(size // 4, 2)
    city = 2 * city.repeat_interleave(size // 4, 3) - 1
    target = torch.sin(row / 5.0 + torch.arange(count)[:, None, None]) * torch.cos(col / 7.0)
    meta = {key: torch.arange(count) + shift for shift, key in enumerate(("scene", "traj"))}
    meta |= {"tx": torch.arange(count), "frame": torch.zeros(count, dtype=torch.long)}
    return {"input": city, "target": 0.8 * target[:, None], "meta": meta}


def test_every_part_has_the_parameters_of_the_released_one():
    with torch.device("meta"):
        model = build("radiodiff", task="static")
        perceptual = count_parameters(VGG16()) + sum(WIDTHS)
    assert count_parameters(model.autoencoder) == 55_307_453
    assert count_parameters(model.critic) == 2_763_585
    assert count_parameters(model.unet.swin) == 87_768_224 - SWIN_REST
    assert SWIN_REST == 1_027_048
    assert count_parameters(model.unet) == 223_842_448 == 224_869_496 - SWIN_REST
    assert perceptual == 14_714_688 + 1_472
    assert count_parameters(model) + perceptual + SWIN_REST == 297_656_694
    assert count_parameters(model) == 281_913_486


@pytest.mark.parametrize(("size", "side"), [(64, 2), (128, 4), (256, 8)])
def test_only_the_frequency_filter_depends_on_the_size_and_on_its_ablation(size, side):
    with torch.device("meta"):
        whole, without = (build("radiodiff", size=size, aft=aft) for aft in (True, False))
    lost = count_parameters(whole) - count_parameters(without)
    assert lost == 2 * 512 * side * (side // 2 + 1) * 2
    assert count_parameters(without) == 281_913_486 - 2 * 512 * 8 * 5 * 2


@pytest.mark.parametrize("task", ["static", "dynamic"])
@pytest.mark.parametrize("size", [32, 64])
def test_prediction_has_the_targets_shape_and_no_gradient_is_needed(task, size):
    model = tiny(size, task=task, steps=2).eval()
    batch = some_batch(2, size)
    del batch["target"]
    with torch.no_grad():
        assert model.predict(batch).shape == (2, 1, size, size)


def test_a_map_alone_and_in_a_batch_gets_the_same_prediction():
    model, batch = tiny(steps=3).eval(), some_batch(3)
    with torch.no_grad():
        together = model.predict(batch)
        meta = {key: value[1:2] for key, value in batch["meta"].items()}
        alone = model.predict({"input": batch["input"][1:2], "meta": meta})
    torch.testing.assert_close(alone[0], together[1], rtol=1e-4, atol=1e-5)
    assert (together[1] - together[2]).abs().max() > 1e-3


def test_saved_weights_give_the_same_prediction_and_know_scale_and_count():
    model, batch = tiny(), some_batch()
    model.phases()[1].turns[0].loss(batch)
    model.batches += 7
    other = tiny()
    other.load_state_dict(model.state_dict())
    assert other.latent_scale == model.latent_scale != 0
    assert other.batches == 7
    with torch.no_grad():
        assert torch.equal(model.eval().predict(batch), other.eval().predict(batch))


def test_the_first_batch_brings_latents_to_variance_one_and_the_next_ones_keep_the_scale():
    model, batch = tiny(), some_batch(3)
    torch.manual_seed(5)
    assert model.latents(batch["target"]).std().item() == pytest.approx(1.0, rel=1e-5)
    scale = model.latent_scale.clone()
    assert model.latents(3 * batch["target"]).std().item() != pytest.approx(1.0, rel=1e-3)
    assert torch.equal(model.latent_scale, scale)


def test_gradients_reach_what_a_turn_trains_and_nothing_else():
    model, batch = tiny(64), some_batch(2, 64)  # 64: attention in the middle has 4 tokens
    model.batches.fill_(TINY.critic_after)  # the critic begins with this batch
    first, second = model.phases()
    parts = {"autoencoder": model.autoencoder, "critic": model.critic, "U-Net": model.unet}
    for turn in (*first.turns, *second.turns):
        model.zero_grad()
        turn.loss(batch)["loss"].backward()
        own = {name: p for name, p in parts[turn.name].named_parameters() if p.requires_grad}
        assert {p for p in turn.parameters if p.requires_grad} == set(own.values())
        dead = [name for name, p in own.items() if p.grad is None or not p.grad.any()]
        # biases that a norm or a softmax takes away again get none but by rounding
        assert all(name.endswith("bias") for name in dead)
        touched = {p for p in model.parameters() if p.grad is not None and p.grad.any()}
        if turn.name == "autoencoder":  # passes through the critic
            touched -= set(model.critic.parameters())
        assert touched <= set(own.values())
    fixed = [name for name, p in model.named_parameters() if not p.requires_grad]
    assert fixed == ["unet.time.rates"]


def test_the_critic_waits_for_its_time():
    model, batch = tiny(), some_batch()
    generate, criticise = (turn.loss for turn in model.phases()[0].turns)
    for number in range(1, TINY.critic_after + 3):
        losses, judged = generate(batch), criticise(batch)
        begun = number > TINY.critic_after
        assert ("adversarial" in losses) == begun
        assert (judged["loss"].item() != 0) == begun
    judged["loss"].backward()
    assert model.critic[0].weight.grad.any()


def test_loss_of_the_autoencoder_is_the_papers():
    model, batch = tiny(), some_batch()
    torch.manual_seed(3)
    losses = model.reconstruction_loss(batch["target"])
    torch.manual_seed(3)
    posterior = model.autoencoder.encode(batch["target"])
    apart = model.autoencoder.decode(posterior.sample()) - batch["target"]
    normal = torch.distributions.Normal(posterior.mean, (posterior.log_variance / 2).exp())
    standard = torch.distributions.Normal(0.0, 1.0)
    divergence = torch.distributions.kl_divergence(normal, standard).sum() / 3
    expected = apart.abs().sum() / 3 + 1e-6 * divergence
    torch.testing.assert_close(losses["divergence"], divergence, rtol=1e-4, atol=0)
    torch.testing.assert_close(losses["loss"], expected, rtol=1e-5, atol=0)


def test_adversarial_gradient_is_half_of_the_reconstructions_at_the_last_layer():
    model, batch = tiny(), some_batch()
    model.batches.fill_(TINY.critic_after)
    losses = model.reconstruction_loss(batch["target"])
    weight = model.autoencoder.last_weight
    grads = [
        torch.autograd.grad(losses[key], weight, retain_graph=True)[0]
        for key in ("reconstruction", "adversarial", "loss")
    ]
    rest = grads[2] - grads[0]
    assert (rest.norm() / grads[0].norm()).item() == pytest.approx(0.5, rel=0.02)
    assert torch.nn.functional.cosine_similarity(rest.flatten(), grads[1].flatten(), 0) > 0.999


def test_adaptive_weight_is_the_quotient_of_gradients_and_bounded():
    weight = torch.nn.Parameter(torch.tensor([1.0, 2.0]))
    found = adaptive_weight((3 * weight).sum(), (weight / 2).sum(), weight)
    assert found.item() == pytest.approx(6.0, rel=1e-3)
    assert adaptive_weight((1e9 * weight).sum(), (weight * 0).sum(), weight).item() == 1e4


def test_hinge_is_zero_for_a_critic_that_is_sure_and_right():
    sure = torch.tensor([1.5, 1.0])
    assert hinge(sure, -sure).item() == 0
    assert hinge(-sure, sure).item() == pytest.approx(0.5 * 2 * (2.5 + 2.0) / 2)


def test_shapes_of_autoencoder_and_critic():
    autoencoder, critic = AutoencoderKL(width=8), PatchCritic(width=4)
    latents = autoencoder.encode(torch.zeros(2, 1, 64, 64)).mean
    assert latents.shape == (2, 3, 16, 16)
    assert autoencoder.decode(latents).shape == (2, 1, 64, 64)
    assert critic(torch.zeros(2, 1, 64, 64)).shape == (2, 1, 6, 6)


def test_samples_of_a_posterior_have_its_mean_and_variance():
    torch.manual_seed(0)
    posterior = Posterior(torch.full((20_000, 1), 2.0), torch.full((20_000, 1), -1.0))
    drawn = posterior.sample()
    assert drawn.mean().item() == pytest.approx(2.0, abs=0.02)
    assert drawn.var().item() == pytest.approx(0.3679, rel=0.05)


def test_weights_of_the_diffusion_loss_can_be_left_out():
    model, batch = tiny(), some_batch()
    latents = model.latents(batch["target"])
    drawn, time = torch.randn_like(latents), torch.tensor([0.1, 0.5, 0.9])
    weighted = model.diffusion_loss(batch["input"], latents, drawn, time)
    model.weighted = False
    plain = model.diffusion_loss(batch["input"], latents, drawn, time)
    torch.testing.assert_close(plain["loss"], plain["drift"] + plain["noise"])  # equation 20
    assert weighted["drift"] == plain["drift"]
    bounds = (2 * torch.exp(torch.tensor(0.1)), 2 * torch.exp(torch.tensor(0.9)))
    low = bounds[0] * plain["drift"] + torch.exp(torch.tensor(0.1**0.5)) * plain["noise"]
    high = bounds[1] * plain["drift"] + torch.exp(torch.tensor(0.9**0.5)) * plain["noise"]
    assert low < weighted["loss"] < high


def test_checks_do_not_change_from_look_to_look():
    model, batch = tiny(), some_batch()
    model.latents(batch["target"])
    model.eval()
    with torch.no_grad():
        for phase in model.phases():
            assert torch.equal(phase.check(batch), phase.check(batch))


def test_a_few_steps_lower_the_loss_of_both_phases():
    model, batch = tiny(), some_batch()
    for phase in model.phases():
        turn = phase.turns[0]
        optimiser = torch.optim.AdamW(turn.parameters, 2e-3)
        model.eval()
        with torch.no_grad():
            if phase.name == "diffusion":
                model.latents(batch["target"])
            before = phase.check(batch)
        model.train()
        for _ in range(6):
            optimiser.zero_grad()
            turn.loss(batch)["loss"].backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimiser.step()
        model.eval()
        with torch.no_grad():
            assert phase.check(batch) < 0.9 * before


def test_a_perfect_u_net_decodes_the_true_latents():
    model, batch = tiny(steps=4).eval(), some_batch()
    latents = model.latents(batch["target"])

    def tell(noisy, time, city):
        t = time[:, None, None, None]
        return -latents, (noisy - (1 - t) * latents) / t.sqrt()

    model.tell = tell
    with torch.no_grad():
        expected = model.autoencoder.decode(latents / model.latent_scale)
        torch.testing.assert_close(model.predict(batch), expected, rtol=1e-3, atol=1e-4)


def test_works_under_autocast():
    model, batch = tiny(), some_batch()
    with torch.autocast("cpu", torch.bfloat16):
        for phase in model.phases():
            loss = phase.turns[0].loss(batch)["loss"]
            assert loss.dtype == torch.float32
            loss.backward()
        with torch.no_grad():
            predicted = model.eval().predict(batch)
    assert predicted.dtype == torch.float32
    assert predicted.isfinite().all()


def write_lpips(folder, *, scale: float = 0.05) -> tuple[str, str]:
    """Files as torchvision and the authors of LPIPS have them, with other numbers."""
    torch.manual_seed(2)
    vgg16 = {
        f"features.{at}.{part}": scale * torch.randn(shape if part == "weight" else shape[:1])
        for at, shape in VGG_SHAPES.items()
        for part in ("weight", "bias")
    }
    vgg16["classifier.0.weight"] = torch.zeros(3, 3)
    heads = {
        f"lin{k}.model.1.weight": torch.rand(1, width, 1, 1)
        for k, width in enumerate((64, 128, 256, 512, 512))
    }
    torch.save(vgg16, folder / "vgg16.pth")
    torch.save(heads, folder / "vgg.pth")
    return str(folder / "vgg16.pth"), str(folder / "vgg.pth")


VGG_SHAPES = {
    at: (outputs, inputs, 3, 3)
    for at, inputs, outputs in [
        (0, 3, 64), (2, 64, 64), (5, 64, 128), (7, 128, 128), (10, 128, 256), (12, 256, 256),
        (14, 256, 256), (17, 256, 512), (19, 512, 512), (21, 512, 512), (24, 512, 512),
        (26, 512, 512), (28, 512, 512),
    ]
}  # fmt: skip


def test_lpips_is_the_distance_of_its_paper(tmp_path):
    files = write_lpips(tmp_path)
    distance = LPIPS(*files)
    vgg16, heads = (torch.load(file, weights_only=True) for file in files)
    a, b = some_batch(2)["target"], some_batch(2)["target"].flip(3)

    def maps(x):
        mean = torch.tensor([0.485, 0.456, 0.406])[:, None, None]
        x = ((x + 1) / 2 - mean) / torch.tensor([0.229, 0.224, 0.225])[:, None, None]
        for at in VGG_SHAPES:
            x = torch.relu(
                torch.conv2d(
                    x, vgg16[f"features.{at}.weight"], vgg16[f"features.{at}.bias"], padding=1
                )
            )
            if at in (2, 7, 14, 21, 28):
                yield x / x.norm(dim=1, keepdim=True).clamp_min(1e-10)
                x = torch.max_pool2d(x, 2)

    expected = sum(
        ((u - v) ** 2 * heads[f"lin{k}.model.1.weight"]).sum(1).mean((1, 2))
        for k, (u, v) in enumerate(zip(maps(a), maps(b), strict=True))
    )
    torch.testing.assert_close(distance(a, b), expected, rtol=2e-3, atol=1e-5)
    assert not distance(a, a).any()
    assert count_parameters(distance) == 14_714_688 + 1_472
    assert count_parameters(distance, trainable=True) == 0


def test_the_perceptual_term_comes_with_its_files_alone_and_is_not_saved(tmp_path):
    vgg16, heads = write_lpips(tmp_path)
    plain = tiny()
    model = tiny(vgg16_weights=vgg16, lpips_weights=heads)
    assert model.state_dict().keys() == plain.state_dict().keys()
    batch = some_batch(2)
    losses = model.phases()[0].turns[0].loss(batch)
    expected = losses["reconstruction"] + 32 * 32 * losses["perceptual"]
    expected = expected + 1e-6 * losses["divergence"]
    torch.testing.assert_close(losses["loss"], expected)
    losses["loss"].backward()
    assert "perceptual" not in plain.phases()[0].turns[0].loss(batch)


def test_weights_of_swin_are_read_once_training_begins_and_never_over_trained_ones(tmp_path):
    own = tiny().unet.swin
    file = tmp_path / "swin.pth"
    names = {"patches.": "features.0.0.", "norm.": "features.0.2."}
    state = own.state_dict()
    with pytest.raises(InputError, match="no such file"):
        tiny(swin_weights=str(file)).phases()
    torch.save({names.get(k, k): v for k, v in state.items()}, file)
    with pytest.raises(InputError, match="no weights for"):
        tiny(swin_weights=str(file)).phases()
    model = tiny(swin_weights=str(file))
    model.latent_scale.fill_(1.0)
    model.phases()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"preset": "large"}, "no preset 'large'"),
        ({"size": 100}, "cannot be halved"),
        ({"size": 0}, "cannot be halved"),
        ({"steps": 0}, "0 steps"),
        ({"drift_sign": 0}, "drift_sign"),
        ({"vgg16_weights": "a.pth"}, "needs two files"),
        ({"task": "sparse"}, "RadioDiff is for static and dynamic"),
    ],
)
def test_options_that_make_no_sense_are_refused(options, message):
    with pytest.raises(RecipeError, match=message):
        tiny(**options)


def test_a_map_of_another_size_is_refused_with_what_to_do():
    model = tiny(32).eval()
    with pytest.raises(RecipeError, match="size=64"):
        model.predict(some_batch(1, 64))
    free = tiny(32, aft=False, steps=1).eval()
    with torch.no_grad():
        assert free.predict(some_batch(1, 64)).shape == (1, 1, 64, 64)


def test_recipes_are_the_papers_and_there_is_one_for_each_phase():
    paper = RadioDiff.recipes["paper"]
    assert all(len(recipe) == 2 for recipe in RadioDiff.recipes.values())
    assert [recipe.optimiser.learning_rate for recipe in paper] == [5e-5, 5e-5]
    assert [recipe.batch for recipe in paper] == [2, 64]
    assert (paper[1].ema, paper[1].clip, paper[1].steps) == (0.999, 1.0, 50_000)
    assert SIZES["base"].widths == (128, 256, 512, 1024)
