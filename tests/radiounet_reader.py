"""RadioUNet's published loader conventions, restated in plain Pillow and NumPy.

This is how readers of RadioMapSeer open a tree: R. Levie, C. Yapar, G. Kutyniok, G. Caire,
"RadioUNet" (arXiv 1911.09002), its released loaders and their many followers. Nothing of the
product is used, so a tree that this reads is one that they read. The conventions:

- the root is a string that ends in a slash, and paths are strings put together;
- map order: 0 to 699 shuffled by the legacy global generator seeded with 42; file id = value + 1;
- sample n of a range of positions is position n // transmitters, transmitter n % transmitters;
- inputs are building, antenna and, on demand, car images of 0 and 255;
- with missing buildings their folder is ``png/buildings_missing`` + how many + ``/`` + version;
- targets are gain / 255, but / 256 for IRT4, for sparse samples, and for "rand" mixtures;
- with a threshold ("Thr2") targets become (max(f, t) - t) / (1 - t).
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

if TYPE_CHECKING:
    from numpy.typing import NDArray


def file_ids() -> list[int]:
    """Ids of the 700 files in the published order."""
    order = np.arange(0, 700, 1, dtype=np.int16)
    generator = np.random.RandomState(42)  # the same as seeding the global one
    generator.shuffle(order)
    return [int(value) + 1 for value in order]


@dataclass
class RadioUNetReader:
    """One of RadioUNet's data sets.

    Attributes
    ----------
    dir_dataset
        The tree, with a slash at the end.
    simulation
        ``"DPM"``, ``"IRT2"``, ``"IRT4"`` or ``"rand"`` (a mixture of DPM and IRT2).
    cars_simul, cars_input
        Whether the gain is the one with cars, and whether their image is an input.
    first, last
        Positions in the published order, both included.
    transmitters
        How many per map; IRT4 has two.
    missing, version
        0 for all buildings.
    threshold
        0 for none.
    """

    dir_dataset: str
    simulation: str = "DPM"
    cars_simul: bool = False
    cars_input: bool = False
    first: int = 0
    last: int = 500
    transmitters: int = 80
    missing: int = 0
    version: int = 1
    threshold: float = 0.2
    irt2_weight: float = 0.5

    def __post_init__(self) -> None:
        if not self.dir_dataset.endswith("/"):
            raise ValueError("the published loaders need the slash")
        if self.simulation == "IRT4" and self.transmitters > 2:
            raise ValueError("IRT4 has two transmitters")
        self.ids = file_ids()

    def __len__(self) -> int:
        return (self.last - self.first + 1) * self.transmitters

    def names(self, index: int) -> tuple[str, str]:
        """Names of the map's and of the transmitter's files, without folders."""
        map_id = self.ids[self.first + index // self.transmitters]
        return f"{map_id}.png", f"{map_id}_{index % self.transmitters}.png"

    def inputs(self, index: int) -> NDArray[np.float64]:
        """Building, antenna and perhaps car image, shape (256, 256, 2 or 3), 0 to 1."""
        name, name_tx = self.names(index)
        buildings = "png/buildings_complete/"
        if self.missing:
            buildings = "png/buildings_missing" + f"{self.missing}/{self.version}/"
        images = [self._read(buildings, name), self._read("png/antennas/", name_tx)]
        if self.cars_input:
            images.append(self._read("png/cars/", name))
        return np.stack(images, axis=2) / 255

    def target(self, index: int) -> NDArray[np.float64]:
        """Gain, shape (256, 256)."""
        _, name_tx = self.names(index)
        if self.simulation == "rand":
            dpm, irt2 = (self._read(self._gain(which), name_tx) for which in ("DPM", "IRT2"))
            gain = self.irt2_weight * irt2 / 256 + (1 - self.irt2_weight) * dpm / 256
        else:
            divisor = 256 if self.simulation == "IRT4" else 255
            gain = self._read(self._gain(self.simulation), name_tx) / divisor
        if self.threshold > 0:
            gain = np.where(gain < self.threshold, self.threshold, gain)
            gain = (gain - self.threshold) / (1 - self.threshold)
        return gain

    def samples(self, index: int, count: int) -> NDArray[np.float64]:
        """Sparse samples of the gain / 256 at `count` places, 0 elsewhere, shape (256, 256).

        Rows and columns are drawn from 0 to 254. The generator is seeded with the sum of the
        building image's pixels, so that image must hold 0 and 255, nothing else.
        """
        name, name_tx = self.names(index)
        seed = int(np.sum(self._read("png/buildings_complete/", name), dtype=np.int64))
        generator = np.random.RandomState(seed % 2**32)
        rows, cols = generator.randint(0, 255, size=(2, count))
        gain = self._read(self._gain(self.simulation), name_tx) / 256
        sparse = np.zeros((256, 256))
        sparse[rows, cols] = gain[rows, cols]
        return sparse

    def _gain(self, simulation: str) -> str:
        return "gain/" + ("cars" if self.cars_simul else "") + simulation + "/"

    def _read(self, folder: str, name: str) -> NDArray[np.uint8]:
        image = np.asarray(Image.open(os.path.join(self.dir_dataset + folder, name)))  # noqa: PTH118
        if image.shape != (256, 256) or image.dtype != np.uint8:
            msg = f"{folder}{name}: {image.shape} {image.dtype}"
            raise ValueError(msg)
        return image
