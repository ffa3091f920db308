"""Every model of the table trains for a few steps on a real dataset, and its loss falls."""

from __future__ import annotations

import copy
import importlib.util
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
import rmtools.models
from fakes_models import GAN, TWO

torch = pytest.importorskip("torch")
pytest.importorskip("lightning")

from rmtools.models.training import Machine, Training, load_checkpoint  # noqa: E402
from rmtools.models.training import train as fit  # noqa: E402
from rmtools.models.training.prepare import prepare  # noqa: E402
from rmtools.models.training.turns import set_modes  # noqa: E402

if TYPE_CHECKING:
    from pathlib import Path

    from rmtools.models.interface import Phase, RadioModel

SMALL: dict[str, dict[str, Any]] = {
    "ae": {"width": 8},
    "conv-mamba-unet": {"width": 8},
    "deep-ae": {"width": 8},
    "octuf": {"layers": 2},
    "radiodiff": {"preset": "small", "steps": 1},
    "radiodun": {"blocks": 1},
    "radiolstm": {"width": 8},
    "radiomamba": {"width": 8, "depths": [1, 1, 1, 1, 1]},
    "rmdm": {"preset": "small", "steps": 2},
    "static-unet": {"pairs": 1},
    "uvm-net": {"width": 8},
}
"""Options that keep large models small."""

STEPS = 3
CHANGES = {
    "batch": 2,
    "accumulate": 1,
    "epochs": None,
    "steps": STEPS,
    "check_every": STEPS,
    "ema": None,
    "optimiser.learning_rate": 3e-4,
    "schedule.kind": "constant",
    "schedule.warm_up": 0,
}


def there(name: str) -> bool:
    """Whether the file of a model is part of this checkout."""
    module = rmtools.models.MODELS.get(name, "").partition(":")[0]
    return not module or importlib.util.find_spec(f"rmtools.models.{module}") is not None


def loss_of(model: RadioModel, phase: Phase, batch: Any) -> float:
    """What a phase lowers, on one batch, with the same random numbers every time."""
    torch.manual_seed(1)
    with torch.no_grad():
        if len(phase.turns) == 1:
            return float(phase.turns[0].loss(batch)["loss"])
        if phase.check is not None:
            return float(phase.check(batch))
        return float(((model.predict(batch) - batch["target"]) ** 2).mean())


@pytest.mark.parametrize("name", [*rmtools.models.names(), TWO, GAN])
def test_it_trains_and_its_loss_falls(name: str, tiny_dataset: Path, tmp_path: Path) -> None:
    if not there(name):
        pytest.skip("not part of this checkout")
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        check_model(name, tiny_dataset, tmp_path)
    finally:
        torch.set_num_threads(threads)


def check_model(name: str, data: Path, folder: Path) -> None:
    model = rmtools.models.find(name)
    asked = Training(
        name,
        data,
        options=SMALL.get(name, {}),
        changes=CHANGES,
        train_scenes=1,
        check_maps=2,
        context=3 if next(iter(model.conventions)) == "forecast" else None,
    )
    if not model.recipes:
        asked = replace(asked, changes={})
    # as it is before, from the same seed
    before = prepare(asked, cache=None, audit=False)
    result = fit(asked, folder / "run", Machine(accelerator="cpu", use_cache=False))
    found = load_checkpoint(result.checkpoint)
    after = found.build(name)
    batch = before.train.finish(before.train.__getitems__([0, 1, 2, 3]).batch)
    pairs = list(zip(before.phases, after.phases(), strict=True))
    for old, new in pairs:
        for each, phase in ((before.model, old), (after, new)):
            trained = {id(p) for turn in phase.turns for p in turn.parameters}
            set_modes(each, trained)
        assert loss_of(after, new, batch) < loss_of(before.model, old, batch), old.name
    assert [phase.ended for phase in result.summary.phases] == ["length"] * len(pairs)
    # and the checkpoint is the model: built twice, it predicts the same
    after = found.build(name)
    with torch.no_grad():
        one = after.predict(copy.copy(batch))
        two = load_checkpoint(result.checkpoint).build(name).predict(copy.copy(batch))
    assert one.shape == batch["target"].shape
    assert torch.equal(one, two)
    assert bool(one.isfinite().all())
