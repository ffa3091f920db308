"""rmtools evaluate: sources of maps, pairing, groups, and what it says about bad input."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import jsonschema
import numpy as np
import pytest
from fakes_store import make_store
from PIL import Image
from typer.testing import CliRunner

from rmtools.cli import app
from rmtools.errors import ExitCode, InputError, RecipeError, RmtoolsError
from rmtools.images import grey_png
from rmtools.layouts.motion import MotionLayout, write_layout
from rmtools.metrics import Evaluator, load_protocol, nmse
from rmtools.metrics.evaluation import Evaluation, evaluate, parse_frames, select
from rmtools.metrics.maps import Place, open_maps, parse_id
from rmtools.metrics.surroundings import (
    LINE_OF_SIGHT,
    SHADOW,
)
from rmtools.splits.manifest import SplitSet, make_manifest, write_manifest
from rmtools.units import MOTION_SCALE, SEER_SCALE

if TYPE_CHECKING:
    from collections.abc import Callable

    from rmtools.store import Store

REPOSITORY = Path(__file__).resolve().parent.parent
N = 32


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    """Two scenes, two trajectories, two transmitters, three frames, and the motion layout."""
    made = make_store(tmp_path_factory.mktemp("evaluate"), n=N, scenes=2, frames=3)
    write_layout(made, made.path.parent / "motion", names="paper")
    return made


@pytest.fixture
def pair(tmp_path: Path) -> tuple[Path, Path]:
    """Eleven predicted and true images named like RadioMapSeer's."""
    random = np.random.default_rng(8)
    for k in range(11):
        truth = random.integers(0, 256, (N, N))
        pred = np.clip(truth + random.integers(-9, 10, (N, N)), 0, 255)
        for folder, levels in (("truth", truth), ("pred", pred)):
            path = tmp_path / folder / f"3_{k}.png"
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(grey_png(levels.astype(np.uint8), {"scale": "radiomapseer"}))
    return tmp_path / "pred", tmp_path / "truth"


def run(pred: Path, truth: Path, *names: str, **options: object) -> Evaluation:
    truth_maps, pred_maps = open_maps(truth, truth=True), open_maps(pred, truth=False)
    chosen = {k: options.pop(k) for k in ("manifest", "set_name", "frames") if k in options}
    protocols = [load_protocol(name) for name in names or ("reference",)]
    return evaluate(pred_maps, truth_maps, protocols, select(truth_maps, **chosen), **options)


def rmtools(*arguments: object) -> tuple[int, str]:
    """Exit code and stdout of the command, in this process."""
    done = CliRunner().invoke(app, ["evaluate", *map(str, arguments)])
    if isinstance(done.exception, RmtoolsError):
        return int(done.exception.exit_code), str(done.exception)
    return done.exit_code, done.output


# -- images ------------------------------------------------------------------------------------


def test_images_equal_arrays_of_their_levels(pair: tuple[Path, Path]) -> None:
    found = run(*pair)
    pred, truth = (
        np.array([np.asarray(Image.open(folder / f"3_{k}.png")) for k in range(11)]) / 255.0
        for folder in pair
    )
    evaluator = Evaluator(scale=SEER_SCALE)
    evaluator.update(pred, truth)
    assert found.results[0].groups["all"].values == evaluator.compute()
    assert found.maps == 11
    assert found.scale is not None
    assert found.scale.name == "radiomapseer"


def test_threads_change_nothing(pair: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rmtools.metrics.evaluation.CHUNK", 2)
    names = ("radiounet", "radiodun", "reference")
    advanced: list[int] = []
    one = run(*pair, *names, advance=advanced.append)
    assert advanced == [2, 2, 2, 2, 2, 1]
    assert run(*pair, *names, workers=4) == one
    monkeypatch.setattr("rmtools.metrics.evaluation.CHUNK", 64)
    assert run(*pair, *names) == one


def test_batches_follow_the_natural_order_of_names(pair: tuple[Path, Path]) -> None:
    assert list(open_maps(pair[1], truth=True).ids) == [f"3_{k}" for k in range(11)]


def test_missing_predictions_are_named_or_left_out(pair: tuple[Path, Path]) -> None:
    pred, truth = pair
    for k in (4, 7):
        (pred / f"3_{k}.png").unlink()
    with pytest.raises(InputError, match="2 of 11 maps have no prediction: 3_4, 3_7"):
        run(pred, truth)
    assert run(pred, truth, only_common=True).without_prediction == 2
    code, said = rmtools(pred, truth)
    assert (code, "3_4, 3_7" in said) == (ExitCode.INPUT, True)


def test_predictions_without_truth_are_named(pair: tuple[Path, Path]) -> None:
    pred, truth = pair
    (truth / "3_10.png").unlink()
    found = run(pred, truth)
    assert (found.maps, found.unknown, found.unknown_ids) == (10, 1, ["3_10"])
    assert "3_10" in rmtools(pred, truth)[1]


def test_all_bad_files_are_named_and_no_numbers_given(pair: tuple[Path, Path]) -> None:
    pred, truth = pair
    (pred / "3_1.png").write_bytes(grey_png(np.zeros((N, N + 1), np.uint8), {}))
    (pred / "3_2.png").write_bytes(b"no image")
    Image.fromarray(np.zeros((N, N, 3), np.uint8)).save(truth / "3_3.png")
    with pytest.raises(InputError, match="3 of 11 pairs") as raised:
        run(pred, truth)
    for name in ("pred/3_1.png", "pred/3_2.png", "truth/3_3.png"):
        assert name in str(raised.value)


def test_scales_must_agree(pair: tuple[Path, Path]) -> None:
    pred, truth = pair
    (pred / "3_0.png").write_bytes(grey_png(np.zeros((N, N), np.uint8), MOTION_SCALE.describe()))
    with pytest.raises(InputError, match="radiomapmotion, the truth on that of radiomapseer"):
        run(pred, truth)


def test_what_is_no_source_of_maps(tmp_path: Path, pair: tuple[Path, Path]) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "text.txt").write_text("x")
    for path, says in (
        (tmp_path / "none", "no such"),
        (tmp_path / "empty", "no maps"),
        (tmp_path / "text.txt", "neither"),
    ):
        with pytest.raises(InputError, match=says):
            open_maps(path, truth=True)
    for group in ("los", "distance", "buildings"):
        with pytest.raises(InputError, match="buildings and transmitters"):
            run(*pair, by=[group])
    with pytest.raises(InputError, match="which frame"):
        run(*pair, by=["frame"])


# -- arrays ------------------------------------------------------------------------------------


def write_arrays(kind: str, root: Path, maps: np.ndarray) -> Path:
    """The same maps in one of the forms that are read."""
    root.mkdir()
    if kind == "npy files":
        for k, image in enumerate(maps):
            np.save(root / f"{k}.npy", image)
    elif kind == "npz files":
        for k, image in enumerate(maps):
            np.savez_compressed(root / f"{k}.npz", prediction=image[None])
    elif kind == "npy stack":
        np.save(root / "all.npy", maps[:, None])
        return root / "all.npy"
    elif kind == "npz stack":
        np.savez(root / "all.npz", maps=maps)
        return root / "all.npz"
    elif kind == "npz by name":
        np.savez(root / "all.npz", **{str(k): image for k, image in enumerate(maps)})
        return root / "all.npz"
    return root


KINDS = ("npy files", "npz files", "npy stack", "npz stack", "npz by name")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("dtype", [np.float32, np.uint8])
def test_arrays_in_any_form(kind: str, dtype: type, tmp_path: Path) -> None:
    levels = np.random.default_rng(3).integers(0, 256, (2, 4, N, N))
    pred, truth = levels.astype(np.uint8) if dtype is np.uint8 else levels.astype(dtype) / 255
    found = run(
        write_arrays(kind, tmp_path / "p", pred), write_arrays(KINDS[2], tmp_path / "t", truth)
    )
    expected = nmse(levels[0] / 255.0, levels[1] / 255.0)
    assert found.maps == 4
    assert found.results[0].groups["all"].values["nmse"] == pytest.approx(expected, rel=1e-6)
    assert found.scale is None
    assert "rmse_db" not in found.results[0].groups["all"].values


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (lambda path: path.write_bytes(b"\x93NUMPY"), "not a readable npy"),
        (lambda path: np.save(path, np.array([{}])), "not a readable npy"),
        (lambda path: np.save(path, np.zeros((N, N), int)), "type int64"),
        (lambda path: np.save(path, np.full((N, N), np.nan)), "not finite"),
        (lambda path: np.save(path, np.zeros((N, 3))), "shape"),
    ],
    ids=["cut", "pickle", "integers", "nan", "shape"],
)
def test_bad_arrays_are_named(spoil: Callable[[Path], None], says: str, tmp_path: Path) -> None:
    truth = write_arrays("npy files", tmp_path / "t", np.zeros((2, N, N)))
    pred = write_arrays("npy files", tmp_path / "p", np.zeros((2, N, N)))
    spoil(pred / "1.npy")
    with pytest.raises(InputError, match=says):
        run(pred, truth)


def test_one_map_under_two_names_is_refused(tmp_path: Path) -> None:
    root = write_arrays("npy files", tmp_path / "p", np.zeros((1, N, N)))
    (root / "0.png").write_bytes(grey_png(np.zeros((N, N), np.uint8), {}))
    with pytest.raises(InputError, match="both the map 0"):
        open_maps(root, truth=False)


# -- stores and layouts ------------------------------------------------------------------------


def test_a_store_equals_its_layout(store: Store) -> None:
    root = store.path.parent
    found = run(root / "motion", root, by=["buildings", "frame"])
    assert found.maps == 2 * 2 * 2 * 3
    assert {group.values["nmse"] for group in found.results[0].groups.values()} == {0.0}
    # unrounded path loss differs from the levels by less than one of them, on average by a half
    itself = run(root / "store.zarr", root / "motion")
    assert 0.2 < itself.results[0].groups["all"].values["rmse_grey"] < 0.8
    assert run(root / "motion" / "npz", root / "motion").results == itself.results


def test_frames_are_groups_and_can_be_chosen(store: Store, tmp_path: Path) -> None:
    layout = MotionLayout(store.path.parent)
    for s, t, k in np.ndindex(2, 2, 2):
        for f in (1, 2):  # the last frame again, written under the loader's names
            path = tmp_path / f"env_{s:03d}/traj_{t:02d}/tx_{k:02d}/frame_{f}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(grey_png(layout.grey(s, t, k, 0), {}))
    with pytest.raises(InputError, match=r"8 of 24 maps have no prediction.*--frames"):
        run(tmp_path, store.path)
    found = run(tmp_path, store.path, frames=parse_frames("1-2"), by=["frame"])
    groups = found.results[0].groups
    assert list(groups) == ["all", "frame 1", "frame 2"]
    assert groups["frame 1"].maps == 8
    truth = np.array([layout.grey(s, t, k, 2) / 255.0 for s, t, k in np.ndindex(2, 2, 2)])
    pred = np.array([layout.grey(s, t, k, 0) / 255.0 for s, t, k in np.ndindex(2, 2, 2)])
    assert groups["frame 2"].values["nmse"] == nmse(pred, truth)
    assert groups["frame 2"].values["nmse"] > groups["frame 1"].values["nmse"] > 0


def test_a_set_of_a_split_is_evaluated_in_its_order(store: Store, tmp_path: Path) -> None:
    names = store.scene_names
    chosen = SplitSet(scenes=names[::-1], trajectories=[1], transmitters=None, sequences=4)
    manifest = make_manifest(
        {"test": chosen, "rest": SplitSet(scenes=names, trajectories=[0], sequences=4)},
        name="mine",
        method="published",
        description="",
        dataset="",
        leaky=True,
        leaky_reason="scenes are shared",
    )
    for truth in (store.path, store.path.parent / "motion"):
        maps = open_maps(truth, truth=True)
        selection = select(maps, manifest=manifest, set_name="test", frames={2})
        assert list(selection.ids) == [
            f"env_{s:03d}/traj_01/tx_{k:02d}/02" for s in (1, 0) for k in (0, 1)
        ]
    path = tmp_path / "split.json"
    write_manifest(path, manifest)
    arguments = (store.path, store.path.parent / "motion", "--split", path)
    code, said = rmtools(*arguments, "--set", "test")
    assert code == 0
    assert f"mine, set test, sha256 {manifest.sha256}" in said
    assert "leaky" in said
    assert rmtools(*arguments)[0] == ExitCode.INPUT
    assert rmtools(*arguments, "--set", "val")[0] == ExitCode.INPUT


def test_a_split_for_another_dataset_is_refused(pair: tuple[Path, Path], store: Store) -> None:
    manifest = make_manifest(
        {"test": SplitSet(scenes=["3", "4"], sequences=22)},
        name="other",
        method="published",
        description="",
        dataset="",
        leaky=False,
    )
    with pytest.raises(InputError, match="22 sequences, 11 of them are here"):
        run(*pair, manifest=manifest, set_name="test")
    maps = open_maps(pair[1], truth=True)
    partly = select(maps, manifest=manifest, set_name="test", partly=True)
    assert len(partly.ids) == 11
    with pytest.raises(InputError, match="0 of them"):
        select(open_maps(store.path, truth=True), manifest=manifest, set_name="test")


def test_groups_of_pixels_cover_the_map_outside_buildings(store: Store) -> None:
    root = store.path.parent
    found = run(root / "store.zarr", root / "motion", by=["buildings", "los", "distance"])
    groups = found.results[0].groups
    outside = groups["outside buildings"].pixels
    free = sum(int((~store.inside_buildings(s)).sum()) for s in range(2))
    assert outside == 2 * 2 * 3 * free
    assert groups[LINE_OF_SIGHT].pixels + groups[SHADOW].pixels == outside
    assert sum(g.pixels for name, g in groups.items() if " m" in name) == outside
    assert groups["16 to 32 m"].pixels > 0


def test_an_environment_that_the_description_does_not_have(store: Store, tmp_path: Path) -> None:
    shutil.copytree(store.path.parent / "motion", tmp_path / "motion")
    shutil.copytree(tmp_path / "motion/png/env_001", tmp_path / "motion/png/env_002")
    with pytest.raises(InputError, match="environment 2, transmitter 0 is not among its 2"):
        run(tmp_path / "motion", tmp_path / "motion", by=["buildings"])


def test_ids() -> None:
    assert parse_id("gain/env_003/traj_00/tx_11/frame_7") == Place(3, 0, 11, 7)
    assert parse_id("env_003/traj_00/tx_11/07") == Place(3, 0, 11, 7)
    assert parse_id("test/419_79") == Place(419, None, 79, None)
    assert parse_id("prediction 7") is None


def test_lists_of_frames() -> None:
    assert parse_frames("10-14") == {10, 11, 12, 13, 14}
    assert parse_frames("0, 5-6") == {0, 5, 6}
    for bad in ("", "a", "1-", "1;2", "-3"):
        with pytest.raises(RecipeError, match="list of frames"):
            parse_frames(bad)


# -- the command -------------------------------------------------------------------------------


def test_published_maps_by_two_protocols(reference_data: Path, tmp_path: Path) -> None:
    gain = reference_data / "radiomapseer/gain"
    out = tmp_path / "result.json"
    code, said = rmtools(
        *(gain / "carsDPM", gain / "DPM", "--common", "--protocol", "radiomamba"),
        *("--mask", "buildings", "--by", "los", "--by", "distance", "--out", out),
    )
    assert code == 0
    assert "5 maps without prediction" in said
    assert "99.16 dB" in said
    value = json.loads(out.read_text())
    schema = json.loads((REPOSITORY / "schemas/evaluation.schema.json").read_text())
    jsonschema.validate(value, schema)
    ours = value["results"][1]["groups"]
    # facts about this pair: cars weaken a quarter of all pixels by 4.7 levels on average
    assert 1.0 < ours["all"]["values"]["mae"] * 255 < 1.3
    assert ours["0 to 16 m"]["values"]["nmse"] == 0
    assert ours["0 to 16 m"]["values"]["psnr"] is None
    assert ours["outside buildings"]["values"]["rmse"] > ours["all"]["values"]["rmse"]


def test_which_simulation_must_be_said(reference_data: Path) -> None:
    with pytest.raises(InputError, match=r"4 kinds .*DPM"):
        open_maps(reference_data / "radiomapseer", truth=True)


def test_json_is_a_result(pair: tuple[Path, Path]) -> None:
    code, said = rmtools(*pair, "--json")
    assert code == 0
    assert Evaluation.model_validate_json(said).maps == 11
    assert [r["protocol"]["name"] for r in json.loads(said)["results"]] == ["reference"]


def test_bad_options_have_their_exit_codes(pair: tuple[Path, Path]) -> None:
    assert rmtools(*pair, "--protocol", "none")[0] == ExitCode.RECIPE
    assert rmtools(*pair, "--frames", "x")[0] == ExitCode.RECIPE
    assert rmtools(*pair, "--frames", "3")[0] == ExitCode.INPUT
    assert rmtools(*pair, "--scale", "x")[0] == ExitCode.USAGE
    assert rmtools(*pair, "--split", pair[0] / "no.json", "--set", "test")[0] == ExitCode.INPUT


def test_the_help_needs_neither_torch_nor_numba() -> None:
    code = (
        "import sys; from rmtools.cli import app; from typer.testing import CliRunner\n"
        "CliRunner().invoke(app, ['evaluate', '--help'])\n"
        "sys.exit(bool({'torch', 'numba', 'zarr'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
