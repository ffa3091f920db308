"""AE and Deep AE: counts, the narrow code, training, weights."""

from __future__ import annotations

import pytest
from rmtools.models import build, find

from rmtools.errors import RecipeError

torch = pytest.importorskip("torch")

from rmtools.models.interface import count_parameters  # noqa: E402

TASKS = {"static": 2, "dynamic": 3, "sparse": 4, "sparse-dynamic": 5}
NAMES = ("ae", "deep-ae")


def make(name, task="sparse", **options):
    torch.manual_seed(1)
    return build(name, task=task, **options)


def make_batch(inputs=4, maps=3, n=32):
    made = torch.Generator().manual_seed(7)
    return {
        "input": torch.rand(maps, inputs, n, n, generator=made),
        "target": torch.rand(maps, 1, n, n, generator=made),
    }


@pytest.mark.parametrize(("name", "count"), [("ae", 880_421), ("deep-ae", 5_172_593)])
def test_parameters_are_as_many_as_documented(name, count):
    for task, inputs in TASKS.items():
        assert count_parameters(make(name, task)) == count + 288 * (inputs - 4)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("task", TASKS)
def test_every_task_at_the_sizes_it_is_for(name, task):
    model = make(name, task, width=8).eval()
    with torch.no_grad():
        for n in (64, 128, 256):
            batch = make_batch(TASKS[task], maps=1, n=n)
            assert model.predict(batch).shape == (1, 1, n, n)
            assert model.encoder(batch["input"]).numel() == n * n / 16


@pytest.mark.parametrize("name", NAMES)
def test_the_map_is_made_of_the_code_alone(name):
    model = make(name, width=8, code=2).eval()
    batch = make_batch()
    code = model.encoder(batch["input"])
    assert code.shape[1] == 2
    assert torch.equal(model.predict(batch), model.decoder(code))


@pytest.mark.parametrize("name", NAMES)
def test_gradient_reaches_every_parameter(name):
    model = make(name, width=8)
    (turn,) = model.phases()[0].turns
    assert len(list(turn.parameters)) == len(list(model.parameters()))
    turn.loss(make_batch())["loss"].backward()
    for title, parameter in model.named_parameters():
        assert float(parameter.grad.abs().max()) > 1e-9, title


@pytest.mark.parametrize("name", NAMES)
def test_a_map_is_the_same_alone_and_in_a_batch(name):
    model, batch = make(name, width=8).eval(), make_batch()
    with torch.no_grad():
        together = model.predict(batch)
        alone = model.predict({"input": batch["input"][1:2]})
    torch.testing.assert_close(alone, together[1:2], atol=1e-5, rtol=0)


@pytest.mark.parametrize("name", NAMES)
def test_weights_come_back(name, tmp_path):
    model, batch = make(name, width=8).eval(), make_batch()
    torch.save(model.state_dict(), tmp_path / "weights.pt")
    other = build(name, task="sparse", width=8).eval()
    other.load_state_dict(torch.load(tmp_path / "weights.pt"))
    with torch.no_grad():
        assert torch.equal(other.predict(batch), model.predict(batch))


@pytest.mark.parametrize("name", NAMES)
def test_a_few_steps_lower_the_loss(name):
    model, batch = make(name, width=16), make_batch()
    (turn,) = model.phases()[0].turns
    optimiser = torch.optim.Adam(turn.parameters, 1e-3)
    losses = []
    for _ in range(12):
        loss = turn.loss(batch)["loss"]
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(float(loss.detach()))
    assert losses[-1] < 0.8 * losses[0]


def test_deep_is_deeper():
    def depth(name):
        modules = make(name, width=8).modules()
        return sum(isinstance(module, torch.nn.Conv2d) for module in modules)

    assert (depth("ae"), depth("deep-ae")) == (16, 28)


def test_wrong_options_are_refused():
    with pytest.raises(RecipeError, match="multiple of 8"):
        make("ae", width=12)
    with pytest.raises(RecipeError, match="not for 'forecast'"):
        make("deep-ae", "forecast")
    assert set(find("ae").recipes) == {"paper", "quick"}
