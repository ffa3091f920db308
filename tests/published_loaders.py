"""What the released loaders give, restated from RadioMapSeer's files with Pillow and numpy alone.

Nothing here uses rmtools: it is the other opinion in tests/test_loader_conventions.py. `mask` is
where samples are, as (row, col) pairs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Restated = Callable[[Path, int, int, Any], tuple[Floats, Floats]]


def image(root: Path, name: str) -> NDArray[np.uint8]:
    return np.asarray(Image.open(root / name))


def layers(root: Path, number: int, tx: int, gain: str) -> list[Floats]:
    """Buildings, transmitter, cars and gain as numbers 0 to 255."""
    names = ("buildings_complete", "antennas", "cars")
    files = [f"png/{names[0]}/{number}.png", f"png/{names[1]}/{number}_{tx}.png"]
    files += [f"png/{names[2]}/{number}.png", f"gain/{gain}/{number}_{tx}.png"]
    return [image(root, name).astype(float) for name in files]


def threshold(gain: Floats) -> Floats:
    """RadioUNet's Thr2."""
    return (np.where(gain < 0.2, 0.2, gain) - 0.2) / 0.8


def sparse(gain: Floats, mask: Any) -> Floats:
    samples = np.zeros((256, 256))
    samples[mask] = gain[mask]
    return samples


def radiounet_c(root: Path, number: int, tx: int, _: Any) -> tuple[Floats, Floats]:
    buildings, antenna, _cars, gain = layers(root, number, tx, "DPM")
    # torchvision's ToTensor divides a uint8 image by 255
    return np.stack([buildings, antenna]) / 255, threshold(gain / 255)


def radiounet_c_cars(root: Path, number: int, tx: int, _: Any) -> tuple[Floats, Floats]:
    buildings, antenna, cars, gain = layers(root, number, tx, "carsDPM")
    # divided by 256 these are float images, which ToTensor leaves alone
    return np.stack([buildings / 256, antenna / 256, cars / 256]), threshold(gain / 255)


def radiounet_s(root: Path, number: int, tx: int, mask: Any) -> tuple[Floats, Floats]:
    buildings, antenna, _cars, gain = layers(root, number, tx, "DPM")
    target = threshold(gain / 256) * 256
    return np.stack([buildings / 256, antenna / 256, sparse(target, mask)]), target


def radiounet_s_cars(root: Path, number: int, tx: int, mask: Any) -> tuple[Floats, Floats]:
    buildings, antenna, cars, gain = layers(root, number, tx, "carsDPM")
    target = threshold(gain / 256) * 256
    samples = sparse(target, mask)
    return np.stack([buildings / 256, antenna / 256, samples, cars / 256]), target


def radiounet_irt4(root: Path, number: int, tx: int, _: Any) -> tuple[Floats, Floats]:
    buildings, antenna, _cars, gain = layers(root, number, tx, "IRT4")
    return np.stack([buildings, antenna]) / 255, threshold(gain / 256)


def rme_gan(root: Path, number: int, tx: int, mask: Any) -> tuple[Floats, Floats]:
    inputs, target = radiounet_s(root, number, tx, mask)
    ((row, col),) = np.argwhere(inputs[1])
    rows, cols = np.nonzero(inputs[2])
    x = np.log10(np.maximum(np.hypot(rows - row, cols - col), 1))
    slope, constant = np.polyfit(x, inputs[2][rows, cols], 1)
    everywhere = np.hypot(*(np.indices((256, 256)) - np.array([row, col])[:, None, None]))
    fit = constant + slope * np.log10(np.maximum(everywhere, 1))
    return np.concatenate([inputs, fit[None]]), target


def radiodiff(root: Path, number: int, tx: int, _: Any) -> tuple[Floats, Floats]:
    buildings, antenna, _cars, gain = layers(root, number, tx, "DPM")
    condition = np.stack([buildings, antenna, buildings]) / 255
    return (condition - 0.5) / 0.5, (gain / 255 - 0.5) / 0.5


def radiodiff_cars(root: Path, number: int, tx: int, _: Any) -> tuple[Floats, Floats]:
    buildings, antenna, cars, gain = layers(root, number, tx, "carsDPM")
    condition = np.stack([buildings, antenna, cars]) / 256
    return (condition - 0.5) / 0.5, (gain / 255 - 0.5) / 0.5


def radiodiff_irt4(root: Path, number: int, tx: int, _: Any) -> tuple[Floats, Floats]:
    buildings, antenna, _cars, gain = layers(root, number, tx, "IRT4")
    condition = np.stack([buildings, antenna, buildings]) / 255
    return (condition - 0.5) / 0.5, (gain / 256 - 0.5) / 0.5


def radiomamba(root: Path, number: int, tx: int, _: Any) -> tuple[Floats, Floats]:
    buildings, antenna, _cars, gain = layers(root, number, tx, "DPM")
    return np.stack([buildings, antenna, buildings]) / 255, gain / 255


def radiomamba_cars(root: Path, number: int, tx: int, _: Any) -> tuple[Floats, Floats]:
    buildings, antenna, cars, gain = layers(root, number, tx, "carsDPM")
    return np.stack([buildings, antenna, cars]) / 255, gain / 255


def rmdm(root: Path, number: int, tx: int, _: Any) -> tuple[Floats, Floats]:
    inputs, target = radiounet_c(root, number, tx, None)
    inputs[0] += 10 * inputs[1]
    return inputs, target


def rmdm_sparse(root: Path, number: int, tx: int, mask: Any) -> tuple[Floats, Floats]:
    buildings, antenna, _cars, gain = layers(root, number, tx, "DPM")
    target = threshold(gain / 256)
    first = buildings / 256 + 10 * antenna / 256
    return np.stack([first, antenna / 256, sparse(target, mask)]), target


def rmdm_sparse_cars(root: Path, number: int, tx: int, mask: Any) -> tuple[Floats, Floats]:
    buildings, antenna, cars, gain = layers(root, number, tx, "carsDPM")
    target = threshold(gain / 256)
    first = buildings / 256 + 10 * antenna / 256
    return np.stack([first, antenna / 256, sparse(target, mask), cars / 256]), target


def radiodun(
    root: Path, number: int, tx: int, mask: Any, *, known: bool = True
) -> tuple[Floats, Floats]:
    buildings, antenna, cars, gain = layers(root, number, tx, "carsDPM")
    row, col = np.argwhere(antenna)[0] if known else (0, 0)
    h, w = np.indices((256, 256))
    far = np.log10(np.sqrt((h - row) ** 2 + (w - col) ** 2) + 1)
    near = 1 - (far - far.min()) / (far.max() - far.min())
    return np.stack([sparse(gain / 255, mask), near, buildings / 255, cars / 255]), gain / 255


def radiodun_unknown(root: Path, number: int, tx: int, mask: Any) -> tuple[Floats, Floats]:
    return radiodun(root, number, tx, mask, known=False)


RESTATED: dict[tuple[str, str], Restated] = {
    ("radiounet", "static"): radiounet_c,
    ("radiounet", "dynamic"): radiounet_c_cars,
    ("radiounet", "sparse"): radiounet_s,
    ("radiounet", "sparse-dynamic"): radiounet_s_cars,
    ("radiounet-irt4", "sparse"): radiounet_irt4,
    ("pmnet", "static"): radiounet_c,
    ("pmnet", "dynamic"): radiounet_c_cars,
    ("rme-gan", "sparse"): rme_gan,
    ("radiodiff", "static"): radiodiff,
    ("radiodiff", "dynamic"): radiodiff_cars,
    ("radiodiff-irt4", "static"): radiodiff_irt4,
    ("radiomamba", "static"): radiomamba,
    ("radiomamba", "dynamic"): radiomamba_cars,
    ("rmdm", "static"): rmdm,
    ("rmdm", "sparse"): rmdm_sparse,
    ("rmdm", "sparse-dynamic"): rmdm_sparse_cars,
    ("radiodun", "sparse-dynamic"): radiodun,
    ("radiodun-unknown", "sparse-dynamic"): radiodun_unknown,
}
