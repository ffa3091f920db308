"""Models on a GPU: the same numbers as on the processor, half precision, checkpoints, two devices.

Skipped where there is no CUDA device; ``make test-gpu`` runs what is marked ``gpu``.
"""

from __future__ import annotations

import importlib
import json
from typing import TYPE_CHECKING, Any

import pytest

torch = pytest.importorskip("torch")

import gpu_models  # noqa: E402
from gpu_models import made_up, make, steps  # noqa: E402
from rmtools.models import MODELS, find  # noqa: E402
from rmtools.models.judging.predictions import autocast  # noqa: E402

from rmtools.layouts.tensors import move  # noqa: E402

if TYPE_CHECKING:
    from pathlib import Path

gpu = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device"),
]
SIZE = 64
SMALL: dict[str, dict[str, Any]] = {
    "radiodiff": {"preset": "small", "steps": 2},
    "rmdm": {"preset": "small", "steps": 2},
}
"""Options that make a model quick enough to be tried, where it has them."""


def small(name: str) -> Any:
    """A model in a size for tests; skipped where its file is not there yet."""
    if importlib.util.find_spec(f"rmtools.models.{MODELS[name].partition(':')[0]}") is None:
        pytest.skip(f"{name} is not written yet")
    known = find(name).options()
    options = {key: value for key, value in SMALL.get(name, {}).items() if key in known}
    torch.manual_seed(0)
    return make(name, SIZE, options)


def fitted(name: str) -> Any:
    model = small(name)
    model.fit([made_up(model, SIZE, 4, seed=1)])
    return model


@pytest.mark.parametrize("name", [pytest.param(name, marks=gpu) for name in MODELS])
def test_predictions_on_cuda_are_those_of_the_processor(name: str) -> None:
    model = fitted(name).eval()
    batch = made_up(model, SIZE, 2)
    with torch.no_grad():
        before = model.predict(batch)
        after = model.cuda().predict(move(batch, torch.device("cuda"))).cpu()
    torch.testing.assert_close(after, before, rtol=2e-2, atol=2e-2)


@pytest.mark.parametrize("name", [pytest.param(name, marks=gpu) for name in MODELS])
def test_forward_and_backward_in_bf16(name: str) -> None:
    """Every phase takes a step under autocast; its loss and gradients are finite."""
    cuda = torch.device("cuda")
    model = fitted(name).to(cuda)
    batch = move(made_up(model, SIZE, 2), cuda)
    for phase in model.phases():
        for turn in phase.turns:
            parameters = list(turn.parameters)
            with autocast(cuda, "bf16-mixed"):
                loss = turn.loss(batch)["loss"]
            loss.backward()
            assert torch.isfinite(loss)
            assert all(torch.isfinite(p.grad).all() for p in parameters if p.grad is not None)
            model.zero_grad(set_to_none=True)
    model.eval()
    with torch.no_grad(), autocast(cuda, "bf16-mixed"):
        found = model.predict(batch)
    assert found.shape == batch["target"].shape
    assert torch.isfinite(found.float()).all()


@pytest.mark.parametrize("lane", [pytest.param("float32", marks=gpu)])
def test_the_scan_on_cuda_is_that_of_the_processor(lane: str) -> None:
    ssm = pytest.importorskip("rmtools.models.ssm")
    kind = getattr(torch, lane)
    random = torch.Generator().manual_seed(0)
    shapes = [(2, 8, 200), (2, 8, 200), (8, 4), (2, 4, 200), (2, 4, 200), (8,)]
    u, delta, a, b, c, d = (torch.randn(s, generator=random, dtype=kind) for s in shapes)
    inputs = [u, torch.nn.functional.softplus(delta), -torch.exp(a), b, c, d]
    results = []
    for place in ("cpu", "cuda"):
        tensors = [x.detach().to(place).requires_grad_() for x in inputs]
        y = ssm.selective_scan(*tensors)
        y.square().sum().backward()
        results.append([y.detach().cpu(), *(x.grad.cpu() for x in tensors)])
    for on_cpu, on_cuda in zip(*results, strict=True):
        scale = on_cpu.abs().max()
        torch.testing.assert_close(on_cuda / scale, on_cpu / scale, rtol=0, atol=1e-5)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device")
def test_a_checkpoint_made_on_cuda_loads_on_the_processor(tmp_path: Path) -> None:
    from fakes_judging import make_data, make_split
    from rmtools.models.training import Machine, Training, load_checkpoint, train

    data = make_data(tmp_path / "data", n=64)
    asked = Training("radiounet", data, make_split(), task="static", changes={"steps": 2})
    done = train(asked, tmp_path / "out", Machine(accelerator="gpu", precision="bf16-mixed"))
    checkpoint = load_checkpoint(done.checkpoint)
    assert {value.device.type for value in checkpoint.weights.values()} == {"cpu"}
    model = checkpoint.build()
    with torch.no_grad():
        assert torch.isfinite(model.predict(made_up(model, 64, 2))).all()


@pytest.mark.gpu
@pytest.mark.skipif(torch.cuda.device_count() < 2, reason="there are no two CUDA devices")
def test_training_on_two_devices(tmp_path: Path) -> None:
    """As a program of its own: Lightning starts the second process by the same command."""
    import subprocess
    import sys

    from fakes_judging import make_data, make_split

    from rmtools.splits import write_manifest

    data = make_data(tmp_path / "data", n=64)
    write_manifest(tmp_path / "split.json", make_split())
    command = [sys.executable, "-m", "rmtools", "train", "radiounet", "--data", data, "--split"]
    command += [tmp_path / "split.json", "--task", "static", "--devices", "2", "--out"]
    command += [tmp_path / "out", "--set", "recipe.steps=2", "--set", "recipe.batch=4"]
    done = subprocess.run(
        [str(part) for part in command], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    summary = json.loads((tmp_path / "out" / "training.json").read_text())
    assert (summary["status"], summary["devices"]) == ("finished", 2)


# -- on any machine ------------------------------------------------------------------------------


def test_the_benchmark_runs_on_a_processor_too(tmp_path: Path) -> None:
    arguments = ["--models", "radiounet,no-such", "--size", "64", "--batch", "1", "--largest", "1"]
    arguments += ["--seconds", "0", "--device", "cpu", "--precision", "32-true"]
    arguments += ["--json", str(tmp_path / "a.json"), "--markdown", str(tmp_path / "a.md")]
    row, missing = gpu_models.main(arguments)
    assert (row["parameters"], row["size"], row["best_batch"]) == (13_274_031, 64, 1)
    assert row["maps_per_s"] > 0
    assert row["train_maps_per_s"] > 0
    assert "no-such" in missing["failed"]
    assert json.loads((tmp_path / "a.json").read_text())["models"][0] == row
    page = (tmp_path / "a.md").read_text()
    assert "| radiounet | static | 13.27 |" in page
    assert "| RadioMamba, Table III | radiodiff | 0.5535 |" in page


@pytest.mark.parametrize("name", MODELS)
def test_made_up_batches_fit_every_model(name: str) -> None:
    """Channels, samples and windows of the conventions; one model after the other."""
    model = small(name)
    batch = made_up(model, SIZE, 2)
    convention = model.convention
    if convention.window is None:
        assert batch["input"].shape == (2, len(convention.channels), SIZE, SIZE)
        assert batch["target"].shape == (2, 1, SIZE, SIZE)
    else:
        _, context, horizon = convention.window
        assert batch["input"].shape == (2, context, 1, SIZE, SIZE)
        assert batch["target"].shape == (2, horizon, 1, SIZE, SIZE)
    if convention.samples is not None:
        assert batch["mask"].sum((1, 2, 3)).tolist() == [gpu_models.SAMPLES] * 2


def test_a_step_changes_only_what_the_last_phase_trains() -> None:
    model = small("radiounet")
    before = {key: value.clone() for key, value in model.state_dict().items()}
    step = steps(model.train(), made_up(model, SIZE, 1), "32-true")
    assert step is not None
    step()
    changed = {
        k.split(".")[0] for k, v in model.state_dict().items() if not torch.equal(v, before[k])
    }
    assert changed == {"second"}
