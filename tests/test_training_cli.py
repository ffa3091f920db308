"""``rmtools train`` and ``rmtools predict`` as a user meets them, and the page about them."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import jsonschema
import numpy as np
import pytest

from rmtools.cli import main
from rmtools.errors import ExitCode
from rmtools.layouts.maps import open_maps
from rmtools.splits.manifest import read_manifest

pytest.importorskip("torch")
pytest.importorskip("lightning")

from fakes_models import TWO

REPOSITORY = Path(__file__).resolve().parent.parent
ONE_THREAD = {**os.environ, "OMP_NUM_THREADS": "1"}


Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def rmtools(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run a verb in this process (torch takes seconds to start): exit code, stdout, stderr."""

    def run(*arguments: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["rmtools", *map(str, arguments)])
        try:
            main()
        except SystemExit as end:
            code = int(end.code or 0)
        return code, *capsys.readouterr()

    return run


def test_the_model_of_the_page_is_trained_predicts_and_is_measured(
    tiny_dataset: Path, tmp_path: Path, rmtools: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The file and the commands of docs/models.md, on fewer steps."""
    page = (REPOSITORY / "docs" / "models.md").read_text()
    blocks = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    monkeypatch.chdir(tmp_path)
    Path("my_model.py").write_text(next(text for text in blocks if "MyModel" in text))
    commands = re.findall(r"^(rmtools \w+ .*MyModel.*)$", page, re.MULTILINE)
    train, predict = (
        line.replace("demo", str(tiny_dataset)).replace("test_unseen", "test").split()
        for line in commands
    )
    quick = ("--set", "recipe.steps=30", "--check-maps", 5, "--json")
    code, told, said = rmtools(*train[1:], *quick)
    assert code == 0, said
    summary = json.loads(told)
    assert summary["setup"]["options"] == {"width": 16}
    rows = (tmp_path / "runs/mymodel-dynamic/metrics.csv").read_text().splitlines()
    assert rows[0].endswith(",loss,l1,mse")
    losses = [float(row.split(",")[-3]) for row in rows[1:] if row.split(",")[-3]]
    assert losses[-1] < losses[0]
    code, _, said = rmtools(*predict[1:])
    assert code == 0, said
    measure = said.strip().splitlines()[-1].removeprefix("next: rmtools ").split()
    code, told, said = rmtools(*measure, "--json")
    assert code == 0, said
    assert json.loads(told)["maps"] == 60  # one scene, 4 transmitters, 15 frames
    # the same error by hand, of one map
    split, source = read_manifest(tiny_dataset / "split.json"), open_maps(tiny_dataset)
    (scene,) = source.scene_indices(split.sets["test"].scenes)
    name = f"env_{scene:03d}/traj_00/tx_02/07.npy"
    predicted = np.load(tmp_path / "predictions" / name)
    truth = source.grey("pathloss", scene, 0, 2)[7] / 255.0
    assert predicted.shape == truth.shape
    assert predicted.dtype == np.float32
    assert np.mean((predicted - truth) ** 2) < np.mean(truth**2)


def test_ctrl_c_finishes_the_step_and_says_how_to_go_on(
    tiny_dataset: Path, tmp_path: Path, rmtools: Run
) -> None:
    command = ["train", TWO, "--data", tiny_dataset, "--out", tmp_path / "run", "--task", "srm"]
    command += ["--accelerator", "cpu", "--save-minutes", "0", "--cache", tmp_path / "maps"]
    long = [*command, "--set", "recipe.1.steps=100000", "--set", "recipe.1.check_every=5"]
    process = subprocess.Popen(
        [sys.executable, "-m", "rmtools", *map(str, long)],
        stderr=subprocess.PIPE,
        text=True,
        env=ONE_THREAD,
    )
    assert process.stderr is not None
    said = []
    for line in process.stderr:
        said.append(line)
        if line.startswith("first (1 of 2): step 5"):
            process.send_signal(signal.SIGINT)
            break
    said += process.communicate()[1].splitlines()
    assert process.returncode == ExitCode.INTERRUPTED, said
    assert re.search(r"^error: stopped after step \d+ of 'first'.*--resume", said[-1])
    assert "Traceback" not in "".join(said)
    assert list((tmp_path / "maps").glob("cache-*/packed.json"))
    schema = json.loads((REPOSITORY / "schemas" / "training.schema.json").read_text())
    summary = json.loads((tmp_path / "run" / "training.json").read_text())
    jsonschema.validate(summary, schema)
    assert summary["status"] == "stopped"
    code, _, text = rmtools(*long)
    assert code == ExitCode.RECIPE
    assert "there is a training in it already" in text


def test_static_predictions_and_refusals_by_exit_code(
    tiny_dataset: Path, tmp_path: Path, rmtools: Run
) -> None:
    from rmtools.models.training import Machine, Training, train

    run, out = tmp_path / "run", tmp_path / "out"
    train(Training(TWO, tiny_dataset, changes={"steps": 1}), run, Machine(accelerator="cpu"))
    data = ("--data", tiny_dataset)
    code, _, said = rmtools("predict", run, *data, "--out", out, "--model", TWO, "--format", "png")
    assert code == 0, said
    (scene,) = read_manifest(tiny_dataset / "split.json").sets["test"].scenes
    assert sorted(p.name for p in (out / scene).iterdir()) == [f"tx_0{k}.png" for k in range(4)]
    assert "rmtools evaluate" not in said  # it would compare with maps with vehicles
    for arguments, expected, says in (
        (("predict", run, *data, "--out", out, "--model", TWO), ExitCode.INPUT, "not empty"),
        (("predict", run, *data, "--out", tmp_path / "x"), ExitCode.RECIPE, "--model"),
        (
            ("predict", run, *data, "--model", TWO, "--set", "val", "--out", tmp_path / "x"),
            ExitCode.LEAK,
            "was used to train it",
        ),
        (("train", "radiounet"), ExitCode.USAGE, "--data"),
        (("train", "radiounet", *data, "--set", "batch=3"), ExitCode.RECIPE, "recipe.KEY"),
    ):
        code, _, said = rmtools(*arguments)
        assert code == expected, said
        assert says in " ".join(said.split())


def test_two_devices_do_what_one_does(tiny_dataset: Path, tmp_path: Path) -> None:
    """Two processes share every batch of a model without statistics: the same weights."""
    import torch
    from rmtools.models.training import Machine, Training, load_checkpoint, train

    plain = TWO.replace(":Two", ":Plain")
    one = train(Training(plain, tiny_dataset), tmp_path / "1", Machine(accelerator="cpu"))
    command = ["train", plain, "--data", tiny_dataset, "--out", tmp_path / "2"]
    command += ["--accelerator", "cpu", "--devices", 2]
    done = subprocess.run(
        [sys.executable, "-m", "rmtools", *map(str, command)],
        capture_output=True,
        text=True,
        check=False,
        env=ONE_THREAD,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("Plain") == 1
    two = load_checkpoint(tmp_path / "2")
    torch.testing.assert_close(load_checkpoint(one.folder).weights, two.weights)


def test_models_are_listed_without_making_them(rmtools: Run) -> None:
    code, told, said = rmtools("train", "--list", "--json")
    assert code == 0, said
    listed = {each["name"]: each for each in json.loads(told)["models"]}
    assert listed["radiounet"]["parameters"] == 13_274_031
    assert listed["radiounet"]["tasks"][0] == "static"


def test_the_command_line_starts_without_torch() -> None:
    code = "import sys, rmtools.cli; print([m for m in ('torch', 'lightning') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
