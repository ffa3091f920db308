"""UVM-Net: sizes by pixels, the three Mambas of its block, training."""

from __future__ import annotations

from typing import Any

import pytest

from rmtools.errors import RecipeError

torch = pytest.importorskip("torch")

from rmtools.models import build  # noqa: E402
from rmtools.models.interface import count_parameters  # noqa: E402
from rmtools.models.uvm_net import UVMBlock  # noqa: E402

torch.set_num_threads(1)  # on maps this small more of them wait for each other


def make_batch(rows: int = 2, channels: int = 2, n: int = 32) -> dict[str, Any]:
    torch.manual_seed(0)
    inputs = (torch.rand(rows, channels, n, n) < 0.3).float()
    return {"input": inputs, "target": 0.5 * inputs[:, :1] + 0.2}


def small(**options: Any) -> Any:
    torch.manual_seed(0)
    return build("uvm-net", size=32, width=4, **options)


@pytest.mark.parametrize(("size", "count"), [(64, 33_532_033), (256, 138_410_113)])
def test_parameters_depend_on_the_size(size: int, count: int) -> None:
    with torch.device("meta"):
        model = build("uvm-net", size=size)
    assert count_parameters(model) == count
    assert model.block.across.in_proj.in_features == (size // 4) ** 2  # 4096 at 256 pixels


def test_shapes() -> None:
    assert small().eval().predict(make_batch()).shape == (2, 1, 32, 32)
    dynamic = small(task="dynamic").eval()
    assert dynamic.predict(make_batch(channels=3)).shape == (2, 1, 32, 32)


def test_other_sizes_are_refused() -> None:
    with pytest.raises(RecipeError, match="size=48") as error:
        small().predict(make_batch(n=48))
    assert "for a model of 32" in str(error.value)
    with pytest.raises(RecipeError, match="multiple of 16"):
        build("uvm-net", size=40)


def test_block_adds_two_scans_of_pixels_and_one_of_channels() -> None:
    torch.manual_seed(0)
    block = UVMBlock(8, 4).eval()
    x = torch.randn(2, 8, 4, 4)

    def normalised(value: Any) -> Any:
        deviation = value - value.mean(-1, keepdim=True)
        return deviation / torch.sqrt(deviation.square().mean(-1, keepdim=True) + 1e-5)

    inner = x + block.convolutions(x)
    pixels = torch.stack([inner[:, :, k // 4, k % 4] for k in range(16)], 1)
    forth = block.forth(normalised(pixels))
    back = block.back(normalised(pixels)[:, torch.arange(15, -1, -1)])
    across = block.across(normalised(inner.reshape(2, 8, 16)))
    wanted = inner.clone()
    for k in range(16):
        wanted[:, :, k // 4, k % 4] += forth[:, k] + back[:, 15 - k] + across[:, :, k]
    torch.testing.assert_close(block(x), wanted, rtol=1e-4, atol=1e-5)


def test_gradients_reach_all_parameters_and_the_loss_falls() -> None:
    model = small()
    (phase,) = model.phases()
    batch = make_batch()
    output = model(batch["input"])
    loss = phase.turns[0].loss(batch)["loss"]
    assert loss.item() == pytest.approx((output - batch["target"]).abs().mean().item(), rel=1e-4)
    optimiser = torch.optim.AdamW(model.parameters(), 3e-3)
    losses = []
    for step in range(8):
        loss = phase.turns[0].loss(batch)["loss"]
        optimiser.zero_grad()
        loss.backward()
        if step == 0:
            zero = [k for k, p in model.named_parameters() if not p.grad.abs().sum() > 0]
            assert zero == []
        optimiser.step()
        losses.append(loss.item())
    assert losses[-1] < 0.85 * losses[0]


def test_prediction_is_the_same_alone_saved_and_in_a_batch() -> None:
    model = small().eval()
    batch = make_batch(rows=3)
    with torch.no_grad():
        together = model.predict(batch)
        alone = model.predict({"input": batch["input"][1:2]})
        torch.testing.assert_close(together[1:2], alone, rtol=1e-5, atol=1e-6)
        other = small().eval()
        torch.nn.init.zeros_(other.last.weight)
        other.load_state_dict(model.state_dict())
        assert torch.equal(other.predict(batch), together)
