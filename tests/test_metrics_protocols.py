"""Each paper's protocol equals its evaluation restated, batch by batch, with other packages."""

from __future__ import annotations

import io
import json
import math
from pathlib import Path
from typing import TYPE_CHECKING

import jsonschema
import numpy as np
import pytest
from PIL import Image
from scipy.signal import convolve2d

from rmtools.errors import InputError, RecipeError
from rmtools.metrics import Evaluator, Protocol, load_protocol, protocol_names
from rmtools.seeds import generator
from rmtools.units import SEER_SCALE

if TYPE_CHECKING:
    from collections.abc import Callable

REPOSITORY = Path(__file__).resolve().parent.parent
CLOSE = 1e-6
N = 36

Maps = np.ndarray


def make_maps(count: int) -> tuple[Maps, Maps]:
    random = generator(2, "protocols")
    y, x = np.mgrid[:N, :N] / N
    at = random.random((count, 2))
    truth = np.array([np.exp(-2.5 * np.hypot(x - a, y - b)) for a, b in at])
    truth *= random.uniform(0.3, 1.0, count)[:, None, None]
    truth[:, 10:16, 5:15] = 0
    truth = np.rint(255 * truth) / 255
    pred = truth + random.normal(0, 0.04, truth.shape) * random.random((count, 1, 1))
    return pred.astype(np.float32), truth.astype(np.float32)  # some are outside [0, 1]


PRED, TRUTH = make_maps(37)


def batches(*maps: Maps, size: int) -> list[tuple[Maps, ...]]:
    return [
        tuple(m[k : k + size].astype(np.float64) for m in maps) for k in range(0, len(PRED), size)
    ]


def weighted(values: list[float], size: int) -> float:
    weights = [len(p) for (p,) in batches(PRED, size=size)]
    return float(np.average(values, weights=weights))


def thr2(f: Maps) -> Maps:
    out = f.astype(np.float64)
    out[out < 0.2] = 0.2
    return (out - 0.2 * np.ones_like(out)) / (1 - 0.2)


def torch_ssim(pred: Maps, truth: Maps, data_range: float | None, crop: int) -> float:
    """torchmetrics' map of SSIM of one pair, and what versions with and without border make of it.

    Versions up to 1.4 cut the border off, later ones do not; the map itself is the same.
    """
    torch = pytest.importorskip("torch")
    functional = pytest.importorskip("torchmetrics.functional.image")
    pair = [torch.from_numpy(m.astype(np.float64))[None, None] for m in (pred, truth)]
    _, full = functional.structural_similarity_index_measure(
        *pair, data_range=data_range, return_full_image=True
    )
    full = full.numpy()[0, 0]
    return float(full[crop : full.shape[0] - crop, crop : full.shape[1] - crop].mean())


def torch_psnr(pred: Maps, truth: Maps, peak: float) -> float:
    torch = pytest.importorskip("torch")
    functional = pytest.importorskip("torchmetrics.functional.image")
    pair = [torch.from_numpy(m.astype(np.float64)) for m in (pred, truth)]
    return float(functional.peak_signal_noise_ratio(*pair, data_range=peak))


# -- the papers' ways, written once more -------------------------------------------------------


def radiounet() -> dict[str, float]:
    pairs = batches(thr2(PRED), thr2(TRUTH), size=15)
    errors = [np.mean((p - t) ** 2) for p, t in pairs]
    ratios = [np.mean((p - t) ** 2) / np.mean(t**2) for p, t in pairs]
    mse = weighted(errors, 15)
    return {
        "nmse": weighted(ratios, 15),
        "mse": mse,
        "rmse": math.sqrt(mse),
        "rmse_db": 79.328 * math.sqrt(mse),
    }


def radiodiff_code() -> dict[str, float]:
    pairs = list(zip(np.clip(PRED, 0, 1).astype(np.float64), TRUTH.astype(np.float64), strict=True))
    return {
        "nmse": np.mean([np.mean((p - t) ** 2) / np.mean(t**2) for p, t in pairs]),
        "rmse": np.mean([np.sqrt(np.mean((p - t) ** 2)) for p, t in pairs]),
        "ssim": np.mean([torch_ssim(p, t, None, crop=5) for p, t in pairs]),
        "psnr": np.mean([torch_psnr(p, t, np.ptp(t)) for p, t in pairs]),
    }


def radiodiff() -> dict[str, float]:
    code = radiodiff_code()
    pairs = zip(np.clip(PRED, 0, 1), TRUTH.astype(np.float64), strict=True)
    roots = [math.sqrt(np.sum((p - t) ** 2) / np.sum(t**2)) for p, t in pairs]
    return code | {"rmse": np.mean(roots)}


def radiomamba() -> dict[str, float]:
    found: dict[str, list[float]] = {name: [] for name in ("nmse", "mse", "rmse", "ssim", "psnr")}
    for pred, t in zip(PRED, TRUTH.astype(np.float64), strict=True):
        file = io.BytesIO()
        Image.fromarray((np.clip(pred, 0, 1) * 255).astype(np.uint8)).save(file, "PNG")
        p = np.asarray(Image.open(file)) / 255.0
        mse = np.mean((p - t) ** 2)
        found["nmse"].append(mse / np.mean(t**2))
        found["mse"].append(mse)
        found["rmse"].append(math.sqrt(mse))
        found["ssim"].append(torch_ssim(p, t, 1.0, crop=0))
        found["psnr"].append(torch_psnr(p, t, 1.0))
    return {name: np.mean(values) for name, values in found.items()}


def rmdm() -> dict[str, float]:
    skimage = pytest.importorskip("skimage.metrics")
    pairs = list(zip(thr2(PRED), thr2(TRUTH), strict=True))
    errors = [np.mean((p - t) ** 2) for p, t in pairs]
    psnrs = [
        20 * np.log10(np.ptp(t)) - 10 * np.log10(e) for (_, t), e in zip(pairs, errors, strict=True)
    ]
    ssims = [skimage.structural_similarity(t, p, data_range=np.ptp(t)) for p, t in pairs]
    return {
        "nmse": np.mean([e / np.mean(t**2) for (_, t), e in zip(pairs, errors, strict=True)]),
        "mse": np.mean(errors),
        "rmse": math.sqrt(np.mean(errors)),
        "ssim": np.mean(ssims),
        "psnr": np.mean(psnrs),
    }


def radiodun() -> dict[str, float]:
    p, t = PRED.astype(np.float64), TRUTH.astype(np.float64)
    psnrs = [torch_psnr(a, b, 1.0) for a, b in batches(PRED, TRUTH, size=16)]
    return {
        "rmse": math.sqrt(np.sum((p - t) ** 2) / p.size),
        "ssim": np.mean([torch_ssim(a, b, 1.0, crop=0) for a, b in zip(p, t, strict=True)]),
        "psnr": weighted(psnrs, 16),
    }


def radiomapmotion() -> dict[str, float]:
    p, t = np.clip(PRED, 0, 1).astype(np.float64), TRUTH.astype(np.float64)
    return {
        "nmse": np.sum((p - t) ** 2) / np.sum(t**2),
        "rmse": math.sqrt(np.mean((p - t) ** 2)),
        "ssim": np.mean([torch_ssim(a, b, 1.0, crop=0) for a, b in zip(p, t, strict=True)]),
        "psnr": torch_psnr(p, t, 1.0),
    }


def radioflow() -> dict[str, float]:
    g = np.exp(-((np.arange(11) - 5) ** 2) / (2 * 1.5**2))
    window = np.outer(g, g) / g.sum() ** 2

    def ssim(p: Maps, t: Maps) -> float:
        mp, mt, pp, tt, pt = (
            convolve2d(m, window, mode="same") for m in (p, t, p * p, t * t, p * t)
        )
        upper = (2 * mp * mt + 1e-4) * (2 * (pt - mp * mt) + 9e-4)
        return float(np.mean(upper / ((mp**2 + mt**2 + 1e-4) * (pp - mp**2 + tt - mt**2 + 9e-4))))

    pairs = batches(thr2(PRED), thr2(TRUTH), size=64)
    errors = [float(np.mean((p - t) ** 2)) for p, t in pairs]
    ssims = [np.mean([ssim(a, b) for a, b in zip(p, t, strict=True)]) for p, t in pairs]
    return {
        "nmse": weighted([e / np.mean(t**2) for (_, t), e in zip(pairs, errors, strict=True)], 64),
        "mse": weighted(errors, 64),
        "rmse": weighted([math.sqrt(e) for e in errors], 64),
        "mae": weighted([float(np.mean(np.abs(p - t))) for p, t in pairs], 64),
        "ssim": weighted(ssims, 64),
        "psnr": weighted([-10 * math.log10(e) for e in errors], 64),
    }


RESTATED: dict[str, Callable[[], dict[str, float]]] = {
    "radiounet": radiounet,
    "radiodiff": radiodiff,
    "radiodiff-code": radiodiff_code,
    "radiomamba": radiomamba,
    "rmdm": rmdm,
    "radiodun": radiodun,
    "radiomapmotion": radiomapmotion,
    "radioflow": radioflow,
}


@pytest.mark.parametrize("name", sorted(RESTATED))
def test_a_protocol_is_the_papers_way(name: str) -> None:
    evaluator = Evaluator(name, scale=SEER_SCALE)
    for k in range(0, len(PRED), 7):  # batches of our own, which must not matter
        evaluator.update(PRED[k : k + 7, None], TRUTH[k : k + 7, None])
    # relative to 30 dB torchmetrics is not better than 1e-6: its logarithms are single precision
    assert evaluator.compute() == pytest.approx(RESTATED[name](), abs=CLOSE, rel=1e-7)


def test_all_protocols_are_restated() -> None:
    assert set(protocol_names()) == {*RESTATED, "reference"}
    assert protocol_names()[0] == "reference"


# -- published tables --------------------------------------------------------------------------

RADIOMAPMOTION = {  # table III: NMSE, RMSE, PSNR
    "Last-Frame Repeat, seen": (0.009517, 0.029257, 30.6755),
    "Static-UNet, seen": (0.002751, 0.015731, 36.0648),
    "RadioLSTM, seen": (0.002562, 0.015181, 36.3742),
    "Last-Frame Repeat, unseen": (0.007519, 0.028530, 30.8941),
    "Static-UNet, unseen": (0.011265, 0.034921, 29.1382),
    "ConvMambaUNet, unseen": (0.004553, 0.022201, 33.0726),
    "RadioLSTM, unseen": (0.002121, 0.015154, 36.3894),
}


@pytest.mark.parametrize("row", sorted(RADIOMAPMOTION))
def test_a_published_row_is_consistent_under_its_protocol(row: str) -> None:
    """Maps of one value and one error with the row's NMSE and RMSE have its PSNR, too."""
    nmse, rmse, psnr = RADIOMAPMOTION[row]
    truth = np.full((3, 16, 16), rmse / math.sqrt(nmse))
    evaluator = Evaluator("radiomapmotion")
    evaluator.update(truth + rmse, truth)
    found = evaluator.compute()
    assert found["nmse"] == pytest.approx(nmse, abs=1e-9)
    assert found["psnr"] == pytest.approx(psnr, abs=4e-4)  # RMSE is printed to six digits


def test_a_published_row_that_is_not_consistent() -> None:
    truth = np.full((1, 16, 16), 0.3)
    evaluator = Evaluator("radiomapmotion")
    evaluator.update(truth + 0.019666, truth)  # ConvMambaUNet, seen: printed 34.5753
    assert evaluator.compute()["psnr"] == pytest.approx(34.1257, abs=4e-4)


def test_radiodiffs_table_does_not_follow_its_equation() -> None:
    truth = np.full((1, 16, 16), 0.3)
    evaluator = Evaluator("radiodiff")
    evaluator.update(truth * (1 + math.sqrt(0.0049)), truth)
    found = evaluator.compute()
    assert found["nmse"] == pytest.approx(0.0049)
    assert found["rmse"] == pytest.approx(0.0700)  # the table prints 0.0190


# -- files -------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", protocol_names())
def test_protocol_files_satisfy_the_schema(name: str) -> None:
    schema = json.loads((REPOSITORY / "schemas/metrics-protocol.schema.json").read_text())
    protocol = load_protocol(name)
    assert protocol.name == name
    jsonschema.validate(protocol.model_dump(mode="json"), schema)
    for metric in protocol.metrics:
        assert protocol.how(metric)
    page = (REPOSITORY / "docs/metrics.md").read_text()
    assert f"`{name}`" in page


def test_a_protocol_of_ones_own(tmp_path: Path) -> None:
    path = tmp_path / "own.yaml"
    path.write_text(
        "name: own\ntitle: t\nsource: s\nmetrics:\n  mae: {quantity: mae, unit: grey}\n"
    )
    evaluator = Evaluator(path)
    evaluator.update(np.full((1, 4, 4), 0.1), np.zeros((1, 4, 4)))
    assert evaluator.compute() == {"mae": pytest.approx(25.5)}
    assert evaluator.protocol.how("mae") == "pooled over all maps in grey levels"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("{", "not a protocol"),
        ("name: x\ntitle: t\nsource: s\nmetrics: {}\n", "metrics"),
        ("name: x\ntitle: t\nsource: s\nmetrics: {a: {quantity: rmspe}}\n", "metrics.a"),
        ("name: x\ntitle: t\nsource: s\nmetrics: {a: {quantity: nmse, unit: dB}}\n", "no unit"),
        ("name: x\ntitle: t\nsource: s\nmetrics: {a: {quantity: mse, peak: truth}}\n", "no peak"),
        (
            "name: x\ntitle: t\nsource: s\nmetrics: {a: {quantity: mse, over: batch}}\n",
            "batch_size",
        ),
        ("name: x\ntitle: t\nsource: s\nmetrics: {a: {quantity: ssim, size: 8}}\n", "odd"),
        ("name: x\ntitle: t\nsource: s\nmetrics: {a: {quantity: mse}}\nclip: 1\n", "clip"),
    ],
)
def test_bad_protocols_are_refused(tmp_path: Path, text: str, says: str) -> None:
    path = tmp_path / "bad.yaml"
    path.write_text(text)
    with pytest.raises(InputError, match=says):
        load_protocol(path)


def test_unknown_protocols_are_refused() -> None:
    with pytest.raises(RecipeError, match="radiomamba"):
        load_protocol("radiomambo")


def test_levels_survive_being_rounded_down() -> None:
    levels = np.arange(256)
    protocol = Protocol.model_validate(
        {**load_protocol("radiomamba").model_dump(), "quantise": "floor"}
    )
    for written in (levels / 255, (levels / 255).astype(np.float32).astype(np.float64)):
        np.testing.assert_allclose(protocol.prepare(written, written)[0], levels / 255, atol=1e-15)
