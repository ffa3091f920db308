"""Sparse samples: whether the places that were sampled tell something about the target.

A sample mask may depend on what a model is given anyway: buildings, roads, the transmitter. It
must not depend on the target. Whether it does is tested against the maps of the same scene's
other transmitters: for a mask that was drawn without looking at the target, its own map is no
different from those. That clears masks on roads, in clusters, or on a grid. Masks around the
transmitter are cleared by ranking every value among pixels at the same distance: where such a mask
prefers neither strong nor weak ones on its own map, it does not leak.
"""

from __future__ import annotations

import math
from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from rmtools.audit.model import Level, Pair, found, not_checked, passed
from rmtools.errors import InputError
from rmtools.layouts.npz import read_npz
from rmtools.seeds import generator

if TYPE_CHECKING:
    from pathlib import Path

    from rmtools.audit.evidence import Evidence
    from rmtools.types import BoolArray, FloatArray, IntArray

MAX_BYTES = 4 * 2**30
MOST_MASKS, MOST_TRANSMITTERS = 64, 8
"""So many masks are tested, each on its own map and on at most so many in all."""

RINGS = 16
"""Values are ranked among pixels about as far from the transmitter."""

DECAY_DB = 25.0
"""Loss per decade of distance that is taken off before: the rest is what buildings do."""

DRAWS, SIGNIFICANT, EFFECT = 1999, 0.001, 0.01
"""Permutations, the probability below which chance is ruled out, and the smallest shift of the
mean rank (0...1) that counts: less helps nobody."""

DEVIATIONS = 3.3
"""Standard deviations that have the same probability."""


class SampleMask(NamedTuple):
    """Where one map was sampled."""

    scene: str
    traj: int
    tx: int
    frame: int


@dataclass(frozen=True)
class SampleMasks:
    """Masks and what each is for.

    Attributes
    ----------
    masks
        True where sampled, shape (k, n, n).
    of
        The map of each.
    """

    masks: BoolArray
    of: list[SampleMask]


@dataclass(frozen=True)
class Dependence:
    """How sampled pixels rank in path loss, 0...1.

    Attributes
    ----------
    excess, deviation
        Mean rank on the maps that are to be estimated less 0.5, and its standard deviation if
        pixels had been drawn evenly.
    shift, chance
        Mean rank on these maps less that on maps of other transmitters, and the two-sided
        probability of one as large if every mask had been given to a transmitter at random.
    """

    excess: float
    deviation: float
    shift: float
    chance: float

    @property
    def leaks(self) -> bool:
        """Whether both say, and say alike, that masks depend on the target."""
        return (
            self.chance <= SIGNIFICANT
            and abs(self.shift) >= EFFECT
            and abs(self.excess) >= max(EFFECT, DEVIATIONS * self.deviation)
            and (self.excess > 0) == (self.shift > 0)
        )

    def in_words(self) -> str:
        """The figures in a sentence."""
        return (
            f"sampled pixels rank {0.5 + self.excess:.3f} in path loss on the map to be estimated "
            f"(0.5 for an even choice), {self.shift:+.3f} against maps of other transmitters "
            f"(p = {self.chance:.4f})"
        )


def read_samples(path: Path) -> SampleMasks:
    """Read masks from an npz archive.

    It holds ``masks`` (bool or 0 and 1, shape (k, n, n)), ``scene`` (names, shape (k,)) and, where
    they are not all 0, ``traj``, ``tx`` and ``frame`` (integers, shape (k,)).

    Raises
    ------
    InputError
        Missing, damaged, or not these arrays.
    """
    arrays = read_npz(path, MAX_BYTES)
    try:
        masks, scenes = arrays["masks"], arrays["scene"]
        if masks.ndim != 3 or masks.shape[1] != masks.shape[2] or not len(masks):
            raise ValueError(f"masks have the shape {masks.shape}, expected (k, n, n)")
        if masks.dtype != bool and not np.isin(masks, (0, 1)).all():
            raise ValueError("masks hold more than 0 and 1")
        numbers = [arrays.get(key, np.zeros(len(masks), int)) for key in ("traj", "tx", "frame")]
        for array in (scenes, *numbers):
            if array.shape != (len(masks),):
                raise ValueError(f"an array has the shape {array.shape}, expected {(len(masks),)}")
        if scenes.dtype.kind != "U" or any(n.dtype.kind not in "iu" for n in numbers):
            raise ValueError("scene must be text, and traj, tx and frame whole numbers")
        if any((n < 0).any() for n in numbers):
            raise ValueError("an index is negative")
    except (KeyError, ValueError) as error:
        problem = f"no array {error}" if isinstance(error, KeyError) else str(error)
        raise InputError(
            f"not an archive of sample masks ({problem}).",
            where=path,
            remedy="docs/audit.md says which arrays it holds.",
        ) from error
    of = [SampleMask(str(s), *map(int, rest)) for s, *rest in zip(scenes, *numbers, strict=True)]
    return SampleMasks(masks.astype(bool), of)


def check_samples(samples: SampleMasks | None, evidence: Evidence, seed: int = 0) -> Level:
    """Test whether masks depend on the maps they are for, and how they were drawn.

    Masks that are the same for all transmitters of a scene are a warning: a model that is only
    ever shown these pixels learns nothing of the others.
    """
    if samples is None:
        return not_checked("samples", "no masks were given")
    fixed = _fixed(samples)
    rule = _radiounet_rule(samples, evidence)
    words = [
        f"the masks of {len(scenes)} scenes {text}"
        for scenes, text in (
            (fixed, "are the same for all their transmitters"),
            (rule, "are seeded by the sum of the building image, as in RadioUNet's IRT4 loaders"),
        )
        if scenes
    ]
    try:
        result = _dependence(samples, evidence, seed)
    except InputError as error:
        tested = f"whether they depend on the target cannot be tested: {error.what}"
    else:
        tested = result.in_words()
        if result.leaks:
            names = sorted({of.scene for of in samples.of})
            pairs = [Pair(sets="any", first=s, second=s, what="masks") for s in names]
            return found("samples", "; ".join([tested, *words]), pairs, count=len(samples.of))
    if words:
        names = sorted({*fixed, *rule})
        pairs = [Pair(sets="any", first=s, second=s, what="the same mask") for s in names]
        finding = "; ".join([*words, tested])
        return found("samples", finding, pairs, verdict="warning", risk="low")
    if tested.startswith("whether"):
        return not_checked("samples", tested)
    return passed("samples", tested)


def _fixed(samples: SampleMasks) -> list[str]:
    """Scenes whose masks are the same for several transmitters."""
    masks: dict[str, dict[int, set[bytes]]] = defaultdict(lambda: defaultdict(set))
    for mask, of in zip(samples.masks, samples.of, strict=True):
        masks[of.scene][of.tx].add(np.packbits(mask).tobytes())
    return [
        scene
        for scene, of_tx in masks.items()
        if len(of_tx) > 1 and len(set.union(*of_tx.values())) == 1
    ]


def _radiounet_rule(samples: SampleMasks, evidence: Evidence) -> list[str]:
    """Scenes one of whose masks RonLevie/RadioUNet's IRT4 loaders would draw."""
    known, result = set(evidence.with_buildings), set()
    for mask, of in zip(samples.masks, samples.of, strict=True):
        if of.scene in known and of.scene not in result:
            total = 255 * int(np.count_nonzero(evidence.buildings(of.scene)))
            if _drawn_by_seed(mask, total):
                result.add(of.scene)
    return sorted(result)


def _drawn_by_seed(mask: BoolArray, seed: int) -> bool:
    """Whether rows and columns 0...254 were drawn by NumPy's legacy generator with this seed."""
    count, n = int(np.count_nonzero(mask)), len(mask)
    if not 1 < count < n**2 // 4 or n != 256:  # the loaders know no other size
        return False
    for drawn in range(count, count + count**2 // (n - 1) ** 2 + 20):  # some fall on each other
        random = np.random.RandomState(seed)
        rows, cols = random.randint(0, n - 1, drawn), random.randint(0, n - 1, drawn)
        if mask[rows, cols].all() and len(np.unique(rows * n + cols)) == count:
            return True
    return False


def _dependence(samples: SampleMasks, evidence: Evidence, seed: int) -> Dependence:
    """Compare sampled pixels with others of their map, and their map with others of the scene.

    Raises
    ------
    InputError
        There are no maps, or too few transmitters or masks to rule out chance.
    """
    maps = evidence.maps
    kind = maps.the_kind()
    about = maps.kinds[kind]
    present = set(evidence.present)
    usable = [
        k
        for k, of in enumerate(samples.of)
        if of.scene in present
        and of.traj < about.traj
        and of.tx < about.tx
        and of.frame < about.frame
    ]
    random = generator(seed, "audit of samples")
    if samples.masks.shape[1:] != maps.grid.shape:
        raise InputError(f"they have not the {maps.grid.n} x {maps.grid.n} pixels of the maps.")
    chosen = sorted(random.permutation(usable)[:MOST_MASKS].tolist())
    others = min(about.tx, MOST_TRANSMITTERS)
    if others < 2 or others ** len(chosen) < 2 / SIGNIFICANT:
        raise InputError(
            f"{len(chosen)} masks of maps with {about.tx} transmitters cannot rule out chance."
        )
    ranks = np.full((len(chosen), others), np.nan)  # of the own map first
    counts = np.zeros(len(chosen), int)
    for row, k in enumerate(chosen):
        of, index = samples.of[k], evidence.index(samples.of[k].scene)
        free = ~maps.buildings(index)
        pixels = maps.transmitter_pixels(index)
        rest = random.permutation([tx for tx in range(about.tx) if tx != of.tx])[: others - 1]
        sampled = samples.masks[k] & free
        counts[row] = np.count_nonzero(sampled)
        for column, tx in enumerate([of.tx, *rest.tolist()]):
            frame = slice(of.frame, of.frame + 1)
            loss_db = maps.pathloss_db(kind, index, of.traj, tx, frame)[0]
            if counts[row]:
                ranks[row, column] = _ranks(loss_db, free, pixels[tx])[sampled].mean()
    ranks, counts = ranks[counts > 0], counts[counts > 0]
    if not len(ranks):
        raise InputError("no mask has a pixel outside of buildings.")
    excess = float(np.average(ranks[:, 0], weights=counts)) - 0.5
    ranks -= ranks.mean(axis=1, keepdims=True)
    observed = float(ranks[:, 0].mean())
    draws = random.integers(0, others, (DRAWS, len(ranks)))
    by_chance = ranks[np.arange(len(ranks)), draws].mean(axis=1)
    extreme = int(np.count_nonzero(np.abs(by_chance) >= abs(observed) - 1e-12))
    return Dependence(
        excess,
        math.sqrt(1 / (12 * counts.sum())),
        observed * others / (others - 1),
        (1 + extreme) / (1 + DRAWS),
    )


def _ranks(loss_db: FloatArray, free: BoolArray, transmitter: IntArray) -> FloatArray:
    """Rank 0...1 of the loss among free pixels about as far from the transmitter, else NaN.

    Pixels without a value rank as the weakest.
    """
    from scipy.stats import rankdata

    row, col = np.nonzero(free)
    distance = np.hypot(row - transmitter[0], col - transmitter[1])
    values = np.nan_to_num(loss_db[free], nan=math.inf)
    values = values - DECAY_DB * np.log10(np.maximum(distance, 1.0))
    result = np.full(loss_db.shape, np.nan)
    for ring in np.array_split(np.argsort(distance, kind="stable"), RINGS):
        if len(ring):
            result[row[ring], col[ring]] = (rankdata(values[ring]) - 0.5) / len(ring)
    return result
