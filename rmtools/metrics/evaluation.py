"""Evaluating one source of maps against another: pairing, streaming, and the result."""

from __future__ import annotations

import math
import re
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from pydantic import BaseModel, ConfigDict, Field

from rmtools.errors import InputError, RecipeError
from rmtools.metrics.evaluator import Evaluator
from rmtools.metrics.maps import parse_id
from rmtools.metrics.protocol import Protocol
from rmtools.metrics.surroundings import by_distance, by_line_of_sight

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Sequence

    from rmtools.metrics.maps import Maps, Place
    from rmtools.metrics.surroundings import Surroundings
    from rmtools.splits.manifest import SplitManifest
    from rmtools.types import BoolArray
    from rmtools.units import GreyScale

By = Literal["buildings", "frame", "distance", "los"]
OUTSIDE_BUILDINGS = "outside buildings"
CHUNK = 64
"""Maps in a unit of work."""

_LISTED = 10
"""How many bad maps a message names."""


class GroupResult(BaseModel):
    """The numbers of one group of maps or pixels."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    maps: int = Field(description="Maps with pixels in the group")
    pixels: int
    values: dict[str, float | None] = Field(
        description="By the names of the protocol; null where infinite (no error) or undefined"
    )


class ProtocolResult(BaseModel):
    """What one protocol says."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    protocol: Protocol
    groups: dict[str, GroupResult] = Field(description="all, and the groups that were asked for")


class SplitUse(BaseModel):
    """Which part of which split was evaluated."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    set: str
    sha256: str = Field(description="Digest of the sets, as in the manifest")
    leaky: bool


class ScaleUse(BaseModel):
    """What errors in dB rest on."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    span_db: float = Field(description="What 255 grey levels are in dB")


class Evaluation(BaseModel):
    """Result of ``rmtools evaluate``: what was compared with what, how, and the numbers."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    kind: Literal["evaluation"] = "evaluation"
    format: Literal[1] = 1
    rmtools_version: str
    pred: str
    truth: str
    maps: int
    rows: int
    cols: int
    scale: ScaleUse | None = Field(description="null when unknown; then nothing is in dB")
    split: SplitUse | None
    frames: list[int] | None = Field(description="Frames evaluated, null for all")
    without_prediction: int = Field(description="Maps left out because there is no prediction")
    not_chosen: int = Field(description="Predictions of maps that were not to be evaluated")
    unknown: int = Field(description="Predictions of maps that the truth does not have")
    unknown_ids: list[str] = Field(description="The first ten of them")
    clamped_pixels: int = Field(description="Predicted pixels outside [0, 1]")
    buildings_from: str | None = Field(description="Where the building mask comes from")
    results: list[ProtocolResult]


# -- which maps ----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Selection:
    """Maps to evaluate.

    Attributes
    ----------
    ids
        In the order of the set, else in natural order.
    split, frames
        How they were chosen.
    """

    ids: Sequence[str]
    split: SplitUse | None = None
    frames: list[int] | None = None


def select(
    truth: Maps,
    *,
    manifest: SplitManifest | None = None,
    set_name: str | None = None,
    frames: Collection[int] | None = None,
    partly: bool = False,
) -> Selection:
    """Choose the maps of a set of a split, of some frames, or all.

    Parameters
    ----------
    truth
        The maps there are.
    manifest, set_name
        A split and one of its sets.
    frames
        Frames of sequences, such as the predicted ones.
    partly
        Take what is there of a set of which some sequences have no maps, instead of refusing.

    Raises
    ------
    InputError
        The split has no such set, the truth does not have all of it, ids do not say to which scene
        or frame they belong, or nothing is left.
    """
    ids: Sequence[str] = truth.ids
    split = None
    if manifest is not None:
        ids = _of_set(truth, manifest, set_name, partly=partly)
        split = SplitUse(
            name=manifest.name, set=str(set_name), sha256=manifest.sha256, leaky=manifest.leaky
        )
    if frames is not None:
        ids = [map_id for map_id in ids if _place(truth, map_id, "a frame").frame in frames]
    if not ids:
        raise InputError(
            "no map is left to evaluate.", where=truth.path, remedy="Check --split and --frames."
        )
    return Selection(ids, split, None if frames is None else sorted(frames))


def _of_set(
    truth: Maps, manifest: SplitManifest, set_name: str | None, *, partly: bool
) -> list[str]:
    if set_name not in manifest.sets:
        raise InputError(
            f"the split has no set {set_name!r}."
            if set_name
            else "a split has several sets, and none was chosen.",
            where=manifest.name,
            remedy=f"Choose one with --set: {', '.join(manifest.sets)}.",
        )
    members = manifest.sets[set_name]
    rank = {name: k for k, name in enumerate(members.scenes)}
    order: dict[str, tuple[int, tuple[int, ...]]] = {}
    for map_id in truth.ids:
        place = _place(truth, map_id, "a scene")
        ranks = [rank[name] for name in truth.names_of(place.scene) if name in rank]
        if (
            ranks
            and (members.trajectories is None or place.traj in (None, *members.trajectories))
            and (members.transmitters is None or place.tx in members.transmitters)
        ):
            order[map_id] = (min(ranks), tuple(-1 if k is None else k for k in place))
    found = len({place[:3] for _, place in order.values()})
    if found != members.sequences and not partly:
        raise InputError(
            f"the set {set_name!r} has {members.sequences:,} sequences, {found:,} of them are "
            "here.",
            where=truth.path,
            remedy="Use the split made for this dataset, or evaluate what is there with --common.",
        )
    return sorted(order, key=order.__getitem__)


def _place(maps: Maps, map_id: str, wanted: Literal["a scene", "a frame"]) -> Place:
    place = parse_id(map_id)
    if place is None or (wanted == "a frame" and place.frame is None):
        names = "env_000/traj_00/tx_00/00 (RadioMapMotion)"
        raise InputError(
            f"the name {map_id!r} does not say to which {wanted.split()[1]} the map belongs.",
            where=maps.path,
            remedy=f"Only names such as {names} do."
            if wanted == "a frame"
            else f"Only names such as {names} or 0_0 (RadioMapSeer) do.",
        )
    return place


def parse_frames(text: str) -> set[int]:
    """Frames given as numbers and ranges, such as ``10-14`` or ``0,5-7``.

    Raises
    ------
    RecipeError
        Something else.
    """
    frames: set[int] = set()
    for part in text.split(","):
        match = re.fullmatch(r"\s*(\d{1,6})(?:-(\d{1,6}))?\s*", part)
        if match is None:
            raise RecipeError(
                f"{text!r} is no list of frames.", remedy="Write it like 10-14 or 0,5-7."
            )
        frames.update(range(int(match[1]), int(match[2] or match[1]) + 1))
    return frames


# -- evaluating ----------------------------------------------------------------------------------


def evaluate(
    pred: Maps,
    truth: Maps,
    protocols: Sequence[Protocol],
    selection: Selection,
    *,
    by: Iterable[By] = (),
    only_common: bool = False,
    workers: int = 1,
    advance: Callable[[int], None] = lambda _: None,
) -> Evaluation:
    """Stream maps through the evaluators of some protocols.

    Parameters
    ----------
    pred, truth
        Sources of maps with the same ids.
    protocols
        How to evaluate, at least one; each map is read once for all.
    selection
        Maps to evaluate, see :func:`select`.
    by
        What else to print numbers of: the pixels outside buildings, each frame, classes of
        distance from the transmitter, line of sight and shadow.
    only_common
        Leave out maps without prediction instead of refusing.
    workers
        Threads; changes only the time.
    advance
        Called with the number of maps that were finished.

    Raises
    ------
    InputError
        Predictions are missing, files cannot be read or have another size, or the surroundings
        that `by` needs are not known. All bad files are counted, ten are named.
    """
    from rmtools import __version__

    chosen = tuple(by)
    surroundings = _surroundings(truth) if set(chosen) - {"frame"} else None
    scale = _common_scale(pred, truth)
    predicted = set(pred.ids)
    missing = [map_id for map_id in selection.ids if map_id not in predicted]
    used = [map_id for map_id in selection.ids if map_id in predicted]
    if missing and (not only_common or not used):
        raise _missing(pred, missing, len(selection.ids))
    shape = truth.read(used[0]).shape

    def work(first: int) -> tuple[list[Evaluator], dict[str, str]]:
        evaluators = [Evaluator(protocol, scale=scale) for protocol in protocols]
        problems: dict[str, str] = {}
        for position, map_id in enumerate(used[first : first + CHUNK], start=first):
            try:
                pair = pred.read(map_id, shape), truth.read(map_id, shape)
                parts, group = _parts(truth, map_id, surroundings, chosen)
                for evaluator in evaluators:
                    evaluator.update(*pair, parts=parts, group=group, index=position)
            except InputError as error:
                problems[map_id] = f"{map_id}: {error}"
        return evaluators, problems

    totals = [Evaluator(protocol, scale=scale) for protocol in protocols]
    bad: dict[str, str] = {}
    starts = range(0, len(used), CHUNK)
    with ThreadPoolExecutor(max_workers=workers) as pool:
        try:
            for first, (evaluators, problems) in zip(starts, pool.map(work, starts), strict=True):
                bad.update(problems)
                for total, evaluator in zip(totals, evaluators, strict=True):
                    total.merge(evaluator)
                advance(min(CHUNK, len(used) - first))
        finally:
            pool.shutdown(cancel_futures=True)
    if bad:
        raise _bad_maps(bad, len(used))
    known = set(truth.ids)
    unknown = [map_id for map_id in pred.ids if map_id not in known]
    return Evaluation(
        rmtools_version=__version__,
        pred=str(pred.path),
        truth=str(truth.path),
        maps=len(used),
        rows=shape[0],
        cols=shape[1],
        scale=None if scale is None else ScaleUse(name=scale.name, span_db=scale.span_db),
        split=selection.split,
        frames=selection.frames,
        without_prediction=len(missing),
        not_chosen=len(predicted) - len(used) - len(unknown),
        unknown=len(unknown),
        unknown_ids=unknown[:_LISTED],
        clamped_pixels=totals[0].clamped,
        buildings_from=surroundings.buildings_from if surroundings else None,
        results=[protocol_result(evaluator) for evaluator in totals],
    )


def _surroundings(truth: Maps) -> Surroundings:
    if truth.surroundings is None:
        raise InputError(
            "nothing says where buildings and transmitters are.",
            where=truth.path,
            remedy="Give as truth a store, the RadioMapMotion layout with its dataset.json, or a "
            "tree gain/... of RadioMapSeer beside its polygon/ and antenna/.",
        )
    return truth.surroundings


def _common_scale(pred: Maps, truth: Maps) -> GreyScale | None:
    if pred.scale is not None and truth.scale is not None and pred.scale != truth.scale:
        raise InputError(
            f"predictions are on the scale of {pred.scale.name}, the truth on that of "
            f"{truth.scale.name}.",
            where=pred.path,
            remedy="Equal grey levels are different dB there; compare maps of one scale.",
        )
    return truth.scale or pred.scale


def _parts(
    truth: Maps, map_id: str, surroundings: Surroundings | None, by: Sequence[By]
) -> tuple[dict[str, BoolArray], str | None]:
    """Pixel groups of a map, and the name of its frame."""
    parts: dict[str, BoolArray] = {}
    if surroundings is not None:
        place = _place(truth, map_id, "a scene")
        if "buildings" in by:
            parts[OUTSIDE_BUILDINGS] = ~surroundings.buildings(place.scene)
        if "los" in by:
            parts |= by_line_of_sight(surroundings, place.scene, place.tx)
        if "distance" in by:
            parts |= by_distance(surroundings, place.scene, place.tx)
    group = f"frame {_place(truth, map_id, 'a frame').frame}" if "frame" in by else None
    return parts, group


def protocol_result(evaluator: Evaluator) -> ProtocolResult:
    """What an evaluator has gathered, of all its groups."""
    return ProtocolResult(
        protocol=evaluator.protocol,
        groups={
            group: GroupResult(
                maps=evaluator.images(group),
                pixels=evaluator.pixels(group),
                values={
                    name: value if math.isfinite(value) else None
                    for name, value in evaluator.compute(group).items()
                },
            )
            for group in evaluator.groups
        },
    )


# -- what is wrong -------------------------------------------------------------------------------


def _missing(pred: Maps, missing: Sequence[str], wanted: int) -> InputError:
    frames = Counter(place.frame for place in map(parse_id, missing) if place)
    sequences = len(frames) > 1 or None not in frames
    return InputError(
        f"{len(missing):,} of {wanted:,} maps have no prediction: {_list(missing)}.",
        where=pred.path,
        remedy="Write them, choose the maps with --split and --set"
        + (" and --frames" if sequences else "")
        + ", or leave them out with --common.",
    )


def _bad_maps(bad: dict[str, str], wanted: int) -> InputError:
    listed = "\n".join(f"  {text}" for text in list(bad.values())[:_LISTED])
    more = f"\n  ... and {len(bad) - _LISTED:,} more" if len(bad) > _LISTED else ""
    return InputError(
        f"{len(bad):,} of {wanted:,} pairs of maps cannot be compared:\n{listed}{more}\nNo "
        "numbers are given, because a table without these maps would be of another test set."
    )


def _list(names: Sequence[str]) -> str:
    more = f" and {len(names) - _LISTED:,} more" if len(names) > _LISTED else ""
    return ", ".join(names[:_LISTED]) + more
