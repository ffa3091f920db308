"""Training: exact resumption, what is kept, what is refused, what ends it."""

from __future__ import annotations

import csv
import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from rmtools.errors import InputError, RecipeError, StorageError
from rmtools.layouts.maps import open_maps
from rmtools.splits.manifest import SplitSet, make_manifest, read_manifest

torch = pytest.importorskip("torch")
pytest.importorskip("lightning")

from fakes_models import DIVERGING, FILE, GAN, TWO  # noqa: E402
from rmtools.models.training import (  # noqa: E402
    Machine,
    Stopped,
    Training,
    TrainingResult,
    load_checkpoint,
)
from rmtools.models.training import train as fit  # noqa: E402
from rmtools.models.training.module import PhaseModule  # noqa: E402

if TYPE_CHECKING:
    from pathlib import Path

MACHINE = Machine(accelerator="cpu", save_minutes=0)


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> Any:
    """Sums do not depend on how many cores the machine has."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder for trainings, which share one cache of the maps."""
    return tmp_path_factory.mktemp("runs")


def stop_after(monkeypatch: pytest.MonkeyPatch, phase: int, step: int) -> None:
    """Ask the training to stop while it takes a step."""
    before = PhaseModule.training_step

    def training_step(self: PhaseModule, batch: Any, batch_idx: int) -> None:
        if (self.plan.number, self.progress.step, self._micro) == (phase, step - 1, 0):
            signal.raise_signal(signal.SIGINT)
        before(self, batch, batch_idx)

    monkeypatch.setattr(PhaseModule, "training_step", training_step)


def weights(folder: Path, name: str = "best.ckpt") -> dict[str, Any]:
    return load_checkpoint(folder / name).weights


def same(one: Any, two: Any) -> bool:
    """Equal to the last bit, however deep."""
    if isinstance(one, torch.Tensor):
        return bool(torch.equal(one, two))
    if isinstance(one, dict):
        return one.keys() == two.keys() and all(same(one[key], two[key]) for key in one)
    if isinstance(one, list | tuple):
        return len(one) == len(two) and all(map(same, one, two))
    return bool(one == two)


def without_time(resume: dict[str, Any]) -> dict[str, Any]:
    progress = {key: value for key, value in resume["progress"].items() if key != "seconds"}
    return {"progress": progress, **{key: resume[key] for key in ("optimisers", "mean")}}


def without_seconds(folder: Path) -> list[dict[str, str]]:
    with (folder / "metrics.csv").open(newline="") as handle:
        return [{k: v for k, v in row.items() if k != "seconds"} for row in csv.DictReader(handle)]


@pytest.fixture(scope="module")
def asked(tiny_dataset: Path) -> Training:
    return Training(TWO, tiny_dataset, task="sparse", seed=5)


@pytest.fixture(scope="module")
def whole(asked: Training, runs: Path) -> TrainingResult:
    """A training that nothing disturbed."""
    return fit(asked, runs / "whole", MACHINE)


# -- resuming ------------------------------------------------------------------------------------


def test_stopped_after_every_step_it_ends_with_the_same_bits(
    asked: Training, whole: TrainingResult, runs: Path
) -> None:
    """In the middle of epochs, at checks, between phases; noise, dropout and masks go on."""
    folder, stops = runs / "stopped", 0
    for phase, steps in ((1, 7), (2, 5)):
        for step in range(1, steps + 1):
            with pytest.MonkeyPatch.context() as patch:
                stop_after(patch, phase, step)
                with pytest.raises(Stopped, match=f"after step {step} of .*--resume"):
                    fit(asked, folder, MACHINE, resume=True)
            assert json.loads((folder / "training.json").read_text())["status"] == "stopped"
            stops += 1
    done = fit(asked, folder, MACHINE, resume=True)
    assert stops == 12
    assert same(weights(folder), weights(whole.folder))
    last, other = (load_checkpoint(f / "last.ckpt") for f in (folder, whole.folder))
    assert same(last.weights, other.weights)
    assert same(without_time(last.resume), without_time(other.resume))
    figures = [[(p.score, p.best_step, p.ended) for p in r.summary.phases] for r in (done, whole)]
    assert figures[0] == figures[1]
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    checks = [
        [(r["phase"], r["step"], r["check"]) for r in without_seconds(f) if r["check"]]
        for f in (folder, whole.folder)
    ]
    assert checks[0] == checks[1]


def test_a_finished_training_is_left_as_it_is(asked: Training, whole: TrainingResult) -> None:
    before = (whole.folder / "best.ckpt").stat()
    again = fit(asked, whole.folder, MACHINE, resume=True)
    assert again.summary.phases == whole.summary.phases
    assert (whole.folder / "best.ckpt").stat() == before
    with pytest.raises(RecipeError, match=r"a training in it already.*--resume"):
        fit(asked, whole.folder, MACHINE)


def test_a_training_is_not_resumed_as_another_one(asked: Training, whole: TrainingResult) -> None:
    for change, says in (
        ({"seed": 6}, "seed: 5 -> 6"),
        ({"changes": {"batch": 2}}, "phases"),
        ({"options": {"width": 5}}, "options"),
        ({"train_scenes": 3}, "sets"),
    ):
        with pytest.raises(RecipeError, match=f"another one .*{says}"):
            fit(replace(asked, **change), whole.folder, MACHINE, resume=True)


def test_killed_it_resumes_to_the_same_bits(
    asked: Training, whole: TrainingResult, runs: Path
) -> None:
    folder = runs / "killed"
    command = [sys.executable, "-m", "rmtools", "train", TWO, "--data", str(asked.data)]
    command += ["--task", "sparse", "--seed", "5", "--out", str(folder), "--resume"]
    command += ["--save-minutes", "0", "--accelerator", "cpu"]
    command += ["--set", "recipe.check_every=1"]
    limited = {**os.environ, "OMP_NUM_THREADS": "1"}
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=limited)
    assert process.stderr is not None
    for line in process.stderr:
        if line.startswith("first (1 of 2): step 4"):
            process.kill()
            break
    process.communicate()
    assert process.returncode == -signal.SIGKILL
    changed = replace(asked, changes={"check_every": 1})
    fit(changed, folder, MACHINE, resume=True)
    fit(changed, runs / "not killed", MACHINE)
    assert same(weights(folder), weights(runs / "not killed"))
    assert without_seconds(folder) == without_seconds(runs / "not killed")


# -- what is trained -----------------------------------------------------------------------------


def test_phases_train_their_own_weights_from_the_best_ones(whole: TrainingResult) -> None:
    summary, best = whole.summary, load_checkpoint(whole.checkpoint)
    assert summary.status == "finished"
    assert [phase.name for phase in summary.phases] == ["first", "second"]
    assert summary.phases[0].of == 7
    assert summary.phases[1].epochs == 5 * 2 / 4  # batches of 4 of 16 maps, two in a step
    assert best.info.complete
    assert best.info.score == summary.score
    assert best.info.setup.sets.train_samples == 16
    # the first net of the end is that of the best check of the first phase
    first = load_checkpoint(whole.folder / "last.ckpt").weights
    assert all(torch.equal(best.weights[k], first[k]) for k in first if k.startswith("first."))
    rows = without_seconds(whole.folder)
    assert {row["phase"] for row in rows} == {"1", "2"}
    assert float(rows[-1]["loss"]) > 0
    assert [*(whole.folder / "tensorboard").rglob("events*")]


def test_the_mean_of_the_weights_is_judged_and_kept(
    asked: Training, runs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Against the recursion written out, on the weights after each step."""
    seen: list[torch.Tensor] = []
    before = PhaseModule._after_step

    def after_step(self: PhaseModule, rate: float) -> None:
        seen.append(self.model.first[0].weight.detach().clone())
        before(self, rate)

    monkeypatch.setattr(PhaseModule, "_after_step", after_step)
    changes = {"1.steps": 3, "2.steps": 1, "check_every": 10}
    folder = runs / "mean"
    monkeypatch.setattr(PhaseModule, "on_train_start", _noting_start(seen))
    fit(replace(asked, changes=changes), folder, MACHINE)
    mean = seen[0]
    for value in seen[1:4]:
        mean = 0.5 * mean + 0.5 * value
    torch.testing.assert_close(weights(folder)["first.0.weight"], mean)
    assert not torch.equal(mean, seen[3])


def _noting_start(seen: list[torch.Tensor]) -> Any:
    before = PhaseModule.on_train_start

    def on_train_start(self: PhaseModule) -> None:
        if not seen:
            seen.append(self.model.first[0].weight.detach().clone())
        before(self)

    return on_train_start


def test_a_gan_takes_turns(tiny_dataset: Path, runs: Path) -> None:
    """The critic has its own rate, each turn leaves the other's weights alone, losses are told."""
    moved: dict[str, list[bool]] = {"critic": [], "generator": []}
    before = PhaseModule.on_before_optimizer_step

    def spy(self: PhaseModule, optimizer: torch.optim.Optimizer) -> None:
        before(self, optimizer)
        for name, has_gradient in moved.items():
            net = getattr(self.model, name)
            has_gradient.append(any(p.grad is not None for p in net.parameters()))
        rates.append(optimizer.param_groups[0]["lr"])

    rates: list[float] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(PhaseModule, "on_before_optimizer_step", spy)
        fit(Training(GAN, tiny_dataset), runs / "gan", MACHINE)
    assert moved == {"critic": [True, False] * 6, "generator": [False, True] * 6}
    assert rates == [1e-4, 1e-2] * 6
    rows = without_seconds(runs / "gan")
    assert {"critic loss", "critic real", "generator near"} <= rows[-1].keys()
    assert float(rows[-1]["generator near"]) < float(rows[0]["generator near"])
    with pytest.MonkeyPatch.context() as patch:
        stop_after(patch, 1, 2)
        with pytest.raises(Stopped):
            fit(Training(GAN, tiny_dataset), runs / "gan stopped", MACHINE)
    fit(Training(GAN, tiny_dataset), runs / "gan stopped", MACHINE, resume=True)
    assert same(weights(runs / "gan stopped"), weights(runs / "gan"))


def test_batches_summed_up_are_one_large_batch(tiny_dataset: Path, runs: Path) -> None:
    """Two batches of 2 for a step give the step of one batch of 4 where nothing couples maps."""
    plain = Training(f"{FILE}:Plain", tiny_dataset, changes={"steps": 3})
    fit(plain, runs / "large", MACHINE)
    split = replace(plain, changes={"steps": 3, "batch": 2, "accumulate": 2})
    fit(split, runs / "summed", MACHINE)
    torch.testing.assert_close(weights(runs / "large"), weights(runs / "summed"))


def test_patience_ends_a_phase(tiny_dataset: Path, runs: Path) -> None:
    """A rate so small that rounding hides it: no look is better than the first."""
    asked = Training(
        f"{FILE}:Plain",
        tiny_dataset,
        changes={"steps": 50, "check_every": 2, "patience": 3, "optimiser.learning_rate": 1e-30},
    )
    (phase,) = fit(asked, runs / "patience", MACHINE).summary.phases
    assert (phase.ended, phase.steps, phase.best_step, phase.of) == ("patience", 8, 2, 50)


def test_a_limit_of_time_leaves_every_phase_its_part(tiny_dataset: Path, runs: Path) -> None:
    asked = Training(TWO, tiny_dataset, changes={"steps": 10**6, "check_every": 10**6})
    result = fit(asked, runs / "limit", replace(MACHINE, limit_minutes=2 / 60))
    assert [phase.ended for phase in result.summary.phases] == ["time", "time"]
    assert all(phase.best_step == phase.steps > 0 for phase in result.summary.phases)
    assert load_checkpoint(result.checkpoint).info.complete


def test_without_validation_the_last_weights_are_kept(tiny_dataset: Path, runs: Path) -> None:
    asked = Training(f"{FILE}:Plain", tiny_dataset, val_set="none", changes={"steps": 3})
    result = fit(asked, runs / "unvalidated", MACHINE)
    assert result.summary.score is None
    assert any("nothing is validated" in note for note in result.summary.notes)
    assert same(weights(result.folder), weights(result.folder, "last.ckpt"))


def test_what_takes_one_look_is_fitted(tiny_dataset: Path, runs: Path) -> None:
    """The mean map of the training set: 16 maps, each once."""
    result = fit(Training(f"{FILE}:Mean", tiny_dataset), runs / "fitted", MACHINE)
    source, split = open_maps(tiny_dataset), read_manifest(tiny_dataset / "split.json")
    scenes = source.scene_indices(split.sets["train"].scenes)
    maps = [source.grey("pathloss_static", s, 0, tx)[0] / 255.0 for s in scenes for tx in range(4)]
    mean = torch.tensor(sum(maps) / 16, dtype=torch.float32)
    torch.testing.assert_close(weights(result.folder)["mean"][0], mean)
    assert result.summary.score is not None
    assert load_checkpoint(result.folder).info.phase == 0


def test_fine_tuning_starts_from_a_checkpoint(
    asked: Training, whole: TrainingResult, runs: Path
) -> None:
    changes = {"steps": 1, "optimiser.learning_rate": 1e-30, "optimiser.weight_decay": 0.0}
    tuned = replace(asked, initial=whole.checkpoint, changes=changes)
    result = fit(tuned, runs / "tuned", MACHINE)
    trained = [name for name in weights(result.folder) if name.endswith("weight")]
    start, end = weights(whole.folder), weights(result.folder)
    assert all(torch.equal(start[name], end[name]) for name in trained)
    assert load_checkpoint(result.folder).info.setup.initial_sha256 is not None


def test_half_precision_is_for_gpus(tiny_dataset: Path, runs: Path) -> None:
    asked = Training(f"{FILE}:Plain", tiny_dataset, changes={"steps": 1, "precision": "bf16-mixed"})
    result = fit(asked, runs / "half", MACHINE)
    assert result.summary.precision == ["32-true"]
    assert "bf16-mixed is for GPUs" in " ".join(result.summary.notes)
    forced = replace(MACHINE, precision="bf16-mixed")
    assert fit(asked, runs / "forced", forced).summary.precision == ["bf16-mixed"]
    with pytest.raises(RecipeError, match="16-mixed needs a GPU"):
        fit(asked, runs / "sixteen", replace(MACHINE, precision="16-mixed"))


# -- what cannot go on ---------------------------------------------------------------------------


def test_a_loss_that_is_no_number_stops_with_phase_and_step(tiny_dataset: Path, runs: Path) -> None:
    asked = Training(DIVERGING, tiny_dataset, changes={"steps": 9, "check_every": 9})
    with pytest.raises(RecipeError, match=r"in step 4 of the phase 'downhill'.*learning_rate"):
        fit(asked, runs / "diverging", MACHINE)
    assert not (runs / "diverging" / "best.ckpt").exists()


def test_a_full_disk_is_explained_and_can_be_resumed(
    asked: Training, whole: TrainingResult, runs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = runs / "full"
    save, calls = torch.save, iter(range(100))

    def full(content: Any, handle: Any) -> None:
        if next(calls) == 3:
            with open("/dev/full", "wb") as nowhere:  # noqa: PTH123 - a device
                save(content, nowhere)
        save(content, handle)

    monkeypatch.setattr(torch, "save", full)
    with pytest.raises(StorageError, match=r"ckpt: the disk is full"):
        fit(asked, folder, MACHINE)
    monkeypatch.undo()
    fit(asked, folder, MACHINE, resume=True)
    assert same(weights(folder), weights(whole.folder))


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"model": "radionet"}, "no model 'radionet'"),
        ({"model": f"{FILE}:Nothing"}, "no class 'Nothing'"),
        ({"task": "forecast"}, "Two is for static"),
        ({"options": {"depth": 3}}, "no option 'depth'.*width"),
        ({"changes": {"bach": 3}}, "no 'bach', did you mean 'batch'"),
        ({"changes": {"batch": 0}}, "batch must be 1 or more"),
        ({"changes": {"batch": "many"}}, "batch: Input should be a valid integer"),
        ({"changes": {"3.steps": 1}}, "no phase 3"),
        ({"changes": {"schedule": "cosine"}}, r"schedule' has parts.*factor"),
        ({"changes": {"steps": None, "epochs": None}}, "neither epochs nor steps"),
        ({"recipe": "best"}, "no recipe 'best'.*quick"),
        ({"train_set": "training"}, "no set 'training'.*train"),
        ({"train_scenes": 9}, "9 scenes of the 4"),
        ({"train_scenes": 1, "train_fraction": 0.5}, "not both"),
        ({"train_fraction": 1.5}, "above 0"),
        ({"samples": (5, 5000)}, "5 to 5000 samples"),
        ({"context": 3}, "has no context"),
        ({"kind": "IRT4"}, "none is called 'IRT4'"),
        ({"split": "nowhere.json"}, "no such file"),
        ({"split": "radiomambo"}, "did you mean 'radiomamba'"),
    ],
)
def test_what_does_not_fit_is_said_before_anything_is_made(
    asked: Training, runs: Path, change: dict[str, Any], says: str
) -> None:
    with pytest.raises((RecipeError, InputError), match=says):
        fit(replace(asked, **change), runs / "wrong", MACHINE)
    assert not (runs / "wrong").exists()


def test_a_leaky_split_is_warned_of(asked: Training, runs: Path) -> None:
    source = open_maps(asked.data)
    sets = {
        "train": SplitSet(scenes=source.scene_names, sequences=24),
        "val": SplitSet(scenes=source.scene_names[:1], sequences=4),
    }
    fields = {"method": "random", "description": "for a test", "dataset": "x"}
    leaky = make_manifest(sets, name="shared", leaky=True, leaky_reason="on purpose", **fields)
    changed = replace(asked, split=leaky, changes={"steps": 1})
    result = fit(changed, runs / "leaky", MACHINE)
    assert "warning: the split shared LEAKS" in result.summary.notes[0]
    assert load_checkpoint(result.folder).info.setup.split.leaky


def test_the_process_stops_on_sigterm_too(asked: Training, runs: Path) -> None:
    began = time.monotonic()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(signal, "SIGINT", signal.SIGTERM)
        stop_after(patch, 1, 2)
        with pytest.raises(Stopped, match="after step 2"):
            fit(asked, runs / "terminated", MACHINE)
    assert time.monotonic() - began < 60
