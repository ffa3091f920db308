"""OCTUF: its count, the gradient step on samples, who asks whom, and that it learns."""

from __future__ import annotations

from typing import Any

import pytest

from rmtools.errors import RecipeError
from rmtools.layouts.conventions import find_convention

torch = pytest.importorskip("torch")

from rmtools.models.interface import count_parameters  # noqa: E402
from rmtools.models.octuf import OCTUF, Layer  # noqa: E402
from torch import nn  # noqa: E402

from rmtools import models  # noqa: E402


def make_batch(n: int = 24, samples: int = 9, *, channels: int = 4) -> dict[str, Any]:
    draw = torch.Generator().manual_seed(n)
    target = torch.rand(3, 1, n, n, generator=draw).cumsum(2) / n
    order = torch.rand(3, n * n, generator=draw).argsort(1)
    mask = torch.zeros(3, n * n, dtype=torch.bool).scatter_(1, order[:, :samples], value=True)
    mask = mask.view(3, 1, n, n)
    others = torch.rand(3, channels - 1, n, n, generator=draw)
    return {"input": torch.cat([target * mask, others], 1), "target": target, "mask": mask}


def test_the_counts() -> None:
    assert count_parameters(OCTUF()) == 83_056
    assert count_parameters(OCTUF("sparse")) == 82_777
    assert count_parameters(OCTUF(environment=False)) == 82_219
    assert count_parameters(OCTUF(layers=10)) == 274_177
    width, inner = 32, 128
    feed_forward = width * inner + inner + 10 * inner + inner * width + width + 2 * width
    attention = sum(3 * (w * w + 9 * w) + 1 + 4 * w for w in (31, 32))
    assert count_parameters(Layer()) == 27_303 == 1 + attention + 2 * feed_forward


def test_a_layer_whose_blocks_say_nothing_is_a_gradient_step() -> None:
    layer = Layer()
    for block in (layer.inertia.value, layer.guided.value, *layer.feed_forwards):
        for p in block.parameters():
            nn.init.zeros_(p)
    batch = make_batch()
    state = torch.rand(3, 32, 24, 24)
    after = layer(state, torch.rand_like(state), batch["input"][:, :1], batch["mask"].float())
    mask = batch["mask"][:, 0]
    # phi as a matrix, for the first map
    phi = torch.eye(24 * 24)[mask[0].flatten()]
    x = state[0, 0].flatten()
    expected = x - 0.5 * phi.T @ (phi @ x - phi @ batch["target"][0].flatten())
    torch.testing.assert_close(after[0, 0].flatten(), expected)
    assert torch.equal(after[:, 0][~mask], state[:, 0][~mask])
    assert torch.equal(after[:, 1:], state[:, 1:])


def test_memory_asks_the_state_before_and_the_step_asks_this_one() -> None:
    torch.manual_seed(0)
    layer = Layer()
    asked: list[Any] = []
    for attention in (layer.inertia, layer.guided):
        attention.register_forward_pre_hook(lambda _, given: asked.extend(given))
    state, before = torch.randn(2, 1, 32, 8, 8)
    layer(state, before, torch.zeros(1, 1, 8, 8), torch.zeros(1, 1, 8, 8))
    expected = (layer.norms[0](state[:, 1:]), layer.norms[1](before[:, 1:]))
    assert torch.equal(asked[0], expected[0])
    assert torch.equal(asked[1], expected[1])
    assert torch.equal(asked[3], layer.norms[3](state))


@pytest.mark.parametrize(
    ("task", "n", "samples"), [("sparse-dynamic", 20, 1), ("sparse", 20, 30), ("sparse", 64, 9)]
)
def test_any_size_and_number_of_samples(task: Any, n: int, samples: int) -> None:
    model = models.build("octuf", task=task).eval()
    batch = make_batch(n, samples, channels=len(model.convention.channels))
    with torch.no_grad():
        together = model.predict(batch)
        alone = model.predict({k: v[1:2] for k, v in batch.items()})
    assert together.shape == (3, 1, n, n)
    torch.testing.assert_close(alone[0], together[1])


def test_without_the_environment_only_samples_are_seen() -> None:
    batch = make_batch()
    changed = {**batch, "input": batch["input"].clone()}
    changed["input"][:, 1:] = 0.0
    with torch.no_grad():
        blind, seeing = OCTUF(environment=False), OCTUF()
        assert torch.equal(blind.predict(batch), blind.predict(changed))
        assert not torch.equal(seeing.predict(batch), seeing.predict(changed))


def test_a_gradient_reaches_every_weight_but_the_first_step() -> None:
    torch.manual_seed(1)
    model = OCTUF()
    model.phases()[0].turns[0].loss(make_batch())["loss"].backward()
    without = [name for name, p in model.named_parameters() if p.grad is None or not p.grad.any()]
    assert without == ["layers.0.step"]  # the first map has the samples already


def test_training_loading_and_half_precision() -> None:
    torch.manual_seed(1)
    model, batch = OCTUF(), make_batch(16)
    turn = model.phases()[0].turns[0]
    optimiser = torch.optim.Adam(turn.parameters, 1e-3)
    losses = []
    for _ in range(25):
        loss = turn.loss(batch)["loss"]
        losses.append(float(loss.detach()))
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    assert losses[-1] < 0.7 * losses[0]
    other = OCTUF()
    other.load_state_dict(model.state_dict())
    with torch.no_grad():
        full = model.predict(batch)
        assert torch.equal(other.predict(batch), full)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            assert torch.allclose(model.predict(batch).float(), full, atol=0.05)


def test_the_loaders_follow_the_options() -> None:
    assert OCTUF().convention == find_convention("radiodun", "sparse-dynamic")
    unknown = OCTUF(known_transmitter=False, samples=25).convention
    assert unknown.samples == (25, 25)
    assert not unknown.known_transmitter
    for options in OCTUF.ablations.values():
        models.build("octuf", **options)
    with pytest.raises(RecipeError, match="at least 1"):
        OCTUF(layers=0)
