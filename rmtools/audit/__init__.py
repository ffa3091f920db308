"""The audit: whether the sets of a split have anything in common that they should not."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rmtools.audit.evidence import Evidence
from rmtools.audit.ground import check_ground, distance_m
from rmtools.audit.model import MISSING, AuditReport, Level, Pair, found, not_checked, passed
from rmtools.audit.normalisation import Normalisation, check_normalisation
from rmtools.audit.sets import check_sets
from rmtools.audit.windows import Windows, check_windows
from rmtools.splits.places import check_buffer
from rmtools.splits.separation import memberships

if TYPE_CHECKING:
    from rmtools.audit.samples import SampleMasks
    from rmtools.splits.inventory import Inventory
    from rmtools.splits.manifest import SplitManifest

__all__ = ["AuditReport", "Level", "Normalisation", "Pair", "Windows", "audit"]


def audit(
    manifest: SplitManifest,
    inventory: Inventory | None = None,
    *,
    buffer_m: float = 0.0,
    windows: Windows | None = None,
    normalisation: Normalisation | None = None,
    samples: SampleMasks | None = None,
    seed: int = 0,
) -> AuditReport:
    """Audit a split, with as much of its dataset as there is.

    Parameters
    ----------
    manifest
        The split.
    inventory
        The dataset, see :func:`rmtools.splits.inventory.inventory_of`. It may hold a part of the
        split's scenes. Without it only the names of the scenes are looked at.
    buffer_m
        Squares of different sets that are nearer than this leak.
    windows, normalisation, samples
        What else the training uses, see docs/audit.md.
    seed
        Of the permutations by which samples are tested.

    Raises
    ------
    RecipeError
        The buffer is no distance.
    InputError
        The windows are of other sets.
    """
    from rmtools import __version__
    from rmtools.audit.samples import check_samples

    check_buffer(buffer_m)
    evidence = Evidence(manifest, inventory)
    levels = [
        *check_sets(manifest, evidence.sizes),
        check_ground(manifest, evidence.places, buffer_m),
        check_copies(manifest, evidence),
        check_windows(manifest, evidence.sizes, windows),
        check_normalisation(manifest, normalisation, evidence),
        check_samples(samples, evidence, seed),
        _inputs(manifest),
    ]
    return AuditReport(
        rmtools_version=__version__,
        split=manifest.name,
        split_sha256=manifest.sha256,
        leaky_reason=manifest.leaky_reason,
        dataset=None if inventory is None else inventory.title,
        buffer_m=buffer_m,
        sets={name: len(members.scenes) for name, members in manifest.sets.items()},
        missing_scenes=len(evidence.missing),
        missing=evidence.missing[:MISSING],
        levels=levels,
    )


def check_copies(manifest: SplitManifest, evidence: Evidence) -> Level:
    """Look for scenes of different sets that show the same buildings."""
    from rmtools.audit.copies import NARROW, SMALL_M, find_copies

    scenes = evidence.with_buildings
    if len(scenes) < 2:
        return not_checked("copies", f"{len(scenes)} scenes of the split have a building raster")
    sets_of = memberships(manifest)
    result = find_copies(sets_of, evidence.buildings, scenes)
    looked = f"{result.compared} of {len(sets_of)} scenes compared"
    if result.plain:
        looked += f", {len(result.plain)} of them have too few buildings to tell"
    if not result.copies:
        return passed("copies", f"{looked}; copies that overlap by {NARROW:.0%} or less not sought")
    squares = {place.name: place for place in evidence.places}
    pairs = [
        Pair(
            sets=copy.sets,
            first=copy.first,
            second=copy.second,
            distance_m=distance_m(squares.get(copy.first), squares.get(copy.second)),
            what=copy.in_words(),
        )
        for copy in result.copies
    ]
    involved = {name for copy in result.copies for name in (copy.first, copy.second)}
    share, size_m = len(involved) / len(sets_of), evidence.size_m
    if size_m < SMALL_M:
        looked += f"; in scenes of {size_m:g} m houses that are alike may be taken for copies"
        return found("copies", looked, pairs, verdict="warning", risk="medium", share=share)
    return found("copies", looked, pairs, share=share)


def _inputs(manifest: SplitManifest) -> Level:
    """What a split cannot show, such as RadioDiff-k's k² computed from the path gain."""
    said = f"; the split says: {manifest.leaky_reason}" if manifest.leaky_reason else ""
    return not_checked("inputs", f"nothing in a split shows it{said}")
