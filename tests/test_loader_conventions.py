"""Inputs and targets are those of the released loaders, restated in published_loaders.py."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from fakes import make_seer_folder
from PIL import Image
from published_loaders import RESTATED

from rmtools.errors import InputError, RecipeError
from rmtools.layouts.conventions import CONVENTIONS, GreyTransform, find_convention
from rmtools.units import MOTION_SCALE, SEER_SCALE

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

torch = pytest.importorskip("torch")

from rmtools.layouts import SequenceForecast, SparseSamples, StaticMaps  # noqa: E402

SPARSE = ("sparse", "sparse-dynamic")


@pytest.fixture(scope="module")
def seer(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Maps 0 and 5 in RadioMapSeer's layout; cars and IRT4 change the gain so that one can tell."""
    root = make_seer_folder(tmp_path_factory.mktemp("seer"), (0, 5), transmitters=3, gains=3)
    for path in (root / "gain/DPM").iterdir():
        levels = np.asarray(Image.open(path))
        for folder, changed in (("carsDPM", levels - (levels > 100)), ("IRT4", levels // 2)):
            (root / "gain" / folder).mkdir(exist_ok=True)
            Image.fromarray(changed.astype(np.uint8)).save(root / "gain" / folder / path.name)
    return root


def dataset(seer: Path, name: str, task: str, **options: Any) -> Any:
    kind = "IRT4" if "irt4" in name else "DPM"
    if task.endswith("dynamic"):
        kind = "carsDPM"
    make: Callable[..., Any] = SparseSamples if task in SPARSE else StaticMaps
    return make(seer, task=task, convention=name, kind=kind, **options)


@pytest.mark.parametrize(("name", "task"), RESTATED)
def test_inputs_and_targets_are_the_released_loaders(seer: Path, name: str, task: str) -> None:
    data = dataset(seer, name, task)
    assert len(data) == 6
    for index in (0, 4):
        item = data[index]
        number, tx = [0, 5][index // 3], index % 3
        mask = np.nonzero(item["mask"][0].numpy()) if "mask" in item else None
        inputs, target = RESTATED[name, task](seer, number, tx, mask)
        assert item["input"].dtype == item["target"].dtype == torch.float32
        assert item["input"].shape == inputs.shape
        peak = max(1.0, np.abs(inputs).max())
        np.testing.assert_allclose(item["input"].numpy(), inputs, atol=2e-6 * peak)
        peak = max(1.0, np.abs(target).max())
        np.testing.assert_allclose(item["target"].numpy(), target[None], atol=1e-6 * peak)


def test_every_convention_is_restated_or_ours() -> None:
    ours = {
        (name, task)
        for name, tasks in CONVENTIONS.items()
        for task in tasks
        if name != "rmtools" and task != "forecast"
    }
    left = {("radiounet-irt4", "sparse-dynamic"), ("rme-gan", "sparse-dynamic")}
    left.add(("radiodiff-irt4", "dynamic"))
    assert ours - set(RESTATED) == left  # the same code, with the cars channel tested above


def test_channels_with_cars_come_where_the_code_has_them() -> None:
    gan = find_convention("rme-gan", "sparse-dynamic")
    assert gan.channels == ("buildings", "transmitter", "samples", "fit", "vehicles")
    assert find_convention("radiodiff-irt4", "dynamic").grey.divisor == 256
    assert find_convention("radiounet-irt4", "sparse-dynamic").high == 255 / 256


@pytest.mark.parametrize(
    ("name", "window"),
    [("radiomapmotion", (2, 8, 5)), ("radiomapmotion-paper", (0, 10, 5))],
)
def test_windows_are_those_of_code_and_paper(
    tmp_path: Path, name: str, window: tuple[int, int, int]
) -> None:
    """The released loader: context from frame 2, 8 frames / 255, and the 5 that follow."""
    random = np.random.default_rng(0)
    frames = random.integers(0, 256, (2, 2, 1, 15, 16, 16), np.uint8)
    for env, traj, tx, frame in np.ndindex(2, 2, 1, 15):
        folder = tmp_path / f"gain/env_{env:03d}/traj_{traj:02d}/tx_{tx:02d}"
        folder.mkdir(parents=True, exist_ok=True)
        Image.fromarray(frames[env, traj, tx, frame]).save(folder / f"frame_{frame}.png")
    data = SequenceForecast(tmp_path, convention=name)
    assert (len(data), data.window) == (4, window)
    start, context, horizon = window
    item = data[3]
    truth = (frames[1, 1, 0].astype(np.float32) / 255.0)[:, None]
    np.testing.assert_array_equal(item["input"], truth[start : start + context])
    np.testing.assert_array_equal(
        item["target"], truth[start + context : start + context + horizon]
    )
    assert item["meta"]["frame"] == start + context
    assert item["meta"]["tx_row"] == -1  # images alone do not say


@pytest.mark.parametrize("scale", [SEER_SCALE, MOTION_SCALE], ids=lambda scale: scale.name)
@pytest.mark.parametrize(
    "grey",
    [
        GreyTransform(),
        GreyTransform(256.0),
        GreyTransform(255.0, 0.2),
        GreyTransform(256.0, 0.2, 256.0),
        GreyTransform(255.0, 0.0, 2.0, -1.0),
    ],
)
def test_targets_go_back_to_decibels(scale: Any, grey: GreyTransform) -> None:
    from rmtools.layouts.tensors import scale_grey

    levels = torch.arange(64, 255, dtype=torch.uint8)  # above the threshold
    slope, intercept = grey.gain_db(scale)
    gain_db = slope * scale_grey(levels, grey).numpy().astype(float) + intercept
    np.testing.assert_allclose(gain_db, -scale.decode(levels.numpy()), atol=2e-4)


@pytest.mark.parametrize(
    ("name", "task"), [(n, t) for n, tasks in CONVENTIONS.items() for t in tasks if t != "forecast"]
)
def test_planes_finished_later_are_the_same(seer: Path, name: str, task: str) -> None:
    floats, planes = dataset(seer, name, task), dataset(seer, name, task, dtype="uint8")
    raw = planes.__getitems__([0, 5, 2]).batch
    assert raw["planes"].dtype == raw["target"].dtype == torch.uint8
    assert "input" not in raw
    finished, wanted = planes.finish(raw), floats.__getitems__([0, 5, 2]).batch
    assert torch.equal(finished["input"], wanted["input"])
    assert torch.equal(finished["target"], wanted["target"])
    assert finished["meta"].keys() == wanted["meta"].keys()


def test_unknown_conventions_and_wrong_tasks_are_refused(seer: Path) -> None:
    with pytest.raises(RecipeError, match=r"no convention 'radionet'.*radiounet"):
        StaticMaps(seer, convention="radionet", kind="DPM")
    with pytest.raises(RecipeError, match=r"'radiodun' is for the task sparse-dynamic, not"):
        StaticMaps(seer, convention="radiodun", kind="DPM")
    with pytest.raises(RecipeError, match="no type of samples"):
        StaticMaps(seer, kind="DPM", dtype="float64")


def test_true_maps(reference_data: Path) -> None:
    """Map 0 of the published dataset, transmitter from the JSON (its image is not there)."""
    root = reference_data / "radiomapseer"
    item = StaticMaps(root, convention="radiounet", kind="DPM")[0]
    gain = np.asarray(Image.open(root / "gain/DPM/0_0.png")) / 255
    buildings = np.asarray(Image.open(root / "png/buildings_complete/0.png")) / 255
    np.testing.assert_allclose(item["target"][0], (np.maximum(gain, 0.2) - 0.2) / 0.8, atol=1e-6)
    np.testing.assert_array_equal(item["input"][0], buildings.astype(np.float32))
    assert item["input"][1].sum() == 1
    row, col = int(item["meta"]["tx_row"]), int(item["meta"]["tx_col"])
    assert item["input"][1, row, col] == 1
    assert item["target"][0, row, col] == 1  # level 255 stands at the transmitter only
    assert gain[row, col] == 1
    with pytest.raises(InputError, match=r"0_5\.png"):
        StaticMaps(root, convention="radiounet", kind="DPM")[5]
