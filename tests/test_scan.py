"""The selective scan equals the recurrence, whichever way it is computed; the Mamba layer."""

from __future__ import annotations

import importlib.util
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rmtools.errors import MissingError, RecipeError

if TYPE_CHECKING:
    from collections.abc import Callable

torch = pytest.importorskip("torch")

from rmtools.models.scan_cpu import exp2  # noqa: E402
from rmtools.models.ssm import Mamba, choose_way, linear_scan, selective_scan  # noqa: E402

F = torch.nn.functional
WAYS = ("torch", "compiled")
torch.set_num_threads(1)  # on tensors this small more of them wait for each other


def make_inputs(
    rows: int = 2, channels: int = 37, length: int = 131, states: int = 8, seed: int = 0
) -> dict[str, Any]:
    """Steps of 0.02 to 3, so that states are kept for long, short and no time."""
    torch.manual_seed(seed)
    return {
        "u": torch.randn(rows, channels, length),
        "delta": torch.randn(rows, channels, length) - 1,
        "a": -8 * torch.rand(channels, states),
        "b": torch.randn(rows, states, length),
        "c": torch.randn(rows, states, length),
        "d": torch.randn(channels),
        "z": torch.randn(rows, channels, length),
        "delta_bias": 0.1 * torch.randn(channels),
    }


def step_by_step(**inputs: Any) -> Any:
    """The recurrence as the paper has it, in double precision."""
    u, delta, a, b, c, d, z, bias = (
        inputs[name].double() for name in ("u", "delta", "a", "b", "c", "d", "z", "delta_bias")
    )
    delta = torch.log1p(torch.exp(delta + bias[:, None]))
    h = torch.zeros(*u.shape[:2], a.shape[1], dtype=torch.float64)
    steps = []
    for t in range(u.shape[2]):
        into = delta[:, :, t, None] * b[:, None, :, t]
        h = torch.exp(delta[:, :, t, None] * a) * h + into * u[:, :, t, None]
        steps.append((h * c[:, None, :, t]).sum(-1) + d * u[:, :, t])
    return torch.stack(steps, -1) * z / (1 + torch.exp(-z))


def with_gradients(scan: Callable[..., Any], inputs: dict[str, Any]) -> dict[str, Any]:
    """Result, and the gradients of its sum with fixed weights."""
    inputs = {name: x.clone().requires_grad_() for name, x in inputs.items()}
    y = scan(**inputs)
    weights = torch.randn(y.shape, generator=torch.Generator().manual_seed(1)).to(y)
    found = torch.autograd.grad((y * weights).sum(), list(inputs.values()))
    return {"y": y.detach(), **dict(zip(inputs, found, strict=True))}


def distance(x: Any, y: Any) -> float:
    """Relative, in the norm."""
    x, y = x.detach().double(), y.detach().double()
    return float((x - y).norm() / y.norm().clamp(min=1e-30))


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("length", [1, 64, 131, 640])
def test_result_and_gradients_are_those_of_the_recurrence(way: Any, length: int) -> None:
    inputs = make_inputs(length=length, channels=37 if length < 640 else 5)
    wanted = with_gradients(step_by_step, inputs)
    got = with_gradients(lambda **x: selective_scan(**x, delta_softplus=True, way=way), inputs)
    for name, value in wanted.items():
        assert distance(got[name], value) < 1e-5, name
        assert got[name].dtype == torch.float32


@settings(max_examples=15, deadline=None)
@given(st.integers(1, 40), st.integers(1, 50))
def test_chunks_change_nothing(length: int, chunk: int) -> None:
    inputs = make_inputs(length=length, channels=3)
    del inputs["z"], inputs["d"], inputs["delta_bias"]
    whole = with_gradients(
        lambda **x: selective_scan(**x, delta_softplus=True, way="torch"), inputs
    )
    parts = with_gradients(
        lambda **x: selective_scan(**x, delta_softplus=True, way="torch", chunk=chunk), inputs
    )
    for name, value in whole.items():
        assert distance(parts[name], value) < 1e-6, name


@settings(max_examples=25, deadline=None)
@given(st.integers(1, 40), st.integers(1, 41))
def test_blocks_change_nothing(steps: int, block: int) -> None:
    torch.manual_seed(steps)
    decay, inflow = torch.rand(2, steps, 2, 3, dtype=torch.float64)
    h = torch.rand(2, 3, dtype=torch.float64)
    got = linear_scan(decay.clone(), inflow.clone(), h, block=block)
    for t in range(steps):
        h = decay[t] * h + inflow[t]
        torch.testing.assert_close(got[t], h, rtol=1e-12, atol=0)


def test_gradients_in_double_precision() -> None:
    inputs = make_inputs(rows=2, channels=2, length=7, states=3)
    inputs = {name: x.double().requires_grad_() for name, x in inputs.items()}
    names = list(inputs)

    def scan(*values: Any) -> Any:
        return selective_scan(**dict(zip(names, values, strict=True)), delta_softplus=True, chunk=3)

    assert choose_way(inputs["u"]) == "torch"
    assert torch.autograd.gradcheck(scan, tuple(inputs.values()))


@pytest.mark.parametrize("way", WAYS)
def test_nothing_looks_ahead(way: Any) -> None:
    inputs = make_inputs()
    later = {name: x.clone() for name, x in inputs.items()}
    for name in ("u", "delta", "b", "c", "z"):
        later[name][..., 80:] += 1
    y, other = (selective_scan(**x, delta_softplus=True, way=way) for x in (inputs, later))
    assert torch.equal(y[..., :80], other[..., :80])
    assert not torch.isclose(y[..., 80:], other[..., 80:]).any(0).all()


@pytest.mark.parametrize("way", WAYS)
def test_closed_forms(way: Any) -> None:
    ones = torch.ones(1, 1, 200)
    rate = torch.tensor([[-0.5]])
    forgetting = selective_scan(ones, 0.2 * ones, rate, ones, ones, way=way)
    decay = torch.exp(torch.tensor(-0.1))
    series = 0.2 * (1 - decay ** torch.arange(1, 201)) / (1 - decay)
    torch.testing.assert_close(forgetting[0, 0], series, rtol=1e-5, atol=0)
    keeping = selective_scan(ones, 0.25 * ones, 0 * rate, ones, ones, way=way)
    assert torch.equal(keeping[0, 0], 0.25 * torch.arange(1.0, 201))


@pytest.mark.parametrize("way", WAYS)
def test_large_steps_are_safe(way: Any) -> None:
    """exp(delta A) is far below the smallest float; its inverse would be infinite."""
    inputs = make_inputs(length=200, channels=4)
    del inputs["delta_bias"]
    inputs["delta"] = 50 + 100 * torch.rand_like(inputs["delta"])
    inputs["a"] -= 1
    got = with_gradients(lambda **x: selective_scan(**x, way=way), inputs)
    assert all(torch.isfinite(value).all() for value in got.values())
    at_once = inputs["delta"] * inputs["u"] * (inputs["b"] * inputs["c"]).sum(1)[:, None]
    wanted = (at_once + inputs["d"][:, None] * inputs["u"]) * F.silu(inputs["z"])
    torch.testing.assert_close(got["y"], wanted, rtol=1e-4, atol=1e-3)


@pytest.mark.parametrize("way", WAYS)
def test_nan_is_not_lost(way: Any) -> None:
    for name in ("u", "delta", "a", "b", "c"):
        inputs = make_inputs(rows=1, channels=2, length=70)
        inputs[name][..., 1] = torch.nan
        y = selective_scan(**inputs, delta_softplus=True, way=way)
        assert y[0, 0, -1].isnan() or (name in {"u", "b", "c"} and y[0, 0, 1].isnan()), name


def test_states_are_float32_under_autocast() -> None:
    inputs = make_inputs(rows=1, channels=4)
    wanted = selective_scan(**inputs, delta_softplus=True)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        for way in WAYS:
            y = selective_scan(**inputs, delta_softplus=True, way=way)
            assert distance(y, wanted) < 1e-6
    coarse = selective_scan(**(inputs | {"u": inputs["u"].bfloat16()}), delta_softplus=True)
    assert coarse.dtype == torch.bfloat16
    assert distance(coarse, wanted) < 1e-2


def test_compiled_scan_is_the_same_in_any_number_of_threads() -> None:
    inputs = make_inputs(rows=2, channels=70, length=100)
    threads = torch.get_num_threads()
    found = []

    def scan(**x: Any) -> Any:
        return selective_scan(**x, delta_softplus=True, way="compiled")

    for number in (1, 3):
        torch.set_num_threads(number)
        try:
            found.append(with_gradients(scan, inputs))
        finally:
            torch.set_num_threads(threads)
    assert all(torch.equal(found[0][name], found[1][name]) for name in found[0])


@pytest.mark.parametrize("way", WAYS)
def test_few_states_are_kept_for_the_way_back(way: Any) -> None:
    inputs = {name: x.requires_grad_() for name, x in make_inputs(1, 64, 1024, 64).items()}
    kept: dict[int, int] = {}

    def keep(x: Any) -> Any:
        kept[x.data_ptr()] = x.numel()
        return x

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda x: x):
        selective_scan(**inputs, delta_softplus=True, way=way)
    assert sum(kept.values()) < 0.2 * 1024 * 64 * 64


def test_powers_of_two() -> None:
    for x in torch.linspace(-126, 127, 2001).numpy():
        assert abs(float(exp2(x)) / 2.0 ** float(x) - 1) < 3e-7
    assert float(exp2(torch.tensor(-1000.0).numpy()[()])) == 2.0**-126


def test_other_devices_and_precisions_are_refused() -> None:
    inputs = make_inputs(rows=1, channels=2, length=3)
    twice = {name: x.double() for name, x in inputs.items()}
    with pytest.raises(RecipeError, match="for float32 on processors"):
        selective_scan(**twice, way="compiled")
    if importlib.util.find_spec("mamba_ssm") is None:
        with pytest.raises(MissingError, match="mamba_ssm cannot be imported"):
            selective_scan(**inputs, way="mamba_ssm")


def test_reference_of_mamba_ssm() -> None:
    interface = pytest.importorskip(
        "mamba_ssm.ops.selective_scan_interface", reason="mamba_ssm is not installed"
    )
    inputs = make_inputs()
    order = [inputs[x] for x in ("u", "delta", "a", "b", "c", "d", "z", "delta_bias")]
    wanted = interface.selective_scan_ref(*order, delta_softplus=True)
    for way in WAYS:
        assert distance(selective_scan(**inputs, delta_softplus=True, way=way), wanted) < 1e-5


@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device")
def test_on_cuda() -> None:
    inputs = make_inputs(length=700)
    wanted = with_gradients(step_by_step, inputs)
    found = {name: x.cuda() for name, x in inputs.items()}
    ways = ["torch"] + ["mamba_ssm"] * (importlib.util.find_spec("mamba_ssm") is not None)
    assert choose_way(found["u"]) == ways[-1]
    for way in ways:
        got = with_gradients(lambda **x: selective_scan(**x, delta_softplus=True, way=way), found)  # noqa: B023
        for name, value in wanted.items():
            assert distance(got[name].cpu(), value) < 1e-5, (way, name)


def test_layer_has_the_parameters_of_mamba_ssm() -> None:
    shapes = {name: tuple(x.shape) for name, x in Mamba(48, 32).state_dict().items()}
    assert shapes == {
        "A_log": (96, 32),
        "D": (96,),
        "in_proj.weight": (192, 48),
        "conv1d.weight": (96, 1, 4),
        "conv1d.bias": (96,),
        "x_proj.weight": (67, 96),
        "dt_proj.weight": (96, 3),
        "dt_proj.bias": (96,),
        "out_proj.weight": (48, 96),
    }


def test_fresh_layer() -> None:
    torch.manual_seed(0)
    layer = Mamba(160)
    steps = F.softplus(layer.dt_proj.bias)
    assert 1e-3 < steps.min() < 2e-3
    assert 0.05 < steps.max() < 0.1
    torch.testing.assert_close(torch.exp(layer.A_log), torch.arange(1.0, 17).repeat(320, 1))
    assert layer.dt_proj.weight.abs().max() <= 10**-0.5


def test_layer_is_the_published_one() -> None:
    torch.manual_seed(0)
    layer = Mamba(8, 4)
    x = torch.randn(2, 21, 8)
    inner, gate = (x @ layer.in_proj.weight.T).split(16, -1)
    padded = torch.cat([torch.zeros(2, 3, 16), inner], 1)
    taps = layer.conv1d.weight[:, 0]
    mixed = sum(padded[:, k : k + 21] * taps[:, k] for k in range(4)) + layer.conv1d.bias
    mixed = F.silu(mixed)
    delta, b, c = (mixed @ layer.x_proj.weight.T).split((1, 4, 4), -1)
    y = step_by_step(
        u=mixed.transpose(1, 2),
        delta=(delta @ layer.dt_proj.weight.T).transpose(1, 2),
        a=-torch.exp(layer.A_log),
        b=b.transpose(1, 2),
        c=c.transpose(1, 2),
        d=layer.D,
        z=gate.transpose(1, 2),
        delta_bias=layer.dt_proj.bias,
    )
    wanted = y.transpose(1, 2) @ layer.out_proj.weight.double().T
    assert distance(layer(x), wanted) < 1e-6


def test_both_ways_is_the_sum_of_two_passes() -> None:
    torch.manual_seed(0)
    layer = Mamba(8, both_ways=True)
    x = torch.randn(2, 30, 8)
    both = layer(x)
    layer.both_ways = False
    assert distance(both, layer(x) + layer(x.flip(1)).flip(1)) < 1e-6
    layer.both_ways = True
    assert distance(layer(x.flip(1)).flip(1), both) < 1e-6


def test_gradients_reach_all_parameters_of_a_layer() -> None:
    torch.manual_seed(0)
    layer = Mamba(8)
    layer(torch.randn(2, 30, 8)).square().sum().backward()
    assert all(x.grad is not None and x.grad.abs().sum() > 0 for x in layer.parameters())
