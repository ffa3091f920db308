"""Pictures: colours are uniform, marks stand where they belong, files are what they claim."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

import numpy as np
import pytest
from fakes_store import make_scene, make_store
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from rmtools.errors import InputError, RecipeError
from rmtools.grid import Grid
from rmtools.report import pictures
from rmtools.report.colours import (
    change_table,
    gain_table,
    oklab_from_srgb,
    srgb_from_oklab,
)
from rmtools.report.preview import (
    contact_sheet,
    preview_map,
    preview_scene,
    preview_sequence,
    write_preview,
)
from rmtools.store import STORE_NAME, Store
from rmtools.units import MOTION_SCALE, SEER_SCALE

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    return make_store(tmp_path_factory.mktemp("preview"), scenes=2, frames=4)


# -- colours ---------------------------------------------------------------------------------


def test_equal_steps_of_gain_look_equally_large() -> None:
    lab = oklab_from_srgb(gain_table())
    # Over 15 levels rounding to 8 bits no longer matters.
    steps = np.linalg.norm(lab[15:] - lab[:-15], axis=-1)
    assert steps.max() / steps.min() < 1.15
    assert (np.diff(lab[:, 0]) > -1e-3).all()
    assert lab[-1, 0] - lab[0, 0] > 0.65


def test_no_change_is_neutral_and_the_two_directions_differ_in_hue() -> None:
    lab = oklab_from_srgb(change_table())
    assert np.hypot(*lab[[127, 128], 1:].T).max() < 0.01
    np.testing.assert_allclose(lab[:128, 0], lab[:127:-1, 0], atol=0.02)
    assert lab[20, 2] < -0.05 < 0.05 < lab[-20, 1]  # blue, red


def test_oklab_of_known_colours() -> None:
    # White and the sRGB primaries as published with the definition of OKLab.
    known = {
        (255, 255, 255): (1.0, 0.0, 0.0),
        (255, 0, 0): (0.627955, 0.224863, 0.125846),
        (0, 255, 0): (0.866440, -0.233888, 0.179498),
        (0, 0, 255): (0.452014, -0.032457, -0.311528),
    }
    rgb = np.array(list(known), np.uint8)
    lab = oklab_from_srgb(rgb)
    np.testing.assert_allclose(lab, list(known.values()), atol=1e-4)
    np.testing.assert_array_equal(srgb_from_oklab(lab), rgb)


def test_a_stronger_signal_is_lighter_and_masks_have_their_own_colours() -> None:
    losses = np.array([[60.0, 90.0], [np.nan, np.nan]])
    rgb = pictures.paint_map(losses, np.array([[False, False], [False, True]]), MOTION_SCALE)
    assert rgb[0, 0].sum() > rgb[0, 1].sum()
    assert tuple(rgb[1, 0]) == pictures.NOT_COMPUTED
    assert tuple(rgb[1, 1]) == pictures.BUILDING
    for masked in (pictures.NOT_COMPUTED, pictures.BUILDING):
        assert not (gain_table() == masked).all(axis=1).any()


@given(st.floats(-500, 500), st.floats(0.01, 1000), st.integers(1, 12))
def test_ticks_are_round_evenly_spaced_and_inside(low: float, span: float, about: int) -> None:
    ticks = pictures.nice_ticks(low, low + span, about)
    assert len(ticks) <= about + 2
    tolerance = 1e-6 * span
    assert all(low - tolerance <= tick <= low + span + tolerance for tick in ticks)
    if len(ticks) > 2:
        steps = np.diff(ticks)
        np.testing.assert_allclose(steps, steps[0], rtol=1e-6)
        mantissa = steps[0] / 10 ** np.floor(np.log10(steps[0]) + 1e-9)
        assert min(abs(mantissa - digit) for digit in (1, 2, 5)) < 1e-6


# -- marks -----------------------------------------------------------------------------------


def test_marks_stand_on_the_pixels_that_the_grid_names() -> None:
    grid, factor = Grid(40, 2.0), 5
    black = np.zeros((40, 40, 3), np.uint8)
    sketch = pictures.Sketch(black, grid, factor)
    sketch.transmitter(21.0, 63.0)
    outline = np.array([[[50.0, 10.0], [58.0, 10.0], [58.0, 14.0], [50.0, 14.0]]])
    sketch.vehicles(outline, (0, 255, 0, 255), (0, 255, 0))
    shown = np.asarray(sketch.image())
    row, col = grid.pixel(21.0, 63.0)
    white = np.argwhere((shown == 255).all(axis=-1))
    np.testing.assert_allclose(white.mean(axis=0), [(row + 0.5) * 5 - 0.5, (col + 0.5) * 5 - 0.5])
    green = np.argwhere((shown == (0, 255, 0)).all(axis=-1))
    per_metre = factor / grid.resolution_m
    top, left = (grid.size_m - 14.0) * per_metre, 50.0 * per_metre
    np.testing.assert_allclose(green.min(axis=0), [top, left], atol=1)
    np.testing.assert_allclose(green.max(axis=0), [top + 10, left + 20], atol=1)


def test_pixels_of_the_map_keep_their_exact_colour(store: Store) -> None:
    factor = 4
    losses = store.pathloss(0, 0, 0)[0]
    wanted = pictures.paint_map(losses, store.buildings(0), SEER_SCALE)
    shown = np.asarray(preview_map(store, 0, 0, 0, 0, factor=factor, scale=SEER_SCALE))
    n = store.grid.n
    # The map is pasted somewhere on white paper: find it by its westernmost column.
    top, left = next(
        (top, left)
        for top in range(shown.shape[0] - n * factor)
        for left in range(shown.shape[1] - n * factor)
        if (shown[top : top + n * factor : factor, left] == wanted[:, 0]).all()
    )
    inner = shown[top : top + n * factor, left : left + n * factor]
    same = (inner[1::factor, 1::factor] == wanted).all(axis=-1)
    # Only vehicles and the transmitter are drawn over the map.
    marks = store.vehicle_masks(0, 0)[0].copy()
    row, col = store.grid.pixel(*store.transmitters(0)[0, :2])
    marks[max(row - 4, 0) : row + 5, max(col - 4, 0) : col + 5] = True
    grown = np.zeros_like(marks)
    for dr in (-1, 0, 1):
        for dc in (-1, 0, 1):
            grown |= np.roll(marks, (dr, dc), (0, 1))
    assert same[~grown].all()
    assert not same[row, col]


def test_frames_of_a_sequence_differ_and_come_out_the_same_again(store: Store) -> None:
    frames = preview_sequence(store, 0, 1, 0, factor=2)
    again = preview_sequence(store, 0, 1, 0, factor=2)
    assert len(frames) == store.sizes.frame
    encoded = [pictures.encode(frame, ".png") for frame in frames]
    assert encoded == [pictures.encode(frame, ".png") for frame in again]
    assert len(set(encoded)) == len(frames)


def test_a_scene_is_drawn_before_anything_else_has_run(tmp_path: Path) -> None:
    bare = Store.create(tmp_path / STORE_NAME, [make_scene(0)], {})
    picture = np.asarray(preview_scene(bare, 0))
    assert (picture == pictures.SCENE_BUILDING).all(axis=-1).any()
    assert not (picture == pictures.TRANSMITTER).all(axis=-1).any()
    with pytest.raises(InputError, match=r"no path loss yet.*rmtools simulate"):
        preview_map(bare, 0, 0, 0, 0)


def test_a_contact_sheet_has_a_row_per_scene_and_a_column_per_transmitter(store: Store) -> None:
    n = store.grid.n
    gap = max(n // 32, 2)
    sheet = contact_sheet(store, scenes=[1, 0], transmitters=[1])
    assert sheet.size == (2 * n + 3 * gap, 2 * n + 3 * gap)
    single = contact_sheet(store, scenes=[0], transmitters=[1])
    box = (gap, gap, 2 * n + 2 * gap, n + gap)
    lower = sheet.crop((gap, n + 2 * gap, 2 * n + 2 * gap, 2 * n + 2 * gap))
    assert lower.tobytes() == single.crop(box).tobytes()
    with pytest.raises(RecipeError, match="at least one"):
        contact_sheet(store, scenes=[])
    with pytest.raises(InputError, match="no scene -1"):
        contact_sheet(store, scenes=[-1])


# -- files -----------------------------------------------------------------------------------


@pytest.mark.parametrize(("suffix", "kind"), [(".gif", "GIF"), (".webp", "WEBP")])
def test_animations_run_at_ten_frames_a_second_for_ever(
    store: Store, tmp_path: Path, suffix: str, kind: str
) -> None:
    path = write_preview(tmp_path / f"motion{suffix}", store, factor=2)
    with Image.open(path) as image:
        assert image.format == kind
        assert image.n_frames == store.sizes.frame
        assert image.info["loop"] == 0
        for frame in range(image.n_frames):
            image.seek(frame)
            image.load()
            assert image.info["duration"] == 100
    before = path.read_bytes()
    assert write_preview(path, store, factor=2).read_bytes() == before


@pytest.mark.parametrize("what", ["map", "scene", "sheet"])
def test_stills_are_png_without_any_metadata(store: Store, tmp_path: Path, what: str) -> None:
    path = write_preview(tmp_path / "still.png", store, what)
    with Image.open(path) as image:
        image.load()
        assert image.format == "PNG"
        assert image.info == {}
        lossless = write_preview(tmp_path / "still.webp", store, what)
        with Image.open(lossless) as other:
            assert other.convert("RGB").tobytes() == image.convert("RGB").tobytes()


@pytest.mark.parametrize(
    ("name", "options", "error", "words"),
    [
        ("a.jpg", {}, RecipeError, r"a\.jpg.*\.png, \.gif, \.webp"),
        ("a", {}, RecipeError, "without suffix"),
        ("a.png", {"what": "sequence"}, RecipeError, r"\.gif, \.webp"),
        ("a.png", {"s": 2}, InputError, "no scene 2; the store has 2"),
        ("a.gif", {"t": -1}, InputError, "no traj -1"),
        ("a.png", {"what": "scene", "t": 2}, InputError, "no traj 2; the store has 2"),
        ("a.png", {"k": 9}, InputError, "no tx 9"),
        ("a.png", {"f": 4}, InputError, "no frame 4"),
        ("a.png", {"factor": 0}, RecipeError, "1 to 8"),
    ],
)
def test_wrong_wishes_are_explained_and_nothing_is_written(
    store: Store,
    tmp_path: Path,
    name: str,
    options: dict[str, int],
    error: type[Exception],
    words: str,
) -> None:
    with pytest.raises(error, match=words):
        write_preview(tmp_path / name, store, **options)
    assert not list(tmp_path.iterdir())


def test_long_titles_are_cut_to_fit() -> None:
    picture = Image.new("RGB", (256, 256))
    caption = pictures.Caption("x" * 5000, "note")
    sheet = pictures.frame_picture(picture, caption, Grid(64), MOTION_SCALE)
    assert sheet.width < 400
    assert Image.open(io.BytesIO(pictures.encode(sheet, ".png"))).size == sheet.size
