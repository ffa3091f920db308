"""How fast maps are evaluated, beside scikit-image and torchmetrics in the same run.

``python benchmarks/metrics_speed.py`` prints processor time for a map of 256 x 256 pixels, the best
of several rounds that take turns, and ratios. scikit-image and torchmetrics are optional.
"""

from __future__ import annotations

import argparse
import importlib.util
import time
from typing import TYPE_CHECKING

import numpy as np

from rmtools.metrics import Evaluator, ssim, totals

if TYPE_CHECKING:
    from collections.abc import Callable


def make_maps(count: int, n: int = 256) -> tuple[np.ndarray, np.ndarray]:
    """Smooth true maps and noisy predictions, float32 as a network gives them."""
    random = np.random.default_rng(0)
    y, x = np.mgrid[:n, :n] / n
    at = random.random((count, 2))
    truth = np.array([np.exp(-2 * np.hypot(x - a, y - b)) for a, b in at])
    pred = truth + random.normal(0, 0.02, truth.shape)
    return pred.astype(np.float32), truth.astype(np.float32)


def ways(pred: np.ndarray, truth: np.ndarray) -> dict[str, Callable[[], object]]:
    """What is timed, each over all maps."""

    def evaluate() -> object:
        evaluator = Evaluator()
        evaluator.update(pred, truth)
        return evaluator.compute()

    found: dict[str, Callable[[], object]] = {
        "rmtools: the whole reference protocol": evaluate,
        "rmtools: errors only": lambda: totals(pred, truth).nmse(),
        "rmtools: SSIM": lambda: ssim(pred, truth),
    }
    if importlib.util.find_spec("skimage"):
        from skimage.metrics import structural_similarity

        options = {"gaussian_weights": True, "use_sample_covariance": False, "data_range": 1.0}
        found["scikit-image: the same SSIM"] = lambda: np.mean(
            [
                structural_similarity(t, p, **options)
                for p, t in zip(pred.astype(float), truth.astype(float), strict=True)
            ]
        )
    if importlib.util.find_spec("torchmetrics"):
        import torch
        from torchmetrics.functional.image import structural_similarity_index_measure

        torch.set_num_threads(1)
        pair = [torch.from_numpy(maps)[:, None] for maps in (pred, truth)]
        found["torchmetrics: SSIM, single precision"] = lambda: structural_similarity_index_measure(
            *pair, data_range=1.0
        )
    return found


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--maps", type=int, default=16)
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    timed = ways(*make_maps(arguments.maps))
    best = dict.fromkeys(timed, float("inf"))
    for way in timed.values():
        way()  # compile
    for _ in range(arguments.rounds):
        for name, way in timed.items():
            began = time.process_time()
            way()
            best[name] = min(best[name], (time.process_time() - began) / arguments.maps)
    base = best["rmtools: SSIM"]
    print(f"{'':<40} {'ms/map':>8} {'maps/s':>8} {'/ our SSIM':>10}")
    for name, seconds in best.items():
        print(f"{name:<40} {1e3 * seconds:8.2f} {1 / seconds:8.0f} {seconds / base:10.2f}")


if __name__ == "__main__":
    main()
