"""The papers' studies: samples, training size, transfer, context, horizon, ablations.

Numbers of samples and of context frames: a model is trained once and judged at each, unless its
weights belong to a number (it has an option ``samples``) or the plan says to train for each.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

from rmtools.metrics import ALL

from .. import find
from .plan import other_place, whole
from .results import Study, StudyPoint
from .weights import trainable

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from .benchmark import Bench
    from .plan import Candidate, StudyPlan
    from .predictions import JudgedMaps
    from .results import Judged, Scores, StudyName, Value

TITLES: dict[StudyName, tuple[str, str]] = {
    "samples": ("Number of samples", "samples of a map"),
    "context": ("Length of the context", "context frames"),
    "train-size": ("Size of the training set", "share of the training scenes"),
    "transfer": ("Transfer to {other}", "share of its training scenes used for tuning"),
    "horizon": ("Error over the horizon", "predicted frame"),
    "ablations": ("Ablations", "variant"),
}

AS_PUBLISHED = "as published"


class Point(NamedTuple):
    """A candidate at one point of a study, and what it is judged on there."""

    at: Value
    candidate: Candidate
    maps: JudgedMaps


def carry_out(study: StudyPlan, bench: Bench, models: Sequence[Judged]) -> Study:
    """Do one study with all models of a benchmark.

    Parameters
    ----------
    study
        What was asked for.
    bench
        What judges.
    models
        The models of the main table.
    """
    title, axis = TITLES[study.name]
    found = Study(name=study.name, title=title.format(other=study.other), axis=axis, points=[])
    if study.name == "horizon":
        return found.model_copy(update={"points": list(by_frame(models))})
    points = []
    for candidate in bench.candidates:
        for point in _points(study, bench, candidate):
            judged = bench.attempt(point.candidate, point.maps)
            if judged is not None:
                points.append(
                    StudyPoint(
                        label=candidate.label,
                        model=candidate.model,
                        at=point.at,
                        anew=judged.training is not None and point.candidate != candidate,
                        scores=judged.scores,
                    )
                )
    return found.model_copy(update={"points": points})


def _points(study: StudyPlan, bench: Bench, candidate: Candidate) -> Iterator[Point]:
    home = bench.plan.place
    maps = bench.maps(home)
    learns = trainable(candidate.model)
    if study.name in ("samples", "context"):
        for value in study.at:
            yield _numbered(study.name, bench, candidate, int(value))
    elif study.name == "train-size":
        for share in study.at:
            less = learns and share != 1.0
            yield Point(whole(share), replace(candidate, share=share) if less else candidate, maps)
    elif study.name == "transfer":
        there = other_place(bench.plan, study.other or "")
        for share in study.at:
            tuned = replace(candidate, place=there, share=share, start=candidate)
            who = tuned if learns and share else candidate
            yield Point(whole(share), who, bench.maps(there))
    else:
        yield Point(AS_PUBLISHED, candidate, maps)
        for name, options in find(candidate.model).ablations.items():
            changed = {**candidate.options, **options}
            yield Point(name, replace(candidate, options=changed, variant=name), maps)


def _numbered(name: StudyName, bench: Bench, candidate: Candidate, value: int) -> Point:
    """A number of samples or of context frames, for which a model may need other weights."""
    home, who = bench.plan.place, candidate
    options = find(candidate.model).options()
    if name == "samples":
        if "samples" in options or (bench.plan.retrain and trainable(candidate.model)):
            who = replace(candidate, samples=(value, value))
        return Point(value, who, bench.maps(home, samples=(value, value)))
    if bench.plan.retrain and trainable(candidate.model):
        who = replace(candidate, context=value)
    first, context, horizon = bench.conventions[candidate.label].window or (0, 10, 5)
    window = (first + context - value, value, horizon)
    return Point(value, who, bench.maps(home, window=window))


def by_frame(models: Sequence[Judged]) -> Iterator[StudyPoint]:
    """The numbers of each predicted frame, from those that were judged as groups."""
    for judged in models:
        for group in judged.scores.groups:
            if group.startswith("frame "):
                yield StudyPoint(
                    label=judged.label,
                    model=judged.model,
                    at=int(group.removeprefix("frame ")),
                    anew=False,
                    scores=only(judged.scores, group),
                )


def only(scores: Scores, group: str) -> Scores:
    """Scores of one group alone."""
    results = [
        result.model_copy(update={"groups": {ALL: result.groups[group]}})
        for result in scores.results
    ]
    maps = scores.results[0].groups[group].maps
    return scores.model_copy(update={"results": results, "maps": maps})
