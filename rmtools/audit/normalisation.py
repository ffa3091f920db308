"""Constants of normalisation: what they were fitted on, and whether that gives them again."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, FiniteFloat, model_validator

from rmtools.audit.model import Level, Pair, found, not_checked, passed
from rmtools.errors import InputError
from rmtools.files import read_model, sha256_json
from rmtools.splits.manifest import Index, SplitSet

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from rmtools.audit.evidence import Evidence
    from rmtools.splits.manifest import SplitManifest

TRAIN = "train"
STATISTICS = ("mean", "std", "min", "max")

TOLERANCE = 1e-4
"""Constants may differ by this share of the standard deviation: they were summed in some order."""


class Normalisation(BaseModel):
    """Constants that pixels are scaled by, and what they were fitted on.

    The pixels are those that were computed (not NaN) of every frame of the maps named.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    kind: Literal["normalisation"] = "normalisation"
    format: Literal[1] = 1
    quantity: Literal["pathloss_db"] = Field(
        default="pathloss_db", description="Path loss in dB, positive"
    )
    mean: FiniteFloat | None = None
    std: FiniteFloat | None = Field(default=None, ge=0, description="With N, not N - 1, below")
    min: FiniteFloat | None = None
    max: FiniteFloat | None = None
    fitted_on: list[str] = Field(min_length=1, description="Names of scenes")
    trajectories: list[Index] | None = Field(default=None, description="Of them, null for all")
    transmitters: list[Index] | None = Field(default=None, description="Of them, null for all")
    sha256: str = Field(description="SHA-256 of the canonical JSON of the other members")

    @model_validator(mode="after")
    def _consistent(self) -> Normalisation:
        if all(getattr(self, name) is None for name in STATISTICS):
            raise ValueError(f"it has none of {', '.join(STATISTICS)}")
        if self.sha256 != normalisation_digest(self.model_dump(mode="json")):
            raise ValueError("sha256 does not fit; the file was changed after writing")
        return self


def make_normalisation(**fields: Any) -> Normalisation:
    """Build a record and its checksum; `fields` are the other members."""
    draft = Normalisation.model_construct(sha256="", **fields).model_dump(mode="json")
    return Normalisation(**fields, sha256=normalisation_digest(draft))


def normalisation_digest(members: dict[str, Any]) -> str:
    """SHA-256 over everything but the checksum."""
    return sha256_json({key: value for key, value in members.items() if key != "sha256"})


def read_normalisation(path: Path) -> Normalisation:
    """Read a record and check it against its own checksum.

    Raises
    ------
    InputError
        Missing, not JSON, a member missing or wrong, or changed after it was written.
    """
    return read_model(
        path,
        Normalisation,
        "a record of normalisation",
        "docs/audit.md shows what it looks like; write it with what fitted the constants.",
    )


def check_normalisation(
    manifest: SplitManifest, record: Normalisation | None, evidence: Evidence
) -> Level:
    """Check that constants were fitted on train alone and that train gives them again."""
    if record is None:
        return not_checked("normalisation", "no record of constants was given")
    if TRAIN not in manifest.sets:
        return not_checked("normalisation", f"the split has no set {TRAIN!r}")
    outside = _outside(manifest, record)
    if outside:
        return found(
            "normalisation",
            f"fitted on what is not in train: {len(outside)} scenes, the first is "
            f"{outside[0].first}",
            outside,
            risk="medium",
        )
    by_ids = f"fitted on {len(record.fitted_on)} scenes of train"
    if set(record.fitted_on) - set(evidence.present):
        return passed("normalisation", f"{by_ids}; not computed again, for lack of the dataset")
    try:
        again = fit(evidence, record)
    except InputError as error:
        return passed("normalisation", f"{by_ids}; not computed again: {error.what}")
    wrong = [
        f"{name} {stated:.6g} is stated, {again[name]:.6g} computed"
        for name in STATISTICS
        if (stated := getattr(record, name)) is not None
        and not math.isclose(stated, again[name], rel_tol=1e-6, abs_tol=TOLERANCE * again["std"])
    ]
    if wrong:
        pair = Pair(sets=TRAIN, first=TRAIN, second=TRAIN, what="; ".join(wrong))
        return found(
            "normalisation",
            f"what it says it was fitted on does not give its constants: {wrong[0]}",
            [pair],
            risk="medium",
        )
    return passed("normalisation", f"{by_ids}, which give the constants again")


def fit(evidence: Evidence, record: Normalisation) -> dict[str, float]:
    """Statistics of the path loss of the maps that a record names.

    Raises
    ------
    InputError
        The dataset has no path loss, or nothing in it was computed.
    """
    count, mean, squares, low, high = 0, 0.0, 0.0, math.inf, -math.inf
    for values in _values(evidence, record):
        if values.size:
            # sums are merged as T. Chan, G. Golub, R. LeVeque (1983) do, which loses no digits
            here, spread = float(values.mean()), float(values.var()) * values.size
            total, shift = count + values.size, here - mean
            squares += spread + shift**2 * count * values.size / total
            mean += shift * values.size / total
            count = total
            low, high = min(low, float(values.min())), max(high, float(values.max()))
    if not count:
        raise InputError("no pixel was computed.", remedy="Run `rmtools simulate` first.")
    return {"mean": mean, "std": math.sqrt(squares / count), "min": low, "max": high}


def _values(evidence: Evidence, record: Normalisation) -> Iterator[Any]:
    """Computed pixels in dB, one sequence at a time."""
    maps = evidence.maps
    kind = maps.the_kind()
    about = maps.kinds[kind]
    for scene in record.fitted_on:
        index = evidence.index(scene)
        for traj in record.trajectories or range(about.traj):
            for tx in record.transmitters or range(about.tx):
                values = np.asarray(maps.pathloss_db(kind, index, traj, tx), np.float64)
                yield values[~np.isnan(values)]


def _outside(manifest: SplitManifest, record: Normalisation) -> list[Pair]:
    """Scenes that a record was fitted on and that are not, or not only, in train."""
    train = manifest.sets[TRAIN]
    fitted = SplitSet(
        scenes=record.fitted_on,
        trajectories=record.trajectories,
        transmitters=record.transmitters,
        sequences=1,
    )
    shared = {
        name: set(members.scenes)
        for name, members in manifest.sets.items()
        if name != TRAIN and fitted.shares_sequences(members)
    }
    in_train = set(train.scenes)
    result = []
    for scene in record.fitted_on:
        sets = [name for name, scenes in shared.items() if scene in scenes]
        if sets or scene not in in_train:
            label = "+".join(sets) or "no set"
            result.append(Pair(sets=label, first=scene, second=scene, what="fitted on"))
    return result
