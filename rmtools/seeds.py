"""Random generators that depend on what they are for, not on who ran before.

One seed stands in the recipe. Every scene, trajectory and transmitter set derives its own
generator from it, so the same recipe gives the same bytes whatever the number of workers.
"""

from __future__ import annotations

import hashlib

import numpy as np


def generator(seed: int, *purpose: str | int) -> np.random.Generator:
    """Random generator for one purpose.

    Parameters
    ----------
    seed
        The recipe's seed.
    purpose
        What the numbers are for, such as ``("tracks", scene_id, trajectory)``.

    Returns
    -------
    numpy.random.Generator
        Independent of every generator with another purpose.
    """
    words = "\x1f".join(f"{type(part).__name__}:{part}" for part in purpose)
    digest = hashlib.sha256(words.encode()).digest()
    key = [int.from_bytes(digest[i : i + 4], "little") for i in range(0, 16, 4)]
    return np.random.default_rng(np.random.SeedSequence(entropy=seed, spawn_key=key))
