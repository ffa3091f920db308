"""Judging: back to one scale, the evaluator's numbers, groups, time, and the papers' tables."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from fakes_judging import (  # noqa: E402
    Broken,
    Counting,
    N,
    Noisy,
    Of256,
    Shifted,
    Signed,
    Thresholded,
    make_data,
    make_split,
)
from rmtools.models import MODELS  # noqa: E402
from rmtools.models.judging.predictions import (  # noqa: E402
    JudgedMaps,
    predict,
    score,
)
from rmtools.models.judging.published import published  # noqa: E402
from rmtools.models.judging.timing import Budget, measure  # noqa: E402

from rmtools.errors import RecipeError  # noqa: E402
from rmtools.layouts.conventions import CONVENTIONS, GreyTransform  # noqa: E402
from rmtools.layouts.maps import MapSource, open_maps  # noqa: E402
from rmtools.layouts.packed import pack  # noqa: E402
from rmtools.layouts.tensors import scale_grey, to_reference  # noqa: E402
from rmtools.metrics import load_protocol, nmse, protocol_names, psnr, rmse, ssim  # noqa: E402
from rmtools.metrics.evaluation import OUTSIDE_BUILDINGS  # noqa: E402
from rmtools.metrics.surroundings import LINE_OF_SIGHT, SHADOW, visible_from  # noqa: E402
from rmtools.splits.catalogue import PUBLISHED  # noqa: E402
from rmtools.splits.published import RADIOMAPMOTION  # noqa: E402

if TYPE_CHECKING:
    from rmtools.models.interface import RadioModel

REFERENCE = [load_protocol("reference")]


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> MapSource:
    root = make_data(tmp_path_factory.mktemp("judging"))
    pack(open_maps(root), root / "packed")
    return open_maps(root / "packed")


def maps(source: MapSource, task: Any = "dynamic", **options: Any) -> JudgedMaps:
    kind = "pathloss_static" if task in ("static", "sparse") else "pathloss"
    return JudgedMaps(source, make_split(), "test", task, kind, **options)


def grey(source: MapSource) -> np.ndarray[Any, Any]:
    """Level / 255 of the test set, scenes 4 and 5, shape (4, 15, n, n)."""
    sequences = [(scene, tx) for scene in (4, 5) for tx in range(2)]
    return np.stack([source.grey("pathloss", scene, 0, tx) for scene, tx in sequences]) / 255.0


# -- the scale -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "task"), [(name, task) for name, tasks in CONVENTIONS.items() for task in tasks]
)
def test_every_convention_comes_back_to_the_reference_scale(name: str, task: Any) -> None:
    transform = CONVENTIONS[name][task].grey
    levels = torch.arange(256, dtype=torch.uint8)
    back = to_reference(scale_grey(levels, transform), transform).numpy()
    lost = transform.threshold * transform.divisor
    np.testing.assert_allclose(back * 255, np.maximum(np.arange(256), lost), atol=2e-4)


def test_a_prediction_is_not_clamped_but_below_a_threshold_it_is_the_threshold() -> None:
    assert to_reference(torch.tensor([-0.5, 1.5]), GreyTransform()).tolist() == [-0.5, 1.5]
    cut = GreyTransform(threshold=0.2)
    assert to_reference(torch.tensor([-0.5, 0.0]), cut).tolist() == pytest.approx([0.2, 0.2])


@pytest.mark.parametrize("target", ["grey", "paper"])
@pytest.mark.parametrize(
    ("kind", "task", "per_unit"),
    [
        (Shifted, "dynamic", {"grey": 1.0, "paper": 1.0}),
        (Thresholded, "dynamic", {"grey": 1.0, "paper": 0.8}),
        (Thresholded, "sparse-dynamic", {"grey": 1.0, "paper": 0.8 / 255}),
        (Signed, "dynamic", {"grey": 0.5, "paper": 0.5}),
        (Of256, "dynamic", {"grey": 0.5, "paper": 0.5 * 256 / 255}),
        (Shifted, "forecast", {"grey": 1.0, "paper": 1.0}),
    ],
)
def test_models_on_any_scale_are_judged_on_one(
    source: MapSource,
    kind: type[RadioModel],
    task: Any,
    per_unit: dict[str, float],
    target: Any,
) -> None:
    """A constant error of a model's own scale is the same share of [0, 1] everywhere."""
    shift = 0.02
    if (kind, task, target) == (Thresholded, "sparse-dynamic", "paper"):
        shift *= 256
    model = kind(task, shift=shift, target=target)  # type: ignore[call-arg]
    truth = grey(source)
    if task == "forecast":
        truth = truth[:, 10:]
    (found,) = score(model, maps(source, task), REFERENCE).results
    cut = model.convention.grey.threshold
    lost = np.maximum(truth, cut * model.convention.grey.divisor / 255)
    moved = np.clip(lost + shift * per_unit[target], 0, 1)
    values = found.groups["all"].values
    assert values["rmse"] == pytest.approx(rmse(moved, truth), abs=1e-7)
    assert values["nmse"] == pytest.approx(nmse(moved, truth), rel=1e-5)
    assert values["psnr"] == pytest.approx(psnr(moved, truth), rel=1e-6)
    assert values["ssim"] == pytest.approx(ssim(moved, truth), abs=1e-6)
    assert values["rmse_db"] == pytest.approx(95.5 * rmse(moved, truth), abs=1e-5)


def test_what_a_threshold_costs_is_said(source: MapSource) -> None:
    said = score(Thresholded("static", target="paper"), maps(source, "static"), REFERENCE).target
    assert "0.2" in said
    assert score(Shifted("static"), maps(source, "static"), REFERENCE).target.startswith("none")


# -- the numbers ---------------------------------------------------------------------------------


def test_groups_are_those_of_the_dataset(source: MapSource) -> None:
    """Parts by the building masks, frames by their numbers, and all by rmtools.metrics."""
    found = score(Noisy("forecast"), maps(source, "forecast"), REFERENCE)
    (result,) = found.results
    assert list(result.groups)[:2] == ["all", "frame 10"]
    assert set(result.groups) == {
        "all",
        *(f"frame {k}" for k in range(10, 15)),
        *(OUTSIDE_BUILDINGS, LINE_OF_SIGHT, SHADOW),
    }
    assert (found.maps, result.groups["frame 12"].maps) == (20, 4)
    model = Noisy("forecast")
    (batch,) = predict(model, maps(source, "forecast").of(model.convention), batch=64)
    truth = grey(source)[:, 10:, None]
    np.testing.assert_allclose(batch.truth, truth, atol=1e-7)
    pred = np.clip(batch.pred.astype(float), 0, 1)
    assert result.groups["frame 12"].values["rmse"] == pytest.approx(rmse(pred[:, 2], truth[:, 2]))
    masks = []
    for scene in (4, 5):
        inside = source.inside_buildings(scene)
        for row, col in source.transmitter_pixels(scene).tolist():
            masks.append(~inside & visible_from(inside, row, col))
    seen = np.broadcast_to(np.stack(masks)[:, None, None], truth.shape)
    assert result.groups[LINE_OF_SIGHT].values["rmse"] == pytest.approx(rmse(pred, truth, seen))
    assert result.groups[LINE_OF_SIGHT].pixels == seen.sum()


def test_images_alone_have_no_parts(tmp_path: Any, source: MapSource) -> None:
    from rmtools.layouts.motion import write_layout
    from rmtools.store import Store

    write_layout(Store.open(source.path.parent), tmp_path / "motion")
    (tmp_path / "motion" / "dataset.json").unlink()
    bare = open_maps(tmp_path / "motion")
    judged = JudgedMaps(bare, None, None, "forecast")
    (result,) = score(Shifted("forecast"), judged, REFERENCE).results
    assert set(result.groups) == {"all", *(f"frame {k}" for k in range(10, 15))}


@pytest.mark.parametrize("protocol", protocol_names())
def test_no_number_depends_on_the_batch(source: MapSource, protocol: str) -> None:
    chosen = [load_protocol(protocol)]
    model = Noisy("static")
    by_one, by_three = (score(model, maps(source, "static"), chosen, batch=k) for k in (1, 3))
    assert by_one == by_three


def test_samples_and_frames_of_the_test_are_ours_to_choose(source: MapSource) -> None:
    model = Counting("sparse")
    for count in (9, 64):
        (found,) = score(model, maps(source, "sparse", samples=(count, count)), REFERENCE).results
        expected = 0.1 * count / N**2
        assert found.groups["all"].values["mae"] == pytest.approx(expected, rel=1e-3)
    assert score(Shifted("dynamic"), maps(source, frames=(0, 14)), REFERENCE).maps == 8


def test_a_wrong_shape_names_the_model(source: MapSource) -> None:
    with pytest.raises(RecipeError, match=r"Shifted truth: it predicts the shape \(4, 1, 31, 32\)"):
        score(Broken("static"), maps(source, "static"), REFERENCE)


def test_autocast_is_used_where_asked_for(source: MapSource) -> None:
    seen = []

    class Asking(Shifted):
        def predict(self, batch: Any) -> Any:
            seen.append(torch.get_autocast_dtype("cpu") if torch.is_autocast_enabled("cpu") else 0)
            return super().predict(batch)

    score(Asking("static"), maps(source, "static"), REFERENCE)
    score(Asking("static"), maps(source, "static"), REFERENCE, precision="bf16-mixed")
    assert seen == [0, torch.bfloat16]


# -- time ----------------------------------------------------------------------------------------


def test_timing_finds_the_batch_of_most_maps(monkeypatch: pytest.MonkeyPatch) -> None:
    """A clock that charges 8 ms a call and 1 ms a map up to 16 maps, and 4 a map beyond."""
    from rmtools.models.judging import timing

    now = [0.0]
    monkeypatch.setattr(timing.time, "perf_counter", lambda: now[0])

    class Slow(Shifted):
        def predict(self, batch: Any) -> Any:
            count = len(batch["target"])
            now[0] += (8 + count * (1 if count <= 16 else 4)) / 1000
            return batch["target"]

    def batches(count: int) -> Any:
        return {"target": torch.zeros(count, 1, 16, 16)}

    found = measure(Slow("static"), batches, budget=Budget(0.06, least=3, most=5, largest=256))
    assert (found.best_batch, found.repeats, found.size, found.frames) == (16, 5, 16, 1)
    assert (found.ms, found.ms_least) == (pytest.approx(9), pytest.approx(9))
    assert found.ms_in_best_batch == pytest.approx(24 / 16)
    assert found.maps_per_s == pytest.approx(16 / 0.024)
    assert (found.clock, found.threads) == ("perf_counter", torch.get_num_threads())


def test_memory_is_the_weights_and_what_a_prediction_needs() -> None:
    class Large(Shifted):
        def __init__(self) -> None:
            super().__init__("static")
            self.register_buffer("held", torch.zeros(2_500_000))

        def predict(self, batch: Any) -> Any:
            wide = torch.ones(25_000_000)
            return batch["target"] + wide.sum() * 0

    def batches(count: int) -> Any:
        return {"target": torch.zeros(count, 5, 1, 8, 8)}

    found = measure(Large(), batches, budget=Budget(0.0, least=1, most=1, warm_up=1, largest=1))
    assert found.frames == 5
    if found.memory_mb is not None:
        assert 10 + 90 <= found.memory_mb <= 10 + 100 + 30
    assert found.memory_is


# -- the papers' tables --------------------------------------------------------------------------


def test_the_tables_fit_together() -> None:
    """Splits, protocols and models exist, and PSNR fits RMSE but where it is said not to."""
    tables = published()
    splits = {*PUBLISHED, RADIOMAPMOTION, None}
    for paper in tables.papers.values():
        assert paper.split in splits
        assert paper.protocol in protocol_names()
    claims = list(tables.claims())
    assert {claim.model for claim in claims} <= set(MODELS)
    assert len({(c.paper.title, c.table.table) for c in claims}) == len(tables.tables)
    for claim in claims:
        values, name = claim.values, (claim.paper.title, claim.table.table, claim.model)
        if "psnr" not in values or "rmse" not in values or claim.odd:
            continue
        if claim.table.psnr == "pooled":
            assert values["psnr"] == pytest.approx(-20 * math.log10(values["rmse"]), abs=6e-4), name
        elif claim.paper.protocol != "radiodiff-code":  # whose peak is not 1
            least = -20 * math.log10(values["rmse"] + 5e-5)  # a mean of PSNRs is never below
            assert least - 5e-3 <= values["psnr"] <= least + 3, name


def test_what_is_odd_is_really_odd() -> None:
    odd = {(c.paper.title, c.table.table, c.model): c.values for c in published().claims() if c.odd}
    assert len(odd) == 3
    for name, values in odd.items():
        assert abs(values["psnr"] + 20 * math.log10(values["rmse"])) > 0.1, name


def test_numbers_that_follow_from_others() -> None:
    claims = list(published().claims())

    def values(paper: str, table: str, model: str, **setting: Any) -> dict[Any, float]:
        (found,) = (
            c.values
            for c in claims
            if (c.paper.title, c.table.table, c.model) == (paper, table, model)
            and setting.items() <= {"data": c.part.data, **c.part.setting}.items()
        )
        return found

    for claim in published().claims("train-size"):
        whole = values(
            "RadioDUN",
            "Table I",
            claim.model,
            data="RadioMapSeer DPM",
            transmitter="unknown",
        )
        worse = 100 * (claim.values["rmse"] / whole["rmse"] - 1)
        assert claim.values["worse_percent"] == pytest.approx(worse, abs=6e-3)
    ours, theirs = (
        values("RadioMamba", "Table III", model) for model in ("radiomamba", "radiodiff")
    )
    assert 1 - ours["seconds"] / theirs["seconds"] == pytest.approx(0.9494, abs=5e-5)
    assert 1 - ours["parameters_m"] / theirs["parameters_m"] == pytest.approx(0.9711, abs=5e-5)
    assert 1 - ours["memory_mb"] / theirs["memory_mb"] == pytest.approx(0.6091, abs=5e-5)
    for test, energy in (("seen environments", 0.0899), ("unseen environments", 0.1083)):
        for model in ("last-frame", "static-unet", "conv-mamba-unet", "radiolstm"):
            row = values("RadioMapMotion", "Table III", model, test=test)
            assert row["rmse"] ** 2 / row["nmse"] == pytest.approx(energy, abs=1e-4)
    same = {
        c.model: c.values
        for c in claims
        if (c.paper.title, c.table.table) == ("RadioDiff", "Table II") and c.part.task == "static"
    }
    for claim in claims:
        if claim.table.table == "Table 1" and claim.model in same:
            assert claim.values.items() <= same[claim.model].items()
