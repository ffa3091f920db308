"""A third-party reader opens our trees: RadioUNet's conventions, restated in radiounet_reader.py.

Every test runs on each kind of tree in `TREES`.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import numpy as np
import pytest
from fakes_seer import make_seer_tree
from fakes_seer_store import make_seer_store, scene_reader
from radiounet_reader import RadioUNetReader, file_ids

from rmtools.layouts.seer_import import import_seer
from rmtools.layouts.seer_reader import SeerLayout
from rmtools.layouts.seer_writer import write_layout

if TYPE_CHECKING:
    from pathlib import Path

FIRST = (159, 501)
"""Files at positions 0 and 1 of the published order: the ids of the maps in every tree."""

TX = 3
"""Transmitters of every map in every tree."""


def _fake(root: Path) -> Path:
    return make_seer_tree(root, FIRST, transmitters=TX)


def _ours(root: Path) -> Path:
    """Written from a store of ours."""
    store = make_seer_store(root.parent, tx=TX, seer_maps=FIRST)
    write_layout(store, scene_reader(root.parent, store), root)
    return root


def _read_and_written(root: Path) -> Path:
    """Read from another tree, with all simulators, and written again."""
    store = import_seer(_fake(root.parent / "made up"), root.parent)
    write_layout(store, scene_reader(root.parent, store), root)
    return root


TREES = {"made up": _fake, "ours": _ours, "read and written": _read_and_written}


@pytest.fixture(scope="module", params=list(TREES))
def tree(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return TREES[request.param](tmp_path_factory.mktemp("tree") / "RadioMapSeer")


def reader(tree: Path, transmitters: int = TX, **options: object) -> RadioUNetReader:
    """The first two maps of the training set."""
    return RadioUNetReader(f"{tree}/", last=1, transmitters=transmitters, **options)  # type: ignore[arg-type]


def need(tree: Path, simulator: str) -> None:
    """Skip on trees of which no solver made the simulator's maps."""
    if not (tree / "gain" / simulator).is_dir():
        pytest.skip(f"this tree has no {simulator} maps")


def test_the_published_order() -> None:
    ids = file_ids()
    assert ids[:12] == [159, 501, 397, 156, 322, 213, 235, 290, 301, 357, 674, 329]
    assert ids[601] == 419
    assert sorted(ids) == list(range(1, 701))
    joined = ",".join(map(str, ids)).encode()
    digest = "c0828dae12b0e60fe4e173cb7afb867886476068b84512768fd595fd78fc37d7"
    assert hashlib.sha256(joined).hexdigest() == digest


@pytest.mark.parametrize("simulation", ["DPM", "IRT2"])
@pytest.mark.parametrize("cars", ["", "cars"])
def test_every_sample_of_the_range_is_read(tree: Path, simulation: str, cars: str) -> None:
    need(tree, cars + simulation)
    data = reader(tree, simulation=simulation, cars_simul=bool(cars), cars_input=bool(cars))
    layout = SeerLayout(tree)
    assert len(data) == 2 * TX
    for index in range(len(data)):
        map_id, tx = FIRST[index // TX], index % TX
        inputs, target = data.inputs(index), data.target(index)
        assert inputs.shape == (256, 256, 3 if cars else 2)
        assert set(np.unique(inputs)) == {0.0, 1.0}
        assert (inputs[..., 0] == layout.buildings(map_id)).all()
        row, col = layout.transmitter_pixels(map_id)[tx]
        assert np.argwhere(inputs[..., 1]).tolist() == [[row, col]]
        if cars:
            assert (inputs[..., 2] == layout.cars(map_id)).all()
        grey = layout.grey(cars + simulation, map_id, tx)
        assert np.rint((target * 0.8 + 0.2) * 255).tolist() == np.maximum(grey, 51).tolist()
        assert 0 <= target.min() < target.max() <= 1


def test_without_threshold_and_as_mixture(tree: Path) -> None:
    need(tree, "IRT2")
    plain, mixed = reader(tree, threshold=0.0), reader(tree, simulation="rand", threshold=0.0)
    layout = SeerLayout(tree)
    dpm, irt2 = (layout.grey(s, FIRST[1], 1).astype(float) for s in ("DPM", "IRT2"))
    np.testing.assert_array_equal(plain.target(TX + 1), dpm / 255)
    np.testing.assert_allclose(mixed.target(TX + 1), (dpm + irt2) / 512)


@pytest.mark.parametrize("cars", ["", "cars"])
def test_irt4_has_two_transmitters(tree: Path, cars: str) -> None:
    with pytest.raises(ValueError, match="two transmitters"):
        reader(tree, simulation="IRT4", transmitters=80)
    need(tree, f"{cars}IRT4")
    data = reader(tree, simulation="IRT4", cars_simul=bool(cars), transmitters=2, threshold=0.0)
    assert [data.names(index)[1] for index in (1, 2)] == ["159_1.png", "501_0.png"]
    grey = SeerLayout(tree).grey(f"{cars}IRT4", FIRST[1], 1)
    np.testing.assert_array_equal(data.target(3) * 256, grey)
    assert not (tree / f"gain/{cars}IRT4/159_2.png").exists()


@pytest.mark.parametrize("missing", [1, 2, 3, 4])
def test_missing_buildings(tree: Path, missing: int) -> None:
    whole = reader(tree).inputs(0)[..., 0]
    layout = SeerLayout(tree)
    for version in range(1, 7):
        data = reader(tree, missing=missing, version=version)
        less = data.inputs(0)[..., 0]
        assert (less <= whole).all()
        assert (less < whole).any()
        assert (less == layout.buildings(FIRST[0], missing, version)).all()
        assert (whole - less == layout.removed(FIRST[0], missing, version)).all()
        assert len(layout.removed_polygons(FIRST[0], missing, version)) == missing


def test_samples_are_seeded_by_the_building_image(tree: Path) -> None:
    data = reader(tree)
    sparse = data.samples(0, 500)
    np.testing.assert_array_equal(sparse, data.samples(0, 500))
    at = sparse > 0
    assert 50 < at.sum() <= 500  # the others fell on buildings
    assert not at[255].any()
    assert not at[:, 255].any()
    np.testing.assert_array_equal(sparse[at] * 256, SeerLayout(tree).grey("DPM", FIRST[0], 0)[at])


def test_the_slash_is_needed(tree: Path) -> None:
    with pytest.raises(ValueError, match="slash"):
        RadioUNetReader(str(tree))
