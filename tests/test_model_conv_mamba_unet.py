"""ConvMambaUNet: sizes, nothing looks ahead, roll-out on its own output."""

from __future__ import annotations

from typing import Any

import pytest

from rmtools.errors import RecipeError

torch = pytest.importorskip("torch")

from rmtools.models import build  # noqa: E402
from rmtools.models.conv_mamba_unet import ConvMambaBlock  # noqa: E402
from rmtools.models.interface import count_parameters  # noqa: E402

torch.set_num_threads(1)  # on maps this small more of them wait for each other


def make_batch(rows: int = 2, context: int = 10, n: int = 16) -> dict[str, Any]:
    """A bright spot moves by a pixel a frame."""
    frames = torch.full((rows, 15, 1, n, n), 0.3)
    for row in range(rows):
        for t in range(15):
            frames[row, t, 0, 5 + row, t % n] = 1
    return {"input": frames[:, 10 - context : 10], "target": frames[:, 10:]}


def small(**options: Any) -> Any:
    torch.manual_seed(0)
    return build("conv-mamba-unet", width=8, **options)


def test_parameters() -> None:
    assert count_parameters(build("conv-mamba-unet")) == 690_305


@pytest.mark.parametrize(("n", "context"), [(8, 10), (16, 4), (32, 1)])
def test_shapes_and_windows(n: int, context: int) -> None:
    model = small(context=context)
    assert model.convention.window == (10 - context, context, 5)
    batch = make_batch(context=context, n=n)
    assert model.predict(batch).shape == batch["target"].shape == (2, 5, 1, n, n)


def test_what_cannot_be_is_refused() -> None:
    with pytest.raises(RecipeError, match="multiple of 8"):
        small().predict(make_batch(n=20))
    with pytest.raises(RecipeError, match="from 1 to 10"):
        small(context=11)
    with pytest.raises(RecipeError, match="is for forecast"):
        build("conv-mamba-unet", task="static")


def test_nothing_looks_ahead() -> None:
    model = small().eval()
    frames = make_batch()["input"]
    later = frames.clone()
    later[:, 6:] += 0.1
    with torch.no_grad():
        before, after = model(frames), model(later)
    torch.testing.assert_close(before[:, :6], after[:, :6], rtol=1e-5, atol=1e-6)
    assert (before[:, 6:] - after[:, 6:]).abs().amin((0, 2, 3, 4)).shape == (4,)
    first = frames.clone()
    first[:, 0] += 0.1
    with torch.no_grad():
        changed = (model(first) - before)[:, 1:].abs().amax((0, 2, 3, 4))
    assert (changed > 0).all()  # and what was is remembered


def test_rolls_out_on_its_own_output() -> None:
    model = small().eval()
    batch = make_batch()
    with torch.no_grad():
        predicted = model.predict(batch)
        again = torch.cat([batch["input"], predicted], 1)
        for step in range(5):
            wanted = model(again[:, : 10 + step])[:, -1]
            torch.testing.assert_close(predicted[:, step], wanted, rtol=1e-5, atol=1e-6)


def test_patches_are_strung_frame_after_frame_and_row_by_row() -> None:
    torch.manual_seed(0)
    block = ConvMambaBlock(8, 8, 2).eval()
    streams: list[Any] = []
    block.mamba.register_forward_pre_hook(lambda _, given: streams.append(given[0]))
    block.norm = torch.nn.Identity()
    block.convolutions = torch.nn.Identity()
    x = torch.arange(3 * 16.0).view(3, 1, 4, 4).repeat(1, 8, 1, 1) / 2  # doubled by the residual
    block(x, 3)
    of_frame = torch.tensor([2.5, 4.5, 10.5, 12.5])
    assert torch.equal(streams[0][0, :, 0], torch.cat([of_frame, of_frame + 16, of_frame + 32]))


def test_gradients_reach_all_parameters_and_the_loss_falls() -> None:
    model = small()
    (phase,) = model.phases()
    batch = make_batch(n=8)
    optimiser = torch.optim.AdamW(model.parameters(), 2e-3)
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
    assert losses[-1] < 0.8 * losses[0]


def test_prediction_is_the_same_alone_saved_and_in_a_batch() -> None:
    model = small().eval()
    batch = make_batch()
    with torch.no_grad():
        together = model.predict(batch)
        alone = model.predict({"input": batch["input"][1:]})
        torch.testing.assert_close(together[1:], alone, rtol=1e-4, atol=1e-5)
        other = small().eval()
        torch.nn.init.zeros_(other.last.weight)
        other.load_state_dict(model.state_dict())
        assert torch.equal(other.predict(batch), together)


def test_autocast() -> None:
    model = small().eval()
    exact = model.predict(make_batch())
    with torch.autocast("cpu", dtype=torch.bfloat16):
        coarse = model.predict(make_batch())
    assert coarse.dtype == torch.float32
    assert (coarse - exact).abs().mean() < 0.02
