"""Constants of normalisation and sample masks: what training adds to a split."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import numpy as np
import pytest
from fakes_store import make_store
from scipy.ndimage import gaussian_filter

from rmtools.audit import audit
from rmtools.audit.evidence import Evidence
from rmtools.audit.normalisation import (
    Normalisation,
    check_normalisation,
    fit,
    make_normalisation,
    read_normalisation,
)
from rmtools.audit.samples import SampleMask, SampleMasks, check_samples, read_samples
from rmtools.errors import InputError
from rmtools.seeds import generator
from rmtools.splits import SplitManifest, SplitSet, make_manifest, motion
from rmtools.splits.inventory import inventory_of, inventory_of_store

if TYPE_CHECKING:
    from pathlib import Path

    from rmtools.audit.model import Level
    from rmtools.store import Store

N, TX = 32, 6


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    root = tmp_path_factory.mktemp("training")
    made = make_store(root, n=N, scenes=4, traj=2, tx=TX, frames=2, gap_m=500.0)
    for s in range(4):  # every transmitter has shadows of its own
        noise = generator(1, "shadows", s).normal(size=(TX, 1, N, N))
        shadows = gaussian_filter(noise, (0, 0, 2, 2)) * 40.0
        for t in range(2):
            made.write_pathloss(s, t, made.pathloss_unit(s, t) + shadows)
    return made


@pytest.fixture(scope="module")
def manifest() -> SplitManifest:
    """Scenes 0 and 1 to train with, 2 to test on; 3 is in no set."""
    return make_manifest(
        {
            "train": SplitSet(scenes=["fake_000", "fake_001"], sequences=4 * TX),
            "test": SplitSet(scenes=["fake_002"], sequences=2 * TX),
        },
        name="whole scenes",
        method="geographic",
        description="for a test",
        dataset="x",
        leaky=False,
    )


@pytest.fixture(scope="module")
def evidence(store: Store, manifest: SplitManifest) -> Evidence:
    return Evidence(manifest, inventory_of_store(store))


# -- normalisation -----------------------------------------------------------------------------


def statistics(store: Store, scenes: list[int]) -> dict[str, float]:
    """Mean, standard deviation and range, all at once."""
    values = np.concatenate([store.pathloss_unit(s, t).ravel() for s in scenes for t in range(2)])
    values = values[~np.isnan(values)].astype(float)
    return {
        "mean": float(values.mean()),
        "std": float(values.std()),
        "min": float(values.min()),
        "max": float(values.max()),
    }


def test_constants_of_train_pass(store: Store, manifest: SplitManifest, evidence: Evidence) -> None:
    record = make_normalisation(**statistics(store, [0, 1]), fitted_on=["fake_000", "fake_001"])
    level = check_normalisation(manifest, record, evidence)
    assert (level.verdict, level.risk) == ("pass", "none")
    assert "give the constants again" in level.finding
    assert fit(evidence, record) == pytest.approx(statistics(store, [0, 1]), rel=1e-12)
    # a part of train, and without the dataset
    part = make_normalisation(mean=statistics(store, [1])["mean"], fitted_on=["fake_001"])
    assert check_normalisation(manifest, part, evidence).verdict == "pass"
    blind = check_normalisation(manifest, part, Evidence(manifest, None))
    assert blind.verdict == "pass"
    assert "for lack of the dataset" in blind.finding


def test_constants_that_saw_the_test_set_leak(
    store: Store, manifest: SplitManifest, evidence: Evidence
) -> None:
    scenes = ["fake_000", "fake_001", "fake_002", "fake_003"]
    record = make_normalisation(**statistics(store, [0, 1, 2, 3]), fitted_on=scenes)
    level = check_normalisation(manifest, record, evidence)
    assert (level.verdict, level.pairs) == ("leak", 2)
    assert [(pair.first, pair.sets) for pair in level.examples] == [
        ("fake_002", "test"),
        ("fake_003", "no set"),
    ]
    # and so do those that only pretend: the scenes of train, the constants of all
    pretended = make_normalisation(
        **statistics(store, [0, 1, 2, 3]), fitted_on=["fake_000", "fake_001"]
    )
    level = check_normalisation(manifest, pretended, evidence)
    assert level.verdict == "leak"
    assert "does not give its constants: mean" in level.finding


def test_constants_fitted_on_all_trajectories_of_a_trajectory_split_leak(store: Store) -> None:
    manifest = motion.split_store(store)
    evidence = Evidence(manifest, inventory_of_store(store))
    scenes = manifest.sets["train"].scenes
    everything = make_normalisation(mean=90.0, fitted_on=scenes)
    level = check_normalisation(manifest, everything, evidence)
    assert (level.verdict, level.pairs) == ("leak", len(scenes))
    own = make_normalisation(mean=90.0, fitted_on=scenes, trajectories=[0])
    assert "does not give its constants" in check_normalisation(manifest, own, evidence).finding
    again = fit(evidence, own)
    own = make_normalisation(**again, fitted_on=scenes, trajectories=[0])
    assert check_normalisation(manifest, own, evidence).verdict == "pass"


def test_a_record_that_was_changed_is_refused(tmp_path: Path) -> None:
    record = make_normalisation(mean=90.0, std=12.0, fitted_on=["a"])
    path = tmp_path / "normalisation.json"
    path.write_text(record.model_dump_json())
    assert read_normalisation(path) == record
    changed = {**json.loads(path.read_text()), "mean": 91.0}
    for bad, message in (
        (changed, "changed after writing"),
        ({**changed, "colour": 1}, "colour: Extra inputs"),
        ({}, "fitted_on: Field required"),
    ):
        path.write_text(json.dumps(bad))
        with pytest.raises(InputError, match=message):
            read_normalisation(path)
    with pytest.raises(ValueError, match="none of mean, std, min, max"):
        Normalisation(fitted_on=["a"], sha256="0" * 64)


# -- sample masks ------------------------------------------------------------------------------


def masks_of(store: Store, draw: object, per_map: int = 20) -> SampleMasks:
    """A mask for every transmitter of every scene; `draw` weighs the pixels of a map."""
    masks, of = [], []
    for s, name in enumerate(store.scene_names):
        free = ~store.buildings(s)
        for tx in range(TX):
            random = generator(5, "mask", s, tx)
            weight = np.where(free, draw(store.pathloss(s, 0, tx)[0], s, tx), 0.0).ravel()
            chosen = random.choice(N * N, per_map, replace=False, p=weight / weight.sum())
            mask = np.zeros(N * N, bool)
            mask[chosen] = True
            masks.append(mask.reshape(N, N))
            of.append(SampleMask(name, 0, tx, 0))
    return SampleMasks(np.array(masks), of)


def level_of(samples: SampleMasks, evidence: Evidence) -> Level:
    return check_samples(samples, evidence)


def even(loss_db: np.ndarray, *_: int) -> np.ndarray:
    return np.ones((N, N))


def test_even_masks_pass(store: Store, evidence: Evidence) -> None:
    level = level_of(masks_of(store, even), evidence)
    assert (level.verdict, level.pairs) == ("pass", 0), level.finding


def test_masks_that_look_for_strong_pixels_leak(store: Store, evidence: Evidence) -> None:
    def strong(loss_db: np.ndarray, *_: int) -> np.ndarray:
        return np.exp(-np.nan_to_num(loss_db, nan=200.0) / 6.0)

    level = level_of(masks_of(store, strong), evidence)
    assert (level.verdict, level.risk) == ("leak", "high")
    assert "rank 0.3" in level.finding  # far below one half


def test_masks_that_avoid_pixels_without_signal_leak(store: Store, evidence: Evidence) -> None:
    """What is below a threshold was never sampled: the free pixels were taken from the target."""

    def above(loss_db: np.ndarray, *_: int) -> np.ndarray:
        weak = np.nanquantile(loss_db, 0.7)
        return (np.nan_to_num(loss_db, nan=200.0) < weak).astype(float)

    assert level_of(masks_of(store, above, 60), evidence).verdict == "leak"


def test_masks_may_depend_on_what_a_model_is_given(store: Store, evidence: Evidence) -> None:
    """On roads only, where the signal is strong; and near the transmitter, where it is, too."""

    def on_roads(_: np.ndarray, s: int, __: int) -> np.ndarray:
        return store.roads(s) + 1e-9

    def near_tx(_: np.ndarray, s: int, tx: int) -> np.ndarray:
        x, y, _ = store.transmitters(s)[tx]
        px, py = np.meshgrid(store.grid.x_centres(), store.grid.y_centres())
        return np.exp(-np.hypot(px - x, py - y) / 8.0)

    for draw in (on_roads, near_tx):
        level = level_of(masks_of(store, draw), evidence)
        assert level.verdict == "pass", level.finding


def test_masks_that_are_the_same_for_all_transmitters_are_a_warning(
    store: Store, evidence: Evidence
) -> None:
    samples = masks_of(store, even)
    first = {of.scene: mask for mask, of in zip(samples.masks[::-1], samples.of[::-1], strict=True)}
    fixed = SampleMasks(np.array([first[of.scene] for of in samples.of]), samples.of)
    level = level_of(fixed, evidence)
    assert (level.verdict, level.risk, level.pairs) == ("warning", "low", 4)
    assert "same for all their transmitters" in level.finding


def test_masks_seeded_by_the_buildings_are_recognised(tmp_path: Path) -> None:
    """RonLevie/RadioUNet, lib/loaders.py, RadioUNet_c_sprseIRT4: rows and columns below 255."""
    from fakes import make_seer_folder

    root = make_seer_folder(tmp_path, maps=[1, 2, 3])
    manifest = make_manifest(
        {
            "train": SplitSet(scenes=["1", "2"], sequences=4),
            "test": SplitSet(scenes=["3"], sequences=2),
        },
        name="maps",
        method="geographic",
        description="for a test",
        dataset="RadioMapSeer",
        leaky=False,
    )
    evidence = Evidence(manifest, inventory_of(root))
    masks, of = [], []
    for scene in ("1", "2", "3"):
        image = np.where(evidence.buildings(scene), np.uint8(255), np.uint8(0))
        for tx in (0, 1):
            np_random = np.random.RandomState(int(np.sum(image, dtype=np.int64)))
            rows = np_random.randint(0, 255, size=300)
            cols = np_random.randint(0, 255, size=300)
            mask = np.zeros((256, 256), bool)
            mask[rows, cols] = True
            masks.append(mask)
            of.append(SampleMask(scene, 0, tx, 0))
    level = check_samples(SampleMasks(np.array(masks), of), evidence)
    assert level.verdict == "warning"
    assert "the masks of 3 scenes are seeded by the sum of the building image" in level.finding
    other = np.roll(np.array(masks), 1, axis=2)
    assert "seeded" not in check_samples(SampleMasks(other, of), evidence).finding


def test_masks_from_a_file(store: Store, manifest: SplitManifest, tmp_path: Path) -> None:
    samples = masks_of(store, even)
    path = tmp_path / "masks.npz"
    good = {
        "masks": samples.masks,
        "scene": np.array([of.scene for of in samples.of]),
        "tx": np.array([of.tx for of in samples.of]),
    }
    np.savez_compressed(path, **good)
    read = read_samples(path)
    assert np.array_equal(read.masks, samples.masks)
    assert read.of == samples.of
    report = audit(manifest, inventory_of_store(store), samples=read)
    assert report.level("samples").verdict == "pass"
    for change, message in (
        ({"masks": samples.masks[0]}, "expected (k, n, n)"),
        ({"masks": samples.masks * 2}, "more than 0 and 1"),
        ({"tx": np.arange(3)}, "expected \\(24,\\)"),
        ({"tx": -good["tx"]}, "negative"),
        ({"scene": np.arange(24)}, "scene must be text"),
    ):
        np.savez_compressed(path, **{**good, **change})
        with pytest.raises(InputError, match=message.replace("(k", "\\(k").replace("n)", "n\\)")):
            read_samples(path)
    np.savez_compressed(path, masks=samples.masks)
    with pytest.raises(InputError, match="no array 'scene'"):
        read_samples(path)


def test_a_single_mask_rules_nothing_out(store: Store, evidence: Evidence) -> None:
    samples = masks_of(store, even)
    level = level_of(SampleMasks(samples.masks[:1], samples.of[:1]), evidence)
    assert level.verdict == "not checked"
    assert "cannot rule out chance" in level.finding
