"""Metrics against closed forms and independent implementations, and the traps of published code."""

from __future__ import annotations

import math
from pathlib import Path

import metrics_speed
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.signal import convolve2d

from rmtools import metrics
from rmtools.errors import InputError
from rmtools.metrics import Evaluator, ExactSum, SsimParameters, Totals
from rmtools.seeds import generator
from rmtools.units import MOTION_SCALE, SEER_SCALE, GreyScale

CLOSE = 1e-6
"""Agreement that is asked for; most agree to 1e-12."""


def make_maps(count: int = 6, n: int = 40, noise: float = 0.03) -> tuple[np.ndarray, np.ndarray]:
    """Smooth maps with a building-like hole, each fainter than the last, and predictions."""
    random = generator(3, "metrics")
    y, x = np.mgrid[:n, :n] / n
    truth = np.array(
        [(1 - 0.12 * k) * np.exp(-2 * np.hypot(x - 0.1 * k, y - 0.3)) for k in range(count)]
    )
    truth[:, n // 2 : n // 2 + 6, 5:15] = 0
    truth = np.rint(255 * truth) / 255
    pred = truth + noise * random.normal(size=truth.shape)
    return np.clip(pred, 0, 1), truth


PRED, TRUTH = make_maps()


# -- closed forms ------------------------------------------------------------------------------


@given(
    value=st.floats(0.01, 1),
    error=st.floats(-0.5, 0.5).filter(lambda e: abs(e) > 1e-6),
    shape=st.sampled_from([(8, 8), (3, 5, 9), (2, 1, 4, 4), (2, 3, 1, 4, 4)]),
)
def test_a_constant_error_on_a_constant_map(
    value: float, error: float, shape: tuple[int, ...]
) -> None:
    truth = np.full(shape, value)
    pred = truth + error
    e = pred.flat[0] - value  # as rounded
    assert metrics.mse(pred, truth) == pytest.approx(e**2, rel=1e-12)
    assert metrics.rmse(pred, truth) == pytest.approx(abs(e), rel=1e-12)
    assert metrics.mae(pred, truth) == pytest.approx(abs(e), rel=1e-12)
    assert metrics.nmse(pred, truth) == pytest.approx(e**2 / value**2, rel=1e-12)
    assert metrics.psnr(pred, truth) == pytest.approx(-20 * math.log10(abs(e)), rel=1e-9)


def test_a_perfect_prediction() -> None:
    found = Evaluator(scale=SEER_SCALE)
    found.update(TRUTH, TRUTH)
    values = found.compute()
    zero = ("nmse", "nmse_per_image", "mse", "rmse", "rmse_grey", "rmse_db", "mae")
    assert [values[name] for name in zero] == [0.0] * len(zero)
    assert values["psnr"] == values["psnr_per_image"] == math.inf
    assert values["ssim"] == pytest.approx(1, abs=1e-12)


def test_psnr_is_minus_20_log10_of_rmse() -> None:
    values = evaluated(PRED, TRUTH)
    assert values["psnr"] == pytest.approx(-20 * math.log10(values["rmse"]), abs=1e-12)
    # the mean over maps is another number: Jensen's inequality
    assert values["psnr_per_image"] > values["psnr"]


@pytest.mark.parametrize(
    ("scale", "span"), [(SEER_SCALE, 99.16), (MOTION_SCALE, 95.5)], ids=["seer", "motion"]
)
def test_rmse_in_db(scale: GreyScale, span: float) -> None:
    raw = evaluated(PRED, TRUTH, scale=scale)
    assert raw["rmse_db"] == pytest.approx(span * raw["rmse"], rel=1e-9)
    assert raw["rmse_grey"] == pytest.approx(255 * raw["rmse"], rel=1e-12)
    cut = evaluated(PRED, TRUTH, "radiounet", scale=scale)
    assert cut["rmse_db"] == pytest.approx(0.8 * span * cut["rmse"], rel=1e-9)
    # one grey level is one grey level of dB
    level = np.full((1, 16, 16), 1 / 255)
    assert evaluated(level, 0 * level, scale=scale)["rmse_db"] == pytest.approx(scale.step_db)
    assert "rmse_db" not in evaluated(PRED, TRUTH)


def test_thresholded_span_of_radiomapseer() -> None:
    assert pytest.approx(79.33, abs=0.005) == 0.8 * SEER_SCALE.span_db


@given(st.floats(0, 1))
def test_threshold_and_back(g: float) -> None:
    f = metrics.unthreshold(np.array([g, -g]))
    assert metrics.threshold(f) == pytest.approx([g, 0], abs=1e-12)
    assert metrics.threshold(np.array([0.0, 0.2, 0.6, 1.0])) == pytest.approx([0, 0, 0.5, 1])


def test_maps_of_zeros() -> None:
    zeros, ones = np.zeros((1, 12, 12)), np.ones((1, 12, 12))
    assert metrics.nmse(zeros, zeros) == 0
    assert metrics.nmse(ones, zeros) == math.inf
    with_a_zero_map = evaluated(np.concatenate([ones, ones]), np.concatenate([zeros, ones]))
    assert with_a_zero_map["nmse"] == 1
    assert with_a_zero_map["nmse_per_image"] == math.inf
    skipping = evaluated(np.concatenate([ones, ones]), np.concatenate([zeros, ones]), "rmdm")
    assert skipping["nmse"] == 0


def test_nothing_gives_nan() -> None:
    values = Evaluator().compute()
    assert all(math.isnan(value) for value in values.values())


@given(st.lists(st.floats(-1e300, 1e300), max_size=30), st.randoms(use_true_random=False))
def test_exact_sums(values: list[float], random: object) -> None:
    total = ExactSum()
    for value in values:
        total.add(value)
    shuffled = ExactSum()
    random.shuffle(values)  # type: ignore[attr-defined]
    for value in values:
        shuffled.add(value)
    assert shuffled.units == total.units
    assert total.divided_by(1) == math.fsum(values)


# -- independent implementations ---------------------------------------------------------------


def test_errors_equal_those_of_scikit_image() -> None:
    skimage = pytest.importorskip("skimage.metrics")
    assert metrics.mse(PRED, TRUTH) == pytest.approx(
        skimage.mean_squared_error(TRUTH, PRED), abs=CLOSE
    )
    root = skimage.normalized_root_mse(TRUTH, PRED, normalization="euclidean")
    assert metrics.nmse(PRED, TRUTH) == pytest.approx(root**2, abs=CLOSE)
    assert math.sqrt(metrics.nmse(PRED, TRUTH)) == pytest.approx(root, abs=CLOSE)
    expected = skimage.peak_signal_noise_ratio(TRUTH, PRED, data_range=1.0)
    assert metrics.psnr(PRED, TRUTH) == pytest.approx(expected, abs=CLOSE)
    from_truth = [
        skimage.peak_signal_noise_ratio(t, p, data_range=np.ptp(t))
        for p, t in zip(PRED, TRUTH, strict=True)
    ]
    assert evaluated(PRED, TRUTH, "radiodiff-code")["psnr"] == pytest.approx(
        np.mean(from_truth), abs=CLOSE
    )


@pytest.mark.parametrize("size", [17, 33, 64])
@pytest.mark.parametrize(
    ("parameters", "theirs"),
    [
        (
            SsimParameters(),
            {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False},
        ),
        (
            SsimParameters(size=17, sigma=2.3, k1=0.02, k2=0.05, data_range=0.7),
            {
                "gaussian_weights": True,
                "sigma": 2.3,
                "use_sample_covariance": False,
                "data_range": 0.7,
                "K1": 0.02,
                "K2": 0.05,
            },
        ),
        (SsimParameters(window="uniform", size=7, covariance="sample"), {}),
        (
            SsimParameters(window="uniform", size=9),
            {"win_size": 9, "use_sample_covariance": False},
        ),
        (
            SsimParameters(window="uniform", size=7, covariance="sample", data_range="truth"),
            {"data_range": "truth"},
        ),
    ],
    ids=["reference", "constants", "default", "uniform", "rmdm"],
)
def test_ssim_equals_that_of_scikit_image(
    size: int, parameters: SsimParameters, theirs: dict[str, object]
) -> None:
    skimage = pytest.importorskip("skimage.metrics")
    pred, truth = make_maps(3, size, 0.1)
    expected = [
        skimage.structural_similarity(
            t,
            p,
            **{"data_range": 1.0, **theirs}
            | ({"data_range": np.ptp(t)} if parameters.data_range == "truth" else {}),
        )
        for p, t in zip(pred, truth, strict=True)
    ]
    found = metrics.ssim(pred, truth, parameters=parameters)
    assert found == pytest.approx(np.mean(expected), abs=CLOSE)


@pytest.mark.parametrize("data_range", [1.0, "pair"])
def test_ssim_equals_that_of_torchmetrics(data_range: float | str) -> None:
    torch = pytest.importorskip("torch")
    functional = pytest.importorskip("torchmetrics.functional.image")
    pred, truth = make_maps(4, 48, 0.1)
    pred[2] = 0.3 * pred[2]
    for p, t in zip(pred, truth, strict=True):
        pair = [torch.from_numpy(image)[None, None] for image in (p, t)]
        given_range = None if data_range == "pair" else data_range
        _, full = functional.structural_similarity_index_measure(
            *pair, data_range=given_range, return_full_image=True
        )
        full = full.numpy()[0, 0]
        for border, expected in (("mirror", full), ("valid", full[5:-5, 5:-5])):
            parameters = SsimParameters(border=border, data_range=data_range)
            found = metrics.ssim(p, t, parameters=parameters)
            assert found == pytest.approx(expected.mean(), abs=CLOSE)


def test_ssim_with_zeros_beyond_the_border() -> None:
    pred, truth = make_maps(1, 32, 0.1)
    g = np.exp(-((np.arange(11) - 5) ** 2) / (2 * 1.5**2))
    window = np.outer(g, g) / g.sum() ** 2

    def mean(image: np.ndarray) -> np.ndarray:
        return convolve2d(image, window, mode="same")

    p, t = pred[0], truth[0]
    mp, mt = mean(p), mean(t)
    covariance = mean(p * t) - mp * mt
    variances = mean(p * p) - mp**2 + mean(t * t) - mt**2
    expected = (
        (2 * mp * mt + 0.01**2)
        * (2 * covariance + 0.03**2)
        / ((mp**2 + mt**2 + 0.01**2) * (variances + 0.03**2))
    )
    found = metrics.ssim(p, t, parameters=SsimParameters(border="zero"))
    assert found == pytest.approx(expected.mean(), abs=CLOSE)


def test_flat_maps_have_a_range_of_one() -> None:
    flat = np.full((16, 16), 0.25)
    for data_range in ("truth", "pair"):
        parameters = SsimParameters(data_range=data_range)
        assert metrics.ssim(flat + 0.1, flat, parameters=parameters) == pytest.approx(
            metrics.ssim(flat + 0.1, flat)
        )


# -- masks and groups --------------------------------------------------------------------------


def test_a_mask_leaves_pixels_out() -> None:
    mask = TRUTH[0] > 0
    spoiled = np.where(mask, PRED, 1.0)
    for function in (metrics.mse, metrics.rmse, metrics.mae, metrics.nmse, metrics.psnr):
        assert function(spoiled, TRUTH, mask) == function(PRED, TRUTH, mask)
        chosen = PRED[:, mask][:, None], TRUTH[:, mask][:, None]
        assert function(PRED, TRUTH, mask) == pytest.approx(function(*chosen), rel=1e-12)
    evaluator = Evaluator()
    evaluator.update(PRED, TRUTH, mask=mask)
    assert evaluator.pixels() == 6 * mask.sum()
    assert evaluator.compute()["ssim"] == metrics.ssim(PRED, TRUTH, mask)


def test_zeros_in_buildings_make_errors_look_smaller() -> None:
    outside = TRUTH[0] > 0
    pred = np.where(outside, PRED, 0.0)
    assert metrics.rmse(pred, TRUTH, outside) > metrics.rmse(pred, TRUTH)


def test_ssim_of_a_mask_is_the_mean_of_its_windows() -> None:
    mask = np.zeros(TRUTH[0].shape, bool)
    mask[20, 25] = True
    alone = slice(15, 26), slice(20, 31)  # the one window around it
    assert metrics.ssim(PRED[0], TRUTH[0], mask) == pytest.approx(
        metrics.ssim(PRED[0][alone], TRUTH[0][alone]), abs=1e-12
    )
    assert math.isnan(metrics.ssim(PRED[0], TRUTH[0], np.zeros_like(mask)))


def test_parts_and_groups_add_up() -> None:
    frames = PRED[:4].reshape(2, 2, 40, 40)
    truth = TRUTH[:4].reshape(2, 2, 40, 40)
    los = TRUTH[0] > 0.4
    evaluator = Evaluator()
    evaluator.update(
        frames[:, :, None],
        truth[:, :, None],
        group=["frame 10", "frame 11"],
        parts={"los": los, "shadow": ~los},
    )
    assert evaluator.groups == ["all", "frame 10", "los", "shadow", "frame 11"]
    for k, name in enumerate(("frame 10", "frame 11")):
        assert evaluator.compute(name) == evaluated(frames[:, k], truth[:, k])
        assert evaluator.images(name) == 2
    squared = [
        evaluator.compute(name)["mse"] * evaluator.pixels(name) for name in ("los", "shadow")
    ]
    whole = evaluator.compute()["mse"] * evaluator.pixels()
    assert sum(squared) == pytest.approx(whole, rel=1e-12)
    assert evaluator.pixels("los") + evaluator.pixels("shadow") == evaluator.pixels()


def test_a_part_without_pixels_counts_no_map() -> None:
    evaluator = Evaluator()
    none = np.zeros_like(TRUTH, bool)
    none[0, 3, 3] = True
    evaluator.update(PRED, TRUTH, parts={"far": none})
    assert evaluator.images("far") == 1
    assert evaluator.pixels("far") == 1


# -- traps -------------------------------------------------------------------------------------


def test_integers_are_refused_because_they_wrap() -> None:
    random = generator(1, "wrap")
    truth = random.integers(0, 256, (64, 64)).astype(np.uint8)
    pred = np.clip(truth + random.integers(-6, 7, truth.shape), 0, 255).astype(np.uint8)
    wrapped = np.sum((pred - truth) ** 2) / np.sum(truth**2)  # as in a published script
    right = metrics.nmse(pred / 255, truth / 255)
    assert wrapped > 100 * right
    exact = int(((pred.astype(int) - truth) ** 2).sum()) / int((truth.astype(int) ** 2).sum())
    assert right == pytest.approx(exact, rel=1e-12)
    for pair in ((pred, truth), (pred / 255, truth), (pred.astype(int), truth / 255)):
        with pytest.raises(InputError, match="wrap"):
            metrics.nmse(*pair)
        with pytest.raises(InputError, match="wrap"):
            Evaluator().update(*pair)


def test_the_ratio_of_batches_depends_on_the_batches() -> None:
    """Published: 0.028957 and 0.028865 for one network, by the shuffle of its test set alone."""
    random = generator(5, "batches")
    strength = random.uniform(0.2, 1.0, 120)
    truth = strength[:, None, None] * np.ones((120, 12, 12))
    pred = truth + random.normal(0, 0.15, truth.shape)
    pred = np.clip(pred, 0, 1)
    shuffles = [random.permutation(120) for _ in range(8)]
    by_batch = {evaluated(pred[k], truth[k], "radiounet")["nmse"] for k in shuffles}
    assert max(by_batch) > 1.001 * min(by_batch)
    # batches of similar maps, as without shuffling: another number at equal errors
    ordered = np.argsort(strength)
    unshuffled = evaluated(pred[ordered], truth[ordered], "radiounet")
    assert unshuffled["nmse"] > 1.1 * max(by_batch)
    first = evaluated(pred[shuffles[0]], truth[shuffles[0]], "radiounet")
    assert unshuffled["rmse"] == first["rmse"]
    assert len({tuple(evaluated(pred[k], truth[k]).values()) for k in [*shuffles, ordered]}) == 1


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_numbers_that_are_none_are_refused(bad: float) -> None:
    spoiled = TRUTH.copy()
    spoiled[2, 7, 9] = bad
    for pair in ((spoiled, TRUTH), (TRUTH, spoiled)):
        with pytest.raises(InputError, match=r"not finite.* row 7, col 9"):
            metrics.nmse(*pair)


def test_levels_and_decibels_are_refused_as_truth() -> None:
    for wrong in (TRUTH * 255, -100 * TRUTH):
        with pytest.raises(InputError, match=r"outside \[0, 1\]"):
            metrics.nmse(PRED, wrong)
    metrics.nmse(PRED, np.float32(1.0000001) * np.ones_like(TRUTH))  # rounding is not


def test_shapes_are_checked() -> None:
    with pytest.raises(InputError, match="shape"):
        metrics.nmse(PRED[:, :-1], TRUTH)
    with pytest.raises(InputError, match="no maps"):
        metrics.nmse(PRED[0, 0], TRUTH[0, 0])
    with pytest.raises(InputError, match="mask has the shape"):
        metrics.nmse(PRED, TRUTH, np.ones((3, 3), bool))
    with pytest.raises(InputError, match="not bool"):
        metrics.nmse(PRED, TRUTH, np.ones(TRUTH.shape))
    with pytest.raises(InputError, match="group names"):
        Evaluator().update(PRED, TRUTH, group=["a", "b"])
    with pytest.raises(InputError, match="smaller than the window"):
        metrics.ssim(PRED[:, :8, :8], TRUTH[:, :8, :8])


def test_predictions_outside_the_range_are_clamped_and_counted() -> None:
    wild = PRED.copy()
    wild[0, :2] = 5.0
    evaluator = Evaluator()
    evaluator.update(wild, TRUTH)
    assert evaluator.clamped == 2 * wild.shape[-1]
    assert evaluator.compute() == evaluated(np.clip(wild, 0, 1), TRUTH)
    assert evaluated(wild, TRUTH, "radiodun")["rmse"] > evaluated(wild, TRUTH)["rmse"]


def test_totals_know_the_range_of_the_truth() -> None:
    assert Totals.of(PRED[0], TRUTH[0]).high == TRUTH[0].max()


def test_the_example_of_the_page() -> None:
    page = (Path(__file__).resolve().parent.parent / "docs/metrics.md").read_text()
    code = page.split("```python\n")[1].split("```")[0]
    names: dict[str, object] = {}
    exec(code, names)  # noqa: S102 - our own page
    assert metrics.nmse(names["pred"], names["truth"]) == pytest.approx(0.004706, abs=5e-7)
    evaluator = names["evaluator"]
    assert isinstance(evaluator, Evaluator)
    assert evaluator.compute()["rmse_db"] == pytest.approx(3.9664)
    assert evaluator.compute("near")["nmse_per_image"] == pytest.approx(0.02125)


def test_the_benchmark_compares_equal_things() -> None:
    maps = metrics_speed.make_maps(2, 32)
    values = {
        name: float(way()) for name, way in metrics_speed.ways(*maps).items() if "same" in name
    }
    for value in values.values():
        assert value == pytest.approx(metrics.ssim(*maps), abs=CLOSE)


def evaluated(
    pred: np.ndarray,
    truth: np.ndarray,
    protocol: str = "reference",
    scale: GreyScale | None = None,
) -> dict[str, float]:
    evaluator = Evaluator(protocol, scale=scale)
    evaluator.update(pred, truth)
    return evaluator.compute()
