"""Validation: a sound dataset passes, and every fault put into one is found and named."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from fakes_validation import N, errors, make_dataset
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image, PngImagePlugin

from rmtools.errors import InputError
from rmtools.findings import Report
from rmtools.layouts.npz import npz_bytes, read_npz
from rmtools.splits import SPLIT_NAME
from rmtools.store import Store
from rmtools.validation import validate

if TYPE_CHECKING:
    from collections.abc import Callable


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A complete dataset folder; tests copy it before they break it."""
    return make_dataset(tmp_path_factory.mktemp("sound"))


@pytest.fixture
def dataset(sound: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(sound, tmp_path / "dataset"))


@pytest.fixture
def layout(sound: Path, tmp_path: Path) -> Path:
    """The layout alone, without the store."""
    return Path(shutil.copytree(sound / "motion", tmp_path / "motion"))


# -- sound data --------------------------------------------------------------------------------


def test_a_sound_dataset_passes(sound: Path) -> None:
    report = validate(sound)
    assert report.ok
    assert [(f.level, f.where) for f in report.findings] == [
        ("warning", "split.json: radiomapmotion"),
        ("warning", "split.json: ground"),
    ]
    assert report.checked == {
        "scenes": 2,
        "trajectories": 4,
        "sequences": 8,
        "images": 2 * 8 * 5 + 4 * 5 + 2 * 2,
        "npz": 8 * 5,
        "splits": 1,
    }
    assert Report.model_validate_json(report.model_dump_json()) == report


def test_parts_alone_pass(sound: Path) -> None:
    for part in (sound / "store.zarr", sound / "motion"):
        assert errors(part) == []


def test_something_else_is_refused(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "nothing"):
        with pytest.raises(InputError, match="neither a dataset"):
            validate(path)


# -- faults in the layout ----------------------------------------------------------------------

PNG = "png/env_001/traj_00/tx_01/03.png"
GAIN = "gain/env_001/traj_00/tx_01/frame_3.png"
NPZ = "npz/env_001/traj_00/tx_01/03.npz"
MASK = "vehicles/env_000/traj_01/02.png"


def replace(path: Path, data: bytes) -> None:
    """Replace a file without touching its hard-linked twin."""
    path.unlink()
    path.write_bytes(data)


def rewrite_png(path: Path, change: Callable[[np.ndarray], np.ndarray]) -> None:
    image = Image.open(path)
    text = PngImagePlugin.PngInfo()
    for key, value in image.text.items():
        text.add_text(key, value)
    levels = change(np.array(image))
    path.unlink()
    Image.fromarray(levels).save(path, pnginfo=text)


def rewrite_npz(path: Path, **changes: Any) -> None:
    arrays = {**read_npz(path, N * N * 4), **changes}
    replace(path, npz_bytes({k: v for k, v in arrays.items() if v is not None}))


@settings(
    max_examples=7, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.sampled_from([PNG, GAIN, MASK]), st.integers(0, N * N - 1), st.integers(1, 255))
def test_any_flipped_pixel_is_found(layout: Path, name: str, pixel: int, bits: int) -> None:
    good = (layout / name).read_bytes()

    def flip(levels: np.ndarray) -> np.ndarray:
        levels.flat[pixel] ^= bits
        return levels

    rewrite_png(layout / name, flip)
    found = errors(layout)
    replace(layout / name, good)
    assert found
    assert all(text.startswith(f"{name}: ") for text in found)


@settings(
    max_examples=7, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.data())
def test_any_deleted_file_is_named(layout: Path, data: st.DataObject) -> None:
    files = sorted(p for p in layout.rglob("*") if p.is_file() and p.name != "dataset.json")
    path = data.draw(st.sampled_from(files))
    good = path.read_bytes()
    path.unlink()
    found = errors(layout)
    path.write_bytes(good)
    assert found == [f"{path.relative_to(layout)}: it is missing"]


@settings(
    max_examples=7, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(name=st.sampled_from([PNG, NPZ, MASK]), share=st.floats(0, 1))
def test_truncated_files_are_named(layout: Path, name: str, share: float) -> None:
    good = (layout / name).read_bytes()
    replace(layout / name, good[: int(share * (len(good) - 1))])
    found = errors(layout)
    replace(layout / name, good)
    assert len(found) == 1
    assert found[0].startswith(f"{name}: not a readable")


def test_every_bad_file_is_named_not_only_the_first(layout: Path) -> None:
    for name in (PNG, NPZ, MASK):
        replace(layout / name, b"rubbish")
    (layout / "png/env_000/traj_00/tx_00/99.png").write_bytes(b"")
    (layout / "notes.txt").write_text("hello")
    shutil.rmtree(layout / "npz/env_000/traj_01")
    shutil.rmtree(layout / "vehicles/env_001")
    shutil.rmtree(layout / "gain/env_001/traj_01")
    (layout / "gain/env_001/traj_01").write_text("a file, not a folder")
    named = {text.split(":")[0] for text in errors(layout)}
    assert named == {
        *(PNG, NPZ, MASK),
        "png/env_000/traj_00/tx_00/99.png",
        "notes.txt",
        "npz/env_000/traj_01",
        "vehicles/env_001",
        "gain/env_001/traj_01",
    }


def test_wrong_images_are_named(layout: Path) -> None:
    rewrite_png(layout / PNG, lambda levels: levels[:-1])
    assert errors(layout) == [
        f"{PNG}: the image has {N - 1} x {N} pixels, expected {N} x {N}.",
    ]
    path = layout / PNG
    Image.new("RGB", (N, N)).save(path)
    assert errors(layout) == [
        f"{PNG}: the image has mode 'RGB' at 8 bits, expected 8-bit grey ('L')."
    ]


def test_wrong_text_chunks_are_named(layout: Path) -> None:
    levels = Image.open(layout / PNG)
    replace(layout / PNG, b"")
    Image.fromarray(np.array(levels)).save(layout / PNG)
    found = errors(layout)
    assert all(text.startswith(f"{PNG}: text chunk") for text in found)
    assert any("gain_min_db is 'missing', expected '-135.0'" in text for text in found)


def test_swapped_frames_are_found(layout: Path) -> None:
    """Both trees swapped together: only the metadata can tell."""
    for tree, name in (("png", "{:02d}.png"), ("gain", "frame_{}.png"), ("npz", "{:02d}.npz")):
        folder = layout / tree / "env_000/traj_01/tx_00"
        one, other = folder / name.format(1), folder / name.format(4)
        first, second = one.read_bytes(), other.read_bytes()
        replace(one, second)
        replace(other, first)
    found = errors(layout)
    assert any("01.npz: frame is [4], expected 1" in text for text in found)
    assert any("04.npz: time_s is [0.1], expected 0.4" in text for text in found)


def test_swapped_images_are_found(layout: Path) -> None:
    folder = layout / "gain/env_000/traj_01/tx_00"
    first, second = (folder / f"frame_{f}.png" for f in (1, 4))
    one, other = first.read_bytes(), second.read_bytes()
    replace(first, other)
    replace(second, one)
    found = errors(layout)
    assert len(found) == 2
    assert all("are not the npz on the grey scale" in text for text in found)


def test_a_pickle_is_not_loaded(layout: Path) -> None:
    np.savez(layout / "x.npz", pathloss_db=np.array([{"a": 1}], dtype=object))
    replace(layout / NPZ, (layout / "x.npz").read_bytes())
    (layout / "x.npz").unlink()
    (found,) = errors(layout)
    assert found.startswith(f"{NPZ}: not a readable npz")
    assert "pickle" in found


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"unit": "dBm"}, "unit is ['dBm'], expected 'dB'"),
        ({"sign": None}, "keys missing: ['sign']"),
        ({"extra": 1}, "not expected: ['extra']"),
        ({"tx_x_m": 0.0}, "tx_x_m is [0.0], expected 16.5"),
        ({"tx": 0}, "tx is [0], expected 1"),
        ({"scene": "elsewhere"}, "scene is ['elsewhere'], expected 'fake_001'"),
        ({"pathloss_db": np.zeros((N, N))}, "is float64 (32, 32), expected float32 (32, 32)"),
        ({"pathloss_db": np.zeros((N, 8), np.float32)}, "expected float32 (32, 32)"),
        ({"pathloss_db": np.full((N, N), np.nan, np.float32)}, "are NaN off buildings"),
        ({"pathloss_db": np.full((N, N), np.inf, np.float32)}, "are infinite or below 0 dB"),
    ],
)
def test_wrong_npz_are_named(layout: Path, changes: dict[str, Any], message: str) -> None:
    rewrite_npz(layout / NPZ, **changes)
    found = errors(layout)
    assert any(text.startswith(NPZ) for text in found)
    assert any(message in text for text in found)


def test_nan_outside_buildings_is_found(layout: Path) -> None:
    loss = read_npz(layout / NPZ, N * N * 4)["pathloss_db"]
    row, col = np.argwhere(~np.isnan(loss))[100]
    loss[row, col] = np.nan
    rewrite_npz(layout / NPZ, pathloss_db=loss)
    found = errors(layout)
    assert f"{NPZ}: 1 pixels are NaN off buildings, or a number in one, the first at row {row}, " \
        f"col {col}" in found  # fmt: skip


def test_layout_and_store_must_agree(dataset: Path) -> None:
    path = dataset / "motion" / NPZ
    loss = read_npz(path, N * N * 4)["pathloss_db"]
    rewrite_npz(path, pathloss_db=loss + np.float32(1 / 128))  # invisible in the image
    found = errors(dataset)
    assert any(text.startswith(NPZ) and "differ from the store" in text for text in found)
    environments = dataset / "motion/environment"
    rewrite_png(environments / "env_000/roads.png", lambda levels: 255 - levels)
    for name, other in (
        ("env_000/building_height.npz", "env_001/building_height.npz"),
        ("env_000/traj_01/tracks.csv", "env_000/traj_00/tracks.csv"),
    ):
        shutil.copy(environments / other, environments / name)
    found = errors(dataset)
    for name, message in (
        ("roads.png", f"{N * N} pixels differ from the store"),
        ("building_height.npz", "differ from the store"),
        ("traj_01/tracks.csv", "it differs from the store"),
    ):
        where = f"environment/env_000/{name}: "
        assert any(text.startswith(where) and message in text for text in found), name
    table = dataset / "motion/environment/env_000/transmitters.csv"
    lines = table.read_text().splitlines(keepends=True)
    lines[1] = "0,3.5,3.5,1.5,28,3\n"
    table.write_text("".join(lines))
    found = errors(dataset)
    assert "environment/env_000/transmitters.csv: it differs from the store" in found


def test_a_store_that_went_on_without_its_layout(dataset: Path) -> None:
    store = Store.open(dataset, mode="r+")
    store.update_attributes({"title": "Another title", "reviewed_by": "someone"})
    report = validate(dataset)
    assert report.ok
    assert {f.what for f in report.findings if f.where == "dataset.json"} == {
        "title does not agree with the store",
        "provenance does not agree with the store",
    }
    store.update_attributes({"licence": ["CC0-1.0"]})
    assert "dataset.json: licence does not agree with the store" in errors(dataset)


@pytest.mark.parametrize("kind", ["U1", "M8[s]", "c8", "f8"])
def test_heights_of_another_type(layout: Path, kind: str) -> None:
    name = "environment/env_000/building_height.npz"
    replace(layout / name, npz_bytes({"building_height_m": np.zeros((N, N), kind)}))
    (found,) = errors(layout)
    assert found.startswith(f"{name}: ")


def test_tables_and_descriptions(layout: Path) -> None:
    (layout / "environment/env_000/traj_00/tracks.csv").write_text("frame,x\n1,2\n")
    (layout / "environment/env_001/transmitters.csv").write_bytes(b"\xff\xfe")
    named = {text.split(":")[0] for text in errors(layout)}
    assert named == {
        "environment/env_000/traj_00/tracks.csv",
        "environment/env_001/transmitters.csv",
    }


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda d: d["sizes"].update(frame=6), "05.png: it is missing"),
        (lambda d: d["sizes"].update(scene=10**12), "sizes.scene"),
        (lambda d: d["grid"].update(n=64), "expected 64 x 64"),
        (lambda d: d["grid"].update(n=10**9), "grid.n"),
        (lambda d: d["grid"].update(resolution_m=float("inf")), "grid.resolution_m"),
        (lambda d: d["vehicle"].update(length_m="long"), "no size of the vehicles"),
        (lambda d: d["vehicle"].update(width_m=1e308), "no size of the vehicles"),
        (lambda d: d["vehicle"].pop("height_m"), "no size of the vehicles"),
        (lambda d: d["scale"].update(gain_min_db=-147.0), "the scale is not RadioMapMotion's"),
        (lambda d: d.pop("licence"), "licence"),
        (lambda d: d.update(licence=[""]), "licence or attribution is empty"),
        (lambda d: d.update(scenes=d["scenes"][:1]), "it lists 1 scenes, sizes say 2"),
        (lambda d: d.update(names="paper"), "gain: it does not belong"),
    ],
)
def test_a_description_that_lies(layout: Path, change: Callable[..., Any], message: str) -> None:
    path = layout / "dataset.json"
    data = json.loads(path.read_text())
    change(data)
    path.write_text(json.dumps(data))
    assert any(message in text for text in errors(layout))


def test_the_list_is_capped_but_the_count_is_not(layout: Path) -> None:
    for path in layout.rglob("*.npz"):
        path.unlink()
    for path in (layout / "png").rglob("*.png"):
        for k in range(3):
            (path.parent / f"{path.stem}_{k}.png").write_bytes(b"")
    report = validate(layout)
    assert report.errors >= 40 + 120
    capped = Report(path="x", max_findings=3)
    for k in range(10):
        capped.warning(k, "w")
        capped.error(k, "e")
    assert [f.level for f in capped.findings].count("error") == 3
    assert (capped.errors, capped.warnings, capped.not_listed) == (10, 10, 14)
    whole = Report(path="y", max_findings=4)
    whole.error("before", "e")
    whole.include(capped, "x: ")
    assert (whole.errors, whole.warnings, whole.not_listed) == (11, 10, 14)
    assert [f.where for f in whole.findings if f.level == "error"] == [
        *("before", "x: 0", "x: 1", "x: 2"),
    ]


# -- the split -----------------------------------------------------------------------------


def test_a_wrong_split(dataset: Path) -> None:
    path = dataset / SPLIT_NAME
    data = json.loads(path.read_text())
    data["sets"]["train"]["scenes"] = ["atlantis"]
    path.write_text(json.dumps(data))
    (found,) = errors(dataset)
    assert found.startswith("split.json: not a split manifest")
